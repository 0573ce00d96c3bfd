/*
 * What S3 calls buckets: names, ARNs of access points, the path behind "s3://". Shared by
 * the configuration, which refuses early, and by aws/endpoint. Pure; errors are -EINVAL
 * with a sentence in why (>= S3NAME_WHY_SIZE bytes), outputs only on success.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf;

#define S3NAME_WHY_SIZE 200

struct s3name_arn {
	char partition[32], service[64];
	char region[64], account[64]; /* may be "" */
	char resource[256];           /* may hold ':' and '/' */
};
/* "arn:partition:service:region:account:resource"; no meaning is checked. */
int s3name_arn_parse(const char *text, struct s3name_arn *ret, char *why);

struct s3name_access_point {
	char partition[32], region[64], account[16], name[64];
};
/* "arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME", or with ':'; other kinds by name. */
int s3name_access_point_parse(
	const char *arn, struct s3name_access_point *ret, char *why);

/* 1-255 letters, digits, '.', '-', '_', or an access point; what we lack, by name. */
int s3name_check_bucket(const char *bucket, char *why);
/* A label of a host name: up to 63 letters, digits and hyphens, none at the edges. */
bool s3name_is_label(const char *s);
/* Usable as a host label; under TLS without dots: the certificate covers one label. */
bool s3name_is_virtual(const char *bucket, bool is_tls);
/* An IPv4 or a bracketed IPv6 address, with a port or without. */
bool s3name_is_ip(const char *host);

/* Where the bucket (a name or an ARN) ends in "bucket/key". */
size_t s3name_bucket_len(const char *path);
/* The value of x-amz-copy-source; version: NULL or "": the newest. -ENOBUFS. */
int s3name_copy_source(
	struct buf *out, const char *bucket, const char *key, const char *version);
