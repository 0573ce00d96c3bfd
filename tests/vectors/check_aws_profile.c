/* Groups about the AWS CLI's files: profiles as parsed, and the chains they make. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/creds_impl.h"
#include "aws/endpoint.h"
#include "aws/endpoint_url.h"
#include "aws/profile.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "tests/vectors/vcase.h"

/* --- profiles --- */

/* '/' and ' ' of a name, as paths have them. */
static char *path_part(const char *name)
{
	struct buf out = BUF_INIT(4096);

	for (; *name; name++) {
		if (*name == '/' || *name == ' ')
			buf_printf(&out, "%%%02X", (unsigned)*name);
		else
			buf_putc(&out, *name);
	}
	return buf_take(&out);
}

#define PROFILES "/output/config/profiles/"

/* Every expected line is there ... */
static bool has_expected(const struct vcase *c, const struct profiles *p)
{
	for (size_t i = 0; i < c->count; i++) {
		const char *slash;
		_cleanup_free_ char *name = NULL;
		struct buf plain = BUF_INIT(4096);
		bool ok;

		if (!str_has_prefix(c->paths[i], PROFILES))
			continue;
		slash = strchr(c->paths[i] + strlen(PROFILES), '/');
		name = mem_strndup(c->paths[i] + strlen(PROFILES),
			strcspn(c->paths[i] + strlen(PROFILES), "/"));
		if (strstr(name, "%2F"))
			str_uri_decode(&plain, name, strlen(name));
		else
			buf_puts(&plain, name);
		ok = slash ? str_eq(profiles_get(p, buf_str(&plain), slash + 1),
				     c->values[i])
			   : profiles_has(p, buf_str(&plain));
		buf_done(&plain);
		if (!ok)
			return false;
	}
	return true;
}

/* ... and nothing else. */
static bool has_no_more(const struct vcase *c, const struct profiles *p)
{
	const char *name, *key, *value;

	for (size_t i = 0; profiles_at(p, i, &name, &key, &value); i++) {
		_cleanup_free_ char *part = path_part(name);
		_cleanup_free_ char *prefix = mem_printf(PROFILES "%s", part);
		bool is_known = false;

		for (size_t k = 0; !is_known && k < c->count; k++)
			is_known = str_has_prefix(c->paths[k], prefix);
		if (!is_known || (*key && !vcase_get(c, PROFILES "%s/%s", part, key)))
			return false;
	}
	return true;
}

enum verdict check_profile(struct vcase *c)
{
	struct profiles *p;
	char why[200];
	bool ok;

	if (vcase_get(c, "/platform"))
		return vcase_not_applicable(
			c, "no home is guessed: files are named (decision 1)");
	for (size_t i = 0; i < c->count; i++) {
		if (str_has_prefix(c->paths[i], "/output/config/") &&
			!str_has_prefix(c->paths[i], "/output/config/profiles") &&
			strchr(c->paths[i] + strlen("/output/config/"), '/'))
			return NOT_BUILT; /* sso-session and services sections */
	}
	p = profiles_parse(vcase_get(c, "/input/configFile"), "config",
		vcase_get(c, "/input/credentialsFile"), "credentials", why);
	if (vcase_get(c, "/output/errorContaining"))
		ok = p == NULL;
	else
		ok = p && has_expected(c, p) && has_no_more(c, p);
	profiles_free(p);
	return vcase_passed_if(ok);
}

/* --- chains --- */

#define CHAIN "/output/ProfileChain"

static void put_profiles(const struct vcase *c, struct buf *out)
{
	static const char prefix[] = "/input/profiles/";
	_cleanup_free_ char *section = NULL;

	for (size_t i = 0; i < c->count; i++) {
		const char *name = c->paths[i] + sizeof(prefix) - 1, *slash;
		_cleanup_free_ char *own = NULL;

		if (!str_has_prefix(c->paths[i], prefix))
			continue;
		slash = strchr(name, '/');
		own = mem_strndup(name, slash ? (size_t)(slash - name) : strlen(name));
		if (!str_eq(own, section))
			buf_printf(out, "[profile %s]\n", own);
		mem_replace(&section, own);
		if (slash)
			buf_printf(out, "%s = %s\n", slash + 1, c->values[i]);
	}
}

