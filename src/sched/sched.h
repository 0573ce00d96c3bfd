/*
 * When: one absolute timerfd on CLOCK_REALTIME, a heap of next times, and the policies
 * for late, missed and overlapping slots. It starts nothing: each settled slot comes out
 * as a decision, and the core commits it and the watermark in one transaction, then
 * starts. Core's thread.
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
	SCHED_RUN,  /* claim this slot and start it */
	SCHED_SKIP, /* an overlap, or the range of a pause or edit: record it as skipped
		     */
	SCHED_COALESCE, /* [first, last], `count` slots: a newer one runs instead */
	SCHED_MISS, /* [first, last], `count` slots: too late, or more than catch_up runs
		     */
	SCHED_REPLACE, /* nothing to record: cancel the active run, the slot waits for its
			  end */
};

/* What the job's open run does. */
enum sched_active {
	SCHED_IDLE, /* there is none */
	SCHED_RUNNING,
	SCHED_CATCHING_UP, /* a slot that was caught up: the others wait for it */
	SCHED_RETRYING,    /* it only waits to try again */
	SCHED_NOT_STARTED, /* it waits for its window: a newer slot takes its place */
	SCHED_BACKFILLING, /* slots wait for it and go first */
};

struct sched_decision {
	const char *job;
	enum sched_verdict verdict;
	/* "overlap" "coalesced" "catch_up" "catch_up_limit" "deadline" "paused" "edited"
	 * "superseded"; "" for a run */
	const char *reason;
	struct slot slot; /* of a range: its last */
	int64_t first_s, last_s;
	uint64_t count;      /* stops at 1,000, which then means "at least" */
	bool is_catch_up;    /* late by more than 5 minutes */
	int64_t watermark_s; /* the job's, once this is committed */
};

struct sched_job_state {
	int64_t watermark_s;
	enum sched_active active;
	int64_t served_s;       /* slots up to here need no success any more */
	bool is_paused;         /* at run time */
	bool was_paused;        /* in the configuration that was stored last */
	int64_t paused_until_s; /* 0: until resumed */
	/* The schedule the watermark belongs to, as stored; "": the present one. */
	char schedule_hash[65];
};

enum sched_clock_event {
	SCHED_CLOCK_SET_BACK, /* by so many seconds, more than a minute */
	SCHED_CLOCK_HELD, /* nothing is decided: the clock, given, is evidently wrong */
	SCHED_CLOCK_RELEASED, /* it became right, or there was no more waiting */
	SCHED_CLOCK_ZONES,    /* so many zones have new rules */
};

/* Why a watermark moved without a slot. */
enum sched_settling {
	SCHED_SETTLE_FRESH, /* a new or edited job, a resume: slots before are no matter
			     */
	SCHED_SETTLE_PAUSE, /* it did not: the configuration began a pause */
	SCHED_SETTLE_ZONE,  /* its zone has new rules */
	SCHED_SETTLE_BACK,  /* the clock was set back: count clock_gen up */
};

/* When a clock at start is not to be believed. */
struct sched_hold {
	int64_t not_before_s; /* a moment that has certainly passed */
	int64_t not_after_s;  /* later than that only if synchronised; 0: any time */
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
	 * Store the watermark with the job's schedule hash and whether the configuration
	 * pauses it; of a fresh one it is served_s too. Here and in decide(), a pause
	 * that has ended is forgotten. May be NULL.
	 */
	void (*settle)(
		void *arg, const char *job, int64_t watermark_s, enum sched_settling why);
	/*
	 * A slot without success, neither its own nor a later one's, has been due for too
	 * long, or no longer (slot NULL). After a start it is told again. May be NULL.
	 */
	void (*overdue)(void *arg, const char *job, const struct slot *slot);
	/* May be NULL. */
	void (*clock)(void *arg, enum sched_clock_event event, int64_t seconds);
};

/* NULL when the kernel refuses a timerfd. */
struct sched *sched_new(
	struct loop *loop, const struct clock *clock, const struct sched_ops *ops);
void *sched_free(struct sched *s);

/*
 * Before the first sched_set_conf(): decide nothing while the clock is evidently wrong,
 * at most 10 minutes.
 */
void sched_hold(struct sched *s, const struct sched_hold *hold);
bool sched_is_held(const struct sched *s);

/*
 * Take over the jobs of a configuration; keeps what did not change. c is referenced.
 * Not from inside a callback. Runs are decided later, out of the loop; slots that an edit
 * leaves behind at once.
 */
void sched_set_conf(struct sched *s, const struct conf *c);
/* The state behind ops->state changed (a run ended, pause, new watermark). */
void sched_refresh(struct sched *s, const char *job);
/* Tick at this moment of the wall clock at the latest, once. */
void sched_wake_at(struct sched *s, int64_t at_s);
/* No more decisions (draining). */
void sched_stop(struct sched *s);
/* Handle all that is due now; tests call it after they moved the clock. */
void sched_tick(struct sched *s);

/* The next slot of a job and when it starts (with jitter); -ENOENT: none. */
int sched_next(
	struct sched *s, const char *job, struct slot *ret, int64_t *ret_effective_s);
/* When a slot of a job starts: with jitter. */
int64_t sched_start_of(struct sched *s, const char *job, int64_t nominal_s);
/* Whether a job is overdue, and the slot of it that has had no success. */
bool sched_is_overdue(const struct sched *s, const char *job, struct slot *ret);
size_t sched_overdue_count(const struct sched *s);
/* The soonest over all jobs that are not paused. */
int sched_next_any(struct sched *s, const char **ret_job, int64_t *ret_effective_s);
/* Work done in the heap so far, for tests of its cost. */
uint64_t sched_heap_steps(const struct sched *s);
