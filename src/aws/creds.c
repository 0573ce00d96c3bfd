/*
 * Cached sets, their windows, waiters and single flight. Not where a set comes from: a
 * provider gives the first identity, creds_sts assumes a role; creds_pool opens chains.
 */
#include "config.h"

#include "aws/creds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "aws/fetch.h"
#include "aws/imds.h"
#include "aws/provider.h"
#include "aws/retry.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"

#define MINUTE_US     (60 * USEC_PER_SEC)
#define CHAINED_MAX_S 3600 /* what STS grants a role assumed by a role */
#define REGION_PATH   "/latest/meta-data/placement/region"

static void pump(void *arg);
static void start_fetch(struct creds *c);
static void on_parent(void *arg, const struct err *e, const struct creds_set *set);

static int64_t wall_us(const struct creds *c)
{
	return clock_wall_us(loop_clock(c->pool->loop));
}

/* --- windows --- */

static int64_t life_us(const struct creds *c)
{
	return c->set.expires_at_us - c->arrived_us;
}

static int64_t advisory_us(const struct creds *c)
{
	int64_t life = life_us(c);

	if (life < 10 * MINUTE_US)
		return life / 2;
	if (life <= 20 * MINUTE_US)
		return 5 * MINUTE_US;
	return life < 90 * MINUTE_US ? 15 * MINUTE_US : 60 * MINUTE_US;
}

static int64_t mandatory_us(const struct creds *c)
{
	int64_t tenth = life_us(c) / 10;

	if (life_us(c) < 10 * MINUTE_US)
		return tenth < MINUTE_US ? tenth : MINUTE_US;
	return MINUTE_US;
}

enum creds_freshness creds_freshness(const struct creds *c)
{
	int64_t left;

	if (!c->has_set || c->is_invalid)
		return CREDS_MANDATORY;
	if (c->set.expires_at_us == CREDS_NEVER)
		return CREDS_FRESH;
	left = c->set.expires_at_us - wall_us(c);
	if (left <= mandatory_us(c))
		return CREDS_MANDATORY;
	return left <= advisory_us(c) ? CREDS_ADVISORY : CREDS_FRESH;
}

/* --- waiters --- */

static void schedule_pump(struct creds *c)
{
	if (c->is_pumping)
		return;
	c->is_pumping = true;
	loop_defer(c->pool->loop, pump, c);
}

/*
 * "hop 1 of 2 (arn:...)": which link failed is known below, how many there are, here. Of
 * the default chain, which places were looked at before the last of them.
 */
static void name_hop(const struct creds *c, const struct err *e, struct err *ret)
{
	const struct creds *at = c->failed_at;

	*ret = *e;
	if (at && at->hop)
		snprintf(ret->text, sizeof(ret->text), "hop %d of %d (%.110s): %.371s",
			at->hop, c->hop, at->role.role_arn, e->text);
	else if (at && at->base->is_default_chain)
		snprintf(ret->text, sizeof(ret->text), "%.300s%.200s",
			at->base->looked_at, e->text);
}

/* Those who wait now are served; who asks from inside a callback waits for the next. */
static void serve(struct creds *c, const struct err *err)
{
	struct list now;
	struct creds_wait *w;
	struct err named;

	if (err)
		name_hop(c, err, &named);
	list_init(&now);
	list_splice(&now, &c->waiters);
	c->refs++; /* a waiter may release it */
	while ((w = LIST_FIRST(&now, struct creds_wait, link))) {
		list_remove(&w->link);
		/* A longer chain counts its own hops. */
		w->fn(w->arg, err && w->fn != on_parent ? &named : err,
			err ? NULL : &c->set);
		free(w);
	}
	creds_release(c);
}

struct creds_wait *creds_get(struct creds *c, creds_fn fn, void *arg)
{
	struct creds_wait *w = mem_alloc(sizeof(*w));

	w->creds = c;
	w->fn = fn;
	w->arg = arg;
	list_append(&c->waiters, &w->link);
	schedule_pump(c);
	return w;
}

void creds_wait_cancel(struct creds_wait *w)
{
	list_remove(&w->link);
	free(w);
}

