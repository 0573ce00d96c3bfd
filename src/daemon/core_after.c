/*
 * Jobs that follow others: each success of a job they follow is noted in the transaction
 * that ends its run, and when all of them have one, a run is claimed. What meets a run
 * under way is treated as a slot is.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/str.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"
#include "run/message_ids.h"

/* What a job that follows others has to do now. */
enum next {
	NEXT_CLAIM,
	NEXT_SKIP,
	NEXT_WAIT,
	NEXT_REPLACE,
};

struct ready {
	const struct conf_job *job;
	size_t count;              /* of the jobs it follows */
	struct store_ready newest; /* names the run that is claimed */
};

static bool follows(const struct conf_job *job, const char *name)
{
	for (size_t i = 0; i < job->after.count; i++)
		if (str_eq(job->after.v[i], name))
			return true;
	return false;
}

int core_after_note(struct core *c, const struct store_run *row)
{
	struct store_ready ready = {.nominal_at = row->nominal_at};
	int r = 0;

	if (row->state != RUN_SUCCEEDED || row->trigger == TRIGGER_BACKFILL)
		return 0;
	snprintf(ready.upstream, sizeof(ready.upstream), "%s", row->job);
	snprintf(ready.run_id, sizeof(ready.run_id), "%s", row->id);
	for (size_t i = 0; r == 0 && i < c->conf->job_count; i++) {
		if (!follows(c->conf->jobs[i], row->job))
			continue;
		snprintf(ready.job, sizeof(ready.job), "%s", c->conf->jobs[i]->name);
		r = store_ready_put(c->store, &ready);
	}
	return r;
}

static void count_ready(void *arg, const struct store_ready *row)
{
	struct ready *ready = arg;

	if (!follows(ready->job, row->upstream))
		return; /* an edit took it out of the list */
	if (!ready->count++ || row->nominal_at > ready->newest.nominal_at)
		ready->newest = *row;
}

static enum next meet(struct core *c, const struct conf_job *job)
{
	enum conf_overlap overlap = job->overlap;
	struct store_job state = {0};
	struct store_run open;

	store_job_get(c->store, job->name, &state);
	if (core_is_paused(job, &state, core_now_s(c)))
		return NEXT_SKIP;
	if (store_run_open_of(c->store, job->name, &open) < 0)
		return NEXT_CLAIM;
	if (overlap == CONF_OVERLAP_QUEUE_ONE)
		return NEXT_WAIT;
	if (overlap == CONF_OVERLAP_REPLACE || open.state == RUN_RETRY_WAIT ||
		(open.state == RUN_PARKED && open.attempts == 0))
		return NEXT_REPLACE;
	return NEXT_SKIP;
}

static int write_row(struct core *c, const struct ready *ready, enum next next)
{
	bool is_claim = next == NEXT_CLAIM;
	struct store_job state = {0};
	struct store_run row = {.trigger = TRIGGER_AFTER,
		.state = is_claim ? RUN_CLAIMED : RUN_SKIPPED,
		.nominal_at = ready->newest.nominal_at,
		.first_at = ready->newest.nominal_at,
		.last_at = ready->newest.nominal_at,
		.claimed_at = core_now_s(c),
		.count = 1};
	int r = store_begin(c->store);

	if (r < 0)
		return r;
	store_job_get(c->store, ready->job->name, &state);
	crypto_uuid(row.id);
	snprintf(row.job, sizeof(row.job), "%s", ready->job->name);
	snprintf(row.slot, sizeof(row.slot), "after/%s", ready->newest.run_id);
	if (!is_claim) {
		bool is_paused = core_is_paused(ready->job, &state, row.claimed_at);

		row.ended_at = row.claimed_at;
		snprintf(row.reason, sizeof(row.reason), "%s",
			is_paused ? "paused" : "overlap");
		log_warning(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_SKIPPED}, {"JOB", row.job},
				    {"RESULT", row.reason}),
			"%s: not run after %s (%s)", row.job, ready->newest.upstream,
			row.reason);
	}
	r = store_run_insert(c->store, &row);
	if (r == 0)
		r = core_prune(c, &row);
	if (r == 0 || r == -EEXIST) /* taken: it was claimed before a crash */
		r = store_ready_clear(c->store, row.job);
	if (r < 0) {
		store_rollback(c->store);
		return r;
	}
	r = store_commit(c->store);
	if (r == 0 && is_claim)
		core_enqueue(c, &row);
	return r;
}

static void try_one(struct core *c, const struct conf_job *job)
{
	struct ready ready = {job};
	struct core_run *active;
	enum next next;
	int r;

	if (!job->after.count || c->is_stopping || c->exit_code)
		return;
	r = store_ready_each(c->store, job->name, count_ready, &ready);
	if (r == 0 && ready.count == job->after.count) {
		next = meet(c, job);
		active = core_find_run(c, job->name);
		if (next == NEXT_REPLACE && active)
			core_run_cancel(active, RUN_CANCEL_SUPERSEDED);
		else if (next == NEXT_CLAIM || next == NEXT_SKIP)
			r = write_row(c, &ready, next);
	}
	if (r < 0)
		core_store_failed(c, r, "after");
}

void core_after_try(struct core *c)
{
	for (size_t i = 0; i < c->conf->job_count; i++)
		try_one(c, c->conf->jobs[i]);
}
