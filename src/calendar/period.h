/*
 * Days and instants as people name them on a command line: pure, in a zone.
 */
#pragma once

#include <stdint.h>

struct schedule_error;

/*
 * "2026-11-01" is that day of the zone, 2026-11-01T07:00[:00] the local minute (or
 * second), with Z or an offset an instant. [*ret_from_s, *ret_until_s) in UTC seconds. 0,
 * or -EINVAL with *e.
 */
int period_parse(const char *text, const char *timezone, int64_t *ret_from_s,
	int64_t *ret_until_s, struct schedule_error *e);
