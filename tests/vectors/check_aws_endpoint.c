/* Groups about where a request goes: endpoints, bucket names, keys in paths. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/s3name.h"
#include "base/str.h"
#include "tests/vectors/vcase.h"

/* --- endpoints --- */

#define GLOBAL "the legacy global endpoint is not offered"

/* A host without a region that is not one of transfer acceleration. */
static bool is_global(const char *url)
{
	const char *host = url ? strstr(url, "://") : NULL;
	_cleanup_free_ char *name = NULL;

	if (!host)
		return false;
	name = mem_strndup(host + 3, strcspn(host + 3, "/"));
	return strcmp(name, "sts.amazonaws.com") == 0 ||
	       strcmp(name, "s3.amazonaws.com") == 0 ||
	       str_has_suffix(name, ".s3.amazonaws.com");
}

static enum verdict check_endpoint(struct vcase *c, bool is_sts)
{
	const char *use_arn_region = vcase_get(c, "/params/UseArnRegion");
	struct endpoint_spec spec = {
		.region = vcase_get(c, "/params/Region"),
		.endpoint_url = vcase_get(c, "/params/Endpoint"),
		.bucket = vcase_get(c, "/params/Bucket"),
		.force_path_style = vcase_is(c, "/params/ForcePathStyle"),
		.use_fips = vcase_is(c, "/params/UseFIPS"),
		.use_dual_stack = vcase_is(c, "/params/UseDualStack"),
		.use_accelerate = vcase_is(c, "/params/Accelerate"),
		.ignore_arn_region = use_arn_region && !strcmp(use_arn_region, "0"),
	};
	const char *region = vcase_get(c, "/expect/auth/0/signingRegion");
	_cleanup_free_ char *url = NULL;
	struct endpoint e;
	char why[200];
	int r;

	if (is_global(vcase_get(c, "/expect/url")))
		return vcase_not_applicable(c, GLOBAL);
	if (spec.use_accelerate && spec.use_dual_stack &&
		str_eq(spec.region, "aws-global"))
		return vcase_not_applicable(c, "aws-global means us-east-1 here");
	if (vcase_is(c, "/params/DisableAccessPoints"))
		return vcase_not_applicable(c, "buckets are never created");
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
		.use_dual_stack = vcase_is(c, "/useDualstack"),
		.use_accelerate = vcase_is(c, "/useAccelerate"),
	};
	_cleanup_free_ char *url = NULL;
	struct endpoint e;
	char why[200];

	if (is_global(vcase_get(c, "/expect/uri")))
		return vcase_not_applicable(c, GLOBAL);
	if (endpoint_s3(&spec, &e, why) < 0)
		return vcase_passed_if(vcase_is(c, "/expect/error"));
	url = mem_printf("%s%s", e.origin, e.path);
	return vcase_passed_if(str_eq(url, vcase_get(c, "/expect/uri")));
}

static enum verdict check_arn(const struct vcase *c)
{
	struct s3name_arn a;
	char why[S3NAME_WHY_SIZE];
	int r = s3name_arn_parse(vcase_get(c, "/arn"), &a, why);

	if (!vcase_is(c, "/valid"))
		return vcase_passed_if(r < 0);
	return vcase_passed_if(r == 0 &&
			       str_eq(a.partition, vcase_get(c, "/partition")) &&
			       str_eq(a.service, vcase_get(c, "/service")) &&
			       str_eq(a.region, vcase_get(c, "/region")) &&
			       str_eq(a.account, vcase_get(c, "/account")) &&
			       str_eq(a.resource, vcase_get(c, "/resource")));
}

static enum verdict check_split(const struct vcase *c)
{
	const char *path = vcase_get(c, "/path");
	size_t n = s3name_bucket_len(path);
	_cleanup_free_ char *bucket = mem_strndup(path, n);

	return vcase_passed_if(str_eq(bucket, vcase_get(c, "/bucket")) &&
			       str_eq(path[n] ? path + n + 1 : "", vcase_get(c, "/key")));
}

