/* Shared by sched.c and sched_clock.c alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calendar/jitter.h"
#include "sched/heap.h"
#include "sched/sched.h"

struct sched {
	struct loop *loop;
	const struct clock *clock;
	struct sched_ops ops;
	const struct conf *conf;
	struct entry *entries; /* by name */
	size_t count;
	struct heap heap;
	struct entry **due; /* of one tick; room for all */
	size_t overdue_count;
	int timer_fd; /* -1: the clock is a test's, and `timer` runs on it */
	struct loop_fd *timer_event;
	struct loop_timer *timer;
	uint8_t jitter_key[JITTER_KEY_LEN];
	int64_t last_wall_s; /* of the newest tick; 0: none yet */
	int64_t wake_at_s;   /* asked for by sched_wake_at(); 0: not */
	struct sched_hold hold;
	int64_t held_since_us; /* monotonic */
	bool is_held, is_stopped;
	bool is_refreshed; /* a job's state changed during this tick */
};

/* sched.c */
int64_t sched_now(const struct sched *s);
void sched_place(struct sched *s, struct entry *e);
void sched_adopt(struct sched *s, struct entry *e, int64_t now_s);

/* sched_clock.c */
void sched_settle(
	struct sched *s, struct entry *e, int64_t watermark_s, enum sched_settling why);
/* The clock stands `back_s` before a moment at which this job was already settled. */
void sched_step_back(struct sched *s, struct entry *e, int64_t back_s, int64_t now_s);
/* Whether this tick may decide: not while a small step is being waited out. */
bool sched_check_clock(struct sched *s, int64_t now_s);
/* Whether the tick may go on: not while the clock is evidently wrong. */
bool sched_check_hold(struct sched *s, int64_t now_s);
/* Take over new rules of zones, if there are any. */
void sched_check_zones(struct sched *s);
