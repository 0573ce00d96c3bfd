/*
 * The scheduler on a clock that stands still until moved: what each kind of lateness,
 * overlap, pause and clock step decides, and that nothing is decided twice.
 */
#include "config.h"

#include "sched/sched.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "calendar/tz_set.h"
#include "conf/conf.h"
#include "net/loop.h"

#define T0       INT64_C(1795503600) /* 2026-11-24T07:00:00Z */
#define MAX_JOBS 10000

struct fixture {
	struct clock_fake clock;
	struct loop *loop;
	struct sched *sched;
	struct conf conf;
	struct conf_job job_store[MAX_JOBS];
	struct conf_job *jobs[MAX_JOBS];
	struct sched_job_state states[MAX_JOBS];
	bool is_known[MAX_JOBS];
	int generations, ticks, starts;
	int clock_events[4]; /* by enum sched_clock_event */
	bool is_commit_failing;
	bool is_stopping_loop;
	char log[4096];
};

static size_t index_of(const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->conf.job_count; i++)
		if (strcmp(f->jobs[i]->name, name) == 0)
			return i;
	fail_msg("no job %s", name);
	return 0;
}

static bool on_state(void *arg, const char *name, struct sched_job_state *ret)
{
	struct fixture *f = arg;
	size_t i = index_of(f, name);

	if (f->is_known[i])
		*ret = f->states[i];
	return f->is_known[i];
}

/* As the core does it: what has ended is forgotten with the next commit. */
static void end_pause(struct fixture *f, size_t i)
{
	struct sched_job_state *s = &f->states[i];

	if (s->paused_until_s && s->paused_until_s <= f->clock.wall / USEC_PER_SEC) {
		s->is_paused = false;
		s->paused_until_s = 0;
	}
	s->was_paused = f->jobs[i]->is_paused;
}

/* "run 0" "run! 0" (catch-up); ranges as "coalesce -120..-60 x2"; seconds from T0. */
static void on_decide(void *arg, const struct sched_decision *d, size_t count)
{
	static const char *const verdicts[] = {
		"run", "skip", "coalesce", "miss", "replace"};
	struct fixture *f = arg;
	size_t job = index_of(f, d->job);

	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(f->log);
		char *at = f->log + len;

		f->starts += d[i].verdict == SCHED_RUN;
		assert_int_equal(d[i].slot.at_s, d[i].last_s);
		if (f->conf.job_count > 1)
			continue;
		if (d[i].verdict == SCHED_RUN)
			snprintf(at, sizeof(f->log) - len, "run%s %lld;",
				d[i].is_catch_up ? "!" : "",
				(long long)(d[i].last_s - T0));
		else
			snprintf(at, sizeof(f->log) - len, "%s %s %lld..%lld x%llu;",
				verdicts[d[i].verdict], d[i].reason,
				(long long)(d[i].first_s - T0),
				(long long)(d[i].last_s - T0),
				(unsigned long long)d[i].count);
	}
	if (!f->is_commit_failing)
		f->states[job].watermark_s = d[count - 1].watermark_s;
	end_pause(f, job);
	if (f->is_stopping_loop)
		loop_stop(f->loop);
}

static void on_settle(
	void *arg, const char *name, int64_t watermark_s, enum sched_settling why)
{
	struct fixture *f = arg;
	size_t i = index_of(f, name);

	f->states[i].watermark_s = watermark_s;
	f->is_known[i] = true;
	f->generations += why == SCHED_SETTLE_BACK;
	end_pause(f, i);
}

static void on_overdue(void *arg, const char *name, const struct slot *slot)
{
	struct fixture *f = arg;
	size_t len = strlen(f->log);

	snprintf(f->log + len, sizeof(f->log) - len, slot ? "overdue %lld;" : "served;",
		slot ? (long long)(slot->at_s - T0) : 0);
}

static void on_tick(void *arg, int64_t now_s)
{
	struct fixture *f = arg;

	f->ticks++;
}

static void on_clock(void *arg, enum sched_clock_event event, int64_t seconds)
{
	struct fixture *f = arg;

	f->clock_events[event]++;
}

static void start(struct fixture *f, const struct clock *clock)
{
	const struct sched_ops ops = {.state = on_state,
		.decide = on_decide,
		.tick = on_tick,
		.settle = on_settle,
		.overdue = on_overdue,
		.clock = on_clock,
		.arg = f};

	sched_free(f->sched);
	loop_free(f->loop);
	f->loop = loop_new(clock);
	f->sched = sched_new(f->loop, clock, &ops);
	assert_non_null(f->sched);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	clock_fake_init(&f->clock, T0 * USEC_PER_SEC);
	f->conf.jobs = f->jobs;
	f->conf.refs = 1; /* ours: it is no malloced one */
	start(f, &f->clock.clock);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sched_free(f->sched);
	loop_free(f->loop);
	assert_int_equal(f->conf.refs, 1);
	for (size_t i = 0; i < f->conf.job_count; i++) {
		free(f->jobs[i]->name);
		schedule_free(f->jobs[i]->schedule);
	}
	free(f);
	return 0;
}

