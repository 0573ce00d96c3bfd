/* getaddrinfo() on a detached thread; the last of the two sides frees. Not a cache. */
#include "config.h"

#include "net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/loop.h"

struct resolve {
	/* the loop's side */
	struct loop *loop;
	struct loop_fd *watch;
	resolve_fn fn;
	void *arg;
	/* both */
	atomic_int sides;
	int fd; /* the thread writes when it has finished */
	/* the thread's until it wrote */
	char *host;
	int code; /* of getaddrinfo() */
	bool has_too_many;
	struct resolve_result result;
};

static void drop_side(struct resolve *r)
{
	if (atomic_fetch_sub(&r->sides, 1) > 1)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->host);
	free(r);
}

static void take_address(struct resolve *r, const struct addrinfo *a)
{
	const void *address;
	char *out;

	if (a->ai_family == AF_INET)
		address =
			&((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr;
	else if (a->ai_family == AF_INET6)
		address = &((const struct sockaddr_in6 *)(const void *)a->ai_addr)
				   ->sin6_addr;
	else
		return;
	r->has_too_many = r->result.count == RESOLVE_MAX;
	if (r->has_too_many)
		return;
	out = r->result.addresses[r->result.count];
	if (inet_ntop(a->ai_family, address, out, sizeof(r->result.addresses[0])))
		r->result.count++;
}

static void *look_up(void *arg)
{
	struct resolve *r = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	uint64_t one = 1;
	ssize_t n;

	r->code = getaddrinfo(r->host, NULL, &hints, &found);
	for (struct addrinfo *a = found; r->code == 0 && a; a = a->ai_next)
		take_address(r, a);
	if (r->code == 0)
		freeaddrinfo(found);
	do {
		n = write(r->fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
	drop_side(r);
	return NULL;
}

static void finish(struct resolve *r)
{
	resolve_fn fn = r->fn;
	struct err e = {0};

	r->watch = loop_fd_free(r->watch);
	if (r->code)
		err_set(&e, ERR_RETRY, ERR_FROM_NET, "resolve", "%.200s: %s", r->host,
			gai_strerror(r->code));
	else if (r->has_too_many || !r->result.count)
		err_set(&e, ERR_RETRY, ERR_FROM_NET, "resolve", "%.200s has %s", r->host,
			r->has_too_many ? "too many addresses" : "no address");
	fn(r->arg, r->code || e.class != ERR_OK ? &e : NULL, &r->result);
	drop_side(r);
}

static void on_found(void *arg, int events)
{
	finish(arg);
}

static void on_no_thread(void *arg)
{
	finish(arg);
}

/* Signals are the loop's: the thread has all of them blocked. */
static int start_thread(struct resolve *r)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&thread, &attr, look_up, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return code;
}

struct resolve *resolve_start(
	struct loop *loop, const char *host, resolve_fn fn, void *arg)
{
	struct resolve *r = mem_alloc(sizeof(*r));

	r->loop = loop;
	r->fn = fn;
	r->arg = arg;
	r->host = mem_strdup(host);
	atomic_init(&r->sides, 2);
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->fd >= 0 && start_thread(r) == 0) {
		r->watch = loop_fd_new(loop, r->fd, LOOP_READ, on_found, r);
		return r;
	}
	atomic_store(&r->sides, 1);
	r->code = EAI_AGAIN;
	loop_defer(loop, on_no_thread, r);
	return r;
}

void resolve_cancel(struct resolve *r)
{
	r->watch = loop_fd_free(r->watch);
	loop_undefer(r->loop, r);
	drop_side(r);
}
