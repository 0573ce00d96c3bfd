/*
 * net/http against a scripted server in a thread of this program. The path of a request
 * picks what the server does. No sleeps: the loop turns until done() came.
 */
#include "config.h"

#include "net/http.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/loop.h"

#define BIG (8 * 1024 * 1024)

/* --- the server: one connection at a time, in its own thread --- */

static struct server {
	int fd, port;
	pthread_t thread;
	char head[4096]; /* of the last request */
	char body[256];
	int connections;
} server;

static void reply(int fd, const char *text)
{
	size_t len = strlen(text);

	if (send(fd, text, len, MSG_NOSIGNAL) < 0)
		return;
}

static void reset(int fd)
{
	struct linger now = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void send_big(int fd)
{
	char *data = mem_alloc(65536);
	size_t i, k;

	reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
	for (i = 0; i < BIG / 65536; i++) {
		for (k = 0; k < 65536; k++)
			data[k] = (char)((i + k) % 251);
		if (send(fd, data, 65536, MSG_NOSIGNAL | MSG_WAITALL) < 0)
			break;
	}
	free(data);
}

/* Reads head and body. 0 at the end of the connection. */
static int read_request(int fd, bool with_body)
{
	size_t len = 0, body, want = 0, have;
	char *end, *told, drop[16384];
	ssize_t n;

	for (;;) {
		n = recv(fd, server.head + len, sizeof(server.head) - 1 - len, 0);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		server.head[len] = '\0';
		end = strstr(server.head, "\r\n\r\n");
		if (end)
			break;
	}
	told = strcasestr(server.head, "\r\nContent-Length:");
	if (told && told < end)
		want = strtoul(told + 17, NULL, 10);
	body = len - (size_t)(end + 4 - server.head);
	have = body < sizeof(server.body) - 1 ? body : sizeof(server.body) - 1;
	memcpy(server.body, end + 4, have);
	server.body[have] = '\0';
	while (with_body && body < want) {
		n = recv(fd, drop, sizeof(drop), 0);
		if (n <= 0)
			return 0;
		body += (size_t)n;
	}
	end[2] = '\0';
	return 1;
}

static bool head_is(const char *start)
{
	return strncmp(server.head, start, strlen(start)) == 0;
}

/* true: the connection stays open */
static bool answer(int fd)
{
	if (head_is("GET /../a//b%20c"))
		reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One:  a b \r\n"
			  "x-one: last\r\n\r\nhi");
	else if (head_is("GET /big"))
		send_big(fd);
	else if (head_is("HEAD "))
		reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
	else if (head_is("GET /short")) {
		reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
		return false;
	} else if (head_is("GET /half")) {
		reply(fd, "HTTP/1.1 200 OK\r\nContent-Le");
		return false;
	} else if (head_is("GET /reset")) {
		reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
		reset(fd);
		return false;
	} else if (head_is("GET /moved"))
		reply(fd, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"
			  "Content-Length: 0\r\n\r\n");
	else if (head_is("GET /headers")) {
		reply(fd, "HTTP/1.1 200 OK\r\n");
		for (int i = 0; i < 80; i++) {
			char line[1100];

			memset(line, 'x', sizeof(line));
			memcpy(line, "X-Pad: ", 7);
			strcpy(line + 1000, "\r\n");
			reply(fd, line);
		}
		reply(fd, "Content-Length: 0\r\n\r\n");
	} else if (head_is("GET /close")) { /* keep-alive promised, then closed */
		reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		return false;
	} else if (head_is("GET /stall"))
		reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
	else
		reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"e\"\r\n\r\n");
	return true;
}

static void serve(int fd)
{
	char c;

	server.connections++;
	for (;;) {
		if (recv(fd, server.head, 11, MSG_PEEK | MSG_WAITALL) < 11)
			return;
		if (head_is("PUT /early")) {
			if (!read_request(fd, false))
				return;
			reply(fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n"
				  "Connection: close\r\n\r\ndenied");
			shutdown(fd, SHUT_WR);
			while (recv(fd, server.head, sizeof(server.head) - 1, 0) > 0)
				;
			return;
		}
		if (!read_request(fd, true) || !answer(fd))
			return;
		if (head_is("GET /stall")) {
			while (recv(fd, &c, 1, 0) > 0)
				;
			return;
		}
	}
}

