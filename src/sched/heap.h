/*
 * The jobs by the moment at which each has to be looked at, soonest first; ties by slot
 * and name. Holds pointers, owns no entry. Private to src/sched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/sched.h"

struct conf_job;

struct entry {
	const struct conf_job *job; /* of the conf that the sched holds */
	struct sched_job_state state;
	int64_t jitter;
	bool is_unadopted; /* the clock is not to be trusted yet */
	bool has_next;     /* then `next` starts at `effective` */
	struct slot next;
	int64_t effective;
	bool is_overdue;      /* as was told */
	struct slot unserved; /* the first slot after served_s; at_s INT64_MAX: none */
	int64_t overdue_at_s; /* INT64_MAX: never */
	int64_t waits_from_s; /* since when a slot waits for the active run; 0: none */
	int64_t wake_s;       /* its key in the heap */
	size_t heap_index;
};

#define NOT_IN_HEAP SIZE_MAX

struct heap {
	struct entry **items;
	size_t count;
	uint64_t steps; /* moves of an item by one level, ever */
};

void heap_init(struct heap *h, size_t room); /* for so many entries, once each */
void heap_done(struct heap *h);
void heap_add(struct heap *h, struct entry *e);
void heap_remove(struct heap *h, struct entry *e); /* nothing when it is not in it */
