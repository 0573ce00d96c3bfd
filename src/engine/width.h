/*
 * How many parts of one object are worth moving at once: it doubles while that makes the
 * object faster. More connections than a path can fill cost memory and cold caches.
 * Pure: no clock, no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct width {
	int now, most;
	int before; /* the last step */
	bool is_settled;
	/* of the round that is under way */
	int left; /* parts until its end */
	int64_t since_us, bytes;
	double best; /* bytes a second, of rounds before; 0: none */
};

void width_init(struct width *w, int first, int most);
/* The first parts begin; or what the round measured so far says nothing. */
void width_begin(struct width *w, int64_t now_us);
/* One more part is stored: w->now may have changed. */
void width_stored(struct width *w, int64_t bytes, int64_t now_us);
