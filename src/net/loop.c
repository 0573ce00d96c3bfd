/* libevent's core as our loop: deferral, graveyard, and timers on an injected clock. */
#include "config.h"

#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

#define IDLE_MS   3600000
#define BUDGET_US (5 * USEC_PER_MSEC) /* a turn for descriptors; for deferred calls */
#define LATELY_US (60 * USEC_PER_SEC)

enum priority {
	PRIORITY_URGENT,
	PRIORITY_USUAL,
	PRIORITIES,
};

struct deferred {
	struct list link;
	loop_fn fn;
	void *(*free_fn)(void *);
	void *arg;
	uint64_t round; /* of the loop, when it came */
};

struct loop_timer {
	struct loop *loop;
	loop_fn fn;
	void *arg;
	int64_t due_us;
	size_t at; /* index in the heap + 1; 0: not set */
};

struct loop_fd {
	struct loop *loop;
	struct event *ev;
	int fd, events;
	bool is_urgent;
	loop_fd_fn fn;
	void *arg;
};

struct signal_watch {
	struct list link;
	struct loop *loop;
	struct event *ev;
	loop_fn fn;
	void *arg;
};

struct loop {
	const struct clock *clock;
	struct event_base *base;
	struct event *wake;       /* ends the wait when the first timer is due */
	struct loop_timer **heap; /* by due_us, smallest first */
	size_t heap_len, heap_cap;
	struct list deferred, graveyard, signals;
	struct deferred *current; /* the deferred call that runs now */
	uint64_t turns;
	uint64_t round;        /* begins when deferred calls are due */
	int64_t began_us;      /* this turn, its waiting being over; -1: it waits */
	int64_t lately;        /* mono / LATELY_US, of: */
	int64_t longest_us[2]; /* turn, and that of the time before */
	bool must_stop;
};

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	/* Returning to loop_turn() is all it is for. */
}

struct loop *loop_new(const struct clock *clock)
{
	struct event_config *cfg = event_config_new();
	struct loop *loop = mem_alloc(sizeof(*loop));

	if (!cfg)
		abort();
	/* Each loop belongs to one thread: libevent's locks would only cost. */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER);
	loop->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (!loop->base) {
		free(loop);
		return NULL;
	}
	event_base_priority_init(loop->base, PRIORITIES);
	loop->clock = clock;
	loop->wake = evtimer_new(loop->base, on_wake, NULL);
	if (!loop->wake)
		abort();
	event_priority_set(loop->wake, PRIORITY_URGENT);
	list_init(&loop->deferred);
	list_init(&loop->graveyard);
	list_init(&loop->signals);
	return loop;
}

/* Not what a call may still use that was deferred as early and has not run yet. */
static void bury(struct loop *loop)
{
	const struct deferred *first = LIST_FIRST(&loop->deferred, struct deferred, link);
	uint64_t before = first ? first->round : loop->round;
	struct deferred *d;

	/* One may bury others. */
	while ((d = LIST_FIRST(&loop->graveyard, struct deferred, link))) {
		if (before < loop->round && d->round >= before)
			return;
		list_remove(&d->link);
		d->free_fn(d->arg);
		free(d);
	}
}

void *loop_free(struct loop *loop)
{
	struct signal_watch *s, *stmp;
	struct deferred *d, *dtmp;

	if (!loop)
		return NULL;
	LIST_FOREACH_SAFE (d, dtmp, &loop->deferred, link) {
		list_remove(&d->link);
		free(d);
	}
	bury(loop);
	LIST_FOREACH_SAFE (s, stmp, &loop->signals, link) {
		event_free(s->ev);
		free(s);
	}
	free(loop->heap);
	event_free(loop->wake);
	event_base_free(loop->base);
	free(loop);
	return NULL;
}

const struct clock *loop_clock(const struct loop *loop)
{
	return loop->clock;
}

uint64_t loop_turns(const struct loop *loop)
{
	return loop->turns;
}

/* --- how long turns take --- */

static void begin_turn(struct loop *loop)
{
	if (loop->began_us < 0)
		loop->began_us = clock_mono_us(loop->clock);
}

static void forget_longest(struct loop *loop, int64_t now_us)
{
	int64_t passed = now_us / LATELY_US - loop->lately;

	if (!passed)
		return;
	loop->lately += passed;
	loop->longest_us[1] = passed == 1 ? loop->longest_us[0] : 0;
	loop->longest_us[0] = 0;
}

