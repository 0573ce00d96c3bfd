/* One handle over crc, crc32 and crypto. What is compared with what is the engine's. */
#include "config.h"

#include "base/checksum.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/crc32.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"

#define PARTS_MAX 10000

static const struct {
	const char *name, *suffix;
	size_t len;
} algs[CHECKSUM_ALGS] = {
	[CHECKSUM_NONE] = {"", "", 0},
	[CHECKSUM_CRC64NVME] = {"CRC64NVME", "crc64nvme", 8},
	[CHECKSUM_CRC32C] = {"CRC32C", "crc32c", 4},
	[CHECKSUM_CRC32] = {"CRC32", "crc32", 4},
	[CHECKSUM_SHA256] = {"SHA256", "sha256", CRYPTO_SHA256_LEN},
	[CHECKSUM_SHA1] = {"SHA1", "sha1", CRYPTO_SHA1_LEN},
};

struct checksum {
	enum checksum_alg alg;
	uint64_t crc;
	struct crypto_hash *hash; /* of a digest */
	int64_t part_bytes, left; /* of this part; bytes */
	struct checksum *outer;   /* of a composite: over the parts' sums */
	size_t parts;
	bool has_bytes; /* since the last part ended */
};

const char *checksum_name(enum checksum_alg alg)
{
	return algs[alg].name;
}

const char *checksum_suffix(enum checksum_alg alg)
{
	return algs[alg].suffix;
}

size_t checksum_text_len(enum checksum_alg alg)
{
	return (algs[alg].len + 2) / 3 * 4;
}

bool checksum_is_of_whole(enum checksum_alg alg)
{
	return alg == CHECKSUM_CRC64NVME || alg == CHECKSUM_CRC32C ||
	       alg == CHECKSUM_CRC32;
}

enum checksum_alg checksum_from_element(const char *name)
{
	static const char prefix[] = "Checksum";

	if (!str_has_prefix(name, prefix))
		return CHECKSUM_NONE;
	for (int alg = CHECKSUM_NONE + 1; alg < CHECKSUM_ALGS; alg++)
		if (str_eq(name + strlen(prefix), algs[alg].name))
			return (enum checksum_alg)alg;
	return CHECKSUM_NONE;
}

struct checksum *checksum_new(enum checksum_alg alg, int64_t part_bytes)
{
	struct checksum *c = mem_alloc(sizeof(*c));

	c->alg = alg;
	if (alg == CHECKSUM_SHA256 || alg == CHECKSUM_SHA1)
		c->hash = crypto_hash_new(
			alg == CHECKSUM_SHA256 ? CRYPTO_SHA256 : CRYPTO_SHA1);
	c->part_bytes = c->left = part_bytes;
	if (part_bytes)
		c->outer = checksum_new(alg, 0);
	return c;
}

void *checksum_free(struct checksum *c)
{
	if (!c)
		return NULL;
	checksum_free(c->outer);
	crypto_hash_free(c->hash);
	free(c);
	return NULL;
}

static void add(struct checksum *c, const void *data, size_t len)
{
	switch (c->alg) {
	case CHECKSUM_CRC64NVME:
		c->crc = crc64nvme(c->crc, data, len);
		return;
	case CHECKSUM_CRC32C:
		c->crc = crc32_update(CRC32_C, (uint32_t)c->crc, data, len);
		return;
	case CHECKSUM_CRC32:
		c->crc = crc32_update(CRC32_IEEE, (uint32_t)c->crc, data, len);
		return;
	default:
		crypto_hash_update(c->hash, data, len);
		return;
	}
}

static void put_crc(uint64_t crc, struct checksum_sum *ret)
{
	for (size_t i = 0; i < ret->len; i++)
		ret->bytes[i] = (uint8_t)(crc >> (8 * (ret->len - 1 - i)));
}

void checksum_end_sum(struct checksum *c, struct checksum_sum *ret)
{
	ret->len = algs[c->alg].len;
	if (c->hash)
		crypto_hash_final(c->hash, ret->bytes);
	else
		put_crc(c->crc, ret);
	c->crc = 0;
}

static void end_part(struct checksum *c)
{
	struct checksum_sum sum;

	checksum_end_sum(c, &sum);
	add(c->outer, sum.bytes, sum.len);
	c->parts++;
	c->left = c->part_bytes;
	c->has_bytes = false;
}

void checksum_update(struct checksum *c, const void *data, size_t len)
{
	const char *p = data;

	while (c->outer && (uint64_t)c->left <= len) {
		size_t n = (size_t)c->left;

		add(c, p, n);
		p += n;
		len -= n;
		end_part(c);
	}
	add(c, p, len);
	c->left -= (int64_t)len;
	c->has_bytes |= len > 0;
}

void checksum_end(struct checksum *c, char out[CHECKSUM_TEXT_LEN])
{
	struct checksum_sum sum;
	size_t n;

	if (c->outer && (c->has_bytes || !c->parts))
		end_part(c);
	checksum_end_sum(c->outer ? c->outer : c, &sum);
	checksum_text(&sum, out);
	n = strlen(out);
	if (c->outer)
		snprintf(out + n, CHECKSUM_TEXT_LEN - n, "-%zu", c->parts);
}

void checksum_compose(enum checksum_alg alg, const struct checksum_sum *parts,
	size_t count, char out[CHECKSUM_TEXT_LEN])
{
	struct checksum *c = checksum_new(alg, 0);
	struct checksum_sum sum;
	size_t n;

	for (size_t i = 0; i < count; i++)
		add(c, parts[i].bytes, parts[i].len);
	checksum_end_sum(c, &sum);
	checksum_free(c);
	checksum_text(&sum, out);
	n = strlen(out);
	snprintf(out + n, CHECKSUM_TEXT_LEN - n, "-%zu", count);
}

void checksum_of(
	enum checksum_alg alg, const void *data, size_t len, char out[CHECKSUM_TEXT_LEN])
{
	struct checksum *c = checksum_new(alg, 0);

	checksum_update(c, data, len);
	checksum_end(c, out);
	checksum_free(c);
}

static uint64_t get_crc(const struct checksum_sum *sum)
{
	uint64_t crc = 0;

	for (size_t i = 0; i < sum->len; i++)
		crc = crc << 8 | sum->bytes[i];
	return crc;
}

bool checksum_join(enum checksum_alg alg, struct checksum_sum *a,
	const struct checksum_sum *b, uint64_t b_len)
{
	uint64_t x = get_crc(a), y = get_crc(b);

	if (alg == CHECKSUM_CRC64NVME)
		x = crc64nvme_append(x, crc64nvme_shift(b_len), y);
	else if (alg == CHECKSUM_CRC32C || alg == CHECKSUM_CRC32)
		x = crc32_append(alg == CHECKSUM_CRC32C ? CRC32_C : CRC32_IEEE,
			(uint32_t)x, (uint32_t)y, b_len);
	else
		return false;
	put_crc(x, a);
	return true;
}

void checksum_text(const struct checksum_sum *sum, char out[CHECKSUM_TEXT_LEN])
{
	str_to_base64(sum->bytes, sum->len, out);
}

int checksum_parse(const char *text, struct checksum_sum *ret)
{
	return str_from_base64(text, ret->bytes, sizeof(ret->bytes), &ret->len) < 0
		       ? -EINVAL
		       : 0;
}

int checksum_part_count(const char *text)
{
	const char *dash = strchr(text, '-');
	uint64_t n;

	return dash && str_to_uint(dash + 1, PARTS_MAX, &n) == 0 ? (int)n : 0;
}
