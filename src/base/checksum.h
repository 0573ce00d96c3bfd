/*
 * The checksums that S3 keeps of objects, behind one handle: of bytes as they pass, of
 * parts of equal length (composite: a checksum of the parts' checksums), and of parts
 * joined. Pure; a handle belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum checksum_alg {
	CHECKSUM_NONE,
	CHECKSUM_CRC64NVME, /* in the order of preference */
	CHECKSUM_CRC32C,
	CHECKSUM_CRC32,
	CHECKSUM_SHA256,
	CHECKSUM_SHA1,
	CHECKSUM_ALGS,
};

/* "CRC32C", as in x-amz-checksum-algorithm, and the end of its header: "crc32c". */
const char *checksum_name(enum checksum_alg alg);
const char *checksum_suffix(enum checksum_alg alg);

#define CHECKSUM_MAX      32
#define CHECKSUM_TEXT_LEN 56 /* base64, "-10000" and NUL */

/* Characters of its base64. */
size_t checksum_text_len(enum checksum_alg alg);
/* S3 keeps it of the whole of an upload; else of the sums of its parts. */
bool checksum_is_of_whole(enum checksum_alg alg);
/* "ChecksumCRC32C", as in S3's XML: which one; NONE: none of them. */
enum checksum_alg checksum_from_element(const char *name);

struct checksum_sum {
	uint8_t bytes[CHECKSUM_MAX];
	size_t len; /* 0: none */
};

struct checksum;

/* part_bytes 0: of the whole; else a composite of parts this long. */
struct checksum *checksum_new(enum checksum_alg alg, int64_t part_bytes);
void *checksum_free(struct checksum *c); /* NULL-safe, returns NULL */
void checksum_update(struct checksum *c, const void *data, size_t len);
/* Ends it. Base64, with "-N" of a composite. */
void checksum_end(struct checksum *c, char out[CHECKSUM_TEXT_LEN]);
/* The same as bytes, not of a composite. */
void checksum_end_sum(struct checksum *c, struct checksum_sum *ret);

/* Parts in order: their sums to the composite's text. */
void checksum_compose(enum checksum_alg alg, const struct checksum_sum *parts, size_t count,
	char out[CHECKSUM_TEXT_LEN]);
/* A CRC of A and then B, b_len bytes. false: this algorithm cannot be joined. */
bool checksum_join(enum checksum_alg alg, struct checksum_sum *a,
	const struct checksum_sum *b, uint64_t b_len);
/* Of one stream at once. */
void checksum_of(
	enum checksum_alg alg, const void *data, size_t len, char out[CHECKSUM_TEXT_LEN]);
void checksum_text(const struct checksum_sum *sum, char out[CHECKSUM_TEXT_LEN]);
/* And back, not of a composite: 0 or -EINVAL. */
int checksum_parse(const char *text, struct checksum_sum *ret);
/* "-3" at its end: 3; 0 for one of the whole. */
int checksum_part_count(const char *text);
