/* Additive increase, multiplicative decrease, slow start. Not who waits (rates.c). */
#include "config.h"

#include "engine/rate.h"

#include "base/clock.h"

#define HALF           0.5
#define LEAST          1.0
#define GROWTH         0.05 /* of the top ... */
#define GROWTH_PER_US  (GROWTH / (5.0 * USEC_PER_SEC))
#define GROWTH_MOST_US (5 * USEC_PER_SEC) /* what an idle bucket earns at most */

void rate_init(struct rate *r, double start, int most)
{
	*r = (struct rate){.window = start < LEAST ? LEAST : start,
		.threshold = most,
		.most = most > 1 ? most : 1};
}

bool rate_may_start(const struct rate *r, int64_t now_us)
{
	return now_us >= r->hold_until_us && r->in_flight < (int)r->window;
}

void rate_start(struct rate *r)
{
	r->in_flight++;
}

void rate_end(struct rate *r)
{
	r->in_flight--;
}

void rate_succeed(struct rate *r, int64_t now_us)
{
	int64_t since_us = now_us - r->grown_at_us;

	r->refusals = 0;
	r->grown_at_us = now_us;
	/* What is not used proves nothing. */
	if (r->in_flight + 1 < (int)r->window)
		return;
	if (since_us > GROWTH_MOST_US)
		since_us = GROWTH_MOST_US;
	if (r->window < r->threshold)
		r->window += 1;
	else
		r->window += r->top * GROWTH_PER_US * (double)since_us;
	if (r->window > r->most)
		r->window = r->most;
}

static int64_t hold_ms(const struct rate *r, const struct rate_refusal *what)
{
	int64_t ms = RATE_HOLD_MIN_MS;

	if (what->hint_ms > 0)
		return what->hint_ms;
	for (int i = 1; i < r->refusals && ms < RATE_HOLD_MAX_MS; i++)
		ms *= 2;
	if (ms > RATE_HOLD_MAX_MS)
		ms = RATE_HOLD_MAX_MS;
	return (int64_t)((double)ms * (HALF + what->unit * HALF));
}

bool rate_refuse(struct rate *r, const struct rate_refusal *what, int64_t now_us)
{
	int64_t until_us;

	if (r->cut_at_us && what->started_us <= r->cut_at_us)
		return false;
	r->refusals++;
	/* While nothing is served the cuts tell nothing of what would be. */
	if (r->refusals == 1) {
		r->top = r->window;
		r->threshold = r->window * HALF;
	}
	r->window = r->window * HALF > LEAST ? r->window * HALF : LEAST;
	r->cut_at_us = r->grown_at_us = now_us;
	until_us = now_us + hold_ms(r, what) * USEC_PER_MSEC;
	if (until_us > r->hold_until_us)
		r->hold_until_us = until_us;
	return true;
}

int64_t rate_wait_ms(const struct rate *r, int64_t now_us)
{
	if (now_us >= r->hold_until_us)
		return 0;
	return (r->hold_until_us - now_us + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
}

bool rate_is_slowed(const struct rate *r)
{
	return r->top > 0 && r->window < r->top * 0.9;
}
