/* What is legal in a schedule and still surprises people. Not what is wrong (the
 * parsers). */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "calendar/slot_impl.h"
#include "calendar/tz.h"

#define YEAR_S INT64_C(31622400) /* 366 days: each yearly change of clocks comes once */

struct lint {
	const struct schedule *s;
	struct schedule_note *notes;
	size_t count;
};

static struct schedule_error *add(struct lint *l, const char *silenced_by)
{
	struct schedule_note *n = &l->notes[l->count];

	if (l->count < SCHEDULE_NOTES_MAX - 1)
		l->count++;
	*n = (struct schedule_note){.silenced_by = silenced_by};
	return &n->what;
}

/* --- the expression --- */

static void lint_days(struct lint *l)
{
	const struct cron *c = &l->s->cron;
	const struct cron_traits *t = &c->traits;

	if (!t->is_day_limited || !t->is_weekday_limited ||
		c->day_match != DAY_MATCH_AUTO)
		return;
	if (t->has_star_step)
		schedule_fail(add(l, "day_match"), t->day_at,
			"day_match: and (or: or) says which is meant",
			"a day field begins with *, so both day fields must match");
	else
		schedule_fail(add(l, "day_match"), t->day_at,
			"day_match: and wants both; day_match: or says that this is "
			"meant",
			"a day matches when either day field does, not both");
}

static void lint_step(struct lint *l)
{
	const struct cron_traits *t = &l->s->cron.traits;
	static const char units[] = {
		[CRON_MINUTE] = 'm', [CRON_HOUR] = 'h', [CRON_DAY] = 'd'};
	char hint[100] = "";

	if (!t->uneven_step)
		return;
	if (t->uneven_field <= CRON_DAY)
		snprintf(hint, sizeof(hint), "for an even spacing: every: %d%c",
			t->uneven_step, units[t->uneven_field]);
	schedule_fail(add(l, NULL), t->uneven_at, hint,
		"%s: steps of %d end at %d and begin again at %d, so the last one is "
		"shorter or "
		"longer",
		cron_field_name(t->uneven_field), t->uneven_step, t->uneven_last,
		t->uneven_first);
}

static void lint_wrap(struct lint *l)
{
	const struct cron_traits *t = &l->s->cron.traits;

	if (t->wraps_hours && t->is_weekday_limited)
		schedule_fail(add(l, NULL), t->hour_at, "",
			"the hours after midnight are those of the named weekday itself, "
			"not "
			"of the night that follows it");
}

/* --- nights on which clocks jump --- */

/* Whether all times of day lie in [from, from + length), seconds of a day, maybe past 24
 * h. */
static bool is_all_inside(const struct cron *c, int64_t from, int64_t length)
{
	for (int h = 0; h < 24; h++) {
		if (!(c->hours & 1u << h))
			continue;
		for (int m = 0; m < 60; m++) {
			int64_t into = (h * 60 + m) * 60 - from;

			into = (into % DAY_S + DAY_S) % DAY_S;
			if (c->minutes & UINT64_C(1) << m && into >= length)
				return false;
		}
	}
	return true;
}

static void format_local(
	int64_t local_s, char *date, size_t size, int *ret_hour, int *ret_minute)
{
	struct clock_utc u;

	clock_utc_from_seconds(local_s, &u);
	snprintf(date, size, "%04d-%02d-%02d", (int)u.year % 10000, u.month, u.day);
	*ret_hour = u.hour;
	*ret_minute = u.minute;
}

static void note_gap(struct lint *l, int64_t from_local, const struct slot *moved)
{
	int h, m, h2, m2;
	char date[16];

	format_local(from_local, date, sizeof(date), &h, &m);
	format_local(moved->at_s + moved->offset_s, date, sizeof(date), &h2, &m2);
	schedule_fail(add(l, "dst_gap"), 0, "dst_gap: skip leaves that day out",
		"all its times lie in the hour that clocks skip: on %s in %s, %02d:%02d "
		"to "
		"%02d:%02d does not exist, and it runs at %02d:%02d",
		date, l->s->timezone, h, m, h2, m2, h2, m2);
}

static void note_overlap(struct lint *l, int64_t from_local, int64_t to_local)
{
	int h, m, h2, m2;
	char date[16];

	format_local(to_local, date, sizeof(date), &h2, &m2);
	format_local(from_local, date, sizeof(date), &h, &m);
	schedule_fail(add(l, "dst_overlap"), 0,
		"dst_overlap: once (or: both) says that this is meant",
		"all its times lie in the hour that clocks repeat: on %s in %s, "
		"%02d:%02d to "
		"%02d:%02d comes twice, and it runs in the first",
		date, l->s->timezone, h, m, h2, m2);
}

static void lint_change(
	struct lint *l, const struct tz_interval *a, const struct tz_interval *b)
{
	int64_t from = b->start_s + a->offset_s, to = b->start_s + b->offset_s;
	struct slot slot;

	if (from < to && l->s->dst_gap == DST_GAP_RUN &&
		is_all_inside(&l->s->cron, from, to - from) &&
		schedule_next(l->s, b->start_s - 1, &slot) == 0 && slot.is_gap_moved &&
		slot.at_s == b->start_s)
		note_gap(l, from, &slot);
	if (from > to && l->s->dst_overlap == DST_OVERLAP_AUTO &&
		is_all_inside(&l->s->cron, to, from - to) &&
		schedule_next(l->s, b->start_s - (from - to) - 1, &slot) == 0 &&
		slot.at_s < b->start_s)
		note_overlap(l, to, from);
}

static void lint_dst(struct lint *l, int64_t now_s)
{
	size_t before = l->count;
	struct tz_interval a, b;

	if (cron_has_all_hours(&l->s->cron))
		return;
	tz_interval_at(l->s->tz, now_s, &a);
	for (; a.end_s < now_s + YEAR_S && l->count < before + 2; a = b) {
		tz_interval_at(l->s->tz, a.end_s, &b);
		lint_change(l, &a, &b);
	}
}

size_t schedule_lint(const struct schedule *s, int64_t now_s,
	struct schedule_note notes[SCHEDULE_NOTES_MAX])
{
	struct lint l = {s, notes};

	if (s->kind != KIND_CRON)
		return 0;
	if (s->never_fires) {
		schedule_fail(
			add(&l, NULL), 0, "", "it never fires before the year 2200");
		notes[0].is_error = true;
		return 1;
	}
	lint_days(&l);
	lint_step(&l);
	lint_wrap(&l);
	lint_dst(&l, now_s);
	return l.count;
}

bool schedule_lint_future(
	const struct schedule *s, int64_t now_s, struct schedule_note *ret)
{
	struct slot slot = {.at_s = now_s};
	char last[32];
	int n = 0;

	while (n < 3 && schedule_next(s, slot.at_s, &slot) == 0)
		n++;
	if (n == 3 || (n > 0 && schedule_is_one_shot(s)) || schedule_is_boot(s))
		return false;
	*ret = (struct schedule_note){0};
	if (n == 0)
		schedule_fail(&ret->what, 0, "",
			"all its times are past: it will not run again");
	else
		schedule_fail(&ret->what, 0, "", "it fires %s, the last time at %s",
			n == 1 ? "once more only" : "twice more only",
			clock_format_iso(slot.at_s, last, sizeof(last)));
	return true;
}
