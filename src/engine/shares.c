/* Weighted fair sharing by counting. Not what a slot is. */
#include "config.h"

#include "engine/shares.h"

#include <stdlib.h>

#include "base/mem.h"

struct share *shares_join(struct list *shares, uint64_t tag, int weight)
{
	struct share *s;

	LIST_FOREACH (s, shares, link) {
		if (s->tag == tag) {
			s->members++;
			return s;
		}
	}
	s = mem_alloc(sizeof(*s));
	s->tag = tag;
	s->weight = weight > 0 ? weight : 1;
	s->members = 1;
	list_append(shares, &s->link);
	return s;
}

void shares_leave(struct share *s)
{
	if (--s->members)
		return;
	list_remove(&s->link);
	free(s);
}

bool share_is_before(const struct share *a, const struct share *b)
{
	int64_t x = (int64_t)a->used * b->weight, y = (int64_t)b->used * a->weight;

	return x != y ? x < y : a->weight > b->weight;
}

void shares_begin_round(struct list *shares)
{
	struct share *s;

	LIST_FOREACH (s, shares, link)
		s->is_stuck = false;
}
