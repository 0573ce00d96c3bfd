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
#include "calendar/cron.h"
#include "calendar/tz.h"

#define END_S INT64_C(7258118400) /* 2200-01-01T00:00:00Z */
#define DAY_S 86400

enum kind {
	KIND_CRON,
	KIND_GRID, /* every, rate(): start + k * interval */
	KIND_AT,   /* one local time */
};

struct schedule {
	enum kind kind;
	struct cron cron;
	int64_t interval_s, start_s;
	int64_t at_local_s; /* of KIND_AT: local time, as if it were UTC */
	struct tz *tz;
	char *timezone;
	enum dst_gap dst_gap;
	enum dst_overlap dst_overlap;
};

/* --- parsing --- */

/* What stands inside the brackets, without blanks around it; at: where it begins. */
struct body {
	const char *text;
	size_t len, at;
};

static int parse_rate(const struct body *b, struct schedule *s, struct schedule_error *e)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = {{"minute", 60}, {"minutes", 60}, {"hour", 3600}, {"hours", 3600},
		{"day", DAY_S}, {"days", DAY_S}};
	size_t digits = strspn(b->text, "0123456789"), blanks;
	uint64_t n;

	if (digits == 0 || str_to_uint_len(b->text, digits, 999999, &n) < 0 || n == 0)
		return schedule_fail(e, b->at, "", "rate() takes a number from 1 to 999999");
	blanks = strspn(b->text + digits, " \t");
	if (blanks == 0)
		return schedule_fail(
			e, b->at + digits, "rate(5 minutes)", "a blank is missing");
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t ulen = strlen(units[i].unit);

		if (b->len != digits + blanks + ulen ||
			strncmp(b->text + digits + blanks, units[i].unit, ulen) != 0)
			continue;
		s->kind = KIND_GRID;
		s->interval_s = (int64_t)n * units[i].seconds;
		return 0;
	}
	return schedule_fail(e, b->at + digits + blanks, "minutes, hours or days",
		"the unit is not known");
}

static int parse_at(const struct body *b, struct schedule *s, struct schedule_error *e)
{
	char iso[24] = "";
	struct clock_utc u;
	int64_t t;

	if (b->len == 19)
		snprintf(iso, sizeof(iso), "%.19sZ", b->text);
	if (clock_parse_iso(iso, &t) < 0)
		return schedule_fail(
			e, b->at, "at(2026-11-20T13:00:00)", "not a local time");
	clock_utc_from_seconds(t, &u);
	/* February 30 would have become March. */
	if ((iso[8] - '0') * 10 + iso[9] - '0' != u.day || iso[17] == '6')
		return schedule_fail(e, b->at, "", "no such day or second");
	s->kind = KIND_AT;
	s->at_local_s = t;
	return 0;
}

static int parse_eventbridge(const char *expr, struct schedule *s, struct schedule_error *e)
{
	_cleanup_free_ char *cron = NULL;
	size_t lead = strspn(expr, " \t"), len = strlen(expr), name;
	struct body b;

	while (len > lead && strchr(" \t", expr[len - 1]))
		len--;
	if (len == lead || expr[len - 1] != ')')
		return schedule_fail(e, len, "", "')' is missing at the end");
	name = strcspn(expr + lead, "(");
	b.at = lead + name + 1;
	b.at += strspn(expr + b.at, " \t");
	for (len--; len > b.at && strchr(" \t", expr[len - 1]); len--)
		;
	b.text = expr + b.at;
	b.len = len > b.at ? len - b.at : 0;
	expr += lead;
	if (name == 4 && strncmp(expr, "rate", 4) == 0)
		return parse_rate(&b, s, e);
	if (name == 2 && strncmp(expr, "at", 2) == 0)
		return parse_at(&b, s, e);
	if (name != 4 || strncmp(expr, "cron", 4) != 0)
		return schedule_fail(
			e, lead, "cron(...), rate(...) or at(...)", "not an expression");
	s->kind = KIND_CRON;
	cron = mem_strndup(b.text, b.len);
	return cron_parse_eventbridge(cron, b.at, &s->cron, e);
}

static int parse_every(const char *expr, struct schedule *s, struct schedule_error *e)
{
	s->kind = KIND_GRID;
	if (str_to_duration_s(expr, &s->interval_s) < 0)
		return schedule_fail(e, 0, "15m, 4h, 1d12h", "not a duration");
	if (s->interval_s < 60)
		return schedule_fail(e, 0, "", "at least 60s");
	return 0;
}

static int parse_expression(
	const struct schedule_spec *spec, struct schedule *s, struct schedule_error *e)
{
	const char *expr = spec->expression;
	bool has_bracket = strchr(expr, '(') != NULL;

	if (strlen(expr) > 1000)
		return schedule_fail(e, 1000, "", "longer than 1,000 characters");
	if (spec->syntax == SCHEDULE_EVERY)
		return parse_every(expr, s, e);
	if (spec->syntax == SCHEDULE_EVENTBRIDGE ||
		(spec->syntax == SCHEDULE_AUTO && has_bracket))
		return parse_eventbridge(expr, s, e);
	s->kind = KIND_CRON;
	return cron_parse_fields(expr, &s->cron, e);
}

