/*
 * OnCalendar expressions of systemd.time(7) as sets of local seconds: weekdays, date and
 * time, lists, ranges, steps, days from a month's end, shorthands, a zone at the end.
 * Whole seconds only. Pure. Used inside calendar/ alone.
 */
#pragma once

#include "calendar/slot.h"

struct cron;

#define ONCALENDAR_ZONE_SIZE 128

/*
 * Accepts what systemd accepts, a date that never comes too. zone: the one at the end,
 * not looked up, or ""; *ret_zone_at: where it stands.
 */
int oncalendar_parse(const char *text, struct cron *ret, char zone[ONCALENDAR_ZONE_SIZE],
	size_t *ret_zone_at, struct schedule_error *e);
