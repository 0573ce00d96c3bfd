/*
 * When: one absolute timerfd on CLOCK_REALTIME, a heap of next times, and the policies for
 * late, missed and overlapping slots. It starts nothing: each settled slot comes out as a
 * decision, and the core commits it and the watermark in one transaction, then starts.
 * Core's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calendar/slot.h"

struct clock;
struct conf;
struct loop;
struct sched;

enum sched_verdict {
	SCHED_RUN,      /* claim this slot and start it */
	SCHED_SKIP,     /* an overlap, or the range of a pause: record it as skipped */
	SCHED_COALESCE, /* [first, last], `count` slots: a newer one runs instead */
	SCHED_MISS,     /* [first, last], `count` slots: too late or catch_up: none */
};

struct sched_decision {
	const char *job;
	enum sched_verdict verdict;
	/* "overlap" "coalesced" "catch_up" "deadline" "paused"; "" for a run */
	const char *reason;
	struct slot slot;   /* of a range: its last */
	int64_t first_s, last_s;
	uint64_t count; /* stops at 1,000, which then means "at least" */
	bool is_catch_up; /* late by more than 5 minutes */
	int64_t watermark_s; /* the job's, once this is committed */
};

struct sched_job_state {
	int64_t watermark_s;
	bool is_running, is_paused;
	/* The schedule the watermark belongs to, as stored; "": the present one. */
	char schedule_hash[65];
};

struct sched_ops {
	/* The stored state of a job; false: it is new (its watermark becomes now). */
	bool (*state)(void *arg, const char *job, struct sched_job_state *ret);
	/* All decisions of one job at one tick, oldest first; commit, then start. */
	void (*decide)(void *arg, const struct sched_decision *d, size_t count);
	/* Once per wake, after all decisions. now_s: wall clock. */
	void (*tick)(void *arg, int64_t now_s);
	void *arg;
	/*
	 * The watermark moved without a slot: a new or edited job, a resume, a clock set
	 * back (then is_new_gen: count clock_gen up). Store it with the job's schedule hash.
	 * May be NULL.
	 */
	void (*settle)(void *arg, const char *job, int64_t watermark_s, bool is_new_gen);
};

/* NULL when the kernel refuses a timerfd. */
struct sched *sched_new(
	struct loop *loop, const struct clock *clock, const struct sched_ops *ops);
void *sched_free(struct sched *s);

/*
 * Take over the jobs of a configuration; keeps what did not change. c is referenced.
 * Not from inside a callback. Decisions come later, out of the loop.
 */
void sched_set_conf(struct sched *s, const struct conf *c);
/* The state behind ops->state changed (a run ended, pause, new watermark). */
void sched_refresh(struct sched *s, const char *job);
/* No more decisions (draining). */
void sched_stop(struct sched *s);
/* Handle all that is due now; tests call it after they moved the clock. */
void sched_tick(struct sched *s);

/* The next slot of a job and when it starts (with jitter); -ENOENT: none. */
int sched_next(struct sched *s, const char *job, struct slot *ret, int64_t *ret_effective_s);
/* The soonest over all jobs. */
int sched_next_any(struct sched *s, const char **ret_job, int64_t *ret_effective_s);