/* What stands under all roles. */
static bool is_same_base(const struct vcase *c, const struct creds_base *base)
{
	const char *web = CHAIN "/0/WebIdentityToken";
	const char *name;

	switch (base->kind) {
	case BASE_KEYS:
		return str_eq(vcase_get(c, CHAIN "/0/AccessKey/access_key_id"),
			       base->set.access_key_id) &&
		       str_eq(vcase_get(c, CHAIN "/0/AccessKey/secret_access_key"),
			       base->set.secret_access_key);
	case BASE_WEB_IDENTITY:
		name = vcase_get(c, "%s/role_session_name", web);
		return str_eq(vcase_get(c, "%s/role_arn", web), base->web.role_arn) &&
		       str_eq(vcase_get(c, "%s/web_identity_token_file", web),
			       base->web_token_file) &&
		       (!name || str_eq(name, base->web.session_name));
	case BASE_PROCESS:
		return str_eq(vcase_get(c, CHAIN "/0/CredentialProcess"), base->command);
	case BASE_ENVIRONMENT:
		return str_eq(vcase_get(c, CHAIN "/0/NamedSource"), "Environment");
	case BASE_CONTAINER:
		return str_eq(vcase_get(c, CHAIN "/0/NamedSource"), "EcsContainer");
	case BASE_IMDS:
		return str_eq(
			vcase_get(c, CHAIN "/0/NamedSource"), "Ec2InstanceMetadata");
	case BASE_NONE:
		break;
	}
	return false;
}

static bool is_same_chain(const struct vcase *c, const struct creds_base *base)
{
	size_t n = vcase_count(c, CHAIN);

	if (n != (size_t)base->role_count + 1 || !is_same_base(c, base))
		return false;
	for (size_t i = 1; i < n; i++) {
		const struct creds_link *l = &base->roles[i - 1];
		const char *session = vcase_get(
			c, CHAIN "/%zu/AssumeRole/role_session_name", i);

		if (!str_eq(l->role_arn,
			    vcase_get(c, CHAIN "/%zu/AssumeRole/role_arn", i)) ||
			!str_eq(l->external_id,
				vcase_get(c, CHAIN "/%zu/AssumeRole/external_id", i)) ||
			(session && !str_eq(l->session_name, session)))
			return false;
	}
	return true;
}

enum verdict check_assume_role(struct vcase *c)
{
	struct creds_env env = {.access_key_id = (char[]){"ENVIRONMENT"},
		.secret_access_key = (char[]){"s"}};
	char path[] = "/tmp/check_aws.XXXXXX";
	struct creds_base_spec spec = {
		vcase_get(c, "/input/selected_profile"), path, NULL};
	struct buf text = BUF_INIT(65536);
	struct creds_base base;
	int fd;
	bool ok;

	put_profiles(c, &text);
	fd = mkstemp(path);
	ok = fd >= 0 && write(fd, buf_str(&text), text.len) == (ssize_t)text.len;
	creds_base_find(&env, &spec, &base);
	if (vcase_get(c, "/output/Error"))
		ok = ok && base.err.class == ERR_CONFIG;
	else
		ok = ok && base.err.class == ERR_OK && is_same_chain(c, &base);
	creds_base_done(&base);
	buf_done(&text);
	if (fd >= 0)
		close(fd);
	unlink(path);
	return vcase_passed_if(ok);
}

/* --- endpoint_url --- */

enum verdict check_endpoint_url(struct vcase *c)
{
	char why[200];
	struct profiles *p = profiles_parse(
		vcase_get(c, "/configFile"), "config", NULL, NULL, why);
	const char *ignore =
		vcase_is(c, "/clientConfig/ignore_configured_endpoint_urls")
			? "true"
			: vcase_get(c, "/env/AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	const struct endpoint_url_sources from = {
		.own = vcase_get(c, "/clientConfig/endpoint_url"),
		.env_service = vcase_get(c, "/env/AWS_ENDPOINT_URL_S3"),
		.env = vcase_get(c, "/env/AWS_ENDPOINT_URL"),
		.env_ignore = ignore,
		.profiles = p,
		.profile = vcase_get(c, "/profile"),
	};
	_cleanup_free_ char *url = NULL, *got = NULL;
	struct endpoint_spec spec = {0};
	struct endpoint e;
	bool ok = p != NULL;

	if (ok) {
		url = endpoint_url_choose(&from, vcase_get(c, "/service"));
		spec.endpoint_url = url;
		spec.region = profiles_get(p, from.profile, "region");
		ok = endpoint_s3(&spec, &e, why) == 0;
	}
	if (ok)
		got = mem_printf("%s%s", e.origin, e.path);
	profiles_free(p);
	return vcase_passed_if(ok && str_eq(got, vcase_get(c, "/output/endpointUrl")));
}
