/*
 * Second implementations of net/http.h and net/resolve.h for the vectors, linked instead
 * of them: a function of the check answers each request, names have made-up addresses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct creds_set;
struct err;
struct loop;
struct provider;

/* Borrowed. url has the name that the Host header tells. */
struct script_request {
	const char *method, *url, *body;
	const char *const *headers;
};
/* The value of a header, or NULL. */
const char *script_header(const struct script_request *rq, const char *name);

struct script_answer {
	int status;
	char *body;           /* malloc'd, taken over; NULL: none */
	const char *net_code; /* "reset", "connect", "stall": no answer at all */
};
typedef void (*script_fn)(
	void *arg, const struct script_request *rq, struct script_answer *ret);

struct http {
	struct loop *loop;
	script_fn fn;
	void *arg;
	size_t count; /* requests so far */
};

/* A loop on a clock that stands an hour after 1970, before every recorded expiry. */
struct rig {
	struct clock_fake clock;
	struct loop *loop;
	struct http http;
	char dir[40]; /* of its own, for files */
};
void rig_init(struct rig *r, script_fn fn, void *arg);
void rig_done(struct rig *r);
/* Turns, and moves the clock, until *is_done; a second of real time at most. */
void rig_run(struct rig *r, const bool *is_done);
/* A file for a path of a case: its name in dir, malloc'd; written unless text is NULL. */
char *rig_file(struct rig *r, const char *path, const char *text);

/* One fetch of a provider. */
struct rig_result {
	bool is_done, has_set;
	struct err *err; /* owned; class OK with a set */
	struct creds_set *set;
};
void rig_fetch(struct rig *r, struct provider *p, struct rig_result *ret);
/* Writes down what a provider or a chain gave; arg: struct rig_result. */
void rig_note(void *arg, const struct err *e, const struct creds_set *set);
void rig_result_done(struct rig_result *res);
