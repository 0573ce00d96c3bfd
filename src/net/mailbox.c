/* A ring of fixed-size messages, a mutex and an eventfd. Owns no pointers inside them. */
#include "config.h"

#include "net/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/loop.h"

#define FIRST_CAP 16

struct mailbox {
	pthread_mutex_t mutex; /* guards ring, cap, head, len, is_rung */
	char *ring;
	size_t msg_size, cap, max, head, len;
	bool is_rung; /* fd is readable, or will be at once */
	int fd;
	struct loop_fd *watch;
	mailbox_fn fn;
	void *arg;
	char *current; /* the message that fn reads */
};

static bool take(struct mailbox *m)
{
	bool has_message;

	pthread_mutex_lock(&m->mutex);
	has_message = m->len > 0;
	if (has_message) {
		memcpy(m->current, m->ring + m->head * m->msg_size, m->msg_size);
		m->head = (m->head + 1) % m->cap;
		m->len--;
	}
	pthread_mutex_unlock(&m->mutex);
	return has_message;
}

static void on_readable(void *arg, int events)
{
	struct mailbox *m = arg;
	uint64_t count;
	size_t most;

	if (read(m->fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&m->mutex);
	m->is_rung = false;
	most = m->len;
	pthread_mutex_unlock(&m->mutex);
	/* What arrives meanwhile rings again: a busy sender cannot hold the loop. */
	for (; most && take(m); most--)
		m->fn(m->arg, m->current);
}

struct mailbox *mailbox_new(struct loop *receiver, size_t msg_size, size_t max_messages,
	mailbox_fn fn, void *arg)
{
	struct mailbox *m = mem_alloc(sizeof(*m));

	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0) {
		free(m);
		return NULL;
	}
	pthread_mutex_init(&m->mutex, NULL);
	m->msg_size = msg_size;
	m->max = max_messages;
	m->cap = max_messages < FIRST_CAP ? max_messages : FIRST_CAP;
	m->ring = mem_array(m->cap, msg_size);
	m->current = mem_alloc(msg_size);
	m->fn = fn;
	m->arg = arg;
	m->watch = loop_fd_new(receiver, m->fd, LOOP_READ, on_readable, m);
	return m;
}

void *mailbox_free(struct mailbox *m)
{
	if (!m)
		return NULL;
	loop_fd_free(m->watch);
	close(m->fd);
	pthread_mutex_destroy(&m->mutex);
	/* Messages may carry credentials. */
	mem_wipe(m->ring, m->cap * m->msg_size);
	mem_wipe(m->current, m->msg_size);
	free(m->ring);
	free(m->current);
	free(m);
	return NULL;
}

/* Doubling unrolls the ring, so that head starts at 0 again. */
static void grow(struct mailbox *m)
{
	size_t cap = m->cap * 2 < m->max ? m->cap * 2 : m->max;
	char *ring = mem_array(cap, m->msg_size);
	size_t first = m->cap - m->head;

	memcpy(ring, m->ring + m->head * m->msg_size, first * m->msg_size);
	memcpy(ring + first * m->msg_size, m->ring, m->head * m->msg_size);
	mem_wipe(m->ring, m->cap * m->msg_size);
	free(m->ring);
	m->ring = ring;
	m->cap = cap;
	m->head = 0;
}

int mailbox_send(struct mailbox *m, const void *msg)
{
	uint64_t one = 1;
	bool must_ring = false;
	int r = 0;

	pthread_mutex_lock(&m->mutex);
	if (m->len == m->max) {
		r = -ENOBUFS;
	} else {
		if (m->len == m->cap)
			grow(m);
		memcpy(m->ring + (m->head + m->len) % m->cap * m->msg_size, msg,
			m->msg_size);
		m->len++;
		must_ring = !m->is_rung;
		m->is_rung = true;
	}
	pthread_mutex_unlock(&m->mutex);
	if (must_ring && write(m->fd, &one, sizeof(one)) < 0)
		abort(); /* only a counter of 2^64 - 1 makes it fail */
	return r;
}

void mailbox_flush(struct mailbox *m)
{
	while (take(m))
		m->fn(m->arg, m->current);
}
