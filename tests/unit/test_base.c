/* base/buf, clock, crypto, json, xml, err: the parts with few cases each. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "unit.h"

static void buffer_has_a_maximum(void **state)
{
	struct buf b = BUF_INIT(5);

	assert_int_equal(buf_puts(&b, "12345"), 0);
	assert_int_equal(buf_putc(&b, '6'), -ENOBUFS);
	assert_int_equal(buf_printf(&b, "%d", 7), -ENOBUFS);
	assert_string_equal(buf_str(&b), "12345");
	buf_consume(&b, 2);
	assert_string_equal(buf_str(&b), "345");
	buf_done(&b);
}

static void pieces_of_an_arena_do_not_touch(void **state)
{
	struct arena a = {0};
	char *texts[2000];
	char *large;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		uint64_t *words = arena_alloc(&a, (i % 9 + 1) * sizeof(*words));

		assert_int_equal((uintptr_t)words % sizeof(*words), 0);
		for (size_t k = 0; k <= i % 9; k++) {
			assert_int_equal(words[k], 0);
			words[k] = UINT64_MAX;
		}
		texts[i] = arena_strndup(&a, "some text", i % 10);
	}
	/* Longer than any block. */
	large = arena_alloc(&a, 3 << 20);
	assert_int_equal(large[0] + large[(3 << 20) - 1], 0);
	memset(large, 'x', 3 << 20);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(strlen(texts[i]), i % 10);
		assert_memory_equal(texts[i], "some text", i % 10);
	}
	arena_done(&a);
	assert_null(a.block);
	arena_done(&a);
}

static void calendar_arithmetic(void **state)
{
	char out[32];
	struct clock_utc u;
	int64_t s;

	assert_string_equal(clock_format_iso(0, out, sizeof(out)), "1970-01-01T00:00:00Z");
	assert_string_equal(
		clock_format_amz(1440938160, out, sizeof(out)), "20150830T123600Z");
	clock_utc_from_seconds(951782400, &u); /* 2000-02-29 */
	assert_int_equal(u.month, 2);
	assert_int_equal(u.day, 29);
	assert_int_equal(u.weekday, 2);
	clock_utc_from_seconds(-1, &u);
	assert_true(u.year == 1969);
	assert_int_equal(u.second, 59);
	for (int64_t t = -5000000000; t < 8000000000; t += 86400 * 37 + 12345) {
		clock_utc_from_seconds(t, &u);
		assert_true(clock_seconds_from_utc(&u) == t);
	}
	assert_int_equal(clock_parse_iso("2026-11-20T13:00:00.25+01:00", &s), 0);
	assert_true(s == 1795176000);
	assert_int_equal(clock_parse_iso("2026-13-20T13:00:00Z", &s), -EINVAL);
	assert_int_equal(clock_parse_iso("2026-11-20T13:00:00", &s), -EINVAL);
	assert_int_equal(clock_parse_iso("2026-02-29T13:00:00Z", &s), -EINVAL);
	assert_int_equal(clock_parse_iso("1969-12-31T23:59:59.5Z", &s), 0);
	assert_int_equal(s, -1);
	assert_string_equal(clock_format_iso_us(-500000, out, sizeof(out)),
		"1969-12-31T23:59:59.5Z");
	assert_int_equal(clock_parse_http_us("Tue, 24 Nov 2026 07:00:00 GMT", &s), 0);
	assert_string_equal(
		clock_format_iso_us(s, out, sizeof(out)), "2026-11-24T07:00:00Z");
	assert_int_equal(clock_parse_http_us("Tue, 24 Nov 2026 07:00:00", &s), -EINVAL);
	assert_int_equal(clock_parse_http_us("Tue, 24 anF 2026 07:00:00 GMT", &s), -EINVAL);
	assert_int_equal(clock_parse_http_us("Tue, 31 Nov 2026 07:00:00 GMT", &s), -EINVAL);
	assert_int_equal(clock_parse_http_us("0", &s), -EINVAL);
}

