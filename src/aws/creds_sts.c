/*
 * One AssumeRole or AssumeRoleWithWebIdentity: sign, send, read. Does not cache and does
 * not retry (creds, provider_web_identity). What is asked: creds_sts_form.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "aws/endpoint.h"
#include "aws/errors.h"
#include "aws/retry.h"
#include "aws/sigv4.h"
#include "aws/skew.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "net/http.h"
#include "net/loop.h"

#define ANSWER_MAX (64 * 1024)
#define FORM_MAX   (512 * 1024)
#define TOTAL_MS   30000
#define TEXT_MAX   372 /* of err.text: the hop goes before it */

struct creds_sts_call {
	struct loop *loop;
	struct http_call *http;
	struct buf body;
	char *role_arn, *session_name;
	bool is_web;     /* a token of somebody else's signs */
	bool is_session; /* the signer is a session itself */
	bool is_too_long;
	int64_t signer_left_s, now_us;
	creds_sts_fn fn;
	void *arg;
	struct skew *skew;
	int64_t skew_us; /* what it was signed with */
	struct err early; /* known before anything was sent */
};

static void *call_free(void *p)
{
	struct creds_sts_call *call = p;

	loop_undefer(call->loop, call);
	buf_wipe(&call->body);
	free(call->role_arn);
	free(call->session_name);
	free(call);
	return NULL;
}

static void finish(
	struct creds_sts_call *call, const struct err *e, const struct creds_set *set)
{
	if (call->fn)
		call->fn(call->arg, e, set);
	loop_bury(call->loop, call_free, call);
}

/* --- the answer --- */

struct answer {
	struct creds_set set;
	bool is_too_long, has_expiry;
};

static void take_field(
	struct answer *a, char *out, size_t size, const char *text, size_t len)
{
	if (len >= size)
		a->is_too_long = true;
	else
		memcpy(out, text, len + 1);
}

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	struct answer *a = arg;
	int64_t seconds;

	if (str_has_suffix(path, "Credentials/AccessKeyId"))
		take_field(
			a, a->set.access_key_id, sizeof(a->set.access_key_id), text, len);
	else if (str_has_suffix(path, "Credentials/SecretAccessKey"))
		take_field(a, a->set.secret_access_key, sizeof(a->set.secret_access_key),
			text, len);
	else if (str_has_suffix(path, "Credentials/SessionToken"))
		take_field(
			a, a->set.session_token, sizeof(a->set.session_token), text, len);
	else if (str_has_suffix(path, "AssumedRoleUser/Arn"))
		take_field(a, a->set.arn, sizeof(a->set.arn), text, len);
	else if (str_has_suffix(path, "Credentials/Expiration") &&
		 clock_parse_iso(text, &seconds) == 0) {
		a->set.expires_at_us = seconds * USEC_PER_SEC;
		a->has_expiry = true;
	}
}

/* Field n (from 0) of an ARN. */
static const char *arn_field(const char *arn, int n, size_t *ret_len)
{
	for (; n && arn; n--) {
		arn = strchr(arn, ':');
		arn = arn ? arn + 1 : NULL;
	}
	*ret_len = arn ? strcspn(arn, ":") : 0;
	return arn;
}

/*
 * Account, role name and session name must be those that were asked for. AWS leaves the
 * role's path out of the session's ARN, RGW keeps it: the last two parts count.
 */
static bool is_same_role(const char *asked, const char *session_name, const char *got)
{
	size_t n, m;
	const char *a = arn_field(asked, 4, &n), *b = arn_field(got, 4, &m);
	const char *role = strrchr(asked, '/'), *session = strrchr(got, '/');
	const char *kind = strstr(got, ":assumed-role/");

	if (!a || !b || n != m || memcmp(a, b, n) != 0 || !role || !session || !kind)
		return false;
	n = strlen(role); /* with its slash */
	return (size_t)(session - kind) > n && memcmp(session - n, role, n) == 0 &&
	       strcmp(session + 1, session_name) == 0;
}

static const char *action(const struct creds_sts_call *call)
{
	return call->is_web ? "AssumeRoleWithWebIdentity" : "AssumeRole";
}

