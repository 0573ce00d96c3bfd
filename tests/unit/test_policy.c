/*
 * The rules alone, on a job whose slots are minutes: what becomes of slots that are late,
 * too many, or meet a run that has not ended.
 */
#include "config.h"

#include "sched/policy.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "calendar/jitter.h"
#include "conf/conf.h"

#define T0 INT64_C(1795503600) /* 2026-11-24T07:00:00Z */

struct fixture {
	struct conf_job job;
	struct sched_job_state state; /* slots up to T0 are settled */
	int64_t waits_from_s;         /* seconds from T0; 0: none waits */
	bool waits;
	char text[1024];
};

static int setup(void **state)
{
	const struct schedule_spec spec = {.expression = "* * * * *"};
	struct schedule_error error;
	struct fixture *f = mem_alloc(sizeof(*f));

	f->job.name = mem_strdup("a");
	f->job.catch_up = CONF_CATCH_UP_LATEST;
	f->job.catch_up_limit = 10;
	f->state.watermark_s = T0;
	*state = f;
	return schedule_new(&spec, &f->job.schedule, &error);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	free(f->job.name);
	schedule_free(f->job.schedule);
	free(f);
	return 0;
}

static const char *describe(struct fixture *f, const struct sched_decision *d, size_t n)
{
	static const char *const verdicts[] = {
		"run", "skip", "coalesce", "miss", "replace"};
	size_t len = 0;

	f->text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		snprintf(f->text + len, sizeof(f->text) - len, "%s%s %s %d..%d x%d;",
			verdicts[d[i].verdict], d[i].is_catch_up ? "!" : "", d[i].reason,
			(int)(d[i].first_s - T0) / 60, (int)(d[i].last_s - T0) / 60,
			(int)d[i].count);
		len = strlen(f->text);
		assert_int_equal(d[i].watermark_s, d[n - 1].watermark_s);
	}
	return f->text;
}

/* What is decided so many seconds after T0; slots as minutes. */
static const char *decide(struct fixture *f, int64_t seconds)
{
	struct sched_decision d[POLICY_MAX_DECISIONS];
	const struct policy_case c = {&f->job, &f->state, 0, T0 + seconds,
		f->waits_from_s ? T0 + f->waits_from_s : 0};

	return describe(f, d, policy_decide(&c, d, &f->waits));
}

static void test_skip(void **state)
{
	struct fixture *f = *state;

	f->state.active = SCHED_RUNNING;
	assert_string_equal(decide(f, 60), "skip overlap 1..1 x1;");
	assert_string_equal(
		decide(f, 185), "coalesce coalesced 1..2 x2;skip overlap 3..3 x1;");
	assert_false(f->waits);
	f->state.active = SCHED_RETRYING; /* it makes room */
	assert_string_equal(decide(f, 60), "replace superseded 1..1 x1;");
	assert_true(f->waits);
	f->state.active = SCHED_BACKFILLING;
	assert_string_equal(decide(f, 60), "");
	assert_true(f->waits);
}

static void test_queue_one(void **state)
{
	struct fixture *f = *state;

	f->job.overlap = CONF_OVERLAP_QUEUE_ONE;
	f->state.active = SCHED_RUNNING;
	assert_string_equal(decide(f, 185), "");
	assert_true(f->waits);
	f->state.active = SCHED_RETRYING;
	assert_string_equal(decide(f, 185), "");
	f->state.active = SCHED_IDLE;
	f->waits_from_s = 60;
	assert_string_equal(
		decide(f, 3605), "coalesce coalesced 1..59 x59;run  60..60 x1;");
	assert_false(f->waits);
}

