/*
 * Digests and randomness. The only file of s3ferryd that includes OpenSSL's headers.
 * Digests are fetched once per process; contexts belong to one thread. Nothing here knows
 * SigV4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_SHA256_LEN 32
#define CRYPTO_MD5_LEN    16
#define CRYPTO_SHA1_LEN   20

void crypto_sha256(const void *data, size_t len, uint8_t out[CRYPTO_SHA256_LEN]);
/* Lower-case hex with its NUL. */
void crypto_sha256_hex(const void *data, size_t len, char out[2 * CRYPTO_SHA256_LEN + 1]);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
	uint8_t out[CRYPTO_SHA256_LEN]);
void crypto_md5(const void *data, size_t len, uint8_t out[CRYPTO_MD5_LEN]);

/* Incremental digests. crypto_hash_free() is NULL-safe and returns NULL. */
enum crypto_alg {
	CRYPTO_SHA256,
	CRYPTO_MD5,
	CRYPTO_SHA1, /* only to compare with what another client stored */
};
struct crypto_hash;
struct crypto_hash *crypto_hash_new(enum crypto_alg alg);
/* The same state twice. */
struct crypto_hash *crypto_hash_copy(const struct crypto_hash *h);
void crypto_hash_update(struct crypto_hash *h, const void *data, size_t len);
/* Writes 32, 16 or 20 bytes and starts over. */
void crypto_hash_final(struct crypto_hash *h, uint8_t *out);
void *crypto_hash_free(struct crypto_hash *h);

/* In constant time. */
bool crypto_equal(const void *a, const void *b, size_t len);
/* From the kernel; aborts if it refuses. */
void crypto_random(void *out, size_t len);
/* Uniform in [0, 1). */
double crypto_random_unit(void);
/* A UUID version 4 as text, 36 characters and NUL. */
void crypto_uuid(char out[37]);
