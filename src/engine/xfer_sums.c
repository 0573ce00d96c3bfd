/* What the bytes sum up to in the source's own algorithm. Consequences are xfer_io.c's.
 */
#include "config.h"

#include "engine/xfer_sums.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "engine/xfer_copy.h"
#include "engine/xfer_parts.h"

#define PART_MIN (INT64_C(5) << 20)
#define PART_MAX (INT64_C(1) << 30) /* larger ones would move one by one */

struct xfer_sums {
	struct checksum *running;
	bool is_asked;
	int64_t part_bytes; /* of the source; 0: unknown, or not all the same */
	struct checksum_sum *parts;
	int count, taken;
};

void *xfer_sums_free(struct xfer_sums *s)
{
	if (!s)
		return NULL;
	checksum_free(s->running);
	free(s->parts);
	free(s);
	return NULL;
}

static struct xfer_sums *sums_of(struct xfer *x)
{
	if (!x->sums)
		x->sums = mem_alloc(sizeof(*x->sums));
	return x->sums;
}

static const struct s3_head *source(const struct xfer *x)
{
	return &x->heads[XFER_SOURCE];
}

static int composite_parts(const struct xfer *x)
{
	return checksum_part_count(source(x)->sum);
}

enum checksum_alg xfer_sums_alg(const struct xfer *x)
{
	bool is_known = !composite_parts(x) || (x->sums && x->sums->part_bytes);

	return is_known ? source(x)->sum_alg : CHECKSUM_NONE;
}

/* --- the source's parts --- */

bool xfer_sums_is_due(const struct xfer *x)
{
	return composite_parts(x) > 0 && !(x->sums && x->sums->is_asked) &&
	       !x->range.length;
}

static void on_asked(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;
	int64_t size = source(x)->length, part = err ? 0 : head->length;
	int count = composite_parts(x);

	x->ask = NULL;
	x->sums->is_asked = true;
	/* All but the last as long as the first; a server that knows no parts gives all.
	 */
	if (part > 0 && head->part_count == count && (size + part - 1) / part == count)
		x->sums->part_bytes = part;
	xfer_run(x);
}

void xfer_sums_ask(struct xfer *x)
{
	const struct s3_object o = {.key = x->spec->source.key,
		.if_match = x->pinned,
		.version = xfer_copy_version(x),
		.part_number = 1,
		.done = on_asked,
		.arg = x};
	struct s3_place place;
	struct s3_env env;

	sums_of(x);
	if (xfer_io_env(x, XFER_SOURCE, &place, &env))
		x->ask = s3_head_object(&env, &o);
}

int64_t xfer_sums_part_bytes(const struct xfer *x)
{
	int64_t part = x->sums ? x->sums->part_bytes : 0;

	return part >= PART_MIN && part <= PART_MAX ? part : 0;
}

/* --- one stream --- */

void xfer_sums_begin(struct xfer *x)
{
	enum checksum_alg alg = x->range.length ? x->range.sum_alg : xfer_sums_alg(x);
	int64_t part = x->sums && !x->range.length ? x->sums->part_bytes : 0;

	if (!alg)
		return;
	checksum_free(sums_of(x)->running);
	x->sums->running = checksum_new(alg, part);
}

void xfer_sums_update(struct xfer *x, const void *data, size_t len)
{
	if (x->sums && x->sums->running)
		checksum_update(x->sums->running, data, len);
}

static enum xfer_verdict judge(const struct xfer *x, const char *text)
{
	return str_eq(text, source(x)->sum) ? XFER_RIGHT : XFER_WRONG;
}

enum xfer_verdict xfer_sums_judge(struct xfer *x)
{
	char text[CHECKSUM_TEXT_LEN];

	if (!x->sums || !x->sums->running || x->range.length)
		return XFER_UNPROVEN;
	checksum_end(x->sums->running, text);
	x->sums->running = checksum_free(x->sums->running);
	return judge(x, text);
}

/* --- parts --- */

void xfer_sums_take_part(struct xfer *x, struct xfer *child)
{
	struct xfer_sums *s;

	if (!child->sums || !child->sums->running)
		return;
	s = sums_of(x);
	if (!s->parts) {
		s->count = xfer_parts_count(x);
		s->parts = mem_array((size_t)s->count, sizeof(*s->parts));
	}
	s->taken++;
	checksum_end_sum(child->sums->running, &s->parts[child->range.number - 1]);
}

enum xfer_verdict xfer_sums_judge_parts(struct xfer *x)
{
	enum checksum_alg alg = xfer_sums_alg(x);
	struct xfer_sums *s = x->sums;
	char text[CHECKSUM_TEXT_LEN];

	/* What an earlier process sent, it did not sum up for us. */
	if (!s || !alg || s->taken < s->count || !s->parts)
		return XFER_UNPROVEN;
	if (composite_parts(x)) {
		if (composite_parts(x) != s->count)
			return XFER_UNPROVEN;
		checksum_compose(alg, s->parts, (size_t)s->count, text);
		return judge(x, text);
	}
	for (int i = 1; i < s->count; i++)
		if (!checksum_join(alg, &s->parts[0], &s->parts[i],
			    (uint64_t)xfer_parts_length(x, i)))
			return XFER_UNPROVEN;
	checksum_text(&s->parts[0], text);
	return judge(x, text);
}
