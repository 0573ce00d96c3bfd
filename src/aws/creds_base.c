/*
 * The identity under all roles: which source is configured, in the order of the SDKs
 * (aws-client.md, section 2). Whoever is configured first decides; its error is final.
 * Not what a source answers (provider_*), not the roles on top (creds).
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
#include "base/mem.h"

/* --- roles and results --- */

void creds_link_done(struct creds_link *l)
{
	free(l->role_arn);
	free(l->external_id);
	free(l->session_name);
	free(l->region);
	free(l->endpoint_url);
	free(l->ca_bundle);
	free(l->extra);
	*l = (struct creds_link){0};
}

void creds_link_copy(struct creds_link *to, const struct creds_link *from)
{
	*to = (struct creds_link){
		.role_arn = mem_strdup(from->role_arn),
		.external_id = mem_strdup(from->external_id),
		.session_name = mem_strdup(from->session_name),
		.region = mem_strdup(from->region),
		.endpoint_url = mem_strdup(from->endpoint_url),
		.ca_bundle = mem_strdup(from->ca_bundle),
		.extra = mem_strdup(from->extra),
		.use_fips = from->use_fips,
		.use_dual_stack = from->use_dual_stack,
		.duration_s = from->duration_s,
	};
}

void creds_link_of(struct creds_link *to, const struct creds_role *from)
{
	*to = (struct creds_link){
		.role_arn = mem_strdup(from->role_arn),
		.external_id = mem_strdup(from->external_id),
		.session_name = mem_strdup(from->role_session_name),
		.region = mem_strdup(from->region),
		.endpoint_url = mem_strdup(from->endpoint_url),
		.ca_bundle = mem_strdup(from->ca_bundle),
		.extra = creds_sts_extra(from),
		.use_fips = from->use_fips,
		.use_dual_stack = from->use_dual_stack,
		.duration_s = from->duration_s,
	};
}

void creds_base_done(struct creds_base *base)
{
	for (int i = 0; i < base->role_count; i++)
		creds_link_done(&base->roles[i]);
	free(base->roles);
	creds_link_done(&base->web);
	mem_wipe_free(base->command);
	free(base->account);
	free(base->web_token_file);
	free(base->imds_endpoint);
	free(base->imds_mode);
	free(base->imds_role);
	free(base->looked_at);
	creds_set_wipe(&base->set);
}

static void refuse(struct creds_base *base, const char *code, const char *text)
{
	err_set(&base->err, ERR_CONFIG, ERR_FROM_CREDS, code, "%s", text);
}

/* --- sources of the environment --- */

static void take_environment(struct creds_base *base, const struct creds_env *env)
{
	creds_env_keys(env, &base->set, &base->err);
	if (base->err.class == ERR_OK)
		base->kind = BASE_ENVIRONMENT;
}

static void take_imds(struct creds_base *base, const struct imds_options *options)
{
	base->kind = BASE_IMDS;
	base->imds_endpoint = mem_strdup(options->endpoint);
	base->imds_mode = mem_strdup(options->mode);
	base->imds_role = mem_strdup(options->role);
}

static bool has_container(const struct creds_env *env)
{
	return env->container_relative_uri || env->container_full_uri;
}

