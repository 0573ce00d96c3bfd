/* Shared by the files aws/creds*.c alone: one link of a chain and its pool. */
#pragma once

#include "aws/creds.h"
#include "base/err.h"
#include "base/list.h"

struct creds_sts_call;

/* What creds_env_take() found. NULL: unset or empty. */
struct creds_env {
	char *access_key_id, *secret_access_key, *session_token;
	char *region, *profile, *config_file, *credentials_file, *sts_endpoint_url;
};

struct creds_pool {
	struct loop *loop;
	struct http *http;
	const struct creds_env *env;
	struct list all; /* of creds; unused ones stay while their set lives */
	creds_warn_fn warn;
	void *warn_arg;
};

/* A role with strings of its own. */
struct creds_link {
	char *role_arn, *external_id, *session_name, *region, *endpoint_url, *ca_bundle;
	int64_t duration_s;
};

struct creds {
	struct list link;
	struct creds_pool *pool;
	unsigned refs;
	char *key;   /* equal keys share */
	char *label; /* of the first who opened it */
	int hop;     /* 0: the base; else which role of the chain */

	/* hop 0 */
	struct err base_err; /* class OK: the set below is the base */
	/* hop > 0 */
	struct creds *parent;
	struct creds_link role;
	struct creds_wait *parent_wait;
	struct creds_sts_call *sts_call;
	uint64_t parent_generation;
	bool has_replayed; /* the parent's set was refreshed for this fetch */
	int attempt;
	struct loop_timer *retry_timer;

	bool has_set, is_invalid, has_failed;
	struct creds_set set;
	int64_t arrived_us;   /* wall clock */
	int64_t hold_until_us; /* after a failed refresh: leave the source alone */
	struct err last_err;   /* of a fetch with nothing cached ... */
	const struct creds *failed_at; /* this link, or the one below that failed */
	int64_t last_err_until_us; /* ... remembered this long, for a storm of callers */
	struct list waiters;
	bool is_pumping;
	struct creds_stats stats;
};

/* creds_base.c: fill the base from environment and files. Extra roles of a CLI chain are
 * appended to *ret_roles (malloc'd strings), outermost last. */
struct creds_base {
	struct err err;
	struct creds_set set;
	struct creds_link *roles;
	int role_count;
};
void creds_base_find(const struct creds_env *env, const struct creds_base_spec *spec,
	struct creds_base *ret);
void creds_base_done(struct creds_base *base);
void creds_link_done(struct creds_link *l);

/* creds_sts.c: one AssumeRole. done() once, never inside. */
struct creds_sts_request {
	const struct creds_link *role;
	const struct creds_set *signer;
	const char *default_region, *default_endpoint_url; /* of the environment */
	int64_t now_us;
};
typedef void (*creds_sts_fn)(void *arg, const struct err *err, const struct creds_set *set);
struct creds_sts_call *creds_sts_assume(struct loop *loop, struct http *http,
	const struct creds_sts_request *request, creds_sts_fn fn, void *arg);
/* done() does not come after it. */
void *creds_sts_cancel(struct creds_sts_call *call);