static int load_zone(const char *name, struct schedule *s, struct schedule_error *e)
{
	int r = tz_load(name, &s->tz);

	s->timezone = mem_strdup(name);
	if (r == 0)
		return 0;
	schedule_fail(e, 0,
		"an IANA name such as Europe/Berlin, UTC or local; package tzdata has them",
		r == -EBADMSG ? "the zone '%s' cannot be read" : "the zone '%s' does not exist",
		name);
	e->is_timezone = true;
	return -EINVAL;
}

int schedule_new(const struct schedule_spec *spec, struct schedule **ret,
	struct schedule_error *e)
{
	struct schedule *s = mem_alloc(sizeof(*s));
	struct slot first;
	int r = parse_expression(spec, s, e);

	s->start_s = spec->start_s;
	s->dst_gap = spec->dst_gap;
	s->dst_overlap = spec->dst_overlap;
	s->cron.day_match = spec->day_match;
	if (r == 0)
		r = load_zone(spec->timezone ? spec->timezone : "UTC", s, e);
	if (r == 0 && s->kind == KIND_CRON && schedule_next(s, 0, &first) < 0)
		r = schedule_fail(e, 0, "", "it never fires before the year 2200");
	if (r < 0) {
		schedule_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void *schedule_free(struct schedule *s)
{
	if (s) {
		tz_free(s->tz);
		free(s->timezone);
		free(s);
	}
	return NULL;
}

/* --- local minutes inside [from, to), both local seconds --- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* First minute of a day's set at or after `from` seconds of that day, or -1. */
static int minute_of_day(const struct cron *c, int64_t from)
{
	int first = (int)((from + 59) / 60);

	for (int h = first / 60; h < 24; h++) {
		int m = h == first / 60 ? first % 60 : 0;
		uint64_t left = c->minutes >> m;

		if ((c->hours & 1u << h) && left)
			return h * 60 + m + __builtin_ctzll(left);
	}
	return -1;
}

static bool find_local(const struct cron *c, int64_t from, int64_t to, int64_t *ret)
{
	int64_t day = floor_div(from, DAY_S);

	for (int64_t at = from; at < to; at = ++day * DAY_S) {
		struct clock_utc u;
		int minute;

		clock_utc_from_seconds(day * DAY_S, &u);
		if (u.year > CRON_YEAR_MAX)
			return false;
		if (!(c->months & 1u << u.month)) {
			u.day = cron_days_in_month(u.year, u.month);
			u.hour = u.minute = u.second = 0;
			day = floor_div(clock_seconds_from_utc(&u), DAY_S);
			continue;
		}
		if (!cron_matches_day(c, u.year, u.month, u.day))
			continue;
		minute = minute_of_day(c, at - day * DAY_S);
		if (minute < 0)
			continue;
		*ret = day * DAY_S + minute * 60;
		return *ret < to;
	}
	return false;
}

/* --- filling a slot --- */

static void format_local(int64_t local_s, char *out, size_t size)
{
	struct clock_utc u;

	clock_utc_from_seconds(local_s, &u);
	snprintf(out, size, "%04lld-%02d-%02dT%02d:%02d", (long long)u.year % 10000, u.month,
		u.day, u.hour, u.minute);
}

static void fill(const struct schedule *s, const struct tz_interval *in, int64_t at_s,
	int64_t key_local_s, int pass, struct slot *ret)
{
	bool by_local = s->kind == KIND_AT ||
			(s->kind == KIND_CRON && !cron_has_all_hours(&s->cron));
	struct tz_interval next;
	char local[24];

	*ret = (struct slot){.at_s = at_s, .offset_s = in->offset_s};
	if (in->end_s != INT64_MAX) {
		tz_interval_at(s->tz, in->end_s, &next);
		ret->is_first_of_two = next.offset_s < in->offset_s &&
				       at_s + in->offset_s >= in->end_s + next.offset_s;
	}
	if (by_local) {
		format_local(key_local_s, local, sizeof(local));
		snprintf(ret->key, sizeof(ret->key), "%s/%d", local, pass);
	} else {
		clock_format_iso(at_s, ret->key, sizeof(ret->key));
	}
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
	int64_t end = in->end_s < END_S ? in->end_s : END_S + DAY_S;
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

	while (from < END_S) {
		tz_interval_at(s->tz, from, &in);
		if (next_in_interval(s, &in, from, ret))
			return ret->at_s < END_S ? 0 : -ENOENT;
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

	if (t <= after_s || t >= END_S)
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

	if (t >= END_S)
		return -ENOENT;
	tz_interval_at(s->tz, t, &in);
	fill(s, &in, t, 0, 0, ret);
	return 0;
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
	}
	return -ENOENT;
}

/* Windows that grow by four: dense schedules end in the first, rare ones in a few. */
int schedule_prev(const struct schedule *s, int64_t at_or_before_s, struct slot *ret)
{
	struct slot slot;

	for (int64_t window = 3600;; window *= 4) {
		int64_t after = at_or_before_s - window;
		bool is_found = false;

		if (after < -DAY_S)
			after = -DAY_S;
		while (schedule_next(s, after, &slot) == 0 && slot.at_s <= at_or_before_s) {
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

	tz_interval_at(s->tz, at_s, &in);
	if (abbreviation)
		memcpy(abbreviation, in.abbreviation, sizeof(in.abbreviation));
	return in.offset_s;
}

const char *schedule_timezone(const struct schedule *s)
{
	return s->timezone;
}

bool schedule_is_one_shot(const struct schedule *s)
{
	return s->kind == KIND_AT;
}
