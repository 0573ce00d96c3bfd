/*
 * OnCalendar expressions: when they fire, what is refused and where; and lists of
 * schedules, whose slots are merged.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "calendar/slot.h"

static int64_t utc(const char *text)
{
	int64_t s = 0;

	assert_int_equal(clock_parse_iso(text, &s), 0);
	return s;
}

static struct schedule *make(
	const char *expression, const char *zone, enum schedule_syntax syntax)
{
	const struct schedule_spec spec = {
		.syntax = syntax, .expression = expression, .timezone = zone};
	struct schedule_error e;
	struct schedule *s = NULL;

	if (schedule_new(&spec, &s, &e) < 0)
		fail_msg("%s: %s", expression, e.text);
	return s;
}

struct fires {
	const char *expression, *zone, *after;
	const char *want[4]; /* UTC; NULL: no more */
};

static const struct fires fires[] = {
	{"Mon..Fri 08:30", "Europe/Berlin", "2026-11-20T12:00:00Z",
		{"2026-11-23T07:30:00Z", "2026-11-24T07:30:00Z", "2026-11-25T07:30:00Z",
			"2026-11-26T07:30:00Z"}},
	{"*-02~1 23:00", "UTC", "2027-01-01T00:00:00Z",
		{"2027-02-28T23:00:00Z", "2028-02-29T23:00:00Z", "2029-02-28T23:00:00Z",
			"2030-02-28T23:00:00Z"}},
	{"*-*~3..7/2", "UTC", "2026-11-01T00:00:00Z",
		{"2026-11-24T00:00:00Z", "2026-11-26T00:00:00Z", "2026-11-28T00:00:00Z",
			"2026-12-25T00:00:00Z"}},
	{"*-*~7/3", "UTC", "2026-11-01T00:00:00Z",
		{"2026-11-24T00:00:00Z", "2026-11-27T00:00:00Z", "2026-11-30T00:00:00Z",
			"2026-12-25T00:00:00Z"}},
	{"12:59:58/1", "UTC", "2026-11-01T12:59:58Z",
		{"2026-11-01T12:59:59Z", "2026-11-02T12:59:58Z", "2026-11-02T12:59:59Z",
			"2026-11-03T12:59:58Z"}},
	{"QUARTERLY America/New_York", "Asia/Tokyo", "2026-11-01T00:00:00Z",
		{"2027-01-01T05:00:00Z", "2027-04-01T04:00:00Z", "2027-07-01T04:00:00Z",
			"2027-10-01T04:00:00Z"}},
	{"@1493187147", "Asia/Tokyo", "2017-01-01T00:00:00Z",
		{"2017-04-26T06:12:27Z", NULL}},
	{"27..28-01-01", "UTC", "2026-11-01T00:00:00Z",
		{"2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z", NULL}},
	/* Our rule for clocks that jump, not systemd's, which leaves the day out. */
	{"02:30:20", "Europe/Berlin", "2027-03-27T12:00:00Z",
		{"2027-03-28T01:00:00Z", "2027-03-29T00:30:20Z", "2027-03-30T00:30:20Z",
			"2027-03-31T00:30:20Z"}},
};

static void it_fires_when_systemd_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fires) / sizeof(fires[0]); i++) {
		struct schedule *s = NULL;
		int64_t at = utc(fires[i].after);
		struct slot slot;

		s = make(fires[i].expression, fires[i].zone, SCHEDULE_CALENDAR);
		for (size_t k = 0; k < 4; k++) {
			int r = schedule_next(s, at, &slot);

			if (!fires[i].want[k]) {
				assert_int_equal(r, -ENOENT);
				break;
			}
			if (r < 0 || slot.at_s != utc(fires[i].want[k]))
				fail_msg("%s: fire %zu is not at %s", fires[i].expression,
					k, fires[i].want[k]);
			at = slot.at_s;
		}
		schedule_free(s);
	}
}

static void seconds_are_part_of_the_key(void **state)
{
	struct schedule *s = make("02:30:00,20", "Europe/Berlin", SCHEDULE_CALENDAR);
	char key[SLOT_KEY_LEN];
	struct slot slot;

	(void)state;
	schedule_next(s, utc("2026-10-24T12:00:00Z"), &slot);
	assert_string_equal(slot_key(&slot, key), "2026-10-25T02:30/0");
	assert_true(slot.is_first_of_two);
	assert_string_equal(slot.zone, "CEST");
	schedule_next(s, slot.at_s, &slot);
	assert_string_equal(slot_key(&slot, key), "2026-10-25T02:30:20/0");
	schedule_next(s, slot.at_s, &slot);
	assert_string_equal(slot_key(&slot, key), "2026-10-26T02:30/0");
	assert_string_equal(slot.zone, "CET");
	schedule_free(s);
}

