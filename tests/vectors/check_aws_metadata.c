/*
 * The groups of the metadata services: container and imds, run on the real providers with
 * scripted answers. Not the chain that leads to them (check_aws_creds).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "aws/imds.h"
#include "aws/profile.h"
#include "aws/provider.h"
#include "base/mem.h"
#include "base/str.h"
#include "tests/vectors/script_http.h"
#include "tests/vectors/vcase.h"

static enum verdict passed_if(bool is_right)
{
	return is_right ? PASSED : FAILED;
}

/* Answers by the lists of a case; remembers what was asked. */
struct script {
	const struct vcase *c;
	const char *list; /* "/responses": answered in this order, whatever is asked */
	size_t next;
	bool is_right; /* every request was expected */
	char *method, *url, *accept, *authorization;
};

static void script_done(struct script *s)
{
	free(s->method);
	free(s->url);
	free(s->accept);
	free(s->authorization);
}

static void note(struct script *s, const struct script_request *rq)
{
	mem_replace(&s->method, rq->method);
	mem_replace(&s->url, rq->url);
	mem_replace(&s->accept, script_header(rq, "Accept"));
	mem_replace(&s->authorization, script_header(rq, "Authorization"));
}

static const char *net_code(const char *transport)
{
	if (!transport)
		return NULL;
	if (strstr(transport, "connect-timeout"))
		return "connect";
	return strstr(transport, "timeout") ? "stall" : "reset";
}

static void answer_at(
	struct script *s, const char *path, size_t i, struct script_answer *ret)
{
	const char *status = vcase_get(s->c, "%s/%zu/status", path, i);

	ret->status = status ? atoi(status) : 500;
	ret->body = mem_strdup(vcase_get(s->c, "%s/%zu/body", path, i));
	ret->net_code = net_code(vcase_get(s->c, "%s/%zu/transport", path, i));
}

static void answer_in_order(
	void *arg, const struct script_request *rq, struct script_answer *ret)
{
	struct script *s = arg;
	const char *token = vcase_get(s->c, "/expect/laterRequestsHaveTokenHeader");

	note(s, rq);
	if (token && s->next &&
		!str_eq(token, script_header(rq, "x-aws-ec2-metadata-token")))
		s->is_right = false;
	answer_at(s, s->list, s->next, ret);
	s->next++;
}

/* The keys of an env object of a case, as the daemon takes them. */
static const char *env_of(const struct vcase *c, const char *name)
{
	const char *value = vcase_get(c, "/env/%s", name);

	return value && *value ? value : NULL;
}

