/*
 * CRC-32 and CRC-32C, slicing by 8 or by the CPU's own instruction; sums of parts by
 * polynomial arithmetic. The 64-bit one that we ask for ourselves is crc.c's.
 */
#include "config.h"

#include "base/crc32.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define SLICE 8

/* Bits reversed: 04c11db7 and 1edc6f41. */
static const uint32_t polys[CRC32_KINDS] = {0xedb88320, 0x82f63b78};

/* Written once, by build_tables(), and constant from then on. */
static uint32_t tables[CRC32_KINDS][SLICE][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void build_table(uint32_t (*table)[256], uint32_t poly)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (crc & 1 ? poly : 0);
		table[0][i] = crc;
	}
	for (int i = 0; i < 256; i++)
		for (int k = 1; k < SLICE; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^
				      table[0][table[k - 1][i] & 0xff];
}

static void build_tables(void)
{
	for (int kind = 0; kind < CRC32_KINDS; kind++)
		build_table(tables[kind], polys[kind]);
}

static uint32_t update_sliced(
	enum crc32_kind kind, uint32_t crc, const uint8_t *p, size_t len)
{
	const uint32_t(*t)[256] = (const uint32_t(*)[256])tables[kind];

	pthread_once(&tables_once, build_tables);
	for (; len >= SLICE; len -= SLICE, p += SLICE) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
		       (uint32_t)p[3] << 24;
		crc = t[7][crc & 0xff] ^ t[6][(crc >> 8) & 0xff] ^
		      t[5][(crc >> 16) & 0xff] ^ t[4][crc >> 24] ^ t[3][p[4]] ^
		      t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
	}
	while (len--)
		crc = (crc >> 8) ^ t[0][(crc ^ *p++) & 0xff];
	return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

/* x86 has an instruction for Castagnoli's polynomial, and none for the other one. */
__attribute__((target("sse4.2"))) static uint32_t update_c(
	uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t sum = crc, word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum = _mm_crc32_u64(sum, word);
	}
	while (len--)
		sum = _mm_crc32_u8((uint32_t)sum, *p++);
	return (uint32_t)sum;
}

static bool has_crc_c(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t update_c(uint32_t crc, const uint8_t *p, size_t len)
{
	return update_sliced(CRC32_C, crc, p, len);
}

static bool has_crc_c(void)
{
	return false;
}
#endif

uint32_t crc32_update(enum crc32_kind kind, uint32_t crc, const void *data, size_t len)
{
	if (kind == CRC32_C && len >= 2 * SLICE && has_crc_c())
		return ~update_c(~crc, data, len);
	return ~update_sliced(kind, ~crc, data, len);
}

/* Modulo the polynomial; the highest bit is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b, uint32_t poly)
{
	uint32_t sum = 0;

	for (; a; a <<= 1) {
		if (a & (UINT32_C(1) << 31))
			sum ^= b;
		b = (b >> 1) ^ (b & 1 ? poly : 0);
	}
	return sum;
}

uint32_t crc32_append(
	enum crc32_kind kind, uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
	uint32_t shift = UINT32_C(1) << 31; /* x^0 */
	uint32_t power = UINT32_C(1) << 23; /* x^8: one byte more */

	for (; len_b; len_b >>= 1) {
		if (len_b & 1)
			shift = multiply(shift, power, polys[kind]);
		power = multiply(power, power, polys[kind]);
	}
	return multiply(shift, crc_a, polys[kind]) ^ crc_b;
}

void crc32_base64(uint32_t crc, char out[CRC32_BASE64_LEN])
{
	const uint8_t bytes[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16),
		(uint8_t)(crc >> 8), (uint8_t)crc};

	str_to_base64(bytes, sizeof(bytes), out);
}
