/*
 * What holds for the requests of an identity besides who it is: region, endpoints, CA
 * certificates, variants of S3. Own values win, then the environment, then a profile of
 * the AWS CLI's files (aws-client.md, sections 2 and 9). Pure.
 */
#pragma once

#include "aws/endpoint.h"

struct creds_base_spec;
struct creds_env;
struct creds_pool;
struct profiles;

enum setting_flag {
	SETTING_UNSET,
	SETTING_YES,
	SETTING_NO,
};

/* NULL, "", 0: not said. Borrowed. */
struct settings_own {
	const char *region, *endpoint_url, *ca_bundle; /* the URL is of S3 and of STS */
	enum setting_flag use_fips, use_dual_stack, use_accelerate, use_arn_region;
	enum endpoint_style style;
	enum endpoint_payload payload;
};

struct settings {
	char *region, *ca_bundle, *s3_endpoint_url, *sts_endpoint_url; /* NULL: none */
	struct endpoint_options options;
};
void settings_done(struct settings *s);

/* profiles, name: NULL without files. */
void settings_find(const struct creds_env *env, const struct profiles *profiles,
	const char *name, const struct settings_own *own, struct settings *ret);
/* The same with the files and the profile that the chain of spec ends in. Reads files. */
void settings_of_base(const struct creds_pool *pool, const struct creds_base_spec *spec,
	const struct settings_own *own, struct settings *ret);
