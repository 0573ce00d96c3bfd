/*
 * The pool of chains: which are equal and shared, how one is opened, when it goes. Not
 * when a set is fetched (creds).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "aws/provider.h"
#include "aws/retry.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"

#define KEY_SIZE (2 * CRYPTO_SHA256_LEN + 1)

struct creds_pool *creds_pool_new(
	struct loop *loop, struct http *http, const struct creds_env *env)
{
	struct creds_pool *pool = mem_alloc(sizeof(*pool));

	pool->loop = loop;
	pool->http = http;
	pool->env = env;
	pool->quotas = retry_quotas_new();
	list_init(&pool->all);
	return pool;
}

void creds_pool_use_clocks(struct creds_pool *pool, struct skews *skews)
{
	pool->skews = skews;
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
	creds_stop_fetch(c);
	loop_timer_free(c->retry_timer);
	LIST_FOREACH_SAFE (w, tmp, &c->waiters, link)
		creds_wait_cancel(w);
	if (c->parent)
		creds_release(c->parent);
	provider_free(c->provider);
	if (c->base)
		creds_base_done(c->base);
	mem_secret_free(c->base);
	creds_link_done(&c->role);
	creds_set_wipe(&c->set);
	free(c->key);
	free(c->label);
	mem_secret_free(c);
}

/* A base whose keys have no end is read anew: somebody may have rotated them. */
static bool is_worth_keeping(const struct creds *c)
{
	return creds_freshness(c) != CREDS_MANDATORY &&
	       (c->hop || c->set.expires_at_us != CREDS_NEVER);
}

/* Unused sets stay for the next run while they live; a base is read anew. */
static void sweep(struct creds_pool *pool, bool is_all)
{
	struct creds *c, *tmp;
	bool again = true;

	while (again) {
		again = false;
		LIST_FOREACH_SAFE (c, tmp, &pool->all, link) {
			if (c->refs || (!is_all && is_worth_keeping(c)))
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
	retry_quotas_free(pool->quotas);
	free(pool->region);
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
	struct creds *c = mem_secret_alloc(sizeof(*c));

	c->pool = pool;
	c->refs = 1;
	c->key = mem_strdup(key);
	c->label = mem_strdup(label);
	c->retry_timer = loop_timer_new(pool->loop, creds_on_retry, c);
	list_init(&c->waiters);
	list_append(&pool->all, &c->link);
	return c;
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

static void link_add(struct crypto_hash *h, const struct creds_link *l)
{
	key_add(h, l->role_arn);
	key_add(h, l->external_id);
	key_add(h, l->session_name);
	key_add(h, l->region);
	key_add(h, l->endpoint_url);
	key_add(h, l->ca_bundle);
	key_add(h, l->extra);
	crypto_hash_update(h, &l->use_fips, sizeof(l->use_fips));
	crypto_hash_update(h, &l->use_dual_stack, sizeof(l->use_dual_stack));
	crypto_hash_update(h, &l->duration_s, sizeof(l->duration_s));
}

/* Rotated keys make another base, so that the old sessions are not reused. */
static void base_key(const struct creds_base_spec *spec, const struct creds_base *base,
	char key[KEY_SIZE])
{
	struct crypto_hash *h = crypto_hash_new(CRYPTO_SHA256);

	crypto_hash_update(h, &base->kind, sizeof(base->kind));
	key_add(h, spec->profile);
	key_add(h, base->set.access_key_id);
	key_add(h, base->set.secret_access_key);
	key_add(h, base->set.session_token);
	key_add(h, base->command);
	key_add(h, base->account);
	key_add(h, base->web_token_file);
	link_add(h, &base->web);
	key_add(h, base->imds_endpoint);
	key_add(h, base->imds_mode);
	key_add(h, base->imds_role);
	key_add(h, base->err.text);
	key_end(h, key);
}

static void role_key(const struct creds_link *l, char key[KEY_SIZE])
{
	struct crypto_hash *h = crypto_hash_new(CRYPTO_SHA256);

	key_add(h, key);
	link_add(h, l);
	key_end(h, key);
}

/* Takes what *base owns. */
static struct creds *open_base(struct creds_pool *pool, struct creds_base *base,
	const char *key, const char *label)
{
	struct creds *c = find(pool, key);

	if (c) {
		creds_base_done(base);
		return c;
	}
	c = add(pool, key, label);
	c->provider = creds_base_open(
		base, pool->loop, pool->http, pool->skews, pool->env);
	c->base = mem_secret_alloc(sizeof(*c->base));
	*c->base = *base;
	return c;
}

static struct creds *open_link(
	struct creds *parent, const struct creds_link *role, const char *label)
{
	char key[KEY_SIZE];
	struct creds *c;

	snprintf(key, sizeof(key), "%s", parent->key);
	role_key(role, key);
	c = find(parent->pool, key);
	if (c) {
		creds_release(parent);
		return c;
	}
	c = add(parent->pool, key, label);
	c->parent = parent;
	c->hop = parent->hop + 1;
	creds_link_copy(&c->role, role);
	return c;
}

static struct creds *open_role(
	struct creds *parent, const struct creds_role *role, const char *label)
{
	struct creds_link link;
	struct creds *c;

	creds_link_of(&link, role);
	c = open_link(parent, &link, label);
	creds_link_done(&link);
	return c;
}

struct creds *creds_open(struct creds_pool *pool, const struct creds_base_spec *spec,
	const struct creds_role *roles, int count, const char *label)
{
	struct creds_base *base = mem_secret_alloc(sizeof(*base));
	struct creds_link *links;
	int link_count;
	struct creds *c;
	char key[KEY_SIZE];

	sweep(pool, false);
	creds_base_find(pool->env, spec, base);
	links = MEM_STEAL(base->roles);
	link_count = base->role_count;
	base->role_count = 0;
	base_key(spec, base, key);
	c = open_base(pool, base, key, label);
	mem_secret_free(base);
	for (int i = 0; i < link_count; i++) {
		c = open_link(c, &links[i], label);
		creds_link_done(&links[i]);
	}
	free(links);
	for (int i = 0; i < count; i++)
		c = open_role(c, &roles[i], label);
	return c;
}
