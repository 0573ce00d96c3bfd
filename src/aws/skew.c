/* The difference of two clocks. Which answers may be trusted is the caller's to know. */
#include "config.h"

#include "aws/skew.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/http.h"

#define MINUTE         (60 * USEC_PER_SEC)
#define ROUND_TRIP_MAX (15 * MINUTE)
#define LEARN_TRIP_MAX MINUTE
#define PEERS          16
#define TOLERATED      (4 * MINUTE) /* services refuse from five on */

bool skew_measure(const struct skew_sample *s, int64_t *ret_us)
{
	int64_t trip = s->received_us - s->sent_us, at;

	if (!s->date || s->age || trip < 0 || trip > ROUND_TRIP_MAX ||
		clock_parse_http_us(s->date, &at) < 0)
		return false;
	*ret_us = at - (s->sent_us + trip / 2);
	return true;
}

/*
 * The middle of a round trip is wrong by half of it at most: long uploads would teach
 * minutes. Only a peer that proved its name may move our signing time.
 */
void skew_learn(struct skew *s, const struct http_response *r)
{
	const struct skew_sample sample = {http_header(r, "date"), http_header(r, "age"),
		r->sent_at_us, r->received_at_us};
	int64_t us;

	if (!s || !r->status || !r->is_verified_peer ||
		r->received_at_us - r->sent_at_us > LEARN_TRIP_MAX)
		return;
	if (skew_measure(&sample, &us))
		s->us = us;
}

static bool is_large(int64_t skew_us)
{
	return skew_us > TOLERATED || skew_us < -TOLERATED;
}

bool skew_is_cause(const char *code, int64_t skew_us)
{
	static const char *const codes[] = {"InvalidSignatureException",
		"SignatureDoesNotMatch", "AuthFailure", "RequestTimeTooSkewed",
		"AccessDeniedException"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (str_eq(codes[i], code))
			return is_large(skew_us);
	}
	return false;
}

bool skew_is_news(struct skew *s)
{
	bool was_told = s->is_told;

	s->is_told = is_large(s->us);
	return s->is_told && !was_told;
}

void skew_say(const char *endpoint_url, int64_t skew_us, char *out, size_t size)
{
	int64_t seconds = skew_us / USEC_PER_SEC;

	snprintf(out, size,
		"the clock of %.300s is %lld seconds %s this host's; requests are signed "
		"in "
		"its time: is time synchronised here?",
		endpoint_url && *endpoint_url ? endpoint_url : "AWS",
		(long long)(seconds < 0 ? -seconds : seconds),
		seconds < 0 ? "behind" : "ahead of");
}

/* --- several peers --- */

struct skews {
	struct {
		char *endpoint_url; /* NULL: free */
		struct skew skew;
	} peers[PEERS];
};

struct skews *skews_new(void)
{
	return mem_alloc(sizeof(struct skews));
}

void *skews_free(struct skews *s)
{
	for (size_t i = 0; s && i < PEERS; i++)
		free(s->peers[i].endpoint_url);
	free(s);
	return NULL;
}

struct skew *skews_of(struct skews *s, const char *endpoint_url)
{
	const char *name = endpoint_url ? endpoint_url : "";

	for (size_t i = 0; i < PEERS; i++) {
		if (!s->peers[i].endpoint_url)
			s->peers[i].endpoint_url = mem_strdup(name);
		if (str_eq(s->peers[i].endpoint_url, name))
			return &s->peers[i].skew;
	}
	return NULL;
}
