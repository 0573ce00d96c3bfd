/* Slots, queue and credential sets of one engine. How an object moves is xfer.c's. */
#include "config.h"

#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/sigv4.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/remove.h"
#include "engine/turns.h"
#include "engine/xfer.h"
#include "engine/xfer_pair.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/pool.h"
#include "s3/regions.h"

#define TRANSFERS    32
#define PART_BYTES   (INT64_C(16) << 20)
#define PARTS        32 /* of all large objects together */
#define TELLERS      16
#define FILE_THREADS 3
#define BUFFER_BYTES (16 << 20)
#define RING_MIN     (256 << 10)
#define RING_MAX     (4 << 20)
#define THROTTLED_MAX_MS 30000

struct creds_slot {
	struct list link;
	uint32_t id;
	struct creds_set *set; /* NULL: asked for, not there yet */
	bool is_asked;
	uint64_t asked_generation;
};

struct engine {
	struct xfer_env env; /* lent to the transfers */
	struct list active, queue, creds, pairs, removals;
	int active_count, max_active, part_count;
	struct skews *skews;
	struct turns *turns;
	char *tellers[TELLERS]; /* endpoints that answer uploads with CRC64NVME */
	bool is_closing, is_start_due;
	void (*emit)(void *arg, const struct engine_ev *ev);
	void *arg;
};

/* --- credentials --- */

static struct creds_slot *find_creds(struct engine *e, uint32_t id)
{
	struct creds_slot *s;

	LIST_FOREACH (s, &e->creds, link)
		if (s->id == id)
			return s;
	return NULL;
}

static void drop_set(struct creds_slot *s)
{
	if (!s->set)
		return;
	s->set = mem_secret_free(s->set);
}

static void forget(struct creds_slot *s)
{
	if (!s)
		return;
	drop_set(s);
	list_remove(&s->link);
	free(s);
}

static struct creds_slot *want_creds(struct engine *e, uint32_t id)
{
	struct creds_slot *s = find_creds(e, id);

	if (s)
		return s;
	s = mem_alloc(sizeof(*s));
	s->id = id;
	list_append(&e->creds, &s->link);
	return s;
}

static const struct creds_set *get_creds(void *arg, uint32_t id)
{
	struct creds_slot *s = find_creds(arg, id);

	return s ? s->set : NULL;
}

/* Many transfers meet the end of the same session: one question is enough. */
static void need_creds(void *arg, uint32_t id, uint64_t generation)
{
	struct engine *e = arg;
	struct creds_slot *s = want_creds(e, id);
	struct engine_ev ev = {.type = ENGINE_EV_NEED_CREDS, .creds_id = id,
		.generation = generation};

	if (e->is_closing || (s->is_asked && s->asked_generation == generation))
		return;
	s->is_asked = true;
	s->asked_generation = generation;
	e->emit(e->arg, &ev);
}

static void wake_removals(struct engine *e, uint32_t id)
{
	struct list woken, *link;

	list_init(&woken);
	list_splice(&woken, &e->removals);
	while (!list_is_empty(&woken)) {
		link = woken.next;
		list_remove(link);
		list_append(&e->removals, link);
		removal_wake(removal_from_link(link), id);
	}
}

static void take_creds(struct engine *e, uint32_t id, struct creds_set *set)
{
	struct creds_slot *s = want_creds(e, id);
	struct list woken, *link;

	drop_set(s);
	s->set = mem_secret_alloc(sizeof(*s->set));
	*s->set = *set;
	creds_set_wipe(set);
	free(set);
	s->is_asked = false;
	/* Waking may end a transfer, which changes the list. */
	list_init(&woken);
	list_splice(&woken, &e->active);
	while (!list_is_empty(&woken)) {
		link = woken.next;
		list_remove(link);
		list_append(&e->active, link);
		xfer_wake(xfer_from_link(link), id);
	}
	wake_removals(e, id);
}

/* --- slots --- */

