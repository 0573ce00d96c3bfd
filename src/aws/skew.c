/* The difference of two clocks. Which answers may be trusted is the caller's to know. */
#include "config.h"

#include "aws/skew.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define MINUTE         (60 * USEC_PER_SEC)
#define ROUND_TRIP_MAX (15 * MINUTE)
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
