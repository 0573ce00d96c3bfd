/*
 * A few threads for what would stall a loop: opening, reading, writing and syncing files.
 * A job is the caller's own struct with a pool_job in it: from pool_submit() until done()
 * it belongs to the pool, and what work() touches may be touched by nobody else.
 * Bounded by its callers: each has one job at a time. The loop's thread, but work().
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"

struct loop;
struct pool;

struct pool_job {
	struct list link;
	void (*work)(struct pool_job *job); /* in a thread of the pool; may block */
	void (*done)(struct pool_job *job); /* on the loop, once, never inside submit */
};

/*
 * Threads begin with the first job and block all signals. NULL when the kernel refuses an
 * eventfd.
 */
struct pool *pool_new(struct loop *loop, int threads);
/* Nothing may be under way: see pool_close(). NULL-safe. */
void *pool_free(struct pool *p);

/* Jobs begin in order. Where no thread can be had, the loop's own does the work. */
void pool_submit(struct pool *p, struct pool_job *job);
/* Blocks until no job is left, those that done() submits included; then none may come. */
void pool_close(struct pool *p);
bool pool_is_closed(const struct pool *p);
