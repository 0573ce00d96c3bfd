/* OpenSSL behind plain functions. Not policy: who signs what is aws/sigv4's. */
#include "config.h"

#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

#define SHA256_BLOCK 64

struct crypto_hash {
	EVP_MD_CTX *ctx;
	const EVP_MD *md;
};

static _Noreturn void crypto_panic(const char *what)
{
	fprintf(stderr, "the crypto library failed: %s\n", what);
	abort();
}

/* Fetching walks OpenSSL's providers under a lock: once is enough. */
static const EVP_MD *digest(enum crypto_alg alg)
{
	static const EVP_MD *fetched[3];
	static const char *const names[] = {[CRYPTO_SHA256] = "SHA256", [CRYPTO_MD5] = "MD5", [CRYPTO_SHA1] = "SHA1"};
	const EVP_MD *md = __atomic_load_n(&fetched[alg], __ATOMIC_ACQUIRE);

	if (md)
		return md;
	md = EVP_MD_fetch(NULL, names[alg], NULL);
	if (!md)
		crypto_panic(names[alg]);
	__atomic_store_n(&fetched[alg], md, __ATOMIC_RELEASE);
	return md;
}

struct crypto_hash *crypto_hash_new(enum crypto_alg alg)
{
	struct crypto_hash *h = mem_alloc(sizeof(*h));

	h->md = digest(alg);
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || !EVP_DigestInit_ex2(h->ctx, h->md, NULL))
		crypto_panic("digest init");
	return h;
}

struct crypto_hash *crypto_hash_copy(const struct crypto_hash *h)
{
	struct crypto_hash *copy = mem_alloc(sizeof(*copy));

	copy->md = h->md;
	copy->ctx = EVP_MD_CTX_new();
	if (!copy->ctx || !EVP_MD_CTX_copy_ex(copy->ctx, h->ctx))
		crypto_panic("digest copy");
	return copy;
}

void crypto_hash_update(struct crypto_hash *h, const void *data, size_t len)
{
	if (!EVP_DigestUpdate(h->ctx, data, len))
		crypto_panic("digest update");
}

void crypto_hash_final(struct crypto_hash *h, uint8_t *out)
{
	if (!EVP_DigestFinal_ex(h->ctx, out, NULL) ||
		!EVP_DigestInit_ex2(h->ctx, h->md, NULL))
		crypto_panic("digest final");
}

void *crypto_hash_free(struct crypto_hash *h)
{
	if (h) {
		EVP_MD_CTX_free(h->ctx);
		free(h);
	}
	return NULL;
}

static void one_shot(enum crypto_alg alg, const void *data, size_t len, uint8_t *out)
{
	if (!EVP_Digest(data, len, out, NULL, digest(alg), NULL))
		crypto_panic("digest");
}

void crypto_sha256(const void *data, size_t len, uint8_t out[CRYPTO_SHA256_LEN])
{
	one_shot(CRYPTO_SHA256, data, len, out);
}

void crypto_md5(const void *data, size_t len, uint8_t out[CRYPTO_MD5_LEN])
{
	one_shot(CRYPTO_MD5, data, len, out);
}

void crypto_sha256_hex(const void *data, size_t len, char out[2 * CRYPTO_SHA256_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum[CRYPTO_SHA256_LEN];

	crypto_sha256(data, len, sum);
	for (size_t i = 0; i < sizeof(sum); i++) {
		out[2 * i] = digits[sum[i] >> 4];
		out[2 * i + 1] = digits[sum[i] & 15];
	}
	out[2 * sizeof(sum)] = '\0';
}

/* RFC 2104 over the fetched digest: OpenSSL's own HMAC() looks the digest up again. */
void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
	uint8_t out[CRYPTO_SHA256_LEN])
{
	uint8_t block[SHA256_BLOCK] = {0}, pad[SHA256_BLOCK];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = digest(CRYPTO_SHA256);
	bool ok;

	if (!ctx)
		crypto_panic("HMAC");
	if (key_len > SHA256_BLOCK)
		crypto_sha256(key, key_len, block);
	else
		memcpy(block, key, key_len);
	for (size_t i = 0; i < SHA256_BLOCK; i++)
		pad[i] = block[i] ^ 0x36;
	ok = EVP_DigestInit_ex2(ctx, md, NULL) && EVP_DigestUpdate(ctx, pad, sizeof(pad)) &&
	     EVP_DigestUpdate(ctx, data, len) && EVP_DigestFinal_ex(ctx, out, NULL);
	for (size_t i = 0; i < SHA256_BLOCK; i++)
		pad[i] = block[i] ^ 0x5c;
	ok = ok && EVP_DigestInit_ex2(ctx, md, NULL) &&
	     EVP_DigestUpdate(ctx, pad, sizeof(pad)) &&
	     EVP_DigestUpdate(ctx, out, CRYPTO_SHA256_LEN) &&
	     EVP_DigestFinal_ex(ctx, out, NULL);
	if (!ok)
		crypto_panic("HMAC");
	EVP_MD_CTX_free(ctx);
	mem_wipe(block, sizeof(block));
	mem_wipe(pad, sizeof(pad));
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_random(void *out, size_t len)
{
	if (getrandom(out, len, 0) != (ssize_t)len)
		crypto_panic("getrandom");
}

double crypto_random_unit(void)
{
	uint64_t bits;

	crypto_random(&bits, sizeof(bits));
	return (double)(bits >> 11) / 9007199254740992.0;
}

void crypto_uuid(char out[37])
{
	uint8_t b[16];

	crypto_random(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		b[13], b[14], b[15]);
}
