/*
 * One S3 call over net/http: endpoint, path, signature, answer, error class. Knows no
 * operation in particular; list.c and object.c do.
 */
#include "config.h"

#include "s3/op_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/endpoint.h"
#include "aws/errors.h"
#include "aws/retry.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/s3name.h"
#include "base/str.h"

#define BODY_MAX       65536 /* of an error, or of a small answer */
#define WIRE_MAX       65536 /* path, URL, one header */
#define EXTRA_HEADERS  14    /* Host, of the place, of chunks, of the signature */

/* What goes out; freed when the request was handed to http. */
struct wire {
	struct buf path, url;
	struct sigv4_pair *pairs;
	size_t pair_count;
	char **lines; /* NULL-terminated */
	size_t line_count, room;
	char decoded[24], trailer[40], hash[2 * CRYPTO_SHA256_LEN + 1];
	char *encoding;
	const char *payload;
};

static void wire_done(struct wire *w)
{
	size_t i;

	for (i = 0; i < w->line_count; i++)
		mem_wipe_free(w->lines[i]);
	free(w->pairs);
	free(w->lines);
	buf_done(&w->path);
	buf_done(&w->url);
	free(w->encoding);
}

static void add_pair(struct wire *w, const char *name, const char *value)
{
	if (w->pair_count < w->room)
		w->pairs[w->pair_count++] = (struct sigv4_pair){name, value};
}

static void add_line(struct wire *w, const char *name, const char *value)
{
	size_t n = strlen(name), m = strlen(value);
	char *line;

	if (w->line_count == w->room)
		return;
	line = w->lines[w->line_count++] = mem_alloc(n + 2 + m + 1);
	memcpy(line, name, n);
	memcpy(line + n, ": ", 2);
	memcpy(line + n + 2, value, m + 1);
}

static struct err *local_err(struct err *e, const struct s3_op *op, const char *why)
{
	err_set(e, ERR_CONFIG, ERR_FROM_LOCAL, "endpoint", "%s", why);
	snprintf(e->operation, sizeof(e->operation), "%s", op->operation);
	return e;
}

/* --- the answer --- */

static bool is_good(const struct http_response *r)
{
	return r->status >= 200 && r->status < 300;
}

static enum http_flow on_head(void *arg, const struct http_response *r)
{
	struct s3_call *call = arg;

	call->answer.http = r;
	return is_good(r) && call->op.on_head && !call->is_asking
		       ? call->op.on_head(call->op.arg, &call->answer)
		       : HTTP_GO;
}

static enum http_flow on_body(void *arg, const char *data, size_t len)
{
	struct s3_call *call = arg;
	size_t room = call->body.max - call->body.len;

	if (is_good(call->answer.http) && call->op.on_body && !call->is_asking)
		return call->op.on_body(call->op.arg, data, len);
	if (len > room) {
		call->is_body_cut = true;
		len = room;
	}
	buf_append(&call->body, data, len);
	return HTTP_GO;
}

static enum http_flow on_chunk(void *arg, char *out, size_t max, size_t *ret_len)
{
	struct s3_call *call = arg;

	return s3_chunked_send(call->chunked, out, max, ret_len);
}

static enum http_flow on_plain_send(void *arg, char *out, size_t max, size_t *ret_len)
{
	struct s3_call *call = arg;

	return call->op.on_send(call->op.arg, out, max, ret_len);
}

/* Refused for a clock that is known now: the same request again, in the peer's time. */
static bool is_skewed(const struct s3_call *call, const struct err *e)
{
	bool is_bare = e->http_status == 403 && !call->body.len; /* as of a HEAD */

	return call->skew && skew_is_cause(is_bare ? "RequestTimeTooSkewed" : e->code,
				     call->skew->us - call->skew_us);
}

/* true: *ret says why the answer is none. */
static bool classify(const struct s3_call *call, const struct http_response *r,
	struct err *ret)
{
	int64_t at_us = r->received_at_us ? r->received_at_us : call->now_us;
	struct aws_answer a = {
		.origin = ERR_FROM_S3,
		.operation = call->operation,
		.http_status = r->status,
		.body = buf_str(&call->body),
		.body_len = call->body.len,
		.request_id = http_header(r, "x-amz-request-id"),
		.host_id = http_header(r, "x-amz-id-2"),
		.is_session = call->is_session,
		.session_left_s = call->expires_at_us == CREDS_NEVER
					  ? INT64_MAX
					  : (call->expires_at_us - at_us) / USEC_PER_SEC,
	};

	if (!is_good(r) || (call->body.len && aws_body_is_error(a.body, a.body_len))) {
		aws_error_from_answer(&a, ret);
		ret->retry_after_ms = retry_after_ms(http_header(r, "x-amz-retry-after"),
			http_header(r, "retry-after"), at_us);
		if (is_skewed(call, ret))
			ret->class = ERR_RETRY;
		return true;
	}
	if (!call->is_body_cut)
		return false;
	err_set(ret, ERR_FATAL, ERR_FROM_S3, "too-long", "the answer to %s is too long",
		call->operation);
	return true;
}

