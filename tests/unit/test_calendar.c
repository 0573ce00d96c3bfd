/*
 * Schedules by example: the fires of each syntax, nights on which clocks jump, what is
 * refused and at which position, and zone files that lie.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/slot.h"
#include "calendar/tz.h"
#include "calendar/tz_names.h"

struct fires {
	const char *expression, *zone, *after;
	const char *want[4]; /* UTC */
	enum schedule_syntax syntax;
};

static const struct fires fires[] = {
	{"0 7 * * *", "UTC", "2026-11-24T06:59:59Z",
		{"2026-11-24T07:00:00Z", "2026-11-25T07:00:00Z"}, SCHEDULE_AUTO},
	{"*/20 9-10 * * mon-fri", "UTC", "2026-11-20T10:30:00Z",
		{"2026-11-20T10:40:00Z", "2026-11-23T09:00:00Z"}, SCHEDULE_AUTO},
	{"0 0 13 * 5", "UTC", "2026-11-01T00:00:00Z", /* either day matches */
		{"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z"}, SCHEDULE_AUTO},
	{"@monthly", "UTC", "2026-11-24T00:00:00Z", {"2026-12-01T00:00:00Z"},
		SCHEDULE_AUTO},
	{"30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", /* 02:30 is no time */
		{"2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"}, SCHEDULE_AUTO},
	{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", /* 02:30 comes twice */
		{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}, SCHEDULE_AUTO},
	{"*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z",
		{"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z",
			"2026-10-25T02:00:00Z"},
		SCHEDULE_AUTO},
	{"cron(0 7 ? * 2#1 *)", "UTC", "2026-11-24T00:00:00Z", {"2026-12-07T07:00:00Z"},
		SCHEDULE_AUTO},
	{"cron(0 7 L * ? *)", "Europe/Berlin", "2026-11-24T00:00:00Z",
		{"2026-11-30T06:00:00Z", "2026-12-31T06:00:00Z"}, SCHEDULE_AUTO},
	{"rate(6 hours)", "UTC", "2026-11-24T00:00:00Z",
		{"2026-11-24T06:00:00Z", "2026-11-24T12:00:00Z"}, SCHEDULE_AUTO},
	{"at(2026-12-24T18:00:00)", "Europe/Berlin", "2026-11-24T00:00:00Z",
		{"2026-12-24T17:00:00Z", NULL}, SCHEDULE_AUTO},
	{"90m", "UTC", "1970-01-01T00:00:00Z",
		{"1970-01-01T01:30:00Z", "1970-01-01T03:00:00Z"}, SCHEDULE_EVERY},
};

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

static int64_t utc(const char *text)
{
	int64_t s = 0;

	assert_int_equal(clock_parse_iso(text, &s), 0);
	return s;
}

static void each_syntax_fires_when_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fires); i++) {
		struct schedule *s = make(
			fires[i].expression, fires[i].zone, fires[i].syntax);
		int64_t at = utc(fires[i].after);
		struct slot slot;

		for (size_t k = 0; k < 4 && fires[i].want[k]; k++) {
			assert_int_equal(schedule_next(s, at, &slot), 0);
			if (slot.at_s != utc(fires[i].want[k]))
				fail_msg("%s: fire %zu is not at %s", fires[i].expression,
					k, fires[i].want[k]);
			at = slot.at_s;
		}
		/* And back again: the slot itself is the last at or before it. */
		assert_int_equal(schedule_prev(s, at, &slot), 0);
		assert_int_equal(slot.at_s, at);
		schedule_free(s);
	}
}

static void one_shots_end(void **state)
{
	struct schedule *s = make("at(2026-12-24T18:00:00)", "UTC", SCHEDULE_AUTO);
	struct slot slot;

	(void)state;
	assert_true(schedule_is_one_shot(s));
	assert_int_equal(schedule_next(s, utc("2026-12-24T18:00:00Z"), &slot), -ENOENT);
	schedule_free(s);
}

static void jumps_are_marked(void **state)
{
	struct schedule *s = make("30 2 * * *", "Europe/Berlin", SCHEDULE_AUTO);
	char key[SLOT_KEY_LEN];
	struct slot slot;

	(void)state;
	schedule_next(s, utc("2027-03-27T12:00:00Z"), &slot);
	assert_true(slot.is_gap_moved);
	schedule_next(s, utc("2026-10-24T12:00:00Z"), &slot);
	assert_true(slot.is_first_of_two);
	assert_string_equal(slot_key(&slot, key), "2026-10-25T02:30/0");
	schedule_free(s);
}

struct refusal {
	const char *expression;
	size_t position;
	const char *text, *hint;
};

