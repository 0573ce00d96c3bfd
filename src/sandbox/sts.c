/*
 * STS: AssumeRole, AssumeRoleWithWebIdentity and GetCallerIdentity, in its Query
 * protocol. Nothing else of STS.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/accounts.h"
#include "sandbox/sandbox.h"

#define STS_NS        "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\""
#define CHAIN_LIMIT_S 3600
#define ANSWER_BYTES  (64 * 1024)
#define POLICY_MAX    2048

static void fail(struct request *r, int status, const char *code, const char *message)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);

	buf_printf(&b, "<ErrorResponse " STS_NS ">\n  <Error>\n    <Type>%s</Type>\n    ",
		status < 500 ? "Sender" : "Receiver");
	xml_element(&b, "Code", code);
	buf_puts(&b, "\n    ");
	xml_element(&b, "Message", message);
	buf_printf(&b, "\n  </Error>\n  <RequestId>%s</RequestId>\n</ErrorResponse>\n",
		r->request_id);
	request_reply(r, status, "text/xml", &b);
	buf_done(&b);
}

/* The same facts as S3's, in STS's words. */
static void fail_auth(struct request *r, const struct api_error *e)
{
	char text[400], now[17];

	if (!r->auth.access_key[0])
		fail(r, 403, "MissingAuthenticationToken",
			"Request is missing Authentication Token");
	else if (str_eq(e->code, "InvalidAccessKeyId") || str_eq(e->code, "InvalidToken"))
		fail(r, 403, "InvalidClientTokenId",
			"The security token included in the request is invalid.");
	else if (str_eq(e->code, "ExpiredToken"))
		fail(r, 403, "ExpiredToken",
			"The security token included in the request is expired");
	else if (str_eq(e->code, "RequestTimeTooSkewed")) {
		snprintf(text, sizeof(text),
			"Signature %s: %s is now %s than %s (15 min.)",
			r->auth.at_s < r->now_s ? "expired" : "not yet current",
			r->auth.amz_date, r->auth.at_s < r->now_s ? "earlier" : "later",
			clock_format_amz(r->now_s, now, sizeof(now)));
		fail(r, 403, "SignatureDoesNotMatch", text);
	} else
		fail(r, e->status, e->code, e->message);
}

static void get_caller_identity(struct request *r)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);

	buf_puts(&b, "<GetCallerIdentityResponse " STS_NS "><GetCallerIdentityResult>");
	xml_element(&b, "Arn", r->who->arn);
	xml_element(&b, "UserId", r->who->user_id);
	xml_element(&b, "Account", r->who->account_id);
	buf_printf(&b,
		"</GetCallerIdentityResult><ResponseMetadata><RequestId>%s</RequestId>"
		"</ResponseMetadata></GetCallerIdentityResponse>",
		r->request_id);
	request_reply(r, 200, "text/xml", &b);
	buf_done(&b);
}

/* Trust of the role, and across accounts also the caller's own policy. */
static bool may_assume(
	const struct principal *who, const struct role *role, const char *external_id)
{
	const struct policy_asker asker = principal_asker(who);
	enum policy_verdict own = principal_check(who, "sts:AssumeRole", role->arn);
	enum policy_verdict trust = POLICY_SILENT;
	bool is_same = str_eq(who->account_id, role->account_id);

	for (char **t = role->trusted; *t; t++)
		if (policy_principal_matches(*t, &asker))
			trust = POLICY_ALLOW;
	if (role->external_id && !str_eq(role->external_id, external_id))
		trust = POLICY_SILENT;
	/* A role is never open by an identity policy alone. */
	return trust == POLICY_ALLOW && policy_decide(own, trust, is_same);
}

static void answer_session(struct request *r, const struct principal *p)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);
	const char *action = r->operation;
	char until[24];

	buf_printf(
		&b, "<%sResponse " STS_NS "><%sResult><AssumedRoleUser>", action, action);
	xml_element(&b, "AssumedRoleId", p->user_id);
	xml_element(&b, "Arn", p->arn);
	buf_puts(&b, "</AssumedRoleUser><Credentials>");
	xml_element(&b, "AccessKeyId", p->access_key_id);
	xml_element(&b, "SecretAccessKey", p->secret);
	xml_element(&b, "SessionToken", p->token);
	xml_element(&b, "Expiration",
		clock_format_iso(p->expires_at_s, until, sizeof(until)));
	buf_printf(&b,
		"</Credentials></%sResult><ResponseMetadata><RequestId>%s</RequestId>"
		"</ResponseMetadata></%sResponse>",
		action, r->request_id, action);
	request_reply(r, 200, "text/xml", &b);
	buf_done(&b);
}

static bool is_session_name(const char *s)
{
	size_t len = s ? strlen(s) : 0;

	return len >= 2 && len <= 64 &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			 "0123456789_+=,.@-") == len;
}

/* What both ways of assuming a role have in common; false: answered. */
struct wish {
	const char *arn, *name;
	const struct role *role;
	int64_t seconds;
	struct policy *policy; /* NULL: the session is not narrowed */
};

static bool read_policy(struct request *r, const char *text, struct policy **ret)
{
	_cleanup_free_ char *why = NULL;
	_cleanup_json_ struct json *v = NULL;

	if (!text)
		return true;
	v = json_parse(text, strlen(text), NULL);
	*ret = v && strlen(text) <= POLICY_MAX ? policy_new_iam(v, &why) : NULL;
	if (!*ret)
		fail(r, 400,
			strlen(text) > POLICY_MAX ? "PackedPolicyTooLarge"
						  : "MalformedPolicyDocument",
			why ? why
			    : "This policy contains invalid Json, or too much of it");
	return *ret != NULL;
}

