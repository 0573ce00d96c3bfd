/*
 * A small streaming HTTP/1.1 server on one loop: bodies pass through in pieces in both
 * directions and are never held here. It knows no S3 and no signature. One thread.
 * A request body needs a Content-Length; Transfer-Encoding is answered with 411.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_conn;
struct http_server;
struct http_tls;
struct loop;

#define HTTP_FIELDS_MAX 96

struct http_field {
	char *name;  /* lower-case */
	char *value; /* without surrounding blanks */
};

enum http_cut {
	HTTP_CUT_NONE,
	HTTP_CUT_RESET,    /* RST after `cut_at` bytes of a body */
	HTTP_CUT_STALL,    /* nothing more after `cut_at` bytes, connection open */
	HTTP_CUT_TRUNCATE, /* orderly close after `cut_at` bytes of the answer's body */
};

/* One request and its answer. Valid from on_head() until on_done() returned. */
struct http_exchange {
	struct http_conn *conn;
	const char *method;
	char *path;  /* as on the wire, still encoded */
	char *query; /* behind '?', still encoded, or "" */
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t field_count;
	int64_t content_length; /* 0 without a body */
	bool is_first;          /* of its connection */
	void *user;             /* the handler's own */

	/*
	 * Damage on purpose, set before http_reply(). RESET and STALL count the request's
	 * body when cut_at lies inside it. flip_at: that byte of the answer's body is
	 * inverted; negative: none.
	 */
	enum http_cut cut;
	int64_t cut_at;
	int64_t flip_at;
	int64_t delay_ms; /* the answer waits this long */
};

struct http_handler {
	/* The head is in. The handler may answer now; then the body is dropped. */
	void (*on_head)(void *arg, struct http_exchange *x);
	void (*on_body)(void *arg, struct http_exchange *x, const char *data, size_t len);
	/* The whole request is in: answer inside this call, unless done before. */
	void (*on_end)(void *arg, struct http_exchange *x);
	/* Exactly once, however it ended; x->user is to be released. */
	void (*on_done)(void *arg, struct http_exchange *x);
	void *arg;
};

struct http_answer {
	int status;
	const char *headers; /* "Name: value\r\n" lines; no Content-Length */
	bool has_no_body;    /* HEAD, 204, 304: `length` is told, nothing is sent */
	int64_t length;      /* of the body; negative: no Content-Length at all */
	const char *body;    /* copied; NULL: pulled through produce() */
	/* Fills exactly `len` bytes from `offset` of the body; x lives until on_done().
	 */
	void (*produce)(struct http_exchange *x, uint64_t offset, char *out, size_t len);
};

/* listen_fd becomes the server's; tls (http_tls.h) is borrowed, NULL: none. */
struct http_server *http_server_new(struct loop *loop, int listen_fd,
	struct http_tls *tls, const struct http_handler *handler);
void *http_server_free(struct http_server *s);

const char *http_field(const struct http_exchange *x, const char *name); /* or NULL */
void http_reply(struct http_exchange *x, const struct http_answer *answer);