static const struct refusal refusals[] = {
	{"61 * * * *", 0, "minute", NULL},
	{"0 7 * *", 7, NULL, NULL},
	{"0 7 31 2 *", 0, "never", NULL},
	{"0 25 * * *", 2, "hour", NULL},
	{"cron(0 7 * * * *)", 9, "must be ?", NULL},
	{"rate(0 hours)", 0, NULL, NULL},
	{"@fortnightly", 0, NULL, NULL},
	{"", 0, NULL, NULL},
};

static void what_is_wrong_is_told_with_its_position(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *r = &refusals[i];
		const struct schedule_spec spec = {.expression = r->expression};
		struct schedule_error e;
		struct schedule *s = NULL;

		assert_int_equal(schedule_new(&spec, &s, &e), -EINVAL);
		assert_true(e.position <= strlen(r->expression));
		if (r->text && (!strstr(e.text, r->text) || e.position != r->position))
			fail_msg("%s: at %zu: %s", r->expression, e.position, e.text);
		if (r->hint)
			assert_non_null(strstr(e.hint, r->hint));
		assert_true(*e.text);
	}
}

/* Expressions broken at random: a verdict, and a position inside the string. */
static void damaged_expressions_are_survived(void **state)
{
	static const char pieces[] = "0123456789*/-,?#LW@ ()crontaeydm\xff";
	unsigned seed = 20261124;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char text[64];
		size_t n = (size_t)rand_r(&seed) % 30;
		struct schedule_error e;
		struct schedule *s = NULL;
		struct slot slot;

		snprintf(text, sizeof(text), "%s",
			fires[(size_t)i % ARRAY_LEN(fires)].expression);
		if (i % 3 == 0)
			for (size_t k = 0; k <= n; k++)
				text[k] = k < n ? pieces[(size_t)rand_r(&seed) %
							  (sizeof(pieces) - 1)]
						: '\0';
		else if (*text)
			text[(size_t)rand_r(&seed) % strlen(text)] =
				pieces[(size_t)rand_r(&seed) % (sizeof(pieces) - 1)];
		if (schedule_new(&(struct schedule_spec){.expression = text}, &s, &e) < 0)
			assert_true(e.position <= strlen(text) && *e.text);
		else
			schedule_next(s, 0, &slot);
		schedule_free(s);
	}
}

static void zone_files_that_lie_are_refused(void **state)
{
	char data[8192];
	FILE *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "re");
	size_t n;
	struct tz *tz = NULL;
	unsigned seed = 20261124;

	(void)state;
	assert_non_null(f);
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	assert_true(n > 500);
	assert_int_equal(tz_parse(data, n, &tz), 0);
	tz = tz_free(tz);
	for (size_t cut = 0; cut < n; cut++) {
		char *exact = mem_alloc(cut + 1);

		/* On the heap, so that a byte too far is seen. */
		memcpy(exact, data, cut);
		if (tz_parse(exact, cut, &tz) == 0)
			tz = tz_free(tz);
		free(exact);
	}
	for (int i = 0; i < 5000; i++) {
		char copy[sizeof(data)];
		struct tz_interval iv;

		memcpy(copy, data, n);
		for (int k = 0; k < 1 + i % 3; k++)
			copy[(size_t)rand_r(&seed) % (i % 2 ? n : 44)] = (char)rand_r(
				&seed);
		if (tz_parse(copy, n, &tz) == 0) {
			tz_interval_at(tz, INT64_C(1795503600), &iv);
			assert_true(iv.start_s < iv.end_s);
			tz = tz_free(tz);
		}
	}
	assert_int_equal(tz_load("../../etc/passwd", &tz), -EINVAL);
	assert_int_equal(tz_load("Europe/Berlni", &tz), -ENOENT);
	assert_int_equal(tz_load("leapseconds", &tz), -EBADMSG);
}

static void a_mistyped_zone_finds_its_name(void **state)
{
	static const struct {
		const char *wrong, *right;
	} cases[] = {
		{"Europe/Berlni", "Europe/Berlin"},
		{"europe/berlin", "Europe/Berlin"},
		{"Berlin", "Europe/Berlin"},
		{"new york", "America/New_York"},
		{"US/Pacifik", "US/Pacific"}, /* a link */
		{"Europe/Middle-earth", ""},
		{"X", ""}, /* of one letter everything is near */
		{"", ""},
	};
	char near[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(
			tz_nearest(cases[i].wrong, near, sizeof(near)), cases[i].right);
}

UNIT_MAIN(cmocka_unit_test(each_syntax_fires_when_it_says),
	cmocka_unit_test(one_shots_end), cmocka_unit_test(jumps_are_marked),
	cmocka_unit_test(what_is_wrong_is_told_with_its_position),
	cmocka_unit_test(damaged_expressions_are_survived),
	cmocka_unit_test(zone_files_that_lie_are_refused),
	cmocka_unit_test(a_mistyped_zone_finds_its_name))
