/*
 * A profile of the AWS CLI's files to its base and the roles on top: aws-client.md,
 * section 4. Pure: nobody is asked here.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/creds_impl.h"
#include "aws/imds.h"
#include "aws/profile.h"
#include "aws/provider.h"
#include "aws/settings.h"
#include "base/mem.h"
#include "base/str.h"

#define CHAINED_DURATION_MAX 3600 /* what STS grants a role assumed by a role */

/* key: the one at fault, "" for the profile as a whole; where it stands is told. */
static void refuse(struct creds_base *base, const struct profiles *p, const char *profile,
	const char *key, const char *what)
{
	_cleanup_free_ char *where = profiles_where(p, profile, key);

	err_set(&base->err, ERR_CONFIG, ERR_FROM_CREDS, "profile",
		"AWS profile '%.80s'%s%.120s%s %s", profile, where ? " (" : "",
		where ? where : "", where ? ")" : "", what);
}

char *creds_session_name(const char *profile)
{
	/* What an AWS profile may be called is more than what a session may. */
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789_+=,.@-";
	char *name = mem_printf("s3ferry-%.50s", profile);

	for (char *c = name; *c; c++) {
		if (!strchr(allowed, *c))
			*c = '-';
	}
	return name;
}

/* --- roles --- */

static bool read_role(struct creds_base *base, const struct profiles *p, const char *name,
	const struct creds_env *env, struct creds_link *ret)
{
	const char *session = profiles_get(p, name, "role_session_name");
	const char *duration = profiles_get(p, name, "duration_seconds");
	struct settings settings;
	uint64_t seconds = 0;

	if (duration && str_to_uint(duration, 43200, &seconds) < 0) {
		refuse(base, p, name, "duration_seconds",
			"has a duration_seconds that is no number up to 43200");
		return false;
	}
	if (profiles_get(p, name, "mfa_serial")) {
		refuse(base, p, name, "mfa_serial",
			"has an mfa_serial, which needs a person: let the role "
			"trust the daemon without it");
		return false;
	}
	settings_find(env, p, name, &(struct settings_own){0}, &settings);
	*ret = (struct creds_link){
		.role_arn = mem_strdup(profiles_get(p, name, "role_arn")),
		.external_id = mem_strdup(profiles_get(p, name, "external_id")),
		.session_name = session ? mem_strdup(session) : creds_session_name(name),
		.region = MEM_STEAL(settings.region),
		.endpoint_url = MEM_STEAL(settings.sts_endpoint_url),
		.ca_bundle = MEM_STEAL(settings.ca_bundle),
		.use_fips = settings.options.use_fips,
		.use_dual_stack = settings.options.use_dual_stack,
		.duration_s = (int64_t)seconds,
	};
	settings_done(&settings);
	return true;
}

/* The chain is walked from its end; the first to be assumed comes last. */
static bool push_role(struct creds_base *base, const struct profiles *p, const char *name,
	const struct creds_env *env)
{
	struct creds_link link;

	if (!read_role(base, p, name, env, &link))
		return false;
	base->roles = mem_resize(base->roles, (size_t)base->role_count + 1, sizeof(link));
	memmove(base->roles + 1, base->roles, (size_t)base->role_count * sizeof(link));
	base->role_count++;
	base->roles[0] = link;
	return true;
}

/* --- what is under them --- */

static bool has_keys(const struct profiles *p, const char *name)
{
	return profiles_get(p, name, "aws_access_key_id") ||
	       profiles_get(p, name, "aws_secret_access_key");
}

static void take_keys(struct creds_base *base, const struct profiles *p, const char *name)
{
	const char *key = profiles_get(p, name, "aws_access_key_id");
	const char *secret = profiles_get(p, name, "aws_secret_access_key");

	if (!key || !secret) {
		refuse(base, p, name, "", "has half a pair of keys");
	} else if (!provider_fill_keys(&base->set, key, secret,
			   profiles_get(p, name, "aws_session_token"))) {
		refuse(base, p, name, "aws_access_key_id",
			"has keys that are too long to be keys");
	} else {
		base->kind = BASE_KEYS;
		base->set.expires_at_us = CREDS_NEVER;
		provider_fill_account(
			&base->set, profiles_get(p, name, "aws_account_id"));
	}
}

static void take_web_identity(struct creds_base *base, const struct profiles *p,
	const char *name, const struct creds_env *env)
{
	if (!profiles_get(p, name, "role_arn")) {
		refuse(base, p, name, "web_identity_token_file",
			"has a web_identity_token_file, but its role_arn is missing");
		return;
	}
	if (!read_role(base, p, name, env, &base->web))
		return;
	base->kind = BASE_WEB_IDENTITY;
	base->web_token_file = mem_strdup(
		profiles_get(p, name, "web_identity_token_file"));
}

