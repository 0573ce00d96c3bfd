/*
 * Shared by the files behind net/http.h, and by nobody else: what a call is, how its easy
 * handle is set up, how libcurl's result becomes an err.
 */
#pragma once

#include <curl/curl.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "net/http.h"

#define HTTP_HEADERS_MAX (64 * 1024)

struct http_headers {
	struct buf text; /* name NUL value NUL ..., names in lower case */
	size_t *at;      /* where each name starts */
	size_t count, cap;
};
void http_headers_reset(struct http_headers *h);
void http_headers_done(struct http_headers *h);
/* One line as it came, with its line end. -ENOBUFS above HTTP_HEADERS_MAX. */
int http_headers_add(struct http_headers *h, const char *line, size_t len);

struct http_watch;

struct http {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer; /* libcurl's own */
	struct loop_timer *stall; /* ticks while calls are in flight */
	struct list calls, idle;  /* struct http_call, struct easy_idle */
	struct list sated;        /* calls to pause when libcurl is left */
	struct http_watch **watches; /* by descriptor: of connections, and of no others */
	size_t watch_room;
	struct http_options options;
	char *user_agent, *ca_file;
	char *https_proxy, *http_proxy, *no_proxy; /* no_proxy: ours, too */
	struct http_stats stats;
	int idle_count;
	int in_curl; /* > 0: inside libcurl, whose callbacks must not call it again */
	bool is_closing;
};

struct http_call {
	struct list link, sated;
	struct http *http;
	CURL *easy;
	struct http_request rq; /* method, url, headers and body are not kept */
	struct http_response response;
	struct http_headers headers;
	struct curl_slist *slist;
	char *origin; /* scheme and host, for texts */
	char errbuf[CURL_ERROR_SIZE];
	struct buf gathered; /* a small streamed body, sent whole with its head */
	int64_t given;      /* bytes of the streamed body handed to libcurl */
	int64_t stall_ms, moved_at_us;
	curl_off_t moved_bytes;
	int socket_errno; /* no socket could be had; 0: it could */
	bool is_added, is_started;
	bool has_moved; /* since the last tick; to ask the clock each time would cost */
	bool is_head_in, is_head_told; /* headers complete; on_head took them */
	bool is_recv_paused, is_send_paused;
	bool is_cancelled, is_aborted, is_replayed, is_too_long, is_finished;
	bool is_resume_due, is_gathering;
};

/* What all calls have in common, on a new handle; and what a call leaves, taken off. */
void http_easy_init(struct http *http, CURL *easy);
void http_easy_clear(CURL *easy);
/* All other options of call->easy from rq. 0 or -EINVAL with call->errbuf. */
int http_call_setup(struct http_call *call, const struct http_request *rq);
/* The body is call->gathered, which stays until the call ends. */
void http_call_set_gathered(struct http_call *call);
/* The result of libcurl as an err; false: no error. */
bool http_call_error(const struct http_call *call, CURLcode code, struct err *ret);

/* http.c: libcurl is to look at a descriptor; ends what it is done with. */
void http_act(struct http *http, curl_socket_t fd, int events);

/* http_watch.c: libcurl's wishes; arg: the http. */
int http_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg);
/* A descriptor or negative errno. */
int http_open_socket(struct http *http, const struct curl_sockaddr *address);
int http_on_close(void *arg, curl_socket_t fd);
void http_watches_free(struct http *http);
