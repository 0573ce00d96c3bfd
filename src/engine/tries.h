/*
 * Whether a failed request to S3 is sent again, and when: as the SDKs do, soon, six times
 * at most, while the quota of the account at this bucket lasts (aws-client.md, section
 * 11). Behind it stands the job's own `retry`, which is slower, and whose attempts are
 * those that people see. Of one machine, for one kind of request at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct retry_quotas;

struct tries {
	int failed; /* requests in a row */
	int cost;   /* what the last retry took from the quota */
	uint64_t again; /* requests, of all attempts */
};

/* Whose quota. All borrowed for the call. */
struct tries_peer {
	struct retry_quotas *quotas; /* NULL: no limit but that of one request */
	const char *account;         /* who signs; "" if not known */
	const char *endpoint_url;    /* "": AWS's */
	const char *bucket;
};

/*
 * After a failure; unit is in [0, 1). true: again in *ret_delay_ms, which quotas count. A
 * quota that is used up is told in the error's text.
 */
bool tries_again(struct tries *t, const struct tries_peer *peer, struct err *e,
	double unit, int64_t *ret_delay_ms);
/* It was answered. */
void tries_end(struct tries *t, const struct tries_peer *peer);
/* A new attempt of the job begins. */
void tries_reset(struct tries *t);
/* Whoever is asked had them all: no request more before the next reset. */
void tries_exhaust(struct tries *t);
