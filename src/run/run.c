/*
 * The state machine of one run. Not the ledger (daemon), not the bytes (engine), not the
 * wording of what went wrong (run_log).
 */
#include "config.h"

#include "run/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "engine/engine_set.h"
#include "engine/lister.h"
#include "net/loop.h"
#include "run/run_identity.h"
#include "run/run_impl.h"

#define GRACE_MS 30000 /* for what was told to stop */

enum step_result {
	STEP_AGAIN,
	STEP_WAIT,
};

static enum step_result step_start(struct run *r);
static enum step_result step_creds(struct run *r);
static enum step_result step_open(struct run *r);
static enum step_result step_work(struct run *r);
static enum step_result step_judge(struct run *r);
static enum step_result step_remove(struct run *r);
static enum step_result step_close(struct run *r);
static enum step_result step_backoff(struct run *r);
static enum step_result step_drain(struct run *r);
static enum step_result step_seal(struct run *r);
static enum step_result step_upload(struct run *r);

/* clang-format off */
static const struct {
	const char *name;
	enum step_result (*step)(struct run *r);
} steps[] = {
	[RUN_START]   = {"start",   step_start},
	[RUN_CREDS]   = {"creds",   step_creds},
	[RUN_OPEN]    = {"open",    step_open},
	[RUN_WORK]    = {"work",    step_work},
	[RUN_JUDGE]   = {"judge",   step_judge},
	[RUN_REMOVE]  = {"remove",  step_remove},
	[RUN_CLOSE]   = {"close",   step_close},
	[RUN_PAUSE]   = {"pause",   step_backoff},
	[RUN_BACKOFF] = {"backoff", step_backoff},
	[RUN_DRAIN]   = {"drain",   step_drain},
	[RUN_SEAL]    = {"seal",    step_seal},
	[RUN_UPLOAD]  = {"upload",  step_upload},
	[RUN_DONE]    = {"done",    NULL},
};
/* clang-format on */

static bool is_waiting(enum run_step step)
{
	return step == RUN_BACKOFF || step == RUN_PAUSE;
}

static enum step_result run_goto(struct run *r, enum run_step next)
{
	log_debug(LOG_FIELDS({"JOB", r->job->name}, {"RUN_ID", r->id}), "run %s -> %s",
		steps[r->step].name, steps[next].name);
	if (is_waiting(r->step) != is_waiting(next))
		r->ops.waiting(r->ops.arg, r, is_waiting(next));
	r->step = next;
	return STEP_AGAIN;
}

static void finish(void *arg)
{
	struct run *r = arg;

	if (!r->options.is_dry) {
		run_log_losses(r);
		run_log_ended(r);
	}
	r->ops.done(r->ops.arg, r, &r->report);
}

/* The only loop; callbacks end here. */
static void run_run(struct run *r)
{
	if (r->step == RUN_DONE)
		return;
	while (r->step != RUN_DONE && steps[r->step].step(r) == STEP_AGAIN)
		;
	if (r->step == RUN_DONE)
		loop_defer(r->env.loop, finish, r);
}

void run_go_on(struct run *r)
{
	run_run(r);
}

static enum step_result end(struct run *r, enum run_verdict verdict)
{
	run_record_flush(r);
	run_plan_close(r);
	r->report.verdict = verdict;
	r->report.duration_us =
		clock_mono_us(loop_clock(r->env.loop)) - r->started_us;
	loop_timer_cancel(r->deadline);
	loop_timer_cancel(r->timer);
	return run_goto(r, RUN_SEAL);
}

/* Stop what is under way; the verdict was set by the caller in the report. */
static enum step_result stop_all(struct run *r)
{
	r->must_stop = true;
	for (int i = 0; i < RUN_SIDES; i++) {
		if (r->sides[i].wait)
			creds_wait_cancel(r->sides[i].wait);
		r->sides[i].wait = NULL;
	}
	run_plan_close(r);
	loop_timer_set(r->timer, GRACE_MS);
	run_objects_cancel(r);
	return run_goto(r, RUN_DRAIN);
}

/* Before the slot's keys are known: as they stand in the configuration. */
static const char *run_place(const struct run *r, int side)
{
	const struct run_side *s = &r->sides[side];

	return s->key ? s->key : s->conf->key;
}

/* A failure before any transfer: try again if that can help, else end. */
static enum step_result fail_or_retry(struct run *r, int side, const struct err *e)
{
	const struct conf_retry *retry = &r->job->retry;
	double delay = (double)retry->backoff_s * 1000;

