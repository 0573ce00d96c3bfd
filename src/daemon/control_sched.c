/*
 * The verbs that steer the scheduler.
 *
 * Pause  {job | all, for_s?} -> {jobs[], until?}
 * Resume {job | all}         -> {jobs[]}
 * Backfill {job, from, to, again?, dry_run?} -> {job, count, done, slots[]?}
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "calendar/period.h"
#include "calendar/slot.h"
#include "calendar/slot_json.h"
#include "conf/conf.h"
#include "daemon/control.h"
#include "daemon/control_cmds.h"
#include "daemon/core_impl.h"

#define PAUSE_MAX_S (INT64_C(3660) * 86400)

/* One job by name, or all of them. */
struct choice {
	const struct conf_job *job; /* NULL: all */
};

/* Answers and returns false when there is no such job. */
static bool choose(struct core *c, struct control_call *call, const struct json *params,
	struct choice *ret)
{
	const char *name = json_get_str(params, "job");

	ret->job = name ? conf_find_job(c->conf, name) : NULL;
	if (ret->job || (!name && json_get_bool(params, "all", false)))
		return true;
	cmd_no_such_job(c, call, name ? name : "");
	return false;
}

/* Negative errno, or whether the job was changed. */
typedef int (*apply_fn)(struct core *c, const struct conf_job *job, int64_t until_s);

static int apply(struct core *c, const struct choice *choice, apply_fn fn,
	int64_t until_s, struct json_writer *w)
{
	const size_t n = choice->job ? 1 : c->conf->job_count;
	int r = store_begin(c->store);

	if (r < 0)
		return r;
	json_array_begin(w, "jobs");
	for (size_t i = 0; r >= 0 && i < n; i++) {
		const struct conf_job *job = choice->job ? choice->job : c->conf->jobs[i];

		r = fn(c, job, until_s);
		if (r > 0)
			json_put_str(w, NULL, job->name);
	}
	json_array_end(w);
	if (r < 0) {
		store_rollback(c->store);
		return r;
	}
	return store_commit(c->store);
}

static int pause_one(struct core *c, const struct conf_job *job, int64_t until_s)
{
	int r = core_pause(c, job->name, until_s);

	return r < 0 ? r : 1;
}

static int resume_one(struct core *c, const struct conf_job *job, int64_t unused)
{
	int r = core_resume(c, job->name);

	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static void steer(struct core *c, struct control_call *call, const struct json *params,
	apply_fn fn, int64_t until_s)
{
	struct choice choice;
	struct json_writer w;
	struct buf out;
	int r;

	if (!choose(c, call, params, &choice))
		return;
	cmd_begin(&w, &out);
	r = apply(c, &choice, fn, until_s, &w);
	cmd_put_time(&w, "until", until_s);
	json_object_end(&w);
	if (r < 0) {
		control_error(call, "io.s3ferry.StateFailed", NULL);
		buf_done(&out);
		core_store_failed(c, r, "pause");
		return;
	}
	for (size_t i = 0; i < c->conf->job_count; i++)
		if (!choice.job || choice.job == c->conf->jobs[i])
			sched_refresh(c->sched, c->conf->jobs[i]->name);
	cmd_reply(call, &out, &w, false);
	core_update_status(c);
}

void cmd_pause(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	int64_t for_s = json_get_int(params, "for_s", 0);

	if (for_s < 0 || for_s > PAUSE_MAX_S)
		for_s = 0;
	steer(c, call, params, pause_one, for_s ? core_now_s(c) + for_s : 0);
}

void cmd_resume(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	const char *name = json_get_str(params, "job");
	const struct conf_job *job = name ? conf_find_job(c->conf, name) : NULL;

	if (job && job->is_paused)
		control_error(call, "io.s3ferry.PausedInConfig", NULL);
	else
		steer(c, call, params, resume_one, 0);
}

/* --- Backfill --- */

static void bad_date(struct control_call *call, const char *text, const char *hint)
{
	struct json_writer w;
	struct buf out;

	cmd_begin(&w, &out);
	json_put_str(&w, "text", text);
	json_put_str(&w, "hint", hint);
	json_object_end(&w);
	control_error(call, "io.s3ferry.BadDate", buf_str(&out));
	buf_done(&out);
}

bool cmd_take_period(struct control_call *call, const struct json *params,
	const char *key, const char *timezone, int64_t *ret_from_s, int64_t *ret_until_s)
{
	const char *text = json_get_str(params, key);
	struct schedule_error e;

	if (period_parse(text ? text : "", timezone, ret_from_s, ret_until_s, &e) == 0)
		return true;
	bad_date(call, e.text, e.hint);
	return false;
}

struct plan {
	struct json_writer *w; /* NULL: only counted */
	const struct conf_job *job;
	int64_t count, done; /* of those, with a success already */
};

static void plan_slot(void *arg, const struct slot *slot, bool has_succeeded)
{
	struct plan *plan = arg;

	plan->count++;
	plan->done += has_succeeded;
	if (!plan->w)
		return;
	json_object_begin(plan->w, NULL);
	json_put_str(plan->w, "job", plan->job->name);
	slot_put_json(plan->w, slot, slot->at_s);
	json_put_bool(plan->w, "has_succeeded", has_succeeded);
	json_object_end(plan->w);
}

static void answer_backfill(struct core *c, struct control_call *call,
	const struct conf_job *job, const struct core_backfill *b, bool is_dry)
{
	struct plan plan = {.job = job};
	struct json_writer w;
	struct buf out;
	int r;

	cmd_begin(&w, &out);
	if (is_dry) {
		plan.w = &w;
		json_array_begin(&w, "slots");
	}
	r = core_backfill_plan(c, job, b, plan_slot, &plan);
	if (is_dry)
		json_array_end(&w);
	else if (r == 0 && plan.count > (b->is_again ? 0 : plan.done))
		r = core_backfill_start(c, job, b);
	json_put_str(&w, "job", job->name);
	json_put_int(&w, "count", plan.count - (b->is_again ? 0 : plan.done));
	json_put_int(&w, "done", plan.done);
	json_object_end(&w);
	if (r == 0) {
		cmd_reply(call, &out, &w, false);
		return;
	}
	control_error(call,
		r == -E2BIG    ? "io.s3ferry.TooManyDates"
		: r == -EEXIST ? "io.s3ferry.BackfillUnderWay"
			       : "io.s3ferry.StateFailed",
		NULL);
	buf_done(&out);
	if (r != -E2BIG && r != -EEXIST)
		core_store_failed(c, r, "backfill");
}

void cmd_backfill(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	const char *name = json_get_str(params, "job");
	const struct conf_job *job = name ? conf_find_job(c->conf, name) : NULL;
	struct core_backfill b = {.is_again = json_get_bool(params, "again", false)};
	int64_t from, unused;

	if (!job) {
		cmd_no_such_job(c, call, name ? name : "");
		return;
	}
	if (!job->schedule || c->is_stopping) {
		control_error(call,
			job->schedule ? "io.s3ferry.Stopping" : "io.s3ferry.NoSchedule",
			NULL);
		return;
	}
	if (!cmd_take_period(call, params, "from", job->timezone, &from, &unused) ||
		!cmd_take_period(call, params, "to", job->timezone, &unused, &b.until_s))
		return;
	if (b.until_s <= from) {
		bad_date(call, "FROM is later than TO", "the earlier date comes first");
		return;
	}
	b.after_s = from - 1;
	b.until_s--;
	answer_backfill(c, call, job, &b, json_get_bool(params, "dry_run", false));
}
