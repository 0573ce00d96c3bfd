/*
 * Statements of allow and deny, and the rule that joins two policies. Not IAM: there are
 * no conditions but one, no NotAction, no boundaries.
 */
#include "config.h"

#include "sandbox/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

struct strings {
	char **at;
	size_t count;
};

struct statement {
	bool is_deny;
	struct strings actions, resources, principals;
	struct strings prefixes; /* of a condition; none: there is no condition */
};

/* In the patterns of IAM, whose "${*}" is a star and whose '?' is any character. */
#define STAR     '\x01'
#define ANY_CHAR '\x02'

struct policy {
	struct statement *statements;
	size_t count;
};

static void strings_done(struct strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->at[i]);
	free(s->at);
}

void *policy_free(struct policy *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->count; i++) {
		strings_done(&p->statements[i].actions);
		strings_done(&p->statements[i].resources);
		strings_done(&p->statements[i].principals);
		strings_done(&p->statements[i].prefixes);
	}
	free(p->statements);
	free(p);
	return NULL;
}

static bool read_strings(const struct json *v, struct strings *ret)
{
	size_t n = json_array_len(v);

	ret->at = mem_array(n ? n : 1, sizeof(*ret->at));
	for (size_t i = 0; i < n; i++) {
		const char *s = json_as_str(json_array_at(v, i));

		if (!s)
			return false;
		ret->at[ret->count++] = mem_strdup(s);
	}
	return n > 0;
}

static const char *read_statement(const struct json *v, struct statement *ret)
{
	const char *effect = json_get_str(v, "effect");
	const struct json *principals = json_get(v, "principals");

	if (!effect || (!str_eq(effect, "allow") && !str_eq(effect, "deny")))
		return "\"effect\" must be \"allow\" or \"deny\"";
	ret->is_deny = str_eq(effect, "deny");
	if (!read_strings(json_get(v, "actions"), &ret->actions))
		return "\"actions\" must be a list of strings";
	if (!read_strings(json_get(v, "resources"), &ret->resources))
		return "\"resources\" must be a list of strings";
	if (principals && !read_strings(principals, &ret->principals))
		return "\"principals\" must be a list of strings";
	return NULL;
}

struct policy *policy_new(const struct json *statements, char **ret_error)
{
	size_t n = json_array_len(statements);
	struct policy *p;

	if (!json_is_array(statements)) {
		*ret_error = mem_strdup("a policy is a list of statements");
		return NULL;
	}
	p = mem_alloc(sizeof(*p));
	p->statements = mem_array(n ? n : 1, sizeof(*p->statements));
	for (size_t i = 0; i < n; i++) {
		const char *why;

		p->count++;
		why = read_statement(json_array_at(statements, i), &p->statements[i]);
		if (why) {
			*ret_error = mem_printf("statement %zu: %s", i + 1, why);
			return policy_free(p);
		}
	}
	return p;
}

/* --- IAM's form --- */

static char *from_iam(const char *text)
{
	char *out = mem_strdup(text), *o = out;

	for (const char *p = text; *p; p++) {
		if (p[0] == '$' && p[1] == '{' && p[2] && strchr("*?$", p[2]) &&
			p[3] == '}') {
			*o++ = p[2] == '*' ? STAR : p[2];
			p += 3;
		} else {
			*o++ = *p == '?' ? ANY_CHAR : *p;
		}
	}
	*o = '\0';
	return out;
}

/* One text, or a list. */
static bool read_iam_strings(const struct json *v, struct strings *ret)
{
	const char *one = v ? json_as_str(v) : NULL;
	size_t n = one ? 1 : json_array_len(v);

	ret->at = mem_array(n ? n : 1, sizeof(*ret->at));
	for (size_t i = 0; i < n; i++) {
		const char *s = one ? one : json_as_str(json_array_at(v, i));

		if (!s)
			return false;
		ret->at[ret->count++] = from_iam(s);
	}
	return n > 0;
}