static bool check_answer(
	const struct creds_sts_call *call, struct answer *a, bool is_whole, struct err *e)
{
	size_t n;
	const char *account;

	if (!is_whole || a->is_too_long || !a->set.access_key_id[0] ||
		!a->set.secret_access_key[0] || !a->set.session_token[0] ||
		!a->has_expiry) {
		err_set(e, ERR_RETRY, ERR_FROM_STS, "bad-answer",
			"the answer of %s has no whole set of credentials", action(call));
		return false;
	}
	/* From the service's time to ours, where all else compares it. */
	if (call->skew)
		a->set.expires_at_us -= call->skew->us;
	if (a->set.expires_at_us <= call->now_us) {
		err_set(e, ERR_RETRY, ERR_FROM_STS, "expired-answer",
			"STS gave a session that has already ended; look at this host's "
			"clock");
		return false;
	}
	/* Whose token it is was the identity provider's to say. */
	if (a->set.arn[0] && !call->is_web &&
		!is_same_role(call->role_arn, call->session_name, a->set.arn)) {
		err_set(e, ERR_DENIED, ERR_FROM_STS, "identity-mismatch",
			"STS gave %.150s, not the role that was asked for", a->set.arn);
		return false;
	}
	account = arn_field(a->set.arn[0] ? a->set.arn : call->role_arn, 4, &n);
	if (account && n < sizeof(a->set.account))
		memcpy(a->set.account, account, n);
	return true;
}

static const char *advice(const struct creds_sts_call *call, const struct err *e)
{
	if (e->origin == ERR_FROM_NET && strcmp(e->code, "tls") == 0)
		return "; look at the certificate, the clock and ca_bundle";
	if (e->origin == ERR_FROM_NET)
		return "; look at endpoint_url, region, DNS and the way to STS";
	if (call->is_web && strcmp(e->code, "AccessDenied") == 0)
		return "; look at the role's trust policy and the token's issuer, "
		       "audience "
		       "and subject";
	if (strcmp(e->code, "InvalidIdentityToken") == 0 ||
		strcmp(e->code, "ExpiredTokenException") == 0)
		return "; look at the token file: who writes it, and how often";
	if (strcmp(e->code, "SignatureDoesNotMatch") == 0)
		return "; look at the secret key of the base credentials";
	if (strcmp(e->code, "InvalidClientTokenId") == 0 ||
		strcmp(e->code, "InvalidAccessKeyId") == 0 ||
		strcmp(e->code, "ExpiredToken") == 0)
		return "; look at the base credentials: deleted, inactive or expired";
	if (strcmp(e->code, "RequestTimeTooSkewed") == 0)
		return "; look at this host's clock";
	if (strcmp(e->code, "NoSuchEntity") == 0)
		return "; look at role_arn: no such role";
	if (strcmp(e->code, "AccessDenied") == 0)
		return "; look at the role's trust policy, external_id, and the caller's "
		       "right to sts:AssumeRole";
	return "";
}

/* Code, message, advice, request id: when they do not all fit, the message gives way. */
static void explain(const struct creds_sts_call *call, struct err *e)
{
	char tail[180], text[TEXT_MAX];
	size_t room;

	snprintf(tail, sizeof(tail), "%s%s%.40s%s", advice(call, e),
		e->request_id[0] ? " (request " : "", e->request_id,
		e->request_id[0] ? ")" : "");
	room = sizeof(text) - 1 - strlen(tail);
	snprintf(text, room + 1, "%s", e->text[0] ? e->text : e->code);
	snprintf(e->text, sizeof(e->text), "%s%s", text, tail);
	snprintf(e->operation, sizeof(e->operation), "%s", action(call));
}

