/* The grammar of OnCalendar expressions, by the rules of systemd's own parser. */
#include "config.h"

#include "calendar/oncalendar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/cron.h"

/* What a list of values, ranges and steps is made of. */
#define CHAIN_CHARS "0123456789*,/."

struct part {
	const char *name;
	enum cron_field field;
	int min, max;
};

/* clang-format off */
static const struct part year_part   = {"year",   CRON_YEAR, CRON_YEAR_MIN, CRON_YEAR_MAX};
static const struct part month_part  = {"month",  CRON_MONTH,   1, 12};
static const struct part day_part    = {"day",    CRON_DAY,     1, 31};
static const struct part hour_part   = {"hour",   CRON_HOUR,    0, 23};
static const struct part minute_part = {"minute", CRON_MINUTE,  0, 59};
static const struct part second_part = {"second", CRON_SECOND,  0, 59};
/* Each month has 28 days: the 29th from the end would come in some months only. */
static const struct part end_part    = {"day before the month's end", CRON_DAY, 1, 28};
/* clang-format on */

struct cursor {
	const char *text, *s; /* the zone at the end is cut off */
	struct cron *cron;
	struct schedule_error *e;
};

static int fail(
	const struct cursor *c, const char *at, const char *hint, const char *what)
{
	return schedule_fail(c->e, (size_t)(at - c->text), hint, "%s", what);
}

/* --- one list: "*", "1,4..8,10/2" --- */

struct component {
	const char *at;
	int start, stop, step; /* stop -1: no range; step 0: none */
};

static int take_number(struct cursor *c, const struct part *p, int *ret)
{
	const char *start = c->s;
	size_t n = strspn(c->s, "0123456789");
	uint64_t v;

	if (n == 0)
		return schedule_fail(
			c->e, (size_t)(start - c->text), "", "%s: not a number", p->name);
	c->s += n;
	if (p == &second_part && c->s[0] == '.' && c->s[1] != '.')
		return fail(c, c->s, "", "whole seconds only");
	if (str_to_uint_len(start, n, 9999, &v) < 0)
		return schedule_fail(c->e, (size_t)(start - c->text), "",
			"%s: the number is too large", p->name);
	*ret = (int)v;
	return 0;
}

/* 12 is 2012, 89 is 1989. */
static int full_year(int v)
{
	if (v >= 0 && v < 70)
		return v + 2000;
	return v >= 70 && v < 100 ? v + 1900 : v;
}

static void normalize(const struct part *p, struct component *k)
{
	if (p == &year_part) {
		k->start = full_year(k->start);
		k->stop = full_year(k->stop);
	}
	if (k->stop > k->start && k->step > 0)
		k->stop -= (k->stop - k->start) % k->step;
	if (k->start == k->stop) {
		k->step = 0;
		k->stop = -1;
	}
}

static int check_component(
	struct cursor *c, const struct part *p, const struct component *k)
{
	size_t at = (size_t)(k->at - c->text);
	int beyond = k->stop >= 0 ? k->stop : k->start;

	if (k->start < p->min || k->start > p->max || beyond < p->min || beyond > p->max)
		return schedule_fail(c->e, at, "", "%s: %d is not within %d-%d", p->name,
			k->start < p->min || k->start > p->max ? k->start : beyond,
			p->min, p->max);
	if (k->stop >= 0 && k->stop < k->start)
		return schedule_fail(c->e, at, "write two ranges: 22..23,0..4",
			"%s: a range must ascend", p->name);
	if (k->stop < 0 && k->step &&
		(p == &end_part ? k->start - k->step < p->min
				: k->start + k->step > p->max))
		return schedule_fail(c->e, at, "",
			"%s: a step of %d from %d leaves %d-%d", p->name, k->step,
			k->start, p->min, p->max);
	return 0;
}

/* "~7/1" counts down to the last day. */
static void set_from_end(struct cron *cron, const struct component *k)
{
	int from = k->stop >= 0 ? k->stop : k->start;
	int to = k->stop >= 0 || !k->step ? k->start : 1;

	for (int v = from; v >= to; v -= k->step ? k->step : 1)
		cron->days_from_end |= 1u << (v - 1);
}

static void set_component(
	struct cursor *c, const struct part *p, const struct component *k)
{
	struct cron *cron = c->cron;
	int to = k->step ? p->max : k->start;

	if (k->stop >= 0)
		to = k->stop;
	if (p == &end_part) {
		set_from_end(cron, k);
		return;
	}
	if (k->step && k->stop < 0)
		cron_note_step(
			cron, p->field, k->start, k->step, (size_t)(k->at - c->text));
	for (int v = k->start; v <= to; v += k->step ? k->step : 1)
		cron_set(cron, p->field, v);
}

