/* Chunks around a stream, and what proves them. Neither signs the request nor knows who
 * sends it. */
#include "config.h"

#include "s3/chunked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"

#define CHUNK    65536
#define HEAD_MAX 128 /* hex length, ";chunk-signature=", 64, CRLF; or the trailer */
#define TRAILER  "x-amz-checksum-"

struct s3_chunked {
	struct checksum *sum; /* of what was framed; NULL: chunks are signed */
	enum checksum_alg alg;
	int64_t length; /* of the caller's bytes */
	struct sigv4_chain chain;
	s3_send_fn fn;
	void *arg;
	int64_t left; /* of the caller's bytes, not yet asked for */
	size_t data_len; /* of the chunk that is being filled */
	size_t out_at, out_len; /* encoded, not yet sent */
	bool is_last_made;
	char *data, *out; /* behind the struct: a chunk, and a chunk with its frame */
};

enum s3_framing s3_chunked_framing(const struct s3_chunked *c)
{
	return c->sum ? S3_SUM_BEHIND : S3_SIGNED_CHUNKS;
}

static int64_t encoded(const struct s3_chunked *c, int64_t len)
{
	char hex[20];
	int64_t n = snprintf(hex, sizeof(hex), "%llx", (unsigned long long)len) + 2 +
		    len + 2;

	if (!c->sum)
		return n + (int64_t)strlen(";chunk-signature=") + SIGV4_SIGNATURE_LEN;
	if (len)
		return n;
	return n + (int64_t)strlen(TRAILER) + (int64_t)strlen(checksum_suffix(c->alg)) +
	       1 + (int64_t)checksum_text_len(c->alg) + 2;
}

int64_t s3_chunked_length(const struct s3_chunked *c)
{
	int64_t total = c->length / CHUNK * encoded(c, CHUNK);

	if (c->length % CHUNK)
		total += encoded(c, c->length % CHUNK);
	return total + encoded(c, 0);
}

struct s3_chunked *s3_chunked_new(
	enum checksum_alg alg, int64_t length, s3_send_fn fn, void *arg)
{
	size_t chunk = length < CHUNK ? (size_t)length : CHUNK;
	struct s3_chunked *c = mem_alloc(sizeof(*c) + chunk + chunk + HEAD_MAX);

	c->alg = alg;
	c->sum = alg ? checksum_new(alg, 0) : NULL;
	c->data = (char *)(c + 1);
	c->out = c->data + chunk;
	c->length = c->left = length;
	c->fn = fn;
	c->arg = arg;
	return c;
}

void *s3_chunked_free(struct s3_chunked *c)
{
	if (!c)
		return NULL;
	sigv4_chain_wipe(&c->chain);
	checksum_free(c->sum);
	free(c);
	return NULL;
}

void s3_chunked_start(struct s3_chunked *c, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, const char *seed_signature)
{
	sigv4_chain_init(&c->chain, scope, keys, seed_signature);
}

static size_t put_signed_head(struct s3_chunked *c)
{
	char hash[2 * CRYPTO_SHA256_LEN + 1], signature[SIGV4_SIGNATURE_LEN + 1];

	crypto_sha256_hex(c->data, c->data_len, hash);
	sigv4_chain_next(&c->chain, hash, signature);
	return (size_t)snprintf(
		c->out, HEAD_MAX, "%zx;chunk-signature=%s\r\n", c->data_len, signature);
}

/* The head of the last chunk, which is empty, has the trailer behind it. */
static size_t put_plain_head(struct s3_chunked *c)
{
	char text[CHECKSUM_TEXT_LEN];

	checksum_update(c->sum, c->data, c->data_len);
	if (c->data_len)
		return (size_t)snprintf(c->out, HEAD_MAX, "%zx\r\n", c->data_len);
	checksum_end(c->sum, text);
	return (size_t)snprintf(c->out, HEAD_MAX, "0\r\n" TRAILER "%s:%s\r\n",
		checksum_suffix(c->alg), text);
}

static void encode(struct s3_chunked *c)
{
	size_t n = c->sum ? put_plain_head(c) : put_signed_head(c);

	memcpy(c->out + n, c->data, c->data_len);
	memcpy(c->out + n + c->data_len, "\r\n", 2);
	c->out_at = 0;
	c->out_len = n + c->data_len + 2;
	c->is_last_made = c->data_len == 0;
	c->data_len = 0;
}

/* Until a chunk is full or the stream ends: a signature covers a whole chunk. */
static enum http_flow fill(struct s3_chunked *c)
{
	enum http_flow flow;
	size_t max, len;

	while (c->data_len < CHUNK && c->left > 0) {
		max = CHUNK - c->data_len;
		if ((int64_t)max > c->left)
			max = (size_t)c->left;
		len = 0;
		flow = c->fn(c->arg, c->data + c->data_len, max, &len);
		if (flow != HTTP_GO)
			return flow;
		if (!len || len > max)
			return HTTP_ABORT;
		c->data_len += len;
		c->left -= (int64_t)len;
	}
	return HTTP_GO;
}

enum http_flow s3_chunked_send(
	struct s3_chunked *c, char *out, size_t max, size_t *ret_len)
{
	enum http_flow flow;
	size_t done = 0, n;

	while (done < max) {
		if (c->out_at == c->out_len) {
			if (c->is_last_made)
				break;
			flow = fill(c);
			if (flow == HTTP_PAUSE && done)
				break; /* asked again soon */
			if (flow != HTTP_GO)
				return flow;
			encode(c);
		}
		n = c->out_len - c->out_at;
		if (n > max - done)
			n = max - done;
		memcpy(out + done, c->out + c->out_at, n);
		c->out_at += n;
		done += n;
	}
	*ret_len = done;
	return HTTP_GO;
}
