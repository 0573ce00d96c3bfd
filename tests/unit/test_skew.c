/* aws/skew: what is measured, what is discarded, and that it is news once. */
#include "config.h"

#include "aws/skew.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/unit/unit.h"

#define MINUTE (60 * USEC_PER_SEC)

static void test_measure(void **state)
{
	/* 2026-01-01T00:00:00Z */
	const int64_t at = INT64_C(1767225600) * USEC_PER_SEC;
	struct skew_sample s = {"Thu, 01 Jan 2026 00:00:00 GMT", NULL, at, at};
	int64_t us = 0;

	assert_true(skew_measure(&s, &us));
	assert_true(us == 0);
	s.sent_us = at + 9 * MINUTE;
	s.received_us = at + 11 * MINUTE;
	assert_true(skew_measure(&s, &us));
	assert_true(us == -10 * MINUTE);
	s.received_us = s.sent_us + 15 * MINUTE;
	assert_true(skew_measure(&s, &us));
	s.received_us++;
	assert_false(skew_measure(&s, &us));
	s.received_us = s.sent_us - 1; /* our clock was set back meanwhile */
	assert_false(skew_measure(&s, &us));
	s.received_us = s.sent_us;
	s.age = "0";
	assert_false(skew_measure(&s, &us));
	s.age = NULL;
	s.date = "yesterday";
	assert_false(skew_measure(&s, &us));
}

static void test_cause(void **state)
{
	assert_false(skew_is_cause("RequestTimeTooSkewed", 4 * MINUTE));
	assert_true(skew_is_cause("RequestTimeTooSkewed", 4 * MINUTE + 1));
	assert_true(skew_is_cause("SignatureDoesNotMatch", -4 * MINUTE - 1));
	assert_false(skew_is_cause("AccessDenied", 10 * MINUTE));
	assert_false(skew_is_cause(NULL, 10 * MINUTE));
}

static void test_news(void **state)
{
	struct skew s = {0};

	assert_false(skew_is_news(&s));
	s.us = 5 * MINUTE;
	assert_true(skew_is_news(&s));
	assert_false(skew_is_news(&s));
	s.us = 0;
	assert_false(skew_is_news(&s));
	s.us = -5 * MINUTE;
	assert_true(skew_is_news(&s));
}

static void test_peers(void **state)
{
	struct skews *s = skews_new();
	char name[32];

	assert_ptr_equal(skews_of(s, NULL), skews_of(s, ""));
	skews_of(s, "")->us = 5;
	assert_int_equal(skews_of(s, "https://a")->us, 0);
	for (int i = 0; i < 14; i++) {
		snprintf(name, sizeof(name), "https://%d", i);
		assert_non_null(skews_of(s, name));
	}
	assert_null(skews_of(s, "https://one-too-many"));
	assert_int_equal(skews_of(s, "")->us, 5);
	skews_free(s);
}

static void test_sentence(void **state)
{
	char text[500];

	skew_say("", 10 * MINUTE, text, sizeof(text));
	assert_non_null(strstr(text, "clock of AWS is 600 seconds ahead of this host's"));
	skew_say("https://a", -10 * MINUTE, text, sizeof(text));
	assert_non_null(
		strstr(text, "clock of https://a is 600 seconds behind this host's"));
}

UNIT_MAIN(cmocka_unit_test(test_measure), cmocka_unit_test(test_cause),
	cmocka_unit_test(test_news), cmocka_unit_test(test_peers),
	cmocka_unit_test(test_sentence))
