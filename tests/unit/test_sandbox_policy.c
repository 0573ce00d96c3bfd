/* Policies of the sandbox: matching, denial, and the rule across accounts. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "sandbox/policy.h"

static struct policy *make(const char *text, char **ret_error)
{
	_cleanup_json_ struct json *root = json_parse(text, strlen(text), NULL);

	assert_non_null(root);
	return policy_new(root, ret_error);
}

static void test_glob(void **state)
{
	assert_true(policy_glob("s3:*", "s3:GetObject"));
	assert_true(policy_glob("s3:Get*Tagging", "s3:GetObjectTagging"));
	assert_true(policy_glob("*a*b", "xaxbab"));
	assert_true(policy_glob("abc*", "abc"));
	assert_false(policy_glob("s3:Get*", "s3:PutObject"));
	assert_false(policy_glob("abc", "abcd"));
	assert_false(policy_glob("abcd", "abc"));
	assert_false(policy_glob("", "a"));
}

static void test_prefix_of_resource(void **state)
{
	struct policy *p = make("[{\"effect\":\"allow\",\"actions\":[\"s3:GetObject\"],"
				"\"resources\":[\"arn:aws:s3:::b/daily/*\"]}]",
		NULL);

	assert_int_equal(policy_check(p, NULL, "s3:GetObject", "arn:aws:s3:::b/daily/x"),
		POLICY_ALLOW);
	assert_int_equal(policy_check(p, NULL, "s3:GetObject", "arn:aws:s3:::b/weekly/x"),
		POLICY_SILENT);
	assert_int_equal(policy_check(p, NULL, "s3:PutObject", "arn:aws:s3:::b/daily/x"),
		POLICY_SILENT);
	policy_free(p);
}

static void test_deny_wins(void **state)
{
	struct policy *p = make(
		"[{\"effect\":\"deny\",\"actions\":[\"*\"],\"resources\":[\"secret*\"]},"
		"{\"effect\":\"allow\",\"actions\":[\"*\"],\"resources\":[\"*\"]}]",
		NULL);

	assert_int_equal(policy_check(p, NULL, "a", "open"), POLICY_ALLOW);
	assert_int_equal(policy_check(p, NULL, "a", "secret/1"), POLICY_DENY);
	policy_free(p);
}

static void test_principals(void **state)
{
	const struct policy_asker mover = {
		"222222222222", "arn:aws:iam::222222222222:user/mover", NULL};
	const struct policy_asker session = {"222222222222",
		"arn:aws:sts::222222222222:assumed-role/w/s",
		"arn:aws:iam::222222222222:role/w"};
	const struct policy_asker other = {
		"333333333333", "arn:aws:iam::333333333333:user/mover", NULL};
	struct policy *p = make(
		"[{\"effect\":\"allow\",\"actions\":[\"*\"],\"resources\":[\"*\"],"
		"\"principals\":[\"arn:aws:iam::222222222222:role/w\"]}]",
		NULL);

	assert_int_equal(policy_check(p, &session, "a", "r"), POLICY_ALLOW);
	assert_int_equal(policy_check(p, &mover, "a", "r"), POLICY_SILENT);
	policy_free(p);
	assert_true(policy_principal_matches("arn:aws:iam::222222222222:root", &mover));
	assert_true(policy_principal_matches("arn:aws:iam::222222222222:root", &session));
	assert_false(policy_principal_matches("arn:aws:iam::222222222222:root", &other));
	assert_true(policy_principal_matches("*", &other));
}

/* A bucket policy without principals speaks to nobody. */
static void test_no_principals(void **state)
{
	const struct policy_asker who = {"1", "arn", NULL};
	struct policy *p = make(
		"[{\"effect\":\"allow\",\"actions\":[\"*\"],\"resources\":[\"*\"]}]",
		NULL);

	assert_int_equal(policy_check(p, &who, "a", "r"), POLICY_SILENT);
	policy_free(p);
}

static void test_decide(void **state)
{
	assert_true(policy_decide(POLICY_ALLOW, POLICY_SILENT, true));
	assert_true(policy_decide(POLICY_SILENT, POLICY_ALLOW, true));
	assert_false(policy_decide(POLICY_SILENT, POLICY_SILENT, true));
	assert_false(policy_decide(POLICY_ALLOW, POLICY_DENY, true));
	assert_false(policy_decide(POLICY_ALLOW, POLICY_SILENT, false));
	assert_false(policy_decide(POLICY_SILENT, POLICY_ALLOW, false));
	assert_true(policy_decide(POLICY_ALLOW, POLICY_ALLOW, false));
	assert_false(policy_decide(POLICY_DENY, POLICY_ALLOW, false));
}

static void test_malformed(void **state)
{
	static const char *const texts[] = {"{}", "[{}]",
		"[{\"effect\":\"maybe\",\"actions\":[\"*\"],\"resources\":[\"*\"]}]",
		"[{\"effect\":\"allow\",\"actions\":[],\"resources\":[\"*\"]}]",
		"[{\"effect\":\"allow\",\"actions\":[\"*\"],\"resources\":[1]}]"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char *error = NULL;

		assert_null(make(texts[i], &error));
		assert_non_null(error);
		free(error);
	}
}

/* Session policies come as IAM writes them. */
static void test_iam(void **state)
{
	static const char text[] =
		"{\"Version\":\"2012-10-17\",\"Statement\":["
		"{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],"
		"\"Resource\":\"arn:aws:s3:::b/a${*}b?/*\"},"
		"{\"Effect\":\"Allow\",\"Action\":\"s3:ListBucket\","
		"\"Resource\":\"arn:aws:s3:::b\",\"Condition\":{\"StringLike\":"
		"{\"s3:prefix\":[\"a/*\"]}}}]}";
	_cleanup_json_ struct json *v = json_parse(text, strlen(text), NULL);
	_cleanup_json_ struct json *none = json_parse("{}", 2, NULL);
	_cleanup_free_ char *why = NULL;
	struct policy *p = policy_new_iam(v, &why);

	assert_non_null(p);
	assert_int_equal(policy_check(p, NULL, "s3:GetObject", "arn:aws:s3:::b/a*bx/k"),
		POLICY_ALLOW);
	assert_int_equal(policy_check(p, NULL, "s3:GetObject", "arn:aws:s3:::b/axbx/k"),
		POLICY_SILENT);
	assert_int_equal(policy_check_listing(
				 p, NULL, "s3:ListBucket", "arn:aws:s3:::b", "a/x"),
		POLICY_ALLOW);
	assert_int_equal(
		policy_check_listing(p, NULL, "s3:ListBucket", "arn:aws:s3:::b", "b"),
		POLICY_SILENT);
	policy_free(p);
	assert_null(policy_new_iam(none, &why));
	assert_string_equal(why, "there is no Statement");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_prefix_of_resource),
		cmocka_unit_test(test_deny_wins),
		cmocka_unit_test(test_iam),
		cmocka_unit_test(test_principals),
		cmocka_unit_test(test_no_principals),
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
