/*
 * The rules for late, missed and overlapping slots, for jitter and for steps of the
 * clock. It has no state, reads no clock and starts nothing.
 */
#include "config.h"

#include "sched/policy.h"

#include <errno.h>
#include <string.h>

#include "calendar/jitter.h"
#include "conf/conf.h"

#define LATE_MAX_S    INT64_C(300)   /* beyond it a slot is caught up or missed */
#define STEP_WAIT_S   INT64_C(60)    /* NTP at work */
#define STEP_REPEAT_S INT64_C(10800) /* a wrong DST setting put right by hand */
#define OVERDUE_S     INT64_C(3600)  /* without success and nothing under way */
#define REBASE_MAX    5000           /* slots between two rules of a zone: days of them */
#define COUNT_MAX     UINT64_C(1000)
/* catch_up all without a deadline of its own: a week of slots is nobody's wish */
#define DEADLINE_OF_ALL_S INT64_C(86400)

enum policy_step policy_classify_step(int64_t back_s)
{
	if (back_s <= STEP_WAIT_S)
		return STEP_NONE;
	return back_s <= STEP_REPEAT_S ? STEP_REPEAT : STEP_CORRECT;
}

int policy_next(const struct conf_job *job, int64_t watermark_s, int64_t jitter,
	struct slot *ret, int64_t *ret_effective_s)
{
	int r = schedule_next(job->schedule, watermark_s, ret);

	if (r == 0)
		*ret_effective_s = jitter_effective(job->schedule, ret, jitter);
	return r;
}

/* One decision for all slots in (after, until]; 0 when there are none. */
static size_t decide_range(const struct conf_job *job, int64_t after, int64_t until,
	struct sched_decision *out)
{
	struct slot first;

	if (until <= after || schedule_prev(job->schedule, until, &out->slot) < 0 ||
		out->slot.at_s <= after ||
		schedule_next(job->schedule, after, &first) < 0)
		return 0;
	out->job = job->name;
	out->first_s = first.at_s;
	out->last_s = out->slot.at_s;
	out->count = schedule_count(job->schedule, after, until, COUNT_MAX);
	out->is_catch_up = false;
	return 1;
}

static void set_verdict(
	struct sched_decision *d, enum sched_verdict v, const char *reason)
{
	d->verdict = v;
	d->reason = reason;
}

/* The newest slot whose start lies at or before `until`. At most one step back: a start
 * is never later than the next slot. */
static int newest_due(const struct conf_job *job, int64_t jitter, int64_t until,
	struct slot *ret, int64_t *ret_effective_s)
{
	int r = schedule_prev(job->schedule, until, ret);

	if (r < 0)
		return r;
	*ret_effective_s = jitter_effective(job->schedule, ret, jitter);
	if (*ret_effective_s <= until)
		return 0;
	r = schedule_prev(job->schedule, ret->at_s - 1, ret);
	if (r == 0)
		*ret_effective_s = jitter_effective(job->schedule, ret, jitter);
	return r;
}

/* Those in (after, newest] whose start lies before `oldest_start`. */
static size_t decide_aged(const struct policy_case *c, int64_t after, int64_t newest,
	int64_t oldest_start, struct sched_decision *out)
{
	int64_t effective;
	struct slot slot;

	if (newest_due(c->job, c->jitter, oldest_start - 1, &slot, &effective) < 0)
		return 0;
	return decide_range(c->job, after, slot.at_s < newest ? slot.at_s : newest, out);
}

/* A slot that waited for a run of its own job is not late by that. */
static int64_t lateness_moment(const struct policy_case *c)
{
	return c->waits_from_s && c->waits_from_s < c->now_s ? c->waits_from_s : c->now_s;
}

/* What becomes of a slot that could start now. */
enum meeting {
	MEET_RUN,
	MEET_SKIP,
	MEET_WAIT,
	MEET_REPLACE, /* the active run is cancelled; the slot waits for its end */
};

