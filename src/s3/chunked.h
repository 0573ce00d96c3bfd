/*
 * The caller's stream cut into chunks of 64 KiB. Signed ones over plain HTTP, where
 * nothing else protects the bytes (STREAMING-AWS4-HMAC-SHA256-PAYLOAD); plain ones with
 * a checksum behind them over HTTPS (STREAMING-UNSIGNED-PAYLOAD-TRAILER), for
 * servers that are known to read it.
 */
#pragma once

#include "aws/sigv4.h"
#include "base/checksum.h"
#include "net/http.h"

struct s3_chunked;

typedef enum http_flow (*s3_send_fn)(void *arg, char *out, size_t max, size_t *ret_len);

enum s3_framing {
	S3_SIGNED_CHUNKS,
	S3_SUM_BEHIND,
};

/* alg: of the sum behind; NONE where chunks are signed. */
struct s3_chunked *s3_chunked_new(
	enum checksum_alg alg, int64_t length, s3_send_fn fn, void *arg);
enum s3_framing s3_chunked_framing(const struct s3_chunked *c);
/* Bytes on the wire. */
int64_t s3_chunked_length(const struct s3_chunked *c);
void *s3_chunked_free(struct s3_chunked *c);
/* Of signed chunks, once the request's own signature is known. */
void s3_chunked_start(struct s3_chunked *c, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, const char *seed_signature);
/* An on_send of net/http. */
enum http_flow s3_chunked_send(
	struct s3_chunked *c, char *out, size_t max, size_t *ret_len);
