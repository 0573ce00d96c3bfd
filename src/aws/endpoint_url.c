/* The order of precedence of endpoint_url. Not what is in it: aws/endpoint parses. */
#include "config.h"

#include "aws/endpoint_url.h"

#include <stddef.h>
#include <strings.h>

#include "aws/profile.h"
#include "base/mem.h"

static bool is_set(const char *value)
{
	return value && *value;
}

static bool is_ignored(const struct endpoint_url_sources *from)
{
	const char *value = from->env_ignore;

	if (!is_set(value) && from->profiles)
		value = profiles_get(
			from->profiles, from->profile, "ignore_configured_endpoint_urls");
	return value && strcasecmp(value, "true") == 0;
}

char *endpoint_url_choose(const struct endpoint_url_sources *from, const char *service)
{
	const char *general;
	char *url;

	if (is_set(from->own))
		return mem_strdup(from->own);
	if (is_ignored(from))
		return NULL;
	if (is_set(from->env_service))
		return mem_strdup(from->env_service);
	if (is_set(from->env))
		return mem_strdup(from->env);
	if (!from->profiles)
		return NULL;
	url = profiles_get_service(
		from->profiles, from->profile, service, "endpoint_url");
	if (url)
		return url;
	general = profiles_get(from->profiles, from->profile, "endpoint_url");
	return is_set(general) ? mem_strdup(general) : NULL;
}
