/*
 * HTTP/1.1 on non-blocking sockets: one state machine a connection. Not a general server:
 * no chunked bodies, no trailers; it trusts the loopback not to flood it.
 */
#include "config.h"

#include "sandbox/http_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"
#include "sandbox/http_head.h"
#include "sandbox/http_tls.h"

#define IN_BYTES    (128 * 1024) /* also the limit of a head */
#define PIECE_BYTES (64 * 1024)
#define OUT_BYTES   (64 * 1024 * 1024)

enum conn_state {
	CONN_HEAD,  /* waits for: the end of a request's head */
	CONN_BODY,  /* waits for: the rest of its body */
	CONN_DELAY, /* waits for: the delay timer, or for the peer to give up */
	CONN_SEND,  /* waits for: room in the socket */
	CONN_STALL, /* waits for: the peer to give up */
	CONN_DEAD,  /* unlinked; freed at the end of the turn */
};

struct http_conn {
	struct list link;
	struct http_server *server;
	int fd;
	struct http_tls_conn *tls; /* NULL: none */
	struct loop_fd *watch;
	struct loop_timer *delay;
	enum conn_state state;
	char *in; /* IN_BYTES + 1 */
	size_t in_from, in_to;
	char *head; /* a copy that the exchange's strings point into */
	struct buf out;
	size_t out_from;
	struct http_exchange x;
	bool has_begun;   /* a request came */
	bool is_open;     /* an exchange is under way */
	bool is_answered; /* http_reply() was called */
	bool must_close;  /* after this answer */
	bool wants_continue;
	int64_t body_left;     /* of the request */
	int64_t answer_length; /* of the answer's body */
	int64_t answer_sent;   /* handed to `out` */
	void (*produce)(struct http_exchange *x, uint64_t offset, char *out, size_t len);
};

struct http_server {
	struct loop *loop;
	int fd;
	struct http_tls *tls;
	struct loop_fd *watch;
	struct http_handler handler;
	struct list conns;
};

const char *http_field(const struct http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->field_count; i++)
		if (strcmp(x->fields[i].name, name) == 0)
			return x->fields[i].value;
	return NULL;
}

static void *conn_free(void *arg)
{
	struct http_conn *c = arg;

	loop_fd_free(c->watch);
	loop_timer_free(c->delay);
	http_tls_conn_free(c->tls);
	close(c->fd);
	buf_done(&c->out);
	free(c->in);
	free(c->head);
	free(c);
	return NULL;
}

static void end_exchange(struct http_conn *c)
{
	if (!c->is_open)
		return;
	c->is_open = false;
	c->server->handler.on_done(c->server->handler.arg, &c->x);
}

static void conn_close(struct http_conn *c, bool must_reset)
{
	struct linger linger = {1, 0};

	if (c->state == CONN_DEAD)
		return;
	c->state = CONN_DEAD;
	if (must_reset) {
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	} else {
		if (c->tls)
			http_tls_end(c->tls);
		shutdown(c->fd, SHUT_WR);
	}
	loop_fd_set(c->watch, 0);
	loop_timer_cancel(c->delay);
	end_exchange(c);
	list_remove(&c->link);
	loop_bury(c->server->loop, conn_free, c);
}

/* --- the socket, or TLS on it --- */

static ssize_t conn_recv(struct http_conn *c, char *data, size_t len)
{
	return c->tls ? http_tls_recv(c->tls, data, len) : recv(c->fd, data, len, 0);
}

static ssize_t conn_send(struct http_conn *c, const char *data, size_t len)
{
	return c->tls ? http_tls_send(c->tls, data, len)
		      : send(c->fd, data, len, MSG_NOSIGNAL);
}

/* After EAGAIN. TLS may have to send before it can receive, and the other way round. */
static void conn_wait(struct http_conn *c, int events)
{
	loop_fd_set(c->watch, c->tls ? http_tls_wants(c->tls) : events);
}

/* --- reading a head --- */

