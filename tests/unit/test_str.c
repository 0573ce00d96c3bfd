/* base/str: numbers, sizes, durations, encoders, distance. */
#include "config.h"

#include "base/str.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "unit.h"

static void numbers(void **state)
{
	uint64_t v = 7;

	assert_int_equal(str_to_uint("18446744073709551615", UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(str_to_uint("18446744073709551616", UINT64_MAX, &v), -ERANGE);
	assert_int_equal(str_to_uint("11", 10, &v), -ERANGE);
	assert_int_equal(str_to_uint("", 10, &v), -EINVAL);
	assert_int_equal(str_to_uint("-1", 10, &v), -EINVAL);
	assert_int_equal(str_to_uint("1 ", 10, &v), -EINVAL);
	assert_true(v == UINT64_MAX); /* untouched by failures */
}

static void durations(void **state)
{
	int64_t s = -1;

	assert_int_equal(str_to_duration_s("1w2d3h4m5s", &s), 0);
	assert_int_equal(s, 604800 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5);
	assert_int_equal(str_to_duration_s("90m", &s), 0);
	assert_int_equal(s, 5400);
	assert_int_equal(str_to_duration_s("5m1h", &s), -EINVAL); /* falling order */
	assert_int_equal(str_to_duration_s("1h1h", &s), -EINVAL);
	assert_int_equal(str_to_duration_s("15", &s), -EINVAL);
	assert_int_equal(str_to_duration_s("", &s), -EINVAL);
	assert_int_equal(str_to_duration_s("h", &s), -EINVAL);
}

static void sizes(void **state)
{
	uint64_t n;
	char out[32];

	assert_int_equal(str_to_size("64 MiB", &n), 0);
	assert_true(n == 64 << 20);
	assert_int_equal(str_to_size("20MB", &n), 0);
	assert_true(n == 20000000);
	assert_int_equal(str_to_size("20", &n), -EINVAL);
	assert_int_equal(str_to_size("10 MBs", &n), -EINVAL);
	assert_int_equal(str_to_size("99999999 TiB", &n), -ERANGE);
	assert_string_equal(str_format_size(512, out, sizeof(out)), "512 B");
	assert_string_equal(str_format_size(88185242, out, sizeof(out)), "84.1 MiB");
}

static void base64(void **state)
{
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}};
	char text[32], back[32];
	size_t len;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		str_to_base64(pairs[i][0], strlen(pairs[i][0]), text);
		assert_string_equal(text, pairs[i][1]);
		assert_int_equal(str_from_base64(text, back, sizeof(back), &len), 0);
		assert_int_equal(len, strlen(pairs[i][0]));
		assert_memory_equal(back, pairs[i][0], len);
	}
	assert_int_equal(str_from_base64("Zg=", back, sizeof(back), &len), -EINVAL);
	assert_int_equal(str_from_base64("Z!==", back, sizeof(back), &len), -EINVAL);
	assert_int_equal(str_from_base64("Zm9v", back, 2, &len), -ENOBUFS);
}

static void uri(void **state)
{
	struct buf b = BUF_INIT(256);
	static const char hostile[] = "a b+c%d/../\xc3\xbc~";

	assert_int_equal(str_uri_encode(&b, hostile, strlen(hostile), true), 0);
	assert_string_equal(buf_str(&b), "a%20b%2Bc%25d/../%C3%BC~");
	buf_reset(&b);
	assert_int_equal(str_uri_encode(&b, "a/b", 3, false), 0);
	assert_string_equal(buf_str(&b), "a%2Fb");
	buf_reset(&b);
	assert_int_equal(str_uri_decode(&b, "a%20b+%C3%bc", 12), 0);
	assert_string_equal(buf_str(&b), "a b+\xc3\xbc");
	assert_int_equal(str_uri_decode(&b, "a%2", 3), -EINVAL);
	assert_int_equal(str_uri_decode(&b, "%zz", 3), -EINVAL);
	buf_done(&b);
}

static void escapes(void **state)
{
	struct buf b = BUF_INIT(256);

	str_escape(&b, "a\n\x1b[2J\xff\xc3\xbc", 9);
	assert_string_equal(buf_str(&b), "a\\x0a\\x1b[2J\\xff\xc3\xbc");
	assert_false(str_is_utf8("\xed\xa0\x80", 3)); /* a lone surrogate */
	assert_false(str_is_utf8("\xc0\x80", 2));     /* too long a form */
	assert_true(str_is_utf8("\xf0\x9f\x9a\xa2", 4));
	buf_done(&b);
}

static void distance(void **state)
{
	static const char *const keys[] = {"external_id", "role_arn", "region", NULL};

	assert_int_equal(str_distance("extrenal_id", "external_id", 2), 1);
	assert_int_equal(str_distance("abc", "xyz", 2), 3);
	assert_string_equal(str_nearest("extrenal_id", keys), "external_id");
	assert_string_equal(str_nearest("rol_arn", keys), "role_arn");
	assert_null(str_nearest("timezone", keys));
}

UNIT_MAIN(cmocka_unit_test(numbers), cmocka_unit_test(durations), cmocka_unit_test(sizes),
	cmocka_unit_test(base64), cmocka_unit_test(uri), cmocka_unit_test(escapes),
	cmocka_unit_test(distance))
