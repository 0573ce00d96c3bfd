/*
 * The body of one request on its way in: hashed, checked against what was signed, kept
 * or dropped. Knows aws-chunked with signed and unsigned chunks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/checksum.h"

struct api_error;
struct blob;
struct crypto_hash;
struct request;

enum body_kind {
	BODY_NONE,   /* nothing of interest: hashed and dropped */
	BODY_TEXT,   /* XML or a form, up to BODY_TEXT_MAX */
	BODY_OBJECT, /* content of an object; dropped in a "discard" bucket */
};
#define BODY_TEXT_MAX (2u << 20)

enum chunk_state {
	CHUNK_OFF, /* the body is the content */
	CHUNK_HEAD,
	CHUNK_DATA,
	CHUNK_TAIL,
	CHUNK_TRAILER,
	CHUNK_END,
	CHUNK_BROKEN,
};

struct body {
	enum body_kind kind;
	bool is_dropped;
	bool is_hashed; /* the signed hash is to be compared */
	char declared[65];
	struct crypto_hash *sha256, *md5;
	uint8_t md5_sum[16]; /* after body_finish() */
	uint64_t crc;        /* CRC64NVME, where the MD5 is kept */
	struct checksum *sum; /* of another algorithm that the request names; NULL: none */
	enum checksum_alg sum_alg;
	struct checksum_sum sum_bytes; /* after body_finish() */
	char sha256_hex[65];
	uint64_t length;         /* of the content so far */
	struct blob *blob;       /* kept content */
	struct api_error *error; /* the first; told at the end */

	enum chunk_state chunks;
	bool has_signed_chunks;
	char sum_behind[CHECKSUM_TEXT_LEN]; /* of a trailer; "": none */
	uint64_t chunk_left;
	char line[512];
	size_t line_len;
	char chunk_signature[65], previous[65];
	struct crypto_hash *chunk_hash, *trailer_hash;
	int64_t decoded_length; /* negative: not told */
};

/* declared: value of x-amz-content-sha256, or NULL when the hash is only computed. */
int body_begin(struct request *r, enum body_kind kind, bool is_dropped,
	const char *declared, struct api_error *e);
void body_feed(struct request *r, const char *data, size_t len);
int body_finish(struct request *r, struct api_error *e);
void body_done(struct body *b);
