/* How many parts at once, on paths that are simulated. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/width.h"

#define PART (INT64_C(16) << 20)

/* Parts end together; each has `each` bytes a second, all of them no more than `all`. */
static int end_after(struct width *w, int64_t now, double each, double all)
{
	for (int round = 0; round < 20; round++) {
		int n = w->now;
		double rate = n * each < all ? n * each : all;

		now += (int64_t)((double)(n * PART) / rate * USEC_PER_SEC);
		while (n--)
			width_stored(w, PART, now);
	}
	return w->now;
}

static int end_at(int most, double each, double all)
{
	struct width w;

	width_init(&w, 2, most);
	width_begin(&w, 0);
	return end_after(&w, 0, each, all);
}

static void test_it_grows_while_that_is_faster(void **state)
{
	(void)state;
	assert_int_equal(end_at(8, 50e6, 1e12), 8);
	assert_int_equal(end_at(64, 50e6, 1e12), 64);
	assert_int_equal(end_at(6, 50e6, 1e12), 6);
}

static void test_it_stays_where_more_do_not_help(void **state)
{
	(void)state;
	assert_int_equal(end_at(8, 500e6, 500e6), 2);
	assert_int_equal(end_at(8, 50e6, 200e6), 4);
	assert_int_equal(end_at(3, 500e6, 500e6), 2);
}

static void test_it_never_passes_the_most(void **state)
{
	(void)state;
	assert_int_equal(end_at(1, 50e6, 1e12), 1);
	assert_int_equal(end_at(2, 50e6, 1e12), 2);
	assert_int_equal(end_at(3, 50e6, 1e12), 3);
}

/* Else the next one looks fast beside it. */
static void test_a_part_that_was_in_trouble_tells_nothing(void **state)
{
	struct width w;

	(void)state;
	width_init(&w, 2, 8);
	width_begin(&w, 0);
	width_begin(&w, 60 * USEC_PER_SEC);
	assert_int_equal(end_after(&w, 60 * USEC_PER_SEC, 500e6, 500e6), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_grows_while_that_is_faster),
		cmocka_unit_test(test_it_stays_where_more_do_not_help),
		cmocka_unit_test(test_it_never_passes_the_most),
		cmocka_unit_test(test_a_part_that_was_in_trouble_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