static int compile(struct conf_job *job, const char *expression, const char *zone)
{
	const struct schedule_spec spec = {.expression = expression, .timezone = zone};
	struct schedule_error error;
	struct schedule *fresh;
	int r = schedule_new(&spec, &fresh, &error);

	if (r < 0)
		return r;
	schedule_free(job->schedule);
	job->schedule = fresh;
	snprintf(job->schedule_hash, sizeof(job->schedule_hash), "%s", expression);
	return 0;
}

/* A job whose slots are settled up to `watermark` seconds from T0. */
static struct conf_job *add(
	struct fixture *f, const char *name, const char *expression, int64_t watermark)
{
	size_t i = f->conf.job_count++;
	struct conf_job *job = f->jobs[i] = &f->job_store[i];

	job->name = mem_strdup(name);
	job->catch_up = CONF_CATCH_UP_LATEST;
	assert_int_equal(compile(job, expression, "UTC"), 0);
	f->is_known[i] = true;
	f->states[i].watermark_s = T0 + watermark;
	f->states[i].served_s = INT64_MAX / 2; /* it owes nothing, unless a test says so */
	return job;
}

static void tick_at(struct fixture *f, int64_t seconds)
{
	f->clock.wall = (T0 + seconds) * USEC_PER_SEC;
	sched_tick(f->sched);
}

static void assert_log(struct fixture *f, const char *expected)
{
	assert_string_equal(f->log, expected);
	f->log[0] = '\0';
}

static void test_on_time(void **state)
{
	struct fixture *f = *state;
	const char *name;
	struct slot slot;
	int64_t at;

	add(f, "a", "* * * * *", 0);
	sched_set_conf(f->sched, &f->conf);
	assert_int_equal(sched_next(f->sched, "a", &slot, &at), 0);
	assert_int_equal(slot.at_s, T0 + 60);
	assert_int_equal(at, T0 + 60);
	assert_int_equal(sched_next(f->sched, "b", &slot, &at), -ENOENT);
	tick_at(f, 59);
	assert_log(f, "");
	tick_at(f, 60);
	assert_log(f, "run 60;");
	tick_at(f, 61);
	assert_log(f, "");
	tick_at(f, 125);
	assert_log(f, "run 120;");
	assert_int_equal(f->ticks, 4);
	assert_int_equal(sched_next_any(f->sched, &name, &at), 0);
	assert_string_equal(name, "a");
	assert_int_equal(at, T0 + 180);
	sched_stop(f->sched);
	tick_at(f, 300);
	assert_log(f, "");
}

static void test_loop_wakes(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "* * * * *", 0);
	sched_set_conf(f->sched, &f->conf);
	loop_turn(f->loop, false);
	assert_log(f, "");
	clock_fake_advance(&f->clock, 60 * USEC_PER_SEC);
	loop_turn(f->loop, false);
	assert_log(f, "run 60;");
	clock_fake_advance(&f->clock, 60 * USEC_PER_SEC);
	loop_turn(f->loop, false);
	assert_log(f, "run 120;");
}

/* Ten years ahead for a moment: one catch-up there, and here all goes on from now. */
static void test_ten_years_ahead_and_back(void **state)
{
	const int64_t ten_years = INT64_C(10) * 365 * 86400;
	struct fixture *f = *state;

	add(f, "a", "0 7 * * *", 0);
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, ten_years + 600);
	f->log[0] = '\0'; /* coalesced, and one run: as after any sleep */
	assert_int_equal(f->starts, 1);
	tick_at(f, 60);
	assert_log(f, "");
	assert_int_equal(f->clock_events[SCHED_CLOCK_SET_BACK], 1);
	assert_int_equal(f->states[0].watermark_s, T0 + 60);
	tick_at(f, 86400);
	assert_log(f, "run 86400;");
}

/* The kernel's timer, with the real clock: the only test that waits (at most 2 s). */
static void test_timerfd(void **state)
{
	struct fixture *f = *state;
	int64_t now = clock_wall_us(clock_system()) / USEC_PER_SEC;
	char iso[32], expression[48];

	clock_format_iso(now + 2, iso, sizeof(iso));
	snprintf(expression, sizeof(expression), "at(%.19s)", iso);
	add(f, "a", expression, now - T0);
	start(f, clock_system());
	sched_set_conf(f->sched, &f->conf);
	f->is_stopping_loop = true;
	loop_run(f->loop);
	assert_int_equal(f->starts, 1);
	assert_true(clock_wall_us(clock_system()) >= (now + 2) * USEC_PER_SEC);
	assert_int_equal(f->ticks, 1); /* no wake was needed before it */
}

