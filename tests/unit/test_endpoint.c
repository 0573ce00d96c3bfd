/* aws/endpoint: where a request goes, and what is refused by name. */
#include "config.h"

#include "aws/endpoint.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/unit.h"

#define AP "arn:aws:s3:eu-west-1:111122223333:accesspoint/reports"

static void test_s3(void **state)
{
	static const struct {
		struct endpoint_spec spec;
		const char *origin, *host, *path, *region;
	} cases[] = {
		{{"eu-west-1", NULL, "bkt", false},
			"https://bkt.s3.eu-west-1.amazonaws.com",
			"bkt.s3.eu-west-1.amazonaws.com", "", "eu-west-1"},
		{{"eu-west-1", NULL, "b.k.t", false},
			"https://s3.eu-west-1.amazonaws.com",
			"s3.eu-west-1.amazonaws.com", "/b.k.t", "eu-west-1"},
		{{"eu-west-1", NULL, "Bkt_1", false},
			"https://s3.eu-west-1.amazonaws.com",
			"s3.eu-west-1.amazonaws.com", "/Bkt_1", "eu-west-1"},
		{{"cn-north-1", NULL, "bkt", true},
			"https://s3.cn-north-1.amazonaws.com.cn",
			"s3.cn-north-1.amazonaws.com.cn", "/bkt", "cn-north-1"},
		{{"us-gov-west-1", NULL, "bkt", false},
			"https://bkt.s3.us-gov-west-1.amazonaws.com",
			"bkt.s3.us-gov-west-1.amazonaws.com", "", "us-gov-west-1"},
		{{"us-iso-east-1", NULL, NULL, false},
			"https://s3.us-iso-east-1.c2s.ic.gov",
			"s3.us-iso-east-1.c2s.ic.gov", "", "us-iso-east-1"},
		{{NULL, "http://127.0.0.1:8080", "bkt", false}, "http://127.0.0.1:8080",
			"127.0.0.1:8080", "/bkt", "us-east-1"},
		{{"here", "http://[::1]:8080/base/", "bkt", false}, "http://[::1]:8080",
			"[::1]:8080", "/base/bkt", "here"},
		{{NULL, "http://s3.localhost:80", "b.k", false},
			"http://b.k.s3.localhost:80", "b.k.s3.localhost", "",
			"us-east-1"},
		{{NULL, "https://s3.localhost:443", "bkt", true},
			"https://s3.localhost:443", "s3.localhost", "/bkt", "us-east-1"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct endpoint e;
		char why[200];

		assert_int_equal(endpoint_s3(&cases[i].spec, &e, why), 0);
		assert_string_equal(e.origin, cases[i].origin);
		assert_string_equal(e.host, cases[i].host);
		assert_string_equal(e.path, cases[i].path);
		assert_string_equal(e.signing_region, cases[i].region);
		assert_int_equal(e.is_aws, cases[i].spec.endpoint_url == NULL);
		assert_int_equal(e.is_tls, strncmp(e.origin, "https:", 6) == 0);
	}
}

static void test_s3_refused(void **state)
{
	char long_url[400] = "http://host/";
	const struct {
		struct endpoint_spec spec;
		const char *says;
	} cases[] = {
		{{NULL, NULL, "bkt", false}, "region"},
		{{"", NULL, "bkt", false}, "region"},
		{{"eu west", NULL, "bkt", false}, "'eu west'"},
		{{"a.evil.example/", NULL, "bkt", false}, "region"},
		{{"eu-west-1", NULL, "arn:aws:s3:eu-west-1:1:accesspoint/x"}, "ARN"},
		{{NULL, "http://[::1]", AP}, "host name"},
		{{"eu-west-1", NULL, AP, true}, "path style"},
		{{"cn-north-1", NULL, AP, .use_dual_stack = true}, "partition"},
		{{"us-iso-east-1", NULL, "bkt", .use_dual_stack = true}, "dual stack"},
		{{"eu-west-1", NULL, "b.k.t", .use_accelerate = true}, "dots"},
		{{NULL, "host", "bkt", false}, "https://"},
		{{NULL, "ftp://host", "bkt", false}, "https://"},
		{{NULL, "http://", "bkt", false}, "host"},
		{{NULL, "http://u:p@host", "bkt", false}, "user"},
		{{NULL, "http://host?x", "bkt", false}, "query"},
		{{NULL, "http://host/a?x", "bkt", false}, "query"},
		{{NULL, "http://ho st", "bkt", false}, "host"},
		{{NULL, "http://host\r\nX: y", "bkt", false}, "host"},
		{{NULL, long_url, "bkt", false}, "too long"},
	};

	memset(long_url + 12, 'p', sizeof(long_url) - 13);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct endpoint e = {.origin = "as before"};
		char why[200] = "";

		assert_int_equal(endpoint_s3(&cases[i].spec, &e, why), -EINVAL);
		if (!strstr(why, cases[i].says))
			fail_msg("case %zu: '%s' does not say '%s'", i, why,
				cases[i].says);
		assert_string_equal(e.origin, "as before");
	}
}

static void test_sts(void **state)
{
	struct endpoint_spec spec = {.region = "eu-west-1"};
	struct endpoint e;
	char why[200];

	assert_int_equal(endpoint_sts(&spec, &e, why), 0);
	assert_string_equal(e.origin, "https://sts.eu-west-1.amazonaws.com");
	assert_string_equal(e.signing_region, "eu-west-1");
	assert_true(e.is_aws);
	spec = (struct endpoint_spec){.endpoint_url = "http://127.0.0.1:7/sts"};
	assert_int_equal(endpoint_sts(&spec, &e, why), 0);
	assert_string_equal(e.origin, "http://127.0.0.1:7");
	assert_string_equal(e.path, "/sts");
	assert_string_equal(e.signing_region, "us-east-1");
	spec = (struct endpoint_spec){0};
	assert_int_equal(endpoint_sts(&spec, &e, why), -EINVAL);
	assert_non_null(strstr(why, "region"));
}

UNIT_MAIN(cmocka_unit_test(test_s3), cmocka_unit_test(test_s3_refused),
	cmocka_unit_test(test_sts))
