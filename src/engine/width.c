/* Rounds of as many parts as move at once, each compared with the fastest before it. */
#include "config.h"

#include "engine/width.h"

#include "base/clock.h"

#define GAIN 1.5 /* less is chance: twice as many may make it twice as fast */

void width_init(struct width *w, int first, int most)
{
	*w = (struct width){.now = first < most ? first : most, .most = most};
	w->is_settled = w->now == most;
}

void width_begin(struct width *w, int64_t now_us)
{
	w->left = w->now;
	w->bytes = 0;
	w->since_us = now_us;
}

void width_stored(struct width *w, int64_t bytes, int64_t now_us)
{
	int64_t us = now_us - w->since_us;
	double rate;

	w->bytes += bytes;
	if (w->is_settled || --w->left > 0)
		return;
	rate = (double)w->bytes * USEC_PER_SEC / (double)(us > 0 ? us : 1);
	if (rate < w->best * GAIN)
		w->now = w->before;
	w->is_settled = rate < w->best * GAIN || w->now == w->most;
	if (w->is_settled)
		return;
	w->best = rate;
	w->before = w->now;
	w->now = 2 * w->now < w->most ? 2 * w->now : w->most;
	width_begin(w, now_us);
}
