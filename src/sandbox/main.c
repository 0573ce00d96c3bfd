/*
 * s3ferry-sandbox: S3 and STS on loopback for make-believe accounts. Options and the
 * listening socket; everything else is in sandbox.c. It refuses any other address.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"
#include "sandbox/sandbox.h"

#define FILE_BYTES   (8u << 20)
#define EXIT_USAGE   64
#define EXIT_DATA    65
#define EXIT_UNAVAIL 69

struct options {
	const char *listen, *accounts, *faults;
	int ready_fd;
};

static const char usage[] =
	"usage: s3ferry-sandbox [--listen 127.0.0.1:PORT] --accounts FILE.json\n"
	"                       [--faults FILE.json] [--ready-fd N]\n"
	"S3 and STS for make-believe accounts, on loopback only. Port 0 is any free "
	"port;\n"
	"\"listening ADDRESS:PORT\" is written to standard output, or to descriptor N.\n";

/* 0, or an exit code with *ret left alone. */
static int parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option longs[] = {{"listen", required_argument, NULL, 'l'},
		{"accounts", required_argument, NULL, 'a'},
		{"faults", required_argument, NULL, 'f'},
		{"ready-fd", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0}};
	struct options o = {"127.0.0.1:0", NULL, NULL, STDOUT_FILENO};
	uint64_t n;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'l') {
			o.listen = optarg;
		} else if (c == 'a') {
			o.accounts = optarg;
		} else if (c == 'f') {
			o.faults = optarg;
		} else if (c == 'r' && str_to_uint(optarg, 65535, &n) == 0) {
			o.ready_fd = (int)n;
		} else if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		} else if (c == 'V') {
			puts("s3ferry-sandbox " PACKAGE_VERSION);
			exit(0);
		} else {
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (!o.accounts || optind != argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	*ret = o;
	return 0;
}

static int open_listener(const char *text, struct sockaddr_in *ret_address)
{
	const char *colon = strrchr(text, ':');
	_cleanup_free_ char *host = colon ? mem_strndup(text, (size_t)(colon - text))
					  : NULL;
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	uint64_t port;
	int fd, one = 1;

	if (!host || str_to_uint(colon + 1, 65535, &port) < 0 ||
		inet_pton(AF_INET, str_eq(host, "localhost") ? "127.0.0.1" : host,
			&in.sin_addr) != 1)
		return -EINVAL;
	if (ntohl(in.sin_addr.s_addr) >> 24 != 127)
		return -EPERM;
	in.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, 512) < 0 ||
		getsockname(fd, (struct sockaddr *)&in, &len) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	*ret_address = in;
	return fd;
}

static char *read_file(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	char *text;

	if (!f)
		return NULL;
	text = mem_alloc(FILE_BYTES);
	*ret_len = fread(text, 1, FILE_BYTES - 1, f);
	fclose(f);
	return text;
}

typedef int (*set_fn)(struct sandbox *sb, const char *text, size_t len, char **ret_error);

static int load(struct sandbox *sb, const char *path, set_fn set)
{
	_cleanup_free_ char *why = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	text = read_file(path, &len);
	if (!text) {
		fprintf(stderr, "s3ferry-sandbox: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (set(sb, text, len, &why) < 0) {
		fprintf(stderr, "s3ferry-sandbox: %s: %s\n", path, why);
		return -1;
	}
	return 0;
}

static void on_stop(void *arg)
{
	loop_stop(arg);
}

static int serve(struct loop *loop, struct sandbox *sb, const struct options *o)
{
	struct sockaddr_in address;
	char name[INET_ADDRSTRLEN];
	int fd = open_listener(o->listen, &address);

	if (fd < 0) {
		fprintf(stderr, "s3ferry-sandbox: %s: %s\n", o->listen,
			fd == -EPERM ? "only loopback addresses are served"
				     : strerror(-fd));
		return fd == -EPERM || fd == -EINVAL ? EXIT_USAGE : EXIT_UNAVAIL;
	}
	sandbox_serve(sb, fd);
	inet_ntop(AF_INET, &address.sin_addr, name, sizeof(name));
	dprintf(o->ready_fd, "listening %s:%u\n", name, ntohs(address.sin_port));
	if (o->ready_fd > STDERR_FILENO)
		close(o->ready_fd);
	loop_on_signal(loop, SIGTERM, on_stop, loop);
	loop_on_signal(loop, SIGINT, on_stop, loop);
	loop_run(loop);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o;
	struct sandbox *sb;
	struct loop *loop;
	int code = parse_options(argc, argv, &o);

	if (code)
		return code;
	signal(SIGPIPE, SIG_IGN);
	loop = loop_new(clock_system());
	if (!loop)
		return EXIT_UNAVAIL;
	sb = sandbox_new(loop, clock_system());
	if (load(sb, o.accounts, sandbox_set_accounts) < 0 ||
		(o.faults && load(sb, o.faults, sandbox_set_faults) < 0))
		code = EXIT_DATA;
	else
		code = serve(loop, sb, &o);
	sandbox_free(sb);
	loop_free(loop);
	return code;
}
