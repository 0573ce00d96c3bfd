/*
 * Intrusive doubly linked list with a sentinel head. The list owns nothing; a child
 * unlinks itself from its parent in its own _free().
 */
#pragma once

#include <stdbool.h>

#include "base/mem.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void list_prepend(struct list *head, struct list *item)
{
	list_append(head->next, item);
}

/* Safe to call twice, and on an item that was list_init()ed but never linked. */
static inline void list_remove(struct list *item)
{
	if (!item->next)
		return;
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

/* Move all items of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define LIST_ENTRY(item, type, member) CONTAINER_OF(item, type, member)
#define LIST_FIRST(head, type, member)                                                   \
	(list_is_empty(head) ? NULL : LIST_ENTRY((head)->next, type, member))
#define LIST_FOREACH(var, head, member)                                                  \
	for (var = LIST_ENTRY((head)->next, __typeof__(*var), member);                   \
	     &var->member != (head);                                                     \
	     var = LIST_ENTRY(var->member.next, __typeof__(*var), member))
/* The loop body may unlink and free var. */
#define LIST_FOREACH_SAFE(var, tmp, head, member)                                        \
	for (var = LIST_ENTRY((head)->next, __typeof__(*var), member),                   \
	    tmp = LIST_ENTRY(var->member.next, __typeof__(*var), member);                \
	     &var->member != (head);                                                     \
	     var = tmp, tmp = LIST_ENTRY(var->member.next, __typeof__(*var), member))