/* A source in one text: "[/]bucket/key[?versionId=ID]". */
static enum verdict check_copy_source(const struct vcase *c)
{
	const char *input = vcase_get(c, "/input"), *want = vcase_get(c, "/output");
	_cleanup_free_ char *text = mem_strdup(input);
	char *bucket = text, *key, *version = text ? strstr(text, "?versionId=") : NULL;
	struct buf out = BUF_INIT(4096);
	bool ok;

	if (!input) {
		s3name_copy_source(
			&out, vcase_get(c, "/bucket"), vcase_get(c, "/key"), NULL);
	} else {
		if (version) {
			*version = '\0';
			version += strlen("?versionId=");
		}
		bucket += *bucket == '/';
		want += *want == '/';
		key = strchr(bucket, '/');
		if (key)
			*key++ = '\0';
		s3name_copy_source(&out, bucket, key ? key : "", version);
	}
	ok = str_eq(buf_str(&out), want);
	buf_done(&out);
	return vcase_passed_if(ok);
}

/* As s3/op puts it together: the endpoint's path and the key. */
static enum verdict check_request(const struct vcase *c)
{
	const char *style = vcase_get(c, "/operationConfig/addressing_style");
	const char *key = vcase_get(c, "/params/Key");
	struct endpoint_spec spec = {
		.region = vcase_get(c, "/clientConfig/region"),
		.bucket = vcase_get(c, "/params/Bucket"),
		.force_path_style = str_eq(
			style ? style : vcase_get(c, "/clientConfig/addressing_style"),
			"path"),
		.use_dual_stack = vcase_is(c, "/clientConfig/use_dualstack_endpoint"),
		.use_accelerate = vcase_is(c, "/clientConfig/use_accelerate_endpoint"),
	};
	struct buf path = BUF_INIT(4096);
	struct endpoint e;
	char why[200];
	bool ok = endpoint_s3(&spec, &e, why) == 0;

	if (ok) {
		buf_puts(&path, e.path);
		if (key || !path.len)
			buf_putc(&path, '/');
		if (key)
			str_uri_encode(&path, key, strlen(key), true);
		ok = str_eq(buf_str(&path), vcase_get(c, "/expect/path")) &&
		     str_eq(e.host, vcase_get(c, "/expect/host"));
	}
	buf_done(&path);
	return vcase_passed_if(ok);
}

static enum verdict check_virtual(const struct vcase *c)
{
	const char *bucket = vcase_get(c, "/bucket"), *expect = vcase_get(c, "/expect");
	bool over_tls = is_virtual("https://h.example", bucket);
	bool over_http = is_virtual("http://h.example", bucket);

	return vcase_passed_if(over_tls == str_eq(expect, "https") &&
			       over_http == !str_eq(expect, "none"));
}

enum verdict check_name(struct vcase *c)
{
	char why[S3NAME_WHY_SIZE];

	if (strcmp(c->category, "virtual-host") == 0)
		return check_virtual(c);
	if (vcase_get(c, "/addressingStyle"))
		return check_style(c);
	if (vcase_get(c, "/isAccelerate"))
		return vcase_passed_if(endpoint_is_accelerate(vcase_get(c, "/url")) ==
				       vcase_is(c, "/isAccelerate"));
	if (vcase_get(c, "/arn"))
		return check_arn(c);
	if (vcase_get(c, "/path") && vcase_get(c, "/key"))
		return check_split(c);
	if (strcmp(c->category, "string") == 0 || strcmp(c->category, "parts") == 0)
		return check_copy_source(c);
	if (vcase_get(c, "/params/Bucket"))
		return check_request(c);
	if (vcase_get(c, "/url") && vcase_get(c, "/valid"))
		return check_url(c);
	if (strcmp(c->category, "component") == 0 || strcmp(c->category, "path") == 0)
		return check_encoding(c);
	if (vcase_get(c, "/bucket") && vcase_get(c, "/valid"))
		return vcase_passed_if((s3name_check_bucket(vcase_get(c, "/bucket"),
						why) == 0) == vcase_is(c, "/valid"));
	return NOT_BUILT;
}