static bool is_fetching(const struct creds *c)
{
	return c->parent_wait || c->sts_call || c->imds || c->is_providing ||
	       loop_timer_is_set(c->retry_timer);
}

/* Asking again gives the same. */
static bool is_static(const struct creds *c)
{
	return c->hop == 0 && (c->base->kind == BASE_NONE || c->base->kind == BASE_KEYS ||
				      c->base->kind == BASE_ENVIRONMENT);
}

/* The last word of the source was no: who asks now waits for its next. */
static bool is_refused(const struct creds *c)
{
	return c->last_err.class != ERR_OK;
}

static void pump(void *arg)
{
	struct creds *c = arg;
	int64_t now = wall_us(c);
	enum creds_freshness f = creds_freshness(c);
	bool may_hold = c->has_set && now < c->hold_until_us;

	c->is_pumping = false;
	if (list_is_empty(&c->waiters))
		return;
	if (c->hop == 0 && !c->provider) {
		serve(c, &c->base->err);
		return;
	}
	if (is_refused(c) || (f == CREDS_MANDATORY && !may_hold)) {
		if (is_fetching(c))
			return;
		if (is_refused(c) && now < c->last_err_until_us)
			serve(c, &c->last_err);
		else
			start_fetch(c);
		return;
	}
	if (f == CREDS_ADVISORY && now >= c->hold_until_us && !is_fetching(c))
		start_fetch(c);
	serve(c, NULL);
}

void creds_invalidate(struct creds *c, uint64_t generation)
{
	if (is_static(c) || !c->has_set || c->set.generation != generation)
		return;
	c->is_invalid = true;
	/* A short session has no time to wait for; a long one's back-off holds. */
	if (life_us(c) < 10 * MINUTE_US)
		c->hold_until_us = 0;
}

/* --- the end of a fetch --- */

/* Long sessions: 300 to 600 s; short ones: at most a quarter of what is left. */
static int64_t hold_us(const struct creds *c, int64_t now)
{
	int64_t hold = (int64_t)((5 + 5 * crypto_random_unit()) * MINUTE_US);
	int64_t quarter = (c->set.expires_at_us - now) / 4;

	if (life_us(c) >= 10 * MINUTE_US)
		return hold;
	return quarter > 0 && quarter < hold ? quarter : 0;
}

/*
 * No retry mends it: the role, its policy or the configuration says no. It is raised at
 * once, whatever is cached. A base that is not STS may always come back.
 */
static bool is_final(const struct creds *c, const struct err *e)
{
	if (c->failed_at && c->failed_at->hop == 0 && e->origin != ERR_FROM_STS)
		return false;
	return e->class == ERR_DENIED || e->class == ERR_CONFIG ||
	       e->class == ERR_NOTFOUND || e->class == ERR_FATAL;
}

/*
 * A set in hand goes on serving, even past its end when the source cannot be reached: S3
 * has the last word. Keys of a program or of the environment end when they say so.
 */
static bool can_go_on(const struct creds *c, const struct err *e, int64_t now)
{
	if (!c->has_set || is_final(c, e))
		return false;
	return !c->provider || c->provider->ops->may_lapse || now < c->set.expires_at_us;
}

static void warn(struct creds *c, enum creds_event event, const struct err *e)
{
	if (c->pool->warn)
		c->pool->warn(c->pool->warn_arg, event, c->label, e);
}

static void fetch_failed(struct creds *c, const struct err *e)
{
	/* The link below had a set, too, and has said so. */
	bool is_told = c->hop && c->failed_at != c && c->parent->has_set;
	int64_t now = wall_us(c);
	struct err named;

	c->stats.failures++;
	name_hop(c, e, &named);
	if (c->has_set && !is_told) {
		c->has_failed = true;
		warn(c, CREDS_REFRESH_FAILED, &named);
	}
	if (can_go_on(c, e, now)) {
		c->last_err.class = ERR_OK;
		c->hold_until_us = now + hold_us(c, now);
		if (c->provider && !c->provider->ops->may_lapse &&
			c->hold_until_us > c->set.expires_at_us)
			c->hold_until_us = c->set.expires_at_us;
		serve(c, NULL);
		return;
	}
	named = *e;
	c->last_err = named;
	c->last_err_until_us = now;
	if (is_final(c, e))
		c->last_err_until_us +=
			(int64_t)((1 + 4 * crypto_random_unit()) * USEC_PER_SEC);
	serve(c, &named);
}