static void *server_main(void *arg)
{
	int fd;

	while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
		serve(fd);
		close(fd);
	}
	return NULL;
}

/* --- the client side --- */

struct result {
	bool is_done;
	int dones;
	struct err err;
	int status;
	char header[64], etag[64];
	int64_t length;
	uint64_t received, wrong;
	bool is_reused;
	int heads, pauses;
	struct buf body;
	struct http_call *call;
	enum http_flow on_head;
	bool pauses_body, pauses_send, has_enough;
	struct loop *loop;
	uint64_t enough_at; /* turns, since it was resumed; 0: not yet */
	int late;           /* pieces of a later turn */
	int64_t to_send, sent;
	struct loop_timer *timer;
};

struct fixture {
	struct loop *loop;
	struct http *http;
	struct result r;
	char url[256];
};

static void on_done(void *arg, const struct err *err, const struct http_response *r)
{
	struct result *res = arg;
	const char *value = http_header(r, "X-ONE");

	res->is_done = true;
	res->dones++;
	if (err)
		res->err = *err;
	res->status = r->status;
	res->length = r->content_length;
	res->received = r->body_bytes;
	res->is_reused = r->is_reused;
	if (value)
		snprintf(res->header, sizeof(res->header), "%s", value);
}

static enum http_flow on_head(void *arg, const struct http_response *r)
{
	struct result *res = arg;

	res->heads++;
	return res->on_head;
}

static void wake(void *arg)
{
	struct result *res = arg;

	res->enough_at = 0;
	http_resume(res->call);
}

static enum http_flow on_body(void *arg, const char *data, size_t len)
{
	struct result *res = arg;
	size_t i;

	if (res->pauses_body && res->pauses < 20 && ++res->pauses % 2) {
		loop_timer_set(res->timer, 1);
		return HTTP_PAUSE;
	}
	if (res->body.len < 4096)
		buf_append(&res->body, data, len < 1024 ? len : 1024);
	for (i = 0; i < len && res->pauses_body; i++) {
		uint64_t at = res->received + i;

		res->wrong += data[i] != (char)((at / 65536 + at % 65536) % 251);
	}
	res->received += len;
	if (!res->has_enough)
		return HTTP_GO;
	res->late += res->enough_at && loop_turns(res->loop) > res->enough_at;
	if (!res->enough_at)
		loop_timer_set(res->timer, 10);
	res->enough_at = loop_turns(res->loop);
	return HTTP_ENOUGH;
}

static enum http_flow on_send(void *arg, char *out, size_t max, size_t *ret_len)
{
	struct result *res = arg;

	if (res->pauses_send && ++res->pauses % 2) {
		loop_timer_set(res->timer, 1);
		return HTTP_PAUSE;
	}
	memset(out, 's', max);
	res->sent += (int64_t)max;
	*ret_len = max;
	return HTTP_GO;
}

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	f->loop = loop_new(clock_system());
	f->http = http_new(f->loop, &(struct http_options){.user_agent = "test/1"});
	f->r.body = BUF_INIT(1 << 20);
	f->r.timer = loop_timer_new(f->loop, wake, &f->r);
	server.connections = 0;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	loop_timer_free(f->r.timer);
	http_free(f->http);
	loop_free(f->loop);
	buf_done(&f->r.body);
	free(f);
	return 0;
}

static void send_request(struct fixture *f, const char *method, const char *path,
	struct http_request rq)
{
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d%s", server.port, path);
	rq.method = method;
	rq.url = f->url;
	rq.on_head = on_head;
	rq.on_body = on_body;
	rq.done = on_done;
	rq.arg = &f->r;
	f->r.call = http_send(f->http, &rq);
	assert_false(f->r.is_done);
}

static void run(struct fixture *f)
{
	while (!f->r.is_done)
		loop_turn(f->loop, true);
}

static void call(struct fixture *f, const char *method, const char *path,
	struct http_request rq)
{
	f->r.is_done = false;
	f->r.received = 0;
	send_request(f, method, path, rq);
	run(f);
}

#define PLAIN ((struct http_request){0})

