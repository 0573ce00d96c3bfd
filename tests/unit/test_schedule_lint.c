/* What is legal and still surprises: each note, its place, and what must not be noted. */
#include "config.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "calendar/slot.h"

#define NOW "2026-11-24T12:00:00Z"

struct want {
	const char *expression, *zone;
	enum schedule_syntax syntax;
	struct {
		size_t position;
		const char *text;
	} notes[3];
};

static const struct want wants[] = {
	{"0 7 * * *", "Europe/Berlin", SCHEDULE_AUTO, {{0}}},
	{"0 0 13 * 5", "UTC", SCHEDULE_AUTO, {{4, "either day field"}}},
	{"0 0 1-31 * 5", "UTC", SCHEDULE_AUTO, {{4, "either day field"}}},
	{"0 0 */10 * 1", "UTC", SCHEDULE_AUTO,
		{{4, "both day fields"}, {4, "steps of 10 end at 31"}}},
	{"cron(0 0 ? * MON *)", "UTC", SCHEDULE_AUTO, {{0}}},
	{"*/7 * * * *", "UTC", SCHEDULE_AUTO, {{0, "steps of 7 end at 56"}}},
	{"0,5/15 * * * *", "UTC", SCHEDULE_AUTO, {{0}}},
	{"0 1/5 * * *", "UTC", SCHEDULE_AUTO, {{2, "steps of 5 end at 21"}}},
	{"0 8-18/4 * * *", "UTC", SCHEDULE_AUTO, {{0}}},
	{"*-*-* *:0/25", "UTC", SCHEDULE_CALENDAR, {{8, "steps of 25 end at 50"}}},
	{"quarterly", "UTC", SCHEDULE_CALENDAR, {{0}}},
	{"0 20-2 * * 1-5", "UTC", SCHEDULE_AUTO, {{2, "hours after midnight"}}},
	{"30 2 * * *", "Europe/Berlin", SCHEDULE_AUTO,
		{{0, "2027-03-28 in Europe/Berlin, 02:00 to 03:00 does not exist"},
			{0, "2027-10-31 in Europe/Berlin, 02:00 to 03:00 comes twice"}}},
	{"30 1 * * *", "America/New_York", SCHEDULE_AUTO, {{0, "comes twice"}}},
	{"30 2,3 * * *", "Europe/Berlin", SCHEDULE_AUTO, {{0}}},
	{"30 2 * 6 *", "Europe/Berlin", SCHEDULE_AUTO, {{0}}},
	{"30 2,14 * * *", "Europe/Berlin", SCHEDULE_AUTO, {{0}}},
	{"30 * * * *", "Europe/Berlin", SCHEDULE_AUTO, {{0}}},
	{"0 0 * * *", "Asia/Beirut", SCHEDULE_AUTO, {{0, "does not exist"}}},
	{"Mon 2012-10-16", "UTC", SCHEDULE_CALENDAR, {{0, "never fires"}}},
};

static int64_t now(void)
{
	int64_t s = 0;

	assert_int_equal(clock_parse_iso(NOW, &s), 0);
	return s;
}

static struct schedule *make(const char *expression, const char *zone,
	enum schedule_syntax syntax, enum day_match day_match)
{
	const struct schedule_spec spec = {.syntax = syntax,
		.expression = expression,
		.timezone = zone,
		.day_match = day_match};
	struct schedule_error e;
	struct schedule *s = NULL;

	if (schedule_new(&spec, &s, &e) < 0)
		fail_msg("%s: %s", expression, e.text);
	return s;
}

static void each_surprise_is_told_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		const struct want *w = &wants[i];
		struct schedule *s = make(
			w->expression, w->zone, w->syntax, DAY_MATCH_AUTO);
		struct schedule_note notes[SCHEDULE_NOTES_MAX];
		size_t n = schedule_lint(s, now(), notes), k;

		for (k = 0; k < n; k++) {
			const struct schedule_error *e = &notes[k].what;

			if (!w->notes[k].text || !strstr(e->text, w->notes[k].text) ||
				e->position != w->notes[k].position)
				fail_msg("%s: at %zu: %s", w->expression, e->position,
					e->text);
		}
		if (w->notes[n].text)
			fail_msg("%s: not told: %s", w->expression, w->notes[n].text);
		schedule_free(s);
	}
}

static void what_is_said_plainly_is_no_surprise(void **state)
{
	struct schedule *s = make("0 0 13 * 5", "UTC", SCHEDULE_AUTO, DAY_MATCH_AND);
	struct schedule_note notes[SCHEDULE_NOTES_MAX];

	(void)state;
	assert_int_equal(schedule_lint(s, now(), notes), 0);
	schedule_free(s);
	s = make("30 2 * * *", "Europe/Berlin", SCHEDULE_AUTO, DAY_MATCH_AUTO);
	assert_int_equal(schedule_lint(s, now(), notes), 2);
	assert_string_equal(notes[0].silenced_by, "dst_gap");
	assert_string_equal(notes[1].silenced_by, "dst_overlap");
	assert_false(notes[0].is_error);
	schedule_free(s);
}

static void an_end_that_is_near_is_told(void **state)
{
	static const struct {
		const char *expression;
		enum schedule_syntax syntax;
		const char *text;
	} ends[] = {
		{"cron(0 0 1 1 ? 2027-2028)", SCHEDULE_AUTO, "twice more"},
		{"cron(0 0 1 1 ? 2027-2029)", SCHEDULE_AUTO, NULL},
		{"cron(0 0 1 1 ? 2027)", SCHEDULE_AUTO,
			"once more only, the last time at 2027-01"},
		{"2003-03-05", SCHEDULE_CALENDAR, "past"},
		{"at(2026-11-24T11:59:59)", SCHEDULE_AUTO, "past"},
		{"at(2026-11-24T12:00:01)", SCHEDULE_AUTO, NULL},
		{"1h", SCHEDULE_EVERY, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct schedule *s = make(
			ends[i].expression, "UTC", ends[i].syntax, DAY_MATCH_AUTO);
		struct schedule_note note;
		bool is_told = schedule_lint_future(s, now(), &note);

		if (is_told != !!ends[i].text ||
			(is_told && !strstr(note.what.text, ends[i].text)))
			fail_msg("%s: %s", ends[i].expression,
				is_told ? note.what.text : "not told");
		schedule_free(s);
	}
}

UNIT_MAIN(cmocka_unit_test(each_surprise_is_told_once),
	cmocka_unit_test(what_is_said_plainly_is_no_surprise),
	cmocka_unit_test(an_end_that_is_near_is_told))
