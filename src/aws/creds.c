/*
 * Cached sets, their windows, waiters and single flight. Not where a set comes from:
 * creds_base finds the first identity, creds_sts assumes a role.
 */
#include "config.h"

#include "aws/creds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"

#define MINUTE_US    (60 * USEC_PER_SEC)
#define STS_ATTEMPTS 3
#define KEY_SIZE     (2 * CRYPTO_SHA256_LEN + 1)

struct creds_wait {
	struct list link;
	struct creds *creds;
	creds_fn fn;
	void *arg;
};

static void pump(void *arg);
static void start_fetch(struct creds *c);
static void on_parent(void *arg, const struct err *e, const struct creds_set *set);

void creds_set_wipe(struct creds_set *set)
{
	mem_wipe(set, sizeof(*set));
}

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

enum freshness {
	FRESH,
	ADVISORY,  /* serve it, and refresh behind */
	MANDATORY, /* wait for a new one */
};

static enum freshness freshness(const struct creds *c)
{
	int64_t left;

	if (!c->has_set || c->is_invalid)
		return MANDATORY;
	if (c->set.expires_at_us == CREDS_NEVER)
		return FRESH;
	left = c->set.expires_at_us - wall_us(c);
	if (left <= mandatory_us(c))
		return MANDATORY;
	return left <= advisory_us(c) ? ADVISORY : FRESH;
}

/* --- waiters --- */

static void schedule_pump(struct creds *c)
{
	if (c->is_pumping)
		return;
	c->is_pumping = true;
	loop_defer(c->pool->loop, pump, c);
}

/* "hop 1 of 2 (arn:...)": which link failed is known below, how many there are, here. */
static void name_hop(const struct creds *c, const struct err *e, struct err *ret)
{
	*ret = *e;
	if (c->failed_at && c->failed_at->hop)
		snprintf(ret->text, sizeof(ret->text), "hop %d of %d (%.110s): %.371s",
			c->failed_at->hop, c->hop, c->failed_at->role.role_arn, e->text);
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
	return c->parent_wait || c->sts_call || loop_timer_is_set(c->retry_timer);
}

static void pump(void *arg)
{
	struct creds *c = arg;
	int64_t now = wall_us(c);
	enum freshness f = freshness(c);
	bool may_hold = c->has_set && now < c->hold_until_us;

	c->is_pumping = false;
	if (list_is_empty(&c->waiters))
		return;
	if (c->hop == 0) {
		serve(c, c->base_err.class == ERR_OK ? NULL : &c->base_err);
		return;
	}
	if (f == MANDATORY && !may_hold) {
		if (is_fetching(c))
			return;
		if (c->last_err.class != ERR_OK && now < c->last_err_until_us)
			serve(c, &c->last_err);
		else
			start_fetch(c);
		return;
	}
	if (f == ADVISORY && now >= c->hold_until_us && !is_fetching(c))
		start_fetch(c);
	serve(c, NULL);
}

void creds_invalidate(struct creds *c, uint64_t generation)
{
	if (c->hop == 0 || !c->has_set || c->set.generation != generation)
		return;
	c->is_invalid = true;
	/* A short session has no time to wait for; a long one's back-off holds. */
	if (life_us(c) < 10 * MINUTE_US)
		c->hold_until_us = 0;
}

/* --- fetching a role --- */

/* Long sessions: 300 to 600 s; short ones: at most a quarter of what is left. */
static int64_t hold_us(const struct creds *c, int64_t now)
{
	int64_t hold = (int64_t)((5 + 5 * crypto_random_unit()) * MINUTE_US);
	int64_t quarter = (c->set.expires_at_us - now) / 4;

	if (life_us(c) >= 10 * MINUTE_US)
		return hold;
	return quarter > 0 && quarter < hold ? quarter : 0;
}

/* No retry mends it: the role, its policy or the configuration says no. */
static bool is_final(const struct err *e)
{
	return e->class == ERR_DENIED || e->class == ERR_CONFIG || e->class == ERR_NOTFOUND ||
	       e->class == ERR_FATAL;
}

/*
 * A set in hand goes on serving, even past its end when STS cannot be reached: S3 has the
 * last word. After a final answer it serves as long as it is valid, and no longer.
 */
static bool can_go_on(const struct creds *c, const struct err *e, int64_t now)
{
	if (!c->has_set)
		return false;
	return !is_final(e) || (!c->is_invalid && now < c->set.expires_at_us);
}

