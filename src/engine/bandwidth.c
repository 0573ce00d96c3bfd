/* Token buckets on the loop's clock, and the queue before them. Not the hours (conf). */
#include "config.h"

#include "engine/bandwidth.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/loop.h"

#define TICK_MS 20
#define BURST_S 0.1
#define LEAST   (16 << 10) /* what one that waited may take before others: a piece */

struct meter {
	struct list link;
	uint64_t tag;
	double bytes_s, tokens, promised; /* promised: to those resumed in this tick */
	int64_t filled_us;
};

struct bandwidth {
	struct loop *loop;
	struct loop_timer *timer; /* set while somebody waits */
	struct list meters, waiting;
	bool is_contended; /* several waited for this tick: each has its share of it */
	void (*resume)(void *arg, struct flow *f);
	void *arg;
};

static void on_tick(void *arg);

struct bandwidth *bandwidth_new(
	struct loop *loop, void (*resume)(void *arg, struct flow *f), void *arg)
{
	struct bandwidth *b = mem_alloc(sizeof(*b));

	b->loop = loop;
	b->resume = resume;
	b->arg = arg;
	b->timer = loop_timer_new(loop, on_tick, b);
	list_init(&b->meters);
	list_init(&b->waiting);
	return b;
}

static void drop(struct meter *m)
{
	list_remove(&m->link);
	free(m);
}

void *bandwidth_free(struct bandwidth *b)
{
	if (!b)
		return NULL;
	while (!list_is_empty(&b->meters))
		drop(LIST_FIRST(&b->meters, struct meter, link));
	loop_timer_free(b->timer);
	free(b);
	return NULL;
}

static struct meter *find(struct bandwidth *b, uint64_t tag)
{
	struct meter *m;

	LIST_FOREACH (m, &b->meters, link)
		if (m->tag == tag)
			return m;
	return NULL;
}

static int64_t now_us(const struct bandwidth *b)
{
	return clock_mono_us(loop_clock(b->loop));
}

static void fill(struct meter *m, int64_t now)
{
	m->tokens += m->bytes_s * (double)(now - m->filled_us) / USEC_PER_SEC;
	if (m->tokens > m->bytes_s * BURST_S)
		m->tokens = m->bytes_s * BURST_S;
	m->filled_us = now;
}

void bandwidth_set(struct bandwidth *b, uint64_t tag, int64_t bytes_s)
{
	struct meter *m = find(b, tag);

	if (m && bytes_s <= 0) {
		drop(m);
		return;
	}
	if (bytes_s <= 0)
		return;
	if (!m) {
		m = mem_alloc(sizeof(*m));
		m->tag = tag;
		m->filled_us = now_us(b);
		list_append(&b->meters, &m->link);
	}
	fill(m, now_us(b));
	m->bytes_s = (double)bytes_s;
}

static bool is_of(const struct meter *m, uint64_t tag)
{
	return m->tag == BANDWIDTH_ALL || m->tag == tag;
}

static bool has_tokens(struct bandwidth *b, uint64_t tag)
{
	int64_t now = now_us(b);
	struct meter *m;

	LIST_FOREACH (m, &b->meters, link) {
		if (!is_of(m, tag))
			continue;
		fill(m, now);
		if (m->tokens <= m->promised)
			return false;
	}
	return true;
}

bool bandwidth_may(struct bandwidth *b, struct flow *f, uint64_t tag)
{
	bool is_turn = !b->is_contended || f->left > 0;

	if (list_is_empty(&b->meters) || (is_turn && has_tokens(b, tag)))
		return true;
	f->tag = tag;
	list_remove(&f->waiting);
	list_append(&b->waiting, &f->waiting);
	if (!loop_timer_is_set(b->timer))
		loop_timer_set(b->timer, TICK_MS);
	return false;
}

void bandwidth_spend(struct bandwidth *b, struct flow *f, uint64_t tag, size_t bytes)
{
	struct meter *m;

	f->left -= (int64_t)bytes;

	LIST_FOREACH (m, &b->meters, link)
		if (is_of(m, tag))
			m->tokens -= (double)bytes;
}

static void promise(struct bandwidth *b, uint64_t tag, double bytes)
{
	struct meter *m;

	LIST_FOREACH (m, &b->meters, link)
		if (is_of(m, tag))
			m->promised += bytes;
}

static void forget_promises(struct bandwidth *b)
{
	struct meter *m;

	LIST_FOREACH (m, &b->meters, link)
		m->promised = 0;
}

/*
 * An equal share of what there is now for each that waits. What those cannot use whose
 * own limit is lower stays, and makes the shares of the next tick larger.
 */
static int64_t share_of(const struct bandwidth *b, uint64_t tag, int waiting)
{
	double least = 0;
	const struct meter *m;

	LIST_FOREACH (m, &b->meters, link)
		if (is_of(m, tag) && (least <= 0 || m->tokens < least))
			least = m->tokens;
	return least / waiting > LEAST ? (int64_t)(least / waiting) : LEAST;
}

/* As many as there are tokens for; the others keep their places. */
static void on_tick(void *arg)
{
	struct bandwidth *b = arg;
	struct flow *f, *tmp;
	struct list resumed;
	int waiting = 0;

	list_init(&resumed);
	LIST_FOREACH (f, &b->waiting, waiting)
		waiting++;
	b->is_contended = waiting > 1;
	LIST_FOREACH_SAFE (f, tmp, &b->waiting, waiting) {
		if (!has_tokens(b, f->tag))
			continue;
		/* A piece may be more than the share: it has to be waited for. */
		f->left = (f->left < 0 ? f->left : 0) + share_of(b, f->tag, waiting);
		if (f->left <= 0)
			continue;
		promise(b, f->tag, (double)f->left);
		list_remove(&f->waiting);
		list_append(&resumed, &f->waiting);
	}
	forget_promises(b);
	while ((f = LIST_FIRST(&resumed, struct flow, waiting))) {
		list_remove(&f->waiting);
		b->resume(b->arg, f);
	}
	if (!list_is_empty(&b->waiting))
		loop_timer_set(b->timer, TICK_MS);
}
