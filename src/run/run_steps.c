/*
 * What becomes of each object: a step of the plan is acted upon, its end is counted with
 * a reason. Not what the steps are (plan) and not how an object moves (engine).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/loop.h"
#include "run/run_impl.h"

#define STEPS_A_TURN 500 /* of a listing that needs nothing: other work comes between */
#define DENIALS_MAX  100 /* in a row: the rest would be no better */

/* --- counting --- */

void run_count_many(struct run *r, enum reason why, uint64_t objects, uint64_t bytes)
{
	r->report.counts[why] += objects;
	r->report.count_bytes[why] += bytes;
}

void run_count(struct run *r, enum reason why, uint64_t bytes)
{
	run_count_many(r, why, 1, bytes);
}

static void give_up(struct run *r)
{
	struct run_report *report = &r->report;
	size_t n = strlen(report->message);

	r->is_given_up = true;
	snprintf(report->message + n, sizeof(report->message) - n,
		"; stopped early, for %d objects in a row were denied", DENIALS_MAX);
}

void run_count_failed(
	struct run *r, enum reason why, int side, const char *key, const struct err *e)
{
	struct err own;

	run_count(r, why, 0);
	r->report.objects_failed++;
	if (!e)
		e = err_set(&own, ERR_CONFIG, ERR_FROM_LOCAL, reason_code(why), "%s",
			reason_text(why));
	if (r->report.err.class == ERR_OK)
		run_explain(r, side, key, e);
	r->denials = why == REASON_OBJECT_DENIED ? r->denials + 1 : 0;
	if (r->denials == DENIALS_MAX)
		give_up(r);
}

static enum reason reason_of(int side, const struct err *e)
{
	switch (e->class) {
	case ERR_DENIED:
	case ERR_AUTH:
		return REASON_OBJECT_DENIED;
	case ERR_NOTFOUND:
		return side == RUN_SOURCE && !str_eq(e->code, "NoSuchBucket")
			       ? REASON_VANISHED
			       : REASON_OBJECT_SERVICE;
	case ERR_CONFLICT:
		return side == RUN_SOURCE ? REASON_CHANGED_WHILE_READ
					  : REASON_DESTINATION_CHANGED;
	case ERR_INTEGRITY:
		return REASON_OBJECT_INTEGRITY;
	case ERR_THROTTLE:
		return REASON_OBJECT_THROTTLED;
	case ERR_LOCAL:
		return REASON_OBJECT_LOCAL;
	case ERR_FATAL:
		return str_eq(e->code, "InvalidObjectState") ? REASON_ARCHIVED
							     : REASON_OBJECT_SERVICE;
	case ERR_CONFIG:
		return str_eq(e->code, "key-too-long") ? REASON_KEY_TOO_LONG
						       : REASON_OBJECT_CONFIG;
	default:
		return e->origin == ERR_FROM_NET ? REASON_OBJECT_NETWORK
						 : REASON_OBJECT_SERVICE;
	}
}

static uint64_t size_of(const struct lister_entry *e)
{
	return e && e->size > 0 ? (uint64_t)e->size : 0;
}

/* --- acting --- */

static void tell(struct run *r, enum reason why, const struct lister_entry *e)
{
	const struct run_planned p = {why, e->key, e->size};

	run_count(r, why, size_of(e));
	if (r->ops.planned && r->options.is_dry)
		r->ops.planned(r->ops.arg, r, &p);
}

/* Nothing is to be done; whoever asks about one key hears of that too. */
static void leave(struct run *r, const struct plan_step *step)
{
	const struct lister_entry *e = step->source ? step->source : step->destination;

	if (r->options.only_key || (r->options.is_dry && r->is_single))
		tell(r, step->reason, e);
	else
		run_count(r, step->reason, size_of(e));
	run_manifest_left(r, step->reason, e);
}

/* Some of what is not taken is missed by the job. */
static void skip(struct run *r, const struct plan_step *step)
{
	_cleanup_free_ char *key = NULL;

	if (reason_kind(step->reason) != REASON_KIND_FAILED) {
		leave(r, step);
		return;
	}
	key = mem_printf("%s%s", r->sides[RUN_SOURCE].key, step->source->key);
	run_count_failed(r, step->reason, RUN_SOURCE, key, NULL);
	run_manifest_key(r, step->reason, RUN_SOURCE, step->source->key, NULL);
}

/* NULL: its key would be too long, and that was counted. */
static struct run_item *new_item(struct run *r, const struct plan_step *step)
{
	_cleanup_free_ char *from = mem_printf(
		"%s%s", r->sides[RUN_SOURCE].key, step->source->key);
	char to[ENGINE_KEY_LEN];
	struct run_item *i;

