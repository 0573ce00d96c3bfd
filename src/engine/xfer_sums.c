/* What the bytes sum up to in the source's own algorithm, and in the one that the job
 * asks for. Consequences are xfer_io.c's. */
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

/* By one algorithm. */
struct lane {
	struct checksum *running;
	struct checksum_sum *parts; /* of an upload; NULL: none were taken */
	int count, taken;
};

struct xfer_sums {
	struct lane lanes[XFER_SIDES]; /* what the source declares; what is asked for */
	bool is_asked;
	int64_t part_bytes; /* of the source; 0: unknown, or not all the same */
	char written[CHECKSUM_TEXT_LEN]; /* of one stream, in what is asked for */
};

void *xfer_sums_free(struct xfer_sums *s)
{
	if (!s)
		return NULL;
	for (int i = 0; i < XFER_SIDES; i++) {
		checksum_free(s->lanes[i].running);
		free(s->lanes[i].parts);
	}
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

static void begin_lane(
	struct xfer *x, enum xfer_side side, enum checksum_alg alg, int64_t part_bytes)
{
	struct lane *lane;

	if (!alg)
		return;
	lane = &sums_of(x)->lanes[side];
	checksum_free(lane->running);
	lane->running = checksum_new(alg, part_bytes);
}

enum checksum_alg xfer_sums_asked(const struct xfer *x)
{
	enum checksum_alg alg = x->range.length ? x->range.kept
						: x->spec->fidelity.checksum;

	/* CRC64NVME is computed in any case. */
	return x->spec->destination.scheme == ENGINE_S3 && alg != CHECKSUM_CRC64NVME
		       ? alg
		       : CHECKSUM_NONE;
}

void xfer_sums_begin(struct xfer *x)
{
	enum checksum_alg alg = x->range.length ? x->range.sum_alg : xfer_sums_alg(x);
	int64_t part = x->sums && !x->range.length ? x->sums->part_bytes : 0;

	begin_lane(x, XFER_SOURCE, alg, part);
	begin_lane(x, XFER_DESTINATION, xfer_sums_asked(x), 0);
}

void xfer_sums_update(struct xfer *x, const void *data, size_t len)
{
	for (int i = 0; x->sums && i < XFER_SIDES; i++)
		if (x->sums->lanes[i].running)
			checksum_update(x->sums->lanes[i].running, data, len);
}

void xfer_sums_end(struct xfer *x)
{
	struct lane *lane = x->sums ? &x->sums->lanes[XFER_DESTINATION] : NULL;

	if (!lane || !lane->running || x->range.length)
		return;
	checksum_end(lane->running, x->sums->written);
	lane->running = checksum_free(lane->running);
}

static enum xfer_verdict judge(const struct xfer *x, const char *text)
{
	return str_eq(text, source(x)->sum) ? XFER_RIGHT : XFER_WRONG;
}

enum xfer_verdict xfer_sums_judge(struct xfer *x)
{
	struct lane *lane = x->sums ? &x->sums->lanes[XFER_SOURCE] : NULL;
	char text[CHECKSUM_TEXT_LEN];

	if (!lane || !lane->running || x->range.length)
		return XFER_UNPROVEN;
	checksum_end(lane->running, text);
	lane->running = checksum_free(lane->running);
	return judge(x, text);
}

/* --- parts --- */

static void put_part(
	struct xfer *x, enum xfer_side side, int number, const struct checksum_sum *sum)
{
	struct lane *lane = &sums_of(x)->lanes[side];

	if (!lane->parts) {
		lane->count = xfer_parts_count(x);
		lane->parts = mem_array((size_t)lane->count, sizeof(*lane->parts));
	}
	lane->taken += !lane->parts[number - 1].len;
	lane->parts[number - 1] = *sum;
}

void xfer_sums_take_part(struct xfer *x, struct xfer *child)
{
	struct checksum_sum sum;

	for (int i = 0; child->sums && i < XFER_SIDES; i++) {
		if (!child->sums->lanes[i].running)
			continue;
		checksum_end_sum(child->sums->lanes[i].running, &sum);
		put_part(x, (enum xfer_side)i, child->range.number, &sum);
	}
	if (child->is_copying) /* by the server, which saw the bytes */
		xfer_sums_take_told(
			x, child->range.number, child->heads[XFER_DESTINATION].sum);
}

void xfer_sums_take_told(struct xfer *x, int number, const char *text)
{
	struct checksum_sum sum;

	if (*text && checksum_parse(text, &sum) == 0)
		put_part(x, XFER_DESTINATION, number, &sum);
}

/* The parts' sums as one; false: not all are known. */
static bool add_up(const struct xfer *x, struct lane *lane, enum checksum_alg alg,
	bool is_composite, char text[CHECKSUM_TEXT_LEN])
{
	struct checksum_sum sum;

	/* What an earlier process sent, it did not sum up for us. */
	if (!lane->parts || lane->taken < lane->count)
		return false;
	if (is_composite) {
		checksum_compose(alg, lane->parts, (size_t)lane->count, text);
		return true;
	}
	sum = lane->parts[0];
	for (int i = 1; i < lane->count; i++)
		if (!checksum_join(alg, &sum, &lane->parts[i],
			    (uint64_t)xfer_parts_length(x, i)))
			return false;
	checksum_text(&sum, text);
	return true;
}

enum xfer_verdict xfer_sums_judge_parts(struct xfer *x)
{
	enum checksum_alg alg = xfer_sums_alg(x);
	int parts = composite_parts(x);
	char text[CHECKSUM_TEXT_LEN];

	if (!x->sums || !alg || (parts && parts != xfer_parts_count(x)) ||
		!add_up(x, &x->sums->lanes[XFER_SOURCE], alg, parts, text))
		return XFER_UNPROVEN;
	return judge(x, text);
}

/* --- what is asked for --- */

const char *xfer_sums_written(struct xfer *x)
{
	enum checksum_alg alg = x->upload ? xfer_parts_kept(x) : CHECKSUM_NONE;
	char text[CHECKSUM_TEXT_LEN];

	if (x->sums && alg &&
		add_up(x, &x->sums->lanes[XFER_DESTINATION], alg,
			!checksum_is_of_whole(alg), text))
		memcpy(x->sums->written, text, sizeof(text));
	return x->sums ? x->sums->written : "";
}

void xfer_sums_part_text(const struct xfer *x, int i, char text[CHECKSUM_TEXT_LEN])
{
	const struct lane *lane = x->sums ? &x->sums->lanes[XFER_DESTINATION] : NULL;

	text[0] = '\0';
	if (lane && lane->parts && lane->parts[i].len)
		checksum_text(&lane->parts[i], text);
}

bool xfer_sums_is_kept(const struct xfer *x)
{
	enum checksum_alg asked = x->spec->fidelity.checksum;
	const struct s3_head *d = &x->heads[XFER_DESTINATION];

	if (!asked || x->spec->destination.scheme != ENGINE_S3)
		return true;
	return asked == CHECKSUM_CRC64NVME ? d->crc64nvme[0] != '\0'
					   : d->sum_alg == asked;
}
