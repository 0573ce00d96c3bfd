/*
 * Varlink server on the loop. Bounded: 32 clients, 64 KiB a request, 5 s for half a
 * request, 8 MiB of replies that nobody reads. Not the verbs (control_cmds).
 */
#include "config.h"

#include "daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/ctl_proto.h"
#include "net/loop.h"

#define CLIENTS_MAX      32
#define HALF_REQUEST_MS  5000
#define PENDING_MAX      (8 * 1024 * 1024)
#define GROUPS_MAX       256

struct client;

struct control_call {
	struct client *client;
	bool wants_more;
	void (*gone)(void *arg);
	void *gone_arg;
};

struct client {
	struct list link;
	struct control *control;
	int fd;
	struct ucred peer;
	struct loop_fd *watch;
	struct loop_timer *deadline; /* of half a request */
	struct buf in, out;
	struct control_call *call; /* one at a time, as Varlink says */
	bool is_closing;
	bool is_working; /* client_work() is below on the stack and takes what waits */
};

struct control {
	struct loop *loop;
	const struct control_verb *verbs;
	void *arg;
	int fd;
	struct loop_fd *watch;
	struct list clients;
	size_t client_count;
	char path[108];
	gid_t group; /* of the socket file: its members may call */
};

/* --- clients --- */

static void *client_free(void *p)
{
	struct client *cl = p;

	loop_timer_free(cl->deadline);
	buf_done(&cl->in);
	buf_done(&cl->out);
	free(cl->call);
	free(cl);
	return NULL;
}

static void client_close(struct client *cl)
{
	struct control *c = cl->control;
	struct control_call *call = cl->call;

	if (cl->is_closing)
		return;
	cl->is_closing = true;
	list_remove(&cl->link);
	c->client_count--;
	cl->watch = loop_fd_free(cl->watch);
	close(cl->fd);
	loop_timer_cancel(cl->deadline);
	loop_fd_set(c->watch, LOOP_READ);
	if (call && call->gone)
		call->gone(call->gone_arg);
	loop_bury(c->loop, client_free, cl);
}

static void client_flush(struct client *cl)
{
	while (cl->out.len) {
		ssize_t n = send(cl->fd, cl->out.data, cl->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			client_close(cl);
			return;
		}
		buf_consume(&cl->out, (size_t)n);
	}
	loop_fd_set(cl->watch, LOOP_READ | (cl->out.len ? LOOP_WRITE : 0));
}

static void client_put(struct client *cl, int put_result)
{
	if (put_result < 0)
		client_close(cl); /* it does not read, or the reply is absurd */
	else
		client_flush(cl);
}

static const struct control_verb *find_verb(const struct control *c, const char *method)
{
	const struct control_verb *v;

	for (v = c->verbs; v->method; v++) {
		if (strcmp(v->method, method) == 0)
			return v;
	}
	return NULL;
}

/* By number: a name may be a server's to tell, and nobody waits for one here. */
static void tell_order(const struct client *cl, const char *method, const struct json *params)
{
	const char *what = json_get_str(params, "job") ?: json_get_str(params, "target");
	const char *verb = strrchr(method, '.');
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", (unsigned)cl->peer.uid);
	log_info(LOG_FIELDS({"CALLER_UID", uid}), "%s%s%.200s: asked for by uid %s (pid %d)",
		verb ? verb + 1 : method, what ? " " : "", what ? what : "", uid,
		(int)cl->peer.pid);
}

static void dispatch(struct client *cl, const char *text)
{
	struct control *c = cl->control;
	struct json *v = json_parse(text, strlen(text), NULL);
	const char *method = json_get_str(v, "method");
	const struct control_verb *verb;

	if (!method) {
		client_put(cl, ctl_put_error(&cl->out,
				       "org.varlink.service.InvalidParameter",
				       "{\"parameter\":\"method\"}"));
		json_free(v);
		return;
	}
	verb = find_verb(c, method);
	cl->call = mem_alloc(sizeof(*cl->call));
	cl->call->client = cl;
	cl->call->wants_more = json_get_bool(v, "more", false);
	if (verb && verb->is_order)
		tell_order(cl, method, json_get(v, "parameters"));
	if (verb)
		verb->handle(c->arg, cl->call, json_get(v, "parameters"));
	else
		control_error(cl->call, "org.varlink.service.MethodNotFound", NULL);
	json_free(v);
}

/* Requests wait in the buffer while a call is open. */
static void client_work(struct client *cl)
{
	char *text;
	int r;

	cl->is_working = true;
	while (!cl->is_closing && !cl->call) {
		r = ctl_take_frame(&cl->in, CTL_REQUEST_MAX, &text);
		if (r < 0) {
			client_close(cl);
			return;
		}
		if (r == 0)
			break;
		dispatch(cl, text);
		free(text);
	}
	cl->is_working = false;
	if (cl->is_closing)
		return;
	if (cl->in.len && !cl->call)
		loop_timer_set(cl->deadline, HALF_REQUEST_MS);
	else
		loop_timer_cancel(cl->deadline);
}

