/*
 * The ledger's side of the scheduler: its decisions are committed here before anything
 * starts, pauses are kept here, and what a crash left open is taken up again. Not when
 * (sched) and not what runs (core_runs).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/tz.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"
#include "net/loop.h"
#include "run/message_ids.h"

#define ATTEMPTS_MAX 10
#define OVERLAPS_TOLD 3
/* The history of a job that is no longer in the configuration. */
#define REMEMBER_S (INT64_C(30) * 86400)
/* Nobody's machine is off for longer: rather, its clock lost its battery. */
#define HOLD_AHEAD_S (INT64_C(400) * 86400)
/* No schedule has this hash: what comes back after it begins anew. */
#define HASH_OF_NONE "-"

/* --- one transaction a tick --- */

/* The decisions of one tick, or of one reload, are durable together. */
int core_batch_begin(struct core *c)
{
	int r;

	if (c->is_batching)
		return 0;
	r = store_begin(c->store);
	c->is_batching = r == 0;
	return r;
}

void core_batch_commit(struct core *c)
{
	int r;

	if (!c->is_batching)
		return;
	c->is_batching = false;
	if (c->exit_code) {
		store_rollback(c->store); /* a part of it failed */
		return;
	}
	r = store_commit(c->store);
	if (r < 0)
		core_store_failed(c, r, "claim");
}

/* --- what the scheduler asks --- */

static enum sched_active active_of(const struct store_run *open)
{
	if (open->trigger == TRIGGER_BACKFILL)
		return SCHED_BACKFILLING;
	if (open->state == RUN_RETRY_WAIT)
		return SCHED_RETRYING;
	if (open->state == RUN_PARKED && open->attempts == 0 &&
		open->trigger == TRIGGER_SCHEDULE)
		return SCHED_NOT_STARTED;
	return open->trigger == TRIGGER_CATCH_UP ? SCHED_CATCHING_UP : SCHED_RUNNING;
}

static bool sched_state(void *arg, const char *name, struct sched_job_state *ret)
{
	struct core *c = arg;
	struct store_job job;
	struct store_run open;

	if (store_job_get(c->store, name, &job) < 0)
		return false;
	ret->watermark_s = job.watermark;
	ret->served_s = job.served;
	snprintf(ret->schedule_hash, sizeof(ret->schedule_hash), "%s", job.schedule_hash);
	if (store_run_open_of(c->store, name, &open) == 0)
		ret->active = active_of(&open);
	ret->is_paused = job.paused_at != 0;
	ret->paused_until_s = job.paused_until;
	ret->was_paused = job.conf_paused;
	return true;
}

/* A pause of the store that has ended, and one that the configuration began. */
static void note_pauses(struct core *c, struct store_job *job)
{
	const struct conf_job *conf = conf_find_job(c->conf, job->name);

	if (job->paused_until && job->paused_until <= core_now_s(c))
		job->paused_at = job->paused_until = 0;
	job->conf_paused = conf && conf->is_paused;
}

/* --- decisions --- */

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
	slot_key(&d->slot, row->slot);
	snprintf(row->reason, sizeof(row->reason), "%s", d->reason ? d->reason : "");
	if (!run_state_is_open(row->state))
		row->ended_at = row->claimed_at;
}

static void log_decision(const struct sched_decision *d)
{
	char at[32];
	bool is_missed = d->verdict == SCHED_MISS;

	if (d->verdict == SCHED_RUN || d->verdict == SCHED_REPLACE)
		return;
	clock_format_iso(d->slot.at_s, at, sizeof(at));
	log_write(is_missed ? LOG_WARNING : LOG_NOTICE,
		LOG_FIELDS({"MESSAGE_ID", is_missed ? MSG_RUN_MISSED : MSG_RUN_SKIPPED},
			{"JOB", d->job}, {"SCHEDULED_TIME", at}, {"RESULT", d->reason}),
		"%s: %llu slot%s up to %s %s (%s)", d->job,
		(unsigned long long)(d->count ? d->count : 1), d->count > 1 ? "s" : "",
		at, is_missed ? "missed" : "skipped", d->reason);
}

struct streak {
	int length;
	bool is_broken;
};

static void count_overlap(void *arg, const struct store_run *row)
{
	struct streak *s = arg;

	if (run_state_is_open(row->state) || row->trigger == TRIGGER_MANUAL)
		return; /* the run that is met, and what somebody asked for */
	s->is_broken |= row->state != RUN_SKIPPED || !str_eq(row->reason, "overlap");
	s->length += !s->is_broken;
}

/* One slot that meets the run before it is no matter; the third in a row is told, once. */
static void tell_overlaps(struct core *c, const char *job)
{
	struct streak s = {0};

	store_run_history(c->store, job, OVERLAPS_TOLD + 3, count_overlap, &s);
	if (s.length != OVERLAPS_TOLD)
		return;
	log_warning(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_OVERLAPS}, {"JOB", job},
			    {"RESULT", "overlap"}),
		"%s: %d slots in a row met a run that had not ended; s3ferryctl status "
		"shows it",
		job, OVERLAPS_TOLD);
}

