/*
 * A second implementation of net/http.h, linked instead of it: answers come from a script,
 * one entry a request, in order. Only what the engine uses.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/http.h"

/* NULL-terminated extra header lines "name\0value" are given as pairs. */
struct replay_answer {
	const char *expect;  /* how "METHOD URL" must start */
	int status;
	const char *headers[12]; /* name, value, ..., NULL */
	const char *body;
	size_t body_len;
	size_t cut_at;        /* with net_code: that many body bytes come first */
	const char *net_code; /* "reset", "short": ends so, class RETRY */
	size_t early_at;      /* PUT: answer when so many body bytes came (0: all) */
	bool is_early;
	bool hangs;           /* no answer until cancelled */
};

struct replay_seen {
	char line[4096];    /* "METHOD URL" */
	char headers[8192]; /* lines */
	char body[80000];
	size_t body_len;
	bool is_cancelled, is_complete;
};

struct http *replay_new(struct loop *loop, const struct replay_answer *script, size_t count);
size_t replay_count(const struct http *http); /* requests so far */
const struct replay_seen *replay_seen(const struct http *http, size_t i);
