/*
 * Ranges of one prefix as one lister. The newest range, the tail, is one page
 * long and tells where the next ones may begin; those between two tails end
 * where the next begins. It fetches nothing itself and decides nothing about
 * keys: lister_s3.c does.
 */
#include "config.h"

#include "engine/lister_ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "engine/key_step.h"
#include "engine/lister_options.h"
#include "net/loop.h"

#define NEEDED_FIRST 4 /* good guesses in a row: few pages are listed without */
#define NEEDED_MAX   63
#define RANGE        95 /* per cent of a page: a little less is one request */
#define KEY_BYTES    (1024 + KEY_STEP_DIGITS + 1)

struct range {
	struct list link;
	struct lister_ranges *owner;
	struct lister *lister;
	struct list asking;    /* linked while it waits for credentials ... */
	uint64_t refused;      /* ... in place of this generation */
	char after[KEY_BYTES]; /* it begins behind this key; "": at the first */
	bool is_tail;
};

struct lister_ranges {
	struct lister base;
	struct lister_s3_options o; /* its texts are ours */
	struct s3_place place;
	unsigned most, width; /* ranges at once: allowed, and what guesses are good for */
	unsigned good, needed; /* guesses in a row; before they are acted on */
	unsigned alone;        /* pages that come before any of it */
	/* where the page of the tail is thought to end; "": no idea */
	char not_before[KEY_BYTES], not_behind[KEY_BYTES];
	struct list ranges; /* in order; the last one is the tail */
	struct list asking; /* those that wait for credentials */
	bool is_asking;     /* need_creds() was called ... */
	uint64_t refused;   /* ... with this */
	size_t count;
	bool has_end; /* the tail is the last page of all */
	bool is_waited_for, has_failed;
	struct lister_stats gone; /* of ranges that were read */
	struct err err;
};

static void on_range(void *arg);

/* --- credentials: one question at a time, its answer for all that wait --- */

static void ask(struct lister_ranges *l, uint64_t refused)
{
	l->is_asking = true;
	l->refused = refused;
	l->o.need_creds(l->o.arg, refused); /* may answer at once */
}

static void need_creds(void *arg, uint64_t refused)
{
	struct range *r = arg;

	r->refused = refused;
	list_append(&r->owner->asking, &r->asking);
	if (!r->owner->is_asking)
		ask(r->owner, refused);
}

static void on_retry(void *arg, const struct err *err, int attempt, int64_t delay_ms)
{
	const struct lister_s3_options *o = &((struct range *)arg)->owner->o;

	if (o->on_retry)
		o->on_retry(o->arg, err, attempt, delay_ms);
}

/* It was asked for before this range had the very same set refused. */
static bool is_too_old(
	const struct lister_ranges *l, const struct range *r, const struct creds_set *set)
{
	return set && !l->refused && r->refused && r->refused >= set->generation;
}

static void give_creds(
	struct lister *base, const struct err *err, const struct creds_set *set)
{
	struct lister_ranges *l = CONTAINER_OF(base, struct lister_ranges, base);
	struct list waiting = {&waiting, &waiting};
	uint64_t refused = 0;
	struct range *r;

	list_splice(&waiting, &l->asking);
	while ((r = LIST_FIRST(&waiting, struct range, asking))) {
		list_remove(&r->asking);
		if (is_too_old(l, r, set)) {
			list_append(&l->asking, &r->asking);
			refused = r->refused;
		} else {
			/* It may ask again at once, which waits for the end of this. */
			lister_s3_give_creds(r->lister, err, set);
		}
	}
	l->is_asking = false;
	if (!list_is_empty(&l->asking))
		ask(l, refused);
}

/* --- ranges --- */

static void add_range(
	struct lister_ranges *l, const char *after, const char *until, bool is_tail)
{
	struct range *r = mem_alloc(sizeof(*r));
	struct lister_s3_options o = l->o;

	r->owner = l;
	r->is_tail = is_tail;
	snprintf(r->after, sizeof(r->after), "%s", after);
	list_init(&r->asking);
	o.start_after = after;
	o.until = until ? until : l->o.until;
	o.is_one_page = is_tail;
	o.need_creds = need_creds;
	o.on_retry = on_retry;
	o.arg = r;
	r->lister = lister_s3_new(&o);
	list_append(&l->ranges, &r->link);
	l->count++;
	lister_start(r->lister, on_range, r);
}

static uint64_t page_keys(const struct lister_ranges *l)
{
	return l->o.page_keys > 0 ? (uint64_t)l->o.page_keys : 1000;
}

/* The keys do not go on as they did: guess no more until several guesses were good. */
static void distrust(struct lister_ranges *l)
{
	l->width = 1;
	l->good = 0;
	if (l->needed < NEEDED_MAX)
		l->needed = 2 * l->needed + 1;
}

static struct lister_stats add_stats(struct lister_stats *to, const struct range *r)
{
	struct lister_stats s;

	lister_get_stats(r->lister, &s);
	to->entries += s.entries;
	to->bytes += s.bytes;
	to->requests += s.requests;
	to->retries += s.retries;
	to->sent_again += s.sent_again;
	return s;
}

/* Its counts stay. */
static void drop_range(struct lister_ranges *l, struct range *r)
{
	struct lister_stats s = add_stats(&l->gone, r);

	lister_free(r->lister);
	list_remove(&r->link);
	list_remove(&r->asking);
	l->count--;
	if (!r->is_tail && 2 * s.entries < s.requests * page_keys(l))
		distrust(l);
	free(r);
}

/* Ranges behind the tail's page, and a new tail; as many as guesses are good for. */
static void add_batch(
	struct lister_ranges *l, const struct key_step *step, const char *last)
{
	char from[KEY_BYTES], to[KEY_BYTES];
	unsigned n;

