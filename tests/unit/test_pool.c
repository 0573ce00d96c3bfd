/* net/pool: each job once, in a thread, told on the loop; nothing lost at the end. */
#include "config.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/loop.h"
#include "net/pool.h"

#define JOBS 500

struct bench {
	struct loop *loop;
	struct pool *pool;
	pthread_t thread; /* the loop's */
	int left, done;
};

struct task {
	struct pool_job job;
	struct bench *b;
	int rounds, value;
	bool was_elsewhere;
};

static struct task *task_of(struct pool_job *job)
{
	return CONTAINER_OF(job, struct task, job);
}

static void add_one(struct pool_job *job)
{
	struct task *t = task_of(job);

	t->value++;
	t->was_elsewhere = !pthread_equal(pthread_self(), t->b->thread);
}

static void again(struct pool_job *job)
{
	struct task *t = task_of(job);

	assert_true(pthread_equal(pthread_self(), t->b->thread));
	assert_true(t->was_elsewhere);
	t->b->done++;
	if (--t->rounds)
		pool_submit(t->b->pool, job);
	else if (!--t->b->left)
		loop_stop(t->b->loop);
}

static void bench_init(struct bench *b, int threads)
{
	*b = (struct bench){.loop = loop_new(clock_system()), .thread = pthread_self()};
	b->pool = pool_new(b->loop, threads);
	assert_non_null(b->pool);
}

static void bench_done(struct bench *b)
{
	pool_free(b->pool);
	loop_free(b->loop);
}

static void submit_all(struct bench *b, struct task *tasks, int rounds)
{
	for (int i = 0; i < JOBS; i++) {
		tasks[i] = (struct task){.job = {.work = add_one, .done = again},
			.b = b,
			.rounds = rounds};
		b->left++;
		pool_submit(b->pool, &tasks[i].job);
	}
	assert_int_equal(b->done, 0); /* never inside the submit */
}

static void each_job_is_done_as_often_as_asked(void **state)
{
	struct task *tasks = calloc(JOBS, sizeof(*tasks));
	struct bench b;

	bench_init(&b, 3);
	submit_all(&b, tasks, 20);
	loop_run(b.loop);
	assert_int_equal(b.done, 20 * JOBS);
	for (int i = 0; i < JOBS; i++)
		assert_int_equal(tasks[i].value, 20);
	bench_done(&b);
	free(tasks);
}

static void a_close_waits_for_all_that_follows(void **state)
{
	struct task *tasks = calloc(JOBS, sizeof(*tasks));
	struct bench b;

	bench_init(&b, 2);
	submit_all(&b, tasks, 5);
	pool_close(b.pool);
	assert_int_equal(b.done, 5 * JOBS);
	assert_true(pool_is_closed(b.pool));
	pool_close(b.pool);
	bench_done(&b);
	free(tasks);
}

static void an_unused_pool_has_no_threads(void **state)
{
	struct bench b;

	bench_init(&b, 4);
	pool_close(b.pool);
	bench_done(&b);
	assert_null(pool_free(NULL));
}

struct meeting {
	struct pool_job job;
	pthread_barrier_t *barrier;
};

static void meet(struct pool_job *job)
{
	pthread_barrier_wait(CONTAINER_OF(job, struct meeting, job)->barrier);
}

static void nothing(struct pool_job *job)
{
}

/* They wait for each other: were they done one by one, this would hang. */
static void jobs_run_side_by_side(void **state)
{
	struct meeting m[3];
	pthread_barrier_t barrier;
	struct bench b;

	bench_init(&b, 3);
	pthread_barrier_init(&barrier, NULL, 3);
	for (int i = 0; i < 3; i++) {
		m[i] = (struct meeting){{.work = meet, .done = nothing}, &barrier};
		pool_submit(b.pool, &m[i].job);
	}
	pool_close(b.pool);
	pthread_barrier_destroy(&barrier);
	bench_done(&b);
}

UNIT_MAIN(cmocka_unit_test(each_job_is_done_as_often_as_asked),
	cmocka_unit_test(a_close_waits_for_all_that_follows),
	cmocka_unit_test(an_unused_pool_has_no_threads),
	cmocka_unit_test(jobs_run_side_by_side))