	if (run_destination_key(r, from, to, sizeof(to)) < 0) {
		run_count_failed(r, REASON_KEY_TOO_LONG, RUN_SOURCE, from, NULL);
		run_manifest_key(r, REASON_KEY_TOO_LONG, RUN_SOURCE, step->source->key, NULL);
		return NULL;
	}
	i = run_item_new(r, from, to);
	i->entries[RUN_SOURCE] = run_entry_copy(step->source);
	if (step->destination)
		i->entries[RUN_DESTINATION] = run_entry_copy(step->destination);
	return i;
}

static void copy(struct run *r, const struct plan_step *step)
{
	struct run_item *i;

	r->objects_total++;
	r->bytes_total = (r->bytes_total < 0 ? 0 : r->bytes_total) + step->source->size;
	if (r->options.is_dry) {
		tell(r, step->reason, step->source);
		run_estimate_copy(r->job, step->source->size, &r->report.requests);
		return;
	}
	i = new_item(r, step);
	if (!i)
		return;
	i->why = step->reason;
	run_item_copy(i);
}

static void keep(struct run *r, const struct plan_step *step)
{
	struct run_item *i;

	if (r->job->action != CONF_MOVE || step->reason != REASON_SAME) {
		leave(r, step);
		return;
	}
	if (r->options.is_dry) {
		leave(r, step);
		run_estimate_leave(r->job, &r->report.requests);
		return;
	}
	/* Copied by a run that ended before it could remove it. */
	i = new_item(r, step);
	if (i)
		run_item_remove(i, RUN_SOURCE);
}

/* Asked for before, or by others. */
static void wait_for(struct run *r, const struct plan_step *step)
{
	r->restoring++;
	leave(r, step);
}

static void restore(struct run *r, const struct plan_step *step)
{
	struct run_item *i = new_item(r, step);

	if (i)
		run_item_restore(i);
}

static void archived(struct run *r, const struct plan_step *step)
{
	_cleanup_free_ char *key = mem_printf(
		"%s%s", r->sides[RUN_SOURCE].key, step->source->key);
	enum conf_archived way = r->job->select.archived;
	struct err e;

	if (way == CONF_ARCHIVED_SKIP) {
		leave(r, step);
	} else if (r->options.is_dry && way == CONF_ARCHIVED_RESTORE) {
		tell(r, step->reason, step->source);
		r->report.requests.n[RUN_REQUEST_RESTORE] +=
			step->reason == REASON_ARCHIVED;
	} else if (way == CONF_ARCHIVED_RESTORE && step->reason == REASON_RESTORING) {
		wait_for(r, step);
	} else if (way == CONF_ARCHIVED_RESTORE) {
		restore(r, step);
	} else {
		err_set(&e, ERR_FATAL, ERR_FROM_S3, "InvalidObjectState",
			"the object is archived (%s) and not restored",
			step->source->storage_class);
		run_count_failed(r, step->reason, RUN_SOURCE, key, &e);
		run_manifest_key(r, step->reason, RUN_SOURCE, step->source->key, &e);
	}
}

static void ask(struct run *r, const struct plan_step *step)
{
	struct run_item *i = new_item(r, step);

	if (i)
		run_ask_start(i, step);
}

/* Both sides count what the job is about: filters may leave most of a listing out. */
static void note_sides(struct run *r, const struct plan_step *step)
{
	const struct lister_entry *s = step->source;

	if (step->action == PLAN_SKIP && reason_kind(step->reason) != REASON_KIND_FAILED)
		return;
	r->sides[RUN_DESTINATION].taken += step->destination != NULL;
	if (!s)
		return;
	r->sides[RUN_SOURCE].taken++;
	r->taken_bytes += size_of(s);
	if (s->modified_us > r->newest_us)
		r->newest_us = s->modified_us;
}

static void act(struct run *r, const struct plan_step *step)
{
	switch (step->action) {
	case PLAN_COPY:
		copy(r, step);
		return;
	case PLAN_KEEP:
		keep(r, step);
		return;
	case PLAN_SKIP:
		skip(r, step);
		return;
	case PLAN_ARCHIVED:
		archived(r, step);
		return;
	case PLAN_DELETE:
		if (r->options.is_dry) {
			tell(r, step->reason, step->destination);
			run_estimate_delete(r->job, &r->report.requests);
		}
		run_deletes_add(r, step->destination);
		return;
	case PLAN_ASK:
		ask(r, step);
		return;
	}
}

