/* Scripted answers behind net/http.h, one piece a turn, so that ends can interleave. */
#include "config.h"

#include "tests/replay/http_replay.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/loop.h"

#define PIECE 1000
#define SEEN  64
#define MOST  600000 /* turns: more is a hang */

struct http {
	struct loop *loop;
	const struct replay_answer *script;
	size_t count, next;
	struct replay_seen *seen;
	struct list calls;
};

struct http_call {
	struct list link;
	struct http *http;
	struct http_request rq;
	const struct replay_answer *a;
	struct replay_seen *seen;
	struct http_response r;
	size_t at; /* of the answer's body */
	int64_t sent;
	bool is_paused, is_head_told, is_cancelled, is_done;
};

/* The response finds its script through this, as http.c's does its own headers. */
struct http_headers {
	const char *const *pairs;
};

bool http_header_at(const struct http_response *r, size_t i, const char **ret_name,
	const char **ret_value)
{
	size_t k;

	for (k = 0; r->headers && r->headers->pairs[2 * k]; k++) {
		if (k < i)
			continue;
		*ret_name = r->headers->pairs[2 * k];
		*ret_value = r->headers->pairs[2 * k + 1];
		return true;
	}
	return false;
}

const char *http_header(const struct http_response *r, const char *name)
{
	const char *n, *v;
	size_t i;

	for (i = 0; http_header_at(r, i, &n, &v); i++)
		if (strcasecmp(n, name) == 0)
			return v;
	return NULL;
}

static void *call_free(void *arg)
{
	struct http_call *call = arg;

	free(call->r.headers);
	free(call);
	return NULL;
}

static void finish(struct http_call *call, enum err_class class, const char *code)
{
	struct err e;

	if (call->is_done)
		return;
	call->is_done = true;
	list_remove(&call->link);
	loop_undefer(call->http->loop, call);
	call->seen->is_cancelled = class == ERR_CANCELLED;
	call->seen->is_complete = !code;
	if (code)
		err_set(&e, class, ERR_FROM_NET, code, "scripted");
	call->rq.done(call->rq.arg, code ? &e : NULL, &call->r);
	loop_bury(call->http->loop, call_free, call);
}

static void step(void *arg);

static void again(struct http_call *call)
{
	loop_undefer(call->http->loop, call);
	loop_defer(call->http->loop, step, call);
}

/* true: the request's body is in, as far as the script wants it. */
static bool receive(struct http_call *call)
{
	char piece[PIECE];
	size_t len = 0, room;
	enum http_flow flow;

	if (!call->rq.is_streamed || call->sent == call->rq.send_length ||
		(call->a->is_early && (size_t)call->sent >= call->a->early_at))
		return true;
	flow = call->rq.on_send(call->rq.arg, piece, sizeof(piece), &len);
	if (flow == HTTP_PAUSE) {
		call->is_paused = true;
		return false;
	}
	if (flow == HTTP_ABORT || !len) {
		finish(call, ERR_CANCELLED, "aborted");
		return false;
	}
	room = sizeof(call->seen->body) - call->seen->body_len;
	memcpy(call->seen->body + call->seen->body_len, piece, len < room ? len : room);
	call->seen->body_len += len < room ? len : room;
	call->sent += (int64_t)len;
	again(call);
	return false;
}

static void answer_body(struct http_call *call)
{
	size_t end = call->a->net_code ? call->a->cut_at : call->a->body_len;
	size_t len = end - call->at < PIECE ? end - call->at : PIECE;
	enum http_flow flow = HTTP_GO;

	if (len && call->rq.on_body)
		flow = call->rq.on_body(call->rq.arg, call->a->body + call->at, len);
	if (flow == HTTP_PAUSE) {
		call->is_paused = true;
		return;
	}
	if (flow == HTTP_ABORT) {
		finish(call, ERR_CANCELLED, "aborted");
		return;
	}
	call->at += len;
	call->r.body_bytes += len;
	if (flow == HTTP_ENOUGH && call->at < end)
		call->is_paused = true;
	else if (call->at < end)
		again(call);
	else
		finish(call, ERR_RETRY, call->a->net_code);
}

static void step(void *arg)
{
	struct http_call *call = arg;
	const char *told;

	if (call->is_cancelled) {
		finish(call, ERR_CANCELLED, "cancelled");
		return;
	}
	if (call->is_paused || !receive(call) || call->a->hangs)
		return;
	if (!call->a->status) {
		finish(call, ERR_RETRY, call->a->net_code);
		return;
	}
	if (!call->is_head_told) {
		call->is_head_told = true;
		call->r.status = call->a->status;
		call->r.received_at_us = clock_wall_us(loop_clock(call->http->loop));
		told = http_header(&call->r, "content-length");
		call->r.content_length = told ? atoll(told) : (int64_t)call->a->body_len;
		if (call->rq.on_head &&
			call->rq.on_head(call->rq.arg, &call->r) == HTTP_ABORT) {
			finish(call, ERR_CANCELLED, "aborted");
			return;
		}
		again(call);
		return;
	}
	answer_body(call);
}

