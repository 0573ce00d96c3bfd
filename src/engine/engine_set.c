/*
 * One engine on the core's own loop, or several in threads of their own, behind
 * mailboxes. Which of them moves an object is decided here; how, is the engine's. One
 * engine needs no thread: the hand-over would cost and win nothing.
 */
#include "config.h"

#include "engine/engine_set.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/bandwidth.h"
#include "engine/engine.h"
#include "engine/engine_thread.h"
#include "net/loop.h"
#include "net/mailbox.h"

#define DIVIDE_MS     250
#define BANDWIDTH_MIN 1024 /* an engine without work has to be able to begin */

/* A limit of bandwidth, of a run or of everything, and who works on what it limits. */
struct limit {
	struct list link;
	uint64_t tag;
	int64_t bytes_s;
	size_t transfers[ENGINES_MAX]; /* of each engine */
	int64_t sent[ENGINES_MAX];
};

/* One of the engines, as the core sees it. */
struct seat {
	struct engine_set *set;
	struct mailbox *up;
	struct engine_thread
		*thread; /* NULL: the engine is on the core's loop, and ... */
	struct engine *engine;
	struct mailbox *down;
	size_t transfers; /* given to it and not yet at their end */
	uint64_t sent_again, in_flight; /* as of its newest event */
};

/* A bucket that asks for less. */
struct rate_seen {
	struct list link;
	struct engine_rate rate;
};

struct engine_set {
	struct seat *seats;
	size_t count;
	struct list rates; /* of struct rate_seen */
	struct list limits;
	struct loop_timer *divide; /* set while limits are divided over working engines */
	engine_ev_fn fn;
	void *arg;
	bool is_closing;
};

void engine_set_post(struct mailbox *up, const struct engine_ev *ev)
{
	if (mailbox_send(up, ev) < 0 && ev->type != ENGINE_EV_PROGRESS)
		abort(); /* an end that is not told would hang its run */
}

static void on_cmd(void *arg, const void *msg)
{
	struct seat *s = arg;

	engine_take(s->engine, msg);
}

static void send(struct seat *s, const struct engine_cmd *cmd);

static void log_rate(const struct engine_rate *r)
{
	const char *where = *r->endpoint_url ? r->endpoint_url : "AWS";

	if (r->is_slowed)
		log_notice(NULL,
			"bucket %s at %s asks for less: nothing starts there for %lld "
			"ms, then %d at once",
			r->bucket, where, (long long)r->hold_ms, r->at_once);
	else
		log_notice(NULL, "bucket %s at %s serves as before", r->bucket, where);
}

static struct rate_seen *find_rate(struct engine_set *set, const struct engine_rate *rate)
{
	struct rate_seen *seen;

	LIST_FOREACH (seen, &set->rates, link)
		if (strcmp(seen->rate.bucket, rate->bucket) == 0 &&
			strcmp(seen->rate.endpoint_url, rate->endpoint_url) == 0)
			return seen;
	return NULL;
}

/* What one engine was told goes for all. Its first word is worth a line, and its last. */
static void take_rate(struct seat *from, struct engine_rate *rate)
{
	struct engine_set *set = from->set;
	struct rate_seen *seen = find_rate(set, rate);
	struct engine_cmd cmd = {.type = ENGINE_CMD_RATE};

	if (!set->is_closing && rate->is_slowed != (seen != NULL))
		log_rate(rate);
	if (!seen) {
		seen = mem_alloc(sizeof(*seen));
		list_append(&set->rates, &seen->link);
	}
	seen->rate = *rate;
	if (!rate->is_slowed) {
		list_remove(&seen->link);
		free(seen);
	}
	for (size_t i = 0; rate->is_slowed && i < set->count; i++) {
		if (&set->seats[i] == from || set->is_closing)
			continue;
		cmd.rate = mem_alloc(sizeof(*cmd.rate));
		*cmd.rate = *rate;
		send(&set->seats[i], &cmd);
	}
	free(rate);
}

/* --- bandwidth: each engine gets what its transfers are of all, several times a second --- */

