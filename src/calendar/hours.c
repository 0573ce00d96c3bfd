/* The grammar of hours: [DAY[-DAY],...] [HH:MM-HH:MM]. No clock, no zone. */
#include "config.h"

#include "calendar/hours.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define DAY_MINUTES (24 * 60)
#define ALL_DAYS    0x7fu
#define EXAMPLE     "such as \"Mon-Fri 07:00-19:00\""

struct reader {
	const char *text, *at;
	struct hours_error *error;
};

static int wrong(const struct reader *r, const char *text, const char *hint)
{
	*r->error = (struct hours_error){(size_t)(r->at - r->text), text, hint};
	return -EINVAL;
}

static void skip_blanks(struct reader *r)
{
	r->at += strspn(r->at, " \t");
}

static int read_day(struct reader *r, int *ret)
{
	static const char *const names[] = {
		"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

	for (int i = 0; i < 7; i++) {
		if (strncasecmp(r->at, names[i], 3) != 0 ||
			isalpha((unsigned char)r->at[3]))
			continue;
		r->at += 3;
		*ret = i;
		return 0;
	}
	return wrong(r, "not a day of the week", "Mon, Tue, Wed, Thu, Fri, Sat, Sun");
}

static int read_days(struct reader *r, unsigned *ret)
{
	int first, last, e;

	do {
		r->at += *r->at == ',';
		e = read_day(r, &first);
		if (e < 0)
			return e;
		last = first;
		if (*r->at == '-') {
			r->at++;
			e = read_day(r, &last);
		}
		if (e < 0)
			return e;
		for (int day = first;; day = (day + 1) % 7) {
			*ret |= 1u << day;
			if (day == last)
				break;
		}
	} while (*r->at == ',');
	return 0;
}

static int read_time(struct reader *r, int *ret)
{
	const char *p = r->at;
	int hour, minute;

	for (int i = 0; i < 5; i++)
		if (i == 2 ? p[i] != ':' : !isdigit((unsigned char)p[i]))
			return wrong(r, "not a time of the day", EXAMPLE);
	hour = (p[0] - '0') * 10 + p[1] - '0';
	minute = (p[3] - '0') * 10 + p[4] - '0';
	if (minute > 59 || hour * 60 + minute > DAY_MINUTES)
		return wrong(r, "there is no such time", "from 00:00 to 24:00");
	r->at += 5;
	*ret = hour * 60 + minute;
	return 0;
}

static int read_times(struct reader *r, struct hours *ret)
{
	const char *begun = r->at;
	int e = read_time(r, &ret->from);

	if (e < 0)
		return e;
	if (*r->at != '-')
		return wrong(r, "a time ends here, hours go on with -HH:MM", EXAMPLE);
	r->at++;
	e = read_time(r, &ret->to);
	if (e < 0)
		return e;
	if (ret->from == ret->to || ret->from == DAY_MINUTES) {
		r->at = begun;
		return wrong(
			r, "these hours are empty", "leave them out for the whole day");
	}
	return 0;
}

int hours_parse(const char *text, struct hours *ret, struct hours_error *ret_error)
{
	struct reader r = {text, text, ret_error};
	struct hours h = {.to = DAY_MINUTES};
	bool has_days;
	int e = 0;

	skip_blanks(&r);
	has_days = isalpha((unsigned char)*r.at);
	if (has_days)
		e = read_days(&r, &h.days);
	else
		h.days = ALL_DAYS;
	if (e == 0 && has_days && *r.at && !strchr(" \t", *r.at))
		e = wrong(&r, "a blank is expected between days and hours", EXAMPLE);
	skip_blanks(&r);
	if (e == 0 && (*r.at || !has_days))
		e = read_times(&r, &h);
	skip_blanks(&r);
	if (e == 0 && *r.at)
		e = wrong(&r, "nothing is expected here", EXAMPLE);
	if (e == 0)
		*ret = h;
	return e;
}

bool hours_hold(const struct hours *h, int weekday, int minute)
{
	bool begins_today = h->days >> weekday & 1;
	bool began_yesterday = h->days >> (weekday + 6) % 7 & 1;

	if (h->from < h->to)
		return begins_today && minute >= h->from && minute < h->to;
	return (begins_today && minute >= h->from) || (began_yesterday && minute < h->to);
}