/* Waiting for the run before is no lateness, but a deadline is a deadline. */
static void test_queue_one_is_not_late(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(jitter_of((const uint8_t[32]){1}, "a", 0), 0);
	schedule_free(f->job.schedule);
	assert_int_equal(schedule_new(&(struct schedule_spec){.expression = "0 * * * *"},
				 &f->job.schedule, &(struct schedule_error){0}),
		0);
	f->job.overlap = CONF_OVERLAP_QUEUE_ONE;
	f->job.catch_up = CONF_CATCH_UP_NONE;
	f->waits_from_s = 3600;
	assert_string_equal(decide(f, 3600 + 1800), "run  60..60 x1;");
	f->waits_from_s = 0;
	assert_string_equal(decide(f, 3600 + 1800), "miss catch_up 60..60 x1;");
	f->waits_from_s = 3600;
	f->job.starting_deadline_s = 1799;
	assert_string_equal(decide(f, 3600 + 1800), "miss deadline 60..60 x1;");
}

static void test_replace(void **state)
{
	struct fixture *f = *state;

	f->job.overlap = CONF_OVERLAP_REPLACE;
	f->state.active = SCHED_RUNNING;
	assert_string_equal(decide(f, 60), "replace superseded 1..1 x1;");
	assert_true(f->waits);
	f->state.active = SCHED_IDLE;
	f->waits_from_s = 60;
	assert_string_equal(decide(f, 90), "run  1..1 x1;");
}

static void test_all(void **state)
{
	struct fixture *f = *state;

	f->job.catch_up = CONF_CATCH_UP_ALL;
	f->job.catch_up_limit = 7;
	assert_string_equal(
		decide(f, 3600), "miss catch_up_limit 1..53 x53;run!  54..54 x1;");
	assert_true(f->waits); /* six more, one after the other */
	f->state.watermark_s = T0 + 58 * 60;
	f->state.active = SCHED_CATCHING_UP;
	assert_string_equal(decide(f, 3610), "");
	assert_true(f->waits);
	f->state.active = SCHED_IDLE;
	assert_string_equal(decide(f, 3620), "run  59..59 x1;");
	f->state.watermark_s = T0;
	f->job.starting_deadline_s = 120;
	assert_string_equal(decide(f, 3605), "miss deadline 1..58 x58;run  59..59 x1;");
	f->job.starting_deadline_s = 0; /* then it is a day */
	f->job.catch_up_limit = 1000;
	assert_string_equal(decide(f, 2 * 86400), "miss deadline 1..1439 x1000;"
						  "miss catch_up_limit 1440..1880 x441;"
						  "run!  1881..1881 x1;");
}

static void test_all_meets_a_run(void **state)
{
	struct fixture *f = *state;

	f->job.catch_up = CONF_CATCH_UP_ALL;
	f->job.catch_up_limit = 20;
	f->state.active = SCHED_RUNNING;
	assert_string_equal(decide(f, 185), "skip overlap 1..3 x3;");
	assert_false(f->waits);
	assert_string_equal(decide(f, 700), ""); /* to be caught up: it waits */
	assert_true(f->waits);
}

static void test_drop(void **state)
{
	struct fixture *f = *state;
	struct sched_decision d;

	assert_int_equal(policy_drop(&f->job, T0, T0 + 59, "paused", &d), 0);
	assert_int_equal(policy_drop(&f->job, T0, T0 + 185, "paused", &d), 1);
	assert_int_equal(d.watermark_s, T0 + 185);
	assert_string_equal(describe(f, &d, 1), "skip paused 1..3 x3;");
}

static void test_steps(void **state)
{
	assert_int_equal(policy_classify_step(60), STEP_NONE);
	assert_int_equal(policy_classify_step(61), STEP_REPEAT);
	assert_int_equal(policy_classify_step(10800), STEP_REPEAT);
	assert_int_equal(policy_classify_step(10801), STEP_CORRECT);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_skip),
		TEST(test_queue_one),
		TEST(test_queue_one_is_not_late),
		TEST(test_replace),
		TEST(test_all),
		TEST(test_all_meets_a_run),
		TEST(test_drop),
		TEST(test_steps),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
