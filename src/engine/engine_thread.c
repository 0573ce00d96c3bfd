/* A thread around an engine: its birth, its mailbox, its end. How objects move is not
 * here. */
#include "config.h"

#include "engine/engine_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/mailbox.h"

struct engine_thread {
	pthread_t thread;
	bool is_running;
	struct loop *loop;
	struct http *http;
	struct engine *engine;
	struct mailbox *down;
	struct mailbox *up; /* borrowed */
};

static void on_cmd(void *arg, const void *msg)
{
	struct engine_thread *t = arg;
	const struct engine_cmd *cmd = msg;

	if (cmd->type == ENGINE_CMD_STOP)
		loop_stop(t->loop);
	else
		engine_take(t->engine, cmd);
}

static void send_up(void *arg, const struct engine_ev *ev)
{
	struct engine_thread *t = arg;

	engine_set_post(t->up, ev);
}

static void *run(void *arg)
{
	struct engine_thread *t = arg;

	loop_run(t->loop);
	t->engine = engine_free(t->engine);
	t->http = http_free(t->http); /* ends what still moves */
	return NULL;
}

static int start(struct engine_thread *t)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&t->thread, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	t->is_running = r == 0;
	if (r == 0)
		pthread_setname_np(t->thread, "engine");
	return r;
}

struct engine_thread *engine_thread_new(const struct clock *clock,
	const struct engine_options *options, struct mailbox *up)
{
	struct http_options http = {.user_agent = options->user_agent,
		.https_proxy = options->https_proxy,
		.http_proxy = options->http_proxy,
		.no_proxy = options->no_proxy};
	struct engine_thread *t = mem_alloc(sizeof(*t));
	int r = 0;

	t->up = up;
	t->loop = loop_new(clock);
	if (t->loop)
		t->down = mailbox_new(t->loop, sizeof(struct engine_cmd),
			ENGINE_WAITING_MAX, on_cmd, t);
	if (!t->down)
		r = errno;
	if (r == 0) {
		t->http = http_new(t->loop, &http);
		t->engine = engine_new(t->loop, t->http, options, send_up, t);
		r = t->engine ? start(t) : errno;
	}
	if (r == 0)
		return t;
	engine_thread_free(t);
	errno = r;
	return NULL;
}

void engine_thread_send(struct engine_thread *t, const struct engine_cmd *cmd)
{
	if (mailbox_send(t->down, cmd) < 0)
		abort();
}

void *engine_thread_free(struct engine_thread *t)
{
	const struct engine_cmd stop = {.type = ENGINE_CMD_STOP};

	if (!t)
		return NULL;
	if (t->is_running) {
		engine_thread_send(t, &stop);
		pthread_join(t->thread, NULL);
	}
	engine_free(t->engine);
	http_free(t->http);
	mailbox_free(t->down);
	loop_free(t->loop);
	free(t);
	return NULL;
}
