/* A binary heap whose items know their place. Not when an entry wakes (sched.c). */
#include "config.h"

#include "sched/heap.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"

static bool is_before(const struct entry *a, const struct entry *b)
{
	if (a->wake_s != b->wake_s)
		return a->wake_s < b->wake_s;
	if (a->next.at_s != b->next.at_s)
		return a->next.at_s < b->next.at_s;
	return strcmp(a->job->name, b->job->name) < 0;
}

static void set(struct heap *h, size_t i, struct entry *e)
{
	h->items[i] = e;
	e->heap_index = i;
	h->steps++;
}

static void up(struct heap *h, size_t i)
{
	struct entry *e = h->items[i];

	for (; i > 0 && is_before(e, h->items[(i - 1) / 2]); i = (i - 1) / 2)
		set(h, i, h->items[(i - 1) / 2]);
	set(h, i, e);
}

static void down(struct heap *h, size_t i)
{
	struct entry *e = h->items[i];
	size_t child;

	while ((child = 2 * i + 1) < h->count) {
		if (child + 1 < h->count &&
			is_before(h->items[child + 1], h->items[child]))
			child++;
		if (!is_before(h->items[child], e))
			break;
		set(h, i, h->items[child]);
		i = child;
	}
	set(h, i, e);
}

void heap_init(struct heap *h, size_t room)
{
	h->items = mem_array(room + 1, sizeof(struct entry *));
	h->count = 0;
}

void heap_done(struct heap *h)
{
	free(h->items);
	h->items = NULL;
	h->count = 0;
}

void heap_add(struct heap *h, struct entry *e)
{
	set(h, h->count++, e);
	up(h, e->heap_index);
}

void heap_remove(struct heap *h, struct entry *e)
{
	size_t i = e->heap_index;

	if (i == NOT_IN_HEAP)
		return;
	e->heap_index = NOT_IN_HEAP;
	if (i == --h->count)
		return;
	set(h, i, h->items[h->count]);
	up(h, i);
	down(h, h->items[i]->heap_index);
}
