/*
 * Hours of the week, such as "Mon-Fri 07:00-19:00", "Sat,Sun" or "22:00-06:00". Pure; the
 * zone is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct hours {
	unsigned days; /* bit 0: Sunday. Days on which they begin */
	int from, to;  /* minutes of the day; to <= from: they end on the day after */
};

struct hours_error {
	size_t position; /* byte of the text */
	const char *text, *hint;
};

/* 0 or -EINVAL, with *ret_error filled. */
int hours_parse(const char *text, struct hours *ret, struct hours_error *ret_error);
/* weekday: 0 is Sunday. */
bool hours_hold(const struct hours *h, int weekday, int minute);
