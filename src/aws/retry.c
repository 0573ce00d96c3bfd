/* The retry policy and its quota as functions. No timer, no random source. */
#include "config.h"

#include "aws/retry.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define AFTER_MAX_MS  600000
#define HINT_MORE_MS  5000
#define COST          14
#define PEERS         64
#define THROTTLED_MAX 8
#define COST_THROTTLE 5

bool retry_may(const struct retry_policy *p, enum err_class class, int attempt)
{
	int most = p->max_attempts;
	int patient = p->throttle_attempts > 0 ? p->throttle_attempts : THROTTLED_MAX;

	/* "Slow down" is no failure of the object: it asks for patience. */
	if (class == ERR_THROTTLE && most < patient)
		most = patient;
	if (attempt >= most)
		return false;
	return class == ERR_RETRY || class == ERR_THROTTLE || class == ERR_INTEGRITY;
}

int64_t retry_delay_ms(
	const struct retry_policy *p, enum err_class class, int attempt, double unit)
{
	bool has_own = class == ERR_THROTTLE && p->throttle_backoff_ms > 0;
	double most = p->max_backoff_ms > 0 ? (double)p->max_backoff_ms : 60000;
	double delay = p->backoff_ms > 0 ? (double)p->backoff_ms : 1000;
	double factor = p->factor >= 1 ? p->factor : 2;

	if (has_own)
		delay = (double)p->throttle_backoff_ms;
	for (; attempt > 1 && delay < most; attempt--) {
		delay *= factor;
		if (factor <= 1)
			break;
	}
	if (delay > most)
		delay = most;
	if (class == ERR_THROTTLE && !has_own)
		return (int64_t)(delay / 2 + unit * delay / 2);
	return (int64_t)(unit * delay);
}

int64_t retry_after_ms(const char *amz_ms, const char *retry_after, int64_t now_us)
{
	uint64_t n;
	int64_t at_us, ms = 0;

	if (amz_ms && str_to_uint(amz_ms, AFTER_MAX_MS, &n) == 0)
		ms = (int64_t)n;
	else if (retry_after && str_to_uint(retry_after, AFTER_MAX_MS / 1000, &n) == 0)
		ms = (int64_t)n * 1000;
	else if (retry_after && clock_parse_http_us(retry_after, &at_us) == 0)
		ms = (at_us - now_us) / USEC_PER_MSEC;
	if (ms < 0)
		return 0;
	return ms < AFTER_MAX_MS ? ms : AFTER_MAX_MS;
}

int64_t retry_hinted_ms(int64_t delay_ms, const char *hint)
{
	uint64_t asked;

	if (!hint || str_to_uint(hint, INT64_MAX, &asked) < 0)
		return delay_ms;
	return retry_asked_ms(delay_ms, (int64_t)asked);
}

int64_t retry_asked_ms(int64_t delay_ms, int64_t asked_ms)
{
	if (asked_ms < delay_ms)
		return delay_ms;
	return asked_ms > delay_ms + HINT_MORE_MS ? delay_ms + HINT_MORE_MS : asked_ms;
}

/* --- the quotas of several peers --- */

struct retry_quotas {
	struct {
		char *name; /* NULL: free */
		struct retry_quota quota;
	} peers[PEERS];
	uint64_t retries;
};

struct retry_quotas *retry_quotas_new(void)
{
	return mem_alloc(sizeof(struct retry_quotas));
}

void *retry_quotas_free(struct retry_quotas *q)
{
	for (size_t i = 0; q && i < PEERS; i++)
		free(q->peers[i].name);
	free(q);
	return NULL;
}

struct retry_quota *retry_quotas_of(struct retry_quotas *q, const char *name)
{
	for (size_t i = 0; i < PEERS; i++) {
		if (!q->peers[i].name) {
			q->peers[i].name = mem_strdup(name);
			q->peers[i].quota.tokens = RETRY_QUOTA_MAX;
		}
		if (str_eq(q->peers[i].name, name))
			return &q->peers[i].quota;
	}
	return NULL;
}

bool retry_quotas_are_full(const struct retry_quotas *q)
{
	for (size_t i = 0; i < PEERS && q->peers[i].name; i++)
		if (q->peers[i].quota.tokens < RETRY_QUOTA_MAX)
			return false;
	return true;
}

void retry_quotas_count(struct retry_quotas *q)
{
	q->retries++;
}

uint64_t retry_quotas_counted(const struct retry_quotas *q)
{
	return q->retries;
}

int retry_quota_take(struct retry_quota *q, enum err_class class)
{
	int cost = class == ERR_THROTTLE ? COST_THROTTLE : COST;

	if (q->tokens < cost)
		return 0;
	q->tokens -= cost;
	return cost;
}

void retry_quota_give(struct retry_quota *q, int cost)
{
	q->tokens += cost ? cost : 1;
	if (q->tokens > RETRY_QUOTA_MAX)
		q->tokens = RETRY_QUOTA_MAX;
}
