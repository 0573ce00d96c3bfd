/*
 * HTTP/1.1 client on one loop: a request in, an answer or an err out. The only file behind
 * it that includes curl.h. It knows no S3, no signature and never retries.
 * Rules it keeps: no redirect is followed; the path is sent as given
 * (CURLOPT_PATH_AS_IS); http and https only; TLS 1.2 or newer, peer and name checked,
 * CAfile without a CApath (else every connection parses the store anew); no cookies,
 * netrc, HSTS, alt-svc; no Expect header; answers' headers at most 64 KiB; no proxy but
 * those of its options, and none to link-local addresses, where metadata services are.
 * done() is never called inside http_send(), and comes exactly once, also after
 * http_cancel() (class CANCELLED). After done() the call is dead. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct http;
struct http_call;
struct loop;

#define HTTP_NO_LENGTH INT64_C(-1)

/* Borrowed by the callbacks; valid until done() returns. */
struct http_response {
	int status;
	int64_t content_length;  /* HTTP_NO_LENGTH: not told */
	uint64_t body_bytes;     /* received so far */
	int64_t sent_at_us;      /* wall clock when the request went out ... */
	int64_t received_at_us;  /* ... and when the answer's headers were complete */
	bool is_verified_peer;   /* the answer came over checked TLS */
	bool is_reused;          /* on a connection that was open before */
	struct http_headers *headers;
};
/* The last value of a header, without surrounding blanks, or NULL. Any letter case. */
const char *http_header(const struct http_response *r, const char *name);
/* Walk all headers in order; *ret_name is lower-case. false behind the last. */
bool http_header_at(const struct http_response *r, size_t i, const char **ret_name,
	const char **ret_value);

enum http_flow {
	HTTP_GO,
	/*
	 * Of a body that comes: this piece was taken, and there should be no other before
	 * http_resume(). What libcurl reads in this turn comes still; of a piece that is
	 * refused it keeps a copy, and of all that it read with it.
	 */
	HTTP_ENOUGH,
	HTTP_PAUSE, /* this piece was not taken: it comes again after http_resume() */
	HTTP_ABORT, /* end the call; done() gets class CANCELLED, code "aborted" */
};

struct http_request {
	const char *method;
	const char *url;            /* absolute, already encoded */
	const char *const *headers; /* "Name: value", NULL-terminated; copied */
	const char *ca_file;        /* NULL: the system's */
	bool is_direct;             /* never through a proxy */
	/*
	 * The body: either whole (copied, sent together with the headers) ...
	 */
	const void *body;
	size_t body_len;
	/*
	 * ... or streamed: send_length bytes through on_send, which fills up to `max`
	 * bytes and sets *ret_len, or returns HTTP_PAUSE. Framed by Content-Length.
	 * Nothing is sent before a body of 64 KiB or less is whole.
	 */
	bool is_streamed;
	int64_t send_length;
	enum http_flow (*on_send)(void *arg, char *out, size_t max, size_t *ret_len);

	/* Each NULL-able. on_head: the final status line and headers are in. */
	enum http_flow (*on_head)(void *arg, const struct http_response *r);
	enum http_flow (*on_body)(void *arg, const char *data, size_t len);
	/*
	 * err is NULL when a whole answer arrived, whatever its status; otherwise class
	 * RETRY, CANCELLED or FATAL, origin NET, code one of "resolve" "connect" "tls"
	 * "proxy" "reset" "stall" "short" "protocol" "headers" "aborted" "cancelled"; or
	 * RETRY, LOCAL, "EMFILE" or such: this host had no socket. The answer may be
	 * there in part (status 0: nothing).
	 */
	void (*done)(void *arg, const struct err *err, const struct http_response *r);
	void *arg;

	/* 0: the defaults of http_options. */
	int64_t connect_timeout_ms;
	int64_t stall_timeout_ms; /* no byte either way for this long, unless paused */
	int64_t total_timeout_ms; /* 0: none */
	size_t buffer; /* bytes in each direction; 0: those of http_options */
};

struct http_options {
	int64_t connect_timeout_ms; /* 0: 10 s */
	int64_t stall_timeout_ms;   /* 0: 30 s; a paused call does not stall */
	const char *user_agent;
	const char *ca_file;    /* NULL: the system's bundle */
	/* URLs, by scheme of the request; NULL: none. no_proxy as curl(1) reads it. */
	const char *https_proxy, *http_proxy, *no_proxy;
	int max_connections;    /* kept alive; at least 2 x the calls in flight */
	size_t receive_buffer;  /* bytes; 0: 256 KiB */
	size_t upload_buffer;   /* bytes; 0: 256 KiB */
};

/* Library-wide; main() calls it before any thread. 0 or -ENOSYS. */
int http_global_init(void);
void http_global_done(void);

struct http *http_new(struct loop *loop, const struct http_options *options);
/* Calls still in flight end with class CANCELLED before it returns. */
void *http_free(struct http *http);

struct http_call *http_send(struct http *http, const struct http_request *request);
void http_cancel(struct http_call *call);
/* Undo HTTP_PAUSE and HTTP_ENOUGH of either direction, at the end of this turn. */
void http_resume(struct http_call *call);

/* Counters since http_new(), for metrics and tests. */
struct http_stats {
	uint64_t requests, connections, bytes_sent, bytes_received;
};
void http_get_stats(const struct http *http, struct http_stats *ret);
