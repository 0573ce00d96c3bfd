/*
 * How many transfers one bucket may serve at once. It begins low and grows with every
 * success; when the service asks for less (SlowDown, 503, 429) it is halved, nothing
 * starts for a while, and longer each time that the asking goes on; then it grows again,
 * quickly to half of what it was, slowly from there.
 * Pure: time and chance come in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RATE_HOLD_MIN_MS 100
#define RATE_HOLD_MAX_MS 5000

struct rate {
	double window;    /* transfers at once */
	double threshold; /* up to here each success adds one */
	double top;       /* what it was when it was cut first; 0: never cut */
	int most;         /* never more than that */
	int in_flight;
	int refusals; /* in a row: none was served between */
	int64_t hold_until_us, cut_at_us, grown_at_us; /* monotonic */
};

/* start, most: what falls to this engine. */
void rate_init(struct rate *r, double start, int most);
bool rate_may_start(const struct rate *r, int64_t now_us);
void rate_start(struct rate *r);
/* Also of one that was refused, or that failed for another reason. */
void rate_end(struct rate *r);
/* One was served whole. */
void rate_succeed(struct rate *r, int64_t now_us);

struct rate_refusal {
	int64_t started_us; /* when what was refused was sent */
	int64_t hint_ms;    /* the service's own wish; 0: none */
	double unit;        /* in [0, 1), for jitter */
};
/*
 * false: it was sent before the last cut, whose news it is not. A hold is the service's
 * wish, or 100 ms and twice as long with each refusal in a row, 5 s at most.
 */
bool rate_refuse(struct rate *r, const struct rate_refusal *what, int64_t now_us);
/* Until something may start again; 0: now, or when one ends. */
int64_t rate_wait_ms(const struct rate *r, int64_t now_us);
/* Below what it was, still. */
bool rate_is_slowed(const struct rate *r);
