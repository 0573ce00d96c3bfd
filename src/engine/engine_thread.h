/*
 * One engine in a thread of its own, with a loop, an http and connections that nobody
 * shares. The thread that makes it sends and frees; all else happens inside. Signals are
 * blocked there: they are the core's.
 */
#pragma once

#include "engine/engine_set.h"

struct clock;
struct engine_thread;
struct mailbox;

/*
 * up gets a struct engine_ev per event, from the thread; it outlives the thread. NULL and
 * errno when the kernel refuses.
 */
struct engine_thread *engine_thread_new(const struct clock *clock,
	const struct engine_options *options, struct mailbox *up);
/* Waits for the thread. Transfers in flight are dropped without an event. */
void *engine_thread_free(struct engine_thread *t);
/* Takes what cmd points to. */
void engine_thread_send(struct engine_thread *t, const struct engine_cmd *cmd);
