/* Spawns, reads, waits for and kills one child. It knows nothing of what the child does.
 */
#include "config.h"

#include "net/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/loop.h"

#define ERRORS_MAX 4096
#define PIECES_MAX 32 /* of 4 KiB, in one turn: more than a pipe holds */

struct stream {
	struct child *child;
	int fd; /* -1: closed */
	struct loop_fd *watch;
	struct buf text;
	bool is_cut; /* what does not fit is thrown away, and that is no error */
};

struct child {
	struct loop *loop;
	child_fn fn; /* NULL: nobody waits, it is only to be reaped */
	void *arg;
	pid_t pid; /* 0: never started */
	int pidfd;
	struct loop_fd *exit_watch;
	struct loop_timer *deadline;
	struct stream out, errors;
	struct err err; /* why it is put down */
};

static void close_stream(struct stream *s)
{
	s->watch = loop_fd_free(s->watch);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void *child_free(void *arg)
{
	struct child *c = arg;

	close_stream(&c->out);
	close_stream(&c->errors);
	loop_fd_free(c->exit_watch);
	if (c->pidfd >= 0)
		close(c->pidfd);
	loop_timer_free(c->deadline);
	buf_wipe(&c->out.text);
	buf_wipe(&c->errors.text);
	free(c);
	return NULL;
}

static void tell(struct child *c, const struct err *e, const struct child_result *result)
{
	child_fn fn = c->fn;

	c->fn = NULL;
	if (fn)
		fn(c->arg, e, result);
}

static void kill_group(struct child *c)
{
	if (c->pid > 0)
		kill(-c->pid, SIGKILL);
}

/* Whoever waits is told at once; the exit watch reaps and frees. */
static void put_down(struct child *c, const char *code, const char *text)
{
	struct err e;

	loop_timer_cancel(c->deadline);
	close_stream(&c->out);
	close_stream(&c->errors);
	kill_group(c);
	tell(c, err_set(&e, ERR_LOCAL, ERR_FROM_LOCAL, code, "%s", text), NULL);
}

static void on_deadline(void *arg)
{
	put_down(arg, "timeout", "the program did not end in time");
}

/* 0, or -ENOBUFS when more came than may. */
static int read_stream(struct stream *s)
{
	char piece[4096];
	ssize_t n = 0;
	int r = 0;

	for (int i = 0; i < PIECES_MAX && s->fd >= 0 && r == 0; i++) {
		size_t room = s->text.max - s->text.len;

		n = read(s->fd, piece, sizeof(piece));
		if (n <= 0)
			break;
		if (s->is_cut && (size_t)n > room)
			buf_append(&s->text, piece, room);
		else
			r = buf_append(&s->text, piece, (size_t)n);
	}
	mem_wipe(piece, sizeof(piece));
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_stream(s);
	return r;
}

static void on_readable(void *arg, int events)
{
	struct stream *s = arg;

	if (read_stream(s) < 0)
		put_down(s->child, "too-long", "the program wrote more than it may");
}

static void on_exit_of(void *arg, int events)
{
	struct child *c = arg;
	struct child_result result = {0};

	kill_group(
		c); /* what it leaves behind; until it is reaped, the number is its own */
	if (waitpid(c->pid, &result.status, WNOHANG) == 0)
		return;
	c->pid = 0;
	c->exit_watch = loop_fd_free(c->exit_watch);
	loop_timer_cancel(c->deadline);
	/* What was written before the end is in the pipes. */
	if (c->fn && (read_stream(&c->errors) < 0 || read_stream(&c->out) < 0)) {
		put_down(c, "too-long", "the program wrote more than it may");
	} else if (c->fn) {
		result.out = buf_str(&c->out.text);
		result.out_len = c->out.text.len;
		result.errors = buf_str(&c->errors.text);
		tell(c, NULL, &result);
	}
	loop_bury(c->loop, child_free, c);
}

static void on_failed(void *arg)
{
	struct child *c = arg;

	tell(c, &c->err, NULL);
	loop_bury(c->loop, child_free, c);
}

static int spawn(struct child *c, const struct child_spec *spec, const int pipes[2])
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int r;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, pipes[0], 1);
	posix_spawn_file_actions_adddup2(&files, pipes[1], 2);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr,
		POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	r = posix_spawnp(&c->pid, spec->argv[0], &files, &attr, spec->argv, spec->envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (r)
		c->pid = 0;
	return -r;
}

static int watch(struct child *c)
{
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0) {
		int r = -errno;

		/* Without a pidfd nothing would tell its end: it ends here and now. */
		kill_group(c);
		waitpid(c->pid, NULL, 0);
		c->pid = 0;
		return r;
	}
	c->exit_watch = loop_fd_new(c->loop, c->pidfd, LOOP_READ, on_exit_of, c);
	c->out.watch = loop_fd_new(c->loop, c->out.fd, LOOP_READ, on_readable, &c->out);
	c->errors.watch = loop_fd_new(
		c->loop, c->errors.fd, LOOP_READ, on_readable, &c->errors);
	return 0;
}

/* A pipe whose reading end never blocks; the child's end goes to *ret_theirs. */
static int open_stream(struct child *c, struct stream *s, size_t max, int *ret_theirs)
{
	int fds[2];

	s->child = c;
	s->fd = *ret_theirs = -1;
	buf_init(&s->text, max);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	s->fd = fds[0];
	*ret_theirs = fds[1];
	return fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

struct child *child_start(
	struct loop *loop, const struct child_spec *spec, child_fn fn, void *arg)
{
	struct child *c = mem_alloc(sizeof(*c));
	int pipes[2], r, s;

	c->loop = loop;
	c->fn = fn;
	c->arg = arg;
	c->pidfd = -1;
	c->errors.is_cut = true;
	c->deadline = loop_timer_new(loop, on_deadline, c);
	r = open_stream(c, &c->out, spec->out_max, &pipes[0]);
	s = open_stream(c, &c->errors, ERRORS_MAX, &pipes[1]);
	r = r ? r : s;
	if (r == 0)
		r = spawn(c, spec, pipes);
	for (int i = 0; i < 2; i++) {
		if (pipes[i] >= 0)
			close(pipes[i]);
	}
	if (r == 0)
		r = watch(c);
	if (r == 0) {
		loop_timer_set(c->deadline, spec->timeout_ms);
		return c;
	}
	err_set(&c->err, ERR_LOCAL, ERR_FROM_LOCAL, "spawn", "%s", strerror(-r));
	loop_defer(loop, on_failed, c);
	return c;
}

void child_cancel(struct child *c)
{
	c->fn = NULL;
	if (!c->pid) {
		loop_undefer(c->loop, c);
		loop_bury(c->loop, child_free, c);
		return;
	}
	put_down(c, "cancelled", "cancelled");
}
