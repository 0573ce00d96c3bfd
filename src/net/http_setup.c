/*
 * libcurl's options for one call, its callbacks, and its results as an err. Does not own
 * the calls and never talks to the multi handle.
 */
#include "config.h"

#include "net/http_call.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"

#define DEFAULT_CONNECT_MS 10000
#define DEFAULT_STALL_MS   30000
#define DEFAULT_BUFFER     (256 * 1024)
#define BUFFER_MIN         (16 * 1024) /* libcurl's own */

static int64_t wall_us(const struct http_call *call)
{
	return clock_wall_us(loop_clock(call->http->loop));
}

/* --- headers of the answer --- */

void http_headers_reset(struct http_headers *h)
{
	h->count = 0;
	buf_reset(&h->text);
}

void http_headers_done(struct http_headers *h)
{
	buf_done(&h->text);
	free(h->at);
	h->at = NULL;
	h->count = h->cap = 0;
}

int http_headers_add(struct http_headers *h, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	size_t start = h->text.len, name_len, i;
	const char *value;

	if (!colon)
		return 0;
	name_len = (size_t)(colon - line);
	value = colon + 1;
	len -= name_len + 1;
	while (len && isspace((unsigned char)*value)) {
		value++;
		len--;
	}
	while (len && isspace((unsigned char)value[len - 1]))
		len--;
	if (start + name_len + len + 2 > HTTP_HEADERS_MAX)
		return -ENOBUFS;
	buf_append(&h->text, line, name_len);
	for (i = start; i < h->text.len; i++)
		h->text.data[i] = (char)tolower((unsigned char)h->text.data[i]);
	buf_append(&h->text, "", 1);
	buf_append(&h->text, value, len);
	buf_append(&h->text, "", 1);
	if (h->count == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 16;
		h->at = mem_resize(h->at, h->cap, sizeof(*h->at));
	}
	h->at[h->count++] = start;
	return 0;
}

/* --- callbacks, called inside libcurl --- */

/* The caller's on_head; returns what libcurl is to do with the data behind. */
static enum http_flow tell_head(struct http_call *call)
{
	enum http_flow flow = HTTP_GO;

	if (call->is_head_told || !call->is_head_in)
		return HTTP_GO;
	if (call->rq.on_head)
		flow = call->rq.on_head(call->rq.arg, &call->response);
	if (flow == HTTP_GO)
		call->is_head_told = true;
	if (flow == HTTP_ABORT)
		call->is_aborted = true;
	return flow;
}

static void head_is_complete(struct http_call *call)
{
	curl_off_t length = -1;
	long connects = 1;
	const char *told = http_header(&call->response, "content-length");
	uint64_t n;

	call->is_head_in = true;
	call->response.received_at_us = wall_us(call);
	curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	call->response.content_length = length >= 0 ? length : HTTP_NO_LENGTH;
	if (length < 0 && told && !http_header(&call->response, "transfer-encoding") &&
		str_to_uint(told, INT64_MAX, &n) == 0)
		call->response.content_length = (int64_t)n;
	curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &connects);
	call->response.is_reused = connects == 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n;
	long status = 0;

	call->has_moved = true;
	if (call->is_cancelled)
		return 0;
	if (call->is_head_in)
		return len; /* trailers */
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		http_headers_reset(&call->headers);
		return len;
	}
	if (len > 2 || (len && line[0] != '\r' && line[0] != '\n')) {
		if (http_headers_add(&call->headers, line, len) < 0) {
			call->is_too_long = true;
			return 0;
		}
		return len;
	}
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return len;
	call->response.status = (int)status;
	head_is_complete(call);
	/* A pause here is kept for the first bytes: libcurl cannot pause in headers. */
	return tell_head(call) == HTTP_ABORT ? 0 : len;
}