static void call_free(struct s3_call *call)
{
	s3_chunked_free(call->chunked);
	s3_region_free(call->kept);
	buf_done(&call->body);
	free(call);
}

/* Class ERR_OK: the answer is one. */
static void judge(struct s3_call *call, const struct err *err,
	const struct http_response *r, struct err *e)
{
	e->class = ERR_OK;
	if (call->why[0]) {
		local_err(e, &call->op, call->why);
	} else if (err) {
		*e = *err;
		snprintf(e->operation, sizeof(e->operation), "%s", call->operation);
		e->http_status = r->status;
		/* An error whose text was cut is still that error. */
		if (r->status >= 300 && e->class != ERR_CANCELLED)
			classify(call, r, e);
	} else {
		classify(call, r, e);
	}
}

static void on_done(void *arg, const struct err *err, const struct http_response *r)
{
	struct s3_call *call = arg;
	struct err e;

	call->answer.http = r;
	call->answer.body = &call->body;
	skew_learn(call->skew, r);
	judge(call, err, r, &e);
	if (!call->why[0] && s3_region_settle(call, r, &e))
		return;
	call->op.done(call->op.arg, e.class == ERR_OK ? NULL : &e, &call->answer);
	call_free(call);
}

/* --- the request --- */

static bool signs_chunks(const struct s3_call *call, const struct s3_place *place)
{
	if (place->options.payload != ENDPOINT_PAYLOAD_AUTO)
		return place->options.payload == ENDPOINT_PAYLOAD_ALWAYS;
	return !call->endpoint.is_tls;
}

static void choose_payload(struct s3_call *call, const struct s3_env *env,
	const struct s3_op *op, struct wire *w)
{
	bool is_whole = !op->is_streamed || op->send_length == 0;
	bool is_unsigned = (!is_whole || op->is_object) && !signs_chunks(call, env->place);
	bool trails = op->trails && env->trails && call->endpoint.is_tls;

	if (is_whole && !is_unsigned && !op->body_len) {
		w->payload = SIGV4_SHA256_EMPTY;
		return;
	}
	if (is_whole && !is_unsigned) {
		crypto_sha256_hex(op->body, op->body_len, w->hash);
		w->payload = w->hash;
		return;
	}
	if (is_unsigned && (is_whole || !trails)) {
		w->payload = SIGV4_UNSIGNED;
		return;
	}
	w->payload = is_unsigned ? SIGV4_TRAILER : SIGV4_STREAMING;
	call->chunked = s3_chunked_new(is_unsigned ? op->trails : CHECKSUM_NONE,
		op->send_length, op->on_send, op->arg);
	snprintf(w->decoded, sizeof(w->decoded), "%lld", (long long)op->send_length);
}

static void collect_headers(struct s3_call *call, const struct s3_place *p,
	const struct s3_op *op, struct wire *w)
{
	const char *encoding = NULL;
	size_t i;

	add_pair(w, "Host", call->endpoint.host);
	if (p->expected_owner && *p->expected_owner)
		add_pair(w, "x-amz-expected-bucket-owner", p->expected_owner);
	if (p->is_requester_paying)
		add_pair(w, "x-amz-request-payer", "requester");
	for (i = 0; i < op->header_count; i++) {
		if (call->chunked && strcasecmp(op->headers[i].name,
					     "content-encoding") == 0)
			encoding = op->headers[i].value;
		else
			add_pair(w, op->headers[i].name, op->headers[i].value);
	}
	if (!call->chunked)
		return;
	w->encoding = mem_printf("aws-chunked%s%s", encoding ? "," : "",
		encoding ? encoding : "");
	add_pair(w, "Content-Encoding", w->encoding);
	add_pair(w, "x-amz-decoded-content-length", w->decoded);
	if (s3_chunked_framing(call->chunked) == S3_SIGNED_CHUNKS)
		return;
	snprintf(w->trailer, sizeof(w->trailer), "x-amz-checksum-%s",
		checksum_suffix(op->trails));
	add_pair(w, "x-amz-sdk-checksum-algorithm", checksum_name(op->trails));
	add_pair(w, "x-amz-trailer", w->trailer);
}

static int sign(struct s3_call *call, const struct s3_env *env, const struct s3_op *op,
	struct wire *w)
{
	const struct sigv4_scope scope = {
		.region = call->endpoint.signing_region,
		.service = "s3",
		.at_s = (env->now_us + call->skew_us) / USEC_PER_SEC,
		.is_s3 = true,
	};
	const struct sigv4_keys keys = {env->creds->access_key_id,
		env->creds->secret_access_key, env->creds->session_token, env->memos};
	const struct sigv4_request request = {
		.method = op->method,
		.path = buf_str(&w->path),
		.query = op->query,
		.query_count = op->query_count,
		.headers = w->pairs,
		.header_count = w->pair_count,
		.payload_hash = w->payload,
	};
	struct sigv4_result result = {0};
	size_t i;
	int r = sigv4_sign(&request, &scope, &keys, &result);