static void fetch_failed(struct creds *c, const struct err *e)
{
	int64_t now = wall_us(c);
	struct err named;

	c->stats.failures++;
	if (can_go_on(c, e, now)) {
		c->has_failed = true;
		c->hold_until_us = now + hold_us(c, now);
		if (is_final(e) && c->hold_until_us > c->set.expires_at_us)
			c->hold_until_us = c->set.expires_at_us;
		name_hop(c, e, &named);
		if (c->pool->warn)
			c->pool->warn(c->pool->warn_arg, c->label, &named, false);
		serve(c, NULL);
		return;
	}
	named = *e;
	c->last_err = named;
	c->last_err_until_us = now;
	if (is_final(e))
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
	if (c->has_failed && c->pool->warn)
		c->pool->warn(c->pool->warn_arg, c->label, NULL, true);
	c->has_failed = false;
	serve(c, NULL);
}

static void ask_parent(struct creds *c);

static void on_retry(void *arg)
{
	ask_parent(arg);
}

static void on_assumed(void *arg, const struct err *e, const struct creds_set *set)
{
	struct creds *c = arg;
	struct err named;

	c->sts_call = NULL;
	if (!e) {
		fetch_succeeded(c, set);
		return;
	}
	/* Base keys do not get better by asking again. */
	if (e->class == ERR_AUTH && !c->has_replayed && c->parent->hop) {
		c->has_replayed = true;
		creds_invalidate(c->parent, c->parent_generation);
		ask_parent(c);
		return;
	}
	if (err_is_transient(e) && c->attempt < STS_ATTEMPTS) {
		int64_t base_ms = e->class == ERR_THROTTLE ? 1000 : 50;

		loop_timer_set(c->retry_timer, (int64_t)(crypto_random_unit() *
						       (double)(base_ms << c->attempt)));
		c->attempt++;
		return;
	}
	named = *e;
	if (named.class == ERR_AUTH)
		named.class = ERR_DENIED; /* a fresh session was refused too */
	c->failed_at = c;
	fetch_failed(c, &named);
}

static void on_parent(void *arg, const struct err *e, const struct creds_set *set)
{
	struct creds *c = arg;
	struct creds_sts_request rq = {
		.role = &c->role,
		.signer = set,
		.default_region = c->pool->env->region,
		.default_endpoint_url = c->pool->env->sts_endpoint_url,
		.now_us = wall_us(c),
	};

	c->parent_wait = NULL;
	if (e) {
		c->failed_at = c->parent->failed_at;
		fetch_failed(c, e);
		return;
	}
	c->parent_generation = set->generation;
	c->sts_call = creds_sts_assume(c->pool->loop, c->pool->http, &rq, on_assumed, c);
}

static void ask_parent(struct creds *c)
{
	c->parent_wait = creds_get(c->parent, on_parent, c);
}

static void start_fetch(struct creds *c)
{
	c->attempt = 1;
	c->has_replayed = false;
	ask_parent(c);
}

/* --- the pool --- */

struct creds_pool *creds_pool_new(
	struct loop *loop, struct http *http, const struct creds_env *env)
{
	struct creds_pool *pool = mem_alloc(sizeof(*pool));

	pool->loop = loop;
	pool->http = http;
	pool->env = env;
	list_init(&pool->all);
	return pool;
}

void creds_pool_on_warning(struct creds_pool *pool, creds_warn_fn fn, void *arg)
{
	pool->warn = fn;
	pool->warn_arg = arg;
}

static void creds_free(struct creds *c)
{
	struct creds_wait *w, *tmp;

	list_remove(&c->link);
	loop_undefer(c->pool->loop, c);
	if (c->parent_wait)
		creds_wait_cancel(c->parent_wait);
	creds_sts_cancel(c->sts_call);
	loop_timer_free(c->retry_timer);
	LIST_FOREACH_SAFE (w, tmp, &c->waiters, link)
		creds_wait_cancel(w);
	if (c->parent)
		creds_release(c->parent);
	creds_link_done(&c->role);
	creds_set_wipe(&c->set);
	free(c->key);
	free(c->label);
	free(c);
}

/* Unused sets stay for the next run while they live; a base is read anew. */
static void sweep(struct creds_pool *pool, bool is_all)
{
	struct creds *c, *tmp;
	bool again = true;

	while (again) {
		again = false;
		LIST_FOREACH_SAFE (c, tmp, &pool->all, link) {
			if (c->refs || (!is_all && freshness(c) != MANDATORY && c->hop))
				continue;
			creds_free(c); /* may leave its parent unused */
			again = true;
			break;
		}
	}
}

void *creds_pool_free(struct creds_pool *pool)
{
	if (!pool)
		return NULL;
	sweep(pool, true);
	free(pool);
	return NULL;
}

void *creds_release(struct creds *c)
{
	if (c && c->refs)
		c->refs--;
	return NULL;
}

static struct creds *find(struct creds_pool *pool, const char *key)
{
	struct creds *c;

