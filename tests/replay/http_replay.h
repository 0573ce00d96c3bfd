/*
 * A second implementation of net/http.h, linked instead of it: answers come from a
 * script, one entry a request, in order. Only what the engine uses. With it what tests
 * above it share: the loop, a clock that moves by hand, the script as it is written.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "net/http.h"

struct creds_set;
struct loop;

/* NULL-terminated extra header lines "name\0value" are given as pairs. */
struct replay_answer {
	const char *expect; /* how "METHOD URL" must start */
	int status;
	const char *headers[12]; /* name, value, ..., NULL */
	const char *body;
	size_t body_len;
	size_t cut_at;        /* with net_code: that many body bytes come first */
	const char *net_code; /* "reset", "short": ends so, class RETRY */
	size_t early_at;      /* PUT: answer when so many body bytes came (0: all) */
	bool is_early;
	bool hangs; /* no answer until cancelled */
};

struct replay_seen {
	char line[4096];    /* "METHOD URL" */
	char headers[8192]; /* lines */
	char body[80000];
	size_t body_len;
	bool is_cancelled, is_complete;
};

#define REPLAY_WALL (INT64_C(1764000000) * USEC_PER_SEC) /* when every test begins */

/* Embedded in a test's fixture. */
struct replay {
	struct clock_fake clock;
	struct loop *loop;
	struct http *http; /* NULL before replay_begin() */
	struct replay_answer script[64];
	size_t count;
};
void replay_init(struct replay *r);
void replay_done(struct replay *r);

/* The next answer of the script; to be filled in further. */
struct replay_answer *replay_add(struct replay *r, const char *expect, int status);
/* body is borrowed. */
struct replay_answer *replay_add_body(
	struct replay *r, const char *expect, int status, const char *body);
/* The script is written: from its first answer on, with nothing seen yet. */
void replay_begin(struct replay *r);
/* Turns without time, then time without turns, until *what is `until`, and no more. */
void replay_run_until(struct replay *r, const int *what, int until);

/* A session for an engine, which frees it. */
struct creds_set *replay_creds(uint32_t id, uint64_t generation, int64_t expires_at_us);

size_t replay_count(const struct http *http); /* requests so far */
const struct replay_seen *replay_seen(const struct http *http, size_t i);
bool replay_has(const struct http *http, size_t i, const char *header);