static bool read_wish(struct request *r, const struct query *form, struct wish *ret)
{
	const char *duration = query_get(form, "DurationSeconds");
	uint64_t seconds = 3600;

	*ret = (struct wish){
		query_get(form, "RoleArn"), query_get(form, "RoleSessionName")};
	if (!ret->arn || !is_session_name(ret->name) ||
		(duration &&
			(str_to_uint(duration, 43200, &seconds) < 0 || seconds < 1))) {
		fail(r, 400, "ValidationError",
			"RoleArn, RoleSessionName or DurationSeconds is missing or out "
			"of range");
		return false;
	}
	ret->role = accounts_find_role(r->sb->accounts, ret->arn);
	if (!duration && ret->role && ret->role->max_session_s < 3600)
		seconds = (uint64_t)ret->role->max_session_s;
	ret->seconds = (int64_t)seconds;
	return read_policy(r, query_get(form, "Policy"), &ret->policy);
}

static void deny(struct request *r, const struct wish *w)
{
	char text[1024];

	/* One answer for both: nobody learns which roles exist. */
	if (r->who)
		snprintf(text, sizeof(text),
			"User: %s is not authorized to perform: sts:AssumeRole on "
			"resource: %s",
			r->who->arn, w->arn);
	else
		snprintf(text, sizeof(text),
			"Not authorized to perform sts:AssumeRoleWithWebIdentity");
	fail(r, 403, "AccessDenied", text);
}

static void grant(struct request *r, struct wish *w)
{
	bool is_chained = r->who && r->who->role;
	struct principal *p;

	if (w->seconds > w->role->max_session_s ||
		(is_chained && w->seconds > CHAIN_LIMIT_S)) {
		fail(r, 400, "ValidationError",
			is_chained ? "The requested DurationSeconds exceeds the 1 hour "
				     "session "
				     "limit for roles assumed by role chaining"
				   : "The requested DurationSeconds exceeds the "
				     "MaxSessionDuration set for this role.");
		return;
	}
	p = accounts_open_session(
		r->sb->accounts, w->role, w->name, r->now_s + w->seconds);
	if (w->policy)
		principal_narrow(p, MEM_STEAL(w->policy));
	answer_session(r, p);
}

static void assume_role(struct request *r, const struct query *form)
{
	struct wish w;

	if (read_wish(r, form, &w)) {
		if (w.role && may_assume(r->who, w.role, query_get(form, "ExternalId")))
			grant(r, &w);
		else
			deny(r, &w);
	}
	policy_free(w.policy);
}

/* "sandbox:SUBJECT:EPOCH": whom an identity provider vouches for, and until when. */
static void assume_with_token(struct request *r, const struct query *form)
{
	const char *token = query_get(form, "WebIdentityToken");
	const char *subject = token && str_has_prefix(token, "sandbox:") ? token + 8
									 : NULL;
	const char *until = subject ? strrchr(subject, ':') : NULL;
	uint64_t seconds;
	struct wish w;

	if (!read_wish(r, form, &w)) {
		; /* answered */
	} else if (!until || str_to_uint(until + 1, INT64_MAX, &seconds) < 0) {
		fail(r, 400, "InvalidIdentityToken",
			"The ID Token provided is not a valid JWT.");
	} else if ((int64_t)seconds <= r->now_s) {
		fail(r, 400, "ExpiredTokenException", "Token expired");
	} else if (!w.role || !w.role->web_subject ||
		   strlen(w.role->web_subject) != (size_t)(until - subject) ||
		   !str_has_prefix(subject, w.role->web_subject)) {
		deny(r, &w);
	} else {
		grant(r, &w);
	}
	policy_free(w.policy);
}

static bool let_in(struct request *r)
{
	struct api_error e;

	if (body_finish(r, &e) < 0) {
		fail(r, e.status, e.code, e.message);
		return false;
	}
	if (auth_identify(r, &e) < 0 || auth_verify(r, r->body.sha256_hex, &e) < 0) {
		fail_auth(r, &e);
		return false;
	}
	return true;
}

static const char *known_action(const char *action)
{
	static const char *const names[] = {
		"AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(names[i], action))
			return names[i];
	}
	return "UnknownSTS";
}

void sts_end(struct request *r)
{
	const struct blob *body = r->body.blob;
	_cleanup_free_ char *text = mem_strndup(body->data ? body->data : "", body->len);
	struct query form;
	struct api_error e = {0};
	int bad_auth = auth_read(r, &e);
	int bad_form = query_parse(&form, text, true);
	const char *action = bad_form ? NULL : query_get(&form, "Action");
	bool is_web = str_eq(action, "AssumeRoleWithWebIdentity"); /* nobody signs it */

	request_is(r, known_action(action));
	if (bad_auth < 0 && !is_web)
		fail_auth(r, &e);
	else if (r->fault && r->fault->status)
		fail(r, r->fault->status, r->fault->code ? r->fault->code : "Throttling",
			r->fault->message ? r->fault->message : "Rate exceeded");
	else if (is_web)
		assume_with_token(r, &form);
	else if (!let_in(r))
		; /* answered */
	else if (str_eq(r->operation, "AssumeRole"))
		assume_role(r, &form);
	else if (str_eq(r->operation, "GetCallerIdentity"))
		get_caller_identity(r);
	else
		fail(r, 400, "InvalidAction",
			"Could not find operation for version 2011-06-15");
	query_done(&form);
}
