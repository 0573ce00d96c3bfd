/*
 * aws/creds*: chains, sharing, windows, single flight, errors, with scripted answers of
 * STS behind net/http.h and a clock moved by hand. Not the wire: tests/system does that.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/loop.h"
#include "tests/unit/creds_script.h"

/* --- chains --- */

static void test_one_hop(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	struct creds_stats stats;

	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_string_equal(f->got[0].set.secret_access_key, "secret-of-ASIA1");
	assert_string_equal(f->got[0].set.session_token, "token-of-ASIA1");
	assert_string_equal(f->got[0].set.account, "111111111111");
	assert_true(f->got[0].set.expires_at_us == WALL + 60 * MINUTES);
	assert_true(f->got[0].set.generation > 0);
	assert_string_equal(f->http.calls[0].form,
		"Action=AssumeRole&Version=2011-06-15&RoleArn="
		"arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2Fa"
		"&RoleSessionName=s");
	assert_contains(
		f->http.calls[0].wire, "POST https://sts.eu-west-1.amazonaws.com/\n");
	assert_contains(f->http.calls[0].wire, "/eu-west-1/sts/aws4_request, ");
	assert_null(strstr(f->http.calls[0].wire, "X-Amz-Security-Token"));
	assert_null(strstr(f->http.calls[0].wire, "base-secret"));
	creds_get_stats(c, &stats);
	assert_int_equal(stats.fetches, 1);
	assert_int_equal(stats.failures, 0);
	assert_true(stats.expires_at_us == f->got[0].set.expires_at_us);
	creds_release(c);
}

static void test_two_hops(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_a(f, "ASIA1", 3600);
	answer_b(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->http.count, 2);
	assert_contains(f->http.calls[0].wire, "Credential=AKIDBASE/");
	assert_contains(f->http.calls[1].wire, "Credential=ASIA1/");
	assert_contains(f->http.calls[1].wire, "X-Amz-Security-Token: token-of-ASIA1\n");
	assert_contains(f->http.calls[1].form, "&ExternalId=a%20b&DurationSeconds=900");
	assert_string_equal(f->got[0].set.account, "222222222222");
	creds_release(c);
}

/* RGW keeps the role's path in the session's ARN. */
static void test_rgw_arn(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_a(f, "ASIA1", 3600);
	answer(f, 200,
		session_xml(f, "ASIA2", "arn:aws:sts::222222222222:assumed-role/team/b/s",
			3600));
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_release(c);
}

static void test_another_identity(void **state)
{
	static const char *const arns[] = {"arn:aws:sts::999999999999:assumed-role/a/s",
		"arn:aws:sts::111111111111:assumed-role/aa/s",
		"arn:aws:sts::111111111111:assumed-role/a/other", "nonsense"};
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	for (size_t i = 0; i < ARRAY_LEN(arns); i++) {
		answer(f, 200, session_xml(f, "ASIA1", arns[i], 3600));
		clock_fake_advance(&f->clock, 10 * USEC_PER_SEC);
		assert_string_equal(get_key(f, c), "");
		assert_string_equal(f->got[0].err.code, "identity-mismatch");
		assert_int_equal(f->got[0].err.class, ERR_DENIED);
		assert_contains(f->got[0].err.text, arns[i]);
	}
	creds_release(c);
}

static void test_sharing(void **state)
{
	static const struct creds_base_spec base;
	struct fixture *f = *state;
	struct creds_role long_chain[70], other = script_roles[0],
					  split = script_roles[0];
	struct creds *c = open_chain(f, 2), *same = open_chain(f, 2),
		     *head = open_chain(f, 1);
	struct creds *d, *e;

	assert_ptr_equal(c, same);
	answer_a(f, "ASIA1", 3600);
	answer_b(f, "ASIA2", 3600);
	get_key(f, c);
	assert_string_equal(
		get_key(f, head), "ASIA1"); /* the link below, without a call */
	assert_int_equal(f->http.count, 2);

	/* No value can pretend to be two. */
	other.external_id = "x|y";
	other.role_session_name = "z";
	split.external_id = "x";
	split.role_session_name = "y|z";
	d = creds_open(f->pool, &base, &other, 1, "test");
	e = creds_open(f->pool, &base, &split, 1, "test");
	assert_ptr_not_equal(d, e);
	creds_release(d);
	creds_release(e);

	for (size_t i = 0; i < ARRAY_LEN(long_chain); i++) {
		long_chain[i] = script_roles[0];
		long_chain[i].external_id = f->dir;
	}
	d = creds_open(f->pool, &base, long_chain, 70, "test");
	e = creds_open(f->pool, &base, long_chain, 69, "test");
	assert_ptr_not_equal(d, e);
	creds_release(d);
	creds_release(e);
	creds_release(c);
	creds_release(same);
	creds_release(head);
}

