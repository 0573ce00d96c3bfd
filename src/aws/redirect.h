/*
 * Which region a bucket is in, read off an answer that came from the wrong one. Pure.
 * Rules: botocore's S3RegionRedirectorv2 (aws-client.md, section 16); Location is never
 * followed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct redirect_answer {
	const char *operation;     /* "GetObject" */
	int http_status;           /* 0: not known */
	const char *code;          /* of the error, or NULL */
	const char *bucket_region; /* header x-amz-bucket-region, or NULL */
	const char *body;          /* may be NULL */
	size_t body_len;
	bool is_redirected; /* the request was sent to another region before */
};

enum redirect {
	REDIRECT_NONE,    /* not a matter of the region, or not once more */
	REDIRECT_TO,      /* *ret is the region */
	REDIRECT_ASK,     /* the answer does not tell: HeadBucket's headers do */
	REDIRECT_INVALID, /* it names a region that is none */
};
enum redirect redirect_find(const struct redirect_answer *answer, char ret[64]);
