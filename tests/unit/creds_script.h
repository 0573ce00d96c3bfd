/*
 * What the tests of credential chains share: a second net/http whose requests take the
 * next answer of a script, a clock moved by hand, files in a folder of their own.
 */
#pragma once

#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/loop.h"

#define WALL     (INT64_C(1764000000) * USEC_PER_SEC)
#define MINUTES  (60 * USEC_PER_SEC)
#define ROLE_A   "arn:aws:iam::111111111111:role/a"
#define ROLE_B   "arn:aws:iam::222222222222:role/team/b"
#define CALLS    128
#define GIVES_UP 3 /* attempts of one fetch */

struct answer {
	int status;
	char *body;
	const char *net_code;
};

struct http_call {
	struct http *http;
	struct http_request rq;
	char *form, *wire; /* body; URL and headers, one a line */
	bool is_cancelled, is_done;
};

struct http {
	struct loop *loop;
	struct answer answers[CALLS];
	struct http_call calls[CALLS];
	size_t answer_count, count;
	bool is_held; /* answers wait */
};

struct got {
	struct fixture *fixture;
	int calls, order;
	struct err err;
	struct creds_set set;
};

struct fixture {
	struct clock_fake clock;
	struct loop *loop;
	struct http http;
	struct creds_env *env;
	struct creds_pool *pool;
	struct got got[4];
	int order, warnings, recoveries;
	struct err warning;
	char dir[64], config[96], credentials[96];
};

#define assert_contains(text, part)                                 \
	do {                                                        \
		if (!strstr(text, part))                            \
			fail_msg("'%s' is not in: %s", part, text); \
	} while (0)

int set_up(void **state);
int tear_down(void **state);
/* The environment has these keys and nothing else of AWS; then a pool that knows it. */
void set_keys(const char *key, const char *secret);
void reopen_pool(struct fixture *f);
void write_file(const char *path, const char *text);

/* The script; each is one answer. */
void answer(struct fixture *f, int status, char *body);
void answer_net(struct fixture *f, const char *code, int times);
char *session_xml(struct fixture *f, const char *key, const char *arn, int64_t life_s);
void answer_a(struct fixture *f, const char *key, int64_t life_s);
void answer_b(struct fixture *f, const char *key, int64_t life_s);
void answer_error(struct fixture *f, int status, const char *code);

void turns(struct fixture *f);
/* Also lets retries come due: full jitter is below a second for a broken connection. */
void turns_and_retries(struct fixture *f);
/* Lets a held call end; deferred by the test. */
void script_complete(void *call);

extern const struct creds_role script_roles[2];
struct creds *open_chain(struct fixture *f, int count);
struct creds *open_profile(struct fixture *f, const char *name);
void on_creds(void *arg, const struct err *e, const struct creds_set *set);
struct creds_wait *ask(struct fixture *f, struct creds *c, int slot);
/* Ask, let it happen, and say which key came ("" for an error). */
const char *get_key(struct fixture *f, struct creds *c);