static void test_late(void **state)
{
	struct fixture *f = *state;
	struct conf_job *job = add(f, "a", "* * * * *", 0);

	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 250);
	assert_log(f, "coalesce coalesced 60..180 x3;run 240;");
	job->catch_up = CONF_CATCH_UP_NONE; /* a few minutes late is not a catch-up */
	tick_at(f, 370);
	assert_log(f, "coalesce coalesced 300..300 x1;run 360;");
}

static void test_catch_up(void **state)
{
	struct fixture *f = *state;
	struct conf_job *job = add(f, "a", "0 * * * *", 0);

	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 4 * 3600 + 301);
	assert_log(f, "coalesce coalesced 3600..10800 x3;run! 14400;");
	job->catch_up = CONF_CATCH_UP_NONE;
	tick_at(f, 6 * 3600 + 301);
	assert_log(f, "miss catch_up 18000..21600 x2;");
	tick_at(f, 9 * 3600 + 10); /* the newest is on time: it runs */
	assert_log(f, "miss catch_up 25200..28800 x2;run 32400;");
	job->catch_up = CONF_CATCH_UP_LATEST;
	job->starting_deadline_s = 1200;
	tick_at(f, 10 * 3600 + 1200);
	assert_log(f, "run! 36000;");
	tick_at(f, 12 * 3600 + 1201);
	assert_log(f, "miss deadline 39600..43200 x2;");
}

static void test_ten_thousand_missed(void **state)
{
	struct fixture *f = *state;
	int64_t began = clock_mono_us(clock_system());

	add(f, "a", "* * * * *", -600000);
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 0);
	assert_true(clock_mono_us(clock_system()) - began < 100 * USEC_PER_MSEC);
	assert_log(f, "coalesce coalesced -599940..-60 x1000;run 0;");
}

static void test_overlap(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "* * * * *", 0);
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 60);
	f->states[0].active = SCHED_RUNNING;
	sched_refresh(f->sched, "a");
	tick_at(f, 120);
	tick_at(f, 180);
	assert_log(f, "run 60;skip overlap 120..120 x1;skip overlap 180..180 x1;");
	f->states[0].active = SCHED_IDLE;
	sched_refresh(f->sched, "a");
	tick_at(f, 190);
	assert_log(f, "");
	tick_at(f, 240);
	assert_log(f, "run 240;");
}

static void test_new_and_edited(void **state)
{
	struct fixture *f = *state;
	struct conf_job *job = add(f, "a", "* * * * *", 0);

	f->is_known[0] = false;
	f->clock.wall = (T0 + 90) * USEC_PER_SEC;
	sched_set_conf(f->sched, &f->conf);
	assert_int_equal(f->states[0].watermark_s, T0 + 90);
	tick_at(f, 90);
	assert_log(f, "");
	tick_at(f, 120);
	assert_log(f, "run 120;");

	/* Taking over the same schedule decides nothing and loses nothing. */
	f->clock.wall = (T0 + 185) * USEC_PER_SEC;
	for (int i = 0; i < 100; i++)
		sched_set_conf(f->sched, &f->conf);
	tick_at(f, 185);
	assert_log(f, "run 180;");

	/* Another schedule counts from now, here and across a restart. */
	struct conf other = f->conf;
	struct conf_job edited = *job, *edited_list[] = {&edited};

	edited.schedule = NULL;
	other.refs = 1;
	other.jobs = edited_list;
	assert_int_equal(compile(&edited, "0 * * * *", "UTC"), 0);
	f->clock.wall = (T0 + 3700) * USEC_PER_SEC;
	sched_set_conf(f->sched, &other);
	assert_log(f, "skip edited 240..3660 x58;");
	sched_tick(f->sched);
	assert_log(f, "");
	assert_int_equal(f->states[0].watermark_s, T0 + 3700);
	snprintf(f->states[0].schedule_hash, 65, "0 * * * *");
	f->clock.wall = (T0 + 7210) * USEC_PER_SEC;
	start(f, &f->clock.clock);
	sched_set_conf(f->sched, &f->conf);
	sched_tick(f->sched);
	assert_log(f, "");
	assert_int_equal(f->states[0].watermark_s, T0 + 7210);
	assert_int_equal(other.refs, 1);
	schedule_free(edited.schedule);
}

