/*
 * The ledger and what runs: decisions of the scheduler are committed here, then started;
 * ended runs are written back. Not when (sched) and not how (run).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"
#include "engine/engine_msg.h"
#include "net/loop.h"
#include "run/message_ids.h"

#define ATTEMPTS_MAX 10
#define KEEP_RUNS    200

void core_store_failed(struct core *c, int error, const char *what)
{
	log_err(NULL, "the state could not be written (%s): %s; stopping", what,
		strerror(-error));
	c->exit_code = error == -EACCES || error == -EPERM ? CORE_EXIT_PERM : CORE_EXIT_IO;
	loop_stop(c->loop);
}

static struct core_run *find_active(struct core *c, uint64_t serial)
{
	struct core_run *cr;

	LIST_FOREACH (cr, &c->active, link) {
		if (run_serial(cr->run) == serial)
			return cr;
	}
	return NULL;
}

struct core_run *core_find_run(struct core *c, const char *id_or_job)
{
	struct list *const lists[] = {&c->active, &c->queued};
	struct core_run *cr;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		LIST_FOREACH (cr, lists[i], link) {
			if (strcmp(cr->row.id, id_or_job) == 0 ||
				strcmp(cr->row.job, id_or_job) == 0)
				return cr;
		}
	}
	return NULL;
}

void core_on_engine(void *arg, const struct engine_ev *ev)
{
	struct core *c = arg;
	uint64_t serial =
		ev->type == ENGINE_EV_NEED_CREDS ? run_serial_of_creds(ev->creds_id) : ev->tag;
	struct core_run *cr = find_active(c, serial);

	if (cr) {
		core_uploads_on_engine(cr, ev);
		run_on_engine(cr->run, ev);
	}
	free(ev->result);
	free(ev->upload);
}

static void save_row(struct core *c, const struct store_run *row)
{
	int r = store_run_update(c->store, row);

	if (r < 0)
		core_store_failed(c, r, "run");
}

static void *core_run_free(void *p)
{
	struct core_run *cr = p;

	run_free(cr->run);
	core_uploads_drop(cr);
	free(cr);
	return NULL;
}

/* --- the end of a run --- */

static void on_waiting(void *arg, struct run *run, bool is_waiting)
{
	struct core_run *cr = arg;

	cr->row.state = is_waiting ? RUN_RETRY_WAIT : RUN_RUNNING;
	save_row(cr->core, &cr->row);
}

static enum run_state state_of(enum run_verdict v)
{
	static const enum run_state states[] = {
		[RUN_ENDED_SUCCEEDED] = RUN_SUCCEEDED,
		[RUN_ENDED_PARTIAL] = RUN_PARTIAL,
		[RUN_ENDED_FAILED] = RUN_FAILED,
		[RUN_ENDED_CANCELLED] = RUN_CANCELLED,
		[RUN_ENDED_INTERRUPTED] = RUN_CLAIMED,
	};
	return states[v];
}

static int write_end(struct core_run *cr)
{
	struct core *c = cr->core;
	struct store_job job;
	int r = store_begin(c->store);

	if (r < 0)
		return r;
	r = store_run_update(c->store, &cr->row);
	if (r == 0 && store_job_get(c->store, cr->row.job, &job) == 0) {
		job.last_run_at = core_now_s(c);
		if (cr->row.state == RUN_SUCCEEDED) {
			job.last_success_at = job.last_run_at;
			job.consecutive_failures = 0;
		} else if (cr->row.state == RUN_FAILED || cr->row.state == RUN_PARTIAL) {
			job.consecutive_failures++;
		}
		r = store_job_put(c->store, &job);
	}
	if (r < 0) {
		store_rollback(c->store);
		return r;
	}
	return store_commit(c->store);
}

