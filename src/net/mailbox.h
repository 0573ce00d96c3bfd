/*
 * Messages by value between two loops, or between two parts on one loop: a queue under a
 * mutex and an eventfd. Bounded: the sender learns when it is full.
 * Any thread may send; the receiver's thread creates, frees and gets the callbacks.
 */
#pragma once

#include <stddef.h>

struct loop;
struct mailbox;

/* msg is valid during the call only. */
typedef void (*mailbox_fn)(void *arg, const void *msg);

/*
 * msg_size bytes are copied per message; at most max_messages wait. NULL when the kernel
 * refuses an eventfd. Messages are delivered in order, never inside mailbox_send().
 */
struct mailbox *mailbox_new(struct loop *receiver, size_t msg_size, size_t max_messages,
	mailbox_fn fn, void *arg);
/* Messages still inside are dropped. */
void *mailbox_free(struct mailbox *m);

/* 0, or -ENOBUFS when full. */
int mailbox_send(struct mailbox *m, const void *msg);
/* Deliver what waits now, in the receiver's thread: before freeing, so that none is lost. */
void mailbox_flush(struct mailbox *m);