static void test_backward_steps(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "* * * * *", -60);
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 0);
	tick_at(f, -30); /* waited out */
	tick_at(f, 0);
	assert_log(f, "run 0;");
	assert_int_equal(f->generations, 0);
	tick_at(f, 60);
	assert_log(f, "run 60;");
	tick_at(f, -3540); /* an hour: a job of all hours goes on */
	assert_log(f, "");
	assert_int_equal(f->generations, 1);
	tick_at(f, -3480);
	assert_log(f, "run -3480;");
	tick_at(f, -86400);
	assert_int_equal(f->generations, 2);
	tick_at(f, -86340);
	assert_log(f, "run -86340;");
}

static void test_backward_step_daily(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "0 7 * * *", -60);
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 0);
	assert_log(f, "run 0;");
	tick_at(f, -3600);
	tick_at(f, 0); /* this morning's slot is settled */
	assert_log(f, "");
	assert_int_equal(f->generations, 1);
	tick_at(f, 86400);
	assert_log(f, "run 86400;");
	tick_at(f, 0); /* a day: the clock was wrong before */
	tick_at(f, 86400);
	assert_log(f, "run 86400;");
}

static void test_watermark_in_the_future(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "0 7 * * *", 10 * 365 * 86400);
	sched_set_conf(f->sched, &f->conf);
	assert_int_equal(f->states[0].watermark_s, T0);
	tick_at(f, 86400);
	assert_log(f, "run 86400;");
}

static void test_pause(void **state)
{
	struct fixture *f = *state;
	struct slot slot;
	int64_t at;

	add(f, "a", "0 * * * *", 0);
	sched_set_conf(f->sched, &f->conf);
	f->states[0].is_paused = true;
	sched_refresh(f->sched, "a");
	assert_int_equal(sched_next(f->sched, "a", &slot, &at), -ENOENT);
	tick_at(f, 7 * 86400 + 10);
	assert_log(f, "");
	f->states[0].paused_until_s = T0 + 7 * 86400 + 10; /* what resume does */
	sched_refresh(f->sched, "a");
	assert_log(f, ""); /* from the loop, not from inside the call */
	tick_at(f, 7 * 86400 + 20);
	assert_log(f, "skip paused 3600..604800 x168;");
	assert_int_equal(f->states[0].watermark_s, T0 + 7 * 86400 + 20);
	tick_at(f, 7 * 86400 + 3600);
	assert_log(f, "run 608400;");
}

static void test_failed_commit(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "* * * * *", 0);
	sched_set_conf(f->sched, &f->conf);
	f->is_commit_failing = true;
	tick_at(f, 60); /* returns: the slot stays due, but each tick tries once */
	assert_log(f, "run 60;");
	f->is_commit_failing = false;
	tick_at(f, 65);
	assert_log(f, "run 60;");
	tick_at(f, 66);
	assert_log(f, "");
}

/* Slots wait for the run, then the newest starts at its end. */
static void test_queue_one(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "* * * * *", 0)->overlap = CONF_OVERLAP_QUEUE_ONE;
	sched_set_conf(f->sched, &f->conf);
	f->states[0].active = SCHED_RUNNING;
	tick_at(f, 60);
	tick_at(f, 605);
	assert_log(f, "");
	f->states[0].active = SCHED_IDLE;
	sched_refresh(f->sched, "a");
	assert_log(f, ""); /* from the loop, not from inside the call */
	loop_turn(f->loop, false);
	assert_log(f, "coalesce coalesced 60..540 x9;run 600;");
}

static void test_replace(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "* * * * *", 0)->overlap = CONF_OVERLAP_REPLACE;
	sched_set_conf(f->sched, &f->conf);
	f->states[0].active = SCHED_RUNNING;
	tick_at(f, 60);
	tick_at(f, 61); /* told once: it is being cancelled */
	assert_log(f, "replace superseded 60..60 x1;");
	f->states[0].active = SCHED_IDLE;
	sched_refresh(f->sched, "a");
	tick_at(f, 62);
	assert_log(f, "run 60;");
}

static void test_pause_that_ends(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "0 * * * *", 0);
	sched_set_conf(f->sched, &f->conf);
	f->states[0].is_paused = true;
	f->states[0].paused_until_s = T0 + 2 * 3600 + 5;
	sched_refresh(f->sched, "a");
	tick_at(f, 2 * 3600);
	assert_log(f, "");
	tick_at(f, 2 * 3600 + 5);
	assert_log(f, "skip paused 3600..7200 x2;");
	assert_false(f->states[0].is_paused);
	tick_at(f, 3 * 3600);
	assert_log(f, "run 10800;");
}

