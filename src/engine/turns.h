/*
 * Who may talk to a bucket now: one rate (rate.h) per endpoint and bucket, one memory for
 * all buffers, and those that wait. A turn is one attempt to move one object or part;
 * whoever backs off gives it back. Of one engine; told of the others' refusals.
 */
#pragma once

#include "base/list.h"
#include "engine/bandwidth.h"
#include "engine/engine_msg.h"

struct bucket;
struct loop;
struct share;
struct turns;

/* In each transfer. Zeroed before the first use. */
struct turn {
	struct list waiting;
	const struct engine_xfer_spec *spec; /* the transfer's */
	struct bucket
		*at[2]; /* source, destination; NULL: not S3, or the same as at[0] */
	int64_t started_us;
	struct share *share; /* the engine's */
	struct flow flow;    /* the engine's */
	size_t bytes;        /* of the memory limit, while it is taken */
	size_t ring, buffer; /* what it may allocate: bytes between the calls, and in each */
	bool is_taken;
};

struct turns_options {
	struct loop *loop;
	int engines; /* what a bucket may serve is divided by them */
	size_t memory; /* bytes of all buffers of this engine */
	/* Something may start that could not. Deferred by the receiver. */
	void (*free_again)(void *arg);
	/* A bucket asks for less, or no longer. rate is malloc'd: the receiver's. */
	void (*changed)(void *arg, struct engine_rate *rate);
	void *arg;
};

struct turns *turns_new(const struct turns_options *options);
void *turns_free(struct turns *t);

/* Bytes that the buffers of all taken turns may hold. */
size_t turns_claimed(const struct turns *t);
/* All that spec needs, or nothing. */
bool turns_take(struct turns *t, struct turn *turn, const struct engine_xfer_spec *spec);
/*
 * The attempt is over, and waits no longer. NULL: it was served. A refusal is heard also
 * of those that have no turn.
 */
void turns_end(struct turns *t, struct turn *turn, const struct err *err, bool is_source);
/* It waits until turns_next() hands it out. */
void turns_wait(struct turns *t, struct turn *turn);
/* One of those that wait and may start now, which it has then; NULL: none. */
struct turn *turns_next(struct turns *t);
/* Another engine was refused. */
void turns_hear(struct turns *t, const struct engine_rate *rate);