static void test_get(void **state)
{
	struct fixture *f = *state;
	static const char *const headers[] = {"X-Mine: 1", "X-Empty: ", NULL};

	call(f, "GET", "/../a//b%20c", (struct http_request){.headers = headers});
	assert_int_equal(f->r.err.class, ERR_OK);
	assert_int_equal(f->r.status, 200);
	assert_int_equal(f->r.length, 2);
	assert_string_equal(buf_str(&f->r.body), "hi");
	assert_string_equal(f->r.header, "last");
	assert_int_equal(f->r.heads, 1);
	assert_non_null(strstr(server.head, "X-Mine: 1\r\n"));
	assert_non_null(strstr(server.head, "X-Empty:\r\n"));
	assert_non_null(strstr(server.head, "User-Agent: test/1\r\n"));
	call(f, "GET", "/../a//b%20c", PLAIN);
	assert_true(f->r.is_reused);
	assert_int_equal(server.connections, 1);
}

static void test_bodies(void **state)
{
	struct fixture *f = *state;

	call(f, "PUT", "/x", (struct http_request){.body = "hello", .body_len = 5});
	assert_string_equal(server.body, "hello");
	assert_null(strcasestr(server.head, "content-type"));
	assert_null(strcasestr(server.head, "expect"));
	call(f, "PUT", "/empty", PLAIN);
	assert_non_null(strstr(server.head, "Content-Length: 0\r\n"));
	call(f, "DELETE", "/x", PLAIN);
	assert_null(strcasestr(server.head, "content-length"));
	call(f, "HEAD", "/x", PLAIN);
	assert_int_equal(f->r.length, 77);
	assert_int_equal(f->r.received, 0);
	call(f, "GET", "/moved", PLAIN);
	assert_int_equal(f->r.status, 302);
	assert_int_equal(f->r.err.class, ERR_OK);
}

static void test_streams_with_pauses(void **state)
{
	struct fixture *f = *state;
	struct http_request rq = {
		.is_streamed = true, .send_length = BIG, .on_send = on_send};

	f->r.pauses_body = true;
	call(f, "GET", "/big", PLAIN);
	assert_int_equal(f->r.err.class, ERR_OK);
	assert_int_equal(f->r.received, BIG);
	assert_int_equal(f->r.wrong, 0);
	assert_int_equal(f->r.pauses, 20);
	f->r.pauses_send = true;
	call(f, "PUT", "/up", rq);
	assert_int_equal(f->r.err.class, ERR_OK);
	assert_int_equal(f->r.sent, BIG);
	assert_non_null(strstr(server.head, "Content-Length: 8388608\r\n"));
	assert_null(strcasestr(server.head, "chunked"));
}

/* Only what libcurl reads at once comes before the resume. */
static void test_enough_is_enough(void **state)
{
	struct fixture *f = *state;

	f->r.has_enough = true;
	f->r.loop = f->loop;
	call(f, "GET", "/big", PLAIN);
	assert_int_equal(f->r.err.class, ERR_OK);
	assert_int_equal(f->r.received, BIG);
	assert_int_equal(f->r.late, 0);
}

static void test_faults(void **state)
{
	struct fixture *f = *state;

	call(f, "GET", "/short", PLAIN);
	assert_int_equal(f->r.err.class, ERR_RETRY);
	assert_string_equal(f->r.err.code, "short");
	call(f, "GET", "/half", PLAIN);
	assert_int_equal(f->r.err.class, ERR_RETRY);
	assert_string_equal(f->r.err.code, "short");
	call(f, "GET", "/reset", PLAIN);
	assert_int_equal(f->r.err.class, ERR_RETRY);
	assert_string_equal(f->r.err.code, "reset");
	call(f, "GET", "/headers", PLAIN);
	assert_int_equal(f->r.err.class, ERR_FATAL);
	assert_string_equal(f->r.err.code, "headers");
	f->r.on_head = HTTP_ABORT;
	call(f, "GET", "/big", PLAIN);
	assert_int_equal(f->r.err.class, ERR_CANCELLED);
	assert_string_equal(f->r.err.code, "aborted");
	f->r.on_head = HTTP_GO;
	call(f, "GET", "/stall", (struct http_request){.stall_timeout_ms = 50});
	assert_int_equal(f->r.err.class, ERR_RETRY);
	assert_string_equal(f->r.err.code, "stall");
}

