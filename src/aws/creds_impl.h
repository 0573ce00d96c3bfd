/* Shared by the files aws/creds*.c alone: one link of a chain and its pool. */
#pragma once

#include "aws/creds.h"
#include "base/err.h"
#include "base/list.h"

struct buf;
struct creds_sts_call;
struct imds;
struct imds_options;
struct profiles;
struct provider;
struct retry_quotas;
struct skew;
struct skews;

/* What creds_env_take() found. NULL: unset or empty. */
struct creds_env {
	char *access_key_id, *secret_access_key, *session_token, *account, *expiration;
	char *region, *profile, *config_file, *credentials_file;
	char *s3_endpoint_url, *sts_endpoint_url, *endpoint_url, *ignore_endpoint_urls;
	char *ca_bundle, *use_fips, *use_dual_stack, *use_arn_region;
	char *https_proxy, *http_proxy, *no_proxy;
	char *web_token_file, *role_arn, *role_session_name;
	char *container_relative_uri, *container_full_uri;
	char *container_token, *container_token_file;
	char *imds_disabled, *imds_endpoint, *imds_mode, *imds_role;
	char *home;
};
/* The endpoint of STS for whoever has no other; NULL: AWS's. Borrowed. */
const char *creds_env_sts_url(const struct creds_env *env);
/* The keys among them; ret->class is ERR_OK or CONFIG. At least one must be there. */
void creds_env_keys(const struct creds_env *env, struct creds_set *set, struct err *ret);

struct creds_pool {
	struct loop *loop;
	struct http *http;
	const struct creds_env *env;
	struct skews *skews; /* of the services that it asks; NULL-able */
	struct retry_quotas *quotas; /* by endpoint of STS */
	char *region;    /* of this instance, once it was asked for */
	struct list all; /* of creds; unused ones stay while their set lives */
	creds_warn_fn warn;
	void *warn_arg;
};

/* A role with strings of its own. */
struct creds_link {
	char *role_arn, *external_id, *session_name, *region, *endpoint_url, *ca_bundle;
	char *extra; /* policies, tags, source identity: "&Name=value...", or NULL */
	bool use_fips, use_dual_stack; /* of STS's endpoint */
	int64_t duration_s;
};
void creds_link_copy(struct creds_link *to, const struct creds_link *from);
void creds_link_of(struct creds_link *to, const struct creds_role *from);
void creds_link_done(struct creds_link *l);

struct creds_wait {
	struct list link;
	struct creds *creds;
	creds_fn fn;
	void *arg;
};

struct creds {
	struct list link;
	struct creds_pool *pool;
	unsigned refs;
	char *key;   /* equal keys share */
	char *label; /* of the first who opened it */
	int hop;     /* 0: the base; else which role of the chain */

	/* hop 0 */
	struct creds_base *base;
	struct provider *provider; /* NULL: base->err says why */
	bool is_providing;         /* it is at work */
	/* hop > 0 */
	struct creds *parent;
	struct creds_link role;
	struct creds_wait *parent_wait;
	struct creds_sts_call *sts_call;
	uint64_t parent_generation;
	bool has_replayed;     /* the parent's set was refreshed for this fetch */
	bool is_cap_told;      /* that the role's duration was cut to an hour */
	struct imds *imds;     /* asks for the region of STS ... */
	bool has_asked_region; /* ... once a fetch */
	int attempt, retry_cost; /* of the last one; 0: there was none */
	struct loop_timer *retry_timer;

	bool has_set, is_invalid, has_failed;
	struct creds_set set;
	int64_t arrived_us;    /* wall clock */
	int64_t hold_until_us; /* after a failed refresh: leave the source alone */
	struct err last_err;   /* of a fetch with nothing cached ... */
	const struct creds *failed_at; /* this link, or the one below that failed */
	int64_t last_err_until_us; /* ... remembered this long, for a storm of callers */
	struct list waiters;
	bool is_pumping;
	struct creds_stats stats;
};

/* creds.c */
enum creds_freshness {
	CREDS_FRESH,
	CREDS_ADVISORY,  /* serve it, and refresh behind */
	CREDS_MANDATORY, /* wait for a new one */
};
enum creds_freshness creds_freshness(const struct creds *c);
void creds_on_retry(void *creds); /* the retry timer's */
void creds_stop_fetch(struct creds *c);

