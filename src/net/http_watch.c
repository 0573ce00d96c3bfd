/*
 * Descriptors of libcurl on the loop. A connection that it lets go it mostly takes again at
 * once: that one stays watched until it tells something meanwhile, or is closed. Other
 * descriptors (the resolver's) are closed without a word to us, and are watched only while
 * libcurl wishes. Not here: calls.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/http_call.h"
#include "net/loop.h"

struct http_watch {
	struct http *http;
	struct loop_fd *fd;
	curl_socket_t socket;
	bool is_let_go;
};

static void *watch_free(void *arg)
{
	struct http_watch *w = arg;

	loop_fd_free(w->fd);
	free(w);
	return NULL;
}

static void on_fd(void *arg, int events)
{
	struct http_watch *w = arg;

	if (w->is_let_go)
		loop_fd_set(w->fd, 0);
	else
		http_act(w->http, w->socket,
			(events & LOOP_READ ? CURL_CSELECT_IN : 0) |
				(events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static struct http_watch *watch_new(struct http *http, curl_socket_t fd)
{
	struct http_watch *w = mem_alloc(sizeof(*w));

	w->http = http;
	w->socket = fd;
	w->fd = loop_fd_new(http->loop, fd, 0, on_fd, w);
	return w;
}

static void watch_end(struct http_watch *w)
{
	loop_fd_set(w->fd, 0);
	loop_bury(w->http->loop, watch_free, w); /* maybe inside its own event */
}

static struct http_watch *watch_of(const struct http *http, curl_socket_t fd)
{
	return (size_t)fd < http->watch_room ? http->watches[fd] : NULL;
}

int http_open_socket(struct http *http, const struct curl_sockaddr *address)
{
	int fd = socket(
		address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	size_t room = http->watch_room;

	if (fd < 0)
		return -errno;
	while (room <= (size_t)fd)
		room = room ? 2 * room : 64;
	if (room > http->watch_room) {
		http->watches = mem_resize(http->watches, room, sizeof(*http->watches));
		memset(http->watches + http->watch_room, 0,
			(room - http->watch_room) * sizeof(*http->watches));
		http->watch_room = room;
	}
	/* libcurl closes a socket that never connected without a word. */
	if (http->watches[fd])
		watch_end(http->watches[fd]);
	http->watches[fd] = watch_new(http, fd);
	return fd;
}

void http_watches_free(struct http *http)
{
	for (size_t fd = 0; fd < http->watch_room; fd++)
		if (http->watches[fd])
			watch_end(http->watches[fd]);
	free(http->watches);
}

int http_on_close(void *arg, curl_socket_t fd)
{
	struct http *http = arg;
	struct http_watch *w = watch_of(http, fd);

	if (w) {
		watch_end(w);
		http->watches[fd] = NULL;
	}
	return close(fd);
}

/* Of one that is paused, data would only wake us. */
static bool is_paused(CURL *easy)
{
	char *private = NULL;
	const struct http_call *call;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	call = (const struct http_call *)(void *)private;
	return call && (call->is_recv_paused || call->is_send_paused);
}

int http_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http *http = arg;
	struct http_watch *w = socket_arg ? socket_arg : watch_of(http, fd);
	int events = (what & CURL_POLL_IN ? LOOP_READ : 0) |
		     (what & CURL_POLL_OUT ? LOOP_WRITE : 0);

	if (what == CURL_POLL_REMOVE && w && w == watch_of(http, fd)) {
		w->is_let_go = true;
		loop_fd_set(w->fd, is_paused(easy) ? 0 : LOOP_READ);
		return 0;
	}
	if (what == CURL_POLL_REMOVE) {
		if (w)
			watch_end(w);
		return 0;
	}
	if (!w)
		w = watch_new(http, fd);
	w->is_let_go = false;
	loop_fd_set(w->fd, events);
	curl_multi_assign(http->multi, fd, w);
	return 0;
}