static enum meeting meet(const struct policy_case *c)
{
	switch (c->state->active) {
	case SCHED_IDLE:
		return MEET_RUN;
	case SCHED_BACKFILLING:
		return MEET_WAIT;
	case SCHED_NOT_STARTED:
		return MEET_REPLACE;
	case SCHED_RETRYING:
		return c->job->overlap == CONF_OVERLAP_QUEUE_ONE ? MEET_WAIT
								 : MEET_REPLACE;
	case SCHED_RUNNING:
	case SCHED_CATCHING_UP:
		break;
	}
	switch (c->job->overlap) {
	case CONF_OVERLAP_SKIP:
		return MEET_SKIP;
	case CONF_OVERLAP_QUEUE_ONE:
		return MEET_WAIT;
	case CONF_OVERLAP_REPLACE:
		return MEET_REPLACE;
	}
	return MEET_SKIP;
}

/* One slot that meets what is active. */
static size_t decide_one(const struct policy_case *c, const struct slot *slot,
	enum meeting meeting, struct sched_decision *out)
{
	static const struct {
		enum sched_verdict verdict;
		const char *reason;
	} as[] = {
		[MEET_RUN] = {SCHED_RUN, ""},
		[MEET_SKIP] = {SCHED_SKIP, "overlap"},
		[MEET_REPLACE] = {SCHED_REPLACE, "superseded"},
	};

	if (meeting == MEET_WAIT)
		return 0;
	*out = (struct sched_decision){
		.job = c->job->name,
		.verdict = as[meeting].verdict,
		.reason = as[meeting].reason,
		.slot = *slot,
		.first_s = slot->at_s,
		.last_s = slot->at_s,
		.count = 1,
		.is_catch_up = lateness_moment(c) - jitter_effective(c->job->schedule,
							    slot, c->jitter) >
			       LATE_MAX_S,
	};
	return 1;
}

/* Slots before the newest one, which is itself on time or caught up. */
static size_t decide_older(const struct policy_case *c, int64_t after, int64_t newest,
	struct sched_decision *out)
{
	size_t n = 0;

	if (c->job->catch_up == CONF_CATCH_UP_NONE) {
		n = decide_aged(
			c, after, newest - 1, lateness_moment(c) - LATE_MAX_S, out);
		if (n) {
			set_verdict(&out[0], SCHED_MISS, "catch_up");
			after = out[0].last_s;
		}
	}
	if (decide_range(c->job, after, newest - 1, &out[n]))
		set_verdict(&out[n++], SCHED_COALESCE, "coalesced");
	return n;
}

/* catch_up none and latest: the newest slot counts. */
static size_t decide_newest(const struct policy_case *c, const struct slot *newest,
	int64_t effective, struct sched_decision *out)
{
	int64_t deadline = c->job->starting_deadline_s, after = c->state->watermark_s;
	bool is_past_deadline = deadline > 0 && c->now_s - effective > deadline;
	bool is_late = lateness_moment(c) - effective > LATE_MAX_S;
	enum meeting meeting = meet(c);
	size_t n = 0;

	if (is_past_deadline || (is_late && c->job->catch_up == CONF_CATCH_UP_NONE)) {
		n = decide_range(c->job, after, newest->at_s, out);
		set_verdict(
			&out[0], SCHED_MISS, is_past_deadline ? "deadline" : "catch_up");
		return n;
	}
	if (meeting == MEET_RUN || meeting == MEET_SKIP)
		n = decide_older(c, after, newest->at_s, out);
	return n + decide_one(c, newest, meeting, &out[n]);
}

/* The slot before the oldest of the newest `limit` ones; `after` when there is none. */
static int64_t before_limit(const struct policy_case *c, int64_t after, int64_t newest)
{
	int64_t at = newest;
	struct slot slot;

	for (int64_t i = 0; i < c->job->catch_up_limit; i++) {
		if (schedule_prev(c->job->schedule, at - 1, &slot) < 0 ||
			slot.at_s <= after)
			return after;
		at = slot.at_s;
	}
	return at;
}

/* catch_up all: what is too old or too much is missed, the oldest of the rest is next. */
static size_t decide_oldest(const struct policy_case *c, const struct slot *newest,
	struct sched_decision *out)
{
	int64_t deadline = c->job->starting_deadline_s ? c->job->starting_deadline_s
						       : DEADLINE_OF_ALL_S;
	int64_t after = c->state->watermark_s, effective;
	enum meeting meeting = meet(c);
	struct slot slot;
	size_t n = decide_aged(c, after, newest->at_s, c->now_s - deadline, out);

