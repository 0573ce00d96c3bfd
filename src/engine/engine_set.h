/*
 * The engines behind one handle: one on the core's loop, or several in threads of their
 * own. Commands and events pass as values through mailboxes. Core's thread.
 */
#pragma once

#include "engine/engine_msg.h"

struct engine_set;
struct http;
struct loop;
struct mailbox;

#define ENGINE_WAITING_MAX (1 << 20) /* runs bound what they dispatch: never reached */

#define ENGINES_AUTO (-1) /* one per CPU */
#define ENGINES_MAX  64

struct engine_options {
	/* 0 or 1: one, with the loop and http given; more: in threads. ENGINES_AUTO */
	int engines;
	/* Of engines in threads; as those of struct http_options. */
	const char *user_agent, *https_proxy, *http_proxy, *no_proxy;
	int max_transfers;       /* at once in each; more wait. 0: 256 among all */
	uint64_t buffer_bytes;   /* of all transfers together. 0: 32 MiB each */
	int64_t stall_timeout_ms; /* 0: http's default */
	int64_t part_bytes; /* of a multipart upload; 0: 16 MiB. Four of them: one PUT */
};

typedef void (*engine_ev_fn)(void *arg, const struct engine_ev *ev);

/* NULL when the kernel refuses a thread or a descriptor. */
struct engine_set *engine_set_new(struct loop *loop, struct http *http,
	const struct engine_options *options, engine_ev_fn fn, void *arg);
/* Transfers in flight are dropped without an event. */
void *engine_set_free(struct engine_set *set);
/* Takes what cmd points to. */
void engine_set_send(struct engine_set *set, const struct engine_cmd *cmd);

/*
 * What may be read, bytes a second: of a run by its tag, before its first transfer, or of
 * all (BANDWIDTH_ALL). 0: no limit, which a run that ends needs to be told, too.
 */
void engine_set_limit(struct engine_set *set, uint64_t tag, int64_t bytes_s);
int64_t engine_set_get_limit(const struct engine_set *set, uint64_t tag);

/* How many there are, and the objects given to them that are not yet at their end. */
size_t engine_set_count(const struct engine_set *set);
size_t engine_set_transfers(const struct engine_set *set);
/* Requests that failed and were sent again, as of each engine's newest event. */
uint64_t engine_set_sent_again(const struct engine_set *set);
/* Bytes that the buffers of their attempts may hold, likewise. */
uint64_t engine_set_in_flight(const struct engine_set *set);
/* Buckets that ask for less than they were given, as last told; borrowed. */
typedef void (*engine_rate_fn)(void *arg, const struct engine_rate *rate);
void engine_set_each_slowed(const struct engine_set *set, engine_rate_fn fn, void *arg);

/* Of the engines: an event on its way to the core. */
void engine_set_post(struct mailbox *up, const struct engine_ev *ev);
