/*
 * Two queues under one mutex: jobs that wait for a thread, and those that wait for their
 * loop, which is rung once for many. What a job does is its owner's.
 */
#include "config.h"

#include "net/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/loop.h"

struct pool {
	pthread_mutex_t mutex; /* guards the lists, counts and flags */
	pthread_cond_t work, finished;
	struct list waiting, done;
	size_t waiting_count, idle;
	bool is_closing, is_rung;
	/* the loop's thread alone */
	pthread_t *threads;
	int count, most;
	bool is_closed;
	size_t under_way; /* submitted, and not delivered yet */
	int fd;
	struct loop_fd *watch;
};

static struct pool_job *first_of(struct list *head)
{
	struct pool_job *job = LIST_FIRST(head, struct pool_job, link);

	if (job)
		list_remove(&job->link);
	return job;
}

static void ring(struct pool *p)
{
	uint64_t one = 1;

	if (write(p->fd, &one, sizeof(one)) < 0)
		abort(); /* only a counter of 2^64 - 1 makes it fail */
}

static void finish(struct pool *p, struct pool_job *job)
{
	bool must_ring;

	pthread_mutex_lock(&p->mutex);
	list_append(&p->done, &job->link);
	must_ring = !p->is_rung;
	p->is_rung = true;
	pthread_cond_signal(&p->finished);
	pthread_mutex_unlock(&p->mutex);
	if (must_ring)
		ring(p);
}

static void *serve(void *arg)
{
	struct pool *p = arg;
	struct pool_job *job;

	for (;;) {
		pthread_mutex_lock(&p->mutex);
		p->idle++;
		while (list_is_empty(&p->waiting) && !p->is_closing)
			pthread_cond_wait(&p->work, &p->mutex);
		p->idle--;
		job = first_of(&p->waiting);
		p->waiting_count -= job ? 1 : 0;
		pthread_mutex_unlock(&p->mutex);
		if (!job)
			return NULL;
		job->work(job);
		finish(p, job);
	}
}

static struct pool_job *take_done(struct pool *p)
{
	struct pool_job *job;

	pthread_mutex_lock(&p->mutex);
	job = first_of(&p->done);
	pthread_mutex_unlock(&p->mutex);
	return job;
}

static void deliver(struct pool *p, struct pool_job *job)
{
	p->under_way--;
	job->done(job);
}

static void on_rung(void *arg, int events)
{
	struct pool *p = arg;
	struct pool_job *job;
	struct list ready;
	uint64_t count;

	if (read(p->fd, &count, sizeof(count)) < 0)
		return;
	list_init(&ready);
	pthread_mutex_lock(&p->mutex);
	p->is_rung = false;
	list_splice(&ready, &p->done);
	pthread_mutex_unlock(&p->mutex);
	/* What ends meanwhile rings again: many jobs cannot hold the loop. */
	while ((job = first_of(&ready)))
		deliver(p, job);
}

struct pool *pool_new(struct loop *loop, int threads)
{
	struct pool *p = mem_alloc(sizeof(*p));

	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0) {
		free(p);
		return NULL;
	}
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->finished, NULL);
	list_init(&p->waiting);
	list_init(&p->done);
	p->threads = mem_array((size_t)threads, sizeof(*p->threads));
	p->most = threads;
	p->watch = loop_fd_new(loop, p->fd, LOOP_READ, on_rung, p);
	return p;
}

void *pool_free(struct pool *p)
{
	if (!p)
		return NULL;
	pthread_mutex_lock(&p->mutex);
	p->is_closing = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->mutex);
	for (int i = 0; i < p->count; i++)
		pthread_join(p->threads[i], NULL);
	loop_fd_free(p->watch);
	close(p->fd);
	pthread_cond_destroy(&p->finished);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->mutex);
	free(p->threads);
	free(p);
	return NULL;
}

/* Signals are the loop's: the thread has all of them blocked. */
static void start_thread(struct pool *p)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&p->threads[p->count], NULL, serve, p) == 0)
		p->count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void pool_submit(struct pool *p, struct pool_job *job)
{
	bool are_busy;

	p->under_way++;
	pthread_mutex_lock(&p->mutex);
	list_append(&p->waiting, &job->link);
	are_busy = ++p->waiting_count > p->idle;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->mutex);
	if (are_busy && p->count < p->most)
		start_thread(p);
	if (p->count > 0)
		return;
	/* The host is out of threads: late is better than never. */
	list_remove(&job->link);
	p->waiting_count--;
	job->work(job);
	finish(p, job);
}

void pool_close(struct pool *p)
{
	struct pool_job *job;

	while (p->under_way) {
		pthread_mutex_lock(&p->mutex);
		while (list_is_empty(&p->done))
			pthread_cond_wait(&p->finished, &p->mutex);
		pthread_mutex_unlock(&p->mutex);
		while ((job = take_done(p)))
			deliver(p, job);
	}
	p->is_closed = true;
}

bool pool_is_closed(const struct pool *p)
{
	return p->is_closed;
}