	if (!err_is_transient(e) || r->attempt >= retry->attempts) {
		run_explain(r, side, run_place(r, side), e);
		r->report.verdict = RUN_ENDED_FAILED;
		return stop_all(r);
	}
	for (int i = 1; i < r->attempt; i++)
		delay *= retry->factor;
	if (delay > (double)retry->max_backoff_s * 1000)
		delay = (double)retry->max_backoff_s * 1000;
	delay *= 0.5 + crypto_random_unit() / 2;
	r->attempt++;
	run_log_retry(r, side, e, r->attempt, (int64_t)delay);
	loop_timer_set(r->timer, (int64_t)delay);
	return run_goto(r, RUN_BACKOFF);
}

/* --- credentials --- */

static void on_creds(
	struct run *r, int which, const struct err *e, const struct creds_set *set)
{
	struct run_side *side = &r->sides[which];
	struct engine_cmd cmd = {ENGINE_CMD_CREDS, .creds_id = side->creds_id};

	side->wait = NULL;
	if (r->step == RUN_DONE || r->must_stop || (e && r->step >= RUN_SEAL))
		return;
	if (e && is_waiting(r->step))
		return; /* the other side failed first: both are asked again */
	if (e) {
		if (r->step != RUN_CREDS) {
			/* What is under way waits for a set that will not come. */
			run_explain(r, which, run_place(r, which), e);
			r->report.verdict = RUN_ENDED_FAILED;
			stop_all(r);
		} else {
			fail_or_retry(r, which, e);
		}
		run_run(r);
		return;
	}
	*side->set = *set;
	side->has_set = true;
	cmd.creds = mem_secret_alloc(sizeof(*cmd.creds));
	*cmd.creds = *set;
	engine_set_send(r->env.engines, &cmd);
	run_plan_give_creds(r, which);
	run_run(r);
}

static void on_source_creds(
	void *arg, const struct err *e, const struct creds_set *set)
{
	on_creds(arg, RUN_SOURCE, e, set);
}

static void on_destination_creds(
	void *arg, const struct err *e, const struct creds_set *set)
{
	on_creds(arg, RUN_DESTINATION, e, set);
}

void run_ask_creds(struct run *r, int which)
{
	struct run_side *side = &r->sides[which];

	if (side->wait)
		return;
	side->has_set = !side->creds; /* of local files */
	if (!side->creds)
		return;
	side->wait = creds_get(side->creds,
		which == RUN_SOURCE ? on_source_creds : on_destination_creds, r);
}

static enum step_result step_start(struct run *r)
{
	struct err e;

	if (!r->options.is_dry)
		run_log_started(r);
	if (run_names_open(r, &e) < 0) {
		run_explain(r, RUN_SOURCE, "", &e);
		return end(r, RUN_ENDED_FAILED);
	}
	for (int i = 0; i < RUN_SIDES; i++)
		run_ask_creds(r, i);
	return run_goto(r, RUN_CREDS);
}

static enum step_result step_creds(struct run *r)
{
	if (!r->sides[RUN_SOURCE].has_set || !r->sides[RUN_DESTINATION].has_set)
		return STEP_WAIT;
	r->attempt = 1;
	return run_goto(r, RUN_OPEN);
}

static enum step_result step_backoff(struct run *r)
{
	if (loop_timer_is_set(r->timer))
		return STEP_WAIT;
	for (int i = 0; i < RUN_SIDES; i++)
		run_ask_creds(r, i);
	return run_goto(r, RUN_CREDS);
}

static void on_timer(void *arg)
{
	run_run(arg);
}

/* --- objects --- */

static enum step_result step_open(struct run *r)
{
	if (!run_manifest_open(r))
		return STEP_WAIT;
	run_record_flush(r);
	r->record = run_record_free(r->record);
	r->deletes = run_deletes_free(r->deletes);
	if (!r->is_single || r->job->action == CONF_MOVE ||
		r->job->overwrite == CONF_OVERWRITE_CHANGED)
		r->record = run_record_new(r);
	run_plan_open(r);
	return run_goto(r, RUN_WORK);
}

/* What is under way may end; nothing else of this run is believed. */
static void on_listing_failed(struct run *r, int side)
{
	const struct err *e = lister_error(r->sides[side].lister);

	if (r->is_given_up)
		return;
	r->is_given_up = true;
	r->is_listing_failed = true;
	run_explain(r, side, run_place(r, side), e);
}

static enum step_result step_work(struct run *r)
{
	bool is_over = run_steps_take(r);
	int side = run_plan_failed_side(r); /* seen when it was its turn to be read */

