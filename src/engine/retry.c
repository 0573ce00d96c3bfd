/* The retry policy as two functions. No timer, no random source, no state. */
#include "config.h"

#include "engine/retry.h"

#define THROTTLED_MAX 8

bool retry_may(const struct retry_policy *p, enum err_class class, int attempt)
{
	int most = p->max_attempts;

	/* "Slow down" is no failure of the object: it asks for patience. */
	if (class == ERR_THROTTLE && most < THROTTLED_MAX)
		most = THROTTLED_MAX;
	if (attempt >= most)
		return false;
	return class == ERR_RETRY || class == ERR_THROTTLE || class == ERR_INTEGRITY;
}

int64_t retry_delay_ms(
	const struct retry_policy *p, enum err_class class, int attempt, double unit)
{
	double most = p->max_backoff_ms > 0 ? (double)p->max_backoff_ms : 60000;
	double delay = p->backoff_ms > 0 ? (double)p->backoff_ms : 1000;
	double factor = p->factor >= 1 ? p->factor : 2;

	for (; attempt > 1 && delay < most; attempt--) {
		delay *= factor;
		if (factor <= 1)
			break;
	}
	if (delay > most)
		delay = most;
	if (class == ERR_THROTTLE)
		return (int64_t)(delay / 2 + unit * delay / 2);
	return (int64_t)(unit * delay);
}