static void on_done(void *arg, struct run *run, const struct run_report *report)
{
	struct core_run *cr = arg;
	struct core *c = cr->core;
	int r;

	cr->row.state = state_of(report->verdict);
	cr->row.ended_at = run_state_is_open(cr->row.state) ? 0 : core_now_s(c);
	cr->row.objects = report->objects;
	cr->row.bytes = report->bytes;
	snprintf(cr->row.reason, sizeof(cr->row.reason), "%s", report->reason);
	snprintf(cr->row.message, sizeof(cr->row.message), "%s", report->message);
	r = write_end(cr);
	if (r < 0)
		core_store_failed(c, r, "end of a run");
	core_report_end(cr, report);
	list_remove(&cr->link);
	c->active_count--;
	sched_refresh(c->sched, cr->row.job);
	loop_bury(c->loop, core_run_free, cr);
	core_start_queued(c);
	core_update_status(c);
	if (c->is_stopping && list_is_empty(&c->active))
		loop_stop(c->loop);
}

/* --- the start of a run --- */

static void drop_queued(struct core_run *cr, const char *why)
{
	struct run_report report = {.verdict = RUN_ENDED_FAILED};

	cr->row.state = RUN_FAILED;
	cr->row.ended_at = core_now_s(cr->core);
	snprintf(cr->row.reason, sizeof(cr->row.reason), "config");
	snprintf(cr->row.message, sizeof(cr->row.message), "%s", why);
	snprintf(report.message, sizeof(report.message), "%s", why);
	snprintf(report.reason, sizeof(report.reason), "config");
	log_err(LOG_FIELDS({"JOB", cr->row.job}, {"RUN_ID", cr->row.id}), "%s failed: %s",
		cr->row.job, why);
	save_row(cr->core, &cr->row);
	core_report_end(cr, &report);
	list_remove(&cr->link);
	core_run_free(cr);
}

static void start(struct core_run *cr, const struct conf_job *job)
{
	struct core *c = cr->core;
	struct run_env env = {c->loop, c->http, c->creds, c->engines};
	struct run_ops ops = {on_waiting, on_done, core_uploads_resume,
		core_uploads_leftover, cr};

	list_remove(&cr->link);
	list_append(&c->active, &cr->link);
	c->active_count++;
	cr->row.state = RUN_RUNNING;
	cr->row.attempts++;
	cr->row.started_at = core_now_s(c);
	save_row(c, &cr->row);
	cr->run = run_new(&env, c->conf, job, cr->row.id, ++c->next_serial);
	core_uploads_load(cr);
	run_start(cr->run, &ops);
}

void core_start_queued(struct core *c)
{
	struct core_run *cr, *tmp;

	LIST_FOREACH_SAFE (cr, tmp, &c->queued, link) {
		const struct conf_job *job = conf_find_job(c->conf, cr->row.job);

		if (c->is_stopping ||
			c->active_count >= (size_t)c->conf->max_parallel_runs)
			return;
		if (job)
			start(cr, job);
		else
			drop_queued(cr, "the job is no longer in the configuration");
	}
}

static struct core_run *enqueue(struct core *c, const struct store_run *row)
{
	struct core_run *cr = mem_alloc(sizeof(*cr));

	cr->core = c;
	cr->row = *row;
	list_init(&cr->watchers);
	list_init(&cr->uploads);
	list_init(&cr->leftovers);
	list_append(&c->queued, &cr->link);
	return cr;
}

void core_run_cancel(struct core_run *cr, enum run_cancel_why why)
{
	struct run_report report = {.verdict = RUN_ENDED_CANCELLED};

	if (cr->run) {
		run_cancel(cr->run, why);
		return;
	}
	if (why == RUN_CANCEL_STOPPING)
		return; /* claimed: the next start takes it up */
	cr->row.state = RUN_CANCELLED;
	cr->row.ended_at = core_now_s(cr->core);
	snprintf(cr->row.reason, sizeof(cr->row.reason), "cancelled");
	snprintf(report.reason, sizeof(report.reason), "cancelled");
	snprintf(report.message, sizeof(report.message), "cancelled before it started");
	save_row(cr->core, &cr->row);
	core_report_end(cr, &report);
	list_remove(&cr->link);
	sched_refresh(cr->core->sched, cr->row.job);
	core_run_free(cr);
}

