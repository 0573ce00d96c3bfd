/* The rates of all buckets that one engine talks to. Not how a rate moves (rate.c). */
#include "config.h"

#include "engine/turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/rate.h"
#include "net/loop.h"

#define START_AT 16  /* transfers at once with a bucket that is new */
#define MOST     512 /* of all engines */
#define BUCKETS  256 /* beyond that they share one rate */

/*
 * One stream alone is worth large buffers (over HTTP it costs a third less), of many each
 * is slow enough for small ones; TLS cuts all into records of 16 KiB and gains less. A ring
 * has room for a buffer when it is half full, so that libcurl seldom keeps copies of what
 * it has read.
 */
struct sizes {
	size_t ring, buffer;
};
static const struct sizes alone = {1 << 20, 480 << 10};
static const struct sizes alone_tls = {512 << 10, 256 << 10};
static const struct sizes few = {384 << 10, 192 << 10};
static const struct sizes many = {128 << 10, 64 << 10};
/* of objects that fit into its ring */
static const struct sizes small = {64 << 10, 16 << 10};
#define FILE_EXTRA (1 << 20) /* rings between a disk and a network are larger */

struct bucket {
	struct list link;
	char *endpoint_url, *name;
	struct rate rate;
	bool is_told; /* that it is slowed */
};

struct turns {
	struct turns_options o;
	struct list buckets, waiting;
	size_t count;
	size_t claimed; /* of the memory */
	struct loop_timer *timer; /* the end of the first hold that somebody waits for */
	int64_t due_us;
};

static int64_t now_us(const struct turns *t)
{
	return clock_mono_us(loop_clock(t->o.loop));
}

static void on_timer(void *arg)
{
	struct turns *t = arg;

	t->o.free_again(t->o.arg);
}

struct turns *turns_new(const struct turns_options *options)
{
	struct turns *t = mem_alloc(sizeof(*t));

	t->o = *options;
	list_init(&t->buckets);
	list_init(&t->waiting);
	t->timer = loop_timer_new(options->loop, on_timer, t);
	return t;
}

void *turns_free(struct turns *t)
{
	struct bucket *b, *tmp;

	if (!t)
		return NULL;
	LIST_FOREACH_SAFE (b, tmp, &t->buckets, link) {
		list_remove(&b->link);
		free(b->endpoint_url);
		free(b->name);
		free(b);
	}
	loop_timer_free(t->timer);
	free(t);
	return NULL;
}

/* --- buckets --- */

static struct bucket *find(struct turns *t, const char *endpoint_url, const char *name)
{
	struct bucket *b;

	LIST_FOREACH (b, &t->buckets, link)
		if (strcmp(b->name, name) == 0 &&
			strcmp(b->endpoint_url, endpoint_url) == 0)
			return b;
	return NULL;
}

static struct bucket *open_bucket(
	struct turns *t, const char *endpoint_url, const char *name)
{
	struct bucket *b = find(t, endpoint_url, name);

	if (!b && t->count == BUCKETS)
		b = LIST_FIRST(&t->buckets, struct bucket, link);
	if (b)
		return b;
	b = mem_alloc(sizeof(*b));
	b->endpoint_url = mem_strdup(endpoint_url);
	b->name = mem_strdup(name);
	rate_init(&b->rate, (double)START_AT / t->o.engines, MOST / t->o.engines);
	list_append(&t->buckets, &b->link);
	t->count++;
	return b;
}

static struct bucket *of_side(struct turns *t, const struct engine_side *side)
{
	return side->scheme == ENGINE_FILE
		       ? NULL
		       : open_bucket(t, side->endpoint_url, side->bucket);
}

static void tell(struct turns *t, const struct bucket *b, int64_t hold_ms)
{
	struct engine_rate *rate = mem_alloc(sizeof(*rate));

	snprintf(rate->endpoint_url, sizeof(rate->endpoint_url), "%s", b->endpoint_url);
	snprintf(rate->bucket, sizeof(rate->bucket), "%s", b->name);
	rate->at_once = (int)b->rate.window;
	rate->is_slowed = b->is_told;
	rate->hold_ms = hold_ms;
	t->o.changed(t->o.arg, rate);
}

static void served(struct turns *t, struct bucket *b)
{
	rate_succeed(&b->rate, now_us(t));
	if (!b->is_told || rate_is_slowed(&b->rate))
		return;
	b->is_told = false;
	tell(t, b, 0);
}

static void refused(
	struct turns *t, const struct turn *turn, struct bucket *b, const struct err *err)
{
	const struct rate_refusal what = {
		turn->started_us, err->retry_after_ms, crypto_random_unit()};

