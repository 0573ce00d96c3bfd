/*
 * The make-believe accounts: users with keys, roles, and the sessions that AssumeRole
 * opened. Read from one JSON file (etc/sandbox-accounts.json shows the form). One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/policy.h"

struct accounts;
struct objects;

struct role {
	char *account_id;
	char *name, *arn, *id;
	char **trusted;    /* principals, NULL-terminated */
	char *external_id; /* NULL: none is asked for */
	char *web_subject; /* whose web identity tokens may assume it; NULL: nobody's */
	struct policy *policy;
	int64_t max_session_s;
};

/* Somebody with keys: a user, or the session of a role. */
struct principal {
	struct principal *next; /* in the same slot of the table */
	char *account_id;
	char *arn, *user_id;
	const struct role *role;     /* of a session, else NULL */
	const struct policy *policy; /* NULL: may do anything in its account */
	struct policy *own_policy;
	struct policy *session_policy; /* narrows a session; NULL: it does not */
	char *access_key_id, *secret, *token;
	int64_t expires_at_s; /* 0: never */
	/* The last signing key, derived from `secret` for this date/region/service. */
	char key_scope[96];
	uint8_t signing_key[32];
};

/* Buckets named in the file are made in `objects`. NULL: *ret_error is malloc'd. */
struct accounts *accounts_load(
	const char *text, size_t len, struct objects *objects, char **ret_error);
void *accounts_free(struct accounts *a);

struct principal *accounts_find_key(struct accounts *a, const char *access_key_id);
const struct role *accounts_find_role(const struct accounts *a, const char *arn);
struct principal *accounts_open_session(struct accounts *a, const struct role *role,
	const char *session_name, int64_t expires_at_s);
/* A session that was opened before a restart; NULL if the token is none of ours. */
struct principal *accounts_restore_session(
	struct accounts *a, const char *access_key_id, const char *token);
/* Takes policy. Such a session does not outlive a restart. */
void principal_narrow(struct principal *p, struct policy *policy);
struct policy_asker principal_asker(const struct principal *p);
/* What the caller's own policy says; a user without one may do anything. */
enum policy_verdict principal_check(
	const struct principal *p, const char *action, const char *resource);
/* The same for a listing below prefix. */
enum policy_verdict principal_check_listing(const struct principal *p, const char *action,
	const char *resource, const char *prefix);

/* A machine that has a role: an EC2 instance, or a container. */
struct machine {
	const struct role *role; /* NULL: there is no such machine */
	char *region;            /* NULL: not told */
	char *token;             /* of a container: what it must send */
	int64_t life_s;
};
const struct machine *accounts_instance(const struct accounts *a);
const struct machine *accounts_container(const struct accounts *a);