static int take_component(struct cursor *c, const struct part *p)
{
	struct component k = {.at = c->s, .stop = -1};
	int r = take_number(c, p, &k.start);

	if (r == 0 && c->s[0] == '.' && c->s[1] == '.') {
		c->s += 2;
		k.step = 1;
		r = take_number(c, p, &k.stop);
	}
	if (r == 0 && *c->s == '/') {
		const char *at = ++c->s;

		r = take_number(c, p, &k.step);
		if (r == 0 && k.step == 0)
			return fail(c, at, "", "a step is a number from 1 on");
	}
	if (r < 0)
		return r;
	normalize(p, &k);
	r = check_component(c, p, &k);
	if (r == 0)
		set_component(c, p, &k);
	return r;
}

static void set_all(struct cursor *c, const struct part *p)
{
	for (int v = p->min; v <= p->max; v++)
		cron_set(c->cron, p->field, v);
}

static int take_chain(struct cursor *c, const struct part *p)
{
	int r;

	if (*c->s == '*') {
		c->s++;
		set_all(c, p == &end_part ? &day_part : p);
		return 0;
	}
	for (;;) {
		r = take_component(c, p);
		if (r < 0 || *c->s != ',')
			return r;
		c->s++;
	}
}

/* --- weekdays --- */

/* Monday first, as ranges count; the length of the name, or 0. */
static size_t weekday_at(const char *s, int *ret)
{
	static const char *const names[] = {"Monday", "Tuesday", "Wednesday", "Thursday",
		"Friday", "Saturday", "Sunday"};

	for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i]);

		if (strncasecmp(s, names[i], 3) != 0)
			continue;
		*ret = i;
		return strncasecmp(s, names[i], n) == 0 ? n : 3;
	}
	return 0;
}

static int take_weekday_range(struct cursor *c)
{
	const char *start = c->s;
	int from, to;
	size_t n = weekday_at(c->s, &from);

	if (n == 0)
		return fail(
			c, c->s, "Mon, Tue, Wed, Thu, Fri, Sat, Sun", "not a weekday");
	c->s += n;
	to = from;
	if (*c->s == '-' || (c->s[0] == '.' && c->s[1] == '.')) {
		c->s += *c->s == '-' ? 1 : 2;
		n = weekday_at(c->s, &to);
		if (n == 0)
			return fail(c, c->s, "", "the range has no end");
		c->s += n;
	}
	if (!strchr(", ", *c->s))
		return fail(c, c->s, "", "a weekday ends here");
	if (to < from)
		return fail(c, start, "the week begins with Monday; write Fri..Sun,Mon",
			"a range of weekdays must ascend");
	for (int v = from; v <= to; v++)
		cron_set(c->cron, CRON_WEEKDAY, (v + 1) % 7);
	return 0;
}

static int take_weekdays(struct cursor *c)
{
	int unused, r = 0;

	if (weekday_at(c->s, &unused) == 0) {
		c->cron->weekdays = 0x7f;
		return 0;
	}
	do {
		r = take_weekday_range(c);
		c->s += r == 0 && *c->s == ',';
	} while (r == 0 && *c->s && *c->s != ' ');
	if (r == 0)
		c->s += strspn(c->s, " ");
	return r;
}

/* --- date and time --- */

static int expect(struct cursor *c, const char *allowed, const char *what)
{
	/* The end of the text counts as allowed: strchr() finds the terminator too. */
	return strchr(allowed, *c->s) ? 0 : fail(c, c->s, "", what);
}

/* What is at the cursor is no time: [year-]month-day, or ~day from the end. */
static int take_date(struct cursor *c)
{
	const char *second = c->s + strspn(c->s, CHAIN_CHARS) + 1;
	const char *behind = second + strspn(second, CHAIN_CHARS);
	bool has_year = *behind == '-' || *behind == '~';
	bool is_from_end;
	int r = 0;

	if (has_year) {
		r = take_chain(c, &year_part);
		if (r == 0 && *c->s != '-')
			r = fail(c, c->s, "", "year and month are joined by '-'");
		c->s += r == 0;
	} else {
		set_all(c, &year_part);
	}
	if (r == 0)
		r = take_chain(c, &month_part);
	if (r == 0 && *c->s != '-' && *c->s != '~')
		r = fail(c, c->s, "", "unexpected character in the date");
	if (r < 0)
		return r;
	is_from_end = *c->s++ == '~';
	r = take_chain(c, is_from_end ? &end_part : &day_part);
	if (r == 0)
		r = expect(c, " ", "unexpected character behind the date");
	c->s += r == 0 ? strspn(c->s, " ") : 0;
	return r;
}