	if (side >= 0)
		on_listing_failed(r, side);
	if ((!is_over && side < 0) || r->in_flight)
		return STEP_WAIT;
	return run_goto(r, RUN_JUDGE);
}

static enum step_result pause_for(struct run *r, int64_t delay_ms)
{
	run_log_missing(r, delay_ms);
	run_record_flush(r);
	run_plan_close(r);
	loop_timer_set(r->timer, delay_ms);
	return run_goto(r, RUN_PAUSE);
}

static enum step_result step_judge(struct run *r)
{
	int64_t delay_ms = run_wait_ms(r);

	if (run_is_restoring(r))
		return end(r, run_park(r));
	if (delay_ms >= 0)
		return pause_for(r, delay_ms);
	r->is_braked = !run_deletes_judge(r);
	return run_goto(r, r->options.is_dry ? RUN_CLOSE : RUN_REMOVE);
}

static enum step_result step_remove(struct run *r)
{
	return run_deletes_take(r) ? STEP_WAIT : run_goto(r, RUN_CLOSE);
}

static enum step_result step_close(struct run *r)
{
	if (!r->options.is_dry && run_objects_sweep(r))
		return STEP_WAIT;
	return end(r, run_judge(r));
}

static enum step_result step_drain(struct run *r)
{
	if (r->in_flight && loop_timer_is_set(r->timer))
		return STEP_WAIT;
	return end(r, r->report.verdict);
}

static enum step_result step_seal(struct run *r)
{
	return run_manifest_seal(r) ? run_goto(r, RUN_UPLOAD) : STEP_WAIT;
}

static enum step_result step_upload(struct run *r)
{
	return run_manifest_upload(r) ? run_goto(r, RUN_DONE) : STEP_WAIT;
}

void run_on_engine(struct run *r, const struct engine_ev *ev)
{
	struct run_item *item;

	switch (ev->type) {
	case ENGINE_EV_PROGRESS:
		item = run_item_find(r, ev->id);
		if (item)
			item->bytes = ev->bytes;
		if (ev->total >= 0 && r->objects_total == 1)
			r->bytes_total = ev->total;
		return;
	case ENGINE_EV_RETRY:
		run_log_object_retry(r, ev->result);
		return;
	case ENGINE_EV_NEED_CREDS:
		for (int i = 0; i < RUN_SIDES && !r->must_stop; i++) {
			if (r->sides[i].creds_id != ev->creds_id)
				continue;
			creds_invalidate(r->sides[i].creds, ev->generation);
			run_ask_creds(r, i);
		}
		return;
	case ENGINE_EV_INTENT:
	case ENGINE_EV_ORPHAN:
	case ENGINE_EV_UPLOAD:
	case ENGINE_EV_PART:
	case ENGINE_EV_RESTART:
	case ENGINE_EV_CLOCK:
	case ENGINE_EV_RATE:
		return; /* the core's */
	case ENGINE_EV_DONE:
		run_steps_on_done(r, ev);
		run_run(r);
		return;
	}
}

/* --- from outside --- */

static void on_deadline(void *arg)
{
	struct run *r = arg;
	struct err e;

	if (r->must_stop)
		return; /* it ends already, for another reason */
	err_set(&e, ERR_CANCELLED, ERR_FROM_LOCAL, "timeout",
		"the run did not end within its timeout of %lld s",
		(long long)r->job->timeout_s);
	run_explain(r, RUN_SOURCE, "", &e);
	r->report.verdict = RUN_ENDED_FAILED;
	stop_all(r);
	run_run(r);
}

void run_cancel(struct run *r, enum run_cancel_why why)
{
	static const struct {
		enum run_verdict verdict;
		const char *reason, *message;
	} as[] = {
		[RUN_CANCEL_ASKED] = {RUN_ENDED_CANCELLED, "cancelled",
			"cancelled by the operator"},
		[RUN_CANCEL_STOPPING] = {RUN_ENDED_INTERRUPTED, "interrupted",
			"stopped with the daemon; the next start goes on"},
		[RUN_CANCEL_SUPERSEDED] = {RUN_ENDED_CANCELLED, "superseded",
			"a newer slot came while it was under way"},
		[RUN_CANCEL_WINDOW] = {RUN_ENDED_CANCELLED, "window",
			"its window ended before it did"},
		[RUN_CANCEL_PARKING] = {RUN_ENDED_INTERRUPTED, "window",
			"its window ended; it goes on in the next one"},
	};

	/* It ends as it would have; the next run sends its manifest. */
	if (r->step == RUN_SEAL)
		r->must_keep_manifests = true;
	if (r->step == RUN_UPLOAD)
		run_objects_cancel(r);
	if (r->step >= RUN_SEAL || r->must_stop)
		return;
	r->report.verdict = as[why].verdict;
	snprintf(r->report.reason, sizeof(r->report.reason), "%s", as[why].reason);
	snprintf(r->report.message, sizeof(r->report.message), "%s", as[why].message);
	stop_all(r);
	/* The caller stands above us: done() must not come before we return. */
	run_run(r);
}

