/* The grammar of cron fields, and which days they match. Not time zones, not "next". */
#include "config.h"

#include "calendar/cron.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

int schedule_fail(
	struct schedule_error *e, size_t position, const char *hint, const char *fmt, ...)
{
	va_list ap;

	*e = (struct schedule_error){.position = position};
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	snprintf(e->hint, sizeof(e->hint), "%s", hint);
	return -EINVAL;
}

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
	"AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const day_names[] = {
	"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};

struct field {
	const char *name;
	int min, max;
	const char *const *names; /* of min, min + 1, ... */
};

/* clang-format off */
static const struct field fields[] = {
	{"minute",       0, 59, NULL},
	{"hour",         0, 23, NULL},
	{"day of month", 1, 31, NULL},
	{"month",        1, 12, month_names},
	{"day of week",  0,  6, day_names},
	{"year", CRON_YEAR_MIN, CRON_YEAR_MAX, NULL},
	{"second",       0, 59, NULL},
};
/* clang-format on */

/* One field of one expression while it is parsed. */
struct cursor {
	const char *s, *end; /* of the field */
	const char *base;    /* what positions count from ... */
	size_t at;           /* ... plus this */
	const struct field *field;
	bool is_eventbridge;
	struct cron *cron;
	struct schedule_error *e;
};

static size_t position(const struct cursor *c, const char *p)
{
	return (size_t)(p - c->base) + c->at;
}

static int fail(const struct cursor *c, const char *p, const char *hint, const char *what)
{
	return schedule_fail(c->e, position(c, p), hint, "%s: %s", c->field->name, what);
}

static bool is_weekday(const struct cursor *c)
{
	return c->field == &fields[CRON_WEEKDAY];
}

/* A number or a name. Weekdays come out as 0-7 with Sunday twice in five-field syntax. */
static int take_value(struct cursor *c, int *ret)
{
	const char *start = c->s;
	int v = 0, max = c->field->max, min = c->field->min;

	if (is_weekday(c)) {
		min = c->is_eventbridge ? 1 : 0;
		max = 7;
	}
	if (c->s < c->end && *c->s >= '0' && *c->s <= '9') {
		for (; c->s < c->end && *c->s >= '0' && *c->s <= '9'; c->s++) {
			if (c->s - start == 4)
				return fail(
					c, start, "", "a number has more than 4 digits");
			v = v * 10 + (*c->s - '0');
		}
		if (v < min || v > max)
			return schedule_fail(c->e, position(c, start), "",
				"%s: %d is not within %d-%d", c->field->name, v, min,
				max);
		*ret = is_weekday(c) && c->is_eventbridge ? v - 1 : v;
		return 0;
	}
	for (int i = 0; c->field->names && c->field->names[i]; i++) {
		if (c->end - c->s >= 3 && strncasecmp(c->s, c->field->names[i], 3) == 0) {
			c->s += 3;
			*ret = c->field->min + i;
			return 0;
		}
	}
	return fail(c, start,
		c->s < c->end && *start == 'H' ? "jitter: spreads jobs, the same each day"
					       : "",
		c->s == c->end ? "a value is missing" : "not a value");
}

void cron_set(struct cron *c, enum cron_field field, int v)
{
	switch (field) {
	case CRON_SECOND:
		c->seconds |= UINT64_C(1) << v;
		break;
	case CRON_MINUTE:
		c->minutes |= UINT64_C(1) << v;
		break;
	case CRON_HOUR:
		c->hours |= 1u << v;
		break;
	case CRON_DAY:
		c->days |= 1u << v;
		break;
	case CRON_MONTH:
		c->months |= (uint16_t)(1u << v);
		break;
	case CRON_WEEKDAY:
		c->weekdays |= (uint8_t)(1u << v);
		break;
	case CRON_YEAR:
		c->years[(v - CRON_YEAR_MIN) / 8] |=
			(uint8_t)(1u << (v - CRON_YEAR_MIN) % 8);
		break;
	}
}

/* "/step"; 1 without. A step as large as the field would fire once per turn of it. */
static int take_step(struct cursor *c, int *ret)
{
	int most = c->field->max - c->field->min, v = 0;
	const char *start;

	*ret = 1;
	if (c->s == c->end || *c->s != '/')
		return 0;
	start = ++c->s;
	while (c->s < c->end && *c->s >= '0' && *c->s <= '9' && c->s - start < 5)
		v = v * 10 + (*c->s++ - '0');
	if (c->s == start || c->s - start > 4 || v < 1)
		return fail(c, start, "", "a step is a number from 1 on");
	if (v > most) {
		char hint[100] = "";

		if (c->field == &fields[CRON_MINUTE])
			snprintf(hint, sizeof(hint),
				"for every %d minutes use: every: %dm", v, v);
		else if (c->field == &fields[CRON_HOUR])
			snprintf(hint, sizeof(hint), "for every %d hours use: every: %dh",
				v, v);
		return schedule_fail(c->e, position(c, start), hint,
			"%s: a step of %d does not fit into %d-%d", c->field->name, v,
			c->field->min, c->field->max);
	}
	*ret = v;
	return 0;
}

