/* Who is asked first for each setting. What a value then does is aws/endpoint's. */
#include "config.h"

#include "aws/settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/creds_impl.h"
#include "aws/endpoint_url.h"
#include "aws/profile.h"
#include "base/mem.h"

struct sources {
	const struct settings_own *own;
	const struct creds_env *env;
	const struct profiles *profiles;
	const char *name;
};

void settings_done(struct settings *s)
{
	free(s->region);
	free(s->ca_bundle);
	free(s->s3_endpoint_url);
	free(s->sts_endpoint_url);
	*s = (struct settings){0};
}

static const char *of_profile(const struct sources *from, const char *key)
{
	const char *value = from->profiles ? profiles_get(from->profiles, from->name, key)
					   : NULL;

	return value && *value ? value : NULL;
}

static char *choose(
	const struct sources *from, const char *own, const char *env, const char *key)
{
	if (own && *own)
		return mem_strdup(own);
	return mem_strdup(env ? env : of_profile(from, key));
}

static char *choose_url(
	const struct sources *from, const char *env_service, const char *service)
{
	const struct endpoint_url_sources urls = {
		.own = from->own->endpoint_url,
		.env_service = env_service,
		.env = from->env->endpoint_url,
		.env_ignore = from->env->ignore_endpoint_urls,
		.profiles = from->profiles,
		.profile = from->name,
	};

	return endpoint_url_choose(&urls, service);
}

/* As botocore reads them: all that is not "true" says no. */
static bool is_true(const char *value)
{
	return value && strcasecmp(value, "true") == 0;
}

/* nested: the same below the profile's `s3`, where older files have it. NULL: nowhere. */
static bool choose_flag(const struct sources *from, enum setting_flag own,
	const char *env, const char *key, const char *nested, bool fallback)
{
	_cleanup_free_ char *below = NULL;
	const char *value = env ? env : NULL;

	if (own != SETTING_UNSET)
		return own == SETTING_YES;
	if (!value && key)
		value = of_profile(from, key);
	if (!value && nested && from->profiles)
		value = below = profiles_get_nested(
			from->profiles, from->name, "s3", nested);
	return value ? is_true(value) : fallback;
}

static enum endpoint_style choose_style(const struct sources *from)
{
	_cleanup_free_ char *value = NULL;

	if (from->own->style != ENDPOINT_STYLE_AUTO || !from->profiles)
		return from->own->style;
	value = profiles_get_nested(from->profiles, from->name, "s3", "addressing_style");
	if (value && strcmp(value, "path") == 0)
		return ENDPOINT_STYLE_PATH;
	return value && strcmp(value, "virtual") == 0 ? ENDPOINT_STYLE_VIRTUAL
						      : ENDPOINT_STYLE_AUTO;
}

void settings_find(const struct creds_env *env, const struct profiles *profiles,
	const char *name, const struct settings_own *own, struct settings *ret)
{
	const struct sources from = {own, env, profiles, name};

	*ret = (struct settings){
		.region = choose(&from, own->region, env->region, "region"),
		.ca_bundle = choose(&from, own->ca_bundle, env->ca_bundle, "ca_bundle"),
		.s3_endpoint_url = choose_url(&from, env->s3_endpoint_url, "s3"),
		.sts_endpoint_url = choose_url(&from, env->sts_endpoint_url, "sts"),
		.options = {
			.style = choose_style(&from),
			.payload = own->payload,
			.use_fips = choose_flag(&from, own->use_fips, env->use_fips,
				"use_fips_endpoint", NULL, false),
			.use_dual_stack = choose_flag(&from, own->use_dual_stack,
				env->use_dual_stack, "use_dualstack_endpoint",
				"use_dualstack_endpoint", false),
			.use_accelerate = choose_flag(&from, own->use_accelerate, NULL,
				NULL, "use_accelerate_endpoint", false),
			.ignore_arn_region = !choose_flag(&from, own->use_arn_region,
				env->use_arn_region, "s3_use_arn_region",
				"use_arn_region", true),
		}};
}

/* A file that cannot be read is told of by the credentials that it should give. */
void settings_of_base(const struct creds_pool *pool, const struct creds_base_spec *spec,
	const struct settings_own *own, struct settings *ret)
{
	const struct creds_env *env = pool->env;
	const char *name = spec->profile ? spec->profile : env->profile;
	struct profiles *p = creds_read_files(env, spec, &(struct err){0});

	settings_find(env, p, name ? name : "default", own, ret);
	profiles_free(p);
}
