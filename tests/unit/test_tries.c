/* When a failed request is sent again; the quota that bounds it for all of one bucket. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "aws/retry.h"
#include "base/err.h"
#include "engine/tries.h"
#include "tests/unit/unit.h"

static struct err failure(enum err_class class)
{
	struct err e;

	return *err_set(&e, class, ERR_FROM_S3, "Code", "a sentence");
}

/* How often in a row, from a fresh start; the last delay. */
static int count(
	const struct tries_peer *peer, enum err_class class, int64_t *ret_delay_ms)
{
	struct tries t = {0};
	struct err e = failure(class);
	int n = 0;

	while (tries_again(&t, peer, &e, 1.0, ret_delay_ms))
		n++;
	return n;
}

static void five_times_more(void **state)
{
	const struct tries_peer peer = {NULL, "", "", "b"};
	int64_t ms;

	(void)state;
	assert_int_equal(count(&peer, ERR_RETRY, &ms), 5);
	assert_int_equal(ms, 50 << 4);
	assert_int_equal(count(&peer, ERR_THROTTLE, &ms), 5);
	assert_int_equal(ms, 1000 << 4);
	assert_int_equal(count(&peer, ERR_INTEGRITY, &ms), 0);
	assert_int_equal(count(&peer, ERR_DENIED, &ms), 0);
	assert_int_equal(count(&peer, ERR_AUTH, &ms), 0);
}

static void as_late_as_the_service_asks(void **state)
{
	const struct tries_peer peer = {NULL, "", "", "b"};
	struct tries t = {0};
	struct err e = failure(ERR_RETRY);
	int64_t ms;

	(void)state;
	e.retry_after_ms = 7000;
	assert_true(tries_again(&t, &peer, &e, 0.5, &ms));
	assert_int_equal(ms, 7000);
	e.retry_after_ms = 3;
	assert_true(tries_again(&t, &peer, &e, 0.5, &ms));
	assert_int_equal(ms, 50);
}

/* 35 retries and no more, however many ask; successes pay back. */
static void one_quota_of_an_account_at_a_bucket(void **state)
{
	struct retry_quotas *quotas = retry_quotas_new();
	const struct tries_peer peer = {quotas, "111111111111", "", "b"},
				other = {quotas, "222222222222", "", "b"},
				elsewhere = {quotas, "111111111111", "http://h", "b"};
	struct tries t = {0};
	struct err e = failure(ERR_RETRY);
	int64_t ms;

	(void)state;
	for (int i = 0; i < 7; i++)
		assert_int_equal(count(&peer, ERR_RETRY, &ms), 5);
	assert_false(tries_again(&t, &peer, &e, 0, &ms));
	assert_non_null(strstr(e.text, "a sentence; not sent again at once"));
	assert_non_null(strstr(e.text, "requests to b failed"));
	assert_int_equal(count(&other, ERR_RETRY, &ms), 5);
	assert_int_equal(count(&elsewhere, ERR_RETRY, &ms), 5);
	/* 500 - 35 * 14 = 10 are left. */
	for (int i = 0; i < 4; i++)
		tries_end(&t, &peer);
	assert_int_equal(count(&peer, ERR_RETRY, &ms), 1);
	t = (struct tries){1, 14};
	tries_end(&t, &peer);
	assert_int_equal(t.failed, 0);
	assert_int_equal(count(&peer, ERR_RETRY, &ms), 1);
	retry_quotas_free(quotas);
}

static void nothing_is_kept_while_all_goes_well(void **state)
{
	struct retry_quotas *quotas = retry_quotas_new();
	const struct tries_peer peer = {quotas, "", "", "b"};
	struct tries t = {0};
	struct err e = failure(ERR_RETRY);
	int64_t ms;

	(void)state;
	assert_true(retry_quotas_are_full(quotas));
	tries_end(&t, &peer);
	assert_true(tries_again(&t, &peer, &e, 0, &ms));
	assert_false(retry_quotas_are_full(quotas));
	tries_end(&t, &peer);
	assert_true(retry_quotas_are_full(quotas));
	retry_quotas_free(quotas);
}

/* What is sent again, and not what is given up. */
static void counted_for_all_of_them(void **state)
{
	struct retry_quotas *quotas = retry_quotas_new();
	const struct tries_peer peer = {quotas, "", "", "b"},
				other = {quotas, "", "", "c"};
	int64_t ms;

	(void)state;
	assert_int_equal(retry_quotas_counted(quotas), 0);
	assert_int_equal(count(&peer, ERR_DENIED, &ms), 0);
	assert_int_equal(retry_quotas_counted(quotas), 0);
	count(&peer, ERR_RETRY, &ms);
	count(&other, ERR_THROTTLE, &ms);
	assert_int_equal(retry_quotas_counted(quotas), 10);
	for (int i = 0; i < 8; i++) /* 35 in all, then the quota is used up */
		count(&peer, ERR_RETRY, &ms);
	assert_int_equal(retry_quotas_counted(quotas), 35 + 5);
	retry_quotas_free(quotas);
}

static void whoever_had_them_all(void **state)
{
	const struct tries_peer peer = {NULL, "", "", "b"};
	struct tries t = {0};
	struct err e = failure(ERR_RETRY);
	int64_t ms;

	(void)state;
	tries_exhaust(&t);
	assert_false(tries_again(&t, &peer, &e, 0, &ms));
	tries_reset(&t);
	assert_true(tries_again(&t, &peer, &e, 0, &ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(five_times_more),
		cmocka_unit_test(as_late_as_the_service_asks),
		cmocka_unit_test(one_quota_of_an_account_at_a_bucket),
		cmocka_unit_test(nothing_is_kept_while_all_goes_well),
		cmocka_unit_test(counted_for_all_of_them),
		cmocka_unit_test(whoever_had_them_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
