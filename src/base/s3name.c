/*
 * Names of buckets and access points: what S3 accepts, and how to take them apart. Not
 * where a request to them goes (aws/endpoint).
 */
#include "config.h"

#include "base/s3name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int refuse(char *why, const char *text)
{
	snprintf(why, S3NAME_WHY_SIZE, "%s", text);
	return -EINVAL;
}

bool s3name_is_label(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 64 && s[0] != '-' && s[n - 1] != '-' &&
	       strspn(s, LOWER UPPER DIGITS "-") == n;
}

bool s3name_is_ip(const char *host)
{
	unsigned char addr[16];
	char name[64];

	if (host[0] == '[')
		return true;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, ":"), host);
	return inet_pton(AF_INET, name, addr) == 1;
}

bool s3name_is_virtual(const char *bucket, bool is_tls)
{
	size_t n = strlen(bucket);

	if (n < 3 || n > 63 || strspn(bucket, LOWER DIGITS ".-") != n)
		return false;
	if (!strchr(LOWER DIGITS, bucket[0]) || !strchr(LOWER DIGITS, bucket[n - 1]))
		return false;
	if (strstr(bucket, "..") || strstr(bucket, ".-") || strstr(bucket, "-.") ||
		s3name_is_ip(bucket))
		return false;
	return !is_tls || !strchr(bucket, '.');
}

/* --- ARNs --- */

/* The text up to ':' into out; NULL when there is no ':' or no room. */
static const char *take_part(const char *text, char *out, size_t size)
{
	size_t n = strcspn(text, ":");

	if (text[n] != ':' || n >= size)
		return NULL;
	snprintf(out, size, "%.*s", (int)n, text);
	return text + n + 1;
}

int s3name_arn_parse(const char *text, struct s3name_arn *ret, char *why)
{
	struct s3name_arn a;
	const char *p = str_has_prefix(text, "arn:") ? text + 4 : NULL;

	p = p ? take_part(p, a.partition, sizeof(a.partition)) : NULL;
	p = p ? take_part(p, a.service, sizeof(a.service)) : NULL;
	p = p ? take_part(p, a.region, sizeof(a.region)) : NULL;
	p = p ? take_part(p, a.account, sizeof(a.account)) : NULL;
	if (!p || !a.partition[0] || !a.service[0] || !*p ||
		strlen(p) >= sizeof(a.resource))
		return refuse(
			why, "an ARN is arn:partition:service:region:account:resource");
	snprintf(a.resource, sizeof(a.resource), "%s", p);
	*ret = a;
	return 0;
}

/* Kinds of ARN that other tools know and we do not. */
static const char *unsupported(const struct s3name_arn *a)
{
	if (strcmp(a->service, "s3-outposts") == 0)
		return "S3 on Outposts is not supported";
	if (strcmp(a->service, "s3-object-lambda") == 0)
		return "Object Lambda access points are not supported";
	if (strcmp(a->service, "s3express") == 0)
		return "directory buckets (S3 Express) are not supported";
	if (strcmp(a->service, "s3") != 0)
		return "the ARN is not one of S3";
	if (!a->region[0])
		return "multi-region access points are not supported, or the ARN "
		       "lacks its region";
	return NULL;
}

int s3name_access_point_parse(
	const char *text, struct s3name_access_point *ret, char *why)
{
	static const char kind[] = "accesspoint";
	struct s3name_arn a;
	const char *name, *bad;

	if (s3name_arn_parse(text, &a, why) < 0)
		return -EINVAL;
	bad = unsupported(&a);
	if (bad)
		return refuse(why, bad);
	name = a.resource + strlen(kind);
	if (!str_has_prefix(a.resource, kind) || (*name != ':' && *name != '/'))
		return refuse(why, "an ARN in place of a bucket names an access point");
	name++;
	if (!s3name_is_label(a.region))
		return refuse(why, "the region in the ARN is none");
	if (strlen(a.account) != 12 || strspn(a.account, DIGITS) != 12)
		return refuse(why, "the account in the ARN needs 12 digits");
	if (!s3name_is_label(name))
		return refuse(why, "the access point's name holds letters, digits and "
				   "hyphens only");
	snprintf(ret->partition, sizeof(ret->partition), "%s", a.partition);
	snprintf(ret->region, sizeof(ret->region), "%s", a.region);
	snprintf(ret->account, sizeof(ret->account), "%.12s", a.account);
	snprintf(ret->name, sizeof(ret->name), "%.63s", name);
	return 0;
}

/* --- buckets --- */

int s3name_check_bucket(const char *bucket, char *why)
{
	struct s3name_access_point ap;
	size_t n = strlen(bucket);

	if (n > 255)
		return refuse(why, "a bucket's name has 255 characters at most");
	if (str_has_prefix(bucket, "arn:"))
		return s3name_access_point_parse(bucket, &ap, why);
	if (str_has_suffix(bucket, "--x-s3"))
		return refuse(why, "directory buckets (S3 Express) are not supported");
	if (str_has_suffix(bucket, "--op-s3"))
		return refuse(why, "S3 on Outposts is not supported");
	if (n > 0 && strspn(bucket, LOWER UPPER DIGITS ".-_") == n)
		return 0;
	snprintf(why, S3NAME_WHY_SIZE, "'%.100s' is not a bucket name", bucket);
	return -EINVAL;
}

/* Behind the next ':' or '/', or at the end. */
static const char *skip_part(const char *s)
{
	s += strcspn(s, ":/");
	return *s ? s + 1 : s;
}

size_t s3name_bucket_len(const char *path)
{
	const char *p = path;

	if (!str_has_prefix(path, "arn:"))
		return strcspn(path, "/");
	for (int i = 0; i < 5; i++) {
		p += strcspn(p, ":");
		p += *p == ':';
	}
	/* "outpost/ID/accesspoint/NAME", else "accesspoint/NAME" */
	if (str_has_prefix(p, "outpost:") || str_has_prefix(p, "outpost/"))
		p = skip_part(skip_part(p));
	p = skip_part(p);
	return (size_t)(p - path) + strcspn(p, "/");
}

int s3name_copy_source(
	struct buf *out, const char *bucket, const char *key, const char *version)
{
	int r = str_uri_encode(out, bucket, strlen(bucket), true);

	if (r == 0 && str_has_prefix(bucket, "arn:"))
		r = buf_puts(out, "/object");
	if (r == 0 && *key)
		r = buf_putc(out, '/');
	if (r == 0)
		r = str_uri_encode(out, key, strlen(key), true);
	if (r == 0 && version && *version)
		r = buf_puts(out, "?versionId=");
	return r == 0 && version ? str_uri_encode(out, version, strlen(version), false)
				 : r;
}
