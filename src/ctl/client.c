/* Blocking Varlink client. Not what the replies mean (verbs). */
#include "config.h"

#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/ctl_proto.h"

#define SILENCE_MS 5000

struct client {
	int fd;
	struct buf in;
	bool has_told; /* that no answer came for long */
};

struct client *client_open(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), saved;
	struct client *c;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		saved = errno;
	} else {
		memcpy(addr.sun_path, path, strlen(path) + 1);
		saved = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? errno : 0;
	}
	if (fd < 0 || saved) {
		if (fd >= 0)
			close(fd);
		errno = saved;
		return NULL;
	}
	c = mem_alloc(sizeof(*c));
	c->fd = fd;
	buf_init(&c->in, CTL_REPLY_MAX + 65536);
	return c;
}

void *client_close(struct client *c)
{
	if (c) {
		close(c->fd);
		buf_done(&c->in);
		free(c);
	}
	return NULL;
}

int client_call(struct client *c, const char *method, const char *params, bool more)
{
	struct buf out = BUF_INIT(CTL_REQUEST_MAX);
	size_t sent = 0;
	int r = ctl_put_call(&out, method, params, more);

	while (r == 0 && sent < out.len) {
		ssize_t n = send(c->fd, out.data + sent, out.len - sent, MSG_NOSIGNAL);

		if (n < 0)
			r = -EIO;
		else
			sent += (size_t)n;
	}
	buf_done(&out);
	return r;
}

/* A daemon that hangs, or that lists millions of keys, is waited for, but not silently. */
static ssize_t receive(struct client *c, char *out, size_t size)
{
	struct pollfd fd = {.fd = c->fd, .events = POLLIN};
	int r = poll(&fd, 1, c->has_told ? -1 : SILENCE_MS);

	if (r < 0)
		return r;
	if (r == 0) {
		fputs("s3ferryctl: no answer yet; still waiting (Ctrl-C ends that)\n",
			stderr);
		c->has_told = true;
		return receive(c, out, size);
	}
	return recv(c->fd, out, size, 0);
}

int client_reply(struct client *c, struct json **ret, const char **ret_error)
{
	char *text, chunk[65536];
	int r;

	while ((r = ctl_take_frame(&c->in, CTL_REPLY_MAX, &text)) == 0) {
		ssize_t n = receive(c, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			return -EINTR;
		if (n <= 0 || buf_append(&c->in, chunk, (size_t)n) < 0)
			return -EIO;
	}
	if (r < 0)
		return -EIO;
	*ret = json_parse(text, strlen(text), NULL);
	free(text);
	if (!*ret)
		return -EIO;
	*ret_error = json_get_str(*ret, "error");
	return json_get_bool(*ret, "continues", false);
}

int client_fd(const struct client *c)
{
	return c->fd;
}
