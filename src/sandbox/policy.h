/*
 * Policies at the level of principal, action and resource, with '*' in each. Pure.
 * JSON form: [{"effect": "allow", "actions": ["s3:Get*"], "resources":
 * ["arn:aws:s3:::bucket/prefix*"], "principals": ["arn:aws:iam::1:user/x"]}]
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct json;
struct policy;

enum policy_verdict {
	POLICY_SILENT, /* no statement speaks of it */
	POLICY_ALLOW,
	POLICY_DENY, /* wins over any allow */
};

/* NULL on a malformed text; then *ret_error is a malloc'd sentence. */
struct policy *policy_new(const struct json *statements, char **ret_error);
/* The same of an IAM document; the one condition it knows is StringLike on s3:prefix,
 * others never hold. */
struct policy *policy_new_iam(const struct json *document, char **ret_error);
void *policy_free(struct policy *p);

/* Who asks: the names a "principals" entry may use for them. */
struct policy_asker {
	const char *account_id;
	const char *arn;      /* of the user or of the session */
	const char *role_arn; /* of a session's role, or NULL */
};

/* asker NULL: an identity policy, whose statements name no principal. */
enum policy_verdict policy_check(const struct policy *p, const struct policy_asker *asker,
	const char *action, const char *resource);

/* prefix: of a listing, for statements with that condition; NULL: it is none. */
enum policy_verdict policy_check_listing(const struct policy *p,
	const struct policy_asker *asker, const char *action, const char *resource,
	const char *prefix);

/* '*' stands for any run of characters; linear time but for the last star. */
bool policy_glob(const char *pattern, const char *text);
bool policy_principal_matches(const char *pattern, const struct policy_asker *asker);

/*
 * AWS's rule over both policies: a deny wins; inside one account either allow is enough;
 * across accounts both are needed.
 */
bool policy_decide(
	enum policy_verdict identity, enum policy_verdict resource, bool is_same_account);