static int write_decision(
	struct core *c, const struct sched_decision *d, int64_t clock_gen)
{
	struct store_run row;
	struct core_run *active;
	int r;

	if (d->verdict == SCHED_REPLACE) {
		active = core_find_run(c, d->job);
		if (active)
			active->is_superseded = true; /* cancelled after the commit */
		return 0;
	}
	row_of(c, d, &row);
	row.clock_gen = clock_gen;
	r = store_run_insert(c->store, &row);
	if (r == 0)
		r = core_prune(c, &row);
	if (r == 0) {
		log_decision(d);
		if (d->verdict == SCHED_RUN)
			core_enqueue(c, &row);
		else if (d->verdict == SCHED_SKIP && str_eq(d->reason, "overlap"))
			tell_overlaps(c, d->job);
	}
	return r == -EEXIST ? 0 : r; /* the slot was settled before the clock moved */
}

static void sched_decide(void *arg, const struct sched_decision *d, size_t count)
{
	struct core *c = arg;
	struct store_job job;
	int r = core_batch_begin(c);

	if (r == 0)
		r = store_job_get(c->store, d[0].job, &job);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = write_decision(c, &d[i], job.clock_gen);
	if (r == 0) {
		job.watermark = d[count - 1].watermark_s;
		note_pauses(c, &job);
		r = store_job_put(c->store, &job);
	}
	if (r < 0)
		core_store_failed(c, r, "claim");
}

static void on_settle(
	void *arg, const char *name, int64_t watermark_s, enum sched_settling why)
{
	struct core *c = arg;
	const struct conf_job *conf = conf_find_job(c->conf, name);
	struct store_job job = {0};
	int r = core_batch_begin(c);

	if (r == 0)
		r = store_job_get(c->store, name, &job);
	if (r == 0 || r == -ENOENT) {
		snprintf(job.name, sizeof(job.name), "%s", name);
		snprintf(job.schedule_hash, sizeof(job.schedule_hash), "%s",
			conf && conf->schedule ? conf->schedule_hash : HASH_OF_NONE);
		/* As sched.h tells: what is fresh owes nothing of before. */
		if (why == SCHED_SETTLE_FRESH ||
			(why == SCHED_SETTLE_BACK && watermark_s != job.watermark))
			job.served = watermark_s;
		job.watermark = watermark_s;
		job.clock_gen += why == SCHED_SETTLE_BACK;
		note_pauses(c, &job);
		r = store_job_put(c->store, &job);
	}
	if (r < 0)
		core_store_failed(c, r, "watermark");
}

static void cancel_superseded(struct core *c)
{
	struct list *const lists[] = {&c->active, &c->queued};
	struct core_run *cr, *tmp;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		LIST_FOREACH_SAFE (cr, tmp, lists[i], link) {
			if (!cr->is_superseded)
				continue;
			cr->is_superseded = false;
			core_run_cancel(cr, RUN_CANCEL_SUPERSEDED);
		}
	}
}

static void sched_tick_done(void *arg, int64_t now_s)
{
	struct core *c = arg;
	int r = core_batch_begin(c);

	if (r == 0)
		r = store_daemon_put(c->store, now_s);
	if (r < 0)
		core_store_failed(c, r, "clock");
	core_batch_commit(c);
	if (c->exit_code)
		return; /* what is not on disk does not start */
	cancel_superseded(c);
	core_after_try(c);
	core_backfill_try(c);
	core_boot_try(c);
	core_window_enforce(c);
	core_start_queued(c);
	core_update_status(c);
}

static void sched_clock(void *arg, enum sched_clock_event event, int64_t seconds)
{
	char at[32], for_how_long[32];

	switch (event) {
	case SCHED_CLOCK_SET_BACK:
		log_warning(LOG_FIELDS({"MESSAGE_ID", MSG_CLOCK_CORRECTED}),
			"the clock was set back by %s; no slot is run again",
			str_format_duration(seconds * USEC_PER_SEC, for_how_long,
				sizeof(for_how_long)));
		return;
	case SCHED_CLOCK_HELD:
		log_warning(LOG_FIELDS({"MESSAGE_ID", MSG_CLOCK_HELD}),
			"the clock says %s, which cannot be; jobs are held until it is "
			"set, at "
			"most 10 minutes",
			clock_format_iso(seconds, at, sizeof(at)));
		return;
	case SCHED_CLOCK_RELEASED:
		log_notice(NULL, "jobs are no longer held; it is %s",
			clock_format_iso(seconds, at, sizeof(at)));
		return;
	case SCHED_CLOCK_ZONES:
		log_notice(NULL, "time zone data was replaced (%s); next slots are counted anew",
			tz_version(at, sizeof(at)));
		return;
	}
}

static void on_overdue(void *arg, const char *job, const struct slot *slot)
{
	char at[32];

	if (slot)
		log_warning(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_OVERDUE}, {"JOB", job},
				    {"SCHEDULED_TIME",
					    clock_format_iso(slot->at_s, at, sizeof(at))}),
			"%s is overdue: no run has succeeded for its slot of %s or a "
			"later one",
			job, clock_format_iso(slot->at_s, at, sizeof(at)));
	else
		log_notice(LOG_FIELDS({"JOB", job}), "%s is no longer overdue", job);
}

