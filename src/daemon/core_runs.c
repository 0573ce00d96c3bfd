/*
 * What runs: claimed slots wait here for their turn, are started, and their ends are
 * written back. Not when (sched, core_sched) and not how (run).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/skew.h"
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

#define KEEP_RUNS 100 /* of each job and each of its ends */
#define LATE_S 60 /* from here on waiting is worth a line */

void core_store_failed(struct core *c, int error, const char *what)
{
	log_err(NULL, "the state could not be written (%s): %s; stopping", what,
		strerror(-error));
	c->exit_code = error == -EACCES || error == -EPERM ? CORE_EXIT_PERM
							   : CORE_EXIT_IO;
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

/* An engine learned it: logged once, whoever of them was the first. */
static void on_clock(struct core *c, const struct engine_ev *ev)
{
	struct skew *skew = skews_of(c->skews, ev->endpoint_url);
	char text[500];

	if (!skew || skew->is_told)
		return;
	skew->us = ev->total;
	if (!skew_is_news(skew))
		return;
	skew_say(ev->endpoint_url, skew->us, text, sizeof(text));
	log_warning(NULL, "%s", text);
}

void core_on_engine(void *arg, const struct engine_ev *ev)
{
	struct core *c = arg;
	uint64_t serial = ev->type == ENGINE_EV_NEED_CREDS
				  ? run_serial_of_creds(ev->creds_id)
				  : ev->tag;
	struct core_run *cr = find_active(c, serial);
	struct run *plan = cr ? NULL : core_plan_find(c, serial);

	if (ev->type == ENGINE_EV_CLOCK) {
		on_clock(c, ev);
	} else if (cr) {
		core_uploads_on_engine(cr, ev);
		run_on_engine(cr->run, ev);
	} else if (plan) {
		run_on_engine(plan, ev);
	}
	free(ev->result);
	free(ev->upload);
	free(ev->endpoint_url);
}

void core_save_row(struct core *c, const struct store_run *row)
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
	struct core *c = cr->core;

	cr->row.state = is_waiting ? RUN_RETRY_WAIT : RUN_RUNNING;
	core_save_row(c, &cr->row);
	if (is_waiting && c->is_stopping)
		loop_defer(c->loop, core_stop_waiting, c);
}

static void on_store_failed(void *arg, int error)
{
	struct core_run *cr = arg;

	core_store_failed(cr->core, error, "what was delivered");
}

static enum run_state state_of(enum run_verdict v)
{
	static const enum run_state states[] = {
		[RUN_ENDED_SUCCEEDED] = RUN_SUCCEEDED,
		[RUN_ENDED_PARTIAL] = RUN_PARTIAL,
		[RUN_ENDED_FAILED] = RUN_FAILED,
		[RUN_ENDED_CANCELLED] = RUN_CANCELLED,
		[RUN_ENDED_SKIPPED] = RUN_SKIPPED,
		[RUN_ENDED_INTERRUPTED] = RUN_CLAIMED,
		[RUN_ENDED_PARKED] = RUN_PARKED,
	};
	return states[v];
}

/* So that the newest success is found, however often the job failed since. */
int core_prune(struct core *c, const struct store_run *row)
{
	if (run_state_is_open(row->state))
		return 0;
	return store_run_prune(c->store, row->job, row->state, KEEP_RUNS);
}

/* All over: what an earlier pass left alone may have been done by now. */
static int put_counts(struct core_run *cr, const struct run_report *report)
{
	struct store_count count;
	int r = store_count_clear(cr->core->store, cr->row.id);

	for (enum reason why = 0; r == 0 && why < REASONS; why++) {
		if (!report->counts[why])
			continue;
		count.objects = (int64_t)report->counts[why];
		count.bytes = (int64_t)report->count_bytes[why];
		snprintf(count.reason, sizeof(count.reason), "%s", reason_code(why));
		r = store_count_put(cr->core->store, cr->row.id, &count);
	}
	return r;
}