/* Its end is seen after a restart too, when the file no longer pauses the job. */
static void test_pause_in_the_configuration(void **state)
{
	struct fixture *f = *state;
	struct conf_job *job = add(f, "a", "0 * * * *", 0);

	job->is_paused = true;
	sched_set_conf(f->sched, &f->conf);
	assert_true(f->states[0].was_paused);
	tick_at(f, 2 * 3600);
	assert_log(f, "");
	job->is_paused = false;
	f->clock.wall = (T0 + 3 * 3600) * USEC_PER_SEC;
	start(f, &f->clock.clock);
	sched_set_conf(f->sched, &f->conf);
	sched_tick(f->sched);
	assert_log(f, "skip paused 3600..10800 x3;");
	tick_at(f, 4 * 3600);
	assert_log(f, "run 14400;");
}

static void hold_until(struct fixture *f, int64_t not_before, int64_t not_after)
{
	const struct sched_hold hold = {T0 + not_before, not_after ? T0 + not_after : 0};

	sched_hold(f->sched, &hold);
	sched_set_conf(f->sched, &f->conf);
	sched_tick(f->sched);
}

/* No battery: the clock says 1970, then NTP sets it. */
static void test_hold_at_a_clock_of_1970(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "0 * * * *", 0);
	f->clock.wall = 5 * USEC_PER_SEC;
	hold_until(f, 0, 0);
	assert_true(sched_is_held(f->sched));
	clock_fake_advance(&f->clock, 10 * USEC_PER_SEC);
	loop_turn(f->loop, false); /* it looks again */
	assert_int_equal(f->states[0].watermark_s, T0);
	tick_at(f, 2 * 3600 + 10);
	assert_log(f, "coalesce coalesced 3600..3600 x1;run 7200;");
	assert_false(sched_is_held(f->sched));
	assert_int_equal(f->clock_events[SCHED_CLOCK_HELD], 1);
	assert_int_equal(f->clock_events[SCHED_CLOCK_RELEASED], 1);
	assert_int_equal(f->generations, 0);
}

static void test_hold_ends(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "0 * * * *", 0);
	f->clock.wall = 5 * USEC_PER_SEC;
	hold_until(f, 0, 0);
	clock_fake_advance(&f->clock, 599 * USEC_PER_SEC);
	sched_tick(f->sched);
	assert_true(sched_is_held(f->sched));
	clock_fake_advance(&f->clock, USEC_PER_SEC);
	sched_tick(f->sched); /* then it counts as a correction */
	assert_false(sched_is_held(f->sched));
	assert_int_equal(f->states[0].watermark_s, 605);
	assert_int_equal(f->generations, 1);
	clock_fake_advance(&f->clock, 2995 * USEC_PER_SEC);
	sched_tick(f->sched);
	assert_int_equal(f->states[0].watermark_s, 3600);
}

static void test_hold_at_a_clock_far_ahead(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "0 7 * * *", 0);
	f->clock.wall = (T0 + 401 * 86400) * USEC_PER_SEC;
	f->clock.is_unsynchronised = true;
	hold_until(f, 0, 400 * 86400);
	assert_true(sched_is_held(f->sched));
	f->clock.is_unsynchronised = false; /* so long it was off, then */
	sched_tick(f->sched);
	assert_false(sched_is_held(f->sched));
	assert_int_equal(f->starts, 1);
	start(f, &f->clock.clock);
	hold_until(f, 0, 402 * 86400);
	assert_false(sched_is_held(f->sched));
}

/* Each tick costs the logarithm of the jobs, not the jobs. */
static void test_heap_cost(void **state)
{
	struct fixture *f = *state;
	char name[16], every[24];
	uint64_t before;

	for (int i = 0; i < MAX_JOBS; i++) {
		snprintf(name, sizeof(name), "job-%05d", i);
		snprintf(every, sizeof(every), "%d %d * * *", i % 60, i / 60 % 24);
		add(f, name, every, 0);
	}
	sched_set_conf(f->sched, &f->conf);
	before = sched_heap_steps(f->sched);
	for (int i = 1; i <= 1440; i++)
		tick_at(f, i * 60);
	assert_int_equal(f->starts, MAX_JOBS);
	/* out at the top and in again at the bottom: 2 * (log2(10,000) + 1) at most */
	assert_in_range(sched_heap_steps(f->sched) - before, MAX_JOBS, MAX_JOBS * 30);
}

static void test_many_jobs_one_second(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (int i = 0; i < MAX_JOBS; i++) {
		snprintf(name, sizeof(name), "job-%05d", i);
		add(f, name, "0 * * * *", 0);
	}
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 3599);
	assert_int_equal(f->starts, 0);
	tick_at(f, 3600);
	assert_int_equal(f->starts, MAX_JOBS);
	tick_at(f, 3601);
	assert_int_equal(f->starts, MAX_JOBS);
	for (int i = 0; i < MAX_JOBS; i++)
		assert_int_equal(f->states[i].watermark_s, T0 + 3600);
}