const struct sched_ops *core_sched_ops(struct core *c, struct sched_ops *ret)
{
	*ret = (struct sched_ops){
		.state = sched_state,
		.decide = sched_decide,
		.settle = on_settle,
		.overdue = on_overdue,
		.tick = sched_tick_done,
		.clock = sched_clock,
		.arg = c,
	};
	return ret;
}

static void forget_removed(void *arg, const char *name)
{
	struct core *c = arg;
	int r = conf_find_job(c->conf, name) ? 0 : store_job_forget(c->store, name);

	if (r < 0)
		core_store_failed(c, r, "forgetting a job");
}

void core_sched_take_conf(struct core *c)
{
	int r = core_batch_begin(c);

	if (r < 0) {
		core_store_failed(c, r, "reload");
		return;
	}
	sched_set_conf(c->sched, c->conf);
	/* While the clock is held it says nothing of what is long ago. */
	if (!sched_is_held(c->sched))
		r = store_job_each_idle(c->store, core_now_s(c) - REMEMBER_S,
			forget_removed, c);
	if (r < 0)
		core_store_failed(c, r, "reload");
	core_batch_commit(c);
	c->is_boot_due = true;
	sched_wake_at(c->sched, core_now_s(c)); /* windows and followers may differ */
}

/* Neither before what the state has seen nor before this program was made. */
void core_sched_hold(struct core *c)
{
	struct sched_hold hold = {0};
	struct stat st;
	int64_t seen = 0;

	if (stat("/proc/self/exe", &st) == 0)
		hold.not_before_s = st.st_mtime;
	if (store_daemon_get(c->store, &seen) == 0) {
		if (seen > hold.not_before_s)
			hold.not_before_s = seen;
		hold.not_after_s = seen + HOLD_AHEAD_S;
	}
	sched_hold(c->sched, &hold);
}

/* --- pause and resume at run time --- */

bool core_is_paused(
	const struct conf_job *job, const struct store_job *state, int64_t now_s)
{
	return job->is_paused ||
	       (state->paused_at &&
		       (!state->paused_until || now_s < state->paused_until));
}

int core_pause(struct core *c, const char *name, int64_t until_s)
{
	struct store_job job;
	int r = store_job_get(c->store, name, &job);

	if (r == -ENOENT) {
		job = (struct store_job){.watermark = core_now_s(c)};
		snprintf(job.name, sizeof(job.name), "%s", name);
		r = 0;
	}
	if (r < 0)
		return r;
	if (!job.paused_at)
		job.paused_at = core_now_s(c);
	job.paused_until = until_s;
	log_notice(LOG_FIELDS({"JOB", name}), "%s is paused", name);
	return store_job_put(c->store, &job);
}

/* The scheduler sees that the pause is over, and settles what passed in it. */
int core_resume(struct core *c, const char *name)
{
	const struct conf_job *conf = conf_find_job(c->conf, name);
	struct store_job job;
	int r = store_job_get(c->store, name, &job);

	if (r < 0 || !job.paused_at)
		return r < 0 ? r : -ENOENT;
	if (conf->schedule && !conf->is_paused)
		job.paused_until = core_now_s(c);
	else
		job.paused_at = job.paused_until = 0;
	log_notice(LOG_FIELDS({"JOB", name}), "%s is no longer paused", name);
	return store_job_put(c->store, &job);
}

/* --- after a crash --- */

static void collect(void *arg, const struct store_run *row)
{
	list_append(arg, &core_run_new(row)->link);
}

static void recover_one(struct core *c, struct core_run *cr)
{
	bool is_spent = cr->row.attempts >= ATTEMPTS_MAX;

	if (cr->row.state == RUN_PARKED) {
		core_enqueue(c, &cr->row); /* it was not interrupted: it waits */
		return;
	}
	snprintf(cr->row.reason, sizeof(cr->row.reason), "interrupted");
	cr->row.state = is_spent ? RUN_FAILED : RUN_CLAIMED;
	cr->row.ended_at = is_spent ? core_now_s(c) : 0;
	core_save_row(c, &cr->row);
	log_write(is_spent ? LOG_ERR : LOG_NOTICE,
		LOG_FIELDS({"MESSAGE_ID", MSG_RUN_INTERRUPTED}, {"JOB", cr->row.job},
			{"RUN_ID", cr->row.id}, {"RESULT", "interrupted"}),
		is_spent ? "%s was interrupted %d times; giving this slot up"
			 : "%s was interrupted (attempt %d); running it again",
		cr->row.job, cr->row.attempts);
	if (!is_spent)
		core_enqueue(c, &cr->row);
}

void core_recover(struct core *c)
{
	struct core_run *cr, *tmp;
	struct list found;
	int r;

	list_init(&found);
	r = store_run_each_open(c->store, collect, &found);
	if (r < 0)
		core_store_failed(c, r, "recovery");
	LIST_FOREACH_SAFE (cr, tmp, &found, link) {
		recover_one(c, cr);
		list_remove(&cr->link);
		free(cr);
	}
}
