/*
 * The AWS CLI's config and credentials files, and static keys found there as a provider.
 * Which profile is meant is creds_base's.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "aws/creds_impl.h"
#include "aws/profile.h"
#include "aws/provider.h"
#include "aws/secret_file.h"
#include "base/mem.h"
#include "net/loop.h"

#define FILE_MAX (1024 * 1024)

/* NULL without an error: no such file. malloc'd. */
static char *read_file(const char *path, struct err *e)
{
	const char *why = NULL;
	char *text;

	if (!path)
		return NULL;
	text = secret_file_read(path, FILE_MAX, NULL, &why);
	if (!text && errno != ENOENT)
		err_set(e, ERR_CONFIG, ERR_FROM_CREDS, "credentials-file", "%.200s: %s",
			path, why);
	return text;
}

struct profiles *creds_read_profiles(
	const char *config, const char *credentials, struct err *ret)
{
	char *config_text, *credentials_text;
	struct profiles *p = NULL;
	char why[200];

	ret->class = ERR_OK;
	config_text = read_file(config, ret);
	credentials_text = read_file(credentials, ret);
	if (ret->class == ERR_OK) {
		p = profiles_parse(
			config_text, config, credentials_text, credentials, why);
		if (!p)
			err_set(ret, ERR_CONFIG, ERR_FROM_CREDS, "credentials-file", "%s",
				why);
	}
	mem_wipe_free(config_text); /* it may hold keys, too */
	mem_wipe_free(credentials_text);
	return p;
}

struct profiles *creds_read_files(const struct creds_env *env,
	const struct creds_base_spec *spec, struct err *ret)
{
	return creds_read_profiles(
		spec->aws_config_file ? spec->aws_config_file : env->config_file,
		spec->aws_credentials_file ? spec->aws_credentials_file
					   : env->credentials_file,
		ret);
}

/* --- the provider --- */

struct provider_shared {
	struct provider base;
	struct creds_set set;
};

static void tell(void *arg)
{
	struct provider_shared *p = arg;

	provider_done(&p->base, NULL, &p->set);
}

static void start(struct provider *p)
{
	loop_defer(p->loop, tell, p);
}

static void cancel(struct provider *p)
{
	loop_undefer(p->loop, p);
}

static void *free_one(struct provider *base)
{
	struct provider_shared *p = CONTAINER_OF(base, struct provider_shared, base);

	mem_secret_free(p);
	return NULL;
}

static const struct provider_ops ops = {start, cancel, free_one, false, false};

struct provider *provider_shared_new(struct loop *loop, const struct creds_set *set)
{
	struct provider_shared *p = mem_secret_alloc(sizeof(*p));

	p->base = (struct provider){.ops = &ops, .loop = loop};
	p->set = *set;
	return &p->base;
}
