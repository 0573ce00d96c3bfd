/* aws/retry: which classes are repeated, and that delays grow, end and spread. */
#include "config.h"

#include "aws/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"

static const struct retry_policy policy = {4, 1000, 10000, 3};

static void test_may(void **state)
{
	const struct retry_policy none = {0};

	assert_true(retry_may(&policy, ERR_RETRY, 1));
	assert_true(retry_may(&policy, ERR_THROTTLE, 3));
	assert_true(retry_may(&policy, ERR_INTEGRITY, 3));
	assert_false(retry_may(&policy, ERR_RETRY, 4));
	assert_false(retry_may(&policy, ERR_DENIED, 1));
	assert_false(retry_may(&policy, ERR_CONFLICT, 1));
	assert_false(retry_may(&policy, ERR_AUTH, 1));
	assert_false(retry_may(&policy, ERR_CANCELLED, 1));
	assert_false(retry_may(&none, ERR_RETRY, 1));
}

static void test_delay(void **state)
{
	const struct retry_policy none = {0}, flat = {9, 500, 60000, 1};

	assert_int_equal(retry_delay_ms(&policy, ERR_RETRY, 1, 0), 0);
	assert_int_equal(retry_delay_ms(&policy, ERR_RETRY, 1, 0.5), 500);
	assert_int_equal(retry_delay_ms(&policy, ERR_RETRY, 2, 0.5), 1500);
	assert_int_equal(retry_delay_ms(&policy, ERR_RETRY, 3, 0.5), 4500);
	assert_int_equal(retry_delay_ms(&policy, ERR_RETRY, 4, 0.5), 5000);
	assert_int_equal(retry_delay_ms(&policy, ERR_RETRY, 1 << 30, 0.5), 5000);
	assert_int_equal(retry_delay_ms(&policy, ERR_THROTTLE, 1, 0), 500);
	assert_int_equal(retry_delay_ms(&policy, ERR_THROTTLE, 1, 0.5), 750);
	assert_int_equal(retry_delay_ms(&none, ERR_RETRY, 2, 0.5), 1000);
	assert_int_equal(retry_delay_ms(&flat, ERR_RETRY, 1 << 30, 0.5), 250);
}

static void test_standard(void **state)
{
	const struct retry_policy standard = RETRY_STANDARD;

	assert_int_equal(retry_delay_ms(&standard, ERR_THROTTLE, 1, 1), 1000);
	assert_int_equal(retry_delay_ms(&standard, ERR_THROTTLE, 2, 0), 0);
	assert_int_equal(retry_delay_ms(&standard, ERR_RETRY, 20, 1), 20000);
	assert_true(retry_may(&standard, ERR_THROTTLE, 2));
	assert_false(retry_may(&standard, ERR_THROTTLE, 3));
	assert_true(retry_may(&policy, ERR_THROTTLE, 7));
	assert_false(retry_may(&policy, ERR_THROTTLE, 8));
	assert_int_equal(retry_hinted_ms(100, NULL), 100);
	assert_int_equal(retry_hinted_ms(100, "-1"), 100);
	assert_int_equal(retry_hinted_ms(100, "700"), 700);
	assert_int_equal(retry_hinted_ms(100, "99999999999999999999"), 100);
}

static void test_quota(void **state)
{
	struct retry_quota q = {20};

	assert_int_equal(retry_quota_take(&q, ERR_RETRY), 14);
	assert_int_equal(retry_quota_take(&q, ERR_RETRY), 0);
	assert_int_equal(retry_quota_take(&q, ERR_THROTTLE), 5);
	assert_int_equal(q.tokens, 1);
	retry_quota_give(&q, 14);
	retry_quota_give(&q, 0);
	assert_int_equal(q.tokens, 16);
	q.tokens = RETRY_QUOTA_MAX;
	retry_quota_give(&q, 0);
	assert_int_equal(q.tokens, RETRY_QUOTA_MAX);
}

static void test_what_the_service_wishes(void **state)
{
	const int64_t now_us = INT64_C(784111777) * USEC_PER_SEC;

	(void)state;
	assert_int_equal(retry_after_ms("1500", "7", now_us), 1500);
	assert_int_equal(retry_after_ms(NULL, "7", now_us), 7000);
	assert_int_equal(retry_after_ms("soon", "7", now_us), 7000);
	assert_int_equal(
		retry_after_ms(NULL, "Sun, 06 Nov 1994 08:49:47 GMT", now_us), 10000);
	assert_int_equal(
		retry_after_ms(NULL, "Sun, 06 Nov 1994 07:49:47 GMT", now_us), 0);
	assert_int_equal(retry_after_ms(NULL, "Sun, 06 Nov 2094 08:49:47 GMT", now_us),
		600000);
	assert_int_equal(retry_after_ms("-5", NULL, now_us), 0);
	assert_int_equal(retry_after_ms(NULL, NULL, now_us), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_may),
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_standard),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_what_the_service_wishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
