/* run/session_policy: what is granted, how keys are written, what is done when it is
 * long. */
#include "config.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/session_policy.h"

static void says(const struct session_grant *g, const char *part, bool expected)
{
	bool is_widened;
	_cleanup_free_ char *text = session_policy_make(g, 1, &is_widened);

	if (!strstr(text, part) == expected)
		fail_msg("%s: %s", part, text);
	assert_false(is_widened);
}

static void test_reader(void **state)
{
	const struct session_grant g = {
		"aws", "b", "in/", true, .reads = true, .lists = true};

	(void)state;
	says(&g,
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","
		"\"Action\":[\"s3:GetObject\",\"s3:GetObjectVersion\","
		"\"s3:GetObjectTagging\",\"s3:GetObjectVersionTagging\"],\"Resource\":[\"arn:aws:s3:::b/in/*\"]},"
		"{\"Effect\":\"Allow\",\"Action\":\"s3:ListBucket\",\"Resource\":"
		"\"arn:aws:s3:::b\",\"Condition\":{\"StringLike\":{\"s3:prefix\":"
		"[\"in/*\"]}}},",
		true);
	says(&g, "Put", false);
	says(&g, "Delete", false);
}

/* A HEAD of what is not there is denied where a condition on the prefix holds. */
static void test_absence(void **state)
{
	const struct session_grant g = {
		"aws", "b", "in/a", false, .reads = true, .misses = true};

	(void)state;
	says(&g, "\"Action\":\"s3:ListBucket\",\"Resource\":\"arn:aws:s3:::b\"}", true);
	says(&g, "s3:prefix", false);
}

static void test_one_object(void **state)
{
	const struct session_grant g = {
		"aws-cn", "b", "in/a \"b\"", false, .writes = true};

	(void)state;
	says(&g, "[\"arn:aws-cn:s3:::b/in/a \\\"b\\\"\"]", true);
	says(&g, "s3:PutObject\"", true);
	says(&g, "s3:GetObject", false);
	says(&g, "ListBucket\"", false);
	/* An upload whose id was never learned is looked for. */
	says(&g,
		"\"Action\":\"s3:ListBucketMultipartUploads\",\"Resource\":"
		"\"arn:aws-cn:s3:::b\"}",
		true);
	says(&g, "Retention", false);
}

static void test_locks(void **state)
{
	const struct session_grant source = {
		"aws", "b", "in/", true, .reads = true, .reads_locks = true};
	const struct session_grant destination = {
		"aws", "b", "in/", true, .writes = true, .writes_locks = true};

	(void)state;
	says(&source, "\"s3:GetObjectRetention\",\"s3:GetObjectLegalHold\"", true);
	says(&source, "Put", false);
	says(&destination, "\"s3:PutObjectRetention\",\"s3:PutObjectLegalHold\"", true);
	says(&destination, "Get", false);
}

/* Patterns of ours, templates and what a policy cannot hold end the literal part. */
static void test_patterns(void **state)
{
	static const char *const keys[] = {
		"x/*.csv", "x/${date:%Y}/a", "x/?", "x/[ab]", "x/\xc3\xa9", "x/\x01"};
	struct session_grant g = {"aws", "b", "", false, .reads = true};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		g.key = keys[i];
		says(&g, "[\"arn:aws:s3:::b/x/*\"]", true);
	}
	g.key = "a$b";
	says(&g, "[\"arn:aws:s3:::b/a$b\"]", true);
}

static void test_access_point(void **state)
{
	const struct session_grant g = {"aws",
		"arn:aws:s3:eu-west-1:123456789012:accesspoint/ap", "k", true,
		.reads = true, .lists = true};

	(void)state;
	says(&g, "accesspoint/ap/object/k*\"", true);
	says(&g, "\"Resource\":\"arn:aws:s3:eu-west-1:123456789012:accesspoint/ap\"",
		true);
}

/* Never dropped: the longest prefix gets shorter, folder by folder, and it is told. */
static void test_too_long(void **state)
{
	struct session_grant g[2] = {
		{"aws", "b", NULL, true, .reads = true, .lists = true},
		{"aws", "c", "out/", true, .writes = true, .lists = true}};
	char key[1025];
	bool is_widened;
	char *text;

	(void)state;
	memset(key, 'x', sizeof(key) - 1);
	key[1024] = '\0';
	memcpy(key, "one/two/", 8);
	g[0].key = key;
	text = session_policy_make(g, 2, &is_widened);
	assert_true(is_widened);
	assert_true(strlen(text) <= SESSION_POLICY_MAX);
	assert_non_null(strstr(text, "arn:aws:s3:::b/one/two/*"));
	assert_non_null(strstr(text, "arn:aws:s3:::c/out/*"));
	free(text);
}

UNIT_MAIN(cmocka_unit_test(test_reader), cmocka_unit_test(test_absence),
		cmocka_unit_test(test_one_object), cmocka_unit_test(test_locks),
	cmocka_unit_test(test_patterns), cmocka_unit_test(test_access_point),
	cmocka_unit_test(test_too_long))