static size_t on_write(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n;
	enum http_flow flow;

	call->has_moved = true;
	if (call->is_cancelled)
		return 0;
	flow = tell_head(call);
	if (flow == HTTP_GO && call->rq.on_body)
		flow = call->rq.on_body(call->rq.arg, data, len);
	if (flow == HTTP_PAUSE) {
		call->is_recv_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (flow == HTTP_ABORT) {
		call->is_aborted = true;
		return 0;
	}
	if (flow == HTTP_ENOUGH && list_is_empty(&call->sated))
		list_append(&call->http->sated, &call->sated);
	call->response.body_bytes += len;
	return len;
}

static size_t on_read(char *out, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = 0, max = size * n;
	int64_t left = call->rq.send_length - call->given;
	enum http_flow flow;

	call->has_moved = true;
	if (call->is_cancelled)
		return CURL_READFUNC_ABORT;
	if (left <= 0)
		return 0;
	if ((uint64_t)left < max)
		max = (size_t)left;
	flow = call->rq.on_send(call->rq.arg, out, max, &len);
	if (flow == HTTP_PAUSE) {
		call->is_send_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	/* Nothing to send before the promised end: never let a short body look whole. */
	if (flow == HTTP_ABORT || !len || len > max) {
		call->is_aborted = true;
		return CURL_READFUNC_ABORT;
	}
	call->given += (int64_t)len;
	return len;
}

/*
 * libcurl repeats a request by itself when a kept-alive connection turns out to be dead.
 * A streamed body cannot be repeated from here once bytes of it were taken.
 */
static int on_prereq(void *arg, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
	struct http_call *call = arg;

	if (call->given > 0) {
		call->is_replayed = true;
		return CURL_PREREQFUNC_ABORT;
	}
	call->is_started = true;
	call->response.sent_at_us = wall_us(call);
	call->has_moved = true;
	return CURL_PREREQFUNC_OK;
}

/* --- options --- */

static void add_header(struct http_call *call, const char *line)
{
	const char *colon = strchr(line, ':');
	char *empty;

	/* libcurl drops "Name:" and sends "Name;" as an empty header. */
	if (colon && colon[1 + strspn(colon + 1, " ")] == '\0') {
		empty = mem_printf("%.*s;", (int)(colon - line), line);
		call->slist = curl_slist_append(call->slist, empty);
		free(empty);
		return;
	}
	call->slist = curl_slist_append(call->slist, line);
}

static void set_headers(struct http_call *call, const struct http_request *rq)
{
	bool has_type = false;
	size_t i;

	for (i = 0; rq->headers && rq->headers[i]; i++) {
		if (strncasecmp(rq->headers[i], "content-length:", 15) == 0)
			continue; /* ours to say */
		if (strncasecmp(rq->headers[i], "content-type:", 13) == 0)
			has_type = true;
		add_header(call, rq->headers[i]);
	}
	call->slist = curl_slist_append(call->slist, "Expect:");
	if (!has_type) /* POSTFIELDS would make it a web form */
		call->slist = curl_slist_append(call->slist, "Content-Type:");
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->slist);
}

/* It is allocated for each upload: a small body needs no large one. */
static long upload_buffer(const struct http_options *o, const struct http_request *rq)
{
	long size = (long)(rq->buffer ?: o->upload_buffer ?: DEFAULT_BUFFER);

	if (rq->send_length >= size)
		return size;
	return rq->send_length > BUFFER_MIN ? (long)rq->send_length : BUFFER_MIN;
}

/* The answer to an upload is short. */
static long receive_buffer(const struct http_options *o, const struct http_request *rq)
{
	if (rq->is_streamed)
		return BUFFER_MIN;
	return (long)(rq->buffer ?: o->receive_buffer ?: DEFAULT_BUFFER);
}

static void set_body(struct http_call *call, const struct http_request *rq)
{
	CURL *e = call->easy;
	const struct http_options *o = &call->http->options;
	bool may_have_body =
		strcmp(rq->method, "PUT") == 0 || strcmp(rq->method, "POST") == 0;

	if (strcmp(rq->method, "HEAD") == 0) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
		return;
	}
	if (rq->is_streamed)
		curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer(o, rq));
	if (call->is_gathering) {
		; /* http_call_set_gathered() */
	} else if (rq->is_streamed) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(
			e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)rq->send_length);
	} else if (rq->body_len || may_have_body) {
		/* Sent in one piece with the headers, unlike an upload. */
		curl_easy_setopt(
			e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_len);
		curl_easy_setopt(
			e, CURLOPT_COPYPOSTFIELDS, rq->body_len ? rq->body : "");
	}
	if (strcmp(rq->method, "GET") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, rq->method);
}

