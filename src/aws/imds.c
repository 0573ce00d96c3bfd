/*
 * Token, GET, attempts. Roles and keys are provider_imds's, the region is creds's.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 */
#include "config.h"

#include "aws/imds.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/creds_impl.h"
#include "aws/fetch.h"
#include "aws/profile.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/http.h"
#include "net/loop.h"

#define TIMEOUT_MS    1000
#define ANSWER_MAX    65535
#define TOKEN_MAX     1024
#define TOKEN_TTL_S   21600
#define TOKEN_EARLY_S 120 /* renewed this long before its end */
#define BACKOFF_MS    100

struct imds {
	struct loop *loop;
	struct http *http;
	char *base_url; /* NULL: bad_url says why */
	const char *bad_url;
	int attempts, attempt;
	bool is_probing; /* nothing has answered yet */
	char *token;
	int64_t token_until_us; /* monotonic */

	/* the GET under way */
	char *path;
	imds_fn fn;
	void *arg;
	struct fetch *fetch;
	struct loop_timer *timer;
	bool is_asked_again;
};

static void ask_token(struct imds *m);
static void ask_path(struct imds *m);

/* --- options --- */

static void fill(const char **field, const char *env, const struct profiles *profiles,
	const char *name, const char *key)
{
	if (!*field)
		*field = env;
	if (!*field && profiles && name)
		*field = profiles_get(profiles, name, key);
}

void imds_options_fill(struct imds_options *o, const struct creds_env *env,
	const struct profiles *profiles, const char *name)
{
	fill(&o->endpoint, env->imds_endpoint, profiles, name,
		"ec2_metadata_service_endpoint");
	fill(&o->mode, env->imds_mode, profiles, name,
		"ec2_metadata_service_endpoint_mode");
	fill(&o->role, env->imds_role, profiles, name, "ec2_instance_profile_name");
}

bool imds_is_disabled(const struct creds_env *env)
{
	return env->imds_disabled && strcasecmp(env->imds_disabled, "true") == 0;
}

char *imds_base_url(const struct imds_options *o, const char **ret_why)
{
	const char *host = o->endpoint ? strstr(o->endpoint, "://") : NULL;
	size_t n = o->endpoint ? strlen(o->endpoint) : 0;

	if (o->endpoint) {
		*ret_why = "AWS_EC2_METADATA_SERVICE_ENDPOINT is not the URL of a host";
		if (!host || !host[3] || strchr("/:?#", host[3]) ||
			strpbrk(o->endpoint, " \t\r\n\"<>\\^`{|}@?#") ||
			(!str_has_prefix(o->endpoint, "http://") &&
				!str_has_prefix(o->endpoint, "https://")))
			return NULL;
		while (n && o->endpoint[n - 1] == '/')
			n--;
		return mem_strndup(o->endpoint, n);
	}
	*ret_why = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is neither IPv4 nor IPv6";
	if (!o->mode || strcasecmp(o->mode, "IPv4") == 0)
		return mem_strdup("http://169.254.169.254");
	return strcasecmp(o->mode, "IPv6") == 0 ? mem_strdup("http://[fd00:ec2::254]")
						: NULL;
}

/* --- ends --- */

static void finish(struct imds *m, const struct err *e, const struct fetch_answer *answer)
{
	m->is_asked_again = false;
	m->fn(m->arg, e, answer);
	if (m->is_asked_again)
		loop_timer_set(m->timer,
			(int64_t)(crypto_random_unit() * (BACKOFF_MS << m->attempt)));
}

static void refuse(
	struct imds *m, enum err_class class, const char *code, const char *text)
{
	struct err e;

	err_set(&e, class, ERR_FROM_CREDS, code, "instance metadata: %s", text);
	finish(m, &e, NULL);
}

static bool take_attempt(struct imds *m)
{
	if (m->attempt >= m->attempts)
		return false;
	m->attempt++;
	return true;
}

/* false: it is final. */
static bool try_later(struct imds *m)
{
	if (!take_attempt(m))
		return false;
	loop_timer_set(
		m->timer, (int64_t)(crypto_random_unit() * (BACKOFF_MS << m->attempt)));
	return true;
}

static bool is_timeout(const struct err *e)
{
	return strcmp(e->code, "connect") == 0 || strcmp(e->code, "stall") == 0;
}

/* A connection that broke is tried again, a silent one is not: nobody is there. */
static void on_net(struct imds *m, const struct err *net, const char *hint)
{
	struct err e;

	if (err_is_transient(net) && !is_timeout(net) && !m->is_probing && try_later(m))
		return;
	err_set(&e, net->class, net->origin, net->code, "instance metadata: %.300s%s",
		net->text, hint);
	finish(m, &e, NULL);
}

static bool is_worth_repeating(int status)
{
	return status >= 500 || status == 401 || status == 429;
}

/* --- the token --- */

static bool is_token(const char *body, size_t len)
{
	if (!len || len > TOKEN_MAX || strlen(body) != len)
		return false;
	for (; *body; body++) {
		if (*body <= ' ' || *body > '~')
			return false;
	}
	return true;
}

