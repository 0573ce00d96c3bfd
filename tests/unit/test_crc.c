/* base/crc against the catalogue's check value, itself in pieces, and its other half. */
#include "config.h"

#include "base/crc.h"

#include <setjmp.h>
#include <stdarg.h>
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

	assert_true(crc64nvme(0, "123456789", 9) == UINT64_C(0xae8b14860a799888));
	assert_true(crc64nvme(0, "", 0) == 0);
	crc64nvme_base64(UINT64_C(0xae8b14860a799888), text);
	assert_string_equal(text, "rosUhgp5mIg=");
}

static void test_lengths_and_pieces(void **state)
{
	uint8_t *data = mem_alloc(LEN);
	uint64_t want, crc;
	size_t i, n;

	for (i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * i * 31 + i / 7);
	for (n = 0; n < 700; n += n < 300 ? 1 : 13) {
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_lengths_and_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