/* Walks through the wrap: 22-4/2 is 22, 0, 2, 4. */
static void set_range(struct cursor *c, int from, int to, int step)
{
	int size = c->field->max - c->field->min + 1;

	for (int v = from; v <= to; v += step)
		cron_set(c->cron, (enum cron_field)(c->field - fields),
			(v - c->field->min) % size + c->field->min);
}

static int take_plain(struct cursor *c)
{
	int from, to, step, r, size = c->field->max - c->field->min + 1;
	const char *start = c->s;
	bool is_range = false, is_open;

	if (c->s < c->end && *c->s == '*') {
		c->s++;
		from = c->field->min;
		to = c->field->max;
		r = 0;
	} else {
		r = take_value(c, &from);
		to = from;
		if (r == 0 && c->s < c->end && *c->s == '-') {
			c->s++;
			is_range = true;
			r = take_value(c, &to);
		}
		if (r == 0 && !is_range && c->s < c->end && *c->s == '/')
			to = c->field->max;
	}
	if (r < 0)
		return r;
	if (is_range && is_weekday(c) && from == 7)
		from = 0;
	is_open = !is_range && to == c->field->max;
	if (from > to) {
		c->cron->traits.wraps_hours |= c->field == &fields[CRON_HOUR];
		if (c->field == &fields[CRON_YEAR])
			return fail(c, start, "", "a range of years must ascend");
		to += size;
	}
	r = take_step(c, &step);
	if (r == 0 && is_open)
		cron_note_step(c->cron, (enum cron_field)(c->field - fields), from, step,
			position(c, start));
	if (r == 0)
		set_range(c, from, to, step);
	return r;
}

static bool at_end(const struct cursor *c)
{
	return c->s == c->end || *c->s == ',';
}

static bool take_char(struct cursor *c, char wanted)
{
	/* Letters of the grammar come in any case. */
	if (c->s == c->end || (*c->s & ~0x20) != wanted)
		return false;
	c->s++;
	return true;
}

/* L, L-n, LW, nW of day of month. 1: taken, 0: something else. */
static int take_day_extra(struct cursor *c)
{
	const char *start = c->s;
	int v;

	if (take_char(c, 'L')) {
		if (take_char(c, 'W')) {
			c->cron->last_weekday = true;
			return 1;
		}
		v = 0;
		if (c->s < c->end && *c->s == '-') {
			const char *number = ++c->s;

			if (take_value(c, &v) < 0)
				return -EINVAL;
			if (v > 30)
				return fail(c, number, "", "L-n takes 1 to 30");
		}
		c->cron->days_from_end |= 1u << v;
		return 1;
	}
	if (*c->s >= '0' && *c->s <= '9') {
		const char *digits = c->s;

		while (digits < c->end && *digits >= '0' && *digits <= '9')
			digits++;
		if (digits == c->end || (*digits & ~0x20) != 'W')
			return 0;
		if (take_value(c, &v) < 0)
			return -EINVAL;
		c->s++;
		c->cron->nearest |= 1u << v;
		return 1;
	}
	c->s = start;
	return 0;
}

/* d#k, dL of day of week; in EventBridge also a bare L, Saturday. */
static int take_weekday_extra(struct cursor *c)
{
	const char *start = c->s;
	int v, k;

	if (take_char(c, 'L')) {
		if (!c->is_eventbridge)
			return fail(c, start,
				"write 6 for Saturday, or 5L for the last Friday",
				"a bare L is ambiguous");
		c->cron->weekdays |= 1u << 6;
		return 1;
	}
	if (*c->s == '*' || *c->s == '?' || take_value(c, &v) < 0) {
		c->s = start;
		return 0;
	}
	v %= 7;
	if (c->s < c->end && *c->s == '#') {
		c->s++;
		k = c->s < c->end ? *c->s - '0' : 0;
		if (k < 1 || k > 5)
			return fail(c, c->s, "", "# takes 1 to 5");
		c->s++;
		c->cron->nth[v] |= (uint8_t)(1u << k);
		return 1;
	}
	if (take_char(c, 'L')) {
		c->cron->last_of |= (uint8_t)(1u << v);
		return 1;
	}
	c->s = start;
	return 0;
}

