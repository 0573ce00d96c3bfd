/*
 * TLS 1.2 and 1.3 for the server of http_server.h, on non-blocking sockets. Only the
 * sandbox and the benchmark's endpoint serve; what s3ferryd asks goes through libcurl.
 * One thread; the process ignores SIGPIPE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A certificate and its key, for any number of connections. Outlives them. */
struct http_tls;
/* PEM files. NULL: one cannot be used; OpenSSL's reasons are on standard error. */
struct http_tls *http_tls_new(const char *certificate_file, const char *key_file);
void *http_tls_free(struct http_tls *t);

/* One accepted connection. The descriptor stays the caller's. */
struct http_tls_conn;
struct http_tls_conn *http_tls_accept(struct http_tls *t, int fd);
void *http_tls_conn_free(struct http_tls_conn *c);

/*
 * As recv() and send() do, with errno; the first ones shake hands, too. After EAGAIN
 * http_tls_wants() says what to wait for; a send is then repeated with the same bytes,
 * which may have moved, and possibly more behind them.
 */
ssize_t http_tls_recv(struct http_tls_conn *c, void *data, size_t len);
ssize_t http_tls_send(struct http_tls_conn *c, const void *data, size_t len);
int http_tls_wants(const struct http_tls_conn *c); /* LOOP_READ or LOOP_WRITE */
/* The last recv ended for want of room: no event of the descriptor tells of the rest. */
bool http_tls_has_more(const struct http_tls_conn *c);
/* Tells the peer that nothing follows, if the socket takes it. */
void http_tls_end(struct http_tls_conn *c);
