/*
 * When a failed attempt is repeated: class and attempt to a delay; and whether the client
 * may repeat anything at all just now. Pure. The numbers of RETRY_STANDARD and of the
 * quota are those of the SDKs' standard mode, version 2.1 (aws-client.md, section 11).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct retry_policy {
	int max_attempts;                   /* <= 0: 1 */
	int64_t backoff_ms, max_backoff_ms; /* 0: 1 s, 60 s */
	double factor;                      /* < 1: 2 */
	/* Of class THROTTLE: > 0: its first delay, with full jitter, too ... */
	int64_t throttle_backoff_ms;
	/* ... and the least number of attempts; 0: 8, for "slow down" asks for patience
	 */
	int throttle_attempts;
};
#define RETRY_STANDARD ((struct retry_policy){3, 50, 20000, 2, 1000, 1})
#define RETRY_S3       ((struct retry_policy){6, 50, 20000, 2, 1000, 1})

/* attempt: how many were made, 1 after the first. ERR_AUTH is not the policy's. */
bool retry_may(const struct retry_policy *p, enum err_class class, int attempt);
/*
 * Full jitter: uniform below backoff * factor^(attempt - 1), at most max_backoff. A
 * service that asks for less gets at least half of that, unless the policy gives it a
 * backoff of its own. unit is in [0, 1].
 */
int64_t retry_delay_ms(
	const struct retry_policy *p, enum err_class class, int attempt, double unit);
/*
 * What an answer asks for, x-amz-retry-after (ms) before Retry-After (seconds or a date),
 * 10 minutes at most; 0: nothing that can be read. Either header may be NULL. now_us: wall
 * clock of the service.
 */
int64_t retry_after_ms(const char *amz_ms, const char *retry_after, int64_t now_us);
/* The delay when the answer names one (x-amz-retry-after, ms): up to 5 s more. */
int64_t retry_hinted_ms(int64_t delay_ms, const char *hint);
int64_t retry_asked_ms(int64_t delay_ms, int64_t asked_ms);

/* Tokens of all retries against one peer, so that an outage is not met by a storm. */
#define RETRY_QUOTA_MAX 500
struct retry_quota {
	int tokens; /* begins with RETRY_QUOTA_MAX */
};
/* The quotas of several peers, by name; 64 at most, NULL beyond. */
struct retry_quotas;
struct retry_quotas *retry_quotas_new(void);
void *retry_quotas_free(struct retry_quotas *q);
struct retry_quota *retry_quotas_of(struct retry_quotas *q, const char *name);
/* Nobody owes anything: what a success gives back would be lost. */
bool retry_quotas_are_full(const struct retry_quotas *q);
/* One more retry of them all, and how many there were; also of peers beyond the 64. */
void retry_quotas_count(struct retry_quotas *q);
uint64_t retry_quotas_counted(const struct retry_quotas *q);

/* What the retry costs, taken; 0: no retry, give up with the error at hand. */
int retry_quota_take(struct retry_quota *q, enum err_class class);
/* After a success: what its last retry had cost, 0 when there was none. */
void retry_quota_give(struct retry_quota *q, int cost);