void run_steps_on_settled(struct run_item *i, const struct plan_step *settled)
{
	struct run *r = i->run;
	struct plan_step step = *settled;

	step.source = i->entries[RUN_SOURCE];
	if (r->is_single)
		note_sides(r, &step);
	if (r->must_stop || r->is_given_up) {
		run_item_free(i);
	} else if (step.action == PLAN_COPY && !r->options.is_dry) {
		r->objects_total++;
		i->why = step.reason;
		run_item_copy(i);
	} else if (step.action == PLAN_ARCHIVED && step.reason == REASON_ARCHIVED &&
		   r->job->select.archived == CONF_ARCHIVED_RESTORE && !r->options.is_dry) {
		run_item_restore(i);
	} else if (step.action == PLAN_KEEP && r->job->action == CONF_MOVE &&
		   step.reason == REASON_SAME && !r->options.is_dry) {
		run_item_remove(i, RUN_SOURCE);
	} else {
		act(r, &step);
		run_item_free(i);
	}
	run_go_on(r);
}

void run_steps_on_unseen(struct run_item *i, int side, const struct err *e)
{
	struct run *r = i->run;
	const struct conf_missing *m = &r->job->missing;
	size_t n;
	char text[32];

	run_count_failed(r, reason_of(side, e), side, i->keys[side], e);
	n = strlen(r->report.message);
	if (m->is_set && e->class == ERR_NOTFOUND)
		snprintf(r->report.message + n, sizeof(r->report.message) - n,
			"; a run waits for it, %s at most (if_missing)",
			str_format_duration(m->wait_s * USEC_PER_SEC, text, sizeof(text)));
	run_item_free(i);
	run_go_on(r);
}

static void single(struct run *r)
{
	const char *from = r->sides[RUN_SOURCE].key;
	char to[ENGINE_KEY_LEN];

	r->has_begun = true;
	if (run_destination_key(r, from, to, sizeof(to)) < 0) {
		run_count_failed(r, REASON_KEY_TOO_LONG, RUN_SOURCE, from, NULL);
		run_manifest_key(r, REASON_KEY_TOO_LONG, RUN_SOURCE, from, NULL);
	} else if (r->options.is_dry) {
		run_ask_unlisted(run_item_new(r, from, to));
	} else {
		r->objects_total = 1;
		run_item_copy(run_item_new(r, from, to));
	}
}

static void go_on_later(void *arg)
{
	struct run *r = arg;

	r->is_continuing = false;
	run_go_on(r);
}

void run_go_on_later(struct run *r)
{
	if (!r->is_continuing)
		loop_defer(r->env.loop, go_on_later, r);
	r->is_continuing = true;
}

bool run_steps_take(struct run *r)
{
	struct plan_step step;

	if (r->is_single && !r->has_begun)
		single(r);
	if (r->is_single || r->is_given_up)
		return true;
	for (int n = 0; run_has_room(r); n++) {
		enum plan_result got = run_plan_next(r, &step);

		if (got == PLAN_END)
			return true;
		if (got != PLAN_STEP)
			return false;
		note_sides(r, &step);
		act(r, &step);
		run_plan_pop(r, &step);
		if (r->is_given_up)
			return true;
		if (n < STEPS_A_TURN)
			continue;
		run_go_on_later(r);
		return false;
	}
	return false;
}

/* --- ends --- */

/* Files of a folder have the time of their source, which a listing shows. */
static bool is_recorded(const struct run *r)
{
	return r->record && (r->is_single ||
				    r->sides[RUN_DESTINATION].conf->scheme == CONF_S3);
}

static void copied(struct run_item *i, const struct engine_result *result)
{
	struct run *r = i->run;
	enum reason done = REASON_COPIED;
	bool is_news = is_recorded(r) && !result->skipped;

	r->denials = 0;
	if (r->is_single) {
		r->sides[RUN_SOURCE].taken = 1;
		r->taken_bytes = result->bytes;
		r->newest_us = result->source_modified_us;
	}
	run_note_delivered(r, result);
	if (result->skipped)
		done = result->skipped == ENGINE_SKIP_SAME ? REASON_SAME : REASON_EXISTS;
	if (is_news)
		run_record_put(r, i, result);
	if (r->job->action != CONF_MOVE || done == REASON_EXISTS) {
		run_count(r, done, result->bytes);
		run_manifest_item(i, done, result, NULL);
		run_item_free(i);
		return;
	}
	i->result = mem_alloc(sizeof(*i->result));
	*i->result = *result;
	if (is_news)
		i->work = WORK_RECORD;
	else /* no commit would come for it */
		run_item_remove(i, RUN_SOURCE);
}