static void divide(struct engine_set *set, struct limit *l)
{
	struct engine_cmd cmd = {.type = ENGINE_CMD_BANDWIDTH, .id = l->tag};
	size_t all = 0;

	for (size_t i = 0; i < set->count; i++)
		all += l->transfers[i];
	for (size_t i = 0; i < set->count; i++) {
		size_t own = all ? l->transfers[i] : 1, of = all ? all : set->count;

		cmd.bytes_s = l->bytes_s * (int64_t)own / (int64_t)of;
		if (l->bytes_s && cmd.bytes_s < BANDWIDTH_MIN)
			cmd.bytes_s = BANDWIDTH_MIN;
		if (cmd.bytes_s == l->sent[i])
			continue;
		l->sent[i] = cmd.bytes_s;
		send(&set->seats[i], &cmd);
	}
}

static void on_divide(void *arg)
{
	struct engine_set *set = arg;
	bool is_working = false;
	struct limit *l;

	LIST_FOREACH (l, &set->limits, link)
		divide(set, l);
	for (size_t i = 0; i < set->count; i++)
		is_working = is_working || set->seats[i].transfers;
	if (is_working && !list_is_empty(&set->limits))
		loop_timer_set(set->divide, DIVIDE_MS);
}

static void count_limits(struct seat *s, uint64_t tag, bool is_begun)
{
	struct engine_set *set = s->set;
	size_t i = (size_t)(s - set->seats);
	struct limit *l;

	LIST_FOREACH (l, &set->limits, link) {
		if (l->tag != BANDWIDTH_ALL && l->tag != tag)
			continue;
		if (is_begun)
			l->transfers[i]++;
		else if (l->transfers[i])
			l->transfers[i]--;
	}
	if (set->count > 1 && !list_is_empty(&set->limits) &&
		!loop_timer_is_set(set->divide))
		loop_timer_set(set->divide, 0);
}

static struct limit *find_limit(struct engine_set *set, uint64_t tag)
{
	struct limit *l;

	LIST_FOREACH (l, &set->limits, link)
		if (l->tag == tag)
			return l;
	return NULL;
}

void engine_set_limit(struct engine_set *set, uint64_t tag, int64_t bytes_s)
{
	struct limit *l = find_limit(set, tag);

	if (!l && !bytes_s)
		return;
	if (!l) {
		l = mem_alloc(sizeof(*l));
		l->tag = tag;
		for (size_t i = 0; tag == BANDWIDTH_ALL && i < set->count; i++)
			l->transfers[i] = set->seats[i].transfers;
		list_append(&set->limits, &l->link);
	}
	l->bytes_s = bytes_s;
	divide(set, l);
	if (bytes_s)
		return;
	list_remove(&l->link);
	free(l);
}

int64_t engine_set_get_limit(const struct engine_set *set, uint64_t tag)
{
	const struct limit *l = find_limit((struct engine_set *)set, tag);

	return l ? l->bytes_s : 0;
}

size_t engine_set_count(const struct engine_set *set)
{
	return set->count;
}

size_t engine_set_transfers(const struct engine_set *set)
{
	size_t sum = 0;

	for (size_t i = 0; i < set->count; i++)
		sum += set->seats[i].transfers;
	return sum;
}

uint64_t engine_set_sent_again(const struct engine_set *set)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < set->count; i++)
		sum += set->seats[i].sent_again;
	return sum;
}

uint64_t engine_set_in_flight(const struct engine_set *set)
{
	uint64_t sum = 0;

	/* The last event of all was sent before its buffers were free. */
	for (size_t i = 0; i < set->count; i++)
		if (set->seats[i].transfers)
			sum += set->seats[i].in_flight;
	return sum;
}

void engine_set_each_slowed(const struct engine_set *set, engine_rate_fn fn, void *arg)
{
	const struct rate_seen *seen;

	LIST_FOREACH (seen, &set->rates, link)
		fn(arg, &seen->rate);
}

/* --- events --- */

static void on_ev(void *arg, const void *msg)
{
	struct seat *s = arg;
	struct engine_set *set = s->set;
	const struct engine_ev *ev = msg;

	s->sent_again = ev->sent_again;
	s->in_flight = ev->in_flight;
	if (ev->type == ENGINE_EV_DONE) {
		s->transfers--;
		count_limits(s, ev->tag, false);
	}
	if (ev->type == ENGINE_EV_RATE) {
		take_rate(s, ev->rate);
		return;
	}
	if (set->is_closing) {
		free(ev->result);
		free(ev->upload);
		free(ev->endpoint_url);
	} else {
		set->fn(set->arg, ev);
	}
}

static void send_up(void *arg, const struct engine_ev *ev)
{
	struct seat *s = arg;

	engine_set_post(s->up, ev);
}

/* --- commands --- */

