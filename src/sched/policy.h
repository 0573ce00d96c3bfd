/*
 * What to do with the slots that are due: on time, late, missed, overlapping. Pure: the
 * moment and the job's state come in, decisions go out. Private to src/sched.
 */
#pragma once

#include "sched/sched.h"

struct conf_job;

#define POLICY_MAX_DECISIONS 3

/* A job at a moment. */
struct policy_case {
	const struct conf_job *job;
	const struct sched_job_state *state;
	int64_t jitter, now_s;
	int64_t waits_from_s; /* since when a slot waits for the active run; 0: none does
			       */
};

/* What a clock set back by so many seconds asks for. */
enum policy_step {
	STEP_NONE,    /* wait until the clock is there again */
	STEP_REPEAT,  /* an hour or two: local slots stay settled, grids go on */
	STEP_CORRECT, /* the clock was wrong: everything starts from now */
};
enum policy_step policy_classify_step(int64_t back_s);

/* First slot after the watermark. 0 or -ENOENT. */
int policy_next(const struct conf_job *job, int64_t watermark_s, int64_t jitter,
	struct slot *ret, int64_t *ret_effective_s);

/*
 * Fills `out`, oldest first; returns how many. *ret_waits: slots are due that are not
 * settled by them and wait for the active run to end.
 */
size_t policy_decide(const struct policy_case *c,
	struct sched_decision out[POLICY_MAX_DECISIONS], bool *ret_waits);
/* The slots up to now that a pause or an edit leaves behind: 0 or 1 decision. */
size_t policy_drop(const struct conf_job *job, int64_t watermark_s, int64_t now_s,
	const char *reason, struct sched_decision *out);
/*
 * The oldest slot without success, and when the job is overdue by it: when the next slot
 * starts, or after an hour where nothing is under way; where the job says `expect: {by}`,
 * at that time after the slot, whatever is under way. -ENOENT: never.
 */
int policy_overdue(const struct policy_case *c, struct slot *ret, int64_t *ret_at_s);
/*
 * The zone of a job has new rules, under which its settled slots are elsewhere: the
 * watermark at which the same ones are settled. newest: the last of them, by the old
 * rules.
 */
int64_t policy_rebase(
	const struct conf_job *job, int64_t watermark_s, const struct slot *newest);
/* Its slots are local minutes of restricted hours, or one instant: each comes once. */
bool policy_keeps_local_slots(const struct conf_job *job, int64_t now_s);
