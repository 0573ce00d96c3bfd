/*
 * The only source of time. Everything that needs "now" is given a clock, so that tests
 * move time by hand. Instants are microseconds: monotonic ones have no epoch, wall ones
 * count from 1970-01-01T00:00:00Z.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USEC_PER_SEC  INT64_C(1000000)
#define USEC_PER_MSEC INT64_C(1000)

struct clock {
	int64_t (*mono_us)(const struct clock *c);
	int64_t (*wall_us)(const struct clock *c);
	bool (*is_synchronised)(const struct clock *c); /* by NTP or so */
};

/* CLOCK_BOOTTIME (it counts a suspend) and CLOCK_REALTIME. Static, never freed. */
const struct clock *clock_system(void);

static inline int64_t clock_mono_us(const struct clock *c)
{
	return c->mono_us(c);
}

static inline int64_t clock_wall_us(const struct clock *c)
{
	return c->wall_us(c);
}

static inline bool clock_is_synchronised(const struct clock *c)
{
	return c->is_synchronised(c);
}

/* A clock that stands still until a test sets its two fields. */
struct clock_fake {
	struct clock clock; /* hand out &fake.clock */
	int64_t mono;
	int64_t wall;
	bool is_unsynchronised;
};
void clock_fake_init(struct clock_fake *fake, int64_t wall_us);
void clock_fake_advance(struct clock_fake *fake, int64_t usec); /* both move */

/* Calendar date of a UTC instant, proleptic Gregorian, any year. */
struct clock_utc {
	int64_t year;
	int month, day;           /* 1-12, 1-31 */
	int hour, minute, second; /* 0-23, 0-59, 0-59 */
	int weekday;              /* 0 = Sunday */
};
void clock_utc_from_seconds(int64_t seconds, struct clock_utc *ret);
int64_t clock_seconds_from_utc(const struct clock_utc *utc); /* weekday ignored */

/* "2026-11-24T07:00:00Z"; size >= 24. Returns out. */
char *clock_format_iso(int64_t seconds, char *out, size_t size);
/* "20261124T070000Z", the form SigV4 signs; size >= 17. Returns out. */
char *clock_format_amz(int64_t seconds, char *out, size_t size);
/* The same with as much of the fraction as is not zero; size >= 32. Returns out. */
char *clock_format_iso_us(int64_t usec, char *out, size_t size);
/* RFC 3339 with Z or an offset and an optional fraction. 0 or -EINVAL. */
int clock_parse_iso(const char *text, int64_t *ret_seconds);
int clock_parse_iso_us(const char *text, int64_t *ret_usec);
/* "Sun, 01 Mar 1970 01:01:53 GMT", RFC 9110's preferred form; a fraction is taken. */
int clock_parse_http_us(const char *text, int64_t *ret_usec);
