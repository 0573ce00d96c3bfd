/*
 * Schedules to slots. Local time is linear inside an interval of constant offset, so the
 * search walks intervals; a gap or a repeated hour is what happens at their edges.
 */
#include "config.h"

#include "calendar/slot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/oncalendar.h"
#include "calendar/slot_impl.h"
#include "calendar/tz.h"
#include "calendar/tz_names.h"
#include "calendar/tz_set.h"

/* --- making one --- */

static int load_zone(const struct schedule_spec *spec, const char *name, size_t at,
	struct schedule *s, struct schedule_error *e)
{
	int r = spec->zones ? tz_set_get(spec->zones, name, &s->tz)
			    : tz_load(name, &s->tz);

	char near[64], hint[128] = "an IANA name such as Europe/Berlin, UTC or local; package "
				   "tzdata has them";

	s->is_tz_shared = spec->zones != NULL;
	s->timezone = mem_strdup(name);
	if (r == 0)
		return 0;
	if (r != -EBADMSG && *tz_nearest(name, near, sizeof(near)))
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
	return schedule_fail(e, at, hint,
		r == -EBADMSG ? "the zone '%s' cannot be read"
			      : "the zone '%s' does not exist",
		name);
}

int schedule_new(
	const struct schedule_spec *spec, struct schedule **ret, struct schedule_error *e)
{
	struct schedule *s = mem_alloc(sizeof(*s));
	char zone[ONCALENDAR_ZONE_SIZE];
	size_t zone_at = 0;
	struct slot first;
	int r = schedule_parse(spec, s, zone, &zone_at, e);

	s->start_s = spec->start_s;
	s->dst_gap = spec->dst_gap;
	s->dst_overlap = spec->dst_overlap;
	if (r == 0 && *zone) {
		r = load_zone(spec, zone, zone_at, s, e);
	} else if (r == 0) {
		r = load_zone(spec, spec->timezone ? spec->timezone : "UTC", 0, s, e);
		e->is_timezone = r < 0;
	}
	s->never_fires = r == 0 && s->kind == KIND_CRON && schedule_next(s, 0, &first) < 0;
	/* systemd takes a date that never comes; there it is for schedule_lint() to say.
	 */
	if (s->never_fires && spec->syntax != SCHEDULE_CALENDAR)
		r = schedule_fail(e, 0, "", "it never fires before the year 2200");
	if (r < 0) {
		schedule_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct schedule *schedule_merge(struct schedule **members, size_t count)
{
	struct schedule *s;

	if (count == 1)
		return members[0];
	s = mem_alloc(sizeof(*s));
	s->kind = KIND_LIST;
	s->members = mem_array(count, sizeof(struct schedule *));
	memcpy(s->members, members, count * sizeof(struct schedule *));
	s->member_count = count;
	return s;
}

void *schedule_free(struct schedule *s)
{
	if (s) {
		for (size_t i = 0; i < s->member_count; i++)
			schedule_free(s->members[i]);
		free(s->members);
		if (!s->is_tz_shared)
			tz_free(s->tz);
		free(s->timezone);
		free(s);
	}
	return NULL;
}

/* --- local times inside [from, to), both local seconds --- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The lowest bit at or above `from`, or -1. */
static int first_bit(uint64_t set, int from)
{
	uint64_t left = from < 64 ? set >> from : 0;

	return left ? from + __builtin_ctzll(left) : -1;
}

/* First second of a day's set at or after `from`, or -1. */
static int second_of_day(const struct cron *c, int from)
{
	for (int h = from / 3600; h < 24; h++, from = h * 3600) {
		int m = from / 60 % 60;

		if (!(c->hours & 1u << h))
			continue;
		for (m = first_bit(c->minutes, m); m >= 0;
			m = first_bit(c->minutes, m + 1)) {
			bool is_first = h * 60 + m == from / 60;
			int s = first_bit(c->seconds, is_first ? from % 60 : 0);

			if (s >= 0)
				return (h * 60 + m) * 60 + s;
		}
	}
	return -1;
}

static void next_month(struct clock_utc *u)
{
	u->day = 1;
	u->year += u->month == 12;
	u->month = u->month % 12 + 1;
}

static bool find_local(const struct cron *c, int64_t from, int64_t to, int64_t *ret)
{
	int64_t day = floor_div(from, DAY_S), at = from;
	struct clock_utc u;

	for (clock_utc_from_seconds(day * DAY_S, &u); at < to; next_month(&u)) {
		int last = cron_days_in_month(u.year, u.month), second;

		if (u.year > CRON_YEAR_MAX)
			return false;
		if (!cron_matches_month(c, u.year, u.month)) {
			day += last + 1 - u.day;
			at = day * DAY_S;
			continue;
		}
		for (; u.day <= last && at < to; u.day++, at = ++day * DAY_S) {
			int weekday =
				(int)((day % 7 + 11) % 7); /* 1970 began on a Thursday */

			if (!cron_matches_day(c, u.day, last, weekday))
				continue;
			second = second_of_day(c, (int)(at - day * DAY_S));
			if (second < 0)
				continue;
			*ret = day * DAY_S + second;
			return *ret < to;
		}
	}
	return false;
}

/* --- slots --- */

static void fill(const struct schedule *s, const struct tz_interval *in, int64_t at_s,
	int64_t key_local_s, int pass, struct slot *ret)
{
	struct tz_interval next;

	*ret = (struct slot){.at_s = at_s, .offset_s = in->offset_s, .key_s = at_s};
	memcpy(ret->zone, in->abbreviation, sizeof(ret->zone));
	if (in->end_s != INT64_MAX) {
		tz_interval_at(s->tz, in->end_s, &next);
		ret->is_first_of_two = next.offset_s < in->offset_s &&
				       at_s + in->offset_s >= in->end_s + next.offset_s;
	}
	ret->is_local = s->kind == KIND_AT ||
			(s->kind == KIND_CRON && !cron_has_all_hours(&s->cron));
	if (ret->is_local) {
		ret->key_s = key_local_s;
		ret->pass = pass;
	}
}

char *slot_key(const struct slot *slot, char out[SLOT_KEY_LEN])
{
	struct clock_utc u;
	char second[8] = "";

	if (!slot->is_local)
		return clock_format_iso(slot->key_s, out, SLOT_KEY_LEN);
	clock_utc_from_seconds(slot->key_s, &u);
	if (u.second)
		snprintf(second, sizeof(second), ":%02d", u.second % 60);
	snprintf(out, SLOT_KEY_LEN, "%04d-%02d-%02dT%02d:%02d%s/%d", (int)u.year % 10000,
		u.month, u.day, u.hour, u.minute, second, slot->pass);
	return out;
}

int slot_compare(const struct slot *a, const struct slot *b)
{
	if (a->key_s != b->key_s)
		return a->key_s < b->key_s ? -1 : 1;
	return a->pass - b->pass;
}

/* --- cron --- */

/* Whether a repeated local range at the start of an interval is to be dropped. */
static bool drops_second_pass(const struct schedule *s)
{
	if (s->dst_overlap != DST_OVERLAP_AUTO)
		return s->dst_overlap == DST_OVERLAP_ONCE;
	return !cron_has_all_hours(&s->cron);
}

/* The first slot in the interval at or after from_s. */
static bool next_in_interval(const struct schedule *s, const struct tz_interval *in,
	int64_t from_s, struct slot *ret)
{
	int64_t first = from_s > in->start_s ? from_s : in->start_s;
	int64_t end = in->end_s < SCHEDULE_END_S ? in->end_s : SCHEDULE_END_S + DAY_S;
	int64_t from_local = first + in->offset_s, local;
	struct tz_interval before = *in;
	int pass = 0;

	if (in->start_s != INT64_MIN)
		tz_interval_at(s->tz, in->start_s - 1, &before);
	if (before.offset_s < in->offset_s && first == in->start_s &&
		s->dst_gap == DST_GAP_RUN && !cron_has_all_hours(&s->cron) &&
		find_local(&s->cron, in->start_s + before.offset_s,
			in->start_s + in->offset_s, &local)) {
		fill(s, in, in->start_s, local, 0, ret);
		ret->is_gap_moved = true;
		return true;
	}
	if (before.offset_s > in->offset_s && drops_second_pass(s) &&
		from_local < in->start_s + before.offset_s)
		from_local = in->start_s + before.offset_s;
	if (!find_local(&s->cron, from_local, end + in->offset_s, &local))
		return false;
	if (before.offset_s > in->offset_s && local < in->start_s + before.offset_s)
		pass = 1;
	fill(s, in, local - in->offset_s, local, pass, ret);
	return true;
}

static int next_cron(const struct schedule *s, int64_t after_s, struct slot *ret)
{
	int64_t from = after_s + 1;
	struct tz_interval in;

	while (from < SCHEDULE_END_S) {
		tz_interval_at(s->tz, from, &in);
		if (next_in_interval(s, &in, from, ret))
			return ret->at_s < SCHEDULE_END_S ? 0 : -ENOENT;
		if (in.end_s == INT64_MAX)
			break;
		from = in.end_s;
	}
	return -ENOENT;
}

/* --- at() --- */

/* The first instant whose local time is the one asked for, or has passed it. */
static int64_t at_instant(const struct schedule *s, struct tz_interval *in)
{
	int64_t t = s->at_local_s - 2 * DAY_S;

	for (;;) {
		tz_interval_at(s->tz, t, in);
		if (in->end_s == INT64_MAX || s->at_local_s < in->end_s + in->offset_s)
			break;
		t = in->end_s;
	}
	t = s->at_local_s - in->offset_s;
	return t < in->start_s ? in->start_s : t;
}

static int next_at(const struct schedule *s, int64_t after_s, struct slot *ret)
{
	struct tz_interval in;
	int64_t t = at_instant(s, &in);

	if (t <= after_s || t >= SCHEDULE_END_S)
		return -ENOENT;
	fill(s, &in, t, s->at_local_s, 0, ret);
	ret->is_gap_moved = t + in.offset_s != s->at_local_s;
	return 0;
}

static int next_grid(const struct schedule *s, int64_t after_s, struct slot *ret)
{
	int64_t k = floor_div(after_s - s->start_s, s->interval_s) + 1;
	int64_t t = s->start_s + (k < 0 ? 0 : k) * s->interval_s;
	struct tz_interval in;

	if (t >= SCHEDULE_END_S)
		return -ENOENT;
	tz_interval_at(s->tz, t, &in);
	fill(s, &in, t, 0, 0, ret);
	return 0;
}

/* --- lists --- */

/*
 * Of two slots at one instant the one that is known by its local time counts, and of two
 * such the lower: the key must not depend on the order of the list.
 */
static bool is_better(const struct slot *a, const struct slot *b)
{
	if (a->at_s != b->at_s)
		return a->at_s < b->at_s;
	if (a->is_local != b->is_local)
		return a->is_local;
	return slot_compare(a, b) < 0;
}

static int next_of_list(const struct schedule *s, int64_t after_s, struct slot *ret)
{
	struct slot slot;
	int r = -ENOENT;

	for (size_t i = 0; i < s->member_count; i++) {
		if (schedule_next(s->members[i], after_s, &slot) < 0)
			continue;
		if (r < 0 || is_better(&slot, ret))
			*ret = slot;
		r = 0;
	}
	return r;
}

static int prev_of_list(
	const struct schedule *s, int64_t at_or_before_s, struct slot *ret)
{
	int64_t newest = INT64_MIN;
	struct slot slot;

	for (size_t i = 0; i < s->member_count; i++) {
		if (schedule_prev(s->members[i], at_or_before_s, &slot) == 0 &&
			slot.at_s > newest)
			newest = slot.at_s;
	}
	return newest == INT64_MIN ? -ENOENT : next_of_list(s, newest - 1, ret);
}

/* --- public --- */

int schedule_next(const struct schedule *s, int64_t after_s, struct slot *ret)
{
	switch (s->kind) {
	case KIND_CRON:
		return next_cron(s, after_s, ret);
	case KIND_GRID:
		return next_grid(s, after_s, ret);
	case KIND_AT:
		return next_at(s, after_s, ret);
	case KIND_LIST:
		return next_of_list(s, after_s, ret);
	case KIND_BOOT:
		break;
	}
	return -ENOENT;
}

/* Windows that grow by four: dense schedules end in the first, rare ones in a few. */
int schedule_prev(const struct schedule *s, int64_t at_or_before_s, struct slot *ret)
{
	struct slot slot;

	if (s->kind == KIND_LIST)
		return prev_of_list(s, at_or_before_s, ret);
	if (s->kind == KIND_BOOT)
		return -ENOENT;
	for (int64_t window = 3600;; window *= 4) {
		int64_t after = at_or_before_s - window;
		bool is_found = false;

		if (after < -DAY_S)
			after = -DAY_S;
		while (schedule_next(s, after, &slot) == 0 &&
			slot.at_s <= at_or_before_s) {
			*ret = slot;
			is_found = true;
			after = slot.at_s;
		}
		if (is_found)
			return 0;
		if (at_or_before_s - window <= -DAY_S)
			return -ENOENT;
	}
}

uint64_t schedule_count(
	const struct schedule *s, int64_t after_s, int64_t until_s, uint64_t max)
{
	struct slot slot;
	uint64_t n = 0;

	if (s->kind == KIND_GRID && until_s > after_s) {
		n = (uint64_t)(floor_div(until_s - s->start_s, s->interval_s) -
			       floor_div(after_s - s->start_s, s->interval_s));
		return n < max ? n : max;
	}
	while (n < max && schedule_next(s, after_s, &slot) == 0 && slot.at_s <= until_s) {
		after_s = slot.at_s;
		n++;
	}
	return n;
}

int schedule_offset(const struct schedule *s, int64_t at_s, char *abbreviation)
{
	struct tz_interval in;

	if (s->kind == KIND_LIST)
		return schedule_offset(s->members[0], at_s, abbreviation);
	tz_interval_at(s->tz, at_s, &in);
	if (abbreviation)
		memcpy(abbreviation, in.abbreviation, sizeof(in.abbreviation));
	return in.offset_s;
}

const char *schedule_timezone(const struct schedule *s)
{
	return s->kind == KIND_LIST ? schedule_timezone(s->members[0]) : s->timezone;
}

bool schedule_is_one_shot(const struct schedule *s)
{
	for (size_t i = 0; i < s->member_count; i++) {
		if (s->members[i]->kind != KIND_AT)
			return false;
	}
	return s->kind == KIND_AT || s->kind == KIND_LIST;
}

bool schedule_is_boot(const struct schedule *s)
{
	for (size_t i = 0; i < s->member_count; i++) {
		if (s->members[i]->kind == KIND_BOOT)
			return true;
	}
	return s->kind == KIND_BOOT;
}
