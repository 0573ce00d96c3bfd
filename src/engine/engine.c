/* Slots, queue and credential sets of one engine. How an object moves is xfer.c's. */
#include "config.h"

#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/retry.h"
#include "aws/sigv4.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/bandwidth.h"
#include "engine/known.h"
#include "engine/remove.h"
#include "engine/shares.h"
#include "engine/turns.h"
#include "engine/xfer.h"
#include "engine/xfer_pair.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/pool.h"
#include "s3/regions.h"

#define TRANSFERS    256 /* of all engines */
#define PART_BYTES   (INT64_C(16) << 20)
#define PARTS        64 /* of all large objects of an engine */
#define FILE_THREADS 3
#define BUFFER_BYTES (32 << 20)
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
	struct list shares; /* of the runs */
	bool may_grant;     /* one part, to the object that is asked */
	struct bandwidth *bandwidth;
	bool is_closing, is_start_due;
	void (*emit)(void *arg, const struct engine_ev *ev);
	void *arg;
};

static void tell(struct engine *e, const struct engine_ev *ev)
{
	struct engine_ev own = *ev;

	own.sent_again = retry_quotas_counted(e->env.quotas);
	own.in_flight = turns_claimed(e->turns);
	e->emit(e->arg, &own);
}

/* --- credentials --- */

static struct creds_slot *find_creds(struct engine *e, uint32_t id)
{
	struct creds_slot *s;

	LIST_FOREACH (s, &e->creds, link)
		if (s->id == id)
			return s;
	return NULL;
}

static void forget(struct creds_slot *s)
{
	if (!s)
		return;
	mem_secret_free(s->set);
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
	tell(e, &ev);
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

	mem_secret_free(s->set);
	s->set = set;
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

/* The object whose run has least for its weight; of one run they take turns. */
static struct xfer *next_with_parts(struct engine *e)
{
	struct xfer *best = NULL;
	struct list *link;

	for (link = e->active.next; link != &e->active; link = link->next) {
		struct xfer *x = xfer_from_link(link);
		const struct share *s = xfer_turn(x)->share;

		if (s->is_stuck || !xfer_wants_part(x))
			continue;
		if (!best || share_is_before(s, xfer_turn(best)->share))
			best = x;
	}
	return best;
}

static void start_parts(struct engine *e)
{
	struct xfer *x;

	while (e->part_count < PARTS && (x = next_with_parts(e))) {
		struct share *s = xfer_turn(x)->share;
		int before = e->part_count;

		list_remove(xfer_link(x));
		list_append(&e->active, xfer_link(x));
		s->is_stuck = true;
		e->may_grant = true;
		xfer_pump(x);
		e->may_grant = false;
		if (e->part_count > before)
			s->is_stuck = false;
	}
}

/* Every run may have one object under way, however busy the others are. */
static struct xfer *next_in_queue(struct engine *e)
{
	bool is_full = e->active_count >= e->max_active;
	struct xfer *best = NULL;
	struct list *link;

	for (link = e->queue.next; link != &e->queue; link = link->next) {
		struct xfer *x = xfer_from_link(link);
		const struct share *s = xfer_turn(x)->share;

		if (s->is_stuck || (is_full && s->used))
			continue;
		if (!best || share_is_before(s, xfer_turn(best)->share))
			best = x;
	}
	return best;
}

static void activate(struct engine *e, struct xfer *x)
{
	list_remove(xfer_link(x));
	list_append(&e->active, xfer_link(x));
	e->active_count++;
	xfer_turn(x)->share->used++;
}

static void start_due(void *arg)
{
	struct engine *e = arg;
	struct turn *turn;
	struct xfer *x;

	e->is_start_due = false;
	while ((turn = turns_next(e->turns)))
		xfer_run_on(xfer_from_turn(turn));
	shares_begin_round(&e->shares);
	start_parts(e);
	shares_begin_round(&e->shares);
	while ((x = next_in_queue(e))) {
		if (!turns_take(e->turns, xfer_turn(x), xfer_spec(x))) {
			xfer_turn(x)->share->is_stuck = true;
			continue;
		}
		activate(e, x);
		xfer_start(x);
	}
}

static void *release(void *arg)
{
	struct engine *e = arg;
	struct creds_slot *s;

	while (!list_is_empty(&e->queue)) {
		struct xfer *x = xfer_from_link(e->queue.next);

		shares_leave(xfer_turn(x)->share);
		xfer_free(x);
	}
	while ((s = LIST_FIRST(&e->creds, struct creds_slot, link)))
		forget(s);
	xfer_pair_forget_all(&e->pairs);
	pool_free(e->env.pool);
	turns_free(e->turns);
	bandwidth_free(e->bandwidth);
	skews_free(e->skews);
	s3_regions_free(e->env.regions);
	known_free(e->env.known);
	retry_quotas_free(e->env.quotas);
	mem_secret_free(e->env.memos);
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
		tell(e, &ev);
	}
	return skew;
}

static void start_later(struct engine *e);
static void on_event(void *arg, const struct engine_ev *ev);