static int write_end(struct core_run *cr, const struct run_report *report)
{
	struct core *c = cr->core;
	struct store_job job;
	int r = store_begin(c->store);

	if (r < 0)
		return r;
	r = store_run_update(c->store, &cr->row);
	if (r == 0)
		r = put_counts(cr, report);
	if (r == 0)
		r = core_prune(c, &cr->row);
	if (r == 0)
		r = core_after_note(c, &cr->row);
	/* An old date that is made up for says nothing of how the job fares now. */
	if (r == 0 && cr->row.trigger != TRIGGER_BACKFILL &&
		store_job_get(c->store, cr->row.job, &job) == 0) {
		job.last_run_at = core_now_s(c);
		if (cr->row.state == RUN_SUCCEEDED) {
			job.last_success_at = job.last_run_at;
			if (cr->row.nominal_at > job.served)
				job.served = cr->row.nominal_at;
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

/* It goes on in its next hours, or when what it waits for may be there. */
static void park(const struct core_run *cr, const struct run_report *report)
{
	struct core_run *again = core_enqueue(cr->core, &cr->row);

	again->allow_deletes = cr->allow_deletes;
	again->not_before_s = report->again_s ? core_now_s(cr->core) + report->again_s : 0;
	if (again->not_before_s)
		sched_wake_at(cr->core->sched, again->not_before_s);
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
	cr->row.sent_again += report->sent_again; /* to those before it was taken up */
	snprintf(cr->row.reason, sizeof(cr->row.reason), "%s", report->reason);
	snprintf(cr->row.message, sizeof(cr->row.message), "%s", report->message);
	if (cr->is_parking && cr->row.state == RUN_CLAIMED)
		cr->row.state = RUN_PARKED;
	/* Nights are no attempts: those are counted against crashes. */
	if (cr->row.state == RUN_PARKED && cr->row.attempts > 1)
		cr->row.attempts--;
	r = write_end(cr, report);
	if (r < 0)
		core_store_failed(c, r, "end of a run");
	core_report_end(cr, report);
	core_bandwidth_end(cr);
	list_remove(&cr->link);
	c->active_count--;
	sched_refresh(c->sched, cr->row.job);
	loop_bury(c->loop, core_run_free, cr);
	if (cr->row.state == RUN_PARKED)
		park(cr, report);
	sched_wake_at(c->sched, core_now_s(c)); /* others may follow it */
	core_start_queued(c);
	core_update_status(c);
	if (c->is_stopping && list_is_empty(&c->active))
		loop_stop(c->loop);
}

/* --- the start of a run --- */

/* A claimed slot that will not run. The verdict is in the row, why in the message. */
static void close_queued(struct core_run *cr, enum run_state state, const char *reason,
	const char *message)
{
	struct core *c = cr->core;
	struct run_report report = {.verdict = state == RUN_CANCELLED
						       ? RUN_ENDED_CANCELLED
						       : RUN_ENDED_FAILED};
	const char *job = cr->row.job;

	cr->row.state = state;
	cr->row.ended_at = core_now_s(c);
	snprintf(cr->row.reason, sizeof(cr->row.reason), "%s", reason);
	snprintf(cr->row.message, sizeof(cr->row.message), "%s", message);
	snprintf(report.reason, sizeof(report.reason), "%s", reason);
	snprintf(report.message, sizeof(report.message), "%s", message);
	core_save_row(c, &cr->row);
	core_prune(c, &cr->row);
	core_report_end(cr, &report);
	list_remove(&cr->link);
	sched_refresh(c->sched, job);
	sched_wake_at(c->sched, core_now_s(c));
	core_run_free(cr);
}

/* Of a slot that the scheduler claimed; else when it was asked for. */
static int64_t start_of(const struct core_run *cr)
{
	const struct store_run *row = &cr->row;

	if (row->trigger != TRIGGER_SCHEDULE && row->trigger != TRIGGER_CATCH_UP)
		return row->claimed_at;
	return sched_start_of(cr->core->sched, row->job, row->nominal_at);
}

static bool is_by_hand(const struct store_run *row)
{
	return row->trigger == TRIGGER_MANUAL || row->trigger == TRIGGER_BACKFILL;
}

/* Whether the run may start, which is what becomes of most. */
static bool check_queued(struct core_run *cr, const struct conf_job *job)
{
	struct core *c = cr->core;
	int64_t late_s = core_now_s(c) - start_of(cr);

	if (!job) {
		log_err(LOG_FIELDS({"JOB", cr->row.job}, {"RUN_ID", cr->row.id}),
			"%s failed: the job is no longer in the configuration",
			cr->row.job);
		close_queued(cr, RUN_FAILED, "config",
			"the job is no longer in the configuration");
		return false;
	}
	/* What was interrupted had started in time. */
	if (job->starting_deadline_s && late_s > job->starting_deadline_s &&
		cr->row.attempts == 0 && !is_by_hand(&cr->row)) {
		log_warning(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_MISSED}, {"JOB", job->name},
				    {"RUN_ID", cr->row.id}, {"RESULT", "deadline"}),
			"%s: a slot missed (deadline): it waited too long for its turn",
			job->name);
		close_queued(cr, RUN_MISSED, "deadline",
			"it could not start within its starting_deadline");
		return false;
	}
	return true;
}

/* A slot that waits for its turn for more than a minute, once. */
static void tell_late(struct core_run *cr)
{
	struct core *c = cr->core;
	int64_t waited_s = core_now_s(c) - cr->row.claimed_at;

	if (cr->is_late_told || cr->row.state == RUN_PARKED)
		return;
	if (waited_s <= LATE_S) {
		sched_wake_at(c->sched, cr->row.claimed_at + LATE_S + 1);
		return;
	}
	cr->is_late_told = true;
	log_warning(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_LATE}, {"JOB", cr->row.job},
			    {"RUN_ID", cr->row.id}),
		"%s is late: %zu other run%s under way (max_parallel_runs: %lld)",
		cr->row.job, c->active_count, c->active_count == 1 ? " is" : "s are",
		(long long)c->conf->max_parallel_runs);
}

