/* What all listers share: the way to their implementation. No listing here. */
#include "config.h"

#include "engine/lister.h"

#include "base/err.h"
#include "base/str.h"

void lister_start(struct lister *l, void (*on_change)(void *arg), void *arg)
{
	l->on_change = on_change;
	l->arg = arg;
	l->ops->start(l);
}

enum lister_state lister_peek(struct lister *l, const struct lister_entry **ret_entry)
{
	return l->ops->peek(l, ret_entry);
}

void lister_pop(struct lister *l)
{
	l->ops->pop(l);
}

const struct err *lister_error(const struct lister *l)
{
	return l->ops->error(l);
}

void lister_get_stats(const struct lister *l, struct lister_stats *ret)
{
	l->ops->stats(l, ret);
}

const char *lister_mark(const struct lister_entry *e)
{
	return *e->etag ? e->etag : e->version;
}

void *lister_free(struct lister *l)
{
	if (l)
		l->ops->free(l);
	return NULL;
}

bool lister_is_lie(const struct err *e)
{
	return e->origin == ERR_FROM_S3 && str_has_prefix(e->code, "listing-");
}
