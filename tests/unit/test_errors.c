/* aws/errors: which class an answer gets, from AWS and from those that imitate it. */
#include "config.h"

#include "aws/errors.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/unit.h"

static struct err classify(int status, const char *body, bool is_session, int64_t left_s)
{
	struct aws_answer a = {
		.origin = ERR_FROM_S3,
		.operation = "GetObject",
		.http_status = status,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.is_session = is_session,
		.session_left_s = left_s,
	};
	struct err e;

	aws_error_from_answer(&a, &e);
	assert_int_equal(e.http_status, status);
	assert_string_equal(e.operation, "GetObject");
	return e;
}

static struct err by_code(int status, const char *code)
{
	_cleanup_free_ char *body = mem_printf(
		"<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>why</Message></Error>",
		code);
	struct err e = classify(status, body, false, 0);

	assert_string_equal(e.code, code);
	assert_string_equal(e.text, "why");
	return e;
}

static void test_codes(void **state)
{
	assert_int_equal(by_code(400, "Throttling").class, ERR_THROTTLE);
	assert_int_equal(by_code(503, "SlowDown").class, ERR_THROTTLE);
	assert_int_equal(by_code(400, "RequestTimeout").class, ERR_RETRY);
	assert_int_equal(by_code(500, "InternalError").class, ERR_RETRY);
	assert_int_equal(by_code(400, "ExpiredToken").class, ERR_AUTH);
	assert_int_equal(by_code(400, "InvalidToken").class, ERR_AUTH);
	assert_int_equal(by_code(403, "AccessDenied").class, ERR_DENIED);
	assert_int_equal(by_code(403, "SignatureDoesNotMatch").class, ERR_DENIED);
	assert_int_equal(by_code(404, "NoSuchKey").class, ERR_NOTFOUND);
	assert_int_equal(by_code(404, "NoSuchEntity").class, ERR_NOTFOUND);
	assert_int_equal(by_code(412, "PreconditionFailed").class, ERR_CONFLICT);
	assert_int_equal(by_code(400, "BadDigest").class, ERR_INTEGRITY);
	assert_int_equal(by_code(400, "MalformedXML").class, ERR_FATAL);
	assert_int_equal(by_code(418, "Unheard").class, ERR_FATAL);
	assert_int_equal(by_code(599, "Unheard").class, ERR_RETRY);
}

/* HEAD, or a proxy's page. */
static void test_status_alone(void **state)
{
	struct err e = classify(404, NULL, false, 0);

	assert_int_equal(e.class, ERR_NOTFOUND);
	assert_string_equal(e.code, "NotFound");
	assert_int_equal(classify(403, NULL, false, 0).class, ERR_DENIED);
	assert_int_equal(classify(408, NULL, false, 0).class, ERR_RETRY);
	assert_int_equal(classify(429, NULL, false, 0).class, ERR_THROTTLE);
	assert_int_equal(classify(501, NULL, false, 0).class, ERR_FATAL);
	assert_int_equal(classify(502, "<html><p>Bad<br>", false, 0).class, ERR_RETRY);
	assert_int_equal(classify(503, "", false, 0).class, ERR_THROTTLE);
	assert_string_equal(classify(301, NULL, false, 0).code, "PermanentRedirect");
	assert_string_equal(classify(299, NULL, false, 0).code, "UnexpectedAnswer");
}

/* RGW calls an ended session InvalidAccessKeyId, and a HEAD's answer says nothing. */
static void test_ended_session(void **state)
{
	const char *unknown_key = "<Error><Code>InvalidAccessKeyId</Code></Error>";
	const char *denied = "<Error><Code>AccessDenied</Code></Error>";

	assert_int_equal(classify(403, unknown_key, true, -5).class, ERR_AUTH);
	assert_int_equal(classify(403, unknown_key, true, 30).class, ERR_AUTH);
	assert_int_equal(classify(403, unknown_key, true, 600).class, ERR_DENIED);
	assert_int_equal(classify(403, unknown_key, false, -5).class, ERR_DENIED);
	assert_int_equal(classify(403, NULL, true, -5).class, ERR_AUTH);
	assert_int_equal(classify(403, NULL, true, 600).class, ERR_DENIED);
	assert_int_equal(classify(400, NULL, true, -5).class, ERR_AUTH);
	assert_int_equal(classify(400, NULL, true, 600).class, ERR_FATAL);
	assert_int_equal(classify(403, denied, true, -5).class, ERR_DENIED);
}