	LIST_FOREACH (c, &pool->all, link) {
		if (strcmp(c->key, key) == 0) {
			c->refs++;
			return c;
		}
	}
	return NULL;
}

static struct creds *add(struct creds_pool *pool, const char *key, const char *label)
{
	struct creds *c = mem_alloc(sizeof(*c));

	c->pool = pool;
	c->refs = 1;
	c->key = mem_strdup(key);
	c->label = mem_strdup(label);
	c->retry_timer = loop_timer_new(pool->loop, on_retry, c);
	list_init(&c->waiters);
	list_append(&pool->all, &c->link);
	return c;
}

static void copy_role(struct creds_link *to, const struct creds_role *from)
{
	*to = (struct creds_link){
		.role_arn = mem_strdup(from->role_arn),
		.external_id = mem_strdup(from->external_id),
		.session_name = mem_strdup(from->role_session_name),
		.region = mem_strdup(from->region),
		.endpoint_url = mem_strdup(from->endpoint_url),
		.ca_bundle = mem_strdup(from->ca_bundle),
		.duration_s = from->duration_s,
	};
}

/*
 * A link's key is a digest of the key below it and of all that makes the link, each with
 * its length: no value can pretend to be two, and no chain is too long for it.
 */
static void key_add(struct crypto_hash *h, const char *value)
{
	uint64_t len = value ? strlen(value) : UINT64_MAX;

	crypto_hash_update(h, &len, sizeof(len));
	if (value)
		crypto_hash_update(h, value, strlen(value));
}

static void key_end(struct crypto_hash *h, char key[KEY_SIZE])
{
	uint8_t digest[CRYPTO_SHA256_LEN];

	crypto_hash_final(h, digest);
	crypto_hash_free(h);
	str_to_hex(digest, sizeof(digest), key);
}

/* Rotated keys make another base, so that the old sessions are not reused. */
static void base_key(const struct creds_base_spec *spec, const struct creds_base *base,
	char key[KEY_SIZE])
{
	struct crypto_hash *h = crypto_hash_new(CRYPTO_SHA256);

	key_add(h, spec->profile);
	key_add(h, base->set.access_key_id);
	key_add(h, base->set.secret_access_key);
	key_add(h, base->set.session_token);
	key_add(h, base->err.text);
	key_end(h, key);
}

static void role_key(const struct creds_role *r, char key[KEY_SIZE])
{
	struct crypto_hash *h = crypto_hash_new(CRYPTO_SHA256);

	key_add(h, key);
	key_add(h, r->role_arn);
	key_add(h, r->external_id);
	key_add(h, r->role_session_name);
	key_add(h, r->region);
	key_add(h, r->endpoint_url);
	key_add(h, r->ca_bundle);
	crypto_hash_update(h, &r->duration_s, sizeof(r->duration_s));
	key_end(h, key);
}

static struct creds *open_base(struct creds_pool *pool, const struct creds_base *base,
	const char *key, const char *label)
{
	struct creds *c = find(pool, key);

	if (c)
		return c;
	c = add(pool, key, label);
	c->base_err = base->err;
	c->set = base->set;
	c->set.generation = 1;
	c->has_set = true;
	return c;
}

static struct creds *open_link(struct creds *parent, const struct creds_role *role,
	const char *key, const char *label)
{
	struct creds *c = find(parent->pool, key);

	if (c) {
		creds_release(parent);
		return c;
	}
	c = add(parent->pool, key, label);
	c->parent = parent;
	c->hop = parent->hop + 1;
	copy_role(&c->role, role);
	return c;
}

static struct creds_role role_of(const struct creds_link *l)
{
	return (struct creds_role){l->role_arn, l->external_id, l->session_name,
		l->duration_s, l->region, l->endpoint_url, l->ca_bundle};
}

struct creds *creds_open(struct creds_pool *pool, const struct creds_base_spec *spec,
	const struct creds_role *roles, int count, const char *label)
{
	struct creds_base base;
	struct creds *c;
	char key[KEY_SIZE];

	sweep(pool, false);
	creds_base_find(pool->env, spec, &base);
	base_key(spec, &base, key);
	c = open_base(pool, &base, key, label);
	for (int i = 0; i < base.role_count; i++) {
		struct creds_role role = role_of(&base.roles[i]);

		role_key(&role, key);
		c = open_link(c, &role, key, label);
	}
	for (int i = 0; i < count; i++) {
		role_key(&roles[i], key);
		c = open_link(c, &roles[i], key, label);
	}
	creds_base_done(&base);
	return c;
}

void creds_get_stats(const struct creds *c, struct creds_stats *ret)
{
	*ret = c->stats;
	ret->expires_at_us = c->has_set ? c->set.expires_at_us : 0;
}
