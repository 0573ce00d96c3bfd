/*
 * Where a request goes: partition, region, bucket and style to scheme, host and path. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct endpoint_spec {
	const char *region;       /* NULL only with a custom endpoint_url */
	const char *endpoint_url; /* NULL: AWS's own */
	const char *bucket;       /* NULL for STS */
	bool force_path_style;
};

struct endpoint {
	char origin[320]; /* "https://bucket.s3.eu-west-1.amazonaws.com", no path */
	char host[300];   /* value of the Host header: without the scheme's own port */
	char path[256];   /* "" or "/base" or "/bucket", already encoded */
	char signing_region[64];
	bool is_tls;
	bool is_aws; /* one of AWS's own hosts */
};

/* 0, or -EINVAL with a sentence in why (>= 200 bytes). */
int endpoint_s3(const struct endpoint_spec *spec, struct endpoint *ret, char *why);
int endpoint_sts(const struct endpoint_spec *spec, struct endpoint *ret, char *why);
