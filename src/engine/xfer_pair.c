/* The list of pairs: a few, searched in order. What they mean is decided by transfers. */
#include "config.h"

#include "engine/xfer_pair.h"

#include <stdlib.h>

#include "base/mem.h"

struct xfer_pair *xfer_pair_get(struct list *pairs, uint32_t source, uint32_t destination)
{
	struct xfer_pair *p;

	LIST_FOREACH (p, pairs, link)
		if (p->source == source && p->destination == destination)
			return p;
	p = mem_alloc(sizeof(*p));
	p->source = source;
	p->destination = destination;
	list_append(pairs, &p->link);
	return p;
}

static void drop(struct xfer_pair *p)
{
	list_remove(&p->link);
	free(p);
}

void xfer_pair_forget(struct list *pairs, uint32_t creds_id)
{
	struct xfer_pair *p, *next;

	LIST_FOREACH_SAFE (p, next, pairs, link)
		if (p->source == creds_id || p->destination == creds_id)
			drop(p);
}

void xfer_pair_forget_all(struct list *pairs)
{
	while (!list_is_empty(pairs))
		drop(LIST_FIRST(pairs, struct xfer_pair, link));
}
