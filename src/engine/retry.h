/* When a failed attempt is repeated: class and attempt to a delay. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct retry_policy {
	int max_attempts; /* <= 0: 1 */
	int64_t backoff_ms, max_backoff_ms; /* 0: 1 s, 60 s */
	double factor; /* < 1: 2 */
};

/* attempt: how many were made, 1 after the first. ERR_AUTH is not the policy's. */
bool retry_may(const struct retry_policy *p, enum err_class class, int attempt);
/*
 * Full jitter: uniform below backoff * factor^(attempt - 1), at most max_backoff. A
 * service that asks for less gets at least half of that. unit is in [0, 1).
 */
int64_t retry_delay_ms(
	const struct retry_policy *p, enum err_class class, int attempt, double unit);