/* Whoever waits for slots gets some, the one that waited longest first. */
static void pump_parts(struct engine *e)
{
	struct list waiting, *link;

	list_init(&waiting);
	list_splice(&waiting, &e->active);
	while (!list_is_empty(&waiting)) {
		link = waiting.next;
		list_remove(link);
		list_append(&e->active, link);
		xfer_pump(xfer_from_link(link));
	}
}

static void start_due(void *arg)
{
	struct engine *e = arg;
	struct list *link, *next;
	struct turn *turn;

	e->is_start_due = false;
	while ((turn = turns_next(e->turns)))
		xfer_run_on(xfer_from_turn(turn));
	pump_parts(e);
	for (link = e->queue.next; link != &e->queue; link = next) {
		struct xfer *x = xfer_from_link(link);

		next = link->next;
		if (e->active_count == e->max_active)
			return;
		if (!turns_take(e->turns, xfer_turn(x), xfer_spec(x)))
			continue;
		list_remove(link);
		list_append(&e->active, link);
		e->active_count++;
		xfer_start(x);
	}
}

static void *release(void *arg)
{
	struct engine *e = arg;
	struct creds_slot *s;

	while (!list_is_empty(&e->queue))
		xfer_free(xfer_from_link(e->queue.next));
	while ((s = LIST_FIRST(&e->creds, struct creds_slot, link)))
		forget(s);
	xfer_pair_forget_all(&e->pairs);
	pool_free(e->env.pool);
	turns_free(e->turns);
	for (size_t i = 0; i < TELLERS; i++)
		free(e->tellers[i]);
	skews_free(e->skews);
	s3_regions_free(e->env.regions);
	sigv4_memos_wipe(e->env.memos);
	free(e->env.memos);
	free(e);
	return NULL;
}

/* The core tells it, once for all engines: at the first request after it was learned. */
static struct skew *get_skew(void *arg, const char *endpoint_url)
{
	struct engine *e = arg;
	struct skew *skew = skews_of(e->skews, endpoint_url);
	struct engine_ev ev = {.type = ENGINE_EV_CLOCK};

	if (skew && skew_is_news(skew) && !e->is_closing) {
		ev.total = skew->us;
		ev.endpoint_url = mem_strdup(endpoint_url);
		e->emit(e->arg, &ev);
	}
	return skew;
}

static void start_later(struct engine *e);
static void on_event(void *arg, const struct engine_ev *ev);

/* Its own turn ends with the first of its parts: they have their own. */
static bool take_part(void *arg, struct xfer *x, struct turn *ret_turn)
{
	struct engine *e = arg;

	turns_end(e->turns, xfer_turn(x), NULL, false);
	*ret_turn = (struct turn){0};
	if (e->part_count == PARTS || !turns_take(e->turns, ret_turn, xfer_spec(x)))
		return false;
	e->part_count++;
	return true;
}

static void end_turn(struct engine *e, struct xfer *x)
{
	bool is_source;
	const struct err *err = xfer_failure(x, &is_source);

	turns_end(e->turns, xfer_turn(x), err, is_source);
	start_later(e);
}

static void give_part(void *arg, struct xfer *part)
{
	struct engine *e = arg;

	e->part_count--;
	end_turn(e, part);
}

/* A refused one is kept back by the bucket's rate; its own delay need not grow so far. */
static int64_t back_off(void *arg, struct xfer *x, int64_t delay_ms)
{
	bool is_source;
	const struct err *err = xfer_failure(x, &is_source);

	end_turn(arg, x);
	if (!err || err->class != ERR_THROTTLE)
		return delay_ms;
	if (delay_ms > THROTTLED_MAX_MS)
		delay_ms = THROTTLED_MAX_MS;
	return delay_ms > err->retry_after_ms ? delay_ms : err->retry_after_ms;
}

static bool go_on(void *arg, struct xfer *x)
{
	struct engine *e = arg;

	if (xfer_turn(x)->is_taken || turns_take(e->turns, xfer_turn(x), xfer_spec(x)))
		return true;
	turns_wait(e->turns, xfer_turn(x));
	return false;
}

static void on_free_again(void *arg)
{
	start_later(arg);
}

