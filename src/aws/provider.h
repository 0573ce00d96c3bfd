/*
 * Where a base identity comes from: one configured source, asked again whenever its set
 * has to be renewed. Which source is configured is creds_base's to find, when to ask is
 * creds's. Owner: one struct creds; one thread; one fetch at a time.
 * provider_start() never completes inside; done comes once, and not after
 * provider_cancel(). Errors: origin CREDS (or NET, STS), text without secrets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/creds.h"

struct creds_link;
struct provider;
struct skews;

typedef void (*provider_fn)(
	void *arg, const struct err *err, const struct creds_set *set);

struct provider_ops {
	/* Begins a fetch that ends in provider_done(), never inside. */
	void (*start)(struct provider *p);
	/* Puts down the fetch under way. */
	void (*cancel)(struct provider *p);
	/* Nothing is under way. */
	void *(*free)(struct provider *p);
	/*
	 * A set past its end goes on serving while the source cannot be reached: sources
	 * of AWS's own, whose answers are extended there (aws-client.md, section 6).
	 */
	bool may_lapse;
	/* Its sets are sessions of a role: roles on top of them live one hour at most. */
	bool is_role;
};

/* The first member of each provider. */
struct provider {
	const struct provider_ops *ops;
	struct loop *loop;
	struct http *http;
	provider_fn fn; /* NULL: no fetch under way */
	void *arg;
};

void provider_start(struct provider *p, provider_fn fn, void *arg);
void provider_cancel(struct provider *p);
void *provider_free(struct provider *p); /* cancels, NULL-safe, returns NULL */
/* By the providers alone: the end of a fetch. */
void provider_done(struct provider *p, const struct err *e, const struct creds_set *set);

/* --- the providers; strings are copied unless told otherwise --- */

/* The keys that creds_env_take() took; env is borrowed. */
struct provider *provider_env_new(struct loop *loop, const struct creds_env *env);
/* Static keys of a profile. */
struct provider *provider_shared_new(struct loop *loop, const struct creds_set *set);
/* credential_process; account: where its answer names none, or NULL. */
struct provider *provider_process_new(struct loop *loop, const struct creds_env *env,
	const char *command, const char *account);
/*
 * AssumeRoleWithWebIdentity with the token in token_file; role as in creds_impl.h. skews
 * (NULL-able) and env are borrowed.
 */
struct provider *provider_web_identity_new(struct loop *loop, struct http *http,
	struct skews *skews, const struct creds_env *env, const struct creds_link *role,
	const char *token_file);
/* The URI and the token that env names; env is borrowed. */
struct provider *provider_container_new(
	struct loop *loop, struct http *http, const struct creds_env *env);

struct imds_options;
/* The role of the instance. */
struct provider *provider_imds_new(
	struct loop *loop, struct http *http, const struct imds_options *options);

/* --- shared by the providers that are told their keys in JSON --- */

enum provider_dialect {
	PROVIDER_METADATA, /* Token; Code tells of errors; no Expiration: 15 minutes */
	PROVIDER_PROCESS,  /* Version 1, SessionToken; no Expiration: for ever */
};
/*
 * Reads a set. false with *e filled; its text never quotes the answer, but for an error
 * code made of letters and digits.
 */
bool provider_read_json(enum provider_dialect dialect, const char *text, size_t len,
	int64_t now_us, struct creds_set *ret, struct err *e);
/* false: longer than keys can be. session_token may be NULL. */
bool provider_fill_keys(struct creds_set *set, const char *key, const char *secret,
	const char *session_token);
void provider_fill_account(struct creds_set *set, const char *account);