static void fill_env(const struct vcase *c, struct creds_env *env)
{
	*env = (struct creds_env){
		.container_relative_uri = (char *)env_of(
			c, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		.container_full_uri = (char *)env_of(
			c, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		.container_token = (char *)env_of(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
		.container_token_file = (char *)env_of(
			c, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
		.imds_disabled = (char *)env_of(c, "AWS_EC2_METADATA_DISABLED"),
		.imds_endpoint = (char *)env_of(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
		.imds_mode = (char *)env_of(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"),
	};
}

/* --- container --- */

static void fetch_container(
	struct rig *r, const struct creds_env *env, struct rig_result *ret)
{
	struct creds_base_spec spec = {.credential_source = "EcsContainer"};
	struct creds_base base;
	struct provider *p;

	creds_base_find(env, &spec, &base);
	p = creds_base_open(&base, r->loop, &r->http, NULL, env);
	if (p)
		rig_fetch(r, p, ret);
	else
		*ret = (struct rig_result){.err = mem_alloc(sizeof(struct err)),
			.set = mem_alloc(sizeof(struct creds_set))};
	provider_free(p);
	creds_base_done(&base);
}

static void answer_always(
	void *arg, const struct script_request *rq, struct script_answer *ret)
{
	struct script *s = arg;
	const char *status = vcase_get(s->c, "/response/status");

	note(s, rq);
	s->next++;
	ret->status = status ? atoi(status) : 200;
	ret->body = mem_strdup(status ? vcase_get(s->c, "/response/body")
				      : "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":"
					"\"b\",\"Token\":\"c\"}");
}

static bool is_as_asked(const struct vcase *c, const struct script *s, const char *url)
{
	const char *auth = vcase_get(c, "/expect/request/headers/Authorization");
	const char *accept = vcase_get(c, "/expect/request/headers/Accept");

	return str_eq(s->method, "GET") && str_eq(s->url, url) &&
	       (!auth || str_eq(auth, s->authorization)) &&
	       (auth || !vcase_get(c, "/expect/request/uri") || !s->authorization) &&
	       (!accept || str_eq(accept, s->accept));
}

/* Which request goes out, if any: uri-config, full-uri-hosts, sep-request. */
static bool check_container_request(
	const struct vcase *c, struct rig *r, struct script *s)
{
	const char *full = vcase_get(c, "/fullUri"), *url = vcase_get(c, "/result/Ok");
	const char *token = vcase_get(c, "/tokenFile/content");
	bool is_sent = url || vcase_is(c, "/allowed") ||
		       vcase_get(c, "/expect/request/uri");
	struct rig_result res;
	struct creds_env env;
	char *path;

	fill_env(c, &env);
	path = rig_file(r, "token", token);
	if (env.container_token_file)
		env.container_token_file = path;
	if (full)
		env.container_full_uri = (char *)full;
	fetch_container(r, &env, &res);
	rig_result_done(&res);
	free(path);
	if (!url)
		url = vcase_get(c, "/expect/request/uri");
	if (!is_sent)
		return !res.has_set && s->next == 0;
	return res.has_set && is_as_asked(c, s, url ? url : full);
}

static bool quotes_answer(const struct vcase *c, const char *text)
{
	const char *part;

	for (size_t i = 0; (part = vcase_get(c, "/expect/errorMustNotContain/%zu", i));
		i++) {
		if (strstr(text, part))
			return true;
	}
	part = vcase_get(c, "/expect/errorMustNotContain");
	return part && strstr(text, part);
}

static bool is_same_set(const struct vcase *c, const struct creds_set *set)
{
	const char *account = vcase_get(c, "/expect/credentials/account_id");

	return str_eq(set->access_key_id,
		       vcase_get(c, "/expect/credentials/access_key_id")) &&
	       str_eq(set->secret_access_key,
		       vcase_get(c, "/expect/credentials/secret_access_key")) &&
	       str_eq(set->session_token,
		       vcase_get(c, "/expect/credentials/session_token")) &&
	       (!account || str_eq(set->account, account));
}

/* What an answer comes to: sep-response, fetch-flow. */
static bool check_container_answer(const struct vcase *c, struct rig *r, struct script *s)
{
	const char *uri = vcase_get(c, "/relativeUri");
	const char *attempts = vcase_get(c, "/expect/attempts");
	bool is_good = str_eq(vcase_get(c, "/expect/type"), "success") ||
		       str_eq(vcase_get(c, "/expect/result"), "credentials");
	struct creds_env env = {.container_relative_uri = (char *)(uri ? uri : "/c")};
	struct rig_result res;
	bool ok;

	fetch_container(r, &env, &res);
	ok = res.has_set == is_good &&
	     (!attempts || s->next == strtoul(attempts, NULL, 10));
	if (ok && is_good && vcase_get(c, "/expect/credentials/access_key_id"))
		ok = is_same_set(c, res.set);
	if (ok && !is_good)
		ok = !quotes_answer(c, res.err->text);
	rig_result_done(&res);
	return ok;
}

enum verdict check_container(struct vcase *c)
{
	bool has_list = vcase_get(c, "/responses/#") != NULL;
	struct script s = {.c = c, .list = "/responses", .is_right = true};
	struct rig r;
	bool ok;

	rig_init(&r, has_list ? answer_in_order : answer_always, &s);
	if (has_list || vcase_get(c, "/response/status"))
		ok = check_container_answer(c, &r, &s);
	else
		ok = check_container_request(c, &r, &s);
	rig_done(&r);
	script_done(&s);
	return passed_if(ok && s.is_right);
}

/* --- imds: the endpoint --- */

static enum verdict check_imds_endpoint(const struct vcase *c)
{
	struct imds_options o = {.endpoint = vcase_get(c, "/endpointOverride"),
		.mode = vcase_get(c, "/modeOverride")};
	const char *url = vcase_get(c, "/result/Ok"), *why;
	const char *file = vcase_get(c, "/env/AWS_CONFIG_FILE");
	const char *profile = vcase_get(c, "/env/AWS_PROFILE");
	_cleanup_free_ char *base = NULL, *got = NULL;
	struct profiles *p;
	struct creds_env env;
	char reason[200];

	fill_env(c, &env);
	p = profiles_parse(file ? vcase_get(c, "/files/%s", file) : NULL, "config", NULL,
		NULL, reason);
	imds_options_fill(&o, &env, p, profile ? profile : "default");
	base = imds_base_url(&o, &why);
	got = base ? mem_printf("%s/latest/api/token", base) : NULL;
	profiles_free(p);
	return passed_if(str_eq(got, url));
}

/* --- imds: fetches --- */

static struct provider *open_imds(const struct vcase *c, struct rig *r,
	const struct imds_options *options, const struct creds_env *env)
{
	struct creds_base_spec spec = {.credential_source = "Ec2InstanceMetadata"};
	struct creds_base base;

	creds_base_find(env, &spec, &base);
	creds_base_done(&base);
	return base.err.class == ERR_OK ? provider_imds_new(r->loop, &r->http, options)
					: NULL;
}

static void answer_by_path(
	void *arg, const struct script_request *rq, struct script_answer *ret)
{
	struct script *s = arg;
	const char *get = vcase_get(s->c, "/expectations/%zu/get", s->next);
	const char *path = strchr(strstr(rq->url, "://") + 3, '/');
	size_t n = path ? strlen(path) : 0;
	const char *status;

	if (strcmp(rq->method, "PUT") == 0) {
		ret->status = 200;
		ret->body = mem_strdup("token");
		return;
	}
	while (n && path[n - 1] == '/')
		n--;
	if (!get || strlen(get) != n || strncmp(get, path, n) != 0 ||
		!str_eq(script_header(rq, "x-aws-ec2-metadata-token"), "token"))
		s->is_right = false;
	status = vcase_get(s->c, "/expectations/%zu/response/status", s->next);
	ret->status = status ? atoi(status) : 500;
	ret->body = mem_strdup(
		vcase_get(s->c, "/expectations/%zu/response/body", s->next));
	s->next++;
}

static bool is_outcome(const struct vcase *c, size_t i, const struct rig_result *res)
{
	const char *want = vcase_get(c, "/outcomes/%zu/result", i);
	const char *account = vcase_get(c, "/outcomes/%zu/accountId", i);

	if (!str_eq(want, "credentials"))
		return !res->has_set;
	return res->has_set && str_eq(res->set->account, account ? account : "");
}

static enum verdict check_imds_paths(const struct vcase *c)
{
	struct imds_options o = {.role = vcase_get(c, "/ec2InstanceProfileName")};
	struct script s = {.c = c, .is_right = true};
	struct creds_env env;
	struct provider *p;
	struct rig r;
	bool ok = true;

	fill_env(c, &env);
	rig_init(&r, answer_by_path, &s);
	p = open_imds(c, &r, &o, &env);
	for (size_t i = 0; ok && i < vcase_count(c, "/outcomes"); i++) {
		struct rig_result res = {0};

		if (p)
			rig_fetch(&r, p, &res);
		ok = is_outcome(c, i, &res);
		rig_result_done(&res);
	}
	provider_free(p);
	rig_done(&r);
	return passed_if(ok && s.is_right && s.next == vcase_count(c, "/expectations"));
}

static bool is_fetched(
	const struct vcase *c, const struct script *s, const struct rig_result *res)
{
	const char *requests = vcase_get(c, "/expect/requests");

	if (requests && s->next != strtoul(requests, NULL, 10))
		return false;
	if (!str_eq(vcase_get(c, "/expect/result"), "credentials"))
		return !res->has_set;
	return res->has_set &&
	       str_eq(res->set->access_key_id,
		       vcase_get(c, "/expect/credentials/access_key")) &&
	       str_eq(res->set->secret_access_key,
		       vcase_get(c, "/expect/credentials/secret_key")) &&
	       str_eq(res->set->session_token, vcase_get(c, "/expect/credentials/token"));
}

static enum verdict check_imds_flow(struct vcase *c)
{
	const char *attempts = vcase_get(c, "/numAttempts");
	const char *first = vcase_get(c, "/responses/0/status");
	struct imds_options o = {.attempts = attempts ? atoi(attempts) : 0};
	struct script s = {.c = c, .list = "/responses", .is_right = true};
	struct rig_result res = {0};
	struct creds_env env;
	struct provider *p;
	struct rig r;
	bool ok;

	if (str_eq(c->category, "expiry-extension")) {
		c->reason = "expiries are not extended: the rule of 2026 replaces it";
		return NOT_APPLICABLE;
	}
	if (!str_eq(first, "200") &&
		str_eq(vcase_get(c, "/expect/result"), "credentials")) {
		c->reason = "there is no fall-back to IMDSv1";
		return NOT_APPLICABLE;
	}
	fill_env(c, &env);
	rig_init(&r, answer_in_order, &s);
	p = open_imds(c, &r, &o, &env);
	if (p)
		rig_fetch(&r, p, &res);
	ok = is_fetched(c, &s, &res);
	rig_result_done(&res);
	provider_free(p);
	rig_done(&r);
	script_done(&s);
	return passed_if(ok && s.is_right);
}

enum verdict check_imds(struct vcase *c)
{
	if (vcase_get(c, "/result/Ok") || vcase_get(c, "/result/Err"))
		return check_imds_endpoint(c);
	return vcase_get(c, "/outcomes/#") ? check_imds_paths(c) : check_imds_flow(c);
}