/* What was left alone, or failed, the new pass looks at again. */
static void take_done(void *arg, const struct store_count *count)
{
	struct run_done *done = arg;
	enum reason why = reason_find(count->reason, false);

	if (reason_kind(why) != REASON_KIND_DONE)
		return;
	done->counts[why] = (uint64_t)count->objects;
	done->count_bytes[why] = (uint64_t)count->bytes;
}

/* By passes that a stop, a window or an archive ended; 0 or -errno. */
static int load_done(struct core_run *cr, struct run_done *ret)
{
	ret->objects = cr->row.objects;
	ret->bytes = cr->row.bytes;
	return store_count_each(cr->core->store, cr->row.id, take_done, ret);
}

static void start(struct core_run *cr, const struct conf_job *job)
{
	struct core *c = cr->core;
	struct run_env env = {c->loop, c->http, c->creds, c->engines, c->regions, c->skews,
		c->quotas, c->store, c->files, c->manifest_dir};
	struct run_ops ops = {
		on_waiting, on_done, core_uploads_resume, core_uploads_leftover,
		on_store_failed, NULL, cr};
	struct run_options options = {
		.nominal_s = cr->row.nominal_at, .allow_deletes = cr->allow_deletes};
	int r;

	list_remove(&cr->link);
	list_append(&c->active, &cr->link);
	c->active_count++;
	if (cr->row.state == RUN_PARKED)
		cr->row.reason[0] = '\0';
	cr->row.state = RUN_RUNNING;
	cr->row.attempts++;
	cr->row.started_at = core_now_s(c);
	core_save_row(c, &cr->row);
	r = load_done(cr, &options.before);
	if (r < 0)
		core_store_failed(c, r, "counts of a run");
	cr->run = run_new(&env, c->conf, job, cr->row.id, ++c->next_serial, &options);
	core_uploads_load(cr);
	core_bandwidth_update(c);
	run_start(cr->run, &ops);
}

