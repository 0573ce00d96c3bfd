/* Region and bucket to host and path, in all partitions. Pure. Not DNS, not signing. */
#include "config.h"

#include "aws/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/partition.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/s3name.h"
#include "base/str.h"

#define WHY_SIZE 200
/* Of a host with its port; an IPv6 address stands in brackets. */
#define HOST_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]"

static int refuse(char *why, const char *text)
{
	snprintf(why, WHY_SIZE, "%s", text);
	return -EINVAL;
}

/* --- what both services share --- */

/* A host and the path in front of all others. */
struct base {
	bool is_tls;
	char host[200];
	char path[200];
};

static int parse_custom(const char *url, struct base *ret, char *why)
{
	const char *rest = strstr(url, "://");
	size_t n;

	if (!rest ||
		(strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
		return refuse(why, "endpoint_url must begin with https:// or http://");
	ret->is_tls = url[4] == 's';
	rest += 3;
	n = strcspn(rest, "/?#");
	if (n == 0 || n >= sizeof(ret->host) || strspn(rest, HOST_CHARS) < n ||
		strpbrk(rest, "?#"))
		return refuse(why, "endpoint_url needs a host, and no user, query or "
				   "fragment");
	if (strlen(rest + n) >= sizeof(ret->path))
		return refuse(why, "the path of endpoint_url is too long");
	str_copy(ret->host, n + 1, rest);
	str_copy(ret->path, sizeof(ret->path), rest + n);
	n = strlen(ret->path);
	if (n && ret->path[n - 1] == '/')
		ret->path[n - 1] = '\0';
	return 0;
}

/* The Host header leaves the scheme's own port out; so must what is signed. */
static void set_origin(struct endpoint *e, bool is_tls, const char *host)
{
	const char *port = is_tls ? ":443" : ":80";
	size_t n = strlen(host);

	if (str_has_suffix(host, port))
		n -= strlen(port);
	e->is_tls = is_tls;
	str_copy(e->origin, sizeof(e->origin), is_tls ? "https://" : "http://");
	str_copy(e->origin + 7 + is_tls, sizeof(e->origin) - 7 - is_tls, host);
	str_copy(e->host, n + 1 < sizeof(e->host) ? n + 1 : sizeof(e->host), host);
}

static int set_region(const struct endpoint_spec *spec, struct endpoint *e, char *why)
{
	const char *region = spec->region && *spec->region ? spec->region : NULL;

	if (!region && !spec->endpoint_url)
		return refuse(why, "the profile needs a region");
	if (region && !s3name_is_label(region)) {
		snprintf(why, WHY_SIZE, "'%.60s' is not a region", region);
		return -EINVAL;
	}
	if (!region || strcmp(region, "aws-global") == 0)
		region = "us-east-1";
	str_copy(e->signing_region, sizeof(e->signing_region), region);
	return 0;
}

static int check_variants(
	const struct endpoint_spec *spec, const struct partition *p, char *why)
{
	if (spec->endpoint_url && spec->use_dual_stack)
		return refuse(why, "endpoint_url and dual stack exclude each other");
	if (spec->endpoint_url && spec->use_fips)
		return refuse(why, "endpoint_url and FIPS exclude each other");
	if (spec->use_dual_stack && !p->dual_stack_suffix)
		return refuse(why, "this region's partition has no dual stack");
	return 0;
}

/* --- S3 --- */

static int check_s3(
	const struct endpoint_spec *spec, const struct partition *p, char *why)
{
	bool is_aws_cn = strcmp(p->name, "aws-cn") == 0;
	int r = check_variants(spec, p, why);

	if (r < 0)
		return r;
	if (spec->use_fips && is_aws_cn)
		return refuse(why, "there are no FIPS endpoints of S3 in China");
	if (!spec->use_accelerate)
		return 0;
	if (spec->endpoint_url || spec->force_path_style || spec->use_fips)
		return refuse(why, "transfer acceleration excludes endpoint_url, path "
				   "style and FIPS");
	if (strcmp(p->name, "aws") != 0)
		return refuse(why, "there is no transfer acceleration in this region");
	if (spec->bucket && !s3name_is_virtual(spec->bucket, true))
		return refuse(why,
			"transfer acceleration needs a bucket that can stand in "
			"a host name, without dots");
	return 0;
}

/* AWS's own host of a service: "s3-fips.dualstack.eu-west-1.amazonaws.com". */
static void aws_host(struct base *base, const char *service,
	const struct endpoint_spec *spec, const char *region, const struct partition *p)
{
	snprintf(base->host, sizeof(base->host), "%s%s%s.%s.%s", service,
		spec->use_fips ? "-fips" : "", spec->use_dual_stack ? ".dualstack" : "",
		region, p->dns_suffix);
}

static int set_path(struct endpoint *e, const char *path, const char *bucket, char *why)
{
	struct buf out = BUF_INIT(sizeof(e->path) - 1);
	int r = buf_puts(&out, path);

	if (r == 0 && bucket)
		r = buf_putc(&out, '/');
	if (r == 0 && bucket)
		r = str_uri_encode(&out, bucket, strlen(bucket), false);
	str_copy(e->path, sizeof(e->path), buf_str(&out));
	buf_done(&out);
	return r < 0 ? refuse(why, "endpoint_url and bucket are too long together") : 0;
}

static int put_bucket(const struct endpoint_spec *spec, const struct base *base,
	struct endpoint *e, char *why)
{
	const char *bucket = spec->bucket;
	bool is_virtual = bucket && !spec->force_path_style &&
			  !s3name_is_ip(base->host) &&
			  s3name_is_virtual(bucket, base->is_tls);
	char host[290];

	snprintf(host, sizeof(host), "%s%s%s", is_virtual ? bucket : "",
		is_virtual ? "." : "", base->host);
	set_origin(e, base->is_tls, host);
	return set_path(e, base->path, is_virtual ? NULL : bucket, why);
}

static int put_access_point(const struct endpoint_spec *spec, struct base *base,
	struct endpoint *e, char *why)
{
	const struct partition *own = partition_of(e->signing_region), *p;
	struct s3name_access_point ap;
	char host[290];

	if (s3name_access_point_parse(spec->bucket, &ap, why) < 0)
		return -EINVAL;
	p = partition_of(ap.region);
	if (strcmp(p->name, ap.partition) != 0 || (spec->region && p != own))
		return refuse(why, "the access point is in another partition of AWS");
	if (spec->force_path_style)
		return refuse(why, "access points cannot be used in path style");
	if (spec->ignore_arn_region && spec->region &&
		strcmp(e->signing_region, ap.region) != 0)
		return refuse(why, "the access point is in another region");
	if (spec->endpoint_url && s3name_is_ip(base->host))
		return refuse(why, "access points need an endpoint_url with a host name");
	if (!spec->endpoint_url)
		aws_host(base, "s3-accesspoint", spec, ap.region, p);
	str_copy(e->signing_region, sizeof(e->signing_region), ap.region);
	snprintf(host, sizeof(host), "%s-%s.%s", ap.name, ap.account, base->host);
	set_origin(e, base->is_tls, host);
	return set_path(e, base->path, NULL, why);
}

int endpoint_s3(const struct endpoint_spec *spec, struct endpoint *ret, char *why)
{
	struct base base = {.is_tls = true};
	struct endpoint e = {.is_aws = !spec->endpoint_url};
	const struct partition *p;
	int r = set_region(spec, &e, why);

	if (r < 0)
		return r;
	p = partition_of(e.signing_region);
	r = check_s3(spec, p, why);
	if (r == 0 && spec->endpoint_url)
		r = parse_custom(spec->endpoint_url, &base, why);
	if (r < 0)
		return r;
	if (spec->use_accelerate && spec->bucket)
		snprintf(base.host, sizeof(base.host), "s3-accelerate%s.%s",
			spec->use_dual_stack ? ".dualstack" : "", p->dns_suffix);
	else if (!spec->endpoint_url)
		aws_host(&base, "s3", spec, e.signing_region, p);
	if (spec->bucket && str_has_prefix(spec->bucket, "arn:"))
		r = put_access_point(spec, &base, &e, why);
	else
		r = put_bucket(spec, &base, &e, why);
	if (r == 0)
		*ret = e;
	return r;
}

bool endpoint_is_accelerate(const char *url)
{
	struct base base;
	char why[WHY_SIZE];

	return parse_custom(url, &base, why) == 0 &&
	       (strcmp(base.host, "s3-accelerate.amazonaws.com") == 0 ||
		       strcmp(base.host, "s3-accelerate.dualstack.amazonaws.com") == 0);
}

/* --- STS --- */

int endpoint_sts(const struct endpoint_spec *spec, struct endpoint *ret, char *why)
{
	struct base base = {.is_tls = true};
	struct endpoint e = {.is_aws = !spec->endpoint_url};
	const struct partition *p;
	bool is_gov;
	int r = set_region(spec, &e, why);

	if (r < 0)
		return r;
	p = partition_of(e.signing_region);
	r = check_variants(spec, p, why);
	if (r == 0 && spec->endpoint_url)
		r = parse_custom(spec->endpoint_url, &base, why);
	if (r < 0)
		return r;
	/* GovCloud's plain hosts are validated ones. */
	is_gov = strcmp(p->name, "aws-us-gov") == 0 && !spec->use_dual_stack;
	if (!spec->endpoint_url)
		snprintf(base.host, sizeof(base.host), "sts%s.%s.%s",
			spec->use_fips && !is_gov ? "-fips" : "", e.signing_region,
			spec->use_dual_stack ? p->dual_stack_suffix : p->dns_suffix);
	set_origin(&e, base.is_tls, base.host);
	str_copy(e.path, sizeof(e.path), base.path);
	*ret = e;
	return 0;
}
