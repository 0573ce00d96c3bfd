/* Scripted HTTP, made-up names and a fake clock for the vectors. Nothing real is asked.
 */
#include "config.h"

#include "tests/vectors/script_http.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "aws/provider.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/resolve.h"

struct http_call {
	struct http *http;
	struct http_request rq;
	struct script_answer answer;
	bool is_cancelled;
};

const char *http_header(const struct http_response *r, const char *name)
{
	return NULL;
}

const char *script_header(const struct script_request *rq, const char *name)
{
	size_t n = strlen(name);

	for (const char *const *h = rq->headers; h && *h; h++) {
		if (strncasecmp(*h, name, n) == 0 && (*h)[n] == ':')
			return *h + n + 1 + strspn(*h + n + 1, " ");
	}
	return NULL;
}

static void *call_free(void *arg)
{
	struct http_call *call = arg;

	free(call->answer.body);
	free(call);
	return NULL;
}

static void complete(void *arg)
{
	struct http_call *call = arg;
	const struct script_answer *a = &call->answer;
	struct http_response r = {.status = a->net_code ? 0 : a->status};
	const char *code = call->is_cancelled ? "cancelled" : a->net_code;
	struct err e;

	if (!code && a->body && *a->body)
		call->rq.on_body(call->rq.arg, a->body, strlen(a->body));
	if (code)
		err_set(&e, call->is_cancelled ? ERR_CANCELLED : ERR_RETRY, ERR_FROM_NET,
			code, "scripted");
	call->rq.done(call->rq.arg, code ? &e : NULL, &r);
	loop_bury(call->http->loop, call_free, call);
}

/* "http://127.0.0.1:80/x" and "Host: localhost" are "http://localhost/x". */
static char *named_url(const struct http_request *rq)
{
	struct script_request s = {.headers = rq->headers};
	const char *host = script_header(&s, "Host"), *rest = strstr(rq->url, "://") + 3;

	return host ? mem_printf("%.*s%s%s", (int)(rest - rq->url), rq->url, host,
			      rest + strcspn(rest, "/"))
		    : mem_strdup(rq->url);
}

struct http_call *http_send(struct http *http, const struct http_request *rq)
{
	struct http_call *call = mem_alloc(sizeof(*call));
	_cleanup_free_ char *url = named_url(rq);
	_cleanup_free_ char *body = mem_strndup(
		rq->body_len ? rq->body : "", rq->body_len);
	struct script_request s = {rq->method, url, body, rq->headers};

	call->http = http;
	call->rq = *rq;
	http->count++;
	http->fn(http->arg, &s, &call->answer);
	loop_defer(http->loop, complete, call);
	return call;
}

void http_cancel(struct http_call *call)
{
	call->is_cancelled = true;
}

/* --- names --- */

struct resolve {
	struct loop *loop;
	resolve_fn fn;
	void *arg;
	struct resolve_result result;
};

static void *resolve_free(void *arg)
{
	free(arg);
	return NULL;
}

static void on_found(void *arg)
{
	struct resolve *r = arg;

	r->fn(r->arg, NULL, &r->result);
	loop_bury(r->loop, resolve_free, r);
}

struct resolve *resolve_start(
	struct loop *loop, const char *host, resolve_fn fn, void *arg)
{
	struct resolve *r = mem_alloc(sizeof(*r));

	r->loop = loop;
	r->fn = fn;
	r->arg = arg;
	r->result.count = 1;
	snprintf(r->result.addresses[0], sizeof(r->result.addresses[0]), "%s",
		str_eq(host, "localhost") ? "127.0.0.1" : "93.184.216.34");
	loop_defer(loop, on_found, r);
	return r;
}

void resolve_cancel(struct resolve *r)
{
	loop_undefer(r->loop, r);
	free(r);
}

/* --- the rig --- */

void rig_init(struct rig *r, script_fn fn, void *arg)
{
	*r = (struct rig){0};
	clock_fake_init(&r->clock, 3600 * USEC_PER_SEC);
	r->loop = loop_new(&r->clock.clock);
	r->http = (struct http){.loop = r->loop, .fn = fn, .arg = arg};
	snprintf(r->dir, sizeof(r->dir), "/tmp/check_aws.XXXXXX");
	if (!mkdtemp(r->dir))
		abort();
}

void rig_done(struct rig *r)
{
	DIR *d = opendir(r->dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_free_ char *path = mem_printf("%s/%s", r->dir, e->d_name);

		if (e->d_name[0] != '.')
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(r->dir);
	for (int i = 0; i < 3; i++)
		loop_turn(r->loop, false);
	loop_free(r->loop);
}

void rig_run(struct rig *r, const bool *is_done)
{
	for (int i = 0; i < 1000 && !*is_done; i++) {
		for (int k = 0; k < 10 && !*is_done; k++)
			loop_turn(r->loop, false);
		if (!*is_done) {
			nanosleep(&(struct timespec){0, 1000000}, NULL);
			clock_fake_advance(&r->clock, 50 * USEC_PER_MSEC);
		}
	}
	/* What goes on behind. */
	for (int k = 0; k < 10; k++)
		loop_turn(r->loop, false);
}

char *rig_file(struct rig *r, const char *path, const char *text)
{
	char *name = mem_printf("%s/%s", r->dir, path);
	FILE *f;

	for (char *c = name + strlen(r->dir) + 1; *c; c++)
		*c = *c == '/' || *c == '.' ? '_' : *c;
	f = text ? fopen(name, "we") : NULL;
	if (f) {
		fputs(text, f);
		fclose(f);
	}
	return name;
}

void rig_note(void *arg, const struct err *e, const struct creds_set *set)
{
	struct rig_result *res = arg;

	res->is_done = true;
	res->has_set = !e;
	if (e)
		*res->err = *e;
	else
		*res->set = *set;
}

void rig_fetch(struct rig *r, struct provider *p, struct rig_result *ret)
{
	*ret = (struct rig_result){.err = mem_alloc(sizeof(struct err)),
		.set = mem_alloc(sizeof(struct creds_set))};
	provider_start(p, rig_note, ret);
	rig_run(r, &ret->is_done);
}

void rig_result_done(struct rig_result *res)
{
	free(res->err);
	free(res->set);
}
