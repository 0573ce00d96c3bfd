/* Groups about what the lowest layer computes: instants and checksums. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/crc32.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "tests/vectors/vcase.h"

#define CHUNK (1 << 20)

/* --- instants --- */

enum verdict check_timestamp(struct vcase *c)
{
	const char *direction = vcase_get(c, "/direction"), *text = vcase_get(c, "/text");
	int64_t want = vcase_int(c, "/epochSeconds") * USEC_PER_SEC +
		       vcase_int(c, "/nanos") / 1000;
	int64_t got = 0;
	char out[40];
	int r;

	if (strcmp(direction, "format_date_time") == 0)
		return vcase_passed_if(
			str_eq(text, clock_format_iso_us(want, out, sizeof(out))));
	r = strcmp(direction, "parse_http_date") == 0 ? clock_parse_http_us(text, &got)
						      : clock_parse_iso_us(text, &got);
	if (vcase_is(c, "/error"))
		return vcase_passed_if(r < 0);
	return vcase_passed_if(r == 0 && got == want);
}

/* --- checksums --- */

/* A running value of any kind that x-amz-checksum-* and ETag know. */
struct running {
	const char *algorithm;
	uint64_t crc;
	struct crypto_hash *hash;
	size_t len; /* of the value */
};

static bool is_known(struct running *r, const char *algorithm)
{
	static const struct {
		const char *name;
		size_t len;
		int hash; /* -1: a CRC */
	} known[] = {{"crc32", 4, -1}, {"crc32c", 4, -1}, {"crc64nvme", 8, -1},
		{"sha1", CRYPTO_SHA1_LEN, CRYPTO_SHA1},
		{"sha256", CRYPTO_SHA256_LEN, CRYPTO_SHA256},
		{"md5", CRYPTO_MD5_LEN, CRYPTO_MD5}};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!str_eq(known[i].name, algorithm))
			continue;
		*r = (struct running){known[i].name, 0, NULL, known[i].len};
		if (known[i].hash >= 0)
			r->hash = crypto_hash_new((enum crypto_alg)known[i].hash);
		return true;
	}
	return false;
}

static void feed(struct running *r, const void *data, size_t len)
{
	if (r->hash)
		crypto_hash_update(r->hash, data, len);
	else if (r->len == 8)
		r->crc = crc64nvme(r->crc, data, len);
	else
		r->crc = crc32_update(
			strcmp(r->algorithm, "crc32") == 0 ? CRC32_IEEE : CRC32_C,
			(uint32_t)r->crc, data, len);
}

static bool ends_in(struct running *r, const char *hex, const char *base64)
{
	uint8_t sum[32];
	char text[65], coded[48];

	if (r->hash) {
		crypto_hash_final(r->hash, sum);
		str_to_base64(sum, r->len, coded);
		str_to_hex(sum, r->len, text);
	} else if (r->len == 8) {
		crc64nvme_base64(r->crc, coded);
		snprintf(text, sizeof(text), "%016llx", (unsigned long long)r->crc);
	} else {
		crc32_base64((uint32_t)r->crc, coded);
		snprintf(text, sizeof(text), "%08x", (unsigned)r->crc);
	}
	r->hash = crypto_hash_free(r->hash);
	return str_eq(text, hex) && str_eq(coded, base64);
}

static enum verdict check_known(const struct vcase *c)
{
	const char *hex = vcase_get(c, "/inputHex");
	size_t len = strlen(hex) / 2, held = 0;
	uint64_t repeat = (uint64_t)vcase_int(c, "/repeat");
	uint8_t *data = mem_alloc(len + CHUNK), *one = mem_alloc(len + 1);
	struct running r;
	bool ok = is_known(&r, vcase_get(c, "/algorithm")) &&
		  str_from_hex(hex, one, len) == 0;

	for (; ok && repeat; repeat--) {
		memcpy(data + held, one, len);
		held += len;
		if (held < CHUNK && repeat > 1)
			continue;
		feed(&r, data, held);
		held = 0;
	}
	free(data);
	free(one);
	return vcase_passed_if(
		ok && ends_in(&r, vcase_get(c, "/hex"), vcase_get(c, "/base64")));
}

static enum verdict check_combine(const struct vcase *c)
{
	const char *algorithm = vcase_get(c, "/algorithm");
	uint64_t a = strtoull(vcase_get(c, "/firstHex"), NULL, 16);
	uint64_t b = strtoull(vcase_get(c, "/secondHex"), NULL, 16);
	uint64_t want = strtoull(vcase_get(c, "/combinedHex"), NULL, 16);
	uint64_t len = strlen(vcase_get(c, "/second"));

	if (strcmp(algorithm, "crc64nvme") == 0)
		return vcase_passed_if(
			crc64nvme_append(a, crc64nvme_shift(len), b) == want);
	return vcase_passed_if(
		crc32_append(strcmp(algorithm, "crc32") == 0 ? CRC32_IEEE : CRC32_C,
			(uint32_t)a, (uint32_t)b, len) == want);
}

enum verdict check_checksum(struct vcase *c)
{
	if (vcase_get(c, "/inputHex"))
		return check_known(c);
	if (vcase_get(c, "/combinedHex"))
		return check_combine(c);
	return vcase_not_applicable(c,
		"payloads are plain over TLS, else in signed chunks "
		"(decision 14)");
}
