/*
 * The core's side of scheduling on a clock that a script moves: the real scheduler,
 * ledger, queue, pauses and recovery, above runs that do nothing but end when the script
 * said. One command a line on stdin; model.py is the other side, and compares.
 *
 *   begin DIR CONF WALL       a new history in an empty directory
 *   runs JOB SECONDS:END ...  how long its first, second, ... start lasts, and how it
 * ends: s succeeded, f failed; the last one is for all that follow up | crash a life of
 * the daemon begins, or ends as by kill -9 to SECONDS                time goes on to so
 * many seconds since begin asleep SECONDS            the same without a turn of the loop
 * before its end step SECONDS              the wall clock is set, forward or back conf
 * PATH                 another configuration, by reload where the daemon is up pause JOB
 * SECONDS | resume JOB | run JOB      SECONDS 0: until resumed end the ledger, one row a
 * line, then "."
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_load.h"
#include "daemon/core_impl.h"
#include "net/loop.h"

#define JOBS_MAX 256
#define RUNS_MAX 64
#define GRACE_US (5 * USEC_PER_SEC + 370 * USEC_PER_MSEC) /* of a cancelled run */
#define TAIL_US  (370 * USEC_PER_MSEC) /* ends never meet a whole second */

struct lasting {
	char job[64];
	int64_t seconds[RUNS_MAX];
	char end[RUNS_MAX];
	size_t count, used;
};

struct run {
	struct list link;
	uint64_t serial;
	struct run_ops ops;
	const struct conf_job *job; /* of conf */
	struct lasting *lasting;
	int64_t ends_us; /* monotonic */
	enum run_verdict verdict;
	const char *reason;
	const struct conf *conf;
};

/* The one history that is being played; run_new() has no other way to it. */
static struct model {
	struct clock_fake clock;
	struct core *core; /* NULL: the daemon is down */
	char dir[256], conf[256];
	int64_t began_us;
	struct lasting lastings[JOBS_MAX];
	size_t lasting_count;
	struct list runs;
	bool is_telling;
	int64_t commits_left; /* until we are killed; 0: we are not */
	bool is_killed_after;
} model;

/* --- the end of us --- */

int __real_store_commit(struct store *s);
int __wrap_store_commit(struct store *s);

/* The linker puts it in store_commit()'s place: the daemon has no hook for it. */
int __wrap_store_commit(struct store *s)
{
	bool is_last = model.commits_left && --model.commits_left == 0;
	int r;

	if (is_last && !model.is_killed_after)
		raise(SIGKILL);
	r = __real_store_commit(s);
	if (is_last)
		raise(SIGKILL);
	return r;
}

/* There are no engines. */
void __wrap_engine_set_limit(struct engine_set *set, uint64_t tag, int64_t bytes_s);
void __wrap_engine_set_limit(struct engine_set *set, uint64_t tag, int64_t bytes_s)
{
}

/* --- runs that only last --- */

struct run *run_new(const struct run_env *env, const struct conf *conf,
	const struct conf_job *job, const char *id, uint64_t serial,
	const struct run_options *options)
{
	struct run *r = mem_alloc(sizeof(*r));

	r->serial = serial;
	r->job = job;
	r->conf = conf_ref(conf);
	for (size_t i = 0; i < model.lasting_count; i++)
		if (str_eq(model.lastings[i].job, job->name))
			r->lasting = &model.lastings[i];
	list_init(&r->link);
	return r;
}

void *run_free(struct run *r)
{
	if (r) {
		list_remove(&r->link);
		conf_unref(r->conf);
		free(r);
	}
	return NULL;
}

void run_start(struct run *r, const struct run_ops *ops)
{
	struct lasting *l = r->lasting;
	size_t i = l->used < l->count ? l->used++ : l->count - 1;

	r->ops = *ops;
	r->ends_us = model.clock.mono + l->seconds[i] * USEC_PER_SEC + TAIL_US;
	r->verdict = l->end[i] == 's' ? RUN_ENDED_SUCCEEDED : RUN_ENDED_FAILED;
	r->reason = l->end[i] == 's' ? "" : "network";
	list_append(&model.runs, &r->link);
	if (!model.is_telling)
		return;
	/* The core's record of this run is what ops.arg points at. */
	printf("started\t%s\t%lld\n", l->job,
		(long long)((struct core_run *)ops->arg)->row.nominal_at);
	fflush(stdout);
}

void run_cancel(struct run *r, enum run_cancel_why why)
{
	if (r->ends_us > model.clock.mono + GRACE_US)
		r->ends_us = model.clock.mono + GRACE_US;
	r->verdict = RUN_ENDED_CANCELLED;
	r->reason = why == RUN_CANCEL_SUPERSEDED ? "superseded" : "cancelled";
}