static void fetch_succeeded(struct creds *c, const struct creds_set *set)
{
	uint64_t generation = c->set.generation + 1;

	c->set = *set;
	c->set.generation = generation;
	c->has_set = true;
	c->is_invalid = false;
	c->arrived_us = wall_us(c);
	c->hold_until_us = 0;
	c->last_err.class = ERR_OK;
	c->failed_at = NULL;
	c->stats.fetches++;
	if (c->has_failed)
		warn(c, CREDS_RECOVERED, NULL);
	c->has_failed = false;
	serve(c, NULL);
}

/* --- fetching a base --- */

static void on_provided(void *arg, const struct err *e, const struct creds_set *set)
{
	struct creds *c = arg;
	struct err ended;

	c->is_providing = false;
	if (!e && set->expires_at_us <= wall_us(c))
		e = err_set(&ended, ERR_RETRY, ERR_FROM_CREDS, "expired-answer",
			"the source gave credentials that have already ended; look at "
			"this "
			"host's clock");
	if (!e) {
		fetch_succeeded(c, set);
		return;
	}
	c->failed_at = c;
	fetch_failed(c, e);
}

/* --- fetching a role --- */

static void ask_parent(struct creds *c);

void creds_on_retry(void *arg)
{
	ask_parent(arg);
}

/* Keys that do not change do not get better by asking again. */
static bool replay_parent(struct creds *c, const struct err *e)
{
	if (e->class != ERR_AUTH || c->has_replayed || is_static(c->parent))
		return false;
	c->has_replayed = true;
	creds_invalidate(c->parent, c->parent_generation);
	ask_parent(c);
	return true;
}

static const char *sts_url(const struct creds *c)
{
	return c->role.endpoint_url ? c->role.endpoint_url
				    : creds_env_sts_url(c->pool->env);
}

static struct skew *clock_of(const struct creds *c)
{
	return c->pool->skews ? skews_of(c->pool->skews, sts_url(c)) : NULL;
}

/* All chains that ask one STS share a quota: an outage is not met by a storm. */
static struct retry_quota *quota_of(const struct creds *c)
{
	const char *name = sts_url(c);

	if (!name)
		name = c->role.region ? c->role.region : "";
	return retry_quotas_of(c->pool->quotas, name);
}

/* true: the retry timer runs. Standard mode of the SDKs: three attempts, if the quota has
 * tokens. */
static bool retry_later(struct creds *c, const struct err *e)
{
	static const struct retry_policy policy = RETRY_STANDARD;
	struct retry_quota *quota = quota_of(c);
	int64_t delay_ms;

	if (!retry_may(&policy, e->class, c->attempt))
		return false;
	if (quota) {
		c->retry_cost = retry_quota_take(quota, e->class);
		if (!c->retry_cost)
			return false;
	}
	delay_ms = retry_delay_ms(&policy, e->class, c->attempt, crypto_random_unit());
	c->attempt++;
	loop_timer_set(c->retry_timer, retry_asked_ms(delay_ms, e->retry_after_ms));
	return true;
}

static void tell_clock(struct creds *c)
{
	struct skew *skew = clock_of(c);
	struct err e;

	if (!skew || !skew_is_news(skew))
		return;
	err_set(&e, ERR_RETRY, ERR_FROM_STS, "clock", "%s", "");
	skew_say(sts_url(c), skew->us, e.text, sizeof(e.text));
	warn(c, CREDS_CLOCK_WRONG, &e);
}

static void on_assumed(void *arg, const struct err *e, const struct creds_set *set)
{
	struct creds *c = arg;
	struct err named;

	c->sts_call = NULL;
	tell_clock(c);
	if (!e) {
		if (quota_of(c))
			retry_quota_give(quota_of(c), c->retry_cost);
		fetch_succeeded(c, set);
		return;
	}
	if (replay_parent(c, e))
		return;
	if (retry_later(c, e))
		return;
	named = *e;
	if (named.class == ERR_AUTH)
		named.class = ERR_DENIED; /* a fresh session was refused too */
	c->failed_at = c;
	fetch_failed(c, &named);
}