	snprintf(from, sizeof(from), "%s", last);
	for (n = 0; n + 1 < l->width; n++) {
		if (!key_step_add(step, last, (n + 1) * RANGE, to) ||
			strcmp(from, to) >= 0 ||
			(*l->o.until && strcmp(to, l->o.until) >= 0))
			break;
		add_range(l, from, to, false);
		memcpy(from, to, sizeof(from));
	}
	if (!key_step_add(step, last, n * RANGE + 50, l->not_before))
		l->not_before[0] = '\0';
	if (!key_step_add(step, last, n * RANGE + 200, l->not_behind))
		l->not_behind[0] = '\0';
	add_range(l, from, NULL, true);
}

/* Whether the tail's page spans about what the one before did. */
static void judge(struct lister_ranges *l, const char *last)
{
	if (!l->not_before[0])
		return;
	if (strcmp(last, l->not_before) < 0 ||
		(l->not_behind[0] && strcmp(last, l->not_behind) > 0))
		distrust(l);
	else if (++l->good > l->needed && l->gone.requests >= l->alone)
		l->width = 2 * l->width < l->most ? 2 * l->width : l->most;
}

static void go_on_behind(struct lister_ranges *l, const struct range *tail,
	const char *first, const char *last)
{
	struct key_step step;

	judge(l, last);
	key_step_learn(&step, tail->after[0] ? tail->after : first, last);
	add_batch(l, &step, last);
}

/* New ranges once the tail's page is here and not too many wait to be read. */
static void look_ahead(struct lister_ranges *l)
{
	while (!l->has_end && !l->has_failed && l->count <= l->width) {
		struct range *tail = LIST_ENTRY(l->ranges.prev, struct range, link);
		const char *first, *last;

		switch (lister_s3_one_page(tail->lister, &first, &last)) {
		case LISTER_ENDED:
			l->has_end = true;
			return;
		case LISTER_READY:
			go_on_behind(l, tail, first, last);
			break;
		default:
			return;
		}
	}
}

/* --- the interface --- */

static enum lister_state fail(struct lister_ranges *l, const struct err *e)
{
	l->err = *e;
	l->has_failed = true;
	return LISTER_FAILED;
}

/* On to the first range that has something to show. */
static enum lister_state find_entry(
	struct lister_ranges *l, const struct lister_entry **ret_entry)
{
	for (;;) {
		struct range *r = LIST_FIRST(&l->ranges, struct range, link);
		enum lister_state state = lister_peek(r->lister, ret_entry);

		if (state == LISTER_FAILED)
			return fail(l, lister_error(r->lister));
		if (state != LISTER_ENDED)
			return state;
		look_ahead(l);
		if (l->count == 1) /* the tail, and no other came of it */
			return l->has_end ? LISTER_ENDED : LISTER_WAITING;
		drop_range(l, r);
		look_ahead(l);
	}
}

static enum lister_state peek(struct lister *base, const struct lister_entry **ret_entry)
{
	struct lister_ranges *l = CONTAINER_OF(base, struct lister_ranges, base);
	enum lister_state state = l->has_failed ? LISTER_FAILED
						: find_entry(l, ret_entry);

	l->is_waited_for = state == LISTER_WAITING;
	return state;
}

static void on_range(void *arg)
{
	struct range *r = arg;
	struct lister_ranges *l = r->owner;
	const struct lister_entry *ignored;

	look_ahead(l);
	if (!l->is_waited_for || peek(&l->base, &ignored) == LISTER_WAITING)
		return;
	l->base.on_change(l->base.arg);
}

static void start(struct lister *base)
{
	struct lister_ranges *l = CONTAINER_OF(base, struct lister_ranges, base);

	l->is_waited_for = true;
	add_range(l, l->o.start_after, NULL, true);
}

static void pop(struct lister *base)
{
	struct lister_ranges *l = CONTAINER_OF(base, struct lister_ranges, base);

	if (!l->has_failed)
		lister_pop(LIST_FIRST(&l->ranges, struct range, link)->lister);
}

static const struct err *error(const struct lister *base)
{
	const struct lister_ranges *l = CONTAINER_OF(base, struct lister_ranges, base);

	return l->has_failed ? &l->err : NULL;
}

static void stats(const struct lister *base, struct lister_stats *ret)
{
	const struct lister_ranges *l = CONTAINER_OF(base, struct lister_ranges, base);
	struct range *r;

	*ret = l->gone;
	LIST_FOREACH (r, &l->ranges, link)
		add_stats(ret, r);
}

static void *bury(void *arg)
{
	struct lister_ranges *l = arg;

	lister_options_done(&l->o, &l->place);
	free(l);
	return NULL;
}

static void destroy(struct lister *base)
{
	struct lister_ranges *l = CONTAINER_OF(base, struct lister_ranges, base);
	struct range *r;

	while ((r = LIST_FIRST(&l->ranges, struct range, link)))
		drop_range(l, r);
	loop_bury(l->o.loop, bury, l);
}

struct lister *lister_ranges_new(
	const struct lister_s3_options *options, unsigned ranges, unsigned alone)
{
	static const struct lister_ops ops = {
		start, peek, pop, error, stats, destroy, give_creds};
	struct lister_ranges *l = mem_alloc(sizeof(*l));

	l->base.ops = &ops;
	lister_options_take(&l->o, &l->place, options);
	l->most = ranges > LISTER_RANGES_MAX ? LISTER_RANGES_MAX : ranges;
	l->alone = alone;
	l->width = 1;
	l->needed = NEEDED_FIRST;
	list_init(&l->ranges);
	list_init(&l->asking);
	return &l->base;
}
