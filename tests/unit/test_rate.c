/* One bucket's rate: growth, cuts, holds; and a service in a simulation that throttles.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/rate.h"

#define SEC USEC_PER_SEC

static void fill(struct rate *r, int64_t now)
{
	while (rate_may_start(r, now))
		rate_start(r);
}

/* Everything in flight is served, and as much as may starts. */
static void round_trip(struct rate *r, int64_t now)
{
	int n = r->in_flight;

	while (n--) {
		rate_end(r);
		rate_succeed(r, now);
		fill(r, now);
	}
}

static void test_it_begins_low_and_doubles(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, 16, 100);
	fill(&r, 1);
	assert_int_equal(r.in_flight, 16);
	round_trip(&r, 2);
	assert_int_equal(r.in_flight, 32);
	for (int i = 0; i < 5; i++)
		round_trip(&r, 3 + i);
	assert_int_equal(r.in_flight, 100);
	assert_false(rate_is_slowed(&r));
}

static void test_what_is_not_used_does_not_grow(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, 16, 100);
	for (int i = 0; i < 1000; i++) {
		rate_start(&r);
		rate_end(&r);
		rate_succeed(&r, i);
	}
	fill(&r, 1000);
	assert_int_equal(r.in_flight, 16);
}

static void refuse(struct rate *r, int64_t started, int64_t hint_ms, int64_t now)
{
	const struct rate_refusal what = {started, hint_ms, 0};

	rate_end(r);
	rate_refuse(r, &what, now);
}

static void test_a_burst_of_refusals_is_one_cut(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, 64, 64);
	fill(&r, 1 * SEC);
	for (int i = 0; i < 64; i++)
		refuse(&r, 1 * SEC, 0, 2 * SEC + i);
	assert_true(r.window == 32);
	assert_true(rate_is_slowed(&r));
	assert_false(rate_may_start(&r, 2 * SEC));
	assert_int_equal(rate_wait_ms(&r, 2 * SEC), 50);
	assert_true(rate_may_start(&r, 2 * SEC + SEC / 10));
}

static void test_the_service_says_how_long(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, 8, 8);
	rate_start(&r);
	refuse(&r, 1, 7000, 1 * SEC);
	assert_false(rate_may_start(&r, 8 * SEC - 1));
	assert_true(rate_may_start(&r, 8 * SEC));
}

static void test_holds_grow_and_end_at_five_seconds(void **state)
{
	struct rate r;
	int64_t now = SEC, waits[9];

	(void)state;
	rate_init(&r, 64, 64);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		const struct rate_refusal what = {now, 0, 1};

		rate_refuse(&r, &what, now + 1);
		waits[i] = rate_wait_ms(&r, now + 1);
		now += waits[i] * USEC_PER_MSEC + 2;
	}
	assert_int_equal(waits[0], 100);
	assert_int_equal(waits[3], 800);
	assert_int_equal(waits[8], 5000);
	assert_true(r.window == 1 && r.threshold == 32);
}

/*
 * A service with `capacity` requests a second and answers after 20 ms, asked by somebody
 * who always has more to do, in steps of a millisecond.
 */
struct service {
	struct rate rate;
	int64_t now, started[1024]; /* of those in flight; a ring */
	size_t first, count;
	double capacity, credit;
	uint64_t requests, served;
	unsigned seed;
};

#define TRIP (20 * USEC_PER_MSEC)

static void answer(struct service *s)
{
	int64_t started = s->started[s->first];
	const struct rate_refusal what = {
		started, 0, (double)rand_r(&s->seed) / ((double)RAND_MAX + 1)};

	s->first = (s->first + 1) % ARRAY_LEN(s->started);
	s->count--;
	rate_end(&s->rate);
	if (s->credit >= 1) {
		s->credit -= 1;
		s->served++;
		rate_succeed(&s->rate, s->now);
	} else {
		rate_refuse(&s->rate, &what, s->now);
	}
}

static void run(struct service *s, int64_t ms)
{
	for (; ms; ms--) {
		s->now += USEC_PER_MSEC;
		s->credit += s->capacity / 1000;
		if (s->credit > s->capacity / 10) /* what it lets pass as a burst */
			s->credit = s->capacity / 10;
		while (s->count && s->started[s->first] + TRIP <= s->now)
			answer(s);
		while (rate_may_start(&s->rate, s->now)) {
			s->started[(s->first + s->count++) % ARRAY_LEN(s->started)] =
				s->now;
			s->requests++;
			rate_start(&s->rate);
		}
	}
}

static void test_a_service_is_used_well_and_not_stormed(void **state)
{
	struct service s = {.now = SEC, .capacity = 1000, .seed = 7};

	(void)state;
	rate_init(&s.rate, 16, 512); /* 512 at once would be 25,600 a second */
	run(&s, 10000);
	s.requests = s.served = 0;
	run(&s, 60000);
	assert_true(s.served > 60 * 700);
	assert_true(s.requests < s.served * 11 / 10);
}

/* Ten minutes of nothing but refusals, then all is well again. */
static void test_an_outage_is_waited_for_and_left_fast(void **state)
{
	struct service s = {.now = SEC, .capacity = 1e9, .seed = 3};
	uint64_t baseline;

	(void)state;
	rate_init(&s.rate, 16, 64);
	run(&s, 10000);
	s.served = 0;
	run(&s, 10000);
	baseline = s.served / 10; /* a second */
	s.capacity = s.credit = 0;
	s.requests = 0;
	run(&s, 600000);
	assert_true(s.requests < baseline); /* in ten minutes what was one second's */
	s.capacity = 1e9;
	run(&s, 60000);
	s.served = 0;
	run(&s, 1000);
	assert_true(s.served >= baseline * 9 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_begins_low_and_doubles),
		cmocka_unit_test(test_what_is_not_used_does_not_grow),
		cmocka_unit_test(test_a_burst_of_refusals_is_one_cut),
		cmocka_unit_test(test_the_service_says_how_long),
		cmocka_unit_test(test_holds_grow_and_end_at_five_seconds),
		cmocka_unit_test(test_a_service_is_used_well_and_not_stormed),
		cmocka_unit_test(test_an_outage_is_waited_for_and_left_fast),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