struct core_run *core_claim_manual(struct core *c, const char *job, int *ret_errno)
{
	struct store_run row = {.trigger = TRIGGER_MANUAL, .state = RUN_CLAIMED, .count = 1};
	struct core_run *cr;

	crypto_uuid(row.id);
	snprintf(row.job, sizeof(row.job), "%s", job);
	snprintf(row.slot, sizeof(row.slot), "manual/%s", row.id);
	row.nominal_at = row.claimed_at = core_now_s(c);
	*ret_errno = store_run_insert(c->store, &row);
	if (*ret_errno < 0)
		return NULL;
	cr = enqueue(c, &row);
	sched_refresh(c->sched, job);
	return cr;
}

/* --- decisions of the scheduler --- */

static bool sched_state(void *arg, const char *name, struct sched_job_state *ret)
{
	struct core *c = arg;
	const struct conf_job *conf = conf_find_job(c->conf, name);
	struct store_job job;

	if (store_job_get(c->store, name, &job) < 0)
		return false;
	ret->watermark_s = job.watermark;
	snprintf(ret->schedule_hash, sizeof(ret->schedule_hash), "%s", job.schedule_hash);
	ret->is_running = core_find_run(c, name) != NULL;
	ret->is_paused = job.paused_at != 0 || (conf && conf->is_paused);
	return true;
}

static void row_of(struct core *c, const struct sched_decision *d, struct store_run *row)
{
	static const enum run_state states[] = {
		[SCHED_RUN] = RUN_CLAIMED,
		[SCHED_SKIP] = RUN_SKIPPED,
		[SCHED_COALESCE] = RUN_SKIPPED,
		[SCHED_MISS] = RUN_MISSED,
	};

	*row = (struct store_run){
		.nominal_at = d->slot.at_s,
		.claimed_at = core_now_s(c),
		.trigger = d->is_catch_up ? TRIGGER_CATCH_UP : TRIGGER_SCHEDULE,
		.state = states[d->verdict],
		.first_at = d->first_s,
		.last_at = d->last_s,
		.count = d->count ? (int64_t)d->count : 1,
	};
	crypto_uuid(row->id);
	snprintf(row->job, sizeof(row->job), "%s", d->job);
	snprintf(row->slot, sizeof(row->slot), "%s", d->slot.key);
	snprintf(row->reason, sizeof(row->reason), "%s", d->reason ? d->reason : "");
	if (!run_state_is_open(row->state))
		row->ended_at = row->claimed_at;
}

static void log_decision(const struct sched_decision *d)
{
	char at[32];
	bool is_missed = d->verdict == SCHED_MISS;

	if (d->verdict == SCHED_RUN)
		return;
	clock_format_iso(d->slot.at_s, at, sizeof(at));
	log_write(is_missed || d->verdict == SCHED_SKIP ? LOG_WARNING : LOG_NOTICE,
		LOG_FIELDS({"MESSAGE_ID", is_missed ? MSG_RUN_MISSED : MSG_RUN_SKIPPED},
			{"JOB", d->job}, {"SCHEDULED_TIME", at}, {"RESULT", d->reason}),
		"%s: %llu slot%s up to %s %s (%s)", d->job,
		(unsigned long long)(d->count ? d->count : 1), d->count > 1 ? "s" : "", at,
		is_missed ? "missed" : "skipped", d->reason);
}

/* One transaction: the rows and the watermark; only then anything starts. */
static int commit_decisions(struct core *c, const struct sched_decision *d, size_t count,
	struct store_run *rows, bool *is_claimed)
{
	struct store_job job;
	int r = store_begin(c->store);

	if (r < 0)
		return r;
	r = store_job_get(c->store, d[0].job, &job);
	for (size_t i = 0; r == 0 && i < count; i++) {
		row_of(c, &d[i], &rows[i]);
		rows[i].clock_gen = job.clock_gen;
		r = store_run_insert(c->store, &rows[i]);
		is_claimed[i] = r == 0 && d[i].verdict == SCHED_RUN;
		if (r == -EEXIST) /* the slot was settled before the clock moved */
			r = 0;
	}
	if (r == 0) {
		job.watermark = d[count - 1].watermark_s;
		r = store_job_put(c->store, &job);
	}
	if (r < 0) {
		store_rollback(c->store);
		return r;
	}
	return store_commit(c->store);
}

