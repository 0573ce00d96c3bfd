/*
 * What all providers share: the life of a fetch, and reading a set from JSON. Not one of
 * the sources.
 */
#include "config.h"

#include "aws/provider.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

/* A metadata service that names no end, or none we can read: ask again soon. */
#define UNKNOWN_LIFE_US (15 * 60 * USEC_PER_SEC)

void provider_start(struct provider *p, provider_fn fn, void *arg)
{
	p->fn = fn;
	p->arg = arg;
	p->ops->start(p);
}

void provider_cancel(struct provider *p)
{
	if (!p->fn)
		return;
	p->fn = NULL;
	p->ops->cancel(p);
}

void *provider_free(struct provider *p)
{
	if (!p)
		return NULL;
	provider_cancel(p);
	return p->ops->free(p);
}

void provider_done(struct provider *p, const struct err *e, const struct creds_set *set)
{
	provider_fn fn = p->fn;

	p->fn = NULL;
	fn(p->arg, e, e ? NULL : set);
}

/* --- sets --- */

bool provider_fill_keys(struct creds_set *set, const char *key, const char *secret,
	const char *session_token)
{
	if (!session_token)
		session_token = "";
	if (strlen(key) >= sizeof(set->access_key_id) ||
		strlen(secret) >= sizeof(set->secret_access_key) ||
		strlen(session_token) >= sizeof(set->session_token))
		return false;
	snprintf(set->access_key_id, sizeof(set->access_key_id), "%s", key);
	snprintf(set->secret_access_key, sizeof(set->secret_access_key), "%s", secret);
	snprintf(set->session_token, sizeof(set->session_token), "%s", session_token);
	return true;
}

void provider_fill_account(struct creds_set *set, const char *account)
{
	if (account && strlen(account) < sizeof(set->account))
		snprintf(set->account, sizeof(set->account), "%s", account);
}

static bool refuse(struct err *e, enum provider_dialect dialect, const char *what)
{
	/* A service may answer better the next time, a program is to be mended. */
	err_set(e, dialect == PROVIDER_PROCESS ? ERR_CONFIG : ERR_RETRY, ERR_FROM_CREDS,
		"bad-answer", "%s", what);
	return false;
}

/* {"Code": "AssumeRoleUnauthorizedAccess", ...} or {"code": ...} instead of keys. */
static bool is_error_document(const struct json *v, struct err *e)
{
	const char *code = json_get_str(v, "Code");

	if (!code)
		code = json_get_str(v, "code");
	if (!code || strcmp(code, "Success") == 0)
		return false;
	if (strlen(code) >= sizeof(e->code) ||
		strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			     "0123456789") != strlen(code))
		code = "error";
	err_set(e, ERR_RETRY, ERR_FROM_CREDS, code,
		"the service answered with the error %s", code);
	return true;
}

static bool read_expiry(enum provider_dialect dialect, const struct json *v,
	int64_t now_us, struct creds_set *set, struct err *e)
{
	const char *text = json_get_str(v, "Expiration");
	int64_t seconds;

	if (text && clock_parse_iso(text, &seconds) == 0) {
		set->expires_at_us = seconds * USEC_PER_SEC;
		return true;
	}
	if (dialect == PROVIDER_PROCESS && json_get(v, "Expiration"))
		return refuse(e, dialect, "the program's Expiration is no RFC 3339 time");
	set->expires_at_us = dialect == PROVIDER_PROCESS ? CREDS_NEVER
							 : now_us + UNKNOWN_LIFE_US;
	return true;
}

bool provider_read_json(enum provider_dialect dialect, const char *text, size_t len,
	int64_t now_us, struct creds_set *ret, struct err *e)
{
	bool is_process = dialect == PROVIDER_PROCESS;
	_cleanup_json_ struct json *v = json_parse(text, len, NULL);
	const char *key = json_get_str(v, "AccessKeyId");
	const char *secret = json_get_str(v, "SecretAccessKey");
	const char *token = json_get_str(v, is_process ? "SessionToken" : "Token");

	*ret = (struct creds_set){0};
	if (!json_is_object(v))
		return refuse(e, dialect, "the answer is not a JSON object");
	if (is_process && json_get_int(v, "Version", 0) != 1)
		return refuse(e, dialect, "the program's answer lacks \"Version\": 1");
	if (!is_process && is_error_document(v, e))
		return false;
	if (!key || !*key || !secret || !*secret || (!is_process && (!token || !*token)))
		return refuse(e, dialect, "the answer lacks a part of the credentials");
	if (!provider_fill_keys(ret, key, secret, token))
		return refuse(
			e, dialect, "the answer has keys that are too long to be keys");
	provider_fill_account(ret, json_get_str(v, "AccountId"));
	return read_expiry(dialect, v, now_us, ret, e);
}
