/*
 * One engine: transfers in slots, the queue behind them, the credential sets they sign
 * with. Lives on one loop with one http; talks to its owner in engine_msg values only.
 */
#pragma once

#include "engine/engine_msg.h"
#include "engine/engine_set.h"

struct engine;

/* NULL when the kernel refuses an eventfd. emit hands an event over; what it points to is then the receiver's. */
struct engine *engine_new(struct loop *loop, struct http *http,
	const struct engine_options *options,
	void (*emit)(void *arg, const struct engine_ev *ev), void *arg);
void *engine_free(struct engine *e);
/* Takes what cmd points to. */
void engine_take(struct engine *e, const struct engine_cmd *cmd);