static bool parse_head(struct http_conn *c, const char *text, size_t len)
{
	struct http_exchange *x = &c->x;

	if (memchr(text, '\0', len))
		return false;
	free(c->head);
	c->head = mem_strndup(text, len);
	*x = (struct http_exchange){
		.conn = c, .flip_at = -1, .is_first = !c->has_begun};
	c->has_begun = true;
	return http_head_parse(x, c->head);
}

static void refuse(struct http_conn *c, int status)
{
	const struct http_answer answer = {.status = status, .headers = "", .body = ""};

	c->must_close = true;
	http_reply(&c->x, &answer);
}

/* What HTTP itself says about the message. false: answered already. */
static bool read_framing(struct http_conn *c)
{
	const char *length = http_field(&c->x, "content-length");
	const char *connection = http_field(&c->x, "connection");
	const char *expect = http_field(&c->x, "expect");
	uint64_t n = 0;

	if (connection && strcasecmp(connection, "close") == 0)
		c->must_close = true;
	c->wants_continue = expect && strcasecmp(expect, "100-continue") == 0;
	if (http_field(&c->x, "transfer-encoding")) {
		refuse(c, 411);
		return false;
	}
	if (length && str_to_uint(length, INT64_MAX, &n) < 0) {
		refuse(c, 400);
		return false;
	}
	c->x.content_length = c->body_left = (int64_t)n;
	return true;
}

static bool step_head(struct http_conn *c)
{
	struct http_handler *h = &c->server->handler;
	char *end;

	while (c->in_from < c->in_to && strchr("\r\n", c->in[c->in_from]))
		c->in_from++;
	c->in[c->in_to] = '\0';
	end = memmem(c->in + c->in_from, c->in_to - c->in_from, "\r\n\r\n", 4);
	if (!end) {
		if (c->in_to - c->in_from == IN_BYTES)
			conn_close(c, false);
		return false;
	}
	if (!parse_head(c, c->in + c->in_from, (size_t)(end - c->in) - c->in_from)) {
		conn_close(c, false);
		return false;
	}
	c->in_from = (size_t)(end + 4 - c->in);
	c->is_open = true;
	c->is_answered = c->must_close = false;
	c->body_left = 0;
	c->state = CONN_BODY;
	if (read_framing(c))
		h->on_head(h->arg, &c->x);
	/* An empty body is asked for too: botocore loses its place without the 100. */
	if (c->wants_continue) {
		if (c->is_answered) {
			/* The peer never sends this body: the answer ends it. */
			c->must_close = true;
			c->body_left = 0;
		} else {
			const char *go = "HTTP/1.1 100 Continue\r\n\r\n";

			/* The socket is empty here: it takes 25 bytes. */
			if (conn_send(c, go, strlen(go)) < 0)
				conn_close(c, true);
		}
	}
	return c->state != CONN_DEAD;
}

/* --- reading a body --- */

/* true: the request's body was cut on purpose. */
static bool cut_request(struct http_conn *c)
{
	int64_t got = c->x.content_length - c->body_left;

	if ((c->x.cut != HTTP_CUT_RESET && c->x.cut != HTTP_CUT_STALL) ||
		c->x.cut_at >= c->x.content_length || got < c->x.cut_at)
		return false;
	if (c->x.cut == HTTP_CUT_RESET)
		conn_close(c, true);
	else
		c->state = CONN_STALL;
	return true;
}

