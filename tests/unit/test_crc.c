/* base/crc against the catalogue's check value, itself in pieces, and its other half. */
#include "config.h"

#include "base/checksum.h"
#include "base/crc.h"
#include "base/crc32.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define LEN 5000

/* One bit at a time, straight from the definition. */
static uint64_t slow(const uint8_t *p, size_t len)
{
	uint64_t crc = ~UINT64_C(0);
	int k;

	while (len--) {
		crc ^= *p++;
		for (k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (crc & 1 ? UINT64_C(0x9a6c9329ac4bc9b5) : 0);
	}
	return ~crc;
}

static void test_known(void **state)
{
	char text[CRC64_BASE64_LEN];
	uint64_t crc;

	assert_true(crc64nvme(0, "123456789", 9) == UINT64_C(0xae8b14860a799888));
	assert_true(crc64nvme(0, "", 0) == 0);
	crc64nvme_base64(UINT64_C(0xae8b14860a799888), text);
	assert_string_equal(text, "rosUhgp5mIg=");
	assert_int_equal(crc64nvme_parse(text, &crc), 0);
	assert_true(crc == UINT64_C(0xae8b14860a799888));
	assert_int_equal(crc64nvme_parse("rosUhgp5mA==", &crc), -EINVAL);
}

static void test_lengths_and_pieces(void **state)
{
	uint8_t *data = mem_alloc(LEN);
	uint64_t want, crc;
	size_t i, n;

	for (i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * i * 31 + i / 7);
	for (n = 0; n < 1400; n += n < 300 ? 1 : 13) {
		want = slow(data + n % 17, n);
		assert_true(crc64nvme(0, data + n % 17, n) == want);
		assert_true(crc64nvme_portable(0, data + n % 17, n) == want);
	}
	want = slow(data, LEN);
	for (n = 1; n < LEN; n = n * 3 + 1) {
		crc = 0;
		for (i = 0; i < LEN; i += n)
			crc = crc64nvme(crc, data + i, i + n > LEN ? LEN - i : n);
		assert_true(crc == want);
	}
	free(data);
}

static void test_combine(void **state)
{
	uint8_t *data = mem_alloc(LEN);
	uint64_t want, a, b;

	for (size_t i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * 7 + i / 3);
	want = crc64nvme(0, data, LEN);
	for (size_t cut = 0; cut <= LEN; cut = cut * 2 + 1) {
		a = crc64nvme(0, data, cut);
		b = crc64nvme(0, data + cut, LEN - cut);
		assert_true(crc64nvme_append(a, crc64nvme_shift(LEN - cut), b) == want);
	}
	assert_true(crc64nvme_append(want, crc64nvme_shift(0), 0) == want);
	/* Longer than any memory: the shift of a sum is the shifts one after the other. */
	a = crc64nvme_append(want, crc64nvme_shift(UINT64_C(5) << 40), 0);
	b = crc64nvme_append(want, crc64nvme_shift(UINT64_C(2) << 40), 0);
	assert_true(crc64nvme_append(b, crc64nvme_shift(UINT64_C(3) << 40), 0) == a);
	free(data);
}

/* base/crc32: in pieces as at once, and of two parts. */
static void test_crc32(void **state)
{
	static const char text[] = "123456789 and some more than eight bytes";

	assert_int_equal(crc32_update(CRC32_IEEE, 0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_update(CRC32_C, 0, "123456789", 9), 0xe3069283);
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		uint32_t all = crc32_update(CRC32_C, 0, text, sizeof(text));
		uint32_t a = crc32_update(CRC32_C, 0, text, cut);
		uint32_t b = crc32_update(CRC32_C, 0, text + cut, sizeof(text) - cut);

		assert_int_equal(
			crc32_update(CRC32_C, a, text + cut, sizeof(text) - cut), all);
		assert_int_equal(crc32_append(CRC32_C, a, b, sizeof(text) - cut), all);
	}
}

/* base/checksum: at once, in pieces, in parts, and joined. */
static void test_checksums(void **state)
{
	static const char text[] = "a text of forty bytes, cut at every one.";
	enum { LENGTH = sizeof(text) - 1, PART = 15 };
	char whole[CHECKSUM_TEXT_LEN], got[CHECKSUM_TEXT_LEN], of_parts[CHECKSUM_TEXT_LEN];
	struct checksum_sum parts[3];

	for (int i = CHECKSUM_CRC64NVME; i < CHECKSUM_ALGS; i++) {
		enum checksum_alg alg = (enum checksum_alg)i;
		struct checksum *c = checksum_new(alg, 0);

		checksum_update(c, text, LENGTH);
		checksum_end(c, whole);
		for (size_t k = 0; k < 3; k++) {
			size_t n = k == 2 ? LENGTH - 2 * PART : PART;

			checksum_update(c, text + k * PART, n);
			checksum_end_sum(c, &parts[k]);
		}
		checksum_free(c);
		checksum_compose(alg, parts, 3, of_parts);
		assert_int_equal(checksum_part_count(of_parts), 3);
		assert_int_equal(checksum_part_count(whole), 0);
		for (size_t cut = 0; cut <= LENGTH; cut++) {
			c = checksum_new(alg, PART);
			checksum_update(c, text, cut);
			checksum_update(c, text + cut, LENGTH - cut);
			checksum_end(c, got);
			checksum_free(c);
			assert_string_equal(got, of_parts);
		}
		if (!checksum_join(alg, &parts[0], &parts[1], PART))
			continue;
		checksum_join(alg, &parts[0], &parts[2], LENGTH - 2 * PART);
		checksum_text(&parts[0], got);
		assert_string_equal(got, whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_lengths_and_pieces),
		cmocka_unit_test(test_combine),
		cmocka_unit_test(test_crc32),
		cmocka_unit_test(test_checksums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