static void test_jitter(void **state)
{
	struct fixture *f = *state;
	int64_t first[20], at, distinct = 0;
	struct slot slot;
	char name[16];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "j%02d", i);
		add(f, name, "0 * * * *", 0)->jitter_s = 900;
	}
	sched_set_conf(f->sched, &f->conf);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(
			sched_next(f->sched, f->jobs[i]->name, &slot, &first[i]), 0);
		assert_int_equal(slot.at_s, T0 + 3600);
		assert_in_range(first[i] - slot.at_s, 0, 900);
		distinct += i > 0 && first[i] != first[i - 1];
	}
	assert_true(distinct > 10);
	start(f, &f->clock.clock); /* a restart */
	sched_set_conf(f->sched, &f->conf);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sched_next(f->sched, f->jobs[i]->name, &slot, &at), 0);
		assert_int_equal(at, first[i]);
		if (at > T0 + 3600) {
			tick_at(f, at - T0 - 1);
			assert_int_equal(f->states[i].watermark_s, T0);
		}
		tick_at(f, at - T0);
		assert_int_equal(f->states[i].watermark_s, T0 + 3600);
		f->clock.wall = T0 * USEC_PER_SEC;
		for (int k = 0; k < 20; k++)
			f->states[k].watermark_s = T0;
		start(f, &f->clock.clock);
		sched_set_conf(f->sched, &f->conf);
	}
}

/* Between a slot and its start: no reload starts it sooner, later, or twice. */
static void test_a_hundred_reloads_within_a_jitter(void **state)
{
	struct fixture *f = *state;
	struct slot slot;
	int64_t at, again;

	add(f, "a", "0 * * * *", 0)->jitter_s = 900;
	sched_set_conf(f->sched, &f->conf);
	assert_int_equal(sched_next(f->sched, "a", &slot, &at), 0);
	for (int i = 0; i < 100; i++) {
		tick_at(f, at - T0 - 100 + i);
		sched_set_conf(f->sched, &f->conf);
		assert_int_equal(sched_next(f->sched, "a", &slot, &again), 0);
		assert_int_equal(again, at);
	}
	assert_log(f, "");
	tick_at(f, at - T0);
	sched_set_conf(f->sched, &f->conf);
	sched_tick(f->sched);
	assert_log(f, "run 3600;");
}

static void test_jitter_stays_below_next(void **state)
{
	struct fixture *f = *state;
	struct slot slot;
	int64_t at;

	add(f, "a", "* * * * *", 0)->jitter_s = 86400;
	sched_set_conf(f->sched, &f->conf);
	assert_int_equal(sched_next(f->sched, "a", &slot, &at), 0);
	assert_in_range(at - slot.at_s, 0, 59);
	tick_at(f, 119);
	assert_log(f, "run 60;");
	tick_at(f, 179);
	assert_log(f, "run 120;");
}

/* 2026-10-25 in Berlin: 02:30 comes twice, a daily job runs once. */
static void test_dst_night(void **state)
{
	const int64_t first_pass = 1792888200; /* 00:30Z = 02:30 CEST */
	struct fixture *f = *state;
	struct conf_job *job = add(f, "a", "30 2 * * *", first_pass - 60 - T0);

	assert_int_equal(compile(job, "30 2 * * *", "Europe/Berlin"), 0);
	f->clock.wall = (first_pass - 60) * USEC_PER_SEC;
	sched_set_conf(f->sched, &f->conf);
	for (int64_t at = first_pass - 60; at <= first_pass + 7200; at += 60)
		tick_at(f, at - T0);
	assert_int_equal(f->starts, 1);
	assert_int_equal(f->states[0].watermark_s, first_pass);
}

