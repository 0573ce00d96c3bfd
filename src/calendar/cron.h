/*
 * Cron expressions as sets of local minutes: five fields and macros, and the six fields of
 * EventBridge's cron(). Pure. Used by slot.c alone; the rest of the program sees slot.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "calendar/slot.h"

#define CRON_YEAR_MIN 1970
#define CRON_YEAR_MAX 2199

struct cron {
	uint64_t minutes; /* bit n: minute n */
	uint32_t hours;
	uint16_t months; /* bits 1-12 */
	uint8_t years[(CRON_YEAR_MAX - CRON_YEAR_MIN) / 8 + 1];

	uint32_t days;          /* of month, bits 1-31 */
	uint32_t days_from_end; /* bit n: n days before the last */
	uint32_t nearest;       /* nW: bits 1-31 */
	bool last_weekday;      /* LW */
	bool is_any_day;        /* the field starts with * or ? */

	uint8_t weekdays;    /* bits 0-6, 0 = Sunday */
	uint8_t nth[7];      /* d#k: bit k */
	uint8_t last_of;     /* dL: bits 0-6 */
	bool is_any_weekday;
	enum day_match day_match;
};

/* text: the whole expression. Errors with position, reason and hint. */
int cron_parse_fields(const char *text, struct cron *ret, struct schedule_error *e);
/* text: what stands inside cron(...); at: where that begins in the expression. */
int cron_parse_eventbridge(
	const char *text, size_t at, struct cron *ret, struct schedule_error *e);

bool cron_matches_day(const struct cron *c, int64_t year, int month, int day);
/* Restricted hours: fires once per local slot; all hours: follows elapsed time. */
bool cron_has_all_hours(const struct cron *c);
int cron_days_in_month(int64_t year, int month);

/* -EINVAL after filling *e; position counts from the expression's start. */
int schedule_fail(struct schedule_error *e, size_t position, const char *hint,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