/* creds_base.c: which source is configured, by environment and files. */
enum creds_base_kind {
	BASE_NONE, /* err says why */
	BASE_ENVIRONMENT,
	BASE_KEYS,
	BASE_PROCESS,
	BASE_WEB_IDENTITY,
	BASE_CONTAINER,
	BASE_IMDS,
};
struct creds_base {
	struct err err;
	enum creds_base_kind kind;
	struct creds_set set;  /* of ENVIRONMENT and KEYS */
	char *command;         /* of PROCESS */
	char *account;         /* of PROCESS: where its answer names none */
	struct creds_link web; /* of WEB_IDENTITY */
	char *web_token_file;
	char *imds_endpoint, *imds_mode, *imds_role; /* of IMDS */
	bool is_default_chain; /* found at the end of it, not named */
	char *looked_at;       /* the places before that end, for its error */
	/* Roles of a CLI chain on top of it, outermost last. */
	struct creds_link *roles;
	int role_count;
};
void creds_base_find(const struct creds_env *env, const struct creds_base_spec *spec,
	struct creds_base *ret);
void creds_base_done(struct creds_base *base);
/* NULL for BASE_NONE. */
struct provider *creds_base_open(const struct creds_base *base, struct loop *loop,
	struct http *http, struct skews *skews, const struct creds_env *env);
/* credential_source, asked directly: Environment, Ec2InstanceMetadata, EcsContainer. */
void creds_base_take_source(struct creds_base *base, const char *place,
	const struct creds_env *env, const struct imds_options *options);
/* A session name from a profile's name: "s3ferry-NAME". malloc'd. */
char *creds_session_name(const char *profile);

/* creds_chain.c: a profile of the CLI's files to base and roles. */
void creds_chain_walk(struct creds_base *base, const struct profiles *p, const char *name,
	const struct creds_env *env);
/* Whether it names any source of credentials. */
bool creds_chain_is_source(const struct profiles *p, const char *name);

/* provider_shared.c: NULL and *ret filled, or NULL without an error: no files. */
struct profiles *creds_read_profiles(
	const char *config, const char *credentials, struct err *ret);
/* Those that spec names, else the environment. */
struct profiles *creds_read_files(const struct creds_env *env,
	const struct creds_base_spec *spec, struct err *ret);

/* provider_process.c: words into text (strlen(command) + 2 bytes); their count, or -1. */
int creds_split_command(const char *command, char *text, char **words, size_t max);

/* provider_container.c */
struct container_uri {
	bool is_tls;
	char authority[300]; /* host and port as written */
	char host[300];      /* without brackets */
	unsigned port;
	char *target; /* path and query; malloc'd */
};
/* relative beats full; one of them is there. */
bool container_uri_parse(
	const char *relative, const char *full, struct container_uri *ret, struct err *e);
bool container_is_allowed(const char *address);

/* creds_sts.c: one call. done() once, never inside. */
struct creds_sts_request {
	const struct creds_link *role;
	const struct creds_set *signer; /* NULL: AssumeRoleWithWebIdentity */
	const char *web_token;
	int64_t duration_max_s;                            /* 0: none but AWS's own */
	const char *default_region, *default_endpoint_url; /* of the environment */
	const char *default_ca_bundle;
	struct skew *skew; /* of its clock; NULL: taken for ours. Outlives the call */
	int64_t now_us;
};
typedef void (*creds_sts_fn)(
	void *arg, const struct err *err, const struct creds_set *set);
struct creds_sts_call *creds_sts_assume(struct loop *loop, struct http *http,
	const struct creds_sts_request *request, creds_sts_fn fn, void *arg);
/* done() does not come after it. */
void *creds_sts_cancel(struct creds_sts_call *call);

/* creds_sts_form.c */
/* creds_link.extra of a role; malloc'd, NULL where it has none. */
char *creds_sts_extra(const struct creds_role *role);
/* The body of the request. -ENOBUFS. */
int creds_sts_form(const struct creds_sts_request *request, struct buf *out);
