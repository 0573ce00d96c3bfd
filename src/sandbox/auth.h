/*
 * Who sent this, and is it what they signed? SigV4 from the verifier's side, worked out
 * from the bytes on the wire rather than with aws/sigv4, so that the two check each
 * other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

struct api_error {
	int status;
	const char *code;
	char message[256];
};
/* Returns -1, so that "return api_error_set(...)" reads well. */
int api_error_set(struct api_error *e, int status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* What the request claims. Strings are empty until auth_read() said 0. */
struct auth {
	bool is_presigned;
	char access_key[129];
	char date[9], region[33], service[17];
	char amz_date[17];
	char signed_headers[1024];
	char signature[65];
	int64_t at_s;
	int64_t expires_s; /* presigned only */
};

/* Each returns 0, or -1 and fills *e with S3's words; sts.c translates. */
int auth_read(struct request *r, struct api_error *e);
/* Key, token, expiry, clock. Fills r->who. */
int auth_identify(struct request *r, struct api_error *e);
int auth_verify(struct request *r, const char *payload_hash, struct api_error *e);

/* HMAC with the signing key of an identified request, as hex. */
void auth_sign(struct request *r, const char *text, size_t len, char hex[65]);
