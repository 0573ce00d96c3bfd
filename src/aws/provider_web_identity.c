/*
 * AssumeRoleWithWebIdentity: a token in a file, read anew for each call, becomes a
 * session of a role. The call itself is creds_sts's.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "aws/provider.h"
#include "aws/retry.h"
#include "aws/secret_file.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "net/loop.h"

#define TOKEN_MAX 20000 /* what STS takes */
#define TOKEN_MIN 4

struct provider_web_identity {
	struct provider base;
	const struct creds_env *env;
	struct skews *skews; /* NULL-able */
	struct creds_link role;
	char *token_file;
	struct creds_sts_call *call;
	struct loop_timer *timer;
	int attempt;
};

static void fail(struct provider_web_identity *p, const char *why)
{
	struct err e;

	err_set(&e, ERR_CONFIG, ERR_FROM_CREDS, "token-file",
		"web identity token file %.200s: %.100s", p->token_file, why);
	provider_done(&p->base, &e, NULL);
}

static void on_assumed(void *arg, const struct err *e, const struct creds_set *set)
{
	static const struct retry_policy policy = RETRY_STANDARD;
	struct provider_web_identity *p = arg;
	struct err expired;
	int64_t delay_ms;

	p->call = NULL;
	if (e && e->class == ERR_AUTH) {
		/* The file may hold a newer one by the next attempt. */
		expired = *e;
		expired.class = ERR_RETRY;
		e = &expired;
	}
	if (!e || !retry_may(&policy, e->class, p->attempt)) {
		provider_done(&p->base, e, set);
		return;
	}
	delay_ms = retry_delay_ms(&policy, e->class, p->attempt, crypto_random_unit());
	p->attempt++;
	loop_timer_set(p->timer, retry_asked_ms(delay_ms, e->retry_after_ms));
}

static const char *sts_url(const struct provider_web_identity *p)
{
	return p->role.endpoint_url ? p->role.endpoint_url : creds_env_sts_url(p->env);
}

static void ask(void *arg)
{
	struct provider_web_identity *p = arg;
	const char *why = NULL;
	size_t len = 0;
	char *token = secret_file_read(p->token_file, TOKEN_MAX + 1, &len, &why);
	struct creds_sts_request rq = {
		.role = &p->role,
		.web_token = token,
		.default_region = p->env->region,
		.default_endpoint_url = creds_env_sts_url(p->env),
		.default_ca_bundle = p->env->ca_bundle,
		.skew = p->skews ? skews_of(p->skews, sts_url(p)) : NULL,
		.now_us = clock_wall_us(loop_clock(p->base.loop)),
	};

	if (!token) {
		fail(p, why);
		return;
	}
	/* Editors end a file with a line end; no token does. */
	while (len && strchr(" \t\r\n", token[len - 1]))
		token[--len] = '\0';
	if (len < TOKEN_MIN || strlen(token) != len)
		fail(p, "it holds no token");
	else
		p->call = creds_sts_assume(
			p->base.loop, p->base.http, &rq, on_assumed, p);
	mem_wipe_free(token);
}

static void start(struct provider *base)
{
	struct provider_web_identity *p = CONTAINER_OF(
		base, struct provider_web_identity, base);

	p->attempt = 1;
	loop_timer_set(p->timer, 0);
}

static void cancel(struct provider *base)
{
	struct provider_web_identity *p = CONTAINER_OF(
		base, struct provider_web_identity, base);

	loop_timer_cancel(p->timer);
	p->call = creds_sts_cancel(p->call);
}

static void *free_one(struct provider *base)
{
	struct provider_web_identity *p = CONTAINER_OF(
		base, struct provider_web_identity, base);

	loop_timer_free(p->timer);
	creds_link_done(&p->role);
	free(p->token_file);
	free(p);
	return NULL;
}

static const struct provider_ops ops = {start, cancel, free_one, true, true};

struct provider *provider_web_identity_new(struct loop *loop, struct http *http,
	struct skews *skews, const struct creds_env *env, const struct creds_link *role,
	const char *token_file)
{
	struct provider_web_identity *p = mem_alloc(sizeof(*p));

	p->base = (struct provider){.ops = &ops, .loop = loop, .http = http};
	p->env = env;
	p->skews = skews;
	creds_link_copy(&p->role, role);
	p->token_file = mem_strdup(token_file);
	p->timer = loop_timer_new(loop, ask, p);
	return &p->base;
}
