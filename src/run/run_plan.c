/*
 * The two listings of a run as one stream of steps: it makes filter, plan and listers
 * from the configuration and feeds one with the heads of the others. What a step leads to
 * is decided in run_steps.c.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "aws/skew.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "engine/lister_file.h"
#include "engine/lister_ranges.h"
#include "net/loop.h"
#include "run/filter.h"
#include "run/run_impl.h"

#define RANGES 4   /* of a listing at once: more hold more pages, and gain little */
#define ALONE  128 /* pages before that: a listing that soon ends is not worth it */

static const enum compare_mode modes[] = {
	[CONF_COMPARE_AUTO] = COMPARE_AUTO,
	[CONF_COMPARE_SIZE] = COMPARE_SIZE,
	[CONF_COMPARE_MTIME] = COMPARE_MTIME,
	[CONF_COMPARE_ETAG] = COMPARE_ETAG,
	[CONF_COMPARE_CHECKSUM] = COMPARE_CHECKSUM,
	[CONF_COMPARE_VERSION] = COMPARE_VERSION,
};

static const enum plan_overwrite overwrites[] = {
	[CONF_OVERWRITE_CHANGED] = PLAN_OVERWRITE_CHANGED,
	[CONF_OVERWRITE_ALWAYS] = PLAN_OVERWRITE_ALWAYS,
	[CONF_OVERWRITE_NEVER] = PLAN_OVERWRITE_NEVER,
};

/*
 * What a move finds the same leaves the source: sizes and times that agree are not
 * enough. Modes that demand more keep their own proof.
 */
static enum compare_mode mode_of(const struct conf_job *job)
{
	enum compare_mode mode = modes[job->compare];
	bool is_weak = mode == COMPARE_AUTO || mode == COMPARE_SIZE ||
		       mode == COMPARE_MTIME;

	return job->action == CONF_MOVE && is_weak ? COMPARE_PROOF : mode;
}

static int64_t wall_us(const struct run *r)
{
	return clock_wall_us(loop_clock(r->env.loop));
}

/* --- filter --- */

/* The configuration compiled them before: they are valid. */
static void add_globs(struct run *r, const struct conf_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		if (glob_compile(texts->v[i], &r->globs[r->glob_count], NULL) == 0)
			r->glob_count++;
}

static int64_t age_us(int64_t seconds)
{
	return seconds ? seconds * USEC_PER_SEC : FILTER_NONE;
}

static void open_filter(struct run *r)
{
	const struct conf_select *s = &r->job->select;
	struct filter_spec spec = {
		.slot_us = r->options.nominal_s * USEC_PER_SEC,
		.newer_than_us = age_us(s->newer_than_s),
		.older_than_us = age_us(s->older_than_s),
		.min_size = s->min_size >= 0 ? s->min_size : FILTER_NONE,
		.max_size = s->max_size >= 0 ? s->max_size : FILTER_NONE,
		.stable_for_us = s->stable_for_s * USEC_PER_SEC,
		.storage_classes = (const char *const *)s->storage_classes.v,
		.storage_class_count = s->storage_classes.count,
	};

	r->globs = mem_array(s->include.count + s->exclude.count + 1, sizeof(*r->globs));
	add_globs(r, &s->include);
	spec.include_count = r->glob_count;
	add_globs(r, &s->exclude);
	spec.include = (const struct glob *const *)r->globs;
	spec.exclude = spec.include + spec.include_count;
	spec.exclude_count = r->glob_count - spec.include_count;
	r->filter = filter_new(&spec);
	filter_set_now(r->filter, wall_us(r));
}

/* --- listers --- */

static void need_creds(struct run *r, int which, uint64_t refused)
{
	struct run_side *side = &r->sides[which];

	side->is_lister_asking = true;
	if (refused)
		creds_invalidate(side->creds, refused);
	run_ask_creds(r, which);
}

static void need_source_creds(void *arg, uint64_t refused)
{
	need_creds(arg, RUN_SOURCE, refused);
}

static void need_destination_creds(void *arg, uint64_t refused)
{
	need_creds(arg, RUN_DESTINATION, refused);
}

void run_plan_give_creds(struct run *r, int which)
{
	struct run_side *side = &r->sides[which];

	if (!side->is_lister_asking)
		return;
	side->is_lister_asking = false;
	lister_s3_give_creds(side->lister, NULL, side->set);
}

static void on_source_retry(void *arg, const struct err *e, int attempt, int64_t delay_ms)
{
	run_log_retry(arg, RUN_SOURCE, e, attempt, delay_ms);
}

static void on_destination_retry(
	void *arg, const struct err *e, int attempt, int64_t delay_ms)
{
	run_log_retry(arg, RUN_DESTINATION, e, attempt, delay_ms);
}

static void on_change(void *arg)
{
	run_go_on(arg);
}

/* A glob of the URL picks from the whole folder. */
static void open_local(struct run *r, struct run_side *side)
{
	side->lister = lister_file_new(r->env.files, side->conf->bucket, side->key);
	lister_start(side->lister, on_change, r);
}