static void keep_token(struct imds *m, const struct fetch_answer *a)
{
	const char *told = http_header(a->head, "x-aws-ec2-metadata-token-ttl-seconds");
	uint64_t ttl_s = TOKEN_TTL_S;

	if (told)
		str_to_uint(told, TOKEN_TTL_S, &ttl_s);
	m->token = mem_strndup(a->body, a->len);
	m->token_until_us = clock_mono_us(loop_clock(m->loop)) +
			    ((int64_t)ttl_s - TOKEN_EARLY_S) * USEC_PER_SEC;
}

static void on_token(void *arg, const struct err *e, const struct fetch_answer *a)
{
	struct imds *m = arg;
	char text[120];

	m->fetch = NULL;
	if (e) {
		on_net(m, e,
			is_timeout(e)
				? "; in a container, hop limit 2 is needed: aws ec2 "
				  "modify-instance-metadata-options "
				  "--http-put-response-hop-limit 2"
				: "");
		return;
	}
	m->is_probing = false;
	if (a->status == 200 && is_token(a->body, a->len)) {
		keep_token(m, a);
		m->attempt = 1;
		ask_path(m);
		return;
	}
	if ((a->status == 200 || is_worth_repeating(a->status)) && try_later(m))
		return;
	snprintf(text, sizeof(text),
		a->status == 403 ? "IMDS is disabled for this instance (status %d)"
				 : "no token of IMDSv2 was given (status %d)",
		a->status);
	refuse(m, is_worth_repeating(a->status) ? ERR_RETRY : ERR_CONFIG, "imds-token",
		text);
}

static void ask_token(struct imds *m)
{
	_cleanup_free_ char *url = mem_printf("%s/latest/api/token", m->base_url);
	const char *headers[] = {"x-aws-ec2-metadata-token-ttl-seconds: 21600", NULL};
	struct fetch_request rq = {
		"PUT", url, headers, TIMEOUT_MS, TIMEOUT_MS, ANSWER_MAX};

	m->fetch = fetch_start(m->loop, m->http, &rq, on_token, m);
}

static void forget_token(struct imds *m)
{
	mem_wipe_free(m->token);
	m->token = NULL;
}

/* --- the path --- */

static void on_answer(void *arg, const struct err *e, const struct fetch_answer *a)
{
	struct imds *m = arg;
	char text[120];

	m->fetch = NULL;
	if (e) {
		on_net(m, e, "");
		return;
	}
	if (a->status == 401)
		forget_token(m);
	if (!is_worth_repeating(a->status)) {
		finish(m, NULL, a);
		return;
	}
	if (try_later(m))
		return;
	snprintf(text, sizeof(text), "it answered with status %d", a->status);
	refuse(m, ERR_RETRY, "imds-status", text);
}

static void ask_path(struct imds *m)
{
	_cleanup_free_ char *url = mem_printf("%s%s", m->base_url, m->path);
	char *token = mem_printf("x-aws-ec2-metadata-token: %s", m->token);
	const char *headers[] = {token, NULL};
	struct fetch_request rq = {
		"GET", url, headers, TIMEOUT_MS, TIMEOUT_MS, ANSWER_MAX};

	m->fetch = fetch_start(m->loop, m->http, &rq, on_answer, m);
	mem_wipe_free(token);
}

static void ask(void *arg)
{
	struct imds *m = arg;

	if (!m->base_url) {
		refuse(m, ERR_CONFIG, "imds-endpoint", m->bad_url);
		return;
	}
	if (m->token && clock_mono_us(loop_clock(m->loop)) >= m->token_until_us)
		forget_token(m);
	if (m->token)
		ask_path(m);
	else
		ask_token(m);
}

void imds_get(struct imds *m, const char *path, imds_fn fn, void *arg)
{
	m->fn = fn;
	m->arg = arg;
	m->attempt = 1;
	mem_replace(&m->path, path);
	loop_timer_set(m->timer, 0);
}

bool imds_get_again(struct imds *m)
{
	m->is_asked_again = take_attempt(m);
	return m->is_asked_again;
}

void imds_cancel(struct imds *m)
{
	loop_timer_cancel(m->timer);
	if (m->fetch)
		fetch_cancel(m->fetch);
	m->fetch = NULL;
}

struct imds *imds_new(
	struct loop *loop, struct http *http, const struct imds_options *options)
{
	struct imds *m = mem_alloc(sizeof(*m));

	m->loop = loop;
	m->http = http;
	m->base_url = imds_base_url(options, &m->bad_url);
	m->attempts = options->attempts ? options->attempts : IMDS_ATTEMPTS;
	m->is_probing = options->is_probing;
	m->timer = loop_timer_new(loop, ask, m);
	return m;
}

void *imds_free(struct imds *m)
{
	if (!m)
		return NULL;
	imds_cancel(m);
	loop_timer_free(m->timer);
	forget_token(m);
	free(m->base_url);
	free(m->path);
	free(m);
	return NULL;
}