static bool needs_a_person(const struct profiles *p, const char *name)
{
	return profiles_get(p, name, "sso_session") ||
	       profiles_get(p, name, "sso_start_url") ||
	       profiles_get(p, name, "sso_account_id") ||
	       profiles_get(p, name, "login_session");
}

/* A profile without a role on it, in the order of the SDKs. */
static void take_base(struct creds_base *base, const struct profiles *p, const char *name,
	const struct creds_env *env)
{
	if (profiles_get(p, name, "web_identity_token_file")) {
		take_web_identity(base, p, name, env);
	} else if (needs_a_person(p, name)) {
		refuse(base, p, name, "",
			"uses SSO or a login session, which needs a person: give "
			"the daemon an instance role, credential_process, or keys "
			"of its own");
	} else if (profiles_get(p, name, "credential_process")) {
		base->kind = BASE_PROCESS;
		base->command = mem_strdup(profiles_get(p, name, "credential_process"));
		base->account = mem_strdup(profiles_get(p, name, "aws_account_id"));
	} else if (has_keys(p, name)) {
		take_keys(base, p, name);
	} else {
		refuse(base, p, name, "", "names no source of credentials");
	}
}

static void take_source(struct creds_base *base, const struct profiles *p,
	const char *name, const char *place, const struct creds_env *env)
{
	struct imds_options options = {0};
	struct err e;

	imds_options_fill(&options, env, p, name);
	creds_base_take_source(base, place, env, &options);
	if (base->err.class == ERR_OK)
		return;
	e = base->err;
	err_set(&base->err, e.class, e.origin, e.code, "AWS profile '%.80s': %.300s",
		name, e.text);
}

/* The profile below a role's, or NULL: the base is found, or refused. */
static const char *source_of(struct creds_base *base, const struct profiles *p,
	const char *name, const struct creds_env *env)
{
	const char *source = profiles_get(p, name, "source_profile");
	const char *place = profiles_get(p, name, "credential_source");
	char what[160];

	if (profiles_get(p, name, "web_identity_token_file")) {
		take_web_identity(base, p, name, env);
		return NULL;
	}
	if (!source == !place) {
		refuse(base, p, name, "role_arn",
			"needs exactly one of source_profile and credential_source");
		return NULL;
	}
	if (source && !profiles_has(p, source)) {
		snprintf(what, sizeof(what),
			"has source_profile '%.80s', which is not in the AWS files",
			source);
		refuse(base, p, name, "source_profile", what);
		return NULL;
	}
	if (!push_role(base, p, name, env))
		return NULL;
	if (place)
		take_source(base, p, name, place, env);
	return source;
}

/* Each profile passed once, but that one with keys may be its own source. */
static bool is_repeated(
	const char *const *seen, size_t depth, const char *name, bool keys)
{
	for (size_t i = 0; i < depth; i++) {
		if (strcmp(seen[i], name) == 0 && !(keys && i == depth - 1))
			return true;
	}
	return false;
}

static void check_durations(struct creds_base *base)
{
	for (int i = 1; i < base->role_count && base->err.class == ERR_OK; i++) {
		if (base->roles[i].duration_s > CHAINED_DURATION_MAX)
			err_set(&base->err, ERR_CONFIG, ERR_FROM_CREDS, "profile",
				"%.200s is assumed by another role, so that it lives "
				"3600 "
				"seconds at most: lower its duration_seconds in the AWS "
				"config file",
				base->roles[i].role_arn);
	}
}

bool creds_chain_is_source(const struct profiles *p, const char *name)
{
	return profiles_get(p, name, "role_arn") || has_keys(p, name) ||
	       profiles_get(p, name, "credential_process") ||
	       profiles_get(p, name, "web_identity_token_file") ||
	       needs_a_person(p, name);
}

void creds_chain_walk(struct creds_base *base, const struct profiles *p, const char *name,
	const struct creds_env *env)
{
	_cleanup_free_ const char **seen = NULL;
	size_t depth = 0;

	if (!profiles_has(p, name))
		refuse(base, p, name, "", "does not exist in the AWS files");
	while (name && base->err.class == ERR_OK) {
		bool keys = has_keys(p, name);

		if (is_repeated(seen, depth, name, keys)) {
			refuse(base, p, name, "source_profile",
				"is its own source_profile, by a loop");
			return;
		}
		/* From the second profile on, static keys win over everything. */
		if (depth && keys) {
			take_keys(base, p, name);
			break;
		}
		if (!profiles_get(p, name, "role_arn")) {
			take_base(base, p, name, env);
			break;
		}
		seen = mem_resize(seen, depth + 1, sizeof(*seen));
		seen[depth++] = name;
		name = source_of(base, p, name, env);
	}
	check_durations(base);
}
