/*
 * Limits of bytes a second: one for everything an engine reads, and one for each run that
 * has its own. Token buckets that never hold more than a tenth of a second. Who finds
 * none left waits, in turn, and is told when to go on; the pause of a source passes on to
 * its destination by itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define BANDWIDTH_ALL UINT64_C(0) /* the tag of everything */

struct bandwidth;
struct loop;

/* In each transfer. Zeroed before the first use; list_remove(&f->waiting) at its end. */
struct flow {
	struct list waiting;
	uint64_t tag;
	int64_t left; /* bytes until others that wait come before */
};

/* resume never comes inside bandwidth_may(). */
struct bandwidth *bandwidth_new(
	struct loop *loop, void (*resume)(void *arg, struct flow *f), void *arg);
void *bandwidth_free(struct bandwidth *b);

/* 0: no limit. */
void bandwidth_set(struct bandwidth *b, uint64_t tag, int64_t bytes_s);
/* false: f waits for resume. */
bool bandwidth_may(struct bandwidth *b, struct flow *f, uint64_t tag);
void bandwidth_spend(struct bandwidth *b, struct flow *f, uint64_t tag, size_t bytes);