void creds_base_take_source(struct creds_base *base, const char *place,
	const struct creds_env *env, const struct imds_options *options)
{
	if (strcasecmp(place, "Environment") == 0) {
		if (env->access_key_id || env->secret_access_key)
			take_environment(base, env);
		else
			refuse(base, "environment",
				"credential_source Environment: AWS_ACCESS_KEY_ID is not "
				"set");
	} else if (strcasecmp(place, "EcsContainer") == 0) {
		if (has_container(env))
			base->kind = BASE_CONTAINER;
		else
			refuse(base, "container",
				"credential_source EcsContainer: neither "
				"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor "
				"AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
	} else if (strcasecmp(place, "Ec2InstanceMetadata") != 0) {
		refuse(base, "profile",
			"credential_source is one of Environment, Ec2InstanceMetadata "
			"and "
			"EcsContainer");
	} else if (imds_is_disabled(env)) {
		refuse(base, "imds-disabled",
			"credential_source Ec2InstanceMetadata: "
			"AWS_EC2_METADATA_DISABLED "
			"says no");
	} else {
		take_imds(base, options);
	}
}

static void take_web_identity(struct creds_base *base, const struct creds_env *env)
{
	if (!env->role_arn) {
		refuse(base, "environment",
			"AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
		return;
	}
	base->kind = BASE_WEB_IDENTITY;
	base->web_token_file = mem_strdup(env->web_token_file);
	base->web = (struct creds_link){
		.role_arn = mem_strdup(env->role_arn),
		.session_name = mem_strdup(
			env->role_session_name ? env->role_session_name : "s3ferry"),
	};
}

/* --- the default chain --- */

static char *say_where(const char *config, const char *credentials)
{
	return mem_printf(
		"no credentials were found. Looked at: AWS_ACCESS_KEY_ID (not set); "
		"profile 'default' in config file %.60s and credentials file %.60s; "
		"web identity and container (not set); ",
		config ? config : "(none named)",
		credentials ? credentials : "(none named)");
}

/* What comes behind the files. */
static void take_rest(struct creds_base *base, const struct profiles *p, const char *name,
	const struct creds_env *env)
{
	struct imds_options options = {0};
	char text[400];

	if (env->web_token_file) {
		take_web_identity(base, env);
	} else if (has_container(env)) {
		base->kind = BASE_CONTAINER;
	} else if (imds_is_disabled(env)) {
		snprintf(text, sizeof(text),
			"%sinstance metadata (AWS_EC2_METADATA_DISABLED)",
			base->looked_at);
		refuse(base, "no-credentials", text);
	} else {
		imds_options_fill(&options, env, p, name);
		take_imds(base, &options);
		base->is_default_chain = true;
	}
}

static void find_by_files(const struct creds_env *env, const struct creds_base_spec *spec,
	struct creds_base *base)
{
	const char *config = spec->aws_config_file ? spec->aws_config_file
						   : env->config_file;
	const char *credentials = spec->aws_credentials_file ? spec->aws_credentials_file
							     : env->credentials_file;
	const char *name = spec->profile ? spec->profile : env->profile;
	struct profiles *p = creds_read_files(env, spec, &base->err);

	if (!p)
		return;
	base->looked_at = say_where(config, credentials);
	/* A profile without a source is not configured, unless it was asked for by name.
	 */
	if (spec->profile || (name && !profiles_has(p, name)) ||
		creds_chain_is_source(p, name ? name : "default"))
		creds_chain_walk(base, p, name ? name : "default", env);
	else
		take_rest(base, p, name ? name : "default", env);
	profiles_free(p);
}

static void take_spec(struct creds_base *base, const struct creds_env *env,
	const struct creds_base_spec *spec)
{
	struct imds_options options = {0};

	if (spec->credential_source) {
		imds_options_fill(&options, env, NULL, NULL);
		creds_base_take_source(base, spec->credential_source, env, &options);
	} else if (spec->credential_process) {
		base->kind = BASE_PROCESS;
		base->command = mem_strdup(spec->credential_process);
	} else {
		base->kind = BASE_WEB_IDENTITY;
		base->web_token_file = mem_strdup(spec->web_token_file);
		creds_link_of(&base->web, spec->web_role);
	}
}

void creds_base_find(const struct creds_env *env, const struct creds_base_spec *spec,
	struct creds_base *ret)
{
	*ret = (struct creds_base){0};
	if (spec->credential_source || spec->credential_process || spec->web_token_file)
		take_spec(ret, env, spec);
	else if (!spec->profile && (env->access_key_id || env->secret_access_key))
		take_environment(ret, env);
	else
		find_by_files(env, spec, ret);
	if (ret->err.class != ERR_OK)
		ret->kind = BASE_NONE;
}

struct provider *creds_base_open(const struct creds_base *base, struct loop *loop,
	struct http *http, struct skews *skews, const struct creds_env *env)
{
	struct imds_options options = {base->imds_endpoint, base->imds_mode,
		base->imds_role, .is_probing = base->is_default_chain};

	switch (base->kind) {
	case BASE_ENVIRONMENT:
		return provider_env_new(loop, env);
	case BASE_KEYS:
		return provider_shared_new(loop, &base->set);
	case BASE_PROCESS:
		return provider_process_new(loop, env, base->command, base->account);
	case BASE_WEB_IDENTITY:
		return provider_web_identity_new(
			loop, http, skews, env, &base->web, base->web_token_file);
	case BASE_CONTAINER:
		return provider_container_new(loop, http, env);
	case BASE_IMDS:
		return provider_imds_new(loop, http, &options);
	default:
		return NULL;
	}
}
