/*
 * Credentials: cached sets, refreshed early, one call in flight per chain link, waiters
 * served in order, handed out by value. A creds_pool belongs to the core's thread.
 * Windows, jitter and static stability: the AWS SDKs' rule of 2026 (advisory window 5 min
 * for lives up to 20 min, 15 min below 90 min, else 60 min; mandatory min(1 min,
 * advisory)); lives below 10 min: advisory life/2, mandatory min(60 s, life/10).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;
struct creds;
struct creds_pool;
struct err;
struct http;
struct loop;
struct skews;

#define CREDS_NEVER INT64_MAX

/* Plain bytes, so that it can cross threads; wipe with creds_set_wipe(). */
struct creds_set {
	char access_key_id[130];
	char secret_access_key[256];
	char session_token[8192]; /* "": long-lived keys */
	int64_t expires_at_us;    /* wall clock; CREDS_NEVER */
	uint64_t generation;      /* grows with each new set of this creds */
	char account[16];         /* "" if unknown */
	char arn[256];            /* AssumedRoleUser's ARN, or "" */
};
void creds_set_wipe(struct creds_set *set);

struct creds_tag {
	const char *key, *value;
	bool is_transitive; /* stays on the sessions that are assumed with this one */
};

/* One role to assume, on top of the link before it. Strings are copied. */
struct creds_role {
	const char *role_arn;
	const char *external_id;       /* NULL: not sent */
	const char *role_session_name; /* required */
	int64_t duration_s;            /* 0: the role decides */
	const char *region;            /* STS region; NULL with an endpoint_url */
	const char *endpoint_url;      /* NULL: the regional STS of AWS */
	const char *ca_bundle;
	bool use_fips, use_dual_stack; /* of AWS's STS */
	const char *policy;             /* session policy, JSON; NULL: none */
	const char *const *policy_arns; /* managed session policies */
	size_t policy_arn_count;
	const struct creds_tag *tags;
	size_t tag_count;
	const char *source_identity; /* NULL: not sent */
};

/*
 * How to find the identity under all roles. All NULL: the default chain (environment,
 * AWS_PROFILE or profile 'default', web identity, container, instance role; the first
 * that is configured decides, its error is final: aws-client.md, section 2).
 */
struct creds_base_spec {
	const char *profile;         /* AWS CLI profile that the chain ends in, or NULL */
	const char *aws_config_file; /* else AWS_CONFIG_FILE */
	const char *aws_credentials_file; /* else AWS_SHARED_CREDENTIALS_FILE */
	/* At most one of these, and then no profile. */
	const char
		*credential_source; /* Environment, Ec2InstanceMetadata, EcsContainer */
	const char *credential_process; /* a command, split without a shell */
	const char *web_token_file;     /* with the role that its token is good for */
	const struct creds_role *web_role;
};

struct creds_env; /* AWS_* variables, read once at start; the block is overwritten */
struct creds_env *creds_env_take(void);
void *creds_env_free(struct creds_env *env);
/* Of HTTPS_PROXY, http_proxy and NO_PROXY; borrowed, NULL where unset. */
void creds_env_get_proxies(const struct creds_env *env, const char **ret_https,
	const char **ret_http, const char **ret_none);

struct creds_pool *creds_pool_new(
	struct loop *loop, struct http *http, const struct creds_env *env);
/* All creds must be released before. */
void *creds_pool_free(struct creds_pool *pool);

enum creds_event {
	CREDS_REFRESH_FAILED,  /* and the set in hand goes on serving; each attempt */
	CREDS_RECOVERED,       /* the first success after that; err is NULL */
	CREDS_CLOCK_WRONG, /* this host's or the service's, by minutes; once */
	CREDS_DURATION_CAPPED, /* a role on top of a session lives one hour at most; once
				*/
};
/* label as given to creds_open(). */
typedef void (*creds_warn_fn)(
	void *arg, enum creds_event event, const char *label, const struct err *err);
/* The clocks of the services; skews outlives the pool. */
void creds_pool_use_clocks(struct creds_pool *pool, struct skews *skews);
void creds_pool_on_warning(struct creds_pool *pool, creds_warn_fn fn, void *arg);

/*
 * The chain base -> roles[0] -> ... -> roles[count-1]; count may be 0. Equal chains give
 * the same creds (cache key: chain, session name,
 * duration, policies, tags, source identity, endpoint). Refcounted.
 * label names it in logs and errors ("profile partner"). Never fails: what is wrong is
 * told by creds_get().
 */
struct creds *creds_open(struct creds_pool *pool, const struct creds_base_spec *base,
	const struct creds_role *roles, int count, const char *label);
void *creds_release(struct creds *c);

/*
 * err: text names hop ("hop 2 of 2"), role and cause. Never called inside creds_get().
 * After creds_wait_cancel() it does not come.
 */
typedef void (*creds_fn)(void *arg, const struct err *err, const struct creds_set *set);
struct creds_wait;
struct creds_wait *creds_get(struct creds *c, creds_fn fn, void *arg);
void creds_wait_cancel(struct creds_wait *wait);

/* The service refused this generation as expired or invalid; older ones are ignored. */
void creds_invalidate(struct creds *c, uint64_t generation);

struct creds_stats {
	uint64_t fetches, failures;
	int64_t expires_at_us; /* of the cached set; 0: none cached */
};
void creds_get_stats(const struct creds *c, struct creds_stats *ret);