struct refusal {
	const char *expression;
	size_t position;
	const char *text;
};

static const struct refusal refusals[] = {
	{"", 0, "empty"},
	{"test", 0, "neither a date nor a time"},
	{"Fri..Mon 12:00", 0, "ascend"},
	{"Mon.. 12:00", 5, "no end"},
	{"Mon,Tue..Wed..Thu", 12, "a weekday ends"},
	{"Mond 12:00", 3, "a weekday ends"},
	{"*-13-01", 2, "13 is not within 1-12"},
	{"*-*~29", 4, "29 is not within 1-28"},
	{"1969-01-01", 0, "not within 1970-2199"},
	{"2026", 4, "neither"},
	{"12", 2, "neither"},
	{"*-*-* 12:00:00.5", 14, "whole seconds"},
	{"*:50/15", 2, "leaves 0-59"},
	{"*:0/0", 4, "from 1 on"},
	{"*:4,30:*\n", 8, "behind the time"},
	{"*-*~7..3", 4, "ascend"},
	{"02~03-04", 2, "joined by"},
	{"99999999999999999999:00", 0, "too large"},
	{"12:00 ", 5, "behind the time"},
	{"12:00 Mars/Olympus", 6, "'Mars/Olympus' does not exist"},
	{"@12x", 1, "seconds since"},
};

static void what_is_refused_has_a_position(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		const struct schedule_spec spec = {
			.syntax = SCHEDULE_CALENDAR, .expression = r->expression};
		struct schedule_error e;
		struct schedule *s = NULL;

		assert_int_equal(schedule_new(&spec, &s, &e), -EINVAL);
		if (e.position != r->position || !strstr(e.text, r->text))
			fail_msg("'%s': at %zu: %s", r->expression, e.position, e.text);
	}
}

static struct schedule *merge(const char *a, const char *b, const char *zone)
{
	struct schedule *members[] = {
		make(a, zone, SCHEDULE_AUTO), make(b, zone, SCHEDULE_AUTO)};

	return schedule_merge(members, 2);
}

static void a_list_has_one_slot_an_instant(void **state)
{
	struct schedule *s = merge("0 7 * * *", "0 7,9 * * mon", "Europe/Berlin");
	static const char *const want[] = {"2026-11-22T06:00:00Z", "2026-11-23T06:00:00Z",
		"2026-11-23T08:00:00Z", "2026-11-24T06:00:00Z"};
	int64_t at = utc("2026-11-21T12:00:00Z");
	struct slot slot;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(schedule_next(s, at, &slot), 0);
		assert_int_equal(slot.at_s, utc(want[i]));
		at = slot.at_s;
	}
	assert_int_equal(schedule_count(s, utc("2026-11-21T12:00:00Z"), at, 100), 4);
	for (size_t i = 4; i-- > 0;) {
		assert_int_equal(schedule_prev(s, at, &slot), 0);
		assert_int_equal(slot.at_s, utc(want[i]));
		at = slot.at_s - 1;
	}
	assert_false(schedule_is_one_shot(s));
	schedule_free(s);
}

/* In the gap one is moved onto the other; and a local key is kept beside an instant's. */
static void the_key_does_not_depend_on_the_order(void **state)
{
	static const char *const pairs[][3] = {
		{"30 2 * * *", "0 3 * * *", "2027-03-28T02:30/0"},
		{"15 3 * * *", "*/15 * * * *", "2027-03-28T03:15/0"},
	};
	char key[SLOT_KEY_LEN];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct schedule *ab = merge(pairs[i][0], pairs[i][1], "Europe/Berlin");
		struct schedule *ba = merge(pairs[i][1], pairs[i][0], "Europe/Berlin");
		int64_t after = utc(i ? "2027-03-28T01:14:59Z" : "2027-03-28T00:59:59Z");
		struct slot x, y;

		assert_int_equal(schedule_next(ab, after, &x), 0);
		assert_int_equal(schedule_next(ba, after, &y), 0);
		assert_string_equal(slot_key(&x, key), pairs[i][2]);
		assert_string_equal(slot_key(&y, key), pairs[i][2]);
		assert_int_equal(schedule_prev(ba, x.at_s, &y), 0);
		assert_string_equal(slot_key(&y, key), pairs[i][2]);
		schedule_free(ab);
		schedule_free(ba);
	}
}

UNIT_MAIN(cmocka_unit_test(it_fires_when_systemd_says),
	cmocka_unit_test(seconds_are_part_of_the_key),
	cmocka_unit_test(what_is_refused_has_a_position),
	cmocka_unit_test(a_list_has_one_slot_an_instant),
	cmocka_unit_test(the_key_does_not_depend_on_the_order))