static void from_status(
	const struct creds_sts_call *call, const struct http_response *r, struct err *e)
{
	struct aws_answer a = {
		.origin = ERR_FROM_STS,
		.operation = action(call),
		.http_status = r->status,
		.body = call->body.data,
		.body_len = call->body.len,
		.request_id = http_header(r, "x-amzn-requestid"),
		.is_session = call->is_session,
		.session_left_s = call->signer_left_s,
	};

	if (!a.request_id)
		a.request_id = http_header(r, "x-amz-request-id");
	aws_error_from_answer(&a, e);
	e->retry_after_ms = retry_after_ms(http_header(r, "x-amz-retry-after"),
		http_header(r, "retry-after"), r->received_at_us);
	/* Refused for a clock that is known now: once more, in its time. */
	if (call->skew && skew_is_cause(e->code, call->skew->us - call->skew_us))
		e->class = ERR_RETRY;
}

static void on_done(void *arg, const struct err *net, const struct http_response *r)
{
	struct creds_sts_call *call = arg;
	struct answer a = {0};
	struct xml_handler handler = {.on_text = on_text, .arg = &a};
	struct xml *x;
	struct err e;
	bool is_whole;

	call->http = NULL;
	skew_learn(call->skew, r);
	if (net) {
		e = *net;
		if (call->is_too_long)
			err_set(&e, ERR_FATAL, ERR_FROM_STS, "bad-answer",
				"the answer is longer than any of STS can be");
		explain(call, &e);
		finish(call, &e, NULL);
		return;
	}
	if (r->status != 200) {
		from_status(call, r, &e);
		explain(call, &e);
		finish(call, &e, NULL);
		return;
	}
	x = xml_new(&handler, ANSWER_MAX);
	is_whole = xml_feed(x, buf_str(&call->body), call->body.len) == 0 &&
		   xml_finish(x) == 0;
	xml_free(x);
	if (check_answer(call, &a, is_whole, &e)) {
		finish(call, NULL, &a.set);
	} else {
		explain(call, &e);
		finish(call, &e, NULL);
	}
	creds_set_wipe(&a.set);
}

static enum http_flow on_body(void *arg, const char *data, size_t len)
{
	struct creds_sts_call *call = arg;

	call->is_too_long = buf_append(&call->body, data, len) < 0;
	return call->is_too_long ? HTTP_ABORT : HTTP_GO;
}

/* --- the request --- */

#define FORM_TYPE "application/x-www-form-urlencoded; charset=utf-8"

static void send_form(struct creds_sts_call *call, struct http *http,
	const char *ca_bundle, const struct http_request *form)
{
	struct http_request rq = *form;

	rq.method = "POST";
	rq.ca_file = ca_bundle;
	rq.on_body = on_body;
	rq.done = on_done;
	rq.arg = call;
	rq.total_timeout_ms = TOTAL_MS;
	call->http = http_send(http, &rq);
}

static const char *ca_of(const struct creds_sts_request *rq)
{
	return rq->role->ca_bundle ? rq->role->ca_bundle : rq->default_ca_bundle;
}

static int sign(const struct creds_sts_request *rq, const struct endpoint *ep,
	const char *path, const struct buf *form, struct sigv4_result *ret)
{
	struct sigv4_pair headers[] = {{"Host", ep->host}, {"Content-Type", FORM_TYPE}};
	char hash[2 * CRYPTO_SHA256_LEN + 1];
	struct sigv4_request to_sign = {
		.method = "POST",
		.path = path,
		.headers = headers,
		.header_count = 2,
		.payload_hash = hash,
	};
	struct sigv4_scope scope = {
		.region = ep->signing_region,
		.service = "sts",
		.at_s = (rq->now_us + (rq->skew ? rq->skew->us : 0)) / USEC_PER_SEC,
	};
	struct sigv4_keys keys = {rq->signer->access_key_id,
		rq->signer->secret_access_key, rq->signer->session_token};

	crypto_sha256_hex(buf_str(form), form->len, hash);
	return sigv4_sign(&to_sign, &scope, &keys, ret);
}