void core_start_queued(struct core *c)
{
	struct core_run *cr, *tmp;

	LIST_FOREACH_SAFE (cr, tmp, &c->queued, link) {
		const struct conf_job *job = conf_find_job(c->conf, cr->row.job);

		if (c->is_stopping || c->exit_code)
			return;
		if (cr->not_before_s > core_now_s(c)) {
			sched_wake_at(c->sched, cr->not_before_s);
			continue;
		}
		if (c->active_count >= (size_t)c->conf->max_parallel_runs)
			tell_late(cr);
		else if (check_queued(cr, job) && core_window_admits(c, cr, job))
			start(cr, job);
	}
}

struct core_run *core_run_new(const struct store_run *row)
{
	struct core_run *cr = mem_alloc(sizeof(*cr));

	cr->row = *row;
	list_init(&cr->watchers);
	list_init(&cr->uploads);
	list_init(&cr->leftovers);
	return cr;
}

/* What is made up for waits until nothing is due. */
static bool is_before(const struct core_run *a, const struct core_run *b)
{
	bool is_a_old = a->row.trigger == TRIGGER_BACKFILL;
	bool is_b_old = b->row.trigger == TRIGGER_BACKFILL;

	if (is_a_old != is_b_old)
		return is_b_old;
	if (a->row.nominal_at != b->row.nominal_at)
		return a->row.nominal_at < b->row.nominal_at;
	return strcmp(a->row.job, b->row.job) < 0;
}

/* By scheduled time, then name; from the end, where it mostly belongs. */
struct core_run *core_enqueue(struct core *c, const struct store_run *row)
{
	struct core_run *cr = core_run_new(row);
	struct list *at = c->queued.prev;

	cr->core = c;
	while (at != &c->queued && is_before(cr, LIST_ENTRY(at, struct core_run, link)))
		at = at->prev;
	list_append(at->next, &cr->link);
	return cr;
}

void core_run_cancel(struct core_run *cr, enum run_cancel_why why)
{
	if (cr->run)
		run_cancel(cr->run, why);
	else if (why == RUN_CANCEL_SUPERSEDED)
		close_queued(cr, RUN_CANCELLED, "superseded",
			"a newer slot came before it started");
	else if (why == RUN_CANCEL_ASKED)
		close_queued(cr, RUN_CANCELLED, "cancelled",
			cr->row.attempts ? "cancelled while it was parked"
					 : "cancelled before it started");
	/* else it stays claimed: the next start takes it up */
}

struct core_run *core_claim_manual(
	struct core *c, const char *job, int64_t nominal_s, int *ret_errno)
{
	struct store_run row = {
		.trigger = TRIGGER_MANUAL, .state = RUN_CLAIMED, .count = 1};
	struct core_run *cr;

	crypto_uuid(row.id);
	snprintf(row.job, sizeof(row.job), "%s", job);
	snprintf(row.slot, sizeof(row.slot), "manual/%s", row.id);
	row.claimed_at = core_now_s(c);
	row.nominal_at = nominal_s ? nominal_s : row.claimed_at;
	*ret_errno = store_run_insert(c->store, &row);
	if (*ret_errno < 0) {
		if (*ret_errno != -EEXIST)
			log_err(LOG_FIELDS({"JOB", job}),
				"%s: a run asked for by hand was not begun: the state could "
				"not be written (%s)",
				job, strerror(-*ret_errno));
		return NULL;
	}
	cr = core_enqueue(c, &row);
	sched_refresh(c->sched, job);
	return cr;
}