/* Its own turn ends with the first of its parts: they have their own. */
static bool take_part(void *arg, struct xfer *x, struct turn *ret_turn)
{
	struct engine *e = arg;

	if (xfer_turn(x)->is_taken)
		turns_end(e->turns, xfer_turn(x), NULL, false);
	if (!e->may_grant) { /* others may come before */
		start_later(e);
		return false;
	}
	e->may_grant = false;
	*ret_turn = (struct turn){.share = xfer_turn(x)->share};
	if (!turns_take(e->turns, ret_turn, xfer_spec(x)))
		return false;
	ret_turn->share->used++;
	e->part_count++;
	return true;
}

static void end_turn(struct engine *e, struct xfer *x)
{
	bool is_source;
	const struct err *err = xfer_failure(x, &is_source);

	turns_end(e->turns, xfer_turn(x), err, is_source);
	list_remove(&xfer_turn(x)->flow.waiting);
	start_later(e);
}

static void give_part(void *arg, struct xfer *part)
{
	struct engine *e = arg;

	e->part_count--;
	xfer_turn(part)->share->used--;
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

static bool may_read(void *arg, struct xfer *x)
{
	struct engine *e = arg;

	return bandwidth_may(e->bandwidth, &xfer_turn(x)->flow, xfer_spec(x)->tag);
}

static void did_read(void *arg, struct xfer *x, size_t bytes)
{
	struct engine *e = arg;

	bandwidth_spend(e->bandwidth, &xfer_turn(x)->flow, xfer_spec(x)->tag, bytes);
}

static void on_resume(void *arg, struct flow *f)
{
	(void)arg;
	xfer_read_on(xfer_from_turn(CONTAINER_OF(f, struct turn, flow)));
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
		tell(e, ev);
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
	xfer_turn(x)->share->used--;
	shares_leave(xfer_turn(x)->share);
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
		activate(e, xfer_from_link(link));
	}
	if (keeps_upload)
		xfer_keep_upload(xfer_from_link(link));
	xfer_cancel(xfer_from_link(link));
}

static void noted(struct engine *e, uint64_t id, void (*fn)(struct xfer *x))
{
	struct list *link = find_in(&e->active, id);

	if (link)
		fn(xfer_from_link(link));
}

static void enqueue(struct engine *e, struct engine_xfer_spec *spec)
{
	struct share *share = shares_join(&e->shares, spec->tag, spec->weight);
	struct xfer *x = xfer_new(&e->env, spec);

	xfer_turn(x)->share = share;
	list_append(&e->queue, xfer_link(x));
	start_later(e);
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
		if (cmd->type == ENGINE_CMD_CREDS)
			mem_secret_free(cmd->creds);
		return;
	}
	switch (cmd->type) {
	case ENGINE_CMD_REMOVE:
		remove_object(e, cmd->removal);
		return;
	case ENGINE_CMD_XFER:
		enqueue(e, cmd->xfer);
		return;
	case ENGINE_CMD_CANCEL:
		cancel(e, cmd->id, cmd->keeps_upload);
		return;
	case ENGINE_CMD_NOTED:
		noted(e, cmd->id, xfer_noted);
		return;
	case ENGINE_CMD_TAKEN:
		noted(e, cmd->id, xfer_taken);
		return;
	case ENGINE_CMD_CREDS:
		take_creds(e, cmd->creds_id, cmd->creds);
		return;
	case ENGINE_CMD_FORGET:
		forget(find_creds(e, cmd->creds_id));
		xfer_pair_forget(&e->pairs, cmd->creds_id);
		return;
	case ENGINE_CMD_BANDWIDTH:
		bandwidth_set(e->bandwidth, cmd->id, cmd->bytes_s);
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
		.memory = options->buffer_bytes ? options->buffer_bytes : BUFFER_BYTES,
		.free_again = on_free_again,
		.changed = on_rate,
		.arg = e};
	int64_t part;

	if (!e)
		return NULL;
	e->max_active = options->max_transfers > 0 ? options->max_transfers
						   : TRANSFERS / turns.engines;
	part = options->part_bytes ? options->part_bytes : PART_BYTES;
	e->env = (struct xfer_env){.part_bytes = part,
		.loop = loop,
		.http = http,
		.pool = pool,
		.stall_timeout_ms = options->stall_timeout_ms,
		.creds = get_creds,
		.need_creds = need_creds,
		.event = on_event,
		.take_part = take_part,
		.give_part = give_part,
		.back_off = back_off,
		.go_on = go_on,
		.may_read = may_read,
		.did_read = did_read,
		.pair = get_pair,
		.skew = get_skew,
		.regions = s3_regions_new(),
		.known = known_new(),
		.quotas = retry_quotas_new(),
		.memos = mem_secret_alloc(sizeof(*e->env.memos)),
		.ended = on_ended,
		.arg = e, .owner = e};
	e->skews = skews_new();
	e->turns = turns_new(&turns);
	e->bandwidth = bandwidth_new(loop, on_resume, e);
	list_init(&e->shares);
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
