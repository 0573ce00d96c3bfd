/*
 * CRC-64/NVME: slicing by 16, or carry-less multiplication where the CPU has it; values
 * of parts combined by polynomial arithmetic.
 */
#include "config.h"

#include "base/crc.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define POLY  UINT64_C(0x9a6c9329ac4bc9b5) /* ad93d23594c93659, bits reversed */
#define SLICE 16

/* Written once, by build_table(), and constant from then on. */
static uint64_t table[SLICE][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void build_table(void)
{
	uint64_t crc;
	int i, k;

	for (i = 0; i < 256; i++) {
		crc = (uint64_t)i;
		for (k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (crc & 1 ? POLY : 0);
		table[0][i] = crc;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < SLICE; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^
				      table[0][table[k - 1][i] & 0xff];
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

/* On the inner value: without the inversions at both ends. */
static uint64_t update_sliced(uint64_t crc, const uint8_t *p, size_t len)
{
	uint64_t high;

	pthread_once(&table_once, build_table);
	for (; len >= SLICE; len -= SLICE, p += SLICE) {
		crc ^= load64(p);
		high = load64(p + 8);
		crc = table[15][crc & 0xff] ^ table[14][(crc >> 8) & 0xff] ^
		      table[13][(crc >> 16) & 0xff] ^ table[12][(crc >> 24) & 0xff] ^
		      table[11][(crc >> 32) & 0xff] ^ table[10][(crc >> 40) & 0xff] ^
		      table[9][(crc >> 48) & 0xff] ^ table[8][crc >> 56] ^
		      table[7][high & 0xff] ^ table[6][(high >> 8) & 0xff] ^
		      table[5][(high >> 16) & 0xff] ^ table[4][(high >> 24) & 0xff] ^
		      table[3][(high >> 32) & 0xff] ^ table[2][(high >> 40) & 0xff] ^
		      table[1][(high >> 48) & 0xff] ^ table[0][high >> 56];
	}
	while (len--)
		crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xff];
	return crc;
}

/* x^127 and so on modulo the polynomial, bits reversed. */
#define K127  UINT64_C(0x21e9761e252621ac)
#define K191  UINT64_C(0xeadc41fd2ba3d420)
#define K511  UINT64_C(0x62242240ace5045a)
#define K575  UINT64_C(0x0c32cdb31e18a84a)
#define K2047 UINT64_C(0xa043808c0f782663)
#define K2111 UINT64_C(0x37ccd3e14069cabc)
/* x^128 divided by the polynomial, without its x^64, bits reversed. */
#define QUOTIENT UINT64_C(0x13f67d194d77cfbb)

/* Two words of 64 bits, and what a CPU does with them. */
#if defined(__x86_64__)
#include <immintrin.h>

#define HAS_CLMUL  1
#define WITH_CLMUL __attribute__((target("pclmul,sse2")))
typedef __m128i words;

WITH_CLMUL static words load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

WITH_CLMUL static words make(uint64_t low, uint64_t high)
{
	return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

WITH_CLMUL static words add(words a, words b)
{
	return _mm_xor_si128(a, b);
}

/* low * low + high * high */
WITH_CLMUL static words fold(words x, words k)
{
	return _mm_xor_si128(
		_mm_clmulepi64_si128(x, k, 0x00), _mm_clmulepi64_si128(x, k, 0x11));
}

static bool has_clmul(void)
{
	return __builtin_cpu_supports("pclmul");
}
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

#define HAS_CLMUL 1
#if defined(__clang__)
#define WITH_CLMUL __attribute__((target("aes")))
#else
#define WITH_CLMUL __attribute__((target("+crypto")))
#endif
typedef uint64x2_t words;

WITH_CLMUL static words load(const uint8_t *p)
{
	return vreinterpretq_u64_u8(vld1q_u8(p));
}

WITH_CLMUL static words make(uint64_t low, uint64_t high)
{
	return vcombine_u64(vcreate_u64(low), vcreate_u64(high));
}

WITH_CLMUL static words add(words a, words b)
{
	return veorq_u64(a, b);
}

WITH_CLMUL static words fold(words x, words k)
{
	poly128_t low = vmull_p64(
		(poly64_t)vgetq_lane_u64(x, 0), (poly64_t)vgetq_lane_u64(k, 0));
	poly128_t high = vmull_high_p64(
		vreinterpretq_p64_u64(x), vreinterpretq_p64_u64(k));

	return veorq_u64(vreinterpretq_u64_p128(low), vreinterpretq_u64_p128(high));
}

static bool has_clmul(void)
{
	return getauxval(AT_HWCAP) & HWCAP_PMULL;
}
#endif

#ifdef HAS_CLMUL
/* What the fold of some bytes left, as 64 bytes that have the same remainder. */
struct folded {
	words a, b, c, d; /* not an array: compilers would keep it in memory */
};

#if defined(__x86_64__)
#define WITH_WIDE __attribute__((target("vpclmulqdq,avx512f")))

WITH_WIDE static __m512i fold_wide(__m512i x, __m512i k, __m512i y)
{
	return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x, k, 0x00),
		_mm512_clmulepi64_epi128(x, k, 0x11), y, 0x96); /* a ^ b ^ c */
}

/* 256 bytes at a time; len >= 512, a multiple of 256. */
WITH_WIDE static struct folded start_wide(uint64_t crc, const uint8_t *p, size_t len)
{
	const __m512i k256 = _mm512_broadcast_i32x4(make(K2111, K2047)),
		      k64 = _mm512_broadcast_i32x4(make(K575, K511));
	__m512i a = _mm512_xor_si512(_mm512_loadu_si512(p),
		_mm512_zextsi128_si512(make(crc, 0)));
	__m512i b = _mm512_loadu_si512(p + 64), c = _mm512_loadu_si512(p + 128),
		d = _mm512_loadu_si512(p + 192);
	struct folded r;

	for (p += 256, len -= 256; len; p += 256, len -= 256) {
		a = fold_wide(a, k256, _mm512_loadu_si512(p));
		b = fold_wide(b, k256, _mm512_loadu_si512(p + 64));
		c = fold_wide(c, k256, _mm512_loadu_si512(p + 128));
		d = fold_wide(d, k256, _mm512_loadu_si512(p + 192));
	}
	b = fold_wide(a, k64, b);
	c = fold_wide(b, k64, c);
	d = fold_wide(c, k64, d);
	memcpy(&r, &d, sizeof(r));
	return r;
}

static bool has_wide(void)
{
	return __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f");
}
#else
static struct folded start_wide(uint64_t crc, const uint8_t *p, size_t len)
{
	return (struct folded){0};
}

static bool has_wide(void)
{
	return false;
}
#endif

/* The remainder of 16 bytes, as Barrett has it: a table would push data out of the cache. */
WITH_CLMUL static uint64_t reduce(words v)
{
	uint64_t in[2], t[2], q[2], d[2], quotient;
	words product;

	memcpy(in, &v, sizeof(in));
	product = fold(v, make(K127, 0));
	memcpy(t, &product, sizeof(t));
	t[0] ^= in[1];
	product = fold(make(t[0], 0), make(QUOTIENT, 0));
	memcpy(q, &product, sizeof(q));
	quotient = t[0] ^ q[0] << 1;
	product = fold(make(quotient, 0), make(POLY, 0));
	memcpy(d, &product, sizeof(d));
	return t[1] ^ (d[1] << 1 | d[0] >> 63);
}

/* len >= 128. Folds 64 bytes at a time down to 16. */
WITH_CLMUL static uint64_t update_clmul(uint64_t crc, const uint8_t *p, size_t len)
{
	const words k64 = make(K575, K511), k16 = make(K191, K127);
	size_t begun = len >= 512 && has_wide() ? len & ~(size_t)255 : 64;
	struct folded f = {load(p), load(p + 16), load(p + 32), load(p + 48)};

	if (begun > 64)
		f = start_wide(crc, p, begun);
	else
		f.a = add(f.a, make(crc, 0));
	for (p += begun, len -= begun; len >= 64; p += 64, len -= 64) {
		f.a = add(fold(f.a, k64), load(p));
		f.b = add(fold(f.b, k64), load(p + 16));
		f.c = add(fold(f.c, k64), load(p + 32));
		f.d = add(fold(f.d, k64), load(p + 48));
	}
	f.b = add(f.b, fold(f.a, k16));
	f.c = add(f.c, fold(f.b, k16));
	f.d = add(f.d, fold(f.c, k16));
	for (; len >= 16; p += 16, len -= 16)
		f.d = add(fold(f.d, k16), load(p));
	crc = reduce(f.d);
	return len ? update_sliced(crc, p, len) : crc;
}
#else
static uint64_t update_clmul(uint64_t crc, const uint8_t *p, size_t len)
{
	return update_sliced(crc, p, len);
}

static bool has_clmul(void)
{
	return false;
}
#endif

uint64_t crc64nvme_portable(uint64_t crc, const void *data, size_t len)
{
	return ~update_sliced(~crc, data, len);
}

uint64_t crc64nvme(uint64_t crc, const void *data, size_t len)
{
	if (len >= 128 && has_clmul())
		return ~update_clmul(~crc, data, len);
	return crc64nvme_portable(crc, data, len);
}

/* a * b modulo the polynomial; the coefficient of x^0 is the highest bit. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (uint64_t bit = UINT64_C(1) << 63; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = (b >> 1) ^ (b & 1 ? POLY : 0);
	}
	return product;
}

uint64_t crc64nvme_shift(uint64_t len)
{
	uint64_t shift = UINT64_C(1) << 63; /* x^0 */
	uint64_t power = UINT64_C(1) << 55; /* x^8: one byte more */

	for (; len; len >>= 1) {
		if (len & 1)
			shift = multiply(shift, power);
		power = multiply(power, power);
	}
	return shift;
}

uint64_t crc64nvme_append(uint64_t crc_a, uint64_t shift_b, uint64_t crc_b)
{
	return multiply(shift_b, crc_a) ^ crc_b;
}

void crc64nvme_base64(uint64_t crc, char out[CRC64_BASE64_LEN])
{
	uint8_t bytes[8];
	int i;

	for (i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(crc >> (56 - 8 * i));
	str_to_base64(bytes, sizeof(bytes), out);
}

int crc64nvme_parse(const char *base64, uint64_t *ret)
{
	uint8_t bytes[8];
	size_t len;

	if (str_from_base64(base64, bytes, sizeof(bytes), &len) < 0 ||
		len != sizeof(bytes))
		return -EINVAL;
	*ret = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*ret = *ret << 8 | bytes[i];
	return 0;
}
