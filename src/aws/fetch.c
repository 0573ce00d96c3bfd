/* One exchange with a metadata service. It knows no provider and reads no JSON. */
#include "config.h"

#include "aws/fetch.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/loop.h"

struct fetch {
	struct loop *loop;
	struct http_call *call;
	struct buf body;
	bool is_too_long;
	fetch_fn fn; /* NULL: cancelled */
	void *arg;
};

static void *fetch_free(void *arg)
{
	struct fetch *f = arg;

	buf_wipe(&f->body);
	free(f);
	return NULL;
}

static enum http_flow on_body(void *arg, const char *data, size_t len)
{
	struct fetch *f = arg;

	f->is_too_long = buf_append(&f->body, data, len) < 0;
	return f->is_too_long ? HTTP_ABORT : HTTP_GO;
}

static void on_done(void *arg, const struct err *net, const struct http_response *r)
{
	struct fetch *f = arg;
	struct fetch_answer answer = {r->status, r, buf_str(&f->body), f->body.len};
	struct err e;

	if (f->is_too_long)
		net = err_set(&e, ERR_FATAL, ERR_FROM_CREDS, "too-long",
			"the answer is longer than credentials can be");
	if (f->fn)
		f->fn(f->arg, net, net ? NULL : &answer);
	loop_bury(f->loop, fetch_free, f);
}

struct fetch *fetch_start(struct loop *loop, struct http *http,
	const struct fetch_request *request, fetch_fn fn, void *arg)
{
	struct fetch *f = mem_alloc(sizeof(*f));
	struct http_request rq = {
		.method = request->method,
		.url = request->url,
		.headers = request->headers,
		.is_direct = true, /* it is on this host */
		.on_body = on_body,
		.done = on_done,
		.arg = f,
		.connect_timeout_ms = request->connect_ms,
		.stall_timeout_ms = request->read_ms,
		.total_timeout_ms = request->connect_ms + 2 * request->read_ms,
	};

	f->loop = loop;
	f->fn = fn;
	f->arg = arg;
	buf_init(&f->body, request->max);
	f->call = http_send(http, &rq);
	return f;
}

void fetch_cancel(struct fetch *f)
{
	f->fn = NULL;
	http_cancel(f->call); /* on_done() buries it */
}
