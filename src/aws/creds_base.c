/*
 * The identity under all roles: the environment, then the AWS CLI's files. Whoever is
 * configured first decides; its error is final. Not the roles on top (creds).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/creds_impl.h"
#include "aws/profile.h"
#include "base/mem.h"
#include "base/str.h"

#define FILE_MAX (1024 * 1024)
#define CHAINED_DURATION_MAX 3600 /* what STS grants a role assumed by a role */

/* --- environment --- */

/* The value leaves the environment block, where /proc/PID/environ would show it. */
static char *take(const char *name, bool is_secret)
{
	char *value = getenv(name), *copy;

	if (!value || !*value)
		return NULL;
	copy = mem_strdup(value);
	if (is_secret) {
		mem_wipe(value, strlen(value));
		unsetenv(name);
	}
	return copy;
}

struct creds_env *creds_env_take(void)
{
	struct creds_env *e = mem_alloc(sizeof(*e));
	const char *ignore;

	e->access_key_id = take("AWS_ACCESS_KEY_ID", true);
	e->secret_access_key = take("AWS_SECRET_ACCESS_KEY", true);
	e->session_token = take("AWS_SESSION_TOKEN", true);
	e->region = take("AWS_REGION", false);
	if (!e->region)
		e->region = take("AWS_DEFAULT_REGION", false);
	e->sts_endpoint_url = take("AWS_ENDPOINT_URL_STS", false);
	if (!e->sts_endpoint_url)
		e->sts_endpoint_url = take("AWS_ENDPOINT_URL", false);
	ignore = getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	if (ignore && strcasecmp(ignore, "true") == 0)
		mem_replace(&e->sts_endpoint_url, NULL);
	e->profile = take("AWS_PROFILE", false);
	e->config_file = take("AWS_CONFIG_FILE", false);
	e->credentials_file = take("AWS_SHARED_CREDENTIALS_FILE", false);
	return e;
}

void *creds_env_free(struct creds_env *e)
{
	if (!e)
		return NULL;
	mem_wipe_free(e->access_key_id);
	mem_wipe_free(e->secret_access_key);
	mem_wipe_free(e->session_token);
	free(e->region);
	free(e->sts_endpoint_url);
	free(e->profile);
	free(e->config_file);
	free(e->credentials_file);
	free(e);
	return NULL;
}

/* --- results --- */

void creds_link_done(struct creds_link *l)
{
	free(l->role_arn);
	free(l->external_id);
	free(l->session_name);
	free(l->region);
	free(l->endpoint_url);
	free(l->ca_bundle);
	*l = (struct creds_link){0};
}

void creds_base_done(struct creds_base *base)
{
	for (int i = 0; i < base->role_count; i++)
		creds_link_done(&base->roles[i]);
	free(base->roles);
	creds_set_wipe(&base->set);
}

static void refuse(struct creds_base *base, const char *code, const char *text)
{
	err_set(&base->err, ERR_CONFIG, ERR_FROM_CREDS, code, "%s", text);
}

static void fill(struct creds_base *base, const char *key, const char *secret,
	const char *token)
{
	struct creds_set *s = &base->set;

	if (!token)
		token = "";
	if (strlen(key) >= sizeof(s->access_key_id) ||
		strlen(secret) >= sizeof(s->secret_access_key) ||
		strlen(token) >= sizeof(s->session_token)) {
		refuse(base, "credentials-too-long", "the access keys are too long to be keys");
		return;
	}
	snprintf(s->access_key_id, sizeof(s->access_key_id), "%s", key);
	snprintf(s->secret_access_key, sizeof(s->secret_access_key), "%s", secret);
	snprintf(s->session_token, sizeof(s->session_token), "%s", token);
	s->expires_at_us = CREDS_NEVER;
}

/* --- files --- */

/* The whole of a regular file in one block, so that no copy of a key stays behind. */
static char *read_whole(int fd, const char **ret_why)
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;
	char *text;

	*ret_why = NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		*ret_why = "is not a regular file";
		return NULL;
	}
	if (st.st_size > FILE_MAX) {
		*ret_why = "is larger than 1 MiB";
		return NULL;
	}
	text = mem_alloc((size_t)st.st_size + 1);
	while (n > 0 && len < (size_t)st.st_size) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0) {
		*ret_why = "cannot be read";
		return mem_wipe_free(text);
	}
	return text;
}