/* --- waiting --- */

static void test_single_flight(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	struct creds_wait *w;

	answer_a(f, "ASIA1", 3600);
	f->http.is_held = true;
	ask(f, c, 0);
	w = ask(f, c, 1);
	turns(f);
	ask(f, c, 2);
	turns(f);
	assert_int_equal(f->http.count, 1);
	creds_wait_cancel(w);
	f->http.is_held = false;
	loop_defer(f->loop, script_complete, &f->http.calls[0]);
	turns(f);
	assert_int_equal(f->got[0].calls, 1);
	assert_int_equal(f->got[1].calls, 0);
	assert_int_equal(f->got[2].calls, 1);
	assert_true(f->got[0].order < f->got[2].order);
	assert_int_equal(f->http.count, 1);
	creds_release(c);
}

/* Given up in the middle: the pool's end cancels what is under way, nobody is called. */
static void test_free_in_flight(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_a(f, "ASIA1", 3600);
	f->http.is_held = true;
	ask(f, c, 0);
	turns(f);
	assert_int_equal(f->http.count, 1);
	creds_release(c);
	f->pool = creds_pool_free(f->pool);
	turns(f);
	assert_int_equal(f->got[0].calls, 0);
}

/* --- windows --- */

static void test_advisory(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	uint64_t generation;

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	generation = f->got[0].set.generation;
	clock_fake_advance(&f->clock, 44 * MINUTES);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->http.count, 1);
	clock_fake_advance(&f->clock, 2 * MINUTES);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA1"); /* at once ... */
	assert_int_equal(f->http.count, 2);          /* ... and refreshed behind */
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_true(f->got[0].set.generation > generation);
	assert_int_equal(f->http.count, 2);
	creds_release(c);
}

static void test_mandatory(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 59 * MINUTES);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_release(c);
}

/* Nobody asks: nobody refreshes. */
static void test_lapse(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	for (int i = 0; i < 10; i++) {
		clock_fake_advance(&f->clock, 10 * MINUTES);
		turns(f);
	}
	assert_int_equal(f->http.count, 1);
	creds_release(c);
}

/* RGW gives sessions of seconds: advisory half of the life, mandatory a tenth. */
static void test_short_session(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 10);
	ask(f, c, 0);
	turns(f);
	clock_fake_advance(&f->clock, 4 * USEC_PER_SEC);
	ask(f, c, 0);
	turns(f);
	assert_int_equal(f->http.count, 1);
	clock_fake_advance(&f->clock, 2 * USEC_PER_SEC);
	answer_a(f, "ASIA2", 1);
	ask(f, c, 0);
	turns(f);
	assert_string_equal(f->got[0].set.access_key_id, "ASIA1");
	assert_int_equal(f->http.count, 2);
	clock_fake_advance(&f->clock, USEC_PER_SEC - 1);
	answer_a(f, "ASIA3", 1);
	ask(f, c, 0);
	turns(f);
	assert_string_equal(f->got[0].set.access_key_id, "ASIA3");
	creds_release(c);
}

static void test_failed_refresh(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 46 * MINUTES);
	answer_net(f, "connect", GIVES_UP);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->http.count, 1 + GIVES_UP);
	assert_int_equal(f->warnings, 1);
	assert_contains(f->warning.text, "hop 1 of 1 (" ROLE_A ")");
	/* For 300 to 600 s the source is left alone. */
	clock_fake_advance(&f->clock, 4 * MINUTES);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->http.count, 1 + GIVES_UP);
	clock_fake_advance(&f->clock, 6 * MINUTES + USEC_PER_SEC);
	answer_a(f, "ASIA2", 3600);
	get_key(f, c);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->warnings, 1);
	assert_int_equal(f->recoveries, 1);
	creds_release(c);
}

/* STS away beyond the end: the old set is handed out, S3 has the last word. */
static void test_outage_past_expiry(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 61 * MINUTES);
	answer_net(f, "connect", GIVES_UP);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->warnings, 1);
	creds_release(c);
}