static void on_rate(void *arg, struct engine_rate *rate)
{
	struct engine *e = arg;
	struct engine_ev ev = {.type = ENGINE_EV_RATE, .rate = rate};

	on_event(e, &ev);
}

static struct xfer_pair *get_pair(void *arg, uint32_t source, uint32_t destination)
{
	struct engine *e = arg;

	return xfer_pair_get(&e->pairs, source, destination);
}

static bool tells_checksum(void *arg, const char *endpoint_url, bool learn)
{
	struct engine *e = arg;
	size_t i;

	for (i = 0; i < TELLERS && e->tellers[i]; i++)
		if (strcmp(e->tellers[i], endpoint_url) == 0)
			return true;
	if (learn && i < TELLERS)
		e->tellers[i] = mem_strdup(endpoint_url);
	return false;
}

static void start_later(struct engine *e)
{
	if (e->is_start_due || e->is_closing)
		return;
	e->is_start_due = true;
	loop_defer(e->env.loop, start_due, e);
}

static void on_event(void *arg, const struct engine_ev *ev)
{
	struct engine *e = arg;

	if (e->is_closing) {
		free(ev->result);
		free(ev->upload);
		free(ev->rate);
	} else {
		e->emit(e->arg, ev);
	}
}

static bool is_idle(const struct engine *e)
{
	return !e->active_count && list_is_empty(&e->removals);
}

static void on_ended(void *arg, struct xfer *x)
{
	struct engine *e = arg;

	list_remove(xfer_link(x));
	e->active_count--;
	end_turn(e, x);
	loop_bury(e->env.loop, xfer_free, x);
	if (e->is_closing && is_idle(e))
		loop_bury(e->env.loop, release, e);
	start_later(e);
}

static void on_removed(void *arg, struct removal *r)
{
	struct engine *e = arg;

	list_remove(removal_link(r));
	loop_bury(e->env.loop, removal_free, r);
	if (e->is_closing && is_idle(e))
		loop_bury(e->env.loop, release, e);
}

/* Runs bound how many they ask for, and none moves bytes: they need no queue. */
static void remove_object(struct engine *e, struct engine_remove_spec *spec)
{
	struct removal *r = removal_new(&e->env, spec, on_removed);

	list_append(&e->removals, removal_link(r));
	removal_start(r);
}

static struct removal *find_removal(struct engine *e, uint64_t id)
{
	struct list *link;

	for (link = e->removals.next; link != &e->removals; link = link->next)
		if (removal_id(removal_from_link(link)) == id)
			return removal_from_link(link);
	return NULL;
}

static struct list *find_in(struct list *head, uint64_t id)
{
	struct list *link;

	for (link = head->next; link != head; link = link->next)
		if (xfer_id(xfer_from_link(link)) == id)
			return link;
	return NULL;
}

static void cancel(struct engine *e, uint64_t id, bool keeps_upload)
{
	struct list *link = find_in(&e->active, id);
	struct removal *r = find_removal(e, id);

	if (r) {
		removal_cancel(r);
		return;
	}
	if (!link) {
		link = find_in(&e->queue, id);
		if (!link)
			return; /* its end is on the way */
		list_remove(link);
		list_append(&e->active, link);
		e->active_count++;
	}
	if (keeps_upload)
		xfer_keep_upload(xfer_from_link(link));
	xfer_cancel(xfer_from_link(link));
}

static void noted(struct engine *e, uint64_t id)
{
	struct list *link = find_in(&e->active, id);

	if (link)
		xfer_noted(xfer_from_link(link));
}