/* NULL without an error: no such file. malloc'd. */
static char *read_file(const char *path, struct creds_base *base)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	const char *reason = NULL;
	char *text = NULL;

	if (!path || (fd < 0 && errno == ENOENT))
		return NULL;
	if (fd < 0) {
		reason = strerror(errno);
	} else {
		text = read_whole(fd, &reason);
		close(fd);
	}
	if (reason)
		err_set(&base->err, ERR_CONFIG, ERR_FROM_CREDS, "credentials-file",
			"%.200s: %s", path, reason);
	return text;
}

static struct profiles *read_profiles(
	const char *config, const char *credentials, struct creds_base *base)
{
	char *config_text = read_file(config, base);
	char *credentials_text = read_file(credentials, base);
	struct profiles *p = NULL;
	char why[200];

	if (base->err.class == ERR_OK) {
		p = profiles_parse(config_text, config, credentials_text, credentials, why);
		if (!p)
			refuse(base, "credentials-file", why);
	}
	mem_wipe_free(config_text); /* it may hold keys, too */
	mem_wipe_free(credentials_text);
	return p;
}

static void refuse_profile(struct creds_base *base, const char *profile, const char *what)
{
	char text[300];

	snprintf(text, sizeof(text), "AWS profile '%.80s' %s", profile, what);
	refuse(base, "profile", text);
}

/* What an AWS profile may be called is more than what a session may. */
static char *session_name_of(const char *profile)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+=,.@-";
	char *name = mem_printf("s3ferry-%.50s", profile);

	for (char *c = name; *c; c++) {
		if (!strchr(allowed, *c))
			*c = '-';
	}
	return name;
}

static void push_role(struct creds_base *base, const struct profiles *p, const char *name,
	const struct creds_env *env)
{
	const char *session = profiles_get(p, name, "role_session_name");
	const char *region = profiles_get(p, name, "region");
	const char *duration = profiles_get(p, name, "duration_seconds");
	uint64_t seconds = 0;
	struct creds_link *l;

	if (duration && str_to_uint(duration, 43200, &seconds) < 0) {
		refuse_profile(base, name, "has a duration_seconds that is no number up to "
					   "43200");
		return;
	}
	if (profiles_get(p, name, "mfa_serial")) {
		refuse_profile(base, name, "has an mfa_serial, which needs a person: let the "
					   "role trust the daemon without it");
		return;
	}
	base->roles = mem_resize(base->roles, (size_t)base->role_count + 1, sizeof(*l));
	/* The chain is walked from its end; the first to be assumed comes last. */
	memmove(base->roles + 1, base->roles, (size_t)base->role_count * sizeof(*l));
	base->role_count++;
	l = &base->roles[0];
	*l = (struct creds_link){
		.role_arn = mem_strdup(profiles_get(p, name, "role_arn")),
		.external_id = mem_strdup(profiles_get(p, name, "external_id")),
		.session_name = session ? mem_strdup(session) : session_name_of(name),
		.region = mem_strdup(region ? region : env->region),
		/* The environment goes before a profile. */
		.endpoint_url = mem_strdup(
			env->sts_endpoint_url ? env->sts_endpoint_url
					      : profiles_get(p, name, "endpoint_url")),
		.ca_bundle = mem_strdup(profiles_get(p, name, "ca_bundle")),
		.duration_s = (int64_t)seconds,
	};
}

/* Static keys of a profile, or an error that says what it has instead. */
static void take_keys(struct creds_base *base, const struct profiles *p, const char *name)
{
	const char *key = profiles_get(p, name, "aws_access_key_id");
	const char *secret = profiles_get(p, name, "aws_secret_access_key");

	if (key && secret)
		fill(base, key, secret, profiles_get(p, name, "aws_session_token"));
	else if (key || secret)
		refuse_profile(base, name, "has half a pair of keys");
	else if (profiles_get(p, name, "sso_session") ||
		 profiles_get(p, name, "sso_start_url"))
		refuse_profile(base, name, "uses SSO, which needs a person: give the daemon "
					   "a role or keys of its own");
	else
		refuse_profile(base, name, "has no keys, and its other sources are not "
					   "supported by this version");
}

