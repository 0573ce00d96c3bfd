/*
 * The least that moving bytes between two HTTP servers costs: GET to PUT over blocking
 * sockets, with or without TLS. No S3, no signature, no digest, no retry: the floor that
 * the benchmark compares with.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE (256 * 1024)
#define HEAD  8192
#define LANES 32 /* connections a side for many objects */

struct conn {
	int fd;
	SSL *ssl;
	char head[HEAD];
	size_t from, to; /* what came behind a head */
};

static SSL_CTX *tls;

static void die(const char *what)
{
	perror(what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void conn_open(struct conn *c, int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!tls)
		return;
	c->ssl = SSL_new(tls);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set1_host(c->ssl, "localhost");
	if (SSL_connect(c->ssl) != 1)
		die("TLS");
}

static size_t conn_read(struct conn *c, char *out, size_t max)
{
	ssize_t n = c->ssl ? SSL_read(c->ssl, out, (int)max) : recv(c->fd, out, max, 0);

	if (n <= 0)
		die("read");
	return (size_t)n;
}

static void conn_write(struct conn *c, const char *data, size_t len)
{
	ssize_t n;

	for (; len; data += n, len -= (size_t)n) {
		n = c->ssl ? SSL_write(c->ssl, data, (int)len)
			   : send(c->fd, data, len, MSG_NOSIGNAL);
		if (n <= 0)
			die("write");
	}
}

/* Reads to the end of an answer's head; its Content-Length. Any status but 200 ends us. */
static long long read_head(struct conn *c)
{
	char *end, *field;

	c->from = c->to = 0;
	do {
		if (c->to == HEAD - 1)
			die("a head too long");
		c->to += conn_read(c, c->head + c->to, HEAD - 1 - c->to);
		c->head[c->to] = '\0';
		end = strstr(c->head, "\r\n\r\n");
	} while (!end);
	c->from = (size_t)(end + 4 - c->head);
	field = strcasestr(c->head, "\r\ncontent-length:");
	if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || !field || field > end)
		die("an answer that is no 200");
	return atoll(field + strlen("\r\ncontent-length:"));
}

/* The request to GET object number n; several may be under way. */
static void ask(struct conn *get, const char *path, long n)
{
	char text[1024];
	int len = snprintf(text, sizeof(text), "GET %s", path);

	if (n >= 0)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%08ld", n);
	len += snprintf(text + len, sizeof(text) - (size_t)len,
		" HTTP/1.1\r\nHost: localhost\r\n\r\n");
	conn_write(get, text, (size_t)len);
}

/* Reads the answer and puts it; a small object goes out with its head in one send. */
static void move(struct conn *get, struct conn *put, const char *path, long n)
{
	static char piece[HEAD + PIECE];
	long long left = read_head(get);
	size_t len, had = get->to - get->from;

	len = (size_t)snprintf(piece, HEAD,
		"PUT %s%ld HTTP/1.1\r\nHost: localhost\r\nContent-Length: %lld\r\n\r\n", path,
		n, left);
	memcpy(piece + len, get->head + get->from, had);
	len += had;
	left -= (long long)had;
	while (left > 0) {
		size_t max = (long long)PIECE < left ? PIECE : (size_t)left;

		if (len > HEAD || len + max > sizeof(piece)) {
			conn_write(put, piece, len);
			len = 0;
		}
		had = conn_read(get, piece + len, max);
		len += had;
		left -= (long long)had;
	}
	conn_write(put, piece, len);
}

static void use_tls(const char *ca)
{
	tls = SSL_CTX_new(TLS_client_method());
	if (!tls || SSL_CTX_load_verify_locations(tls, ca, NULL) != 1)
		die(ca);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
}

int main(int argc, char **argv)
{
	static struct conn get[LANES], put[LANES];
	long count, lanes, i, k;

	if (argc < 6) {
		fputs("usage: pump GET_PORT GET_PATH PUT_PORT PUT_PATH COUNT [CA_FILE]\n"
		      "COUNT 0: the one object of GET_PATH; else a number follows the paths\n",
			stderr);
		return 64;
	}
	if (argc > 6)
		use_tls(argv[6]);
	count = atol(argv[5]);
	lanes = count == 0 ? 1 : count < LANES ? count : LANES;
	for (k = 0; k < lanes; k++) {
		conn_open(&get[k], atoi(argv[1]));
		conn_open(&put[k], atoi(argv[3]));
	}
	for (i = 0; i < (count ? count : 1); i += lanes) {
		for (k = 0; k < lanes && i + k < (count ? count : 1); k++)
			ask(&get[k], argv[2], count ? i + k : -1);
		for (k = 0; k < lanes && i + k < (count ? count : 1); k++)
			move(&get[k], &put[k], argv[4], i + k);
		for (k = 0; k < lanes && i + k < (count ? count : 1); k++)
			read_head(&put[k]);
	}
	return 0;
}
