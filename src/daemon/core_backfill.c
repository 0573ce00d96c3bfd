/*
 * Past dates of a job that somebody asked for: one range a job in the state, of which the
 * next slot is claimed when the job is idle. Slots that are due now go before them.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/list.h"
#include "base/log.h"
#include "calendar/slot.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"

static void say_over(const struct store_backfill *b, const char *why)
{
	log_notice(LOG_FIELDS({"JOB", b->job}), "%s: the backfill %s", b->job, why);
}

/* The next slot of the range that is to be run: 0, 1 (*ret) or negative errno. */
static int next_of(struct core *c, const struct store_backfill *b,
	const struct conf_job *job, struct slot *ret)
{
	int64_t after = b->after;
	int r = 1;

	while (schedule_next(job->schedule, after, ret) == 0 && ret->at_s <= b->until) {
		if (!b->is_again)
			r = store_run_has_success(c->store, b->job, ret->at_s);
		if (b->is_again || r == 0)
			return 1;
		if (r < 0)
			return r;
		after = ret->at_s;
	}
	return 0;
}

static int claim(struct core *c, struct store_backfill *b, const struct slot *slot)
{
	struct store_run row = {.trigger = TRIGGER_BACKFILL,
		.state = RUN_CLAIMED,
		.nominal_at = slot->at_s,
		.first_at = slot->at_s,
		.last_at = slot->at_s,
		.claimed_at = core_now_s(c),
		.count = 1};
	int r = store_begin(c->store);

	if (r < 0)
		return r;
	crypto_uuid(row.id);
	snprintf(row.job, sizeof(row.job), "%s", b->job);
	snprintf(row.slot, sizeof(row.slot), "backfill/%s", row.id);
	b->after = slot->at_s;
	r = store_run_insert(c->store, &row);
	if (r == 0)
		r = store_backfill_put(c->store, b);
	if (r < 0) {
		store_rollback(c->store);
		return r;
	}
	r = store_commit(c->store);
	if (r == 0)
		core_enqueue(c, &row);
	return r;
}

struct collected {
	struct core *core;
	int error;
};

static void try_one(void *arg, const struct store_backfill *row)
{
	struct collected *all = arg;
	struct core *c = all->core;
	const struct conf_job *job = conf_find_job(c->conf, row->job);
	struct store_backfill b = *row;
	struct store_run open;
	struct slot slot;
	int r = 0;

	if (all->error < 0)
		return;
	if (job && job->schedule) {
		if (store_run_open_of(c->store, b.job, &open) == 0)
			return; /* one after another */
		r = next_of(c, &b, job, &slot);
	}
	if (r == 1) {
		r = claim(c, &b, &slot);
	} else if (r == 0) {
		say_over(&b, job && job->schedule ? "is done"
						  : "ends: the job has no schedule "
						    "any more");
		r = store_backfill_delete(c->store, b.job);
	}
	all->error = r;
}

void core_backfill_try(struct core *c)
{
	struct collected all = {c, 0};
	int r;

	if (c->is_stopping || c->exit_code)
		return;
	r = store_backfill_each(c->store, try_one, &all);
	if (r == 0)
		r = all.error;
	if (r < 0)
		core_store_failed(c, r, "backfill");
}

int core_backfill_plan(struct core *c, const struct conf_job *job,
	const struct core_backfill *b, core_backfill_fn fn, void *arg)
{
	int64_t until = b->until_s < core_now_s(c) ? b->until_s : core_now_s(c);
	struct slot slot = {.at_s = b->after_s};
	int n = 0;

	while (schedule_next(job->schedule, slot.at_s, &slot) == 0 &&
		slot.at_s <= until) {
		int r = store_run_has_success(c->store, job->name, slot.at_s);

		if (r < 0)
			return r;
		if (++n > CORE_BACKFILL_MAX)
			return -E2BIG;
		fn(arg, &slot, r == 1);
	}
	return 0;
}

int core_backfill_start(
	struct core *c, const struct conf_job *job, const struct core_backfill *b)
{
	struct store_backfill row = {.after = b->after_s,
		.until = b->until_s < core_now_s(c) ? b->until_s : core_now_s(c),
		.is_again = b->is_again};
	struct store_backfill other;
	int r = store_backfill_get(c->store, job->name, &other);

	if (r != -ENOENT)
		return r < 0 ? r : -EEXIST;
	snprintf(row.job, sizeof(row.job), "%s", job->name);
	r = store_backfill_put(c->store, &row);
	if (r == 0)
		sched_wake_at(c->sched, core_now_s(c));
	return r;
}

int core_backfill_end(struct core *c, const char *job)
{
	struct store_backfill b;
	int r = store_backfill_get(c->store, job, &b);

	if (r < 0)
		return r;
	say_over(&b, "is cancelled");
	return store_backfill_delete(c->store, job);
}