	if (r < 0)
		return r;
	for (i = 0; i < w->pair_count; i++)
		add_line(w, w->pairs[i].name, w->pairs[i].value);
	add_line(w, "X-Amz-Date", result.amz_date);
	add_line(w, "x-amz-content-sha256", w->payload);
	if (keys.session_token[0])
		add_line(w, "X-Amz-Security-Token", keys.session_token);
	add_line(w, "Authorization", result.authorization);
	buf_puts(&w->url, call->endpoint.origin);
	buf_puts(&w->url, buf_str(&w->path));
	if (result.query_string && result.query_string[0]) {
		buf_putc(&w->url, '?');
		buf_puts(&w->url, result.query_string);
	}
	if (call->chunked && s3_chunked_framing(call->chunked) == S3_SIGNED_CHUNKS)
		s3_chunked_start(call->chunked, &scope, &keys, result.signature);
	sigv4_result_done(&result);
	return 0;
}

/* Virtual hosts need names and certificates that own servers rarely have. */
static bool wants_path(const struct s3_place *p)
{
	if (p->options.style != ENDPOINT_STYLE_AUTO)
		return p->options.style == ENDPOINT_STYLE_PATH;
	return p->endpoint_url && *p->endpoint_url && !str_has_prefix(p->bucket, "arn:") &&
	       !endpoint_is_accelerate(p->endpoint_url);
}

static int build(struct s3_call *call, const struct s3_env *env, const struct s3_op *op,
	struct wire *w)
{
	const struct s3_place *p = env->place;
	const struct endpoint_spec spec = {
		.region = s3_region_of(env),
		.endpoint_url = p->endpoint_url && *p->endpoint_url ? p->endpoint_url : NULL,
		.bucket = p->bucket,
		.force_path_style = wants_path(p),
		.use_fips = p->options.use_fips,
		.use_dual_stack = p->options.use_dual_stack,
		.use_accelerate = p->options.use_accelerate,
		.ignore_arn_region = p->options.ignore_arn_region,
	};
	int r = s3name_check_bucket(p->bucket, call->why);

	if (r == 0)
		r = endpoint_s3(&spec, &call->endpoint, call->why);
	if (r < 0)
		return r;
	call->why[0] = '\0';
	call->answer.is_aws = call->endpoint.is_aws;
	r = buf_puts(&w->path, call->endpoint.path);
	if (r == 0 && (op->key || !w->path.len))
		r = buf_putc(&w->path, '/');
	if (r == 0 && op->key)
		r = str_uri_encode(&w->path, op->key, strlen(op->key), true);
	if (r < 0)
		return r;
	choose_payload(call, env, op, w);
	collect_headers(call, p, op, w);
	return sign(call, env, op, w);
}

void s3_call_send(
	struct s3_call *call, const struct s3_env *env, const struct s3_op *op)
{
	struct wire w = {.path = BUF_INIT(WIRE_MAX), .url = BUF_INIT(WIRE_MAX)};
	struct http_request rq = {.method = op->method, .on_head = on_head,
		.on_body = on_body, .done = on_done, .arg = call,
		.stall_timeout_ms = env->stall_timeout_ms, .buffer = env->buffer_bytes};

	w.room = op->header_count + EXTRA_HEADERS;
	w.pairs = mem_array(w.room, sizeof(*w.pairs));
	w.lines = mem_array(w.room + 1, sizeof(*w.lines));
	call->operation = op->operation;
	call->is_body_cut = false;
	buf_reset(&call->body);
	call->skew_us = env->skew ? env->skew->us : 0;
	if (build(call, env, op, &w) < 0 && !call->why[0])
		snprintf(call->why, sizeof(call->why), "the request cannot be built");
	/* An empty URL is refused by http, later and through done() like all else. */
	rq.url = call->why[0] ? "" : buf_str(&w.url);
	rq.headers = (const char *const *)w.lines;
	rq.ca_file = env->place->ca_bundle && *env->place->ca_bundle ? env->place->ca_bundle
								      : NULL;
	if (op->is_streamed && op->send_length > 0) {
		rq.is_streamed = true;
		rq.on_send = call->chunked ? on_chunk : on_plain_send;
		rq.send_length = call->chunked ? s3_chunked_length(call->chunked)
					       : op->send_length;
	} else {
		rq.body = op->body;
		rq.body_len = op->body_len;
	}
	call->http = http_send(env->http, &rq);
	wire_done(&w);
}

struct s3_call *s3_op_start(const struct s3_env *env, const struct s3_op *op)
{
	struct s3_call *call = mem_alloc(sizeof(*call));

	call->op = *op;
	call->body = BUF_INIT(op->body_max ? op->body_max : BODY_MAX);
	call->now_us = env->now_us;
	call->skew = env->skew;
	call->is_session = env->creds->session_token[0] != '\0';
	call->expires_at_us = env->creds->expires_at_us;
	s3_call_send(call, env, op);
	s3_region_keep(call, env, op);
	return call;
}

void s3_call_cancel(struct s3_call *call)
{
	if (call)
		http_cancel(call->http);
}

void s3_call_resume(struct s3_call *call)
{
	if (call)
		http_resume(call->http);
}
