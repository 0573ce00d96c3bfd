/*
 * The instance metadata service, version 2 alone: a session token of 6 hours, one GET at
 * a time, few attempts, 1 s timeouts (aws-client.md, section 8). Not which paths mean
 * what. One thread; the owner frees it; no callback after imds_free() or imds_cancel().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct creds_env;
struct err;
struct fetch_answer;
struct http;
struct imds;
struct loop;
struct profiles;

#define IMDS_ATTEMPTS 3

/* Each NULL-able; borrowed by whoever is given them. */
struct imds_options {
	const char *endpoint; /* beats mode */
	const char *mode;     /* "IPv4" (default) or "IPv6", in any case */
	const char *role;     /* the instance profile's role; NULL: asked for */
	int attempts;         /* 0: IMDS_ATTEMPTS */
	/* Nobody may be there: until something answers, a broken connection is final. */
	bool is_probing;
};

/* Where options names nothing: the environment, then profile `name` (profiles or NULL).
 */
void imds_options_fill(struct imds_options *options, const struct creds_env *env,
	const struct profiles *profiles, const char *name);
bool imds_is_disabled(const struct creds_env *env);
/* "http://169.254.169.254", no path. malloc'd; NULL with *ret_why: a sentence. */
char *imds_base_url(const struct imds_options *options, const char **ret_why);

/* A wrong endpoint is told by the first imds_get(). */
struct imds *imds_new(
	struct loop *loop, struct http *http, const struct imds_options *options);
void *imds_free(struct imds *m);

/*
 * GET path with a token. err: origin CREDS or NET. An answer that is not err has status
 * 200 or a 4xx that repeating does not change. Never calls back inside.
 */
typedef void (*imds_fn)(
	void *arg, const struct err *err, const struct fetch_answer *answer);
void imds_get(struct imds *m, const char *path, imds_fn fn, void *arg);
/* From inside fn: the body makes no sense, ask again. false: no attempt is left. */
bool imds_get_again(struct imds *m);
void imds_cancel(struct imds *m);