static int take_element(struct cursor *c)
{
	struct schedule_error before = *c->e;
	int r = 0;

	if (at_end(c))
		return fail(c, c->s, "", "an element is empty");
	if (c->field == &fields[CRON_DAY])
		r = take_day_extra(c);
	else if (is_weekday(c))
		r = take_weekday_extra(c);
	if (r == 0) {
		*c->e = before;
		r = take_plain(c);
	}
	if (r < 0)
		return r;
	if (at_end(c))
		return 0;
	return fail(c, c->s,
		c->field->names && isalpha((unsigned char)*c->s)
			? "a name has three letters: MON, JAN"
			: "",
		"unexpected character");
}

static bool is_day_field(const struct cursor *c)
{
	return c->field == &fields[CRON_DAY] || is_weekday(c);
}

static int take_question(struct cursor *c)
{
	if (!is_day_field(c) || c->end - c->s != 1)
		return fail(c, c->s, "", "? stands alone, and only in a day field");
	*(is_weekday(c) ? &c->cron->is_any_weekday : &c->cron->is_any_day) = true;
	set_range(c, c->field->min, c->field->max, 1);
	return 0;
}

static void note_field(struct cursor *c)
{
	struct cron_traits *t = &c->cron->traits;
	bool is_alone = c->end - c->s == 1, is_star = *c->s == '*';

	if (c->field == &fields[CRON_HOUR])
		t->hour_at = position(c, c->s);
	if (!is_day_field(c) || (is_alone && (is_star || *c->s == '?')))
		return;
	*(is_weekday(c) ? &t->is_weekday_limited : &t->is_day_limited) = true;
	t->has_star_step |= is_star;
	if (!t->day_at)
		t->day_at = position(c, c->s);
}

static int take_field(struct cursor *c)
{
	int r = 0, elements = 0;
	const char *start = c->s;

	note_field(c);

	if (*c->s == '?')
		return take_question(c);
	if (*c->s == '*' && is_day_field(c))
		*(is_weekday(c) ? &c->cron->is_any_weekday : &c->cron->is_any_day) = true;
	for (;;) {
		r = take_element(c);
		elements++;
		if (r < 0 || c->s == c->end)
			break;
		c->s++;
	}
	if (r == 0 && is_weekday(c) && c->is_eventbridge && elements > 1 &&
		(memchr(start, '#', (size_t)(c->end - start)) ||
			memchr(start, 'L', (size_t)(c->end - start))))
		return fail(c, start, "", "an element with L or # stands alone");
	return r;
}

/* Splits at blanks; more than six is never right. */
static int split(const char *text, const char *starts[7], size_t lens[7])
{
	int n = 0;

	for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
		if (n == 7)
			return n;
		starts[n] = text;
		lens[n] = strcspn(text, " \t");
		text += lens[n++];
	}
	return n;
}

static int parse_all(const char *text, size_t at, bool is_eventbridge, struct cron *cron,
	struct schedule_error *e)
{
	const char *starts[7];
	size_t lens[7];
	int n = split(text, starts, lens), r = 0;

	for (int i = 0; r == 0 && i < n; i++) {
		struct cursor c = {starts[i], starts[i] + lens[i], text, at, &fields[i],
			is_eventbridge, cron, e};

		r = take_field(&c);
	}
	return r;
}

static const char *macro(const char *text)
{
	static const char *const macros[][2] = {{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
		{"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"}};

	for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
		if (strcasecmp(text, macros[i][0]) == 0)
			return macros[i][1];
	}
	return NULL;
}

static int check_shape(const char *text, struct schedule_error *e)
{
	const char *starts[7];
	size_t lens[7];
	int n;

	if (strchr(text, '\n') || strchr(text, '\r'))
		return schedule_fail(e, strcspn(text, "\r\n"), "", "a line break");
	if (strncasecmp(text, "CRON_TZ=", 8) == 0 || strncasecmp(text, "TZ=", 3) == 0)
		return schedule_fail(e, 0, "use the job's key timezone:",
			"the zone does not belong into the expression");
	if (strncasecmp(text, "@every", 6) == 0)
		return schedule_fail(e, 0,
			"use the job's key every: 15m, without schedule:", "not a macro");
	if (*text == '@')
		return schedule_fail(
			e, 0, "@yearly @monthly @weekly @daily @hourly", "not a macro");
	n = split(text, starts, lens);
	if (n >= 6)
		return schedule_fail(e, (size_t)(starts[5] - text),
			"if the last field is a year, wrap it: cron(...); seconds do not "
			"exist",
			"five fields are expected, here are %d", n);
	if (n < 5)
		return schedule_fail(e, strlen(text),
			n == 1 && isdigit((unsigned char)*text)
				? "for a period use the job's key every: 15m"
				: "minute hour day-of-month month day-of-week",
			"five fields are expected, here %s %d", n == 1 ? "is" : "are", n);
	return 0;
}

