/*
 * A host name to its addresses, by the system's resolver on a thread of its own, so that
 * no look-up stalls the loop. For callers that must see every address before a connection
 * is made; net/http resolves by itself. One thread calls.
 * done() is never called inside resolve_start(), comes once, and not after
 * resolve_cancel().
 */
#pragma once

#include <stddef.h>

struct err;
struct loop;
struct resolve;

#define RESOLVE_MAX 16

struct resolve_result {
	char addresses[RESOLVE_MAX][46]; /* as inet_ntop() writes them */
	size_t count;
};

/* err: class RETRY, code "resolve"; also for more addresses than RESOLVE_MAX. */
typedef void (*resolve_fn)(
	void *arg, const struct err *err, const struct resolve_result *result);
struct resolve *resolve_start(
	struct loop *loop, const char *host, resolve_fn fn, void *arg);
void resolve_cancel(struct resolve *r);