void http_call_set_gathered(struct http_call *call)
{
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
		(curl_off_t)call->gathered.len);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, buf_str(&call->gathered));
}

static void set_times(struct http_call *call, const struct http_request *rq)
{
	const struct http_options *o = &call->http->options;
	int64_t connect_ms = rq->connect_timeout_ms ?: o->connect_timeout_ms;

	call->stall_ms = rq->stall_timeout_ms ?: o->stall_timeout_ms;
	if (!call->stall_ms)
		call->stall_ms = DEFAULT_STALL_MS;
	curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(connect_ms ? connect_ms : DEFAULT_CONNECT_MS));
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)rq->total_timeout_ms);
}

static void set_tls(struct http_call *call, const struct http_request *rq)
{
	const char *file =
		rq->ca_file && *rq->ca_file ? rq->ca_file : call->http->ca_file;

	curl_easy_setopt(call->easy, CURLOPT_CAINFO, file);
}

static curl_socket_t open_socket(
	void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_call *call = arg;
	int fd = http_open_socket(call->http, address);

	(void)purpose;
	call->socket_errno = fd < 0 ? -fd : 0;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void set_proxy(struct http_call *call, const struct http_request *rq)
{
	const struct http *http = call->http;
	const char *proxy = str_has_prefix(rq->url, "https://") ? http->https_proxy
								: http->http_proxy;

	/* "": none, and the environment is not asked either. */
	curl_easy_setopt(call->easy, CURLOPT_PROXY, proxy && !rq->is_direct ? proxy : "");
}

static void init_tls(struct http *http, CURL *e)
{
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, http->ca_file);
	curl_easy_setopt(e, CURLOPT_NOPROXY, http->no_proxy);
}

/* Handles are used again as they are: to set all of it costs as much as to sign. */
void http_easy_init(struct http *http, CURL *e)
{
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	/* A name look-up that hangs must not hold the loop when its call is cancelled. */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	if (http->user_agent)
		curl_easy_setopt(e, CURLOPT_USERAGENT, http->user_agent);
	init_tls(http, e);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, http_on_close);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, http);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_prereq);
}

void http_easy_clear(CURL *e)
{
	curl_easy_setopt(e, CURLOPT_PRIVATE, NULL);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, NULL);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, NULL); /* copies are freed */
	curl_easy_setopt(e, CURLOPT_HTTPGET, 1L); /* no body, and none kept back */
}

int http_call_setup(struct http_call *call, const struct http_request *rq)
{
	CURL *e = call->easy;
	const char *host_end;

	if (!str_has_prefix(rq->url, "http://") && !str_has_prefix(rq->url, "https://"))
		return -EINVAL;
	host_end = strpbrk(strstr(rq->url, "://") + 3, "/?#");
	call->origin = host_end ? mem_strndup(rq->url, (size_t)(host_end - rq->url))
				: mem_strdup(rq->url);
	call->response.is_verified_peer = str_has_prefix(rq->url, "https://");

	curl_easy_setopt(e, CURLOPT_PRIVATE, call);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, call);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->errbuf);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, receive_buffer(&call->http->options, rq));
	curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(e, CURLOPT_READDATA, call);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, call);
	set_proxy(call, rq);
	set_tls(call, rq);
	set_times(call, rq);
	set_headers(call, rq);
	set_body(call, rq);
	if (curl_easy_setopt(e, CURLOPT_URL, rq->url) != CURLE_OK)
		return -EINVAL;
	return 0;
}

/* --- results --- */

/* libcurl keeps to itself why it had no socket. */
static void say_no_socket(int error, struct err *ret)
{
	bool is_limit = error == EMFILE || error == ENFILE;
	const char *name = strerrorname_np(error);

	err_set(ret, ERR_RETRY, ERR_FROM_LOCAL, name ? name : "socket", "no socket: %s%s",
		strerrordesc_np(error),
		is_limit ? "; too many open files: raise LimitNOFILE= of the unit" : "");
}

