/* Days and times as people write them, on the nights when clocks jump too. */
#include "config.h"

#include "calendar/period.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "calendar/slot.h"

static void expect(
	const char *text, const char *zone, const char *from, const char *until)
{
	char a[32], b[32];
	int64_t from_s, until_s;
	struct schedule_error e;

	assert_int_equal(period_parse(text, zone, &from_s, &until_s, &e), 0);
	assert_string_equal(clock_format_iso(from_s, a, sizeof(a)), from);
	assert_string_equal(clock_format_iso(until_s, b, sizeof(b)), until);
}

static void test_days(void **state)
{
	expect("2026-11-01", "UTC", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
	expect("2026-11-01", "Asia/Kathmandu", "2026-10-31T18:15:00Z",
		"2026-11-01T18:15:00Z");
	/* 23 and 25 hours */
	expect("2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00Z",
		"2026-03-29T22:00:00Z");
	expect("2026-10-25", "Europe/Berlin", "2026-10-24T22:00:00Z",
		"2026-10-25T23:00:00Z");
	/* a day whose midnight does not exist, and one that does not exist at all */
	expect("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z",
		"2018-11-05T02:00:00Z");
	expect("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z",
		"2011-12-30T10:00:01Z");
	expect("1955-01-01", "UTC", "1955-01-01T00:00:00Z", "1955-01-02T00:00:00Z");
}

static void test_times(void **state)
{
	expect("2026-11-01T07:00", "Europe/Berlin", "2026-11-01T06:00:00Z",
		"2026-11-01T06:01:00Z");
	expect("2026-11-01 07:00:05", "Europe/Berlin", "2026-11-01T06:00:05Z",
		"2026-11-01T06:00:06Z");
	expect("2026-11-01T07:00:00Z", "Europe/Berlin", "2026-11-01T07:00:00Z",
		"2026-11-01T07:00:01Z");
	expect("2026-11-01T07:00:00+05:30", "UTC", "2026-11-01T01:30:00Z",
		"2026-11-01T01:30:01Z");
	/* the first of two, and one that is moved */
	expect("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00Z",
		"2026-10-25T00:31:00Z");
	expect("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00:00Z",
		"2026-03-29T01:00:01Z");
}

static void test_errors(void **state)
{
	static const char *const bad[] = {"", "yesterday", "2026-02-30", "2026-1-1",
		"2026-11-01T25:00", "2026-11-01T07", "2026-13-01", "2300-01-01",
		"2026-11-01x07:00", "2026-11-01T07:00:00,5"};
	struct schedule_error e;
	int64_t a, b;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.text[0] = '\0';
		if (period_parse(bad[i], "UTC", &a, &b, &e) != -EINVAL || !e.text[0])
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_int_equal(period_parse("2026-11-01", "Nowhere/City", &a, &b, &e), -EINVAL);
	assert_true(e.is_timezone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests_name("period", tests, NULL, NULL);
}