static const char *read_iam_statement(const struct json *v, struct statement *ret)
{
	const char *effect = json_get_str(v, "Effect");
	const struct json *condition = json_get(v, "Condition");

	if (!str_eq(effect, "Allow") && !str_eq(effect, "Deny"))
		return "Effect must be Allow or Deny";
	ret->is_deny = str_eq(effect, "Deny");
	if (!read_iam_strings(json_get(v, "Action"), &ret->actions))
		return "Action is missing";
	if (!read_iam_strings(json_get(v, "Resource"), &ret->resources))
		return "Resource is missing";
	/* Of other conditions nothing is known here: they never hold. */
	if (condition && !read_iam_strings(
				 json_get(json_get(condition, "StringLike"), "s3:prefix"),
				 &ret->prefixes))
		ret->prefixes.at[ret->prefixes.count++] = mem_strdup("\x03");
	return NULL;
}

struct policy *policy_new_iam(const struct json *document, char **ret_error)
{
	const struct json *list = document ? json_get(document, "Statement") : NULL;
	size_t n = json_is_array(list) ? json_array_len(list) : list ? 1 : 0;
	struct policy *p = mem_alloc(sizeof(*p));
	const char *why = n ? NULL : "there is no Statement";

	p->statements = mem_array(n ? n : 1, sizeof(*p->statements));
	while (!why && p->count < n) {
		const struct json *v = json_is_array(list) ? json_array_at(list, p->count)
							   : list;

		why = read_iam_statement(v, &p->statements[p->count]);
		p->count++;
	}
	if (!why)
		return p;
	*ret_error = mem_strdup(why);
	return policy_free(p);
}

static bool is_char(char pattern, char c)
{
	return pattern == c || pattern == ANY_CHAR || (pattern == STAR && c == '*');
}

bool policy_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *mark = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			mark = text;
		} else if (*pattern && is_char(*pattern, *text)) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++mark;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool policy_principal_matches(const char *pattern, const struct policy_asker *asker)
{
	char root[64];

	if (strcmp(pattern, asker->account_id) == 0 || policy_glob(pattern, asker->arn))
		return true;
	if (asker->role_arn && policy_glob(pattern, asker->role_arn))
		return true;
	/* The account as a whole. */
	return snprintf(root, sizeof(root), "arn:aws:iam::%s:root", asker->account_id) <
		       (int)sizeof(root) &&
	       strcmp(pattern, root) == 0;
}

static bool any_glob(const struct strings *patterns, const char *text)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (policy_glob(patterns->at[i], text))
			return true;
	return false;
}

static bool names_asker(const struct statement *s, const struct policy_asker *asker)
{
	if (!asker)
		return true;
	for (size_t i = 0; i < s->principals.count; i++)
		if (policy_principal_matches(s->principals.at[i], asker))
			return true;
	return false;
}

enum policy_verdict policy_check(const struct policy *p, const struct policy_asker *asker,
	const char *action, const char *resource)
{
	return policy_check_listing(p, asker, action, resource, NULL);
}

enum policy_verdict policy_check_listing(const struct policy *p,
	const struct policy_asker *asker, const char *action, const char *resource,
	const char *prefix)
{
	enum policy_verdict verdict = POLICY_SILENT;

	for (size_t i = 0; p && i < p->count; i++) {
		const struct statement *s = &p->statements[i];

		if (!names_asker(s, asker) || !any_glob(&s->actions, action) ||
			!any_glob(&s->resources, resource) ||
			(s->prefixes.count &&
				!(prefix && any_glob(&s->prefixes, prefix))))
			continue;
		if (s->is_deny)
			return POLICY_DENY;
		verdict = POLICY_ALLOW;
	}
	return verdict;
}

bool policy_decide(
	enum policy_verdict identity, enum policy_verdict resource, bool is_same_account)
{
	if (identity == POLICY_DENY || resource == POLICY_DENY)
		return false;
	if (is_same_account)
		return identity == POLICY_ALLOW || resource == POLICY_ALLOW;
	return identity == POLICY_ALLOW && resource == POLICY_ALLOW;
}
