/*
 * The rules for late, missed and overlapping slots, for jitter and for steps of the
 * clock. It has no state, reads no clock and starts nothing.
 */
#include "config.h"

#include "sched/policy.h"

#include <errno.h>
#include <string.h>

#include "base/crypto.h"
#include "conf/conf.h"

#define LATE_MAX_S    INT64_C(300)   /* beyond it a slot is caught up or missed */
#define STEP_WAIT_S   INT64_C(60)    /* NTP at work */
#define STEP_REPEAT_S INT64_C(10800) /* a wrong DST setting put right by hand */
#define COUNT_MAX     UINT64_C(1000)

enum policy_step policy_classify_step(int64_t back_s)
{
	if (back_s <= STEP_WAIT_S)
		return STEP_NONE;
	return back_s <= STEP_REPEAT_S ? STEP_REPEAT : STEP_CORRECT;
}

int64_t policy_jitter(const uint8_t key[32], const char *name, int64_t jitter_s)
{
	uint8_t digest[CRYPTO_SHA256_LEN];
	uint64_t n = 0;

	if (jitter_s <= 0)
		return 0;
	crypto_hmac_sha256(key, 32, name, strlen(name), digest);
	for (size_t i = 0; i < sizeof(n); i++)
		n = n << 8 | digest[i];
	return (int64_t)(n % ((uint64_t)jitter_s + 1));
}

int64_t policy_effective(
	const struct conf_job *job, const struct slot *slot, int64_t jitter)
{
	struct slot next;

	if (jitter > 0 && schedule_next(job->schedule, slot->at_s, &next) == 0 &&
		slot->at_s + jitter >= next.at_s)
		return next.at_s - 1;
	return slot->at_s + jitter;
}

int policy_next(const struct conf_job *job, int64_t watermark_s, int64_t jitter,
	struct slot *ret, int64_t *ret_effective_s)
{
	int r = schedule_next(job->schedule, watermark_s, ret);

	if (r == 0)
		*ret_effective_s = policy_effective(job, ret, jitter);
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

/* The newest slot whose start has come. At most one step back: a start is never later
 * than the next slot. */
static int newest_due(const struct conf_job *job, int64_t jitter, int64_t now_s,
	struct slot *ret, int64_t *ret_effective_s)
{
	int r = schedule_prev(job->schedule, now_s, ret);

	if (r < 0)
		return r;
	*ret_effective_s = policy_effective(job, ret, jitter);
	if (*ret_effective_s <= now_s)
		return 0;
	r = schedule_prev(job->schedule, ret->at_s - 1, ret);
	if (r == 0)
		*ret_effective_s = policy_effective(job, ret, jitter);
	return r;
}

/* Slots before the newest one, which is itself on time or caught up. */
static size_t decide_older(const struct conf_job *job, int64_t after, int64_t newest,
	int64_t too_late, struct sched_decision *out)
{
	size_t n = 0;

	if (job->catch_up == CONF_CATCH_UP_NONE) {
		n = decide_range(
			job, after, too_late < newest ? too_late : newest - 1, out);
		if (n) {
			set_verdict(&out[0], SCHED_MISS, "catch_up");
			after = out[0].last_s;
		}
	}
	if (decide_range(job, after, newest - 1, &out[n]))
		set_verdict(&out[n++], SCHED_COALESCE, "coalesced");
	return n;
}

size_t policy_decide(const struct conf_job *job, const struct sched_job_state *state,
	int64_t jitter, int64_t now_s, struct sched_decision out[POLICY_MAX_DECISIONS])
{
	int64_t effective, late, after = state->watermark_s;
	bool is_past_deadline;
	struct slot newest;
	size_t n;

	if (newest_due(job, jitter, now_s, &newest, &effective) < 0 ||
		newest.at_s <= after)
		return 0;
	late = now_s - effective;
	is_past_deadline = job->starting_deadline_s > 0 &&
			   late > job->starting_deadline_s;
	if (is_past_deadline ||
		(late > LATE_MAX_S && job->catch_up == CONF_CATCH_UP_NONE)) {
		n = decide_range(job, after, newest.at_s, out);
		set_verdict(
			&out[0], SCHED_MISS, is_past_deadline ? "deadline" : "catch_up");
	} else {
		n = decide_older(
			job, after, newest.at_s, now_s - LATE_MAX_S - jitter - 1, out);
		out[n] = (struct sched_decision){
			.job = job->name,
			.slot = newest,
			.first_s = newest.at_s,
			.last_s = newest.at_s,
			.count = 1,
			.is_catch_up = late > LATE_MAX_S,
		};
		if (state->is_running)
			set_verdict(&out[n++], SCHED_SKIP, "overlap");
		else
			set_verdict(&out[n++], SCHED_RUN, "");
	}
	for (size_t i = 0; i < n; i++)
		out[i].watermark_s = newest.at_s;
	return n;
}

size_t policy_resume(const struct conf_job *job, int64_t watermark_s, int64_t now_s,
	struct sched_decision *out)
{
	if (!decide_range(job, watermark_s, now_s, out))
		return 0;
	set_verdict(out, SCHED_SKIP, "paused");
	out->watermark_s = now_s;
	return 1;
}

bool policy_keeps_local_slots(const struct conf_job *job, int64_t now_s)
{
	struct slot slot, other;

	if (schedule_next(job->schedule, now_s, &slot) < 0)
		return true; /* all its slots are over: none may come again */
	if (schedule_next(job->schedule, slot.at_s, &other) < 0 &&
		schedule_prev(job->schedule, now_s, &other) < 0)
		return true; /* one instant */
	return strchr(slot.key, '/') != NULL;
}
