/*
 * The body of STREAMING-AWS4-HMAC-SHA256-PAYLOAD: the caller's stream cut into signed
 * chunks of 64 KiB. Used over plain HTTP, where nothing else protects the bytes.
 */
#pragma once

#include "aws/sigv4.h"
#include "net/http.h"

struct s3_chunked;

typedef enum http_flow (*s3_send_fn)(void *arg, char *out, size_t max, size_t *ret_len);

/* Bytes on the wire for a body of `length`. */
int64_t s3_chunked_length(int64_t length);

struct s3_chunked *s3_chunked_new(int64_t length, s3_send_fn fn, void *arg);
void *s3_chunked_free(struct s3_chunked *c);
/* Once the request's own signature is known. */
void s3_chunked_start(struct s3_chunked *c, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, const char *seed_signature);
/* An on_send of net/http. */
enum http_flow s3_chunked_send(
	struct s3_chunked *c, char *out, size_t max, size_t *ret_len);
