/*
 * The AWS layer for tests in other languages: one JSON object a line on stdin, one a line
 * on stdout. "do" is sign, presign, endpoint or profile; tests/system/test_botocore.py
 * has the members.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define PAIRS_MAX  64
#define ANSWER_MAX (1 << 20)

static size_t take_pairs(const struct json *list, struct sigv4_pair pairs[PAIRS_MAX])
{
	size_t n = json_array_len(list);

	for (size_t i = 0; i < n && i < PAIRS_MAX; i++) {
		const struct json *pair = json_array_at(list, i);

		pairs[i] = (struct sigv4_pair){json_as_str(json_array_at(pair, 0)),
			json_as_str(json_array_at(pair, 1))};
	}
	return n;
}

static void answer_sign(const struct json *q, struct json_writer *w, bool is_presign)
{
	struct sigv4_pair query[PAIRS_MAX], headers[PAIRS_MAX];
	struct buf path = BUF_INIT(ANSWER_MAX);
	const char *raw = json_get_str(q, "path");
	const char *service = json_get_str(q, "service");
	const struct sigv4_request request = {
		.method = json_get_str(q, "method"),
		.path = (str_uri_encode(&path, raw, strlen(raw), true), buf_str(&path)),
		.query = query,
		.query_count = take_pairs(json_get(q, "query"), query),
		.headers = headers,
		.header_count = take_pairs(json_get(q, "headers"), headers),
		.payload_hash = json_get_str(q, "payload"),
	};
	const struct sigv4_scope scope = {.region = json_get_str(q, "region"),
		.service = service,
		.at_s = json_get_int(q, "at", 0),
		.is_s3 = strcmp(service, "s3") == 0};
	const struct sigv4_keys keys = {json_get_str(q, "key"), json_get_str(q, "secret"),
		json_get_str(q, "token")};
	struct sigv4_result result = {0};
	int r = is_presign ? sigv4_presign(&request, &scope, &keys,
				     json_get_int(q, "expires", 0), &result)
			   : sigv4_sign(&request, &scope, &keys, &result);

	if (r == 0) {
		json_put_str(w, "signature", result.signature);
		json_put_str(w, "signed_headers", result.signed_headers);
		json_put_str(w, "canonical_request", result.canonical_request);
	} else {
		json_put_str(w, "error", "refused");
	}
	sigv4_result_done(&result);
	buf_done(&path);
}

static void answer_endpoint(const struct json *q, struct json_writer *w)
{
	const struct endpoint_spec spec = {
		.region = json_get_str(q, "region"),
		.endpoint_url = json_get_str(q, "endpoint_url"),
		.bucket = json_get_str(q, "bucket"),
		.force_path_style = json_get_bool(q, "path_style", false),
		.use_fips = json_get_bool(q, "fips", false),
		.use_dual_stack = json_get_bool(q, "dualstack", false),
		.use_accelerate = json_get_bool(q, "accelerate", false),
		.ignore_arn_region = json_get_bool(q, "ignore_arn_region", false),
	};
	bool is_s3 = strcmp(json_get_str(q, "service"), "s3") == 0;
	struct endpoint e;
	char why[200];

	if ((is_s3 ? endpoint_s3 : endpoint_sts)(&spec, &e, why) < 0) {
		json_put_str(w, "error", why);
		return;
	}
	_cleanup_free_ char *url = mem_printf("%s%s", e.origin, e.path);

	json_put_str(w, "url", url);
	json_put_str(w, "region", e.signing_region);
}

static void answer_profile(const struct json *q, struct json_writer *w)
{
	static const char *const kinds[] = {[BASE_NONE] = "none",
		[BASE_ENVIRONMENT] = "environment",
		[BASE_KEYS] = "keys",
		[BASE_PROCESS] = "process",
		[BASE_WEB_IDENTITY] = "web",
		[BASE_CONTAINER] = "container",
		[BASE_IMDS] = "imds"};
	const struct creds_base_spec spec = {.profile = json_get_str(q, "profile"),
		.aws_config_file = json_get_str(q, "config"),
		.aws_credentials_file = json_get_str(q, "credentials")};
	struct creds_env env = {0};
	struct creds_base base;

	creds_base_find(&env, &spec, &base);
	json_put_str(w, "kind", kinds[base.kind]);
	if (base.kind == BASE_NONE)
		json_put_str(w, "error", base.err.text);
	json_put_str(w, "key", base.set.access_key_id);
	json_put_str(w, "command", base.command);
	json_put_str(w, "token_file", base.web_token_file);
	json_put_str(w, "web_role", base.web.role_arn);
	json_array_begin(w, "roles");
	for (int i = 0; base.kind != BASE_NONE && i < base.role_count; i++) {
		const struct creds_link *l = &base.roles[i];

		json_object_begin(w, NULL);
		json_put_str(w, "arn", l->role_arn);
		json_put_str(w, "external_id", l->external_id);
		json_put_str(w, "session", l->session_name);
		json_put_int(w, "duration", l->duration_s);
		json_object_end(w);
	}
	json_array_end(w);
	creds_base_done(&base);
}

static void answer(const struct json *q)
{
	struct buf out = BUF_INIT(ANSWER_MAX);
	const char *what = json_get_str(q, "do");
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	if (str_eq(what, "sign"))
		answer_sign(q, &w, false);
	else if (str_eq(what, "presign"))
		answer_sign(q, &w, true);
	else if (str_eq(what, "endpoint"))
		answer_endpoint(q, &w);
	else
		answer_profile(q, &w);
	json_object_end(&w);
	puts(buf_str(&out));
	buf_done(&out);
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, stdin)) > 0) {
		struct json *q = json_parse(line, (size_t)n, NULL);

		if (q)
			answer(q);
		else
			puts("{\"error\": \"no JSON\"}");
		json_free(q);
	}
	free(line);
	return 0;
}