/* STS away from minute 14 to 59 of an hour, asked each minute: nobody waits or fails. */
static void test_outage_of_45_minutes(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	struct creds_stats stats;

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	for (int minute = 1; minute <= 75; minute++) {
		bool is_away = minute >= 14 && minute < 59;

		clock_fake_advance(&f->clock, MINUTES);
		while (f->http.answer_count > f->http.count) /* not asked for */
			mem_replace(&f->http.answers[--f->http.answer_count].body, NULL);
		if (is_away)
			answer_net(f, "connect", GIVES_UP);
		else
			answer_a(f, "ASIA2", 3600);
		if (strcmp(get_key(f, c), is_away || minute < 59 ? "ASIA1" : "ASIA2") != 0)
			assert_true(minute >= 59 && minute < 70); /* its back-off */
		assert_int_equal(f->got[0].err.class, ERR_OK);
	}
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_get_stats(c, &stats);
	assert_in_range(stats.failures, 2, 3); /* 300 to 600 s apart, from minute 45 on */
	assert_int_equal(f->warnings, stats.failures);
	assert_int_equal(f->recoveries, 1);
	assert_int_equal(stats.fetches, 2);
	creds_release(c);
}

/* Two roles away at the same STS: their retries end when the tokens do. */
static void test_retries_have_a_quota(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	/* 500 tokens, 14 a retry, two retries a fetch: the 18th has one, the next none. */
	for (int i = 1; i <= 19; i++) {
		answer_net(f, "connect", i < 18 ? GIVES_UP : i == 18 ? 2 : 1);
		assert_string_equal(get_key(f, c), "");
		assert_int_equal(f->http.count, f->http.answer_count);
		clock_fake_advance(&f->clock, 10 * USEC_PER_SEC);
	}
	answer_a(f, "ASIA1", 3600); /* a success gives a token back, not a retry */
	assert_string_equal(get_key(f, c), "ASIA1");
	creds_release(c);
}

/* No retry mends it: raised, though the session lives on; a storm of callers asks once.
 */
static void test_denied_refresh(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 46 * MINUTES);
	answer_error(f, 403, "AccessDenied");
	ask(f, c, 0);
	turns(f);
	assert_string_equal(f->got[0].set.access_key_id, "ASIA1"); /* nobody waits */
	assert_int_equal(f->warnings, 1);
	for (int i = 0; i < 3; i++) {
		ask(f, c, 0);
		turns(f);
		assert_int_equal(f->got[0].err.class, ERR_DENIED);
	}
	assert_int_equal(f->http.count, 2);
	clock_fake_advance(&f->clock, 5 * USEC_PER_SEC);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->warnings, 1);
	assert_int_equal(f->recoveries, 1);
	creds_release(c);
}

static void test_invalidate(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	uint64_t generation;

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	generation = f->got[0].set.generation;
	creds_invalidate(c, generation - 1);
	assert_string_equal(get_key(f, c), "ASIA1");
	answer_a(f, "ASIA2", 3600);
	creds_invalidate(c, generation);
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_invalidate(c, generation); /* the others who saw the old one */
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->http.count, 2);
	creds_release(c);
}

static void test_invalidate_in_backoff(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 61 * MINUTES);
	answer_net(f, "connect", GIVES_UP);
	get_key(f, c);
	clock_fake_advance(&f->clock, MINUTES);
	creds_invalidate(c, f->got[0].set.generation);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->http.count, 1 + GIVES_UP);
	clock_fake_advance(&f->clock, 10 * MINUTES);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_release(c);
}

/* --- errors --- */

static void test_denied(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_error(f, 403, "AccessDenied");
	ask(f, c, 0);
	turns(f);
	assert_int_equal(f->got[0].err.class, ERR_DENIED);
	assert_int_equal(f->got[0].err.origin, ERR_FROM_STS);
	assert_string_equal(f->got[0].err.code, "AccessDenied");
	assert_string_equal(
		f->got[0].err.request_id, "c6104cbe-af31-11e0-8154-cbc7ccf896c7");
	assert_contains(f->got[0].err.text, "hop 1 of 2 (" ROLE_A "): User: ");
	assert_contains(f->got[0].err.text, "trust policy");
	assert_contains(f->got[0].err.text, "external_id");
	assert_contains(
		f->got[0].err.text, "(request c6104cbe-af31-11e0-8154-cbc7ccf896c7)");
	/* Remembered a moment: a storm of callers asks once. */
	ask(f, c, 0);
	turns(f);
	assert_int_equal(f->got[0].calls, 2);
	assert_int_equal(f->http.count, 1);
	clock_fake_advance(&f->clock, 6 * USEC_PER_SEC);
	answer_a(f, "ASIA1", 3600);
	answer_error(f, 403, "AccessDenied");
	assert_string_equal(get_key(f, c), "");
	assert_contains(f->got[0].err.text, "hop 2 of 2 (" ROLE_B "): User: ");
	creds_release(c);
}

