/*
 * libcurl's multi interface on net/loop: the life of a call from http_send() to done().
 * Not here: the options of one call and its callbacks (http_setup.c), descriptors
 * (http_watch.c). Never retries.
 */
#include "config.h"

#include "net/http.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_call.h"
#include "net/loop.h"

/* Metadata services of EC2, ECS and EKS. */
#define NEVER_PROXIED "169.254.0.0/16,fd00:ec2::/32"
#define SYSTEM_CA    "/etc/ssl/certs/ca-certificates.crt"
#define IDLE_EASY    32  /* easy handles kept for the next call */
#define STALL_TICK   500 /* ms; a stall is seen at most this much late */
#define MAX_CONNECTS 256 /* of 64 parts and as many objects, two each */
#define GATHER_MAX   (64 * 1024) /* up to here libcurl sends head and body at once */

struct easy_idle {
	struct list link;
	CURL *easy;
};

int http_global_init(void)
{
	/* With NOSIGNAL libcurl leaves SIGPIPE to us; OpenSSL writes without MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -ENOSYS;
}

void http_global_done(void)
{
	curl_global_cleanup();
}

/* --- answers --- */

bool http_header_at(const struct http_response *r, size_t i, const char **ret_name,
	const char **ret_value)
{
	const struct http_headers *h = r->headers;

	if (!h || i >= h->count)
		return false;
	*ret_name = h->text.data + h->at[i];
	*ret_value = *ret_name + strlen(*ret_name) + 1;
	return true;
}

const char *http_header(const struct http_response *r, const char *name)
{
	const char *n, *v;
	int first = tolower((unsigned char)*name); /* stored ones are lower-cased */
	size_t i;

	for (i = r->headers ? r->headers->count : 0; i-- > 0;) {
		n = r->headers->text.data + r->headers->at[i];
		if (*n == first && strcasecmp(n, name) == 0 && http_header_at(r, i, &n, &v))
			return v;
	}
	return NULL;
}

/* --- easy handles --- */

static CURL *take_easy(struct http *http)
{
	struct easy_idle *idle = LIST_FIRST(&http->idle, struct easy_idle, link);
	CURL *easy;

	if (!idle) {
		easy = curl_easy_init();
		if (easy)
			http_easy_init(http, easy);
		return easy;
	}
	easy = idle->easy;
	list_remove(&idle->link);
	free(idle);
	http->idle_count--;
	return easy;
}

static void give_easy(struct http *http, CURL *easy)
{
	struct easy_idle *idle;

	if (!easy)
		return;
	if (http->is_closing || http->idle_count >= IDLE_EASY) {
		curl_easy_cleanup(easy);
		return;
	}
	http_easy_clear(easy);
	idle = mem_alloc(sizeof(*idle));
	idle->easy = easy;
	list_append(&http->idle, &idle->link);
	http->idle_count++;
}

/* --- the end of a call --- */

static void *call_free(void *arg)
{
	struct http_call *call = arg;

	http_headers_done(&call->headers);
	buf_done(&call->gathered);
	free(call->origin);
	free(call);
	return NULL;
}

static void count(struct http_call *call)
{
	struct http_stats *s = &call->http->stats;
	curl_off_t up = 0, down = 0;
	long connects = 0, request = 0, header = 0;

	curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &connects);
	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request);
	curl_easy_getinfo(call->easy, CURLINFO_HEADER_SIZE, &header);
	s->connections += (uint64_t)connects;
	s->bytes_sent += (uint64_t)(up + request);
	s->bytes_received += (uint64_t)(down + header);
}

/* Outside libcurl only. err NULL: a whole answer is there. */
static void finish(struct http_call *call, const struct err *err)
{
	struct http *http = call->http;

	if (call->is_finished)
		return;
	call->is_finished = true;
	loop_undefer(http->loop, call);
	list_remove(&call->link);
	list_remove(&call->sated);
	if (call->is_added)
		curl_multi_remove_handle(http->multi, call->easy);
	if (call->easy)
		count(call);
	give_easy(http, MEM_STEAL(call->easy));
	curl_slist_free_all(MEM_STEAL(call->slist));
	if (!err && !call->is_head_told && call->rq.on_head)
		call->rq.on_head(call->rq.arg, &call->response);
	call->rq.done(call->rq.arg, err, &call->response);
	/* http_cancel() of a call that just ended stays harmless until the turn ends. */
	loop_bury(http->loop, call_free, call);
}

static void finish_code(struct http_call *call, CURLcode code)
{
	struct err err;

	finish(call, http_call_error(call, code, &err) ? &err : NULL);
}

