/*
 * A moment as a wall shows it, and strftime by hand: the C library's follows a locale and
 * a zone of the process. No parsing.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "calendar/template_impl.h"
#include "calendar/tz.h"

#define DAY_S 86400

/* A moment as a wall shows it, and which moment that is. */
struct wall {
	struct clock_utc u;
	int day_of_year; /* from 1 */
	int iso_weekday; /* 1 = Monday */
	int64_t local_s; /* as if it were UTC */
	int64_t at_s;
	struct tz_interval in;
};

static int day_of_year(int64_t local_s, int64_t year)
{
	const struct clock_utc first = {.year = year, .month = 1, .day = 1};

	return (int)((local_s - clock_seconds_from_utc(&first)) / DAY_S) + 1;
}

/*
 * The moment of a local time: of two the first; in a gap as if the clock had not been
 * put forward yet.
 */
static int64_t at_local(const struct tz *zone, int64_t local_s)
{
	struct tz_interval before, after, in;

	tz_interval_at(zone, local_s - 2 * DAY_S, &before);
	tz_interval_at(zone, local_s + 2 * DAY_S, &after);
	tz_interval_at(zone, local_s - before.offset_s, &in);
	if (in.offset_s == before.offset_s)
		return local_s - before.offset_s;
	tz_interval_at(zone, local_s - after.offset_s, &in);
	return local_s -
	       (in.offset_s == after.offset_s ? after.offset_s : before.offset_s);
}

static void find_wall(const struct tz *zone, int64_t slot_s,
	const struct template_offset *offset, struct wall *w)
{
	w->at_s = slot_s;
	tz_interval_at(zone, w->at_s, &w->in);
	w->local_s = w->at_s + w->in.offset_s;
	if (offset->days) {
		w->local_s += offset->days * DAY_S;
		w->at_s = at_local(zone, w->local_s);
		tz_interval_at(zone, w->at_s, &w->in);
	}
	if (offset->seconds) {
		w->at_s += offset->seconds;
		tz_interval_at(zone, w->at_s, &w->in);
		w->local_s = w->at_s + w->in.offset_s;
	}
	clock_utc_from_seconds(w->local_s, &w->u);
	w->day_of_year = day_of_year(w->local_s, w->u.year);
	w->iso_weekday = w->u.weekday ? w->u.weekday : 7;
}

/* The year has 53 weeks when its first or its last day is a Thursday. */
static int weeks_of(int64_t year)
{
	const struct clock_utc first = {.year = year, .month = 1, .day = 1};
	const struct clock_utc last = {.year = year, .month = 12, .day = 31};
	struct clock_utc a, b;

	clock_utc_from_seconds(clock_seconds_from_utc(&first), &a);
	clock_utc_from_seconds(clock_seconds_from_utc(&last), &b);
	return a.weekday == 4 || b.weekday == 4 ? 53 : 52;
}

static int iso_week(const struct wall *w, int64_t *ret_year)
{
	int week = (w->day_of_year - w->iso_weekday + 10) / 7;

	*ret_year = w->u.year;
	if (week < 1) {
		*ret_year -= 1;
		return weeks_of(*ret_year);
	}
	if (week > weeks_of(w->u.year)) {
		*ret_year += 1;
		return 1;
	}
	return week;
}

static const char *const weekdays[] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January", "February", "March", "April", "May",
	"June", "July", "August", "September", "October", "November", "December"};

static int put_week(struct buf *out, const struct wall *w, char c)
{
	int64_t year;
	int week = iso_week(w, &year);

	if (c == 'V')
		return buf_printf(out, "%02d", week);
	if (c == 'g')
		return buf_printf(out, "%02d", (int)(year % 100));
	return buf_printf(out, "%04lld", (long long)year);
}

static int put_zone(struct buf *out, const struct wall *w, char c)
{
	int minutes = w->in.offset_s / 60;

	if (c == 'Z')
		return buf_puts(out, w->in.abbreviation);
	if (c == 's')
		return buf_printf(out, "%lld", (long long)w->at_s);
	return buf_printf(out, "%c%02d%02d", minutes < 0 ? '-' : '+', abs(minutes) / 60,
		abs(minutes) % 60);
}

static int put_clock(struct buf *out, const struct clock_utc *u, char c)
{
	switch (c) {
	case 'H':
		return buf_printf(out, "%02d", u->hour);
	case 'I':
		return buf_printf(out, "%02d", u->hour % 12 ? u->hour % 12 : 12);
	case 'M':
		return buf_printf(out, "%02d", u->minute);
	case 'S':
		return buf_printf(out, "%02d", u->second);
	case 'p':
		return buf_puts(out, u->hour < 12 ? "AM" : "PM");
	case 'R':
		return buf_printf(out, "%02d:%02d", u->hour, u->minute);
	default: /* T */
		return buf_printf(out, "%02d:%02d:%02d", u->hour, u->minute, u->second);
	}
}

static int put_field(struct buf *out, const struct wall *w, char c)
{
	const struct clock_utc *u = &w->u;

	switch (c) {
	case 'Y':
		return buf_printf(out, "%04lld", (long long)u->year);
	case 'y':
		return buf_printf(out, "%02d", (int)(u->year % 100));
	case 'm':
		return buf_printf(out, "%02d", u->month);
	case 'd':
		return buf_printf(out, "%02d", u->day);
	case 'e':
		return buf_printf(out, "%2d", u->day);
	case 'F':
		return buf_printf(
			out, "%04lld-%02d-%02d", (long long)u->year, u->month, u->day);
	case 'D':
		return buf_printf(
			out, "%02d/%02d/%02d", u->month, u->day, (int)(u->year % 100));
	case 'j':
		return buf_printf(out, "%03d", w->day_of_year);
	case 'u':
		return buf_printf(out, "%d", w->iso_weekday);
	case 'w':
		return buf_printf(out, "%d", u->weekday);
	case 'a':
	case 'A':
		return buf_printf(out, "%.*s", c == 'a' ? 3 : 9, weekdays[u->weekday]);
	case 'b':
	case 'B':
		return buf_printf(out, "%.*s", c == 'b' ? 3 : 9, months[u->month - 1]);
	case '%':
		return buf_putc(out, '%');
	default:
		break;
	}
	if (strchr("VGg", c))
		return put_week(out, w, c);
	return strchr("szZ", c) ? put_zone(out, w, c) : put_clock(out, u, c);
}

int template_put_date(const struct tz *zone, int64_t slot_s,
	const struct template_offset *offset, const char *format, struct buf *out)
{
	struct wall w;
	int r = 0;

	find_wall(zone, slot_s, offset, &w);
	for (const char *f = format; r == 0 && *f; f++) {
		if (*f == '%')
			r = put_field(out, &w, *++f);
		else
			r = buf_putc(out, *f);
	}
	return r;
}
