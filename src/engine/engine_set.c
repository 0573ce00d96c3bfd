/*
 * One engine behind two mailboxes, on the core's own loop. A second thread would change
 * this file alone.
 */
#include "config.h"

#include "engine/engine_set.h"

#include <stdio.h>
#include <stdlib.h>

#include "aws/creds.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "net/mailbox.h"

#define WAITING_MAX (1 << 20) /* runs bound what they dispatch: never reached */

struct engine_set {
	struct engine *engine;
	struct mailbox *down, *up;
	engine_ev_fn fn;
	void *arg;
	bool is_closing;
};

static void on_cmd(void *arg, const void *msg)
{
	struct engine_set *set = arg;

	engine_take(set->engine, msg);
}

static void on_ev(void *arg, const void *msg)
{
	struct engine_set *set = arg;
	const struct engine_ev *ev = msg;

	if (set->is_closing) {
		free(ev->result);
		free(ev->upload);
	} else {
		set->fn(set->arg, ev);
	}
}

static void send_up(void *arg, const struct engine_ev *ev)
{
	struct engine_set *set = arg;

	if (mailbox_send(set->up, ev) < 0 && ev->type != ENGINE_EV_PROGRESS)
		abort(); /* an end that is not told would hang its run */
}

struct engine_set *engine_set_new(struct loop *loop, struct http *http,
	const struct engine_options *options, engine_ev_fn fn, void *arg)
{
	struct engine_set *set = mem_alloc(sizeof(*set));

	set->fn = fn;
	set->arg = arg;
	set->down = mailbox_new(loop, sizeof(struct engine_cmd), WAITING_MAX, on_cmd, set);
	set->up = mailbox_new(loop, sizeof(struct engine_ev), WAITING_MAX, on_ev, set);
	if (!set->down || !set->up) {
		mailbox_free(set->down);
		mailbox_free(set->up);
		free(set);
		return NULL;
	}
	set->engine = engine_new(loop, http, options, send_up, set);
	return set;
}

void *engine_set_free(struct engine_set *set)
{
	if (!set)
		return NULL;
	set->is_closing = true;
	/* What the messages point to is freed on delivery. */
	mailbox_flush(set->down);
	mailbox_flush(set->up);
	engine_free(set->engine);
	mailbox_free(set->down);
	mailbox_free(set->up);
	free(set);
	return NULL;
}

void engine_set_send(struct engine_set *set, const struct engine_cmd *cmd)
{
	if (mailbox_send(set->down, cmd) < 0)
		abort();
}