/* A slot without success: after an hour, or when the next one comes, whichever is first. */
static void test_overdue(void **state)
{
	struct fixture *f = *state;
	struct slot slot;

	add(f, "a", "0 7 * * *", 0);
	f->states[0].served_s = T0;
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 86400);
	f->states[0].active = SCHED_RUNNING;
	sched_refresh(f->sched, "a");
	tick_at(f, 86400 + 7200); /* long, but under way */
	assert_log(f, "run 86400;");
	f->states[0].active = SCHED_IDLE;
	sched_refresh(f->sched, "a"); /* it failed */
	assert_log(f, "");            /* from the loop, not from inside the call */
	loop_turn(f->loop, false);
	assert_log(f, "overdue 86400;");
	assert_int_equal(sched_overdue_count(f->sched), 1);
	assert_true(sched_is_overdue(f->sched, "a", &slot));
	assert_int_equal(slot.at_s, T0 + 86400);
	sched_set_conf(f->sched, &f->conf); /* a reload tells nothing new */
	tick_at(f, 2 * 86400);
	assert_log(f, "run 172800;");
	f->states[0].served_s = T0 + 2 * 86400;
	sched_refresh(f->sched, "a");
	loop_turn(f->loop, false);
	assert_log(f, "served;");
	assert_int_equal(sched_overdue_count(f->sched), 0);
	tick_at(f, 3 * 86400);
	tick_at(f, 3 * 86400 + 3599);
	assert_log(f, "run 259200;");
	tick_at(f, 3 * 86400 + 3600);
	assert_log(f, "overdue 259200;");
	f->states[0].is_paused = true; /* of a pause nothing is expected */
	sched_refresh(f->sched, "a");
	loop_turn(f->loop, false);
	assert_log(f, "served;");
}

/* At the hour that the job names: no earlier, and also when its run is still at work. */
static void test_overdue_by_the_hour(void **state)
{
	struct fixture *f = *state;
	const struct schedule_spec nine = {.syntax = SCHEDULE_CRON,
		.timezone = "UTC",
		.expression = "0 9 * * *"};
	struct schedule_error error;
	struct schedule *by;

	assert_int_equal(schedule_new(&nine, &by, &error), 0);
	add(f, "a", "0 7 * * *", 0);
	f->jobs[0]->expect.by = by;
	f->states[0].served_s = T0;
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 86400);
	tick_at(f, 86400 + 2 * 3600 - 1); /* it failed, and has two hours */
	assert_log(f, "run 86400;");
	f->states[0].active = SCHED_RUNNING;
	sched_refresh(f->sched, "a");
	tick_at(f, 86400 + 2 * 3600);
	assert_log(f, "overdue 86400;");
	f->states[0].active = SCHED_IDLE;
	f->states[0].served_s = T0 + 86400;
	sched_refresh(f->sched, "a");
	loop_turn(f->loop, false);
	assert_log(f, "served;");
	f->jobs[0]->expect.by = NULL;
	schedule_free(by);
}

static void test_overdue_when_the_next_comes(void **state)
{
	struct fixture *f = *state;

	add(f, "a", "*/10 * * * *", 0);
	f->states[0].served_s = T0;
	sched_set_conf(f->sched, &f->conf);
	tick_at(f, 600);
	f->states[0].active = SCHED_RUNNING;
	tick_at(f, 1199);
	assert_log(f, "run 600;");
	tick_at(f, 1200);
	assert_log(f, "skip overlap 1200..1200 x1;overdue 600;");
}

/* --- zones --- */

#define ZONES "/tmp/s3ferry-zones-XXXXXX"

struct zones {
	char dir[sizeof(ZONES)];
	struct fixture *f;
};