	if (!rate_refuse(&b->rate, &what, now_us(t)))
		return;
	b->is_told = true;
	tell(t, b, rate_wait_ms(&b->rate, now_us(t)));
}

void turns_hear(struct turns *t, const struct engine_rate *rate)
{
	struct bucket *b = find(t, rate->endpoint_url, rate->bucket);
	const struct rate_refusal what = {INT64_MAX, rate->hold_ms, 0};

	if (b && rate->is_slowed)
		b->is_told |= rate_refuse(&b->rate, &what, now_us(t));
}

/* --- turns --- */

static void wake_in(struct turns *t, int64_t ms)
{
	int64_t due_us = now_us(t) + ms * USEC_PER_MSEC;

	if (!ms || (loop_timer_is_set(t->timer) && t->due_us <= due_us))
		return;
	t->due_us = due_us;
	loop_timer_set(t->timer, ms);
}

/* One buffer receives, one sends. */
static size_t bytes_of(const struct sizes *s)
{
	return s->ring + 2 * s->buffer;
}

static bool is_plain(const struct engine_side *s)
{
	return s->scheme == ENGINE_S3 && str_has_prefix(s->endpoint_url, "http://");
}

static const struct sizes *pick(const struct turns *t, const struct engine_xfer_spec *s)
{
	bool is_tls = !is_plain(&s->source) && !is_plain(&s->destination);
	const struct sizes *largest = is_tls ? &alone_tls : &alone;
	size_t share = t->o.memory / 4;

	if (s->source_size >= 0 && s->source_size <= (int64_t)small.ring)
		return &small;
	if (!t->claimed && bytes_of(largest) <= share)
		return largest;
	if (!is_tls && t->claimed + bytes_of(&few) <= share)
		return &few;
	return &many;
}

/* Whether the buffers fit; one turn always does. */
static bool fits(const struct turns *t, struct turn *turn)
{
	const struct engine_xfer_spec *s = turn->spec;
	const struct sizes *sizes = pick(t, s);

	turn->ring = sizes->ring;
	turn->buffer = sizes->buffer;
	turn->bytes = bytes_of(sizes);
	if (s->source.scheme == ENGINE_FILE || s->destination.scheme == ENGINE_FILE)
		turn->bytes += FILE_EXTRA;
	return !t->claimed || t->claimed + turn->bytes <= t->o.memory;
}

size_t turns_claimed(const struct turns *t)
{
	return t->claimed;
}

bool turns_take(struct turns *t, struct turn *turn, const struct engine_xfer_spec *spec)
{
	int64_t now = now_us(t);
	size_t i;

	if (!turn->spec) {
		turn->spec = spec;
		turn->at[0] = of_side(t, &spec->source);
		turn->at[1] = of_side(t, &spec->destination);
		if (turn->at[1] == turn->at[0])
			turn->at[1] = NULL;
	}
	if (!fits(t, turn))
		return false;
	for (i = 0; i < ARRAY_LEN(turn->at); i++) {
		struct bucket *b = turn->at[i];

		if (!b || rate_may_start(&b->rate, now))
			continue;
		wake_in(t, rate_wait_ms(&b->rate, now));
		return false;
	}
	for (i = 0; i < ARRAY_LEN(turn->at); i++)
		if (turn->at[i])
			rate_start(&turn->at[i]->rate);
	turn->is_taken = true;
	t->claimed += turn->bytes;
	turn->started_us = now;
	return true;
}

void turns_end(struct turns *t, struct turn *turn, const struct err *err, bool is_source)
{
	struct bucket *b = turn->at[is_source || !turn->at[1] ? 0 : 1];

	list_remove(&turn->waiting);
	if (turn->is_taken)
		t->claimed -= turn->bytes;
	for (size_t i = 0; turn->is_taken && i < ARRAY_LEN(turn->at); i++) {
		if (!turn->at[i])
			continue;
		rate_end(&turn->at[i]->rate);
		if (!err)
			served(t, turn->at[i]);
	}
	if (err && err->class == ERR_THROTTLE && b)
		refused(t, turn, b, err);
	turn->is_taken = false;
	if (!list_is_empty(&t->waiting))
		t->o.free_again(t->o.arg);
}

void turns_wait(struct turns *t, struct turn *turn)
{
	list_remove(&turn->waiting);
	list_append(&t->waiting, &turn->waiting);
}

struct turn *turns_next(struct turns *t)
{
	struct turn *turn;

	LIST_FOREACH (turn, &t->waiting, waiting) {
		if (!turns_take(t, turn, turn->spec))
			continue;
		list_remove(&turn->waiting);
		return turn;
	}
	return NULL;
}