/* A profile that names a role: which one is below it? NULL: none, or refused. */
static const char *source_of(struct creds_base *base, const struct profiles *p,
	const char *name, const struct creds_env *env)
{
	const char *source = profiles_get(p, name, "source_profile");
	const char *place = profiles_get(p, name, "credential_source");

	if (profiles_get(p, name, "web_identity_token_file")) {
		refuse_profile(base, name, "uses web_identity_token_file, which this version "
					   "does not support");
	} else if (!source == !place) {
		refuse_profile(base, name, "needs exactly one of source_profile and "
					   "credential_source");
	} else if (place && strcasecmp(place, "Environment") != 0) {
		refuse_profile(base, name, "has a credential_source that this version does "
					   "not support: only Environment");
	} else if (source && !profiles_has(p, source)) {
		char text[300];

		snprintf(text, sizeof(text),
			"AWS profile '%.80s' has source_profile '%.80s', which is not in the "
			"AWS files",
			name, source);
		refuse(base, "profile", text);
	} else {
		push_role(base, p, name, env);
		if (base->err.class != ERR_OK || source)
			return base->err.class == ERR_OK ? source : NULL;
		if (env->access_key_id && env->secret_access_key)
			fill(base, env->access_key_id, env->secret_access_key,
				env->session_token);
		else
			refuse_profile(base, name, "takes its keys from the environment, which "
						   "has none");
	}
	return NULL;
}

/* Each profile passed once, but that one with keys may be its own source. */
static bool is_repeated(const char *const *seen, size_t depth, const char *name, bool has_keys)
{
	for (size_t i = 0; i < depth; i++) {
		if (strcmp(seen[i], name) == 0 && !(has_keys && i == depth - 1))
			return true;
	}
	return false;
}

static void from_profile(struct creds_base *base, const struct profiles *p,
	const char *name, const struct creds_env *env)
{
	_cleanup_free_ const char **seen = NULL;
	size_t depth = 0;

	if (!profiles_has(p, name))
		refuse_profile(base, name, "does not exist in the AWS files");
	while (name && base->err.class == ERR_OK) {
		bool has_keys = profiles_get(p, name, "aws_access_key_id") ||
				profiles_get(p, name, "aws_secret_access_key");

		if (is_repeated(seen, depth, name, has_keys)) {
			refuse_profile(base, name, "is its own source_profile, by a loop");
			return;
		}
		/* From the second profile on, static keys win over a role. */
		if (!profiles_get(p, name, "role_arn") || (depth && has_keys)) {
			take_keys(base, p, name);
			break;
		}
		seen = mem_resize(seen, depth + 1, sizeof(*seen));
		seen[depth++] = name;
		name = source_of(base, p, name, env);
	}
	for (int i = 1; i < base->role_count && base->err.class == ERR_OK; i++) {
		if (base->roles[i].duration_s > CHAINED_DURATION_MAX)
			refuse(base, "profile",
				"a role that is assumed by a role lives 3600 seconds at "
				"most: lower duration_seconds in the AWS config file");
	}
}

static void refuse_nothing_found(
	struct creds_base *base, const char *config, const char *credentials)
{
	char text[300];

	snprintf(text, sizeof(text),
		"no credentials were found. Looked at: AWS_ACCESS_KEY_ID (not set); profile "
		"'default' in config file %.70s and credentials file %.70s. Instance and "
		"container roles are not supported by this version",
		config ? config : "(none named)", credentials ? credentials : "(none named)");
	refuse(base, "no-credentials", text);
}

void creds_base_find(const struct creds_env *env, const struct creds_base_spec *spec,
	struct creds_base *ret)
{
	const char *config =
		spec->aws_config_file ? spec->aws_config_file : env->config_file;
	const char *credentials = spec->aws_credentials_file ? spec->aws_credentials_file
							     : env->credentials_file;
	const char *name = spec->profile;
	struct profiles *p;

	*ret = (struct creds_base){0};
	if (!name && (env->access_key_id || env->secret_access_key)) {
		if (env->access_key_id && env->secret_access_key)
			fill(ret, env->access_key_id, env->secret_access_key,
				env->session_token);
		else
			refuse(ret, "environment",
				"the environment has only one of AWS_ACCESS_KEY_ID and "
				"AWS_SECRET_ACCESS_KEY");
		return;
	}
	p = read_profiles(config, credentials, ret);
	if (!p)
		return;
	if (!name)
		name = env->profile;
	if (!name && !profiles_has(p, "default"))
		refuse_nothing_found(ret, config, credentials);
	else
		from_profile(ret, p, name ? name : "default", env);
	profiles_free(p);
}