struct http_call *http_send(struct http *http, const struct http_request *request)
{
	static const struct replay_answer none = {.net_code = "unscripted"};
	struct http_call *call = mem_alloc(sizeof(*call));
	size_t i, n = 0;

	if (http->next >= SEEN)
		abort();
	call->http = http;
	call->rq = *request;
	call->a = http->next < http->count ? &http->script[http->next] : &none;
	call->seen = &http->seen[http->next++];
	snprintf(call->seen->line, sizeof(call->seen->line), "%s %s", request->method,
		request->url);
	for (i = 0; request->headers[i] && n < sizeof(call->seen->headers); i++)
		n += (size_t)snprintf(call->seen->headers + n,
			sizeof(call->seen->headers) - n, "%s\n", request->headers[i]);
	if (!request->is_streamed && request->body_len <= sizeof(call->seen->body)) {
		call->seen->body_len = request->body_len;
		memcpy(call->seen->body, request->body_len ? request->body : "",
			request->body_len);
	}
	if (call->a->expect && strncmp(call->seen->line, call->a->expect,
				       strlen(call->a->expect)) != 0) {
		fprintf(stderr, "request %zu is %s\n", http->next, call->seen->line);
		call->a = &none;
	}
	call->r.headers = mem_alloc(sizeof(*call->r.headers));
	call->r.headers->pairs = call->a->headers;
	call->r.content_length = HTTP_NO_LENGTH;
	call->r.sent_at_us = clock_wall_us(loop_clock(http->loop));
	call->r.is_verified_peer = strncmp(request->url, "https://", 8) == 0;
	list_append(&http->calls, &call->link);
	again(call);
	return call;
}

void http_cancel(struct http_call *call)
{
	call->is_cancelled = true;
	again(call);
}

void http_resume(struct http_call *call)
{
	call->is_paused = false;
	again(call);
}

static struct http *replay_new(
	struct loop *loop, const struct replay_answer *script, size_t count)
{
	struct http *http = mem_alloc(sizeof(*http));

	http->loop = loop;
	http->script = script;
	http->count = count;
	http->seen = mem_array(SEEN, sizeof(*http->seen));
	list_init(&http->calls);
	return http;
}

/* Of an engine in a thread of its own: nothing is scripted, every call is reset. */
struct http *http_new(struct loop *loop, const struct http_options *options)
{
	(void)options;
	return replay_new(loop, NULL, 0);
}

void *http_free(struct http *http)
{
	struct http_call *call;

	if (!http)
		return NULL;
	while ((call = LIST_FIRST(&http->calls, struct http_call, link)))
		finish(call, ERR_CANCELLED, "cancelled");
	free(http->seen);
	free(http);
	return NULL;
}

size_t replay_count(const struct http *http)
{
	return http->next;
}

const struct replay_seen *replay_seen(const struct http *http, size_t i)
{
	return &http->seen[i];
}

bool replay_has(const struct http *http, size_t i, const char *header)
{
	return strcasestr(replay_seen(http, i)->headers, header) != NULL;
}

/* --- what tests share --- */

void replay_init(struct replay *r)
{
	clock_fake_init(&r->clock, REPLAY_WALL);
	r->loop = loop_new(&r->clock.clock);
}

void replay_done(struct replay *r)
{
	r->http = http_free(r->http);
	loop_turn(r->loop, false);
	loop_free(r->loop);
}

struct replay_answer *replay_add(struct replay *r, const char *expect, int status)
{
	struct replay_answer *a;

	assert_true(r->count < ARRAY_LEN(r->script));
	a = &r->script[r->count++];
	*a = (struct replay_answer){.expect = expect, .status = status};
	return a;
}

struct replay_answer *replay_add_body(
	struct replay *r, const char *expect, int status, const char *body)
{
	struct replay_answer *a = replay_add(r, expect, status);

	a->body = body;
	a->body_len = strlen(body);
	return a;
}

void replay_begin(struct replay *r)
{
	http_free(r->http);
	r->http = replay_new(r->loop, r->script, r->count);
}

void replay_run_until(struct replay *r, const int *what, int until)
{
	for (int i = 0; i < MOST && *what < until; i++) {
		loop_turn(r->loop, false);
		if (i % 1000 == 999)
			clock_fake_advance(&r->clock, USEC_PER_SEC);
	}
	assert_int_equal(*what, until);
}

struct creds_set *replay_creds(uint32_t id, uint64_t generation, int64_t expires_at_us)
{
	struct creds_set *set = mem_secret_alloc(sizeof(*set));

	snprintf(set->access_key_id, sizeof(set->access_key_id), "AKIA%u", id);
	strcpy(set->secret_access_key, "secret");
	snprintf(set->session_token, sizeof(set->session_token), "token-%u-%u", id,
		(unsigned)generation);
	set->generation = generation;
	set->expires_at_us = expires_at_us;
	return set;
}
