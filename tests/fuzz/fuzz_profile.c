/*
 * The AWS CLI's files: config, a NUL, credentials. No input crashes the parser, a refusal
 * has a reason, and what it tells of can be asked for.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/profile.h"
#include "base/mem.h"
#include "fuzz.h"

static void check(const struct profiles *p)
{
	const char *name, *key, *value;

	for (size_t i = 0; profiles_at(p, i, &name, &key, &value); i++) {
		_cleanup_free_ char *where = profiles_where(p, name, key);
		char *service = profiles_get_service(p, name, "s3", key);
		char *nested = profiles_get_nested(p, name, "s3", key);

		demand(profiles_has(p, name), "a profile that is not there");
		demand(!*key || strcmp(profiles_get(p, name, key), value) == 0,
			"a key of two values");
		demand(where && strchr(where, ':'), "nobody knows where");
		free(service);
		free(nested);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *config = mem_strndup((const char *)data, size);
	size_t len = strlen(config);
	_cleanup_free_ char *credentials =
		len < size ? mem_strndup((const char *)data + len + 1, size - len - 1) : NULL;
	char why[200] = "";
	struct profiles *p = profiles_parse(config, "config", credentials, "credentials", why);

	if (p)
		check(p);
	else
		demand(*why && memchr(why, 0, sizeof(why)), "refused without a reason");
	profiles_free(p);
	return 0;
}
