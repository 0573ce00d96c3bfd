/* base/s3name: what is no bucket for us, by name; ARNs taken apart; keys in paths. */
#include "config.h"

#include "base/s3name.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/unit.h"

static void test_refused(void **state)
{
	static const struct {
		const char *bucket, *says;
	} cases[] = {
		{"", "not a bucket name"},
		{"a/b", "'a/b'"},
		{"a b", "'a b'"},
		{"x--usw2-az1--x-s3", "Express"},
		{"my-ap-opid--op-s3", "Outposts"},
		{"arn:aws:s3-outposts:us-west-2:111122223333:outpost/o/accesspoint/a",
			"Outposts"},
		{"arn:aws:s3-object-lambda:us-west-2:111122223333:accesspoint/a",
			"Lambda"},
		{"arn:aws:s3::111122223333:accesspoint/abc.mrap", "multi-region"},
		{"arn:aws:ec2:us-west-2:111122223333:instance:i", "not one of S3"},
		{"arn:aws:s3:us-west-2:111122223333:bucket/b", "access point"},
		{"arn:aws:s3:us-west-2:11112222333:accesspoint/a", "12 digits"},
		{"arn:aws:s3:us west:111122223333:accesspoint/a", "region"},
		{"arn:aws:s3:us-west-2:111122223333:accesspoint/a/b", "letters"},
		{"arn:aws", "ARN"},
	};
	char why[S3NAME_WHY_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(s3name_check_bucket(cases[i].bucket, why), -EINVAL);
		if (!strstr(why, cases[i].says))
			fail_msg("case %zu: '%s' does not say '%s'", i, why,
				cases[i].says);
	}
	assert_int_equal(s3name_check_bucket("b", why), 0);
	assert_int_equal(s3name_check_bucket("my-ap-abc123-s3alias", why), 0);
	assert_int_equal(s3name_check_bucket(
				 "arn:aws:s3:eu-west-1:111122223333:accesspoint:a", why),
		0);
}

static void test_split(void **state)
{
	static const char ap[] = "arn:aws:s3:eu-west-1:111122223333:accesspoint:a";

	assert_int_equal(s3name_bucket_len("b/k/x"), 1);
	assert_int_equal(s3name_bucket_len("b"), 1);
	assert_int_equal(s3name_bucket_len(ap), strlen(ap));
	assert_int_equal(s3name_bucket_len("arn:aws"), 7);
}

static void test_copy_source(void **state)
{
	struct buf out = BUF_INIT(1000);

	assert_int_equal(s3name_copy_source(&out, "b", "a b/+", "v1"), 0);
	assert_string_equal(buf_str(&out), "b/a%20b/%2B?versionId=v1");
	buf_done(&out);
	out = BUF_INIT(3);
	assert_int_equal(s3name_copy_source(&out, "b", "long", NULL), -ENOBUFS);
	buf_done(&out);
}

UNIT_MAIN(cmocka_unit_test(test_refused), cmocka_unit_test(test_split),
	cmocka_unit_test(test_copy_source))