	if (n) {
		set_verdict(&out[0], SCHED_MISS, "deadline");
		after = out[0].last_s;
	}
	if (decide_range(c->job, after, before_limit(c, after, newest->at_s), &out[n])) {
		set_verdict(&out[n], SCHED_MISS, "catch_up_limit");
		after = out[n++].last_s;
	}
	if (schedule_next(c->job->schedule, after, &slot) < 0 || slot.at_s > newest->at_s)
		return n;
	effective = jitter_effective(c->job->schedule, &slot, c->jitter);
	/* One after another: what is being caught up is no overlap. */
	if (meeting != MEET_RUN && (c->state->active == SCHED_CATCHING_UP ||
					   lateness_moment(c) - effective > LATE_MAX_S))
		meeting = MEET_WAIT;
	if (meeting != MEET_SKIP)
		return n + decide_one(c, &slot, meeting, &out[n]);
	/* Those that follow are no later than this one. */
	if (decide_range(c->job, after, newest->at_s, &out[n]))
		set_verdict(&out[n++], SCHED_SKIP, "overlap");
	return n;
}

size_t policy_decide(const struct policy_case *c,
	struct sched_decision out[POLICY_MAX_DECISIONS], bool *ret_waits)
{
	int64_t effective, watermark = c->state->watermark_s;
	struct slot newest;
	size_t n;

	*ret_waits = false;
	if (newest_due(c->job, c->jitter, c->now_s, &newest, &effective) < 0 ||
		newest.at_s <= watermark)
		return 0;
	n = c->job->catch_up == CONF_CATCH_UP_ALL
		    ? decide_oldest(c, &newest, out)
		    : decide_newest(c, &newest, effective, out);
	for (size_t i = 0; i < n; i++)
		if (out[i].verdict != SCHED_REPLACE)
			watermark = out[i].last_s;
	for (size_t i = 0; i < n; i++)
		out[i].watermark_s = watermark;
	*ret_waits = watermark < newest.at_s;
	return n;
}

size_t policy_drop(const struct conf_job *job, int64_t watermark_s, int64_t now_s,
	const char *reason, struct sched_decision *out)
{
	if (!decide_range(job, watermark_s, now_s, out))
		return 0;
	set_verdict(out, SCHED_SKIP, reason);
	out->watermark_s = now_s;
	return 1;
}

int policy_overdue(const struct policy_case *c, struct slot *ret, int64_t *ret_at_s)
{
	const struct schedule *schedule = c->job->schedule;
	bool is_busy = c->state->active != SCHED_IDLE;
	int64_t start, next_start = INT64_MAX;
	struct slot next;

	if (schedule_next(schedule, c->state->served_s, ret) < 0)
		return -ENOENT;
	if (c->job->expect.by && schedule_next(c->job->expect.by, ret->at_s, &next) == 0) {
		*ret_at_s = next.at_s;
		return 0;
	}
	start = jitter_effective(schedule, ret, c->jitter);
	if (schedule_next(schedule, ret->at_s, &next) == 0)
		next_start = jitter_effective(schedule, &next, c->jitter);
	*ret_at_s = is_busy || next_start < start + OVERDUE_S ? next_start
							      : start + OVERDUE_S;
	return *ret_at_s == INT64_MAX ? -ENOENT : 0;
}

int64_t policy_rebase(
	const struct conf_job *job, int64_t watermark_s, const struct slot *newest)
{
	struct slot slot;

	if (!newest->is_local)
		return watermark_s;
	for (int i = 0; i < REBASE_MAX; i++) {
		if (schedule_prev(job->schedule, watermark_s, &slot) < 0 ||
			!slot.is_local || slot_compare(&slot, newest) <= 0)
			break;
		watermark_s = slot.at_s - 1;
	}
	for (int i = 0; i < REBASE_MAX; i++) {
		if (schedule_next(job->schedule, watermark_s, &slot) < 0 ||
			!slot.is_local || slot_compare(&slot, newest) > 0)
			break;
		watermark_s = slot.at_s;
	}
	return watermark_s;
}

bool policy_keeps_local_slots(const struct conf_job *job, int64_t now_s)
{
	struct slot slot, other;

	if (schedule_next(job->schedule, now_s, &slot) < 0)
		return true; /* all its slots are over: none may come again */
	if (schedule_next(job->schedule, slot.at_s, &other) < 0 &&
		schedule_prev(job->schedule, now_s, &other) < 0)
		return true; /* one instant */
	return slot.is_local;
}
