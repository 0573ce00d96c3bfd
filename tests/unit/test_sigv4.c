/*
 * aws/sigv4: values published by AWS, and the rules around them. The large set of cases is
 * tests/vectors/check_aws.
 */
#include "config.h"

#include "aws/sigv4.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "tests/unit/unit.h"

/* 2013-05-24T00:00:00Z, the day of the examples in the S3 API Reference. */
#define THE_DAY INT64_C(1369353600)

static const struct sigv4_keys keys = {
	"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL};
static const struct sigv4_keys session = {
	"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "a/token="};
static const struct sigv4_scope s3_scope = {
	.region = "us-east-1", .service = "s3", .at_s = THE_DAY, .is_s3 = true};

static void test_get_object(void **state)
{
	static const struct sigv4_pair headers[] = {
		{"Host", "examplebucket.s3.amazonaws.com"}, {"Range", "bytes=0-9"}};
	struct sigv4_request rq = {.method = "GET", .path = "/test.txt", .headers = headers,
		.header_count = 2, .payload_hash = SIGV4_SHA256_EMPTY};
	struct sigv4_result r;

	assert_int_equal(sigv4_sign(&rq, &s3_scope, &keys, &r), 0);
	assert_string_equal(r.signature,
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	assert_string_equal(r.signed_headers, "host;range;x-amz-content-sha256;x-amz-date");
	assert_string_equal(r.amz_date, "20130524T000000Z");
	assert_string_equal(r.authorization,
		"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
		"aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
		"Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	sigv4_result_done(&r);
}

static void test_list_objects(void **state)
{
	static const struct sigv4_pair headers[] = {
		{"host", "examplebucket.s3.amazonaws.com"}};
	static const struct sigv4_pair query[] = {{"prefix", "J"}, {"max-keys", "2"}};
	struct sigv4_request rq = {.method = "GET", .path = "/", .query = query,
		.query_count = 2, .headers = headers, .header_count = 1,
		.payload_hash = SIGV4_SHA256_EMPTY};
	struct sigv4_result r;

	assert_int_equal(sigv4_sign(&rq, &s3_scope, &keys, &r), 0);
	assert_string_equal(r.signature,
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
	assert_string_equal(r.query_string, "max-keys=2&prefix=J");
	sigv4_result_done(&r);
}

static void test_presign(void **state)
{
	static const struct sigv4_pair headers[] = {
		{"Host", "examplebucket.s3.amazonaws.com"}};
	struct sigv4_request rq = {.method = "GET", .path = "/test.txt", .headers = headers,
		.header_count = 1, .payload_hash = SIGV4_UNSIGNED};
	struct sigv4_result r;

	assert_int_equal(sigv4_presign(&rq, &s3_scope, &keys, 86400, &r), 0);
	assert_string_equal(r.signature,
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
	assert_non_null(strstr(r.query_string, "&X-Amz-Signature=aeeed9bb"));
	sigv4_result_done(&r);
	assert_int_equal(sigv4_presign(&rq, &s3_scope, &keys, 0, &r), -EINVAL);
	assert_int_equal(sigv4_presign(&rq, &s3_scope, &keys, 604801, &r), -EINVAL);
}

/* The PUT of 66,560 bytes in chunks of 64 KiB. */
static void test_chunks(void **state)
{
	struct sigv4_chain chain;
	char sig[SIGV4_SIGNATURE_LEN + 1], hash[65], *data = mem_alloc(65536);
	static const char nothing[sizeof(chain)];

	memset(data, 'a', 65536);
	sigv4_chain_init(&chain, &s3_scope, &keys,
		"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
	crypto_sha256_hex(data, 65536, hash);
	sigv4_chain_next(&chain, hash, sig);
	assert_string_equal(
		sig, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
	crypto_sha256_hex(data, 1024, hash);
	sigv4_chain_next(&chain, hash, sig);
	assert_string_equal(
		sig, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
	sigv4_chain_next(&chain, SIGV4_SHA256_EMPTY, sig);
	assert_string_equal(
		sig, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
	sigv4_chain_wipe(&chain);
	assert_memory_equal(&chain, nothing, sizeof(chain));
	free(data);
}

static char *canonical_path(const char *path, const struct sigv4_scope *scope)
{
	static const struct sigv4_pair headers[] = {{"Host", "h"}};
	struct sigv4_request rq = {.method = "GET", .path = path, .headers = headers,
		.header_count = 1, .payload_hash = SIGV4_SHA256_EMPTY};
	struct sigv4_result r;
	char *line;

	assert_int_equal(sigv4_sign(&rq, scope, &keys, &r), 0);
	line = mem_strndup(r.canonical_request + 4, strcspn(r.canonical_request + 4, "\n"));
	sigv4_result_done(&r);
	return line;
}

/* S3 signs the key as it is; the others clean up, and encode once more. */
static void test_paths(void **state)
{
	static const struct {
		const char *path, *s3, *other;
	} cases[] = {
		{"/a/../b//./c%20d", "/a/../b//./c%20d", "/b/c%2520d"},
		{"/", "/", "/"},
		{"", "/", "/"},
		{"/..", "/..", "/"},
		{"/a/", "/a/", "/a/"},
		{"//a", "//a", "/a"},
	};
	struct sigv4_scope other = {.region = "r", .service = "sts", .at_s = THE_DAY};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *s3 = canonical_path(cases[i].path, &s3_scope);
		_cleanup_free_ char *cleaned = canonical_path(cases[i].path, &other);

		assert_string_equal(s3, cases[i].s3);
		assert_string_equal(cleaned, cases[i].other);
	}
}

static void test_headers(void **state)
{
	static const struct sigv4_pair headers[] = {{"X-B", "  two   words "}, {"Host", "h"},
		{"User-Agent", "x"}, {"Expect", "100-continue"}, {"x-b", "again"},
		{"X-A-Empty", ""}};
	struct sigv4_request rq = {.method = "PUT", .path = "/", .headers = headers,
		.header_count = ARRAY_LEN(headers), .payload_hash = SIGV4_UNSIGNED};
	struct sigv4_result r;

	assert_int_equal(sigv4_sign(&rq, &s3_scope, &session, &r), 0);
	assert_string_equal(r.canonical_request,
		"PUT\n/\n\nhost:h\nx-a-empty:\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n"
		"x-amz-date:20130524T000000Z\nx-amz-security-token:a/token=\n"
		"x-b:two words,again\n\nhost;x-a-empty;x-amz-content-sha256;x-amz-date;"
		"x-amz-security-token;x-b\nUNSIGNED-PAYLOAD");
	sigv4_result_done(&r);
}

static void test_refused(void **state)
{
	static const char *const names[] = {"authorization", "X-Amz-Date",
		"X-Amz-Content-Sha256", "x-amz-security-token"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct sigv4_pair headers[] = {{"Host", "h"}, {names[i], "x"}};
		struct sigv4_request rq = {.method = "GET", .path = "/", .headers = headers,
			.header_count = 2, .payload_hash = SIGV4_SHA256_EMPTY};
		struct sigv4_result r;

		assert_int_equal(sigv4_sign(&rq, &s3_scope, &keys, &r), -EINVAL);
		assert_int_equal(sigv4_presign(&rq, &s3_scope, &keys, 60, &r), -EINVAL);
	}
}

/* Encoded before sorting, sorted by name, then by value; equal names keep both. */
static void test_query(void **state)
{
	static const struct sigv4_pair headers[] = {{"Host", "h"}};
	static const struct sigv4_pair query[] = {
		{"b", "z"}, {"b", "a b"}, {"\xc3\xa9", "~/+"}, {"B", ""}, {"a&", "="}};
	struct sigv4_request rq = {.method = "GET", .path = "/", .query = query,
		.query_count = ARRAY_LEN(query), .headers = headers, .header_count = 1,
		.payload_hash = SIGV4_SHA256_EMPTY};
	struct sigv4_result r;

	assert_int_equal(sigv4_sign(&rq, &s3_scope, &keys, &r), 0);
	assert_string_equal(
		r.query_string, "%C3%A9=~%2F%2B&B=&a%26=%3D&b=a%20b&b=z");
	sigv4_result_done(&r);
}

UNIT_MAIN(cmocka_unit_test(test_get_object), cmocka_unit_test(test_list_objects),
	cmocka_unit_test(test_presign), cmocka_unit_test(test_chunks),
	cmocka_unit_test(test_paths), cmocka_unit_test(test_headers),
	cmocka_unit_test(test_refused), cmocka_unit_test(test_query))
