/* OpenSSL's server side as recv() and send(). Not when to call them: http_server.c. */
#include "config.h"

#include "sandbox/http_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/loop.h"

#define READ_BYTES (64 * 1024) /* records of one read of the socket */

struct http_tls {
	SSL_CTX *ctx;
};

struct http_tls_conn {
	SSL *ssl;
	int wants;
	bool has_more;
};

void *http_tls_free(struct http_tls *t)
{
	if (t)
		SSL_CTX_free(t->ctx);
	free(t);
	return NULL;
}

struct http_tls *http_tls_new(const char *certificate_file, const char *key_file)
{
	struct http_tls *t = mem_alloc(sizeof(*t));

	t->ctx = SSL_CTX_new(TLS_server_method());
	if (!t->ctx || !SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) ||
		SSL_CTX_use_certificate_chain_file(t->ctx, certificate_file) != 1 ||
		SSL_CTX_use_PrivateKey_file(t->ctx, key_file, SSL_FILETYPE_PEM) != 1) {
		ERR_print_errors_fp(stderr);
		return http_tls_free(t);
	}
	/* Tickets carry sessions, to other workers, too: nothing is kept here. */
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(t->ctx,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(t->ctx, 1);
	SSL_CTX_set_default_read_buffer_len(t->ctx, READ_BYTES);
	return t;
}

struct http_tls_conn *http_tls_accept(struct http_tls *t, int fd)
{
	struct http_tls_conn *c = mem_alloc(sizeof(*c));

	c->ssl = SSL_new(t->ctx);
	if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1) {
		ERR_print_errors_fp(stderr); /* out of memory */
		abort();
	}
	SSL_set_accept_state(c->ssl);
	return c;
}

void *http_tls_conn_free(struct http_tls_conn *c)
{
	if (c)
		SSL_free(c->ssl);
	free(c);
	return NULL;
}

/* What a call that moved nothing amounts to: 0, or -1 with errno. */
static ssize_t nothing(struct http_tls_conn *c, int n)
{
	int why = SSL_get_error(c->ssl, n);

	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		c->wants = why == SSL_ERROR_WANT_READ ? LOOP_READ : LOOP_WRITE;
		errno = EAGAIN;
	} else {
		errno = ECONNRESET;
	}
	return -1;
}

ssize_t http_tls_recv(struct http_tls_conn *c, void *data, size_t len)
{
	size_t got = 0;
	int n;

	do {
		ERR_clear_error(); /* of another connection */
		n = SSL_read(c->ssl, (char *)data + got, (int)(len - got));
		got += n > 0 ? (size_t)n : 0;
	} while (n > 0 && got < len && SSL_has_pending(c->ssl));
	c->has_more = n > 0 && SSL_has_pending(c->ssl);
	/* What ends it comes again with the next call. */
	return got ? (ssize_t)got : nothing(c, n);
}

ssize_t http_tls_send(struct http_tls_conn *c, const void *data, size_t len)
{
	int n;

	ERR_clear_error();
	n = SSL_write(c->ssl, data, len < INT_MAX ? (int)len : INT_MAX);
	return n > 0 ? n : nothing(c, n);
}

int http_tls_wants(const struct http_tls_conn *c)
{
	return c->wants;
}

bool http_tls_has_more(const struct http_tls_conn *c)
{
	return c->has_more;
}

void http_tls_end(struct http_tls_conn *c)
{
	ERR_clear_error();
	SSL_shutdown(c->ssl);
}