static int send_signed(struct creds_sts_call *call, struct http *http,
	const struct creds_sts_request *rq, const struct endpoint *ep,
	const struct buf *form)
{
	_cleanup_free_ char *path = mem_printf("%s/", ep->path);
	_cleanup_free_ char *url = mem_printf("%s%s", ep->origin, path);
	_cleanup_free_ char *host = mem_printf("Host: %s", ep->host);
	_cleanup_free_ char *date = NULL, *auth = NULL;
	const char *token = rq->signer->session_token;
	char *token_line;
	struct sigv4_result sig;
	int r = sign(rq, ep, path, form, &sig);

	if (r < 0)
		return r;
	date = mem_printf("X-Amz-Date: %s", sig.amz_date);
	auth = mem_printf("Authorization: %s", sig.authorization);
	token_line = *token ? mem_printf("X-Amz-Security-Token: %s", token) : NULL;
	{
		const char *wire[] = {
			host, "Content-Type: " FORM_TYPE, date, auth, token_line, NULL};
		struct http_request request = {.url = url,
			.headers = wire,
			.body = form->data,
			.body_len = form->len};

		send_form(call, http, ca_of(rq), &request);
	}
	mem_wipe_free(token_line);
	sigv4_result_done(&sig);
	return 0;
}

static int send_unsigned(struct creds_sts_call *call, struct http *http,
	const struct creds_sts_request *rq, const struct endpoint *ep,
	const struct buf *form)
{
	_cleanup_free_ char *url = mem_printf("%s%s/", ep->origin, ep->path);
	const char *wire[] = {"Content-Type: " FORM_TYPE, NULL};
	struct http_request request = {
		.url = url, .headers = wire, .body = form->data, .body_len = form->len};

	send_form(call, http, ca_of(rq), &request);
	return 0;
}

static int send_request(struct creds_sts_call *call, struct http *http,
	const struct creds_sts_request *rq, const struct endpoint *ep)
{
	struct buf form = BUF_INIT(FORM_MAX);
	int r = creds_sts_form(rq, &form);

	if (r == 0)
		r = (rq->signer ? send_signed : send_unsigned)(call, http, rq, ep, &form);
	buf_wipe(&form);
	return r;
}

static void fail_early(void *arg)
{
	struct creds_sts_call *call = arg;

	finish(call, &call->early, NULL);
}

struct creds_sts_call *creds_sts_assume(struct loop *loop, struct http *http,
	const struct creds_sts_request *rq, creds_sts_fn fn, void *arg)
{
	struct creds_sts_call *call = mem_alloc(sizeof(*call));
	struct endpoint_spec spec = {
		.region = rq->role->region ? rq->role->region : rq->default_region,
		.endpoint_url = rq->role->endpoint_url ? rq->role->endpoint_url
						       : rq->default_endpoint_url,
		.use_fips = rq->role->use_fips,
		.use_dual_stack = rq->role->use_dual_stack,
	};
	struct endpoint ep;
	char why[200] = "the request could not be signed";

	call->loop = loop;
	call->fn = fn;
	call->arg = arg;
	call->now_us = rq->now_us;
	call->role_arn = mem_strdup(rq->role->role_arn);
	call->session_name = mem_strdup(rq->role->session_name);
	call->is_web = !rq->signer;
	call->skew = rq->skew;
	call->skew_us = rq->skew ? rq->skew->us : 0;
	call->is_session = rq->signer && rq->signer->session_token[0];
	call->signer_left_s = !rq->signer || rq->signer->expires_at_us == CREDS_NEVER
				      ? INT64_MAX
				      : (rq->signer->expires_at_us - rq->now_us) /
						USEC_PER_SEC;
	buf_init(&call->body, ANSWER_MAX);
	if (endpoint_sts(&spec, &ep, why) < 0 || send_request(call, http, rq, &ep) < 0) {
		err_set(&call->early, ERR_CONFIG, ERR_FROM_STS, "endpoint", "%s", why);
		loop_defer(loop, fail_early, call);
	}
	return call;
}

void *creds_sts_cancel(struct creds_sts_call *call)
{
	if (!call)
		return NULL;
	call->fn = NULL;
	if (call->http) {
		http_cancel(call->http); /* on_done() buries it */
	} else {
		loop_undefer(call->loop, call);
		loop_bury(call->loop, call_free, call);
	}
	return NULL;
}