static void on_client(void *arg, int events)
{
	struct client *cl = arg;
	char data[4096];
	ssize_t n;

	if (events & LOOP_WRITE)
		client_flush(cl);
	if (cl->is_closing || !(events & LOOP_READ))
		return;
	n = recv(cl->fd, data, sizeof(data), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || buf_append(&cl->in, data, (size_t)n) < 0) {
		client_close(cl);
		return;
	}
	client_work(cl);
}

static void on_half_request(void *arg)
{
	client_close(arg);
}

/* --- replies --- */

static void call_end(struct control_call *call)
{
	struct client *cl = call->client;

	cl->call = NULL;
	free(call);
	if (!cl->is_closing && !cl->is_working && cl->in.len)
		client_work(cl);
}

void control_reply(struct control_call *call, const char *params, bool continues)
{
	struct client *cl = call->client;

	client_put(cl, ctl_put_reply(&cl->out, params, continues));
	if (!continues && !cl->is_closing)
		call_end(call);
}

void control_error(struct control_call *call, const char *error, const char *params)
{
	struct client *cl = call->client;

	client_put(cl, ctl_put_error(&cl->out, error, params));
	if (!cl->is_closing)
		call_end(call);
}

bool control_wants_more(const struct control_call *call)
{
	return call->wants_more;
}

void control_on_gone(struct control_call *call, void (*gone)(void *arg), void *arg)
{
	call->gone = gone;
	call->gone_arg = arg;
}

/* --- who may call --- */

static bool is_allowed(const struct control *c, int fd, struct ucred *ret_peer)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(*ret_peer), glen = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_peer, &len) < 0)
		return false;
	if (ret_peer->uid == 0 || ret_peer->uid == geteuid() || ret_peer->gid == c->group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &glen) < 0)
		return false;
	for (size_t i = 0; i < glen / sizeof(groups[0]); i++) {
		if (groups[i] == c->group)
			return true;
	}
	return false;
}

static void on_connection(void *arg, int events)
{
	struct control *c = arg;
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = {.uid = (uid_t)-1};
	struct client *cl;

	if (fd < 0)
		return;
	if (!is_allowed(c, fd, &peer)) {
		log_warning(NULL,
			"a caller that is neither root nor in the socket's group was "
			"refused (uid %d)",
			(int)peer.uid);
		close(fd);
		return;
	}
	cl = mem_alloc(sizeof(*cl));
	cl->control = c;
	cl->fd = fd;
	cl->peer = peer;
	buf_init(&cl->in, CTL_REQUEST_MAX + 4096);
	buf_init(&cl->out, PENDING_MAX);
	cl->deadline = loop_timer_new(c->loop, on_half_request, cl);
	cl->watch = loop_fd_new(c->loop, fd, LOOP_READ, on_client, cl);
	loop_fd_hurry(cl->watch);
	list_append(&c->clients, &cl->link);
	if (++c->client_count >= CLIENTS_MAX)
		loop_fd_set(c->watch, 0); /* the backlog waits until one leaves */
}

/* --- the socket --- */

static bool somebody_listens(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answers;

	if (fd < 0)
		return false;
	answers = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;
	close(fd);
	return answers;
}

static int listen_at(const char *path, char *why, size_t why_size)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(why, why_size, "its path is longer than 107 bytes");
		return -1;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		snprintf(why, why_size, "it is there already, and no socket");
		return -1;
	}
	if (somebody_listens(&addr)) {
		snprintf(why, why_size, "another daemon listens there");
		return -1;
	}
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		chmod(path, 0660) < 0 || listen(fd, CLIENTS_MAX) < 0) {
		snprintf(why, why_size, "%s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

struct control *control_new(struct loop *loop, const char *path,
	const struct control_verb *verbs, void *arg, char *why, size_t why_size)
{
	int fd = listen_at(path, why, why_size);
	struct control *c;
	struct stat st;

	if (fd < 0)
		return NULL;
	c = mem_alloc(sizeof(*c));
	c->loop = loop;
	c->verbs = verbs;
	c->arg = arg;
	c->fd = fd;
	c->group = stat(path, &st) == 0 ? st.st_gid : getegid();
	snprintf(c->path, sizeof(c->path), "%s", path);
	list_init(&c->clients);
	c->watch = loop_fd_new(loop, fd, LOOP_READ, on_connection, c);
	loop_fd_hurry(c->watch);
	return c;
}

void *control_free(struct control *c)
{
	struct client *cl, *tmp;

	if (!c)
		return NULL;
	LIST_FOREACH_SAFE (cl, tmp, &c->clients, link)
		client_close(cl);
	loop_fd_free(c->watch);
	close(c->fd);
	unlink(c->path);
	free(c);
	return NULL;
}