static void test_advice(void **state)
{
	static const struct {
		int status;
		const char *code, *says;
	} cases[] = {
		{403, "SignatureDoesNotMatch", "secret key"},
		{403, "InvalidClientTokenId", "base credentials"},
		{400, "ExpiredToken", "base credentials"},
		{403, "RequestTimeTooSkewed", "clock"},
		{404, "NoSuchEntity", "no such role"},
	};
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		answer_error(f, cases[i].status, cases[i].code);
		clock_fake_advance(&f->clock, 6 * USEC_PER_SEC);
		assert_string_equal(get_key(f, c), "");
		assert_string_equal(f->got[0].err.code, cases[i].code);
		assert_contains(f->got[0].err.text, cases[i].says);
		assert_int_equal(f->http.count, i + 1);
	}
	answer_net(f, "connect", GIVES_UP);
	clock_fake_advance(&f->clock, 6 * USEC_PER_SEC);
	assert_string_equal(get_key(f, c), "");
	assert_contains(f->got[0].err.text, "endpoint_url");
	assert_int_equal(f->got[0].err.class, ERR_RETRY);
	creds_release(c);
}

/* RGW answers STS in S3's way, without a message. */
static void test_rgw_error(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer(f, 404,
		mem_strdup("<?xml version=\"1.0\"?><Error><Code>NoSuchEntity</Code>"
			   "<Message></Message><RequestId>tx01</RequestId></Error>"));
	assert_string_equal(get_key(f, c), "");
	assert_string_equal(f->got[0].err.code, "NoSuchEntity");
	assert_string_equal(f->got[0].err.request_id, "tx01");
	assert_contains(f->got[0].err.text, "NoSuchEntity; look at role_arn");
	creds_release(c);
}

/* The session below ended under us: refreshed and tried again, once. */
static void test_parent_expired(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_a(f, "ASIA1", 3600);
	answer_error(f, 400, "ExpiredToken");
	answer_a(f, "ASIA3", 3600);
	answer_b(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_contains(f->http.calls[3].wire, "Credential=ASIA3/");
	creds_invalidate(c, f->got[0].set.generation);
	answer_error(f, 400, "ExpiredToken");
	answer_a(f, "ASIA4", 3600);
	answer_error(f, 400, "ExpiredToken");
	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_DENIED);
	assert_int_equal(f->http.count, 7);
	creds_release(c);
}

static void test_hostile_answers(void **state)
{
	static const char *const bodies[] = {"", "<AssumeRoleResponse>", "not xml",
		"<!DOCTYPE x [<!ENTITY a \"b\">]><AssumeRoleResponse/>",
		"<AssumeRoleResponse><Credentials><AccessKeyId>A</AccessKeyId></"
		"Credentials>"
		"</AssumeRoleResponse>"};
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	char *big = mem_alloc(70000);

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		for (int k = 0; k < GIVES_UP; k++)
			answer(f, 200, mem_strdup(bodies[i]));
		assert_string_equal(get_key(f, c), "");
		assert_string_equal(f->got[0].err.code, "bad-answer");
	}
	for (int k = 0; k < GIVES_UP; k++)
		answer_a(f, "ASIAOLD", -1);
	assert_string_equal(get_key(f, c), "");
	assert_string_equal(f->got[0].err.code, "expired-answer");
	memset(big, ' ', 69999);
	answer(f, 200, big);
	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_FATAL);
	creds_release(c);
}

static void test_no_region(void **state)
{
	static const struct creds_base_spec base;
	struct fixture *f = *state;
	struct creds_role role = {.role_arn = ROLE_A, .role_session_name = "s"};
	struct creds *c = creds_open(f->pool, &base, &role, 1, "test");

	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_CONFIG);
	assert_contains(f->got[0].err.text, "region");
	creds_release(c);
	set_keys("AKIDBASE", "s");
	setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 1);
	setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:2/sts", 1);
	reopen_pool(f);
	c = creds_open(f->pool, &base, &role, 1, "test");
	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_contains(f->http.calls[0].wire, "POST http://127.0.0.1:2/sts/\n");
	creds_release(c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

UNIT_MAIN(TEST(test_one_hop), TEST(test_two_hops), TEST(test_rgw_arn),
	TEST(test_another_identity), TEST(test_sharing), TEST(test_single_flight),
	TEST(test_free_in_flight), TEST(test_advisory), TEST(test_mandatory),
	TEST(test_lapse), TEST(test_short_session), TEST(test_failed_refresh),
	TEST(test_outage_past_expiry), TEST(test_outage_of_45_minutes),
	TEST(test_retries_have_a_quota), TEST(test_denied_refresh), TEST(test_invalidate),
	TEST(test_invalidate_in_backoff), TEST(test_denied), TEST(test_advice),
	TEST(test_rgw_error), TEST(test_parent_expired), TEST(test_hostile_answers),
	TEST(test_no_region))