static void end_turn(struct loop *loop)
{
	int64_t now = clock_mono_us(loop->clock), took = now - loop->began_us;

	forget_longest(loop, now);
	if (loop->longest_us[0] < took)
		loop->longest_us[0] = took;
	loop->turns++;
}

int64_t loop_longest_us(struct loop *loop)
{
	forget_longest(loop, clock_mono_us(loop->clock));
	return loop->longest_us[loop->longest_us[1] > loop->longest_us[0]];
}

/* --- timers: a binary heap --- */

static void heap_place(struct loop *loop, struct loop_timer *t, size_t i)
{
	loop->heap[i] = t;
	t->at = i + 1;
}

static void heap_up(struct loop *loop, size_t i)
{
	struct loop_timer *t = loop->heap[i];

	while (i > 0 && loop->heap[(i - 1) / 2]->due_us > t->due_us) {
		heap_place(loop, loop->heap[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	heap_place(loop, t, i);
}

static void heap_down(struct loop *loop, size_t i)
{
	struct loop_timer *t = loop->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < loop->heap_len &&
			loop->heap[child + 1]->due_us < loop->heap[child]->due_us)
			child++;
		if (child >= loop->heap_len || loop->heap[child]->due_us >= t->due_us)
			break;
		heap_place(loop, loop->heap[child], i);
		i = child;
	}
	heap_place(loop, t, i);
}

void loop_timer_cancel(struct loop_timer *t)
{
	struct loop *loop = t->loop;
	size_t i = t->at - 1;
	struct loop_timer *last;

	if (!t->at)
		return;
	t->at = 0;
	last = loop->heap[--loop->heap_len];
	if (last == t)
		return;
	heap_place(loop, last, i);
	heap_up(loop, i);
	heap_down(loop, last->at - 1);
}

void loop_timer_set(struct loop_timer *t, int64_t delay_ms)
{
	struct loop *loop = t->loop;

	loop_timer_cancel(t);
	t->due_us = clock_mono_us(loop->clock) +
		    (delay_ms > 0 ? delay_ms * USEC_PER_MSEC : 0);
	if (loop->heap_len == loop->heap_cap) {
		loop->heap_cap = loop->heap_cap ? loop->heap_cap * 2 : 16;
		loop->heap = mem_resize(loop->heap, loop->heap_cap, sizeof(*loop->heap));
	}
	heap_place(loop, t, loop->heap_len++);
	heap_up(loop, loop->heap_len - 1);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
	return t->at != 0;
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg)
{
	struct loop_timer *t = mem_alloc(sizeof(*t));

	t->loop = loop;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void *loop_timer_free(struct loop_timer *t)
{
	if (t) {
		loop_timer_cancel(t);
		free(t);
	}
	return NULL;
}

/* Timers set by a callback wait for the next turn, even with a delay of 0. */
static void run_timers(struct loop *loop)
{
	int64_t now = clock_mono_us(loop->clock);
	size_t most = loop->heap_len;

	while (most-- && loop->heap_len && loop->heap[0]->due_us <= now) {
		struct loop_timer *t = loop->heap[0];

		loop_timer_cancel(t);
		t->fn(t->arg);
	}
}

/* --- descriptors and signals --- */

static void on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd *f = arg;
	struct loop *loop = f->loop; /* f may go */

	begin_turn(loop);
	f->fn(f->arg,
		(what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0));
	/* What is ready besides stays so: timers and urgent ones come between. */
	if (clock_mono_us(loop->clock) >= loop->began_us + BUDGET_US)
		event_base_loopbreak(loop->base);
}

void loop_fd_set(struct loop_fd *f, int events)
{
	short what = EV_PERSIST;

	if (f->events == events)
		return;
	event_del(f->ev);
	f->events = events;
	if (!events)
		return;
	what |= (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0);
	event_assign(f->ev, f->loop->base, f->fd, what, on_fd, f);
	event_priority_set(f->ev, f->is_urgent ? PRIORITY_URGENT : PRIORITY_USUAL);
	event_add(f->ev, NULL);
}

struct loop_fd *loop_fd_new(
	struct loop *loop, int fd, int events, loop_fd_fn fn, void *arg)
{
	struct loop_fd *f = mem_alloc(sizeof(*f));

	f->loop = loop;
	f->fd = fd;
	f->fn = fn;
	f->arg = arg;
	f->ev = event_new(loop->base, fd, EV_PERSIST, on_fd, f);
	if (!f->ev)
		abort();
	loop_fd_set(f, events);
	return f;
}

void loop_fd_hurry(struct loop_fd *f)
{
	int events = f->events;

	f->is_urgent = true;
	loop_fd_set(f, 0);
	loop_fd_set(f, events);
}

void *loop_fd_free(struct loop_fd *f)
{
	if (f) {
		event_free(f->ev);
		free(f);
	}
	return NULL;
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct signal_watch *s = arg;

	begin_turn(s->loop);
	s->fn(s->arg);
}

int loop_on_signal(struct loop *loop, int signo, loop_fn fn, void *arg)
{
	struct signal_watch *s = mem_alloc(sizeof(*s));

	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	s->ev = evsignal_new(loop->base, signo, on_signal, s);
	if (!s->ev || event_priority_set(s->ev, PRIORITY_URGENT) < 0 ||
		event_add(s->ev, NULL) < 0) {
		if (s->ev)
			event_free(s->ev);
		free(s);
		return -ENOMEM;
	}
	list_append(&loop->signals, &s->link);
	return 0;
}

/* --- deferred calls --- */

static struct deferred *enqueue(struct loop *loop, struct list *queue, void *arg)
{
	struct deferred *d = mem_alloc(sizeof(*d));

	d->arg = arg;
	d->round = loop->round;
	list_append(queue, &d->link);
	return d;
}

void loop_defer(struct loop *loop, loop_fn fn, void *arg)
{
	enqueue(loop, &loop->deferred, arg)->fn = fn;
}

void loop_undefer(struct loop *loop, void *arg)
{
	struct deferred *d, *tmp;

	LIST_FOREACH_SAFE (d, tmp, &loop->deferred, link) {
		if (d->arg != arg)
			continue;
		list_remove(&d->link);
		free(d);
	}
}

void loop_bury(struct loop *loop, void *(*free_fn)(void *), void *arg)
{
	enqueue(loop, &loop->graveyard, arg)->free_fn = free_fn;
}

/*
 * Calls that a deferred call defers wait for the next turn, and so do those beyond the
 * budget: nobody can hog the loop.
 */
static void run_deferred(struct loop *loop)
{
	int64_t ends_us = clock_mono_us(loop->clock) + BUDGET_US;
	struct deferred fence = {0};
	struct deferred *d;

	loop->round++;
	list_append(&loop->deferred, &fence.link);
	while (loop->deferred.next != &fence.link) {
		d = LIST_FIRST(&loop->deferred, struct deferred, link);
		list_remove(&d->link);
		d->fn(d->arg);
		free(d);
		if (clock_mono_us(loop->clock) >= ends_us)
			break;
	}
	list_remove(&fence.link);
}

/* --- the turn --- */

static int64_t wait_us(const struct loop *loop, bool may_wait)
{
	int64_t until;

	if (!may_wait || loop->must_stop || !list_is_empty(&loop->deferred))
		return 0;
	if (!loop->heap_len)
		return IDLE_MS * USEC_PER_MSEC;
	until = loop->heap[0]->due_us - clock_mono_us(loop->clock);
	if (until < 0)
		return 0;
	return until < IDLE_MS * USEC_PER_MSEC ? until : IDLE_MS * USEC_PER_MSEC;
}

void loop_turn(struct loop *loop, bool may_wait)
{
	int64_t us = wait_us(loop, may_wait);
	struct timeval tv = {us / USEC_PER_SEC, us % USEC_PER_SEC};

	if (us > 0)
		evtimer_add(loop->wake, &tv);
	loop->began_us = -1;
	event_base_loop(loop->base, EVLOOP_ONCE | (us > 0 ? 0 : EVLOOP_NONBLOCK));
	begin_turn(loop);
	run_timers(loop);
	run_deferred(loop);
	bury(loop);
	end_turn(loop);
}

void loop_run(struct loop *loop)
{
	loop->must_stop = false;
	while (!loop->must_stop)
		loop_turn(loop, true);
}

void loop_stop(struct loop *loop)
{
	loop->must_stop = true;
}
