/*
 * How far a service's clock is ahead of ours, learned from its answers, so that requests
 * are signed in its time: aws-client.md, section 12. Pure. It moves signing and the
 * arithmetic of expiry, never the schedule.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one peer's clock differs; zeroed at first. One thread. */
struct skew {
	int64_t us;   /* to be added to our wall clock */
	bool is_told; /* that it is more than services tolerate */
};

struct skew_sample {
	const char *date;             /* header, NULL: none */
	const char *age;              /* header, not NULL: the answer came from a cache */
	int64_t sent_us, received_us; /* wall clock */
};
/*
 * Date against the middle of the round trip. false: not to be used (no or a bad Date, a
 * cached answer, a round trip above 15 minutes).
 */
bool skew_measure(const struct skew_sample *sample, int64_t *ret_us);

/* The same into *s, of a peer that proved its name, and whose answer came soon enough. */
struct http_response;
void skew_learn(struct skew *s, const struct http_response *answer);

/* Whether an error may be due to the clock: its code, and more than four minutes. */
bool skew_is_cause(const char *code, int64_t skew_us);
/*
 * The clocks of several peers by endpoint_url; AWS's own ("") agree with each other. 16
 * at most: what is more is taken for ours.
 */
struct skews;
struct skews *skews_new(void);
void *skews_free(struct skews *s);
/* endpoint_url NULL: AWS's. NULL: no place is left. Lives as long as the table. */
struct skew *skews_of(struct skews *s, const char *endpoint_url);

/* Beyond four minutes for the first time since it was within: to be logged now. */
bool skew_is_news(struct skew *s);
/* The sentence about it. */
void skew_say(const char *endpoint_url, int64_t skew_us, char *out, size_t size);
