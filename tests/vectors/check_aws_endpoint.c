/* Groups about where a request goes: endpoints, bucket names, keys in paths. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "tests/vectors/vcase.h"

/* --- endpoints --- */

static enum verdict check_endpoint(struct vcase *c, bool is_sts)
{
	struct endpoint_spec spec = {
		.region = vcase_get(c, "/params/Region"),
		.endpoint_url = vcase_get(c, "/params/Endpoint"),
		.bucket = vcase_get(c, "/params/Bucket"),
		.force_path_style = vcase_is(c, "/params/ForcePathStyle"),
	};
	const char *region = vcase_get(c, "/expect/auth/0/signingRegion");
	_cleanup_free_ char *url = NULL;
	struct endpoint e;
	char why[200];
	int r;

	if (vcase_is(c, "/params/UseFIPS") || vcase_is(c, "/params/UseDualStack") ||
		vcase_is(c, "/params/Accelerate") ||
		(spec.bucket && str_has_prefix(spec.bucket, "arn:")))
		return NOT_BUILT;
	if (str_eq(spec.region, "aws-global") ||
		(vcase_is(c, "/params/UseGlobalEndpoint") &&
			(is_sts || str_eq(spec.region, "us-east-1"))))
		return vcase_not_applicable(
			c, "the legacy global endpoint is not offered");
	r = is_sts ? endpoint_sts(&spec, &e, why) : endpoint_s3(&spec, &e, why);
	if (vcase_get(c, "/expect/error"))
		return vcase_passed_if(r < 0);
	if (r < 0)
		return FAILED;
	url = mem_printf("%s%s", e.origin, e.path);
	return vcase_passed_if(str_eq(url, vcase_get(c, "/expect/url")) &&
			       (!region || str_eq(e.signing_region, region)));
}

enum verdict check_endpoint_s3(struct vcase *c)
{
	return check_endpoint(c, false);
}

enum verdict check_endpoint_sts(struct vcase *c)
{
	return check_endpoint(c, true);
}

/* --- names --- */

static bool is_virtual(const char *endpoint_url, const char *bucket)
{
	struct endpoint_spec spec = {.endpoint_url = endpoint_url, .bucket = bucket};
	struct endpoint e;
	char why[200];

	return endpoint_s3(&spec, &e, why) == 0 && strcmp(e.path, "") == 0;
}

static enum verdict check_encoding(const struct vcase *c)
{
	struct buf out = BUF_INIT(65536);
	bool ok = false;

	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->paths[i], "/input") == 0)
			str_uri_encode(&out, c->values[i], c->lens[i],
				strcmp(c->category, "component") != 0);
	}
	ok = str_eq(buf_str(&out), vcase_get(c, "/output"));
	buf_done(&out);
	return vcase_passed_if(ok);
}

static enum verdict check_url(const struct vcase *c)
{
	struct endpoint_spec spec = {
		.endpoint_url = vcase_get(c, "/url"), .bucket = "bkt"};
	_cleanup_free_ char *want = NULL, *got = NULL;
	const char *path = vcase_get(c, "/path");
	bool is_ip = vcase_is(c, "/isIp"), is_slash = str_eq(path, "/");
	struct endpoint e;
	char why[200];
	int r = endpoint_s3(&spec, &e, why);

	if (!vcase_is(c, "/valid"))
		return vcase_passed_if(r < 0);
	if (r < 0)
		return FAILED;
	got = mem_printf("%s%s", e.origin, e.path);
	want = mem_printf("%s://%s%s%s%s", vcase_get(c, "/scheme"), is_ip ? "" : "bkt.",
		vcase_get(c, "/authority"), is_slash ? "" : path, is_ip ? "/bkt" : "");
	return vcase_passed_if(str_eq(got, want));
}

static enum verdict check_style(struct vcase *c)
{
	const char *style = vcase_get(c, "/addressingStyle");
	struct endpoint_spec spec = {
		.region = vcase_get(c, "/region"),
		.endpoint_url = vcase_get(c, "/customEndpoint"),
		.bucket = vcase_get(c, "/bucket"),
		.force_path_style = str_eq(style, "path"),
	};
	_cleanup_free_ char *url = NULL;
	struct endpoint e;
	char why[200];

	if (vcase_is(c, "/useDualstack") || vcase_is(c, "/useAccelerate"))
		return NOT_BUILT;
	if (str_eq(spec.region, "aws-global") ||
		(str_eq(spec.region, "us-east-1") &&
			!str_eq(vcase_get(c, "/usEast1Endpoint"), "regional")))
		return vcase_not_applicable(
			c, "the legacy global endpoint is not offered");
	if (endpoint_s3(&spec, &e, why) < 0)
		return FAILED;
	url = mem_printf("%s%s", e.origin, e.path);
	return vcase_passed_if(str_eq(url, vcase_get(c, "/expect/uri")));
}

enum verdict check_name(struct vcase *c)
{
	const char *bucket = vcase_get(c, "/bucket"), *expect = vcase_get(c, "/expect");

	if (strcmp(c->category, "virtual-host") == 0 && bucket && expect) {
		bool over_tls = is_virtual("https://h.example", bucket);
		bool over_http = is_virtual("http://h.example", bucket);

		return vcase_passed_if(over_tls == str_eq(expect, "https") &&
				       over_http == !str_eq(expect, "none"));
	}
	if (vcase_get(c, "/addressingStyle"))
		return check_style(c);
	if (vcase_get(c, "/url") && vcase_get(c, "/valid"))
		return check_url(c);
	if (strcmp(c->category, "component") == 0 || strcmp(c->category, "path") == 0)
		return check_encoding(c);
	if (strcmp(c->category, "bucket") == 0 && bucket && vcase_get(c, "/valid")) {
		struct endpoint_spec spec = {.region = "eu-west-1", .bucket = bucket};
		struct endpoint e;
		char why[200];

		return vcase_passed_if(
			(endpoint_s3(&spec, &e, why) == 0) == vcase_is(c, "/valid"));
	}
	return NOT_BUILT;
}