static void open_lister(struct run *r, int which)
{
	struct run_side *side = &r->sides[which];
	const struct conf_retry *retry = &r->job->retry;
	const struct s3_place place = run_side_place(side);
	char literal[GLOB_MAX];
	_cleanup_free_ char *prefix = NULL;
	struct lister_s3_options o = {
		.loop = r->env.loop,
		.http = r->env.http,
		.skew = skews_of(r->env.skews, place.endpoint_url),
		.regions = r->env.regions,
		.quotas = r->env.quotas,
		.place = &place,
		.cut = strlen(side->key),
		.retry = {(int)retry->attempts, retry->backoff_s * 1000,
			retry->max_backoff_s * 1000, retry->factor, 0, 0},
		.wants_restore = which == RUN_SOURCE,
		.need_creds = which == RUN_SOURCE ? need_source_creds
						  : need_destination_creds,
		.on_retry = which == RUN_SOURCE ? on_source_retry : on_destination_retry,
		.arg = r,
	};
	size_t n = 0;

	/* "in/2026-*" lists what begins so, at both sides. */
	if (r->pattern)
		n = glob_prefix(r->pattern, literal);
	if (r->options.only_key)
		prefix = mem_printf("%s%s", side->key, r->options.only_key);
	else
		prefix = mem_printf("%s%.*s", side->key, (int)n, literal);
	o.prefix = prefix;
	side->lister = lister_ranges_new(&o, RANGES, ALONE);
	lister_start(side->lister, on_change, r);
}

static void open_side(struct run *r, int which)
{
	if (r->sides[which].conf->scheme == CONF_FILE)
		open_local(r, &r->sides[which]);
	else
		open_lister(r, which);
}

/* A round that follows another, which found nothing to do, begins from nothing. */
static void forget_round(struct run *r)
{
	r->has_begun = r->is_missing = false;
	r->restoring = r->taken_bytes = 0;
	r->newest_us = 0;
	r->objects_total = 0;
	r->bytes_total = -1;
	run_counts_restart(r);
}

void run_plan_open(struct run *r)
{
	run_plan_close(r);
	forget_round(r);
	r->plan = (struct plan){.compare = COMPARE_PROOF, /* as the engine does */
		.overwrite = overwrites[r->job->overwrite],
		.delivered = run_record_find_single,
		.arg = r,
		.now_us = wall_us(r)};
	if (r->is_single)
		return;
	open_filter(r);
	r->plan.filter = r->filter;
	r->plan.compare = mode_of(r->job);
	r->plan.deletes = r->job->delete.is_on;
	r->plan.delivered = run_record_find;
	open_side(r, RUN_SOURCE);
	if (!r->is_renamed) /* renamed keys are in another order */
		open_side(r, RUN_DESTINATION);
}

void run_plan_close(struct run *r)
{
	struct lister_stats stats;

	for (int i = 0; i < RUN_SIDES; i++) {
		struct run_side *side = &r->sides[i];

		if (side->lister) {
			lister_get_stats(side->lister, &stats);
			if (i == RUN_SOURCE)
				r->is_source_empty = !side->listed;
			r->report.requests.n[RUN_REQUEST_LIST] += stats.requests;
			r->report.sent_again += stats.sent_again;
		}
		side->lister = lister_free(side->lister);
		side->is_lister_asking = false;
		side->listed = side->taken = 0;
	}
	key_set_done(&r->renamed);
	r->filter = filter_free(r->filter);
	for (size_t i = 0; i < r->glob_count; i++)
		glob_free(r->globs[i]);
	free(r->globs);
	r->globs = NULL;
	r->glob_count = 0;
}

int run_plan_failed_side(const struct run *r)
{
	for (int i = 0; i < RUN_SIDES; i++)
		if (r->sides[i].lister && lister_error(r->sides[i].lister))
			return i;
	return -1;
}

/* --- steps --- */

static bool is_outside(const struct run *r, const struct lister_entry *e)
{
	if (r->options.only_key && !str_eq(r->options.only_key, e->key))
		return true;
	return r->pattern && !glob_match(r->pattern, e->key, e->key_len);
}

/* What the glob of the source's URL does not name is none of this job's business. */
static enum lister_state peek(struct run *r, int which, struct plan_head *ret)
{
	struct lister *l = r->sides[which].lister;
	enum lister_state state = LISTER_ENDED;

	ret->entry = NULL;
	while (l && (state = lister_peek(l, &ret->entry)) == LISTER_READY &&
		is_outside(r, ret->entry))
		lister_pop(l);
	if (state != LISTER_READY)
		ret->entry = NULL;
	ret->has_ended = state == LISTER_ENDED;
	return state;
}

enum plan_result run_plan_next(struct run *r, struct plan_step *ret)
{
	struct plan_head heads[RUN_SIDES];

	for (int i = 0; i < RUN_SIDES; i++)
		if (peek(r, i, &heads[i]) == LISTER_FAILED)
			return PLAN_NEED_SOURCE;
	if (!r->is_renamed)
		return plan_next(
			&r->plan, &heads[RUN_SOURCE], &heads[RUN_DESTINATION], ret);
	if (!heads[RUN_SOURCE].entry)
		return heads[RUN_SOURCE].has_ended ? PLAN_END : PLAN_NEED_SOURCE;
	run_record_decide(r, heads[RUN_SOURCE].entry, ret);
	return PLAN_STEP;
}

void run_plan_pop(struct run *r, const struct plan_step *step)
{
	const struct lister_entry *const heads[] = {step->source, step->destination};

	for (int i = 0; i < RUN_SIDES; i++) {
		if (!heads[i] || !r->sides[i].lister)
			continue;
		r->sides[i].listed++;
		lister_pop(r->sides[i].lister);
	}
}