static int take_time(struct cursor *c)
{
	int r;

	if (!*c->s) {
		cron_set(c->cron, CRON_HOUR, 0);
		cron_set(c->cron, CRON_MINUTE, 0);
		cron_set(c->cron, CRON_SECOND, 0);
		return 0;
	}
	r = take_chain(c, &hour_part);
	if (r == 0 && *c->s != ':')
		return fail(c, c->s, "", "hour:minute is expected");
	if (r == 0) {
		c->s++;
		r = take_chain(c, &minute_part);
	}
	if (r == 0 && *c->s == ':') {
		c->s++;
		r = take_chain(c, &second_part);
	} else if (r == 0) {
		cron_set(c->cron, CRON_SECOND, 0);
	}
	if (r == 0 && *c->s)
		return fail(c, c->s, "", "unexpected character behind the time");
	return r;
}

/* "@1493187147": one instant, given in UTC. */
static int take_timestamp(struct cursor *c, char *zone)
{
	size_t n = strspn(c->s + 1, "0123456789");
	struct clock_utc u;
	uint64_t v;

	if (str_to_uint_len(c->s + 1, n, INT64_C(7258118399), &v) < 0 || c->s[1 + n])
		return fail(
			c, c->s + 1, "@1493187147", "seconds since 1970 are expected");
	clock_utc_from_seconds((int64_t)v, &u);
	cron_set(c->cron, CRON_YEAR, (int)u.year);
	cron_set(c->cron, CRON_MONTH, u.month);
	cron_set(c->cron, CRON_DAY, u.day);
	cron_set(c->cron, CRON_HOUR, u.hour);
	cron_set(c->cron, CRON_MINUTE, u.minute);
	cron_set(c->cron, CRON_SECOND, u.second);
	snprintf(zone, ONCALENDAR_ZONE_SIZE, "UTC");
	return 0;
}

static int take_all(struct cursor *c, char *zone)
{
	int r = take_weekdays(c);
	size_t n;

	if (r < 0)
		return r;
	if (*c->s == '@')
		return take_timestamp(c, zone);
	n = strspn(c->s, CHAIN_CHARS);
	if (n && (c->s[n] == '-' || c->s[n] == '~')) {
		r = take_date(c);
	} else {
		if (*c->s && (n == 0 || c->s[n] != ':'))
			return fail(c, c->s + n,
				"Mon..Fri 08:30, *-*-01 00:00:00 or daily",
				"neither a date nor a time");
		set_all(c, &year_part);
		set_all(c, &month_part);
		set_all(c, &day_part);
	}
	return r < 0 ? r : take_time(c);
}

/* --- the whole --- */

static const char *shorthand(const char *text)
{
	static const char *const names[][2] = {{"minutely", "*:*"}, {"hourly", "*:00"},
		{"daily", "00:00"}, {"weekly", "Mon 00:00"}, {"monthly", "*-01"},
		{"quarterly", "01/3-01"}, {"semiannually", "01,07-01"},
		{"semi-annually", "01,07-01"}, {"biannually", "01,07-01"},
		{"bi-annually", "01,07-01"}, {"yearly", "01-01"}, {"annually", "01-01"},
		{"anually", "01-01"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcasecmp(text, names[i][0]) == 0)
			return names[i][1];
	}
	return NULL;
}

/* Only a zone can begin with a letter behind a blank. Length of what is before it. */
static size_t cut_zone(const char *text, char *zone, size_t *ret_at)
{
	const char *blank = strrchr(text, ' ');

	zone[0] = '\0';
	*ret_at = 0;
	if (!blank || !((blank[1] | 0x20) >= 'a' && (blank[1] | 0x20) <= 'z'))
		return strlen(text);
	*ret_at = (size_t)(blank + 1 - text);
	snprintf(zone, ONCALENDAR_ZONE_SIZE, "%s",
		strcasecmp(blank + 1, "UTC") == 0 ? "UTC" : blank + 1);
	return (size_t)(blank - text);
}

int oncalendar_parse(const char *text, struct cron *ret, char zone[ONCALENDAR_ZONE_SIZE],
	size_t *ret_zone_at, struct schedule_error *e)
{
	_cleanup_free_ char *body = mem_strndup(text, cut_zone(text, zone, ret_zone_at));
	struct cursor c = {body, body, ret, e};
	const char *full = shorthand(body);

	*ret = (struct cron){.day_match = DAY_MATCH_AND};
	if (full)
		c.text = c.s = full;
	if (!*c.s)
		return schedule_fail(e, 0, "daily, Mon..Fri 08:30 or *-*-01 04:00",
			"the expression is empty");
	return take_all(&c, zone);
}