static void send(struct seat *s, const struct engine_cmd *cmd)
{
	if (s->thread)
		engine_thread_send(s->thread, cmd);
	else if (mailbox_send(s->down, cmd) < 0)
		abort();
}

/* The parts of a large object stay where it is. */
static struct seat *least_loaded(struct engine_set *set)
{
	struct seat *least = set->seats;

	for (size_t i = 1; i < set->count; i++)
		if (set->seats[i].transfers < least->transfers)
			least = &set->seats[i];
	return least;
}

static void send_creds(struct engine_set *set, const struct engine_cmd *cmd)
{
	struct engine_cmd own = *cmd;

	for (size_t i = 1; i < set->count; i++) {
		own.creds = mem_secret_alloc(sizeof(*own.creds));
		*own.creds = *cmd->creds;
		send(&set->seats[i], &own);
	}
	send(&set->seats[0], cmd);
}

void engine_set_send(struct engine_set *set, const struct engine_cmd *cmd)
{
	struct seat *s;

	switch (cmd->type) {
	case ENGINE_CMD_XFER:
	case ENGINE_CMD_REMOVE:
		s = least_loaded(set);
		s->transfers++;
		count_limits(s,
			cmd->type == ENGINE_CMD_XFER ? cmd->xfer->tag : cmd->removal->tag,
			true);
		send(s, cmd);
		return;
	case ENGINE_CMD_CREDS:
		send_creds(set, cmd);
		return;
	default: /* of a transfer: those that do not have it ignore it */
		for (size_t i = 0; i < set->count; i++)
			send(&set->seats[i], cmd);
		return;
	}
}

/* --- life --- */

static size_t count_engines(int wanted)
{
	cpu_set_t cpus;

	if (wanted < 0)
		wanted = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus)
									: 1;
	if (wanted > ENGINES_MAX)
		wanted = ENGINES_MAX;
	return wanted > 1 ? (size_t)wanted : 1;
}

static bool open_seat(struct seat *s, struct loop *loop, struct http *http,
	const struct engine_options *options)
{
	struct engine_options own = *options;

	own.engines = (int)s->set->count;
	own.buffer_bytes /= s->set->count;
	s->up = mailbox_new(loop, sizeof(struct engine_ev), ENGINE_WAITING_MAX, on_ev, s);
	if (!s->up)
		return false;
	if (s->set->count > 1) {
		s->thread = engine_thread_new(loop_clock(loop), &own, s->up);
		return s->thread;
	}
	s->down = mailbox_new(
		loop, sizeof(struct engine_cmd), ENGINE_WAITING_MAX, on_cmd, s);
	if (s->down)
		s->engine = engine_new(loop, http, &own, send_up, s);
	return s->engine;
}

struct engine_set *engine_set_new(struct loop *loop, struct http *http,
	const struct engine_options *options, engine_ev_fn fn, void *arg)
{
	struct engine_set *set = mem_alloc(sizeof(*set));

	list_init(&set->rates);
	list_init(&set->limits);
	set->divide = loop_timer_new(loop, on_divide, set);
	set->fn = fn;
	set->arg = arg;
	set->count = count_engines(options->engines);
	set->seats = mem_array(set->count, sizeof(*set->seats));
	for (size_t i = 0; i < set->count; i++) {
		set->seats[i].set = set;
		if (!open_seat(&set->seats[i], loop, http, options))
			return engine_set_free(set);
	}
	return set;
}

static void close_seat(struct seat *s)
{
	engine_thread_free(s->thread);
	/* What the messages point to is freed on delivery. */
	if (s->down)
		mailbox_flush(s->down);
	if (s->up)
		mailbox_flush(s->up);
	engine_free(s->engine);
	mailbox_free(s->down);
	mailbox_free(s->up);
}

void *engine_set_free(struct engine_set *set)
{
	if (!set)
		return NULL;
	set->is_closing = true;
	for (size_t i = 0; i < set->count; i++)
		close_seat(&set->seats[i]);
	while (!list_is_empty(&set->rates)) {
		struct rate_seen *seen = LIST_FIRST(&set->rates, struct rate_seen, link);

		list_remove(&seen->link);
		free(seen);
	}
	while (!list_is_empty(&set->limits)) {
		struct limit *l = LIST_FIRST(&set->limits, struct limit, link);

		list_remove(&l->link);
		free(l);
	}
	loop_timer_free(set->divide);
	free(set->seats);
	free(set);
	return NULL;
}
