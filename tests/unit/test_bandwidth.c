/* Token buckets on a clock moved by hand, and the weights of runs. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/bandwidth.h"
#include "engine/shares.h"
#include "net/loop.h"

#define PIECE 16384
#define FLOWS 20
#define MB    1000000

struct reader {
	struct flow flow;
	uint64_t tag, bytes;
	bool is_waiting;
};

struct fixture {
	struct clock_fake clock;
	struct loop *loop;
	struct bandwidth *b;
	struct reader readers[FLOWS];
	size_t count;
};

static void on_resume(void *arg, struct flow *f)
{
	(void)arg;
	CONTAINER_OF(f, struct reader, flow)->is_waiting = false;
}

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	clock_fake_init(&f->clock, USEC_PER_SEC);
	f->loop = loop_new(&f->clock.clock);
	f->b = bandwidth_new(f->loop, on_resume, f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	bandwidth_free(f->b);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void add(struct fixture *f, uint64_t tag, size_t count)
{
	while (count--)
		f->readers[f->count++].tag = tag;
}

/* Each reads what it may; a peer gives 100 MB/s to each. */
static uint64_t run(struct fixture *f, int ms)
{
	uint64_t sum = 0;

	for (; ms; ms--) {
		clock_fake_advance(&f->clock, USEC_PER_MSEC);
		loop_turn(f->loop, false);
		for (size_t i = 0; i < f->count; i++) {
			struct reader *r = &f->readers[i];

			for (int k = 0; k < 6 && !r->is_waiting; k++) {
				r->is_waiting = !bandwidth_may(f->b, &r->flow, r->tag);
				if (r->is_waiting)
					break;
				bandwidth_spend(f->b, &r->flow, r->tag, PIECE);
				r->bytes += PIECE;
				sum += PIECE;
			}
		}
	}
	return sum;
}

static void is_about(uint64_t got, uint64_t want)
{
	if (got < want * 95 / 100 || got > want * 105 / 100)
		fail_msg("%llu, wanted %llu", (unsigned long long)got,
			(unsigned long long)want);
}

static void test_the_rate_is_kept_and_smooth(void **state)
{
	struct fixture *f = *state;

	add(f, 7, FLOWS);
	bandwidth_set(f->b, BANDWIDTH_ALL, 20 * MB);
	run(f, 1000);
	for (int i = 0; i < 20; i++)
		is_about(run(f, 500), 10 * MB);
	for (size_t i = 0; i < f->count; i++) /* and each gets as much as the others */
		assert_in_range(f->readers[i].bytes, 8 * MB, 13 * MB);
}

static void test_a_run_has_its_own_within_all(void **state)
{
	struct fixture *f = *state;
	uint64_t own = 0;

	add(f, 7, 10);
	add(f, 8, 10);
	bandwidth_set(f->b, BANDWIDTH_ALL, 20 * MB);
	bandwidth_set(f->b, 7, 2 * MB);
	is_about(run(f, 10000), 200 * MB);
	for (int i = 0; i < 10; i++)
		own += f->readers[i].bytes;
	is_about(own, 20 * MB);
}

static void test_it_changes_at_once(void **state)
{
	struct fixture *f = *state;

	add(f, 7, 1);
	bandwidth_set(f->b, 7, MB);
	is_about(run(f, 5000), 5 * MB);
	bandwidth_set(f->b, 7, 10 * MB);
	is_about(run(f, 5000), 50 * MB);
	bandwidth_set(f->b, 7, 0);
	run(f, 20); /* it still waits for its tick */
	assert_true(run(f, 1000) > 90 * MB);
}

static void test_no_saving_up(void **state)
{
	struct fixture *f = *state;

	add(f, 7, 1);
	bandwidth_set(f->b, 7, MB);
	clock_fake_advance(&f->clock, 3600 * USEC_PER_SEC);
	assert_true(run(f, 1000) <= 1200000);
}

/* --- shares --- */

static void test_shares_follow_weights(void **state)
{
	struct share *low, *normal, *high, *all[3];
	struct list shares;

	(void)state;
	list_init(&shares);
	all[0] = low = shares_join(&shares, 1, 1);
	all[1] = normal = shares_join(&shares, 2, 3);
	all[2] = high = shares_join(&shares, 3, 9);
	assert_ptr_equal(shares_join(&shares, 2, 3), normal);
	for (int slot = 0; slot < 26; slot++) {
		struct share *best = all[0];

		for (size_t i = 1; i < 3; i++)
			if (share_is_before(all[i], best))
				best = all[i];
		best->used++;
	}
	assert_int_equal(low->used, 2);
	assert_int_equal(normal->used, 6);
	assert_int_equal(high->used, 18);
	shares_leave(normal);
	shares_leave(normal);
	shares_leave(low);
	shares_leave(high);
	assert_true(list_is_empty(&shares));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_rate_is_kept_and_smooth),
		TEST(test_a_run_has_its_own_within_all),
		TEST(test_it_changes_at_once),
		TEST(test_no_saving_up),
		cmocka_unit_test(test_shares_follow_weights),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