static void digests(void **state)
{
	char hex[65];
	uint8_t mac[32], md5[16];
	struct crypto_hash *h = crypto_hash_new(CRYPTO_MD5);

	crypto_sha256_hex("abc", 3, hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	/* RFC 4231, test case 2 */
	crypto_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
	str_to_hex(mac, sizeof(mac), hex);
	assert_string_equal(
		hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	crypto_hash_update(h, "a", 1);
	crypto_hash_update(h, "bc", 2);
	crypto_hash_final(h, md5);
	str_to_hex(md5, sizeof(md5), hex);
	assert_string_equal(hex, "900150983cd24fb0d6963f7d28e17f72");
	crypto_hash_free(h);
}

static void json_reads(void **state)
{
	static const char text[] = "{\"a\":{\"b\":[1,\"x\",true]},\"n\":-5}";
	struct json *v = json_parse(text, strlen(text), NULL);
	struct buf out = BUF_INIT(100);
	char *error = NULL, deep[100];

	assert_non_null(v);
	assert_int_equal(json_get_int(v, "n", 0), -5);
	assert_int_equal(json_array_len(json_get(json_get(v, "a"), "b")), 3);
	assert_null(json_get_str(v, "n"));
	assert_int_equal(json_dump(v, &out), 0);
	assert_string_equal(buf_str(&out), text);
	json_free(v);
	assert_null(json_parse("{\"a\":1,\"a\":2}", 13, &error));
	assert_non_null(strstr(error, "duplicate"));
	free(error);
	memset(deep, '[', sizeof(deep));
	assert_null(json_parse(deep, sizeof(deep), &error));
	assert_non_null(strstr(error, "nested"));
	free(error);
	buf_done(&out);
}

static void json_writes(void **state)
{
	struct buf out = BUF_INIT(200);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "s", "a\"\\\n\xff");
	json_array_begin(&w, "l");
	json_put_int(&w, NULL, 1);
	json_put_bool(&w, NULL, false);
	json_put_null(&w, NULL);
	json_array_end(&w);
	json_object_begin(&w, "o");
	json_object_end(&w);
	json_object_end(&w);
	assert_false(w.failed);
	assert_string_equal(buf_str(&out),
		"{\"s\":\"a\\\"\\\\\\\\x0a\\\\xff\",\"l\":[1,false,null],\"o\":{}}");
	buf_done(&out);
}

static void note_text(void *arg, const char *path, const char *text, size_t len)
{
	buf_printf(arg, "%s=%s;", path, text);
}

static int parse_xml(const char *text, size_t step, struct buf *seen)
{
	struct xml_handler h = {.on_text = note_text, .arg = seen};
	struct xml *x = xml_new(&h, 4096);
	int r = 0;

	for (size_t at = 0, len = strlen(text); r == 0 && at < len; at += step)
		r = xml_feed(x, text + at, at + step < len ? step : len - at);
	if (r == 0)
		r = xml_finish(x);
	xml_free(x);
	return r;
}

static void xml_paths(void **state)
{
	static const char text[] = " \n<?xml version=\"1.0\"?><L xmlns=\"urn:x\"><C><Key>a&amp;b"
				   "</Key><Size/></C><x:T xmlns:x=\"y\">1</x:T></L>";

	for (size_t step = 1; step < 20; step++) {
		struct buf seen = BUF_INIT(500);

		assert_int_equal(parse_xml(text, step, &seen), 0);
		assert_string_equal(buf_str(&seen), "L/C/Key=a&b;L/C/Size=;L/T=1;");
		buf_done(&seen);
	}
}

static void xml_refuses(void **state)
{
	struct buf seen = BUF_INIT(5000);
	char deep[400] = "";

	assert_int_equal(parse_xml("<a><b></a>", 3, &seen), -EBADMSG);
	assert_int_equal(parse_xml("<a>", 3, &seen), -EBADMSG);
	assert_int_equal(parse_xml("", 1, &seen), -EBADMSG);
	assert_int_equal(
		parse_xml("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>", 7, &seen), -EBADMSG);
	for (int i = 0; i < 40; i++)
		strcat(deep, "<a>");
	assert_int_equal(parse_xml(deep, 10, &seen), -EBADMSG);
	buf_done(&seen);
}

static void errors_are_filled_whole(void **state)
{
	struct err e = {.http_status = 5, .request_id = "old"};

	err_set(&e, ERR_THROTTLE, ERR_FROM_S3, "SlowDown", "wait %d s", 3);
	assert_int_equal(e.http_status, 0);
	assert_string_equal(e.request_id, "");
	assert_string_equal(e.text, "wait 3 s");
	assert_true(err_is_transient(&e));
	assert_false(err_is_transient(&(struct err){.class = ERR_DENIED}));
}

/* The flags of the mapping that holds p, as the kernel tells them. */
static bool is_left_out_of_cores(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool is_here = false, is_out = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_here = (unsigned long)p >= from && (unsigned long)p < to;
		else if (is_here && strncmp(line, "VmFlags:", 8) == 0)
			is_out = strstr(line, " dd") != NULL;
	}
	fclose(f);
	return is_out;
}

static void test_secrets(void **state)
{
	char *text = mem_secret_strdup("a secret"), *large = mem_secret_alloc(10000);
	_cleanup_free_ char *plain = mem_strdup("none");

	assert_string_equal(text, "a secret");
	assert_int_equal((uintptr_t)large % 16, 0);
	assert_int_equal(large[9999], 0);
	large[9999] = 'x';
	assert_true(is_left_out_of_cores(text));
	assert_true(is_left_out_of_cores(large + 9999));
	assert_false(is_left_out_of_cores(plain));
	assert_null(mem_secret_free(text));
	assert_null(mem_secret_free(large));
	assert_null(mem_secret_free(NULL));
}

UNIT_MAIN(cmocka_unit_test(buffer_has_a_maximum),
	cmocka_unit_test(pieces_of_an_arena_do_not_touch),
	cmocka_unit_test(calendar_arithmetic), cmocka_unit_test(digests),
	cmocka_unit_test(json_reads), cmocka_unit_test(json_writes),
	cmocka_unit_test(xml_paths), cmocka_unit_test(xml_refuses),
	cmocka_unit_test(test_secrets), cmocka_unit_test(errors_are_filled_whole))