/* A zone that only its footer describes; the 32-bit block is empty. */
static void write_zone(const struct zones *z, const char *footer)
{
	static const char head[] = "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	static const char counts[24] = {[19] = 1, [23] = 4}; /* one type, "XXX" */
	static const char type[10] = {0, 0, 0, 0, 0, 0, 'X', 'X', 'X', 0};
	char path[64], fresh[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/Zone", z->dir);
	snprintf(fresh, sizeof(fresh), "%s/fresh", z->dir);
	file = fopen(fresh, "we");
	assert_non_null(file);
	for (int i = 0; i < 2; i++) {
		fwrite(head, 1, 20, file);
		fwrite(counts, 1, 24, file);
		fwrite(type, 1, 10, file);
	}
	fprintf(file, "\n%s\n", footer);
	fclose(file);
	assert_int_equal(rename(fresh, path), 0); /* as a package does it: a new inode */
}

static void begin_zones(struct zones *z, struct fixture *f, const char *expression)
{
	struct schedule_spec spec = {.expression = expression, .timezone = "Zone"};
	struct schedule_error e;
	struct conf_job *job = add(f, "a", "0 0 * * *", 0);

	z->f = f;
	snprintf(z->dir, sizeof(z->dir), "%s", ZONES);
	assert_non_null(mkdtemp(z->dir));
	write_zone(z, "XXX-1");
	spec.zones = f->conf.zones = tz_set_new(z->dir);
	schedule_free(job->schedule);
	assert_int_equal(schedule_new(&spec, &job->schedule, &e), 0);
	sched_set_conf(f->sched, &f->conf);
}

static void end_zones(struct zones *z)
{
	struct fixture *f = z->f;
	char path[64];

	f->jobs[0]->schedule = schedule_free(f->jobs[0]->schedule);
	f->conf.zones = tz_set_free(f->conf.zones);
	snprintf(path, sizeof(path), "%s/Zone", z->dir);
	remove(path);
	assert_int_equal(remove(z->dir), 0);
}

/* Today's slot ran at 07:00Z; by the new rules it would be at 08:00Z. */
static void test_a_zone_moves_todays_slot_after_it_ran(void **state)
{
	struct fixture *f = *state;
	struct zones z;
	struct slot slot;
	int64_t at;

	begin_zones(&z, f, "0 8 * * *");
	f->states[0].watermark_s = T0 - 86400;
	sched_refresh(f->sched, "a");
	tick_at(f, 0);
	assert_log(f, "run 0;");
	write_zone(&z, "XXX0");
	tick_at(f, 10);
	assert_int_equal(f->clock_events[SCHED_CLOCK_ZONES], 1);
	assert_int_equal(f->states[0].watermark_s, T0 + 3600);
	tick_at(f, 3600);
	tick_at(f, 7200);
	assert_log(f, "");
	assert_int_equal(sched_next(f->sched, "a", &slot, &at), 0);
	assert_int_equal(slot.at_s, T0 + 86400 + 3600);
	end_zones(&z);
}

/* Of 08:00 and 09:00 the first ran; by the new rules both are in the past: the second runs. */
static void test_a_zone_moves_a_slot_into_the_past(void **state)
{
	struct fixture *f = *state;
	struct zones z;

	begin_zones(&z, f, "0 8,9 * * *");
	f->states[0].watermark_s = T0 - 3600;
	sched_refresh(f->sched, "a");
	tick_at(f, 0);
	assert_log(f, "run 0;");
	write_zone(&z, "XXX-3");
	tick_at(f, 600);
	assert_log(f, "run! -3600;");
	tick_at(f, 7200);
	assert_log(f, "");
	end_zones(&z);
}

/* A file that is being written, or gone: the old rules hold until it can be read. */
static void test_a_zone_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	struct zones z;
	char path[64];
	FILE *file;

	begin_zones(&z, f, "0 8 * * *");
	snprintf(path, sizeof(path), "%s/Zone", z.dir);
	file = fopen(path, "we");
	fputs("TZif2, but no more", file);
	fclose(file);
	tick_at(f, 10);
	remove(path);
	tick_at(f, 20);
	assert_int_equal(f->clock_events[SCHED_CLOCK_ZONES], 0);
	tick_at(f, 86400);
	assert_log(f, "run 86400;");
	write_zone(&z, "XXX-2");
	tick_at(f, 86410);
	assert_int_equal(f->clock_events[SCHED_CLOCK_ZONES], 1);
	tick_at(f, 2 * 86400 - 3600);
	assert_log(f, "run 169200;");
	end_zones(&z);
}

/* Between wakes the files are looked at each hour at least, as each wake looks. */
static void test_a_wake_each_hour(void **state)
{
	struct fixture *f = *state;
	int before;

	add(f, "a", "0 7 1 1 *", 0);
	sched_set_conf(f->sched, &f->conf);
	before = f->ticks;
	for (int i = 0; i < 10; i++) {
		clock_fake_advance(&f->clock, 3600 * USEC_PER_SEC);
		loop_turn(f->loop, false);
	}
	assert_int_equal(f->ticks - before, 10);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_on_time),
		TEST(test_loop_wakes),
		TEST(test_timerfd),
		TEST(test_late),
		TEST(test_catch_up),
		TEST(test_ten_thousand_missed),
		TEST(test_overlap),
		TEST(test_new_and_edited),
		TEST(test_backward_steps),
		TEST(test_backward_step_daily),
		TEST(test_watermark_in_the_future),
		TEST(test_pause),
		TEST(test_failed_commit),
		TEST(test_queue_one),
		TEST(test_replace),
		TEST(test_pause_that_ends),
		TEST(test_pause_in_the_configuration),
		TEST(test_hold_at_a_clock_of_1970),
		TEST(test_hold_ends),
		TEST(test_hold_at_a_clock_far_ahead),
		TEST(test_heap_cost),
		TEST(test_many_jobs_one_second),
		TEST(test_jitter),
		TEST(test_jitter_stays_below_next),
		TEST(test_dst_night),
		TEST(test_ten_years_ahead_and_back),
		TEST(test_a_hundred_reloads_within_a_jitter),
		TEST(test_overdue),
		TEST(test_overdue_by_the_hour),
		TEST(test_overdue_when_the_next_comes),
		TEST(test_a_zone_moves_todays_slot_after_it_ran),
		TEST(test_a_zone_moves_a_slot_into_the_past),
		TEST(test_a_zone_that_cannot_be_read),
		TEST(test_a_wake_each_hour),
	};

	return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
