/*
 * Cron expressions as sets of local seconds: five fields and macros, and the six fields
 * of EventBridge's cron(). Pure. Used inside calendar/ alone; the rest sees slot.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "calendar/slot.h"

#define CRON_YEAR_MIN 1970
#define CRON_YEAR_MAX 2199

enum cron_field {
	CRON_MINUTE,
	CRON_HOUR,
	CRON_DAY,
	CRON_MONTH,
	CRON_WEEKDAY,
	CRON_YEAR,
	CRON_SECOND,
};

/* How it was written, for schedule_lint() alone. Positions are in the expression. */
struct cron_traits {
	bool is_day_limited, is_weekday_limited; /* the field is neither * nor ? */
	bool has_star_step; /* one of them begins with * and goes on */
	bool wraps_hours;
	size_t day_at, hour_at;
	int uneven_step; /* of a step that does not divide its field; 0: none */
	int uneven_first, uneven_last;
	enum cron_field uneven_field;
	size_t uneven_at;
};

struct cron {
	uint64_t seconds; /* bit n: second n; cron itself has second 0 only */
	uint64_t minutes;
	uint32_t hours;
	uint16_t months; /* bits 1-12 */
	uint8_t years[(CRON_YEAR_MAX - CRON_YEAR_MIN) / 8 + 1];

	uint32_t days;          /* of month, bits 1-31 */
	uint32_t days_from_end; /* bit n: n days before the last */
	uint32_t nearest;       /* nW: bits 1-31 */
	bool last_weekday;      /* LW */
	bool is_any_day;        /* the field starts with * or ? */

	uint8_t weekdays; /* bits 0-6, 0 = Sunday */
	uint8_t nth[7];   /* d#k: bit k */
	uint8_t last_of;  /* dL: bits 0-6 */
	bool is_any_weekday;
	enum day_match day_match;
	struct cron_traits traits;
};

/* text: the whole expression. Errors with position, reason and hint. */
int cron_parse_fields(const char *text, struct cron *ret, struct schedule_error *e);
/* text: what stands inside cron(...); at: where that begins in the expression. */
int cron_parse_eventbridge(
	const char *text, size_t at, struct cron *ret, struct schedule_error *e);

/* value within the field's range, weekdays 0-6 */
void cron_set(struct cron *c, enum cron_field field, int value);

/* Notes a step through [from, max] of a field: the gap where it begins again differs. */
void cron_note_step(struct cron *c, enum cron_field field, int from, int step, size_t at);
const char *cron_field_name(enum cron_field field); /* "minute", "day of month", ... */

/* False: no day of that month matches. */
bool cron_matches_month(const struct cron *c, int64_t year, int month);
/* A day of such a month, whose last day is `last`; weekday 0-6, 0 = Sunday. */
bool cron_matches_day(const struct cron *c, int day, int last, int weekday);
/* Restricted hours: fires once per local slot; all hours: follows elapsed time. */
bool cron_has_all_hours(const struct cron *c);
int cron_days_in_month(int64_t year, int month);

/* -EINVAL after filling *e; position counts from the expression's start. */
int schedule_fail(struct schedule_error *e, size_t position, const char *hint,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