void run_start(struct run *r, const struct run_ops *ops)
{
	r->ops = *ops;
	r->started_us = clock_mono_us(loop_clock(r->env.loop));
	loop_timer_set(r->deadline, r->job->timeout_s * 1000);
	run_run(r);
}

struct run *run_new(const struct run_env *env, const struct conf *conf,
	const struct conf_job *job, const char *id, uint64_t serial,
	const struct run_options *options)
{
	struct run *r = mem_alloc(sizeof(*r));
	const struct conf_side *ends[RUN_SIDES] = {&job->source, &job->destination};

	r->env = *env;
	r->conf = conf_ref(conf);
	r->job = job;
	snprintf(r->id, sizeof(r->id), "%s", id);
	r->serial = serial;
	r->options = *options;
	r->report.objects = options->before.objects;
	r->report.bytes = options->before.bytes;
	run_counts_restart(r);
	r->attempt = 1;
	r->bytes_total = -1;
	r->next_id = serial << 32; /* more than a bucket has keys */
	r->timer = loop_timer_new(env->loop, on_timer, r);
	r->deadline = loop_timer_new(env->loop, on_deadline, r);
	for (int i = 0; i < RUN_SIDES; i++) {
		r->sides[i].conf = ends[i];
		r->sides[i].creds_id = (uint32_t)(serial * RUN_SIDES) + (uint32_t)i;
		if (ends[i]->scheme == CONF_FILE)
			continue;
		run_identity_place(env->creds, conf, ends[i]->profile, &r->sides[i].place);
		r->sides[i].creds = run_identity_open(env->creds, conf, job, i);
		r->sides[i].set = mem_secret_alloc(sizeof(*r->sides[i].set));
	}
	return r;
}

void *run_free(struct run *r)
{
	if (!r)
		return NULL;
	loop_undefer(r->env.loop, r);
	for (int i = 0; i < RUN_SIDES; i++) {
		struct engine_cmd cmd = {
			ENGINE_CMD_FORGET, .creds_id = r->sides[i].creds_id};

		if (r->sides[i].wait)
			creds_wait_cancel(r->sides[i].wait);
		engine_set_send(r->env.engines, &cmd);
		if (r->sides[i].creds)
			creds_release(r->sides[i].creds);
		mem_secret_free(r->sides[i].set);
	}
	run_objects_clear(r);
	run_plan_close(r);
	run_record_free(r->record);
	run_deletes_free(r->deletes);
	run_manifest_drop(r);
	run_names_close(r);
	loop_timer_free(r->timer);
	loop_timer_free(r->deadline);
	conf_unref(r->conf);
	free(r);
	return NULL;
}

uint64_t run_serial_of_creds(uint32_t creds_id)
{
	return creds_id / RUN_SIDES;
}

const char *run_id(const struct run *r)
{
	return r->id;
}

const struct conf_job *run_job(const struct run *r)
{
	return r->job;
}

uint64_t run_serial(const struct run *r)
{
	return r->serial;
}

void run_get_key(const struct run *r, uint64_t xfer, int side, char *ret_key)
{
	run_object_key(r, xfer, side, ret_key);
}

const char *run_get_asked(const struct run *r)
{
	const char *key = r->options.only_key;

	/* run_names_open() took what is above the keys of the source off. */
	if (!key || !r->is_single)
		return key;
	return *key ? NULL : r->sides[RUN_SOURCE].key;
}

bool run_is_single(const struct run *r)
{
	return r->is_single;
}

const struct compare_delivered *run_get_delivered(struct run *r)
{
	const char *key = r->options.only_key;

	return r->record && key ? run_record_find(r, key, strlen(key)) : NULL;
}

void run_get_progress(const struct run *r, struct run_progress *ret)
{
	const struct run_done *before = &r->options.before;

	ret->objects_done = r->report.objects - before->objects + r->report.objects_same +
			    r->report.objects_existing;
	ret->objects_total = r->objects_total;
	ret->bytes_done = r->report.bytes - before->bytes + run_bytes_in_flight(r);
	ret->bytes_total = r->bytes_total;
}