void cron_note_step(struct cron *c, enum cron_field field, int from, int step, size_t at)
{
	const struct field *f = &fields[field];
	int last = from + (f->max - from) / step * step;

	if (step == 1 || field == CRON_YEAR || c->traits.uneven_step ||
		from + (f->max - f->min + 1) - last == step)
		return;
	c->traits.uneven_step = step;
	c->traits.uneven_first = from;
	c->traits.uneven_last = last;
	c->traits.uneven_field = field;
	c->traits.uneven_at = at;
}

const char *cron_field_name(enum cron_field field)
{
	return fields[field].name;
}

int cron_parse_fields(const char *text, struct cron *ret, struct schedule_error *e)
{
	const char *expanded = macro(text);
	int r;

	*ret = (struct cron){.seconds = 1};
	memset(ret->years, 0xff, sizeof(ret->years));
	r = expanded ? 0 : check_shape(text, e);
	return r < 0 ? r : parse_all(expanded ? expanded : text, 0, false, ret, e);
}

int cron_parse_eventbridge(
	const char *text, size_t at, struct cron *ret, struct schedule_error *e)
{
	const char *starts[7];
	size_t lens[7];
	int n = split(text, starts, lens), r;
	bool is_day_open, is_weekday_open;

	*ret = (struct cron){.seconds = 1};
	if (n != 6)
		return schedule_fail(e, at,
			"minute hour day-of-month month day-of-week year",
			"cron() takes six fields, here are %d", n);
	is_day_open = lens[CRON_DAY] == 1 && *starts[CRON_DAY] == '?';
	is_weekday_open = lens[CRON_WEEKDAY] == 1 && *starts[CRON_WEEKDAY] == '?';
	if (is_day_open == is_weekday_open)
		return schedule_fail(e, at + (size_t)(starts[CRON_DAY] - text), "",
			"one of day of month and day of week must be ?, the other not");
	r = parse_all(text, at, true, ret, e);
	return r;
}

/* --- days --- */

int cron_days_in_month(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

/* nW: the Monday to Friday nearest to day n, in the same month. */
static int nearest_weekday(int n, int weekday_of_n, int last)
{
	if (weekday_of_n == 6)
		return n > 1 ? n - 1 : n + 2;
	if (weekday_of_n == 0)
		return n < last ? n + 1 : n - 2;
	return n;
}

static bool matches_month_day(const struct cron *c, int day, int last, int weekday)
{
	int last_weekday = (weekday + last - day) % 7;

	if (c->days & 1u << day)
		return true;
	if (c->days_from_end & 1u << (last - day))
		return true;
	if (c->last_weekday && nearest_weekday(last, last_weekday, last) == day)
		return true;
	for (int n = 1; c->nearest && n <= last; n++) {
		int w = ((weekday + n - day) % 7 + 7) % 7;

		if ((c->nearest & 1u << n) && nearest_weekday(n, w, last) == day)
			return true;
	}
	return false;
}

static bool matches_weekday(const struct cron *c, int day, int last, int weekday)
{
	if (c->weekdays & 1u << weekday)
		return true;
	if (c->nth[weekday] & 1u << ((day - 1) / 7 + 1))
		return true;
	return (c->last_of & 1u << weekday) && day + 7 > last;
}

bool cron_matches_month(const struct cron *c, int64_t year, int month)
{
	int64_t y = year - CRON_YEAR_MIN;

	return year >= CRON_YEAR_MIN && year <= CRON_YEAR_MAX &&
	       (c->months & 1u << month) && (c->years[y / 8] & 1u << y % 8);
}

bool cron_matches_day(const struct cron *c, int day, int last, int weekday)
{
	bool is_and = c->is_any_day || c->is_any_weekday;
	bool by_day, by_weekday;

	by_day = matches_month_day(c, day, last, weekday);
	by_weekday = matches_weekday(c, day, last, weekday);
	if (c->day_match != DAY_MATCH_AUTO)
		is_and = c->day_match == DAY_MATCH_AND;
	return is_and ? by_day && by_weekday : by_day || by_weekday;
}

bool cron_has_all_hours(const struct cron *c)
{
	return c->hours == 0xffffff;
}
