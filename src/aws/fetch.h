/*
 * One small HTTP exchange with a service on this host: a request without a body, an
 * answer with a capped one, short timeouts. Retries are the caller's. One thread. done()
 * is never called inside fetch_start(), comes once, and not after fetch_cancel().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct fetch;
struct http;
struct http_response;
struct loop;

struct fetch_request {
	const char *method, *url;
	const char *const *headers; /* as in struct http_request */
	int64_t connect_ms, read_ms;
	size_t max; /* bytes of the answer; more is class FATAL, code "too-long" */
};

struct fetch_answer {
	int status;
	const struct http_response *head;
	const char *body; /* borrowed, NUL-terminated, wiped when done() returned */
	size_t len;
};

typedef void (*fetch_fn)(
	void *arg, const struct err *err, const struct fetch_answer *answer);
struct fetch *fetch_start(struct loop *loop, struct http *http,
	const struct fetch_request *request, fetch_fn fn, void *arg);
void fetch_cancel(struct fetch *f);
