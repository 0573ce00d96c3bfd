/* The SDKs' standard mode over the machines of this layer. No timer, no random source. */
#include "config.h"

#include "engine/tries.h"

#include <stdio.h>
#include <string.h>

#include "aws/retry.h"
#include "base/err.h"

#define NAME_MAX_LEN 1024

static const struct retry_policy policy = RETRY_S3;

static const char *name_of(const struct tries_peer *p, char name[NAME_MAX_LEN])
{
	snprintf(name, NAME_MAX_LEN, "%s@%s/%s", p->account, p->endpoint_url, p->bucket);
	return name;
}

static void say_used_up(const struct tries_peer *p, struct err *e)
{
	size_t n = strlen(e->text);

	snprintf(e->text + n, sizeof(e->text) - n,
		"%snot sent again at once: too many requests to %.100s failed lately, "
		"its retry quota is used up",
		n ? "; " : "", p->bucket);
}

bool tries_again(struct tries *t, const struct tries_peer *peer, struct err *e,
	double unit, int64_t *ret_delay_ms)
{
	struct retry_quota *quota;
	char name[NAME_MAX_LEN];

	t->failed++;
	/* Bytes that are wrong may be wrong again, and cost as much as right ones. */
	if (e->class == ERR_INTEGRITY || !retry_may(&policy, e->class, t->failed))
		return false;
	quota = peer->quotas ? retry_quotas_of(peer->quotas, name_of(peer, name)) : NULL;
	if (quota) {
		t->cost = retry_quota_take(quota, e->class);
		if (!t->cost) {
			say_used_up(peer, e);
			return false;
		}
	}
	if (peer->quotas)
		retry_quotas_count(peer->quotas);
	t->again++;
	*ret_delay_ms = retry_delay_ms(&policy, e->class, t->failed, unit);
	if (*ret_delay_ms < e->retry_after_ms)
		*ret_delay_ms = e->retry_after_ms;
	return true;
}

void tries_end(struct tries *t, const struct tries_peer *peer)
{
	char name[NAME_MAX_LEN];
	struct retry_quota *quota = NULL;

	/* Without a failure there is none yet, and nothing to give back. */
	if (peer->quotas && !retry_quotas_are_full(peer->quotas))
		quota = retry_quotas_of(peer->quotas, name_of(peer, name));
	if (quota)
		retry_quota_give(quota, t->cost);
	tries_reset(t);
}

void tries_reset(struct tries *t)
{
	t->failed = t->cost = 0;
}

void tries_exhaust(struct tries *t)
{
	t->failed = policy.max_attempts;
}