void engine_take(struct engine *e, const struct engine_cmd *cmd)
{
	if (e->is_closing) {
		if (cmd->type == ENGINE_CMD_XFER) {
			free(cmd->xfer->resume);
			free(cmd->xfer);
		}
		if (cmd->type == ENGINE_CMD_REMOVE)
			free(cmd->removal);
		if (cmd->type == ENGINE_CMD_RATE)
			free(cmd->rate);
		if (cmd->type == ENGINE_CMD_CREDS) {
			creds_set_wipe(cmd->creds);
			free(cmd->creds);
		}
		return;
	}
	switch (cmd->type) {
	case ENGINE_CMD_REMOVE:
		remove_object(e, cmd->removal);
		return;
	case ENGINE_CMD_XFER:
		list_append(&e->queue, xfer_link(xfer_new(&e->env, cmd->xfer)));
		start_later(e);
		return;
	case ENGINE_CMD_CANCEL:
		cancel(e, cmd->id, cmd->keeps_upload);
		return;
	case ENGINE_CMD_NOTED:
		noted(e, cmd->id);
		return;
	case ENGINE_CMD_CREDS:
		take_creds(e, cmd->creds_id, cmd->creds);
		return;
	case ENGINE_CMD_FORGET:
		forget(find_creds(e, cmd->creds_id));
		xfer_pair_forget(&e->pairs, cmd->creds_id);
		return;
	case ENGINE_CMD_RATE:
		turns_hear(e->turns, cmd->rate);
		free(cmd->rate);
		return;
	case ENGINE_CMD_STOP:
		return; /* the thread's */
	}
}

/* --- life --- */

struct engine *engine_new(struct loop *loop, struct http *http,
	const struct engine_options *options,
	void (*emit)(void *arg, const struct engine_ev *ev), void *arg)
{
	struct pool *pool = pool_new(loop, FILE_THREADS);
	struct engine *e = pool ? mem_alloc(sizeof(*e)) : NULL;
	const struct turns_options turns = {.loop = loop,
		.engines = options->engines > 1 ? options->engines : 1,
		.free_again = on_free_again,
		.changed = on_rate,
		.arg = e};
	uint64_t bytes = options->buffer_bytes ? options->buffer_bytes : BUFFER_BYTES;
	uint64_t ring;
	int64_t part;

	if (!e)
		return NULL;
	e->max_active = options->max_transfers > 0 ? options->max_transfers : TRANSFERS;
	ring = bytes / (uint64_t)(e->max_active + PARTS);
	if (ring < RING_MIN)
		ring = RING_MIN;
	if (ring > RING_MAX)
		ring = RING_MAX;
	part = options->part_bytes ? options->part_bytes : PART_BYTES;
	e->env = (struct xfer_env){.part_bytes = part,
		.loop = loop,
		.http = http,
		.pool = pool,
		.ring_bytes = (size_t)ring,
		.stall_timeout_ms = options->stall_timeout_ms,
		.creds = get_creds,
		.need_creds = need_creds,
		.event = on_event,
		.take_part = take_part,
		.give_part = give_part,
		.back_off = back_off,
		.go_on = go_on,
		.tells_checksum = tells_checksum,
		.pair = get_pair,
		.skew = get_skew,
		.regions = s3_regions_new(),
		.memos = mem_alloc(sizeof(*e->env.memos)),
		.ended = on_ended,
		.arg = e, .owner = e};
	e->skews = skews_new();
	e->turns = turns_new(&turns);
	e->emit = emit;
	e->arg = arg;
	list_init(&e->active);
	list_init(&e->queue);
	list_init(&e->removals);
	list_init(&e->creds);
	list_init(&e->pairs);
	return e;
}

void *engine_free(struct engine *e)
{
	struct list *link, ending;

	if (!e)
		return NULL;
	e->is_closing = true;
	loop_undefer(e->env.loop, e);
	if (is_idle(e))
		return release(e);
	/* Calls in flight end later: the last of them takes the engine along. */
	list_init(&ending);
	list_splice(&ending, &e->active);
	while (!list_is_empty(&ending)) {
		link = ending.next;
		list_remove(link);
		list_append(&e->active, link);
		xfer_cancel(xfer_from_link(link));
	}
	list_splice(&ending, &e->removals);
	while (!list_is_empty(&ending)) {
		link = ending.next;
		list_remove(link);
		list_append(&e->removals, link);
		removal_cancel(removal_from_link(link));
	}
	pool_close(e->env.pool);
	return NULL;
}