static void test_no_server(void **state)
{
	struct fixture *f = *state;
	struct http_request rq = {.method = "GET", .done = on_done, .arg = &f->r};

	rq.url = "http://127.0.0.1:1/";
	http_send(f->http, &rq);
	run(f);
	assert_string_equal(f->r.err.code, "connect");
	f->r.is_done = false;
	rq.url = "http://no-such-host.invalid/";
	http_send(f->http, &rq);
	run(f);
	assert_string_equal(f->r.err.code, "resolve");
	f->r.is_done = false;
	rq.url = "file:///etc/passwd";
	http_send(f->http, &rq);
	assert_false(f->r.is_done);
	run(f);
	assert_int_equal(f->r.err.class, ERR_FATAL);
}

/* A server that takes no more connections; the socket that waited goes, and its number is
 * another's soon. What is kept of it the sanitizer would see. */
static void test_full_server(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int fds[4], own = server.port;

	for (int i = 0; i < 4; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM | (i ? SOCK_NONBLOCK : 0), 0);
	assert_int_equal(bind(fds[0], (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(fds[0], 0), 0);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&addr, &len), 0);
	for (int i = 1; i < 4; i++)
		connect(fds[i], (struct sockaddr *)&addr, len);
	server.port = ntohs(addr.sin_port);
	for (int i = 0; i < 3; i++) {
		call(f, "GET", "/", (struct http_request){.connect_timeout_ms = 20});
		assert_string_equal(f->r.err.code, "connect");
	}
	server.port = own;
	call(f, "GET", "/../a//b%20c", PLAIN);
	assert_int_equal(f->r.status, 200);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void test_early_answer(void **state)
{
	struct fixture *f = *state;
	struct http_request rq = {
		.is_streamed = true, .send_length = BIG, .on_send = on_send};

	call(f, "PUT", "/early", rq);
	assert_int_equal(f->r.err.class, ERR_OK);
	assert_int_equal(f->r.status, 403);
	assert_string_equal(buf_str(&f->r.body), "denied");
	assert_true(f->r.sent < BIG);
}

/* The peer closed a connection that we keep: whole requests pass, streams say "reset". */
static void test_dead_connection(void **state)
{
	struct fixture *f = *state;
	struct http_request rq = {
		.is_streamed = true, .send_length = BIG, .on_send = on_send};

	call(f, "GET", "/close", PLAIN);
	call(f, "GET", "/../a//b%20c", PLAIN);
	assert_int_equal(f->r.err.class, ERR_OK);
	assert_int_equal(f->r.status, 200);
	call(f, "GET", "/close", PLAIN);
	call(f, "PUT", "/up", rq);
	if (f->r.err.class != ERR_OK) {
		assert_int_equal(f->r.err.class, ERR_RETRY);
		assert_string_equal(f->r.err.code, "reset");
	} else {
		assert_int_equal(f->r.sent, BIG);
	}
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;

	send_request(f, "GET", "/stall", PLAIN);
	while (!f->r.heads)
		loop_turn(f->loop, true);
	http_cancel(f->r.call);
	assert_false(f->r.is_done);
	http_cancel(f->r.call);
	run(f);
	loop_turn(f->loop, false);
	assert_int_equal(f->r.dones, 1);
	assert_int_equal(f->r.err.class, ERR_CANCELLED);
	assert_string_equal(f->r.err.code, "cancelled");
	/* What is in flight when the client goes ends too. */
	f->r.is_done = false;
	send_request(f, "GET", "/../a//b%20c", PLAIN);
	f->http = http_free(f->http);
	assert_int_equal(f->r.dones, 2);
	assert_int_equal(f->r.err.class, ERR_CANCELLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_get, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bodies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_streams_with_pauses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_enough_is_enough, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_early_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dead_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
	};
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	int failed;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server.fd, (struct sockaddr *)&addr, len) < 0 || listen(server.fd, 8) < 0 ||
		getsockname(server.fd, (struct sockaddr *)&addr, &len) < 0)
		return 1;
	server.port = ntohs(addr.sin_port);
	http_global_init();
	pthread_create(&server.thread, NULL, server_main, NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	shutdown(server.fd, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.fd);
	http_global_done();
	return failed;
}