static bool step_body(struct http_conn *c)
{
	struct http_handler *h = &c->server->handler;
	size_t n = c->in_to - c->in_from;

	if (c->body_left > 0) {
		if ((int64_t)n > c->body_left)
			n = (size_t)c->body_left;
		if (n && !c->is_answered)
			h->on_body(h->arg, &c->x, c->in + c->in_from, n);
		c->in_from += n;
		c->body_left -= (int64_t)n;
		if (cut_request(c))
			return c->state != CONN_DEAD;
		if (c->body_left > 0)
			return false;
	}
	if (!c->is_answered)
		h->on_end(h->arg, &c->x);
	if (!c->is_answered)
		refuse(c, 500);
	/* RESET and STALL behind a whole request: it was carried out, nobody is told. */
	if (c->x.content_length > 0 && c->x.cut == HTTP_CUT_RESET) {
		conn_close(c, true);
		return false;
	}
	if (c->x.content_length > 0 && c->x.cut == HTTP_CUT_STALL) {
		c->state = CONN_STALL;
		return true;
	}
	c->state = c->x.delay_ms > 0 ? CONN_DELAY : CONN_SEND;
	if (c->state == CONN_DELAY)
		loop_timer_set(c->delay, c->x.delay_ms);
	return true;
}

/* --- answering --- */

/* Bytes of the answer's body that leave before a cut. */
static int64_t answer_limit(const struct http_conn *c)
{
	if (c->x.cut != HTTP_CUT_NONE && c->x.cut_at < c->answer_length)
		return c->x.cut_at;
	return c->answer_length;
}

static void flip(struct http_conn *c, size_t at, int64_t offset, int64_t len)
{
	if (c->x.flip_at >= offset && c->x.flip_at < offset + len)
		c->out.data[at + (size_t)(c->x.flip_at - offset)] ^= (char)0xff;
}

void http_reply(struct http_exchange *x, const struct http_answer *a)
{
	struct http_conn *c = x->conn;

	c->is_answered = true;
	buf_reset(&c->out);
	c->out_from = 0;
	buf_printf(&c->out, "HTTP/1.1 %d %s\r\n%s", a->status,
		http_head_reason(a->status), a->headers);
	if (a->length >= 0 && a->status != 204)
		buf_printf(&c->out, "Content-Length: %lld\r\n", (long long)a->length);
	buf_puts(&c->out, "Server: s3ferry-sandbox\r\n");
	if (c->must_close)
		buf_puts(&c->out, "Connection: close\r\n");
	buf_puts(&c->out, "\r\n");
	c->answer_length = a->has_no_body ? 0 : a->length;
	c->answer_sent = 0;
	c->produce = a->produce;
	if (a->body && c->answer_length > 0) {
		size_t at = c->out.len;

		c->answer_sent = answer_limit(c);
		buf_append(&c->out, a->body, (size_t)c->answer_sent);
		flip(c, at, 0, c->answer_sent);
	}
}

static void fill(struct http_conn *c)
{
	static const char zeros[PIECE_BYTES];
	int64_t left = answer_limit(c) - c->answer_sent;
	size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

	if (c->out_from) {
		buf_reset(&c->out);
		c->out_from = 0;
	}
	/* Grown with zeros first: the producer writes in place. */
	buf_append(&c->out, zeros, n);
	c->produce(&c->x, (uint64_t)c->answer_sent, c->out.data + c->out.len - n, n);
	flip(c, c->out.len - n, c->answer_sent, (int64_t)n);
	c->answer_sent += (int64_t)n;
}

static bool finish_answer(struct http_conn *c)
{
	bool is_cut = answer_limit(c) < c->answer_length;

	if (is_cut && c->x.cut == HTTP_CUT_STALL) {
		c->state = CONN_STALL;
		return true;
	}
	if (is_cut || c->must_close) {
		conn_close(c, is_cut && c->x.cut == HTTP_CUT_RESET);
		return false;
	}
	end_exchange(c);
	c->state = CONN_HEAD;
	loop_fd_set(c->watch, LOOP_READ);
	return true;
}

static bool step_send(struct http_conn *c)
{
	ssize_t n;

	if (c->out_from == c->out.len || (c->answer_sent == 0 && c->produce)) {
		if (c->answer_sent < answer_limit(c))
			fill(c);
		else if (c->out_from == c->out.len)
			return finish_answer(c);
	}
	n = conn_send(c, c->out.data + c->out_from, c->out.len - c->out_from);
	if (n >= 0) {
		c->out_from += (size_t)n;
		return true;
	}
	if (errno == EINTR)
		return true;
	if (errno == EAGAIN)
		conn_wait(c, LOOP_WRITE);
	else
		conn_close(c, true);
	return false;
}

