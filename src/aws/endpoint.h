/*
 * Where a request goes: partition, region, bucket and style to scheme, host and path.
 * Pure. Rules: the SDKs' endpoint rule sets for S3 and STS (aws-client.md, section 9),
 * but for their global endpoints, which are not offered: region "aws-global" means
 * us-east-1's own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum endpoint_style {
	ENDPOINT_STYLE_AUTO, /* virtual hosts of AWS's, paths of everybody else's */
	ENDPOINT_STYLE_VIRTUAL, /* where the bucket's name allows it */
	ENDPOINT_STYLE_PATH,
};

/* How the bodies of uploads are signed. */
enum endpoint_payload {
	ENDPOINT_PAYLOAD_AUTO,  /* chunk by chunk, but not under TLS */
	ENDPOINT_PAYLOAD_ALWAYS, /* under TLS, too */
	ENDPOINT_PAYLOAD_NEVER, /* of a network that is trusted */
};

/* What holds for all requests of an identity; plain values. */
struct endpoint_options {
	enum endpoint_style style;
	enum endpoint_payload payload;
	bool use_fips, use_dual_stack;
	bool use_accelerate;    /* S3 only */
	bool ignore_arn_region; /* then an ARN of another region is an error */
};

struct endpoint_spec {
	const char *region;       /* NULL only with a custom endpoint_url */
	const char *endpoint_url; /* NULL: AWS's own */
	const char *bucket;       /* NULL for STS; a name, or an access point's ARN */
	bool force_path_style;    /* else virtual hosts where the name allows it */
	bool use_fips, use_dual_stack;
	bool use_accelerate;    /* S3 only */
	bool ignore_arn_region; /* then an ARN of another region is an error */
};

struct endpoint {
	char origin[320]; /* "https://bucket.s3.eu-west-1.amazonaws.com", no path */
	char host[300];   /* value of the Host header: without the scheme's own port */
	char path[1024];  /* "" or "/base" or "/bucket", already encoded */
	char signing_region[64];
	bool is_tls;
	bool is_aws; /* one of AWS's own hosts */
};

/*
 * 0, or -EINVAL with a sentence in why (>= 200 bytes). Any bucket is encoded rather than
 * refused: s3name_check_bucket() comes before.
 */
int endpoint_s3(const struct endpoint_spec *spec, struct endpoint *ret, char *why);
int endpoint_sts(const struct endpoint_spec *spec, struct endpoint *ret, char *why);

/* An endpoint_url that is S3's accelerated one, which knows virtual hosts only. */
bool endpoint_is_accelerate(const char *url);