static void pause_sated(struct http *http)
{
	struct http_call *call;

	while ((call = LIST_FIRST(&http->sated, struct http_call, sated))) {
		list_remove(&call->sated);
		call->is_recv_paused = true;
		/* Of one direction alone it would look at the connection once more. */
		curl_easy_pause(call->easy, CURLPAUSE_ALL);
	}
}

/* Ends every call that libcurl is done with. */
static void drain(struct http *http)
{
	struct http_call *call;
	CURLcode code;
	CURLMsg *msg;
	char *private;
	int left;

	if (http->in_curl)
		return;
	while ((msg = curl_multi_info_read(http->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		private = NULL;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
		code = msg->data.result;
		call = (struct http_call *)(void *)private;
		finish_code(call, code);
	}
	pause_sated(http);
}

void http_act(struct http *http, curl_socket_t fd, int events)
{
	int running;

	http->in_curl++;
	curl_multi_socket_action(http->multi, fd, events, &running);
	http->in_curl--;
	drain(http);
}

/* --- libcurl's wishes --- */

static int on_timer_wish(CURLM *multi, long timeout_ms, void *arg)
{
	struct http *http = arg;

	if (timeout_ms < 0)
		loop_timer_cancel(http->timer);
	else
		loop_timer_set(http->timer, timeout_ms);
	return 0;
}

static void on_timer(void *arg)
{
	http_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* --- stalls: libcurl's own low-speed limit counts a paused upload as stalled --- */

static bool is_stalled(struct http_call *call, int64_t now_us)
{
	curl_off_t up = 0, down = 0;

	if (!call->is_added || !call->is_started)
		return false; /* the connect timeout watches */
	curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	if (call->is_recv_paused || call->is_send_paused || call->has_moved ||
		up + down != call->moved_bytes) {
		call->has_moved = false;
		call->moved_bytes = up + down;
		call->moved_at_us = now_us;
	}
	return now_us - call->moved_at_us >= call->stall_ms * USEC_PER_MSEC;
}

static void on_stall_tick(void *arg)
{
	struct http *http = arg;
	struct http_call *call;
	int64_t now_us = clock_mono_us(loop_clock(http->loop));
	struct err err;

again:
	LIST_FOREACH (call, &http->calls, link) {
		if (!is_stalled(call, now_us))
			continue;
		err_set(&err, ERR_RETRY, ERR_FROM_NET, "stall",
			"%s: no byte moved for %lld ms", call->origin,
			(long long)call->stall_ms);
		finish(call, &err);
		goto again; /* done() may have changed the list */
	}
	if (!list_is_empty(&http->calls))
		loop_timer_set(http->stall, STALL_TICK);
}

/* --- calls --- */

/* true: the small body is whole. false: more comes after http_resume(), or it ended. */
static bool gather(struct http_call *call)
{
	char piece[4096];
	size_t left, len;
	enum http_flow flow;

	while ((left = (size_t)call->rq.send_length - call->gathered.len) > 0) {
		if (left > sizeof(piece))
			left = sizeof(piece);
		len = 0;
		flow = call->rq.on_send(call->rq.arg, piece, left, &len);
		if (flow == HTTP_PAUSE)
			return false;
		if (flow == HTTP_ABORT || !len || len > left) {
			call->is_aborted = true;
			finish_code(call, CURLE_ABORTED_BY_CALLBACK);
			return false;
		}
		buf_append(&call->gathered, piece, len);
	}
	call->is_gathering = false;
	http_call_set_gathered(call);
	return true;
}

static void start_call(void *arg)
{
	struct http_call *call = arg;
	struct err err;

	if (call->is_added || call->is_finished)
		return;
	if (call->is_cancelled) {
		finish_code(call, CURLE_OK);
		return;
	}
	if (call->is_gathering && call->easy && !call->errbuf[0] && !gather(call))
		return;
	if (!call->easy || call->errbuf[0] ||
		curl_multi_add_handle(call->http->multi, call->easy) != CURLM_OK) {
		err_set(&err, ERR_FATAL, ERR_FROM_NET, "protocol", "%s",
			call->errbuf[0] ? call->errbuf : "libcurl refuses the request");
		finish(call, &err);
		return;
	}
	call->is_added = true;
}

struct http_call *http_send(struct http *http, const struct http_request *request)
{
	struct http_call *call = mem_alloc(sizeof(*call));

	call->http = http;
	call->easy = take_easy(http);
	call->rq = *request;
	call->headers.text = BUF_INIT(HTTP_HEADERS_MAX + 1);
	call->response.headers = &call->headers;
	call->response.content_length = HTTP_NO_LENGTH;
	list_append(&http->calls, &call->link);
	list_init(&call->sated);
	call->gathered = BUF_INIT(GATHER_MAX);
	call->is_gathering = request->is_streamed && request->send_length > 0 &&
			     request->send_length <= GATHER_MAX;
	if (call->easy && http_call_setup(call, request) < 0)
		strncpy(call->errbuf, "not an http URL", sizeof(call->errbuf) - 1);
	/* The caller's strings are not kept. */
	call->rq.method = call->rq.url = call->rq.ca_file = NULL;
	call->rq.headers = NULL;
	call->rq.body = NULL;
	call->moved_at_us = clock_mono_us(loop_clock(http->loop));
	http->stats.requests++;
	if (!loop_timer_is_set(http->stall))
		loop_timer_set(http->stall, STALL_TICK);
	/* done() must not come in here, and libcurl must not be entered twice. */
	if (http->in_curl || call->is_gathering || !call->easy || call->errbuf[0])
		loop_defer(http->loop, start_call, call);
	else
		start_call(call);
	return call;
}

static void end_cancelled(void *arg)
{
	finish_code(arg, CURLE_OK);
}

void http_cancel(struct http_call *call)
{
	if (!call || call->is_finished || call->is_cancelled)
		return;
	call->is_cancelled = true;
	loop_defer(call->http->loop, end_cancelled, call);
}

static void resume_call(void *arg)
{
	struct http_call *call = arg;
	struct http *http = call->http;

	call->is_resume_due = false;
	if (call->is_gathering) {
		start_call(call);
		return;
	}
	if (call->is_finished || call->is_cancelled || !call->is_added)
		return;
	call->is_recv_paused = call->is_send_paused = false;
	list_remove(&call->sated);
	call->moved_at_us = clock_mono_us(loop_clock(http->loop));
	http->in_curl++; /* it hands out what it kept from in here */
	curl_easy_pause(call->easy, CURLPAUSE_CONT);
	http->in_curl--;
	drain(http);
}

void http_resume(struct http_call *call)
{
	if (!call || call->is_finished || call->is_resume_due)
		return;
	call->is_resume_due = true;
	loop_defer(call->http->loop, resume_call, call);
}

/* --- life --- */

struct http *http_new(struct loop *loop, const struct http_options *options)
{
	struct http *http = mem_alloc(sizeof(*http));
	long connects;

	http->loop = loop;
	list_init(&http->calls);
	list_init(&http->idle);
	list_init(&http->sated);
	if (options)
		http->options = *options;
	http->user_agent = mem_strdup(http->options.user_agent);
	http->ca_file = mem_strdup(
		http->options.ca_file ? http->options.ca_file : SYSTEM_CA);
	http->https_proxy = mem_strdup(http->options.https_proxy);
	http->http_proxy = mem_strdup(http->options.http_proxy);
	http->no_proxy = mem_printf("%s%s" NEVER_PROXIED,
		http->options.no_proxy ? http->options.no_proxy : "",
		http->options.no_proxy ? "," : "");
	http->options.user_agent = http->options.ca_file = NULL;
	http->options.https_proxy = http->options.http_proxy = NULL;
	http->options.no_proxy = NULL;
	http->timer = loop_timer_new(loop, on_timer, http);
	http->stall = loop_timer_new(loop, on_stall_tick, http);
	http->multi = curl_multi_init();
	if (!http->multi)
		abort();
	connects = http->options.max_connections;
	/* Its default follows the calls in flight and drops warm connections. */
	curl_multi_setopt(
		http->multi, CURLMOPT_MAXCONNECTS, connects ? connects : MAX_CONNECTS);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, http_on_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	return http;
}

void *http_free(struct http *http)
{
	struct http_call *call;
	struct easy_idle *idle;

	if (!http)
		return NULL;
	http->is_closing = true;
	while ((call = LIST_FIRST(&http->calls, struct http_call, link))) {
		call->is_cancelled = true;
		finish_code(call, CURLE_OK);
	}
	while ((idle = LIST_FIRST(&http->idle, struct easy_idle, link))) {
		list_remove(&idle->link);
		curl_easy_cleanup(idle->easy);
		free(idle);
	}
	curl_multi_cleanup(http->multi);
	http_watches_free(http);
	loop_timer_free(http->timer);
	loop_timer_free(http->stall);
	free(http->user_agent);
	free(http->ca_file);
	mem_wipe_free(http->https_proxy);
	mem_wipe_free(http->http_proxy);
	free(http->no_proxy);
	free(http);
	return NULL;
}

void http_get_stats(const struct http *http, struct http_stats *ret)
{
	*ret = http->stats;
}