/* The signer is a session of a role itself. */
static bool is_chained(const struct creds *c)
{
	return c->parent->hop || c->parent->provider->ops->is_role;
}

static void tell_cap(struct creds *c)
{
	struct err e;

	if (c->role.duration_s <= CHAINED_MAX_S || c->is_cap_told)
		return;
	c->is_cap_told = true;
	err_set(&e, ERR_CONFIG, ERR_FROM_CREDS, "duration-capped",
		"%.200s is assumed by a session of another role: its sessions last 3600 "
		"seconds, not %lld",
		c->role.role_arn, (long long)c->role.duration_s);
	warn(c, CREDS_DURATION_CAPPED, &e);
}

static const char *default_region(const struct creds *c)
{
	return c->pool->env->region ? c->pool->env->region : c->pool->region;
}

static void assume(struct creds *c, const struct creds_set *signer)
{
	struct creds_sts_request rq = {
		.role = &c->role,
		.signer = signer,
		.duration_max_s = is_chained(c) ? CHAINED_MAX_S : 0,
		.default_region = default_region(c),
		.default_endpoint_url = creds_env_sts_url(c->pool->env),
		.default_ca_bundle = c->pool->env->ca_bundle,
		.skew = clock_of(c),
		.now_us = wall_us(c),
	};

	if (is_chained(c))
		tell_cap(c);
	c->parent_generation = signer->generation;
	c->sts_call = creds_sts_assume(c->pool->loop, c->pool->http, &rq, on_assumed, c);
}

/* --- the region of STS, where nothing names it and the keys are an instance's --- */

static void *free_imds(void *arg)
{
	return imds_free(arg);
}

static void on_region(void *arg, const struct err *e, const struct fetch_answer *a)
{
	struct creds *c = arg;

	loop_bury(c->pool->loop, free_imds, MEM_STEAL(c->imds));
	/* What went wrong is told by STS's endpoint: the profile needs a region. */
	if (!e && a->status == 200 && a->len && a->len < 64)
		mem_replace(&c->pool->region, a->body);
	ask_parent(c);
}

static bool must_ask_region(const struct creds *c)
{
	return c->parent->hop == 0 && c->parent->base->kind == BASE_IMDS &&
	       !c->has_asked_region && !c->role.region && !c->role.endpoint_url &&
	       !creds_env_sts_url(c->pool->env) && !default_region(c);
}

static void ask_region(struct creds *c)
{
	const struct creds_base *base = c->parent->base;
	struct imds_options options = {base->imds_endpoint, base->imds_mode};

	c->has_asked_region = true;
	c->imds = imds_new(c->pool->loop, c->pool->http, &options);
	imds_get(c->imds, REGION_PATH, on_region, c);
}

static void on_parent(void *arg, const struct err *e, const struct creds_set *set)
{
	struct creds *c = arg;

	c->parent_wait = NULL;
	if (e) {
		c->failed_at = c->parent->failed_at;
		fetch_failed(c, e);
	} else if (must_ask_region(c)) {
		ask_region(c);
	} else {
		assume(c, set);
	}
}

static void ask_parent(struct creds *c)
{
	c->parent_wait = creds_get(c->parent, on_parent, c);
}

static void start_fetch(struct creds *c)
{
	c->attempt = 1;
	c->retry_cost = 0;
	c->has_replayed = false;
	c->has_asked_region = false;
	c->is_providing = c->hop == 0;
	if (c->is_providing)
		provider_start(c->provider, on_provided, c);
	else
		ask_parent(c);
}

void creds_stop_fetch(struct creds *c)
{
	if (c->parent_wait)
		creds_wait_cancel(c->parent_wait);
	c->parent_wait = NULL;
	c->imds = imds_free(c->imds);
	c->sts_call = creds_sts_cancel(c->sts_call);
	loop_timer_cancel(c->retry_timer);
	if (c->is_providing)
		provider_cancel(c->provider);
	c->is_providing = false;
}

void creds_get_stats(const struct creds *c, struct creds_stats *ret)
{
	*ret = c->stats;
	ret->expires_at_us = c->has_set ? c->set.expires_at_us : 0;
}