static const struct {
	CURLcode curl;
	enum err_class class;
	const char *code;
} results[] = {
	{CURLE_COULDNT_RESOLVE_HOST, ERR_RETRY, "resolve"},
	{CURLE_COULDNT_RESOLVE_PROXY, ERR_RETRY, "proxy"},
	{CURLE_PROXY, ERR_RETRY, "proxy"},
	{CURLE_COULDNT_CONNECT, ERR_RETRY, "connect"},
	{CURLE_SSL_CONNECT_ERROR, ERR_RETRY, "tls"},
	{CURLE_PEER_FAILED_VERIFICATION, ERR_FATAL, "tls"},
	{CURLE_SSL_CACERT_BADFILE, ERR_FATAL, "tls"},
	{CURLE_SSL_ISSUER_ERROR, ERR_FATAL, "tls"},
	{CURLE_SSL_CERTPROBLEM, ERR_FATAL, "tls"},
	{CURLE_SSL_CIPHER, ERR_FATAL, "tls"},
	{CURLE_RECV_ERROR, ERR_RETRY, "reset"},
	{CURLE_SEND_ERROR, ERR_RETRY, "reset"},
	{CURLE_SEND_FAIL_REWIND, ERR_RETRY, "reset"},
	{CURLE_GOT_NOTHING, ERR_RETRY, "reset"},
	{CURLE_PARTIAL_FILE, ERR_RETRY, "short"},
	{CURLE_OPERATION_TIMEDOUT, ERR_RETRY, "stall"},
	{CURLE_WEIRD_SERVER_REPLY, ERR_RETRY, "protocol"},
	{CURLE_UNSUPPORTED_PROTOCOL, ERR_FATAL, "protocol"},
	{CURLE_URL_MALFORMAT, ERR_FATAL, "protocol"},
};

bool http_call_error(const struct http_call *call, CURLcode code, struct err *ret)
{
	const char *why = call->errbuf[0] ? call->errbuf : curl_easy_strerror(code);
	const char *where = call->origin ? call->origin : "the server";
	long proxy_status = 0;
	size_t i;

	if (call->is_cancelled) {
		err_set(ret, ERR_CANCELLED, ERR_FROM_NET, "cancelled", "cancelled");
		return true;
	}
	if (code == CURLE_OK && !call->is_head_in) {
		/* libcurl is content with a connection that ends inside the headers. */
		err_set(ret, ERR_RETRY, ERR_FROM_NET, "short",
			"%s: the answer ended within its headers", where);
		return true;
	}
	if (code == CURLE_OK)
		return false;
	if (call->is_too_long) {
		err_set(ret, ERR_FATAL, ERR_FROM_NET, "headers",
			"%s answered with more than 64 KiB of headers", where);
		return true;
	}
	if (call->is_replayed) {
		err_set(ret, ERR_RETRY, ERR_FROM_NET, "reset",
			"%s had closed the kept-alive connection", where);
		return true;
	}
	if (call->is_aborted) {
		err_set(ret, ERR_CANCELLED, ERR_FROM_NET, "aborted", "ended by its caller");
		return true;
	}
	curl_easy_getinfo(call->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
	if (proxy_status >= 400) {
		/* It asks for a password, or does not let us there: no matter of time. */
		err_set(ret, proxy_status < 500 ? ERR_FATAL : ERR_RETRY, ERR_FROM_NET,
			"proxy", "%s: the proxy answers %ld", where, proxy_status);
		return true;
	}
	if (code == CURLE_COULDNT_CONNECT && call->socket_errno) {
		say_no_socket(call->socket_errno, ret);
		return true;
	}
	if (code == CURLE_OPERATION_TIMEDOUT && !call->is_started) {
		err_set(ret, ERR_RETRY, ERR_FROM_NET, "connect", "%s: %s", where, why);
		return true;
	}
	for (i = 0; i < ARRAY_LEN(results); i++) {
		if (results[i].curl != code)
			continue;
		err_set(ret, results[i].class, ERR_FROM_NET, results[i].code, "%s: %s",
			where, why);
		return true;
	}
	err_set(ret, ERR_RETRY, ERR_FROM_NET, "protocol", "%s: %s", where, why);
	return true;
}
