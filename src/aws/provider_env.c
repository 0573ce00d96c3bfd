/*
 * AWS_* variables: taken once at start, and the keys among them as a provider. Nobody
 * else reads the environment for credentials.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/creds_impl.h"
#include "aws/provider.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/loop.h"

/* Secrets leave the environment block, where /proc/PID/environ would show them. */
static const struct {
	const char *name;
	size_t offset;
	bool is_secret;
} variables[] = {
	{"AWS_ACCESS_KEY_ID", offsetof(struct creds_env, access_key_id), true},
	{"AWS_SECRET_ACCESS_KEY", offsetof(struct creds_env, secret_access_key), true},
	{"AWS_SESSION_TOKEN", offsetof(struct creds_env, session_token), true},
	{"AWS_SECURITY_TOKEN", offsetof(struct creds_env, session_token), true},
	{"AWS_ACCOUNT_ID", offsetof(struct creds_env, account), false},
	{"AWS_CREDENTIAL_EXPIRATION", offsetof(struct creds_env, expiration), false},
	{"AWS_REGION", offsetof(struct creds_env, region), false},
	{"AWS_DEFAULT_REGION", offsetof(struct creds_env, region), false},
	{"AWS_ENDPOINT_URL_S3", offsetof(struct creds_env, s3_endpoint_url), false},
	{"AWS_ENDPOINT_URL_STS", offsetof(struct creds_env, sts_endpoint_url), false},
	{"AWS_ENDPOINT_URL", offsetof(struct creds_env, endpoint_url), false},
	{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
		offsetof(struct creds_env, ignore_endpoint_urls), false},
	{"AWS_CA_BUNDLE", offsetof(struct creds_env, ca_bundle), false},
	{"AWS_USE_FIPS_ENDPOINT", offsetof(struct creds_env, use_fips), false},
	{"AWS_USE_DUALSTACK_ENDPOINT", offsetof(struct creds_env, use_dual_stack), false},
	{"AWS_S3_USE_ARN_REGION", offsetof(struct creds_env, use_arn_region), false},
	/* A password may stand in them. HTTP_PROXY may come from a client of a CGI. */
	{"https_proxy", offsetof(struct creds_env, https_proxy), true},
	{"HTTPS_PROXY", offsetof(struct creds_env, https_proxy), true},
	{"http_proxy", offsetof(struct creds_env, http_proxy), true},
	{"no_proxy", offsetof(struct creds_env, no_proxy), false},
	{"NO_PROXY", offsetof(struct creds_env, no_proxy), false},
	{"AWS_PROFILE", offsetof(struct creds_env, profile), false},
	{"AWS_CONFIG_FILE", offsetof(struct creds_env, config_file), false},
	{"AWS_SHARED_CREDENTIALS_FILE", offsetof(struct creds_env, credentials_file),
		false},
	{"AWS_WEB_IDENTITY_TOKEN_FILE", offsetof(struct creds_env, web_token_file),
		false},
	{"AWS_ROLE_ARN", offsetof(struct creds_env, role_arn), false},
	{"AWS_ROLE_SESSION_NAME", offsetof(struct creds_env, role_session_name), false},
	{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		offsetof(struct creds_env, container_relative_uri), false},
	{"AWS_CONTAINER_CREDENTIALS_FULL_URI",
		offsetof(struct creds_env, container_full_uri), false},
	{"AWS_CONTAINER_AUTHORIZATION_TOKEN", offsetof(struct creds_env, container_token),
		true},
	{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		offsetof(struct creds_env, container_token_file), false},
	{"AWS_EC2_METADATA_DISABLED", offsetof(struct creds_env, imds_disabled), false},
	{"AWS_EC2_METADATA_SERVICE_ENDPOINT", offsetof(struct creds_env, imds_endpoint),
		false},
	{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", offsetof(struct creds_env, imds_mode),
		false},
	{"AWS_EC2_INSTANCE_PROFILE_NAME", offsetof(struct creds_env, imds_role), false},
	{"HOME", offsetof(struct creds_env, home), false},
};