/* --- the machine --- */

/* false: it waits. */
static bool conn_step(struct http_conn *c)
{
	switch (c->state) {
	case CONN_HEAD:
		return step_head(c);
	case CONN_BODY:
		return step_body(c);
	case CONN_SEND:
		return step_send(c);
	case CONN_STALL:
	case CONN_DELAY:
		/* Reading tells when the peer has had enough; of a stalled upload not one
		 * byte more is taken. */
		loop_fd_set(c->watch, c->body_left > 0 ? 0 : LOOP_READ);
		return false;
	case CONN_DEAD:
		return false;
	}
	return false;
}

/* false: nothing came. */
static bool conn_take(struct http_conn *c)
{
	ssize_t n;

	if (c->in_from == c->in_to)
		c->in_from = c->in_to = 0;
	if (c->in_from && (c->in_to == IN_BYTES || c->state == CONN_HEAD)) {
		memmove(c->in, c->in + c->in_from, c->in_to - c->in_from);
		c->in_to -= c->in_from;
		c->in_from = 0;
	}
	if (c->in_to == IN_BYTES) {
		/* Only a peer that talks while it has to wait fills it. */
		conn_close(c, true);
		return false;
	}
	n = conn_recv(c, c->in + c->in_to, IN_BYTES - c->in_to);
	if (n > 0) {
		c->in_to += (size_t)n;
		loop_fd_set(c->watch, LOOP_READ);
	} else if (n < 0 && errno == EAGAIN) {
		conn_wait(c, LOOP_READ);
	} else if (n == 0 || errno != EINTR) {
		conn_close(c, n < 0);
	}
	return n > 0;
}

/* Of bytes that TLS has taken from the socket no event tells. */
static bool conn_has_more(const struct http_conn *c)
{
	return c->tls && (c->state == CONN_HEAD || c->state == CONN_BODY) &&
	       http_tls_has_more(c->tls);
}

static void conn_run(struct http_conn *c)
{
	do {
		while (conn_step(c))
			;
	} while (conn_has_more(c) && conn_take(c));
}

static void on_delay(void *arg)
{
	struct http_conn *c = arg;

	c->state = CONN_SEND;
	conn_run(c);
}

static void on_conn(void *arg, int events)
{
	struct http_conn *c = arg;

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_SEND || conn_take(c))
		conn_run(c);
}

static void on_accept(void *arg, int events)
{
	struct http_server *s = arg;
	int one = 1;

	for (int i = 0; i < 64; i++) {
		struct http_conn *c;
		int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c = mem_alloc(sizeof(*c));
		c->server = s;
		c->fd = fd;
		c->tls = s->tls ? http_tls_accept(s->tls, fd) : NULL;
		c->in = mem_alloc(IN_BYTES + 1);
		buf_init(&c->out, OUT_BYTES);
		c->watch = loop_fd_new(s->loop, fd, LOOP_READ, on_conn, c);
		c->delay = loop_timer_new(s->loop, on_delay, c);
		list_append(&s->conns, &c->link);
	}
}

struct http_server *http_server_new(struct loop *loop, int listen_fd,
	struct http_tls *tls, const struct http_handler *handler)
{
	struct http_server *s = mem_alloc(sizeof(*s));

	s->loop = loop;
	s->fd = listen_fd;
	s->tls = tls;
	s->handler = *handler;
	list_init(&s->conns);
	s->watch = loop_fd_new(loop, listen_fd, LOOP_READ, on_accept, s);
	return s;
}

void *http_server_free(struct http_server *s)
{
	struct http_conn *c, *tmp;

	if (!s)
		return NULL;
	LIST_FOREACH_SAFE (c, tmp, &s->conns, link) {
		list_remove(&c->link);
		end_exchange(c);
		conn_free(c);
	}
	loop_fd_free(s->watch);
	close(s->fd);
	free(s);
	return NULL;
}
