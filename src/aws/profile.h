/*
 * Profiles of the AWS CLI's config and credentials files, normalised and merged as the
 * SDKs do. Pure: texts in, profiles out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct profiles;

/*
 * Either text may be NULL (no such file). NULL when a file cannot be parsed; then why
 * (>= 200 bytes) has name:line: reason.
 */
struct profiles *profiles_parse(const char *config, const char *config_name,
	const char *credentials, const char *credentials_name, char *why);
void *profiles_free(struct profiles *p);

bool profiles_has(const struct profiles *p, const char *name);
/* NULL: no such profile or key. key is lower-case. */
const char *profiles_get(const struct profiles *p, const char *name, const char *key);
/*
 * A key of a service, in the [services] section that the profile names. malloc'd; NULL:
 * none, or empty.
 */
char *profiles_get_service(const struct profiles *p, const char *name,
	const char *service, const char *key);
/* "KEY = value" in the nested value of a profile's key, such as `s3`. malloc'd or NULL. */
char *profiles_get_nested(const struct profiles *p, const char *name, const char *parent,
	const char *key);
/* "FILE:LINE" of a key, or of the profile itself for "". malloc'd; NULL: not there. */
char *profiles_where(const struct profiles *p, const char *name, const char *key);
/* Walk all that counts: i from 0; key "" tells only that the profile exists. */
bool profiles_at(const struct profiles *p, size_t i, const char **ret_name,
	const char **ret_key, const char **ret_value);