/* The record is on disk: what a move has delivered may leave the source. */
void run_steps_on_recorded(struct run *r)
{
	for (size_t k = 0; k < RUN_WINDOW; k++)
		if (r->items[k].id && r->items[k].work == WORK_RECORD)
			run_item_remove(&r->items[k], RUN_SOURCE);
}

static void left(struct run_item *i, const struct err *e)
{
	struct run *r = i->run;

	if (e->class == ERR_OK) {
		run_count(r, REASON_MOVED,
			i->result ? i->result->bytes : size_of(i->entries[RUN_SOURCE]));
		run_manifest_item(i, REASON_MOVED, i->result, NULL);
	} else {
		run_count_failed(
			r, REASON_SOURCE_KEPT, RUN_SOURCE, i->keys[RUN_SOURCE], e);
		run_manifest_item(i, REASON_SOURCE_KEPT, i->result, e);
	}
	run_item_free(i);
}

static void deleted(struct run_item *i, const struct engine_result *result)
{
	struct run *r = i->run;
	const struct err *e = &result->err;
	enum reason why = i->why == REASON_TRASHED ? REASON_TRASHED : REASON_DELETED;
	int side = result->is_source_error ? RUN_SOURCE : RUN_DESTINATION;

	if (e->class == ERR_OK) {
		run_count(r, why, 0);
		run_record_drop(r, i->keys[RUN_DESTINATION]);
	} else if (str_eq(e->code, "source-is-back")) {
		why = REASON_REAPPEARED;
		run_count(r, why, 0);
	} else {
		why = reason_of(side, e);
		run_count_failed(r, why, side, i->keys[side], e);
	}
	run_manifest_item(i, why, NULL, e);
	run_item_free(i);
}

/* It can be read now, or it will be: what a restore came to. */
static void restored(struct run_item *i, const struct engine_result *result)
{
	struct run *r = i->run;

	if (result->is_readable) {
		i->is_restored = true;
		r->objects_total += !r->is_single;
		run_item_copy(i);
		return;
	}
	r->restoring++;
	run_count(r, REASON_RESTORING, size_of(i->entries[RUN_SOURCE]));
	run_manifest_item(i, REASON_RESTORING, NULL, NULL);
	run_item_free(i);
}

/* The listing did not tell, or there was none; true: that is no failure of this job. */
static bool is_archive_dealt_with(struct run_item *i, const struct err *e)
{
	struct run *r = i->run;

	if (i->work != WORK_COPY || i->is_restored || !str_eq(e->code, "InvalidObjectState"))
		return false;
	if (r->job->select.archived == CONF_ARCHIVED_RESTORE) {
		run_item_restore(i);
		return true;
	}
	if (r->job->select.archived != CONF_ARCHIVED_SKIP)
		return false;
	run_count(r, REASON_ARCHIVED, size_of(i->entries[RUN_SOURCE]));
	run_manifest_item(i, REASON_ARCHIVED, NULL, NULL);
	run_item_free(i);
	return true;
}

static void failed(struct run_item *i, const struct engine_result *result)
{
	struct run *r = i->run;
	const struct err *e = &result->err;
	int side = result->is_source_error ? RUN_SOURCE : RUN_DESTINATION;
	enum reason why = reason_of(side, e);

	if (is_archive_dealt_with(i, e))
		return;
	if (r->is_single && r->job->missing.is_set && side == RUN_SOURCE &&
		e->class == ERR_NOTFOUND && !str_eq(e->code, "NoSuchBucket")) {
		r->is_missing = true;
		run_item_free(i);
		return;
	}
	run_count_failed(r, why, side, i->keys[side], e);
	run_manifest_item(i, why, result, e);
	run_item_free(i);
}

void run_steps_on_done(struct run *r, const struct engine_ev *ev)
{
	const struct engine_result *result = ev->result;
	struct run_item *i = run_item_find(r, ev->id);

	if (!i)
		return;
	r->report.sent_again += result->sent_again;
	if (i->work == WORK_MANIFEST) {
		run_manifest_on_uploaded(i, result);
		return;
	}
	if (result->parts_resumed && i->work == WORK_COPY)
		run_log_resumed(r, ev);
	if (i->work == WORK_ABORT || (r->must_stop && result->err.class == ERR_CANCELLED))
		run_item_free(i);
	else if (i->work == WORK_LEAVE)
		left(i, &result->err);
	else if (i->work == WORK_DELETE)
		deleted(i, result);
	else if (result->err.class != ERR_OK)
		failed(i, result);
	else if (i->work == WORK_RESTORE)
		restored(i, result);
	else if (i->work == WORK_COPY)
		copied(i, result);
	else
		run_item_trashed(i);
}