static void test_wrappings(void **state)
{
	static const char *const bodies[] = {
		"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
		"<Code>ExpiredToken</Code><Message/></Error><RequestId>r1</RequestId>"
		"</ErrorResponse>",
		"<Error><Code>ExpiredToken</Code><Message></Message><RequestId>r1</RequestId>"
		"</Error>",
		"<Response><Errors><Error><Code>ExpiredToken</Code></Error></Errors>"
		"<RequestId>r1</RequestId></Response>",
		"  \n<Error><Code>ExpiredToken</Code><RequestId>r1</RequestId><Mess",
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct err e = classify(400, bodies[i], false, 0);

		assert_int_equal(e.class, ERR_AUTH);
		assert_string_equal(e.code, "ExpiredToken");
		assert_string_equal(e.request_id, "r1");
		assert_string_equal(e.text, "");
	}
}

static void test_headers_win(void **state)
{
	const char *body = "<Error><Code>SlowDown</Code><RequestId>body</RequestId></Error>";
	struct aws_answer a = {
		.origin = ERR_FROM_S3,
		.operation = "PutObject",
		.http_status = 503,
		.body = body,
		.body_len = strlen(body),
		.request_id = "header\x1b[2J",
		.host_id = "host",
	};
	struct err e;

	aws_error_from_answer(&a, &e);
	assert_string_equal(e.request_id, "header\\x1b[2J"); /* no terminal control */
	assert_string_equal(e.host_id, "host");
}

/* Copy and Complete answer 200 first and fail later. */
static void test_error_in_200(void **state)
{
	const char *error = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>";
	const char *result = "<CopyObjectResult><ETag>x</ETag></CopyObjectResult>";

	assert_true(aws_body_is_error(error, strlen(error)));
	assert_false(aws_body_is_error(result, strlen(result)));
	assert_false(aws_body_is_error("", 0));
	assert_int_equal(classify(200, error, false, 0).class, ERR_RETRY);
	assert_int_equal(classify(200, "<Error><Code>Odd</Code></Error>", false, 0).class,
		ERR_RETRY);
	assert_int_equal(
		classify(200, "<Error><Code>AccessDenied</Code></Error>", false, 0).class,
		ERR_DENIED);
}

static void test_hostile(void **state)
{
	size_t len = 200000;
	char *body = mem_alloc(len + 1);
	struct err e;

	memset(body, 'x', len);
	memcpy(body, "<Error><Code>", 13);
	e = classify(500, body, false, 0);
	assert_int_equal(e.class, ERR_RETRY);
	for (size_t i = 0; i + 3 <= len; i += 3)
		memcpy(body + i, "<a>", 3);
	body[len - 2] = '\0';
	e = classify(403, body, false, 0);
	assert_int_equal(e.class, ERR_DENIED);
	e = classify(400, "<!DOCTYPE a [<!ENTITY x \"y\">]><Error><Code>&x;</Code></Error>",
		false, 0);
	assert_string_equal(e.code, "BadRequest");
	free(body);
}

UNIT_MAIN(cmocka_unit_test(test_codes), cmocka_unit_test(test_status_alone),
	cmocka_unit_test(test_ended_session), cmocka_unit_test(test_wrappings),
	cmocka_unit_test(test_headers_win), cmocka_unit_test(test_error_in_200),
	cmocka_unit_test(test_hostile))