static char **field_of(struct creds_env *e, size_t i)
{
	return (char **)((char *)e + variables[i].offset);
}

struct creds_env *creds_env_take(void)
{
	struct creds_env *e = mem_alloc(sizeof(*e));

	/* Where two names share a field, the first that is set wins. */
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		char *value = getenv(variables[i].name), **field = field_of(e, i);

		if (!value || !*value)
			continue;
		if (!*field)
			*field = variables[i].is_secret ? mem_secret_strdup(value)
						       : mem_strdup(value);
		if (variables[i].is_secret) {
			mem_wipe(value, strlen(value));
			unsetenv(variables[i].name);
		}
	}
	return e;
}

void *creds_env_free(struct creds_env *e)
{
	if (!e)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		char **field = field_of(e, i);

		/* Two names may share it. */
		*field = variables[i].is_secret ? mem_secret_free(*field)
						: mem_wipe_free(*field);
	}
	free(e);
	return NULL;
}

const char *creds_env_sts_url(const struct creds_env *e)
{
	if (e->ignore_endpoint_urls && strcasecmp(e->ignore_endpoint_urls, "true") == 0)
		return NULL;
	return e->sts_endpoint_url ? e->sts_endpoint_url : e->endpoint_url;
}

void creds_env_get_proxies(const struct creds_env *e, const char **ret_https,
	const char **ret_http, const char **ret_none)
{
	*ret_https = e->https_proxy;
	*ret_http = e->http_proxy;
	*ret_none = e->no_proxy;
}

void creds_env_keys(const struct creds_env *e, struct creds_set *set, struct err *ret)
{
	int64_t seconds;

	ret->class = ERR_OK;
	*set = (struct creds_set){.expires_at_us = CREDS_NEVER};
	if (!e->access_key_id || !e->secret_access_key)
		err_set(ret, ERR_CONFIG, ERR_FROM_CREDS, "environment",
			"the environment has only one of AWS_ACCESS_KEY_ID and "
			"AWS_SECRET_ACCESS_KEY");
	else if (!provider_fill_keys(
			 set, e->access_key_id, e->secret_access_key, e->session_token))
		err_set(ret, ERR_CONFIG, ERR_FROM_CREDS, "credentials-too-long",
			"the access keys are too long to be keys");
	provider_fill_account(set, e->account);
	if (!e->expiration)
		return;
	if (clock_parse_iso(e->expiration, &seconds) < 0)
		err_set(ret, ERR_CONFIG, ERR_FROM_CREDS, "environment",
			"AWS_CREDENTIAL_EXPIRATION is no RFC 3339 time");
	else
		set->expires_at_us = seconds * USEC_PER_SEC;
}

/* --- the provider --- */

struct provider_env {
	struct provider base;
	const struct creds_env *env;
};

static void tell(void *arg)
{
	struct provider_env *p = arg;
	struct creds_set set;
	struct err e;

	creds_env_keys(p->env, &set, &e);
	if (e.class == ERR_OK &&
		set.expires_at_us <= clock_wall_us(loop_clock(p->base.loop)))
		err_set(&e, ERR_CONFIG, ERR_FROM_CREDS, "expired",
			"the credentials of the environment have expired; start the "
			"daemon "
			"with new ones, or with a source that renews itself");
	provider_done(&p->base, e.class == ERR_OK ? NULL : &e, &set);
	creds_set_wipe(&set);
}

static void start(struct provider *p)
{
	loop_defer(p->loop, tell, p);
}

static void cancel(struct provider *p)
{
	loop_undefer(p->loop, p);
}

static void *free_one(struct provider *p)
{
	free(p);
	return NULL;
}

static const struct provider_ops ops = {start, cancel, free_one, false, false};

struct provider *provider_env_new(struct loop *loop, const struct creds_env *env)
{
	struct provider_env *p = mem_alloc(sizeof(*p));

	p->base = (struct provider){.ops = &ops, .loop = loop};
	p->env = env;
	return &p->base;
}
