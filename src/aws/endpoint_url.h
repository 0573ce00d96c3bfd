/*
 * Which endpoint_url holds for a service: the job's, the environment's, the AWS CLI
 * files', in that order, the service's own before the general one. Pure.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
 */
#pragma once

struct profiles;

/* NULL and "" are unset. */
struct endpoint_url_sources {
	const char *own;                 /* of the job or of its profile here */
	const char *env_service;         /* AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_STS */
	const char *env;                 /* AWS_ENDPOINT_URL */
	const char *env_ignore;          /* AWS_IGNORE_CONFIGURED_ENDPOINT_URLS */
	const struct profiles *profiles; /* NULL: no files */
	const char *profile;             /* of the files */
};
/* service: "s3" or "sts". malloc'd, or NULL: AWS's own endpoint. */
char *endpoint_url_choose(const struct endpoint_url_sources *from, const char *service);
