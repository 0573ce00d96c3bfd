/* Region and bucket to host and path, in all partitions. Pure. Not DNS, not signing. */
#include "config.h"

#include "aws/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#define WHY_SIZE 200
/* Of a host with its port; an IPv6 address stands in brackets. */
#define HOST_CHARS                                                                       \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]"

static const char *dns_suffix(const char *region)
{
	static const struct {
		const char *prefix, *suffix;
	} partitions[] = {
		{"cn-", "amazonaws.com.cn"},
		{"eusc-", "amazonaws.eu"},
		{"us-isob-", "sc2s.sgov.gov"},
		{"us-isof-", "csp.hci.ic.gov"},
		{"eu-isoe-", "cloud.adc-e.uk"},
		{"us-iso-", "c2s.ic.gov"},
	};

	for (size_t i = 0; i < ARRAY_LEN(partitions); i++) {
		if (str_has_prefix(region, partitions[i].prefix))
			return partitions[i].suffix;
	}
	return "amazonaws.com";
}

static bool is_host_label(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 64 && s[0] != '-' && s[n - 1] != '-' &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") ==
		       n;
}

static bool is_ip(const char *host)
{
	unsigned char addr[16];
	char name[64];

	if (host[0] == '[')
		return true;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, ":"), host);
	return inet_pton(AF_INET, name, addr) == 1;
}

/* Usable as a host label under TLS; dots break the certificate's wildcard. */
static bool is_virtual_hostable(const char *bucket, bool is_tls)
{
	size_t n = strlen(bucket);
	const char *edge = "abcdefghijklmnopqrstuvwxyz0123456789";

	if (n < 3 || n > 63 || !strchr(edge, bucket[0]) || !strchr(edge, bucket[n - 1]))
		return false;
	if (strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != n)
		return false;
	if (strstr(bucket, "..") || strstr(bucket, ".-") || strstr(bucket, "-.") ||
		is_ip(bucket))
		return false;
	return !is_tls || !strchr(bucket, '.');
}

/* Refused by name rather than sent somewhere wrong. */
static int check_bucket(const char *bucket, char *why)
{
	size_t n = strlen(bucket);

	if (str_has_prefix(bucket, "arn:")) {
		snprintf(why, WHY_SIZE, "access point ARNs are not supported yet");
		return -EINVAL;
	}
	if (str_has_suffix(bucket, "--x-s3")) {
		snprintf(why, WHY_SIZE, "directory buckets (S3 Express) are not supported");
		return -EINVAL;
	}
	if (n == 0 || n > 255 ||
		strspn(bucket, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			       "0123456789.-_") != n) {
		snprintf(why, WHY_SIZE, "'%.100s' is not a bucket name", bucket);
		return -EINVAL;
	}
	return 0;
}

struct custom {
	bool is_tls;
	char host[200];
	char path[200];
};

static int parse_custom(const char *url, struct custom *ret, char *why)
{
	const char *rest = strstr(url, "://");
	size_t n;

	if (!rest || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)) {
		snprintf(why, WHY_SIZE, "endpoint_url must begin with https:// or http://");
		return -EINVAL;
	}
	ret->is_tls = url[4] == 's';
	rest += 3;
	n = strcspn(rest, "/?#");
	if (n == 0 || n >= sizeof(ret->host) || strspn(rest, HOST_CHARS) < n ||
		strpbrk(rest, "?#")) {
		snprintf(why, WHY_SIZE, "endpoint_url needs a host, and no user, query or "
					"fragment");
		return -EINVAL;
	}
	if (strlen(rest + n) >= sizeof(ret->path)) {
		snprintf(why, WHY_SIZE, "the path of endpoint_url is too long");
		return -EINVAL;
	}
	snprintf(ret->host, sizeof(ret->host), "%.*s", (int)n, rest);
	snprintf(ret->path, sizeof(ret->path), "%s", rest + n);
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
	snprintf(e->origin, sizeof(e->origin), "%s://%s", is_tls ? "https" : "http", host);
	snprintf(e->host, sizeof(e->host), "%.*s", (int)n, host);
}

static int set_region(const struct endpoint_spec *spec, struct endpoint *e, char *why)
{
	const char *region = spec->region && *spec->region ? spec->region : NULL;

	if (!region && !spec->endpoint_url) {
		snprintf(why, WHY_SIZE, "the profile needs a region");
		return -EINVAL;
	}
	if (region && !is_host_label(region)) {
		snprintf(why, WHY_SIZE, "'%.60s' is not a region", region);
		return -EINVAL;
	}
	snprintf(e->signing_region, sizeof(e->signing_region), "%s",
		region ? region : "us-east-1");
	return 0;
}

int endpoint_s3(const struct endpoint_spec *spec, struct endpoint *ret, char *why)
{
	struct custom custom = {.is_tls = true};
	struct endpoint e = {0};
	char host[290];
	bool is_virtual;
	int r = set_region(spec, &e, why);

	if (r == 0 && spec->bucket)
		r = check_bucket(spec->bucket, why);
	if (r == 0 && spec->endpoint_url)
		r = parse_custom(spec->endpoint_url, &custom, why);
	if (r < 0)
		return r;
	if (!spec->endpoint_url) {
		e.is_aws = true;
		snprintf(custom.host, sizeof(custom.host), "s3.%s.%s", e.signing_region,
			dns_suffix(e.signing_region));
	}
	is_virtual = spec->bucket && !spec->force_path_style && !is_ip(custom.host) &&
		     is_virtual_hostable(spec->bucket, custom.is_tls);
	snprintf(host, sizeof(host), "%s%s%s", is_virtual ? spec->bucket : "",
		is_virtual ? "." : "", custom.host);
	set_origin(&e, custom.is_tls, host);
	if (snprintf(e.path, sizeof(e.path), "%s%s%s", custom.path,
		    spec->bucket && !is_virtual ? "/" : "",
		    spec->bucket && !is_virtual ? spec->bucket : "") >=
		(int)sizeof(e.path)) {
		snprintf(why, WHY_SIZE, "endpoint_url and bucket are too long together");
		return -EINVAL;
	}
	*ret = e;
	return 0;
}

int endpoint_sts(const struct endpoint_spec *spec, struct endpoint *ret, char *why)
{
	struct custom custom = {.is_tls = true};
	struct endpoint e = {0};
	int r = set_region(spec, &e, why);

	if (r == 0 && spec->endpoint_url)
		r = parse_custom(spec->endpoint_url, &custom, why);
	if (r < 0)
		return r;
	if (!spec->endpoint_url) {
		e.is_aws = true;
		snprintf(custom.host, sizeof(custom.host), "sts.%s.%s", e.signing_region,
			dns_suffix(e.signing_region));
	}
	set_origin(&e, custom.is_tls, custom.host);
	snprintf(e.path, sizeof(e.path), "%s", custom.path);
	*ret = e;
	return 0;
}