void run_on_engine(struct run *r, const struct engine_ev *ev)
{
}

uint64_t run_serial_of_creds(uint32_t creds_id)
{
	return creds_id;
}

uint64_t run_serial(const struct run *r)
{
	return r->serial;
}

const char *run_id(const struct run *r)
{
	return "";
}

const struct conf_job *run_job(const struct run *r)
{
	return r->job;
}

void run_get_key(const struct run *r, uint64_t xfer, int side, char *ret_key)
{
	*ret_key = '\0';
}

const struct compare_delivered *run_get_delivered(struct run *r)
{
	return NULL;
}

const char *run_get_asked(const struct run *r)
{
	return NULL;
}

bool run_is_single(const struct run *r)
{
	return false;
}

void run_get_progress(const struct run *r, struct run_progress *ret)
{
	*ret = (struct run_progress){.bytes_total = -1};
}

static void end_run(struct run *r)
{
	struct run_report report = {.verdict = r->verdict};

	snprintf(report.reason, sizeof(report.reason), "%s", r->reason);
	list_remove(&r->link);
	list_init(&r->link);
	r->ops.done(r->ops.arg, r, &report);
}

/* --- time --- */

static void settle(void)
{
	if (model.core && sched_is_held(model.core->sched))
		sched_tick(model.core->sched); /* it looks each 10 s, we each minute */
	for (int i = 0; i < 6 && model.core; i++)
		loop_turn(model.core->loop, false);
}

static struct run *first_to_end(void)
{
	struct run *r, *first = NULL;

	LIST_FOREACH (r, &model.runs, link)
		if (!first || r->ends_us < first->ends_us)
			first = r;
	return first;
}

/* From minute to minute of the wall clock, and to each end of a run. */
static void go_to(int64_t until_us)
{
	while (model.clock.mono < until_us) {
		int64_t minute = 60 * USEC_PER_SEC;
		int64_t next = model.clock.mono + minute - model.clock.wall % minute;
		struct run *r = model.core ? first_to_end() : NULL;

		if (next > until_us)
			next = until_us;
		if (r && r->ends_us < next)
			next = r->ends_us;
		clock_fake_advance(&model.clock, next - model.clock.mono);
		settle();
		while (model.core && (r = first_to_end()) &&
			r->ends_us <= model.clock.mono) {
			end_run(r);
			settle();
		}
	}
}

static void sleep_until(int64_t until_us)
{
	struct run *r;

	if (until_us > model.clock.mono)
		clock_fake_advance(&model.clock, until_us - model.clock.mono);
	settle();
	while (model.core && (r = first_to_end()) && r->ends_us <= model.clock.mono) {
		end_run(r);
		settle();
	}
}

static void step(int64_t seconds)
{
	if (model.core)
		sched_tick(model.core->sched); /* so that both know what was seen last */
	settle();
	model.clock.wall += seconds * USEC_PER_SEC;
	/* The kernel's timer tells of each step. */
	if (model.core)
		sched_tick(model.core->sched);
	settle();
}

/* --- lives of the daemon --- */

