/*
 * The engines behind one handle. Today one engine on the core's loop; commands and events
 * already pass as values through mailboxes. Core's thread.
 */
#pragma once

#include "engine/engine_msg.h"

struct engine_set;
struct http;
struct loop;

struct engine_options {
	int max_transfers;       /* at once; more wait in order. 0: 32 */
	uint64_t buffer_bytes;   /* for all transfers together. 0: 16 MiB */
	int64_t stall_timeout_ms; /* 0: http's default */
	int64_t part_bytes; /* of a multipart upload; 0: 16 MiB. Four of them: one PUT */
};

typedef void (*engine_ev_fn)(void *arg, const struct engine_ev *ev);

struct engine_set *engine_set_new(struct loop *loop, struct http *http,
	const struct engine_options *options, engine_ev_fn fn, void *arg);
/* Transfers in flight are dropped without an event. */
void *engine_set_free(struct engine_set *set);
/* Takes what cmd points to. */
void engine_set_send(struct engine_set *set, const struct engine_cmd *cmd);