static void sched_decide(void *arg, const struct sched_decision *d, size_t count)
{
	struct core *c = arg;
	struct store_run *rows = mem_array(count, sizeof(*rows));
	bool *is_claimed = mem_array(count, sizeof(*is_claimed));
	int r = commit_decisions(c, d, count, rows, is_claimed);

	if (r < 0)
		core_store_failed(c, r, "claim");
	for (size_t i = 0; r == 0 && i < count; i++) {
		log_decision(&d[i]);
		if (is_claimed[i])
			enqueue(c, &rows[i]);
	}
	free(rows);
	free(is_claimed);
}

static void sched_settle(void *arg, const char *name, int64_t watermark_s, bool is_new_gen)
{
	struct core *c = arg;
	const struct conf_job *conf = conf_find_job(c->conf, name);
	struct store_job job = {0};
	int r = store_job_get(c->store, name, &job);

	if (r < 0 && r != -ENOENT) {
		core_store_failed(c, r, "watermark");
		return;
	}
	snprintf(job.name, sizeof(job.name), "%s", name);
	if (conf)
		snprintf(job.schedule_hash, sizeof(job.schedule_hash), "%s",
			conf->schedule_hash);
	job.watermark = watermark_s;
	job.clock_gen += is_new_gen;
	r = store_job_put(c->store, &job);
	if (r < 0)
		core_store_failed(c, r, "watermark");
}

static void sched_tick_done(void *arg, int64_t now_s)
{
	struct core *c = arg;
	int r = store_daemon_put(c->store, now_s);

	if (r < 0)
		core_store_failed(c, r, "clock");
	core_start_queued(c);
	core_update_status(c);
}

const struct sched_ops *core_sched_ops(struct core *c, struct sched_ops *ret)
{
	*ret = (struct sched_ops){
		.state = sched_state,
		.decide = sched_decide,
		.settle = sched_settle,
		.tick = sched_tick_done,
		.arg = c,
	};
	return ret;
}

/* --- after a crash --- */

static void recover_one(void *arg, const struct store_run *row)
{
	struct list *found = arg;
	struct core_run *cr = mem_alloc(sizeof(*cr));

	cr->row = *row;
	list_init(&cr->watchers);
	list_init(&cr->uploads);
	list_init(&cr->leftovers);
	list_append(found, &cr->link);
}

void core_recover(struct core *c)
{
	struct core_run *cr, *tmp;
	struct list found;
	int r;

	list_init(&found);
	r = store_run_each_open(c->store, recover_one, &found);
	if (r < 0)
		core_store_failed(c, r, "recovery");
	LIST_FOREACH_SAFE (cr, tmp, &found, link) {
		bool is_spent = cr->row.attempts >= ATTEMPTS_MAX;

		list_remove(&cr->link);
		cr->core = c;
		snprintf(cr->row.reason, sizeof(cr->row.reason), "interrupted");
		cr->row.state = is_spent ? RUN_FAILED : RUN_CLAIMED;
		cr->row.ended_at = is_spent ? core_now_s(c) : 0;
		save_row(c, &cr->row);
		log_write(is_spent ? LOG_ERR : LOG_NOTICE,
			LOG_FIELDS({"MESSAGE_ID", MSG_RUN_INTERRUPTED},
				{"JOB", cr->row.job}, {"RUN_ID", cr->row.id},
				{"RESULT", "interrupted"}),
			is_spent ? "%s was interrupted %d times; giving this slot up"
				 : "%s was interrupted (attempt %d); running it again",
			cr->row.job, cr->row.attempts);
		if (is_spent)
			core_run_free(cr);
		else
			list_append(&c->queued, &cr->link);
	}
	r = store_run_prune(c->store, KEEP_RUNS);
	if (r < 0)
		core_store_failed(c, r, "prune");
}