static void die(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static void nothing(void *arg)
{
}

static void load(struct core *c)
{
	struct conf_messages messages;

	if (conf_load(model.conf, &c->conf, &messages) < 0)
		die("a configuration with errors");
	conf_messages_done(&messages);
}

static void up(void)
{
	struct core *c = mem_alloc(sizeof(*c));
	enum store_open_result how;
	struct sched_ops ops;
	char moved[512];
	int64_t pid;

	list_init(&c->queued);
	list_init(&c->active);
	c->clock = &model.clock.clock;
	c->config_path = mem_strdup(model.conf);
	c->loop = loop_new(c->clock);
	c->status_timer = loop_timer_new(c->loop, nothing, c);
	c->bandwidth_timer = loop_timer_new(c->loop, nothing, c);
	load(c);
	if (store_open(model.dir, &c->store, &how, moved, &pid) < 0)
		die("the state cannot be opened");
	core_recover(c);
	c->sched = sched_new(c->loop, c->clock, core_sched_ops(c, &ops));
	core_sched_hold(c);
	core_sched_take_conf(c);
	model.core = c;
	core_start_queued(c);
	sched_tick(c->sched);
	settle();
	if (c->exit_code)
		die("the state cannot be written");
}

static void drop(struct list *runs)
{
	struct core_run *cr, *tmp;

	LIST_FOREACH_SAFE (cr, tmp, runs, link) {
		list_remove(&cr->link);
		run_free(cr->run);
		free(cr);
	}
}

static void crash(void)
{
	struct core *c = model.core;

	if (!c)
		return;
	sched_tick(c->sched); /* so that both know what was seen last */
	settle();
	model.core = NULL;
	store_close(c->store); /* what was not committed is gone */
	drop(&c->active);
	drop(&c->queued);
	sched_free(c->sched);
	conf_unref(c->conf);
	loop_timer_free(c->status_timer);
	loop_timer_free(c->bandwidth_timer);
	loop_free(c->loop);
	free(c->config_path);
	free(c);
}

static void change_conf(const char *path)
{
	_cleanup_free_ char *changes = NULL, *errors = NULL;

	snprintf(model.conf, sizeof(model.conf), "%s", path);
	if (!model.core)
		return;
	free(model.core->config_path);
	model.core->config_path = mem_strdup(path);
	if (core_reload(model.core, &changes, &errors) < 0)
		die(errors);
	settle();
}

static void pause_job(const char *job, int64_t seconds)
{
	core_pause(model.core, job, seconds ? core_now_s(model.core) + seconds : 0);
	sched_refresh(model.core->sched, job);
	settle();
}

static void resume_job(const char *job)
{
	core_resume(model.core, job);
	sched_refresh(model.core->sched, job);
	settle();
}

static void run_job_now(const char *job)
{
	int r;

	core_claim_manual(model.core, job, 0, &r);
	core_start_queued(model.core);
	settle();
}

/* --- the script --- */

static void print_row(void *arg, const struct store_run *row)
{
	printf("%s\t%s\t%lld\t%lld\t%lld\t%lld\t%lld\t%s\t%s\t%s\t%d\t%lld\t%lld\n",
		row->job, strncmp(row->slot, "manual/", 7) == 0 ? "manual" : row->slot,
		(long long)row->clock_gen, (long long)row->nominal_at,
		(long long)row->first_at, (long long)row->last_at, (long long)row->count,
		run_state_name(row->state), row->reason, run_trigger_name(row->trigger),
		row->attempts, (long long)row->started_at, (long long)row->ended_at);
}

static void end(void)
{
	struct store *store = model.core ? model.core->store : NULL;
	enum store_open_result how;
	char moved[512];
	int64_t pid;

	if (!store && store_open(model.dir, &store, &how, moved, &pid) < 0)
		die("the state cannot be opened");
	store_run_history(store, NULL, 1000000, print_row, NULL);
	if (!model.core)
		store_close(store);
	crash();
	puts(".");
	fflush(stdout);
}

static void begin(const char *dir, const char *conf, int64_t wall_s)
{
	snprintf(model.dir, sizeof(model.dir), "%s", dir);
	snprintf(model.conf, sizeof(model.conf), "%s", conf);
	clock_fake_init(&model.clock, wall_s * USEC_PER_SEC);
	model.began_us = model.clock.mono;
	model.lasting_count = 0;
	list_init(&model.runs);
}

static void take_runs(char *rest)
{
	struct lasting *l = &model.lastings[model.lasting_count++];
	char *save, *word = strtok_r(rest, " ", &save);

	*l = (struct lasting){0};
	snprintf(l->job, sizeof(l->job), "%s", word);
	while ((word = strtok_r(NULL, " ", &save)) && l->count < RUNS_MAX) {
		l->seconds[l->count] = strtoll(word, NULL, 10);
		l->end[l->count++] = word[strlen(word) - 1];
	}
}

static void obey(char *line)
{
	char verb[16] = "", a[256] = "", b[256] = "", c[32] = "";
	int64_t n;

	sscanf(line, "%15s %255s %255s %31s", verb, a, b, c);
	n = strtoll(a, NULL, 10);
	if (str_eq(verb, "begin"))
		begin(a, b, strtoll(c, NULL, 10));
	else if (str_eq(verb, "runs"))
		take_runs(line + strlen("runs "));
	else if (str_eq(verb, "up"))
		up();
	else if (str_eq(verb, "crash"))
		crash();
	else if (str_eq(verb, "to"))
		go_to(model.began_us + n * USEC_PER_SEC);
	else if (str_eq(verb, "asleep"))
		sleep_until(model.began_us + n * USEC_PER_SEC);
	else if (str_eq(verb, "step"))
		step(n);
	else if (str_eq(verb, "conf"))
		change_conf(a);
	else if (str_eq(verb, "pause"))
		pause_job(a, strtoll(b, NULL, 10));
	else if (str_eq(verb, "resume"))
		resume_job(a);
	else if (str_eq(verb, "run"))
		run_job_now(a);
	else if (str_eq(verb, "tell"))
		model.is_telling = true;
	else if (str_eq(verb, "kill")) {
		model.commits_left = n;
		model.is_killed_after = str_eq(b, "after");
	} else if (str_eq(verb, "end"))
		end();
	else
		die(line);
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	log_set_level(LOG_ERR);
	while ((len = getline(&line, &size, stdin)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		obey(line);
	}
	free(line);
	return 0;
}
