/*
 * Parts of one upload: their map and their children. The order of things is xfer.c's, the
 * calls around the parts are xfer_upload.c's; what one part does is a transfer like any
 * other.
 */
#include "config.h"

#include "engine/xfer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/xfer_copy.h"
#include "engine/xfer_file.h"
#include "engine/xfer_sums.h"
#include "engine/xfer_trail.h"
#include "engine/xfer_upload.h"
#include "net/loop.h"
#include "s3/copy.h"
#include "s3/multipart.h"

#define PART_MAX     (INT64_C(5) << 30)
#define MIB          (INT64_C(1) << 20)
#define AT_ONCE      8 /* parts of one object at most, where the spec does not say */
#define AT_FIRST     1
#define WHOLE_PARTS  4 /* an object of so many goes in one piece */

int64_t xfer_part_size(int64_t size, int64_t wanted)
{
	int64_t least = (size + S3_PARTS_MAX - 1) / S3_PARTS_MAX;
	int64_t whole = (least + MIB - 1) / MIB * MIB;

	if (least <= wanted)
		return wanted;
	return whole <= PART_MAX ? whole : 0;
}

int64_t xfer_part_count(int64_t size, int64_t wanted)
{
	int64_t part = xfer_part_size(size, wanted);

	return !part || size <= WHOLE_PARTS * wanted ? 1 : (size + part - 1) / part;
}

int64_t xfer_part_bytes(const struct xfer *x)
{
	return x->spec->part_bytes ? x->spec->part_bytes : x->env->part_bytes;
}

int64_t xfer_large_bytes(const struct xfer *x)
{
	return WHOLE_PARTS * xfer_part_bytes(x);
}

static int64_t part_length(const struct xfer_upload *u, int i)
{
	return i + 1 < u->count ? u->part_size : u->size - (u->count - 1) * u->part_size;
}

void xfer_upload_store(struct xfer_upload *u, int i, uint64_t crc, const char *etag)
{
	struct part *p = &u->parts[i];

	if (p->state != PART_STORED)
		u->stored++;
	p->state = PART_STORED;
	p->crc = crc;
	mem_replace(&p->etag, etag);
}

static int64_t now_us(const struct xfer *x)
{
	return clock_mono_us(loop_clock(x->env->loop));
}

/* --- what children tell; what they ask for, they ask the engine --- */

static void on_part_end(struct xfer_upload *u, struct xfer *child)
{
	struct xfer *x = u->x;
	int i = child->range.number - 1;
	struct engine_ev ev = {.type = ENGINE_EV_PART, .id = x->spec->id,
		.tag = x->spec->tag, .part = {i + 1, child->crc, ""}};

	x->parts_again += child->tries[XFER_SOURCE].again +
			  child->tries[XFER_DESTINATION].again;
	if (!child->is_failed) {
		const char *etag = child->heads[XFER_DESTINATION].etag;

		x->has_no_crc |= child->has_no_crc;
		x->is_renewed[XFER_SOURCE] = x->is_renewed[XFER_DESTINATION] = false;
		xfer_sums_take_part(x, child);
		xfer_upload_store(u, i, child->crc, etag);
		if (child->begun > 1) /* the round tells of the trouble, not of the path */
			width_begin(&u->width, now_us(x));
		else
			width_stored(&u->width, child->range.length, now_us(x));
		if (u->md5) {
			crypto_hash_free(u->md5);
			u->md5 = MEM_STEAL(child->running);
		}
		str_copy(ev.part.etag, sizeof(ev.part.etag), etag);
		x->env->event(x->env->owner, &ev);
		return;
	}
	u->parts[i].state = PART_MISSING;
	if (i < u->first_missing)
		u->first_missing = i;
	if (child->err.class == ERR_CANCELLED)
		return;
	if (child->is_copy_refused) {
		x->is_copy_refused = true;
		snprintf(x->route_why, sizeof(x->route_why), "%s", child->route_why);
	}
	/* It had its own attempts: the object has none left. */
	x->attempts = x->policy.max_attempts;
	tries_exhaust(&x->tries[child->failed_side]);
	xfer_fail(x, child->failed_side, &child->err);
}

static void on_child_event(void *arg, const struct engine_ev *ev)
{
	struct xfer_upload *u = arg;

	if (ev->type == ENGINE_EV_RETRY)
		u->x->env->event(u->x->env->owner, ev);
	else
		free(ev->result);
	if (ev->type == ENGINE_EV_PROGRESS)
		xfer_io_tell_progress(u->x);
}

static void on_child_end(void *arg, struct xfer *child)
{
	struct xfer_upload *u = arg;

	on_part_end(u, child);
	list_remove(&child->link);
	u->x->env->give_part(u->x->env->arg, child);
	loop_bury(u->x->env->loop, xfer_free, child);
	xfer_run(u->x);
}

/* --- life --- */

static void take_notes(struct xfer_upload *u, const struct engine_upload *notes)
{
	u->id = mem_strdup(notes->upload_id);
	u->kept = notes->checksum;
	u->is_resumed = true;
	for (size_t i = 0; i < notes->count; i++) {
		const struct engine_part *n = &notes->parts[i];

		if (n->number < 1 || n->number > u->count)
			continue;
		u->parts[n->number - 1].state = PART_CLAIMED;
		u->parts[n->number - 1].crc = n->crc;
		mem_replace(&u->parts[n->number - 1].etag, n->etag);
	}
}

/* Sums of parts in any order tell of the whole: no digest in order is needed. */
static bool is_summed(const struct xfer *x)
{
	enum checksum_alg alg = xfer_sums_alg(x);

	return alg == CHECKSUM_CRC32C || alg == CHECKSUM_CRC32 ||
	       (alg && checksum_part_count(x->heads[XFER_SOURCE].sum));
}

static int64_t wanted_part_bytes(const struct xfer *x)
{
	if (xfer_copy_is_wanted(x))
		return xfer_copy_part_bytes();
	return xfer_sums_part_bytes(x) ? xfer_sums_part_bytes(x) : xfer_part_bytes(x);
}

/* Where the sums of parts make that of the whole, each part has to come with its own. */
static enum checksum_alg wanted_sum(const struct xfer *x)
{
	enum checksum_alg asked = x->spec->fidelity.checksum;

	if (asked && (checksum_is_of_whole(asked) || xfer_trail_may(x)))
		return asked;
	return CHECKSUM_CRC64NVME;
}

static void cut(struct xfer_upload *u, int64_t part_size)
{
	u->part_size = part_size;
	u->count = (int)((u->size + part_size - 1) / part_size);
	u->parts = mem_array((size_t)u->count, sizeof(*u->parts));
}

void xfer_parts_recut(struct xfer *x)
{
	struct xfer_upload *u = x->upload;

	if (u->stored || u->is_resumed)
		return;
	free(u->parts);
	cut(u, xfer_part_size(u->size, wanted_part_bytes(x)));
	u->first_missing = 0;
	x->is_noted = false;
}

/* What a server copies costs us nothing and takes long: as much as may be, at once. */
static void init_width(struct xfer_upload *u)
{
	int wanted = u->x->spec->parts_at_once;
	int most = wanted ? wanted : AT_ONCE;

	width_init(&u->width, wanted || xfer_copy_is_wanted(u->x) ? most : AT_FIRST, most);
}

void xfer_parts_new(struct xfer *x)
{
	const struct engine_upload *notes = x->spec->resume;
	struct xfer_upload *u = mem_alloc(sizeof(*u));

	u->x = x;
	u->env = *x->env;
	u->env.event = on_child_event;
	u->env.ended = on_child_end;
	u->env.owner = u;
	u->size = notes ? notes->size : x->heads[XFER_SOURCE].length;
	cut(u, notes ? notes->part_size : xfer_part_size(u->size, wanted_part_bytes(x)));
	u->wanted = wanted_sum(x);
	init_width(u);
	list_init(&u->children);
	if (notes)
		take_notes(u, notes);
	else if (x->heads[XFER_SOURCE].is_etag_md5 &&
		 !x->heads[XFER_SOURCE].crc64nvme[0] && !is_summed(x))
		u->md5 = crypto_hash_new(CRYPTO_MD5);
	x->upload = u;
}

void *xfer_parts_free(struct xfer_upload *u)
{
	if (!u)
		return NULL;
	while (!list_is_empty(&u->children))
		xfer_free(xfer_from_link(u->children.next));
	for (int i = 0; i < u->count; i++)
		free(u->parts[i].etag);
	crypto_hash_free(u->md5);
	free(u->parts);
	free(u->id);
	free(u);
	return NULL;
}

void xfer_parts_drop(struct xfer *x)
{
	struct engine_ev ev = {.type = ENGINE_EV_RESTART, .id = x->spec->id,
		.tag = x->spec->tag, .is_left = x->upload->id};

	x->upload = xfer_parts_free(x->upload);
	x->has_no_crc = x->is_looked = x->is_looked_twice = false;
	free(x->spec->resume);
	x->spec->resume = NULL;
	x->is_intended = x->is_noted = x->is_head_in = false;
	x->spec->source_size = -1;
	str_copy(x->pinned, sizeof(x->pinned), x->spec->source_etag);
	x->env->event(x->env->owner, &ev);
}

enum xfer_state xfer_parts_entry(const struct xfer *x)
{
	const struct xfer_upload *u = x->upload;
	/* What becomes a file is gone with the daemon: there is nothing to remember. */
	bool is_file = x->spec->destination.scheme == ENGINE_FILE;

	if (!u->id)
		return x->is_intended || is_file ? XFER_CREATE : XFER_INTEND;
	if (u->is_resumed && !u->is_listed)
		return XFER_LIST;
	if (!x->is_noted && !u->is_resumed)
		return XFER_NOTE;
	return XFER_PARTS;
}

/* --- parts --- */

static void start_part(struct xfer_upload *u, int i, const struct turn *turn)
{
	struct engine_xfer_spec *spec = mem_alloc(sizeof(*spec));
	const struct xfer_range range = {.upload_id = u->id,
		.number = i + 1,
		.first = i * u->part_size,
		.length = part_length(u, i),
		.kept = u->kept,
		.is_copied = u->size > S3_COPY_MAX,
		.version = u->x->heads[XFER_SOURCE].version,
		.before = u->md5,
		.sum_alg = is_summed(u->x) ? xfer_sums_alg(u->x) : CHECKSUM_NONE,
		.target = u->x->target};
	struct xfer *child;

	*spec = *u->x->spec;
	spec->resume = NULL;
	spec->source_size = -1; /* else it would ask for the head of a large object */
	str_copy(spec->source_etag, sizeof(spec->source_etag), u->x->pinned);
	child = xfer_new_part(&u->env, spec, &range);
	child->turn = *turn;
	child->turn.spec = spec;
	u->parts[i].state = PART_MOVING;
	list_append(&u->children, &child->link);
	xfer_start(child);
}

static int count_children(const struct xfer_upload *u)
{
	const struct list *link;
	int n = 0;

	for (link = u->children.next; link != &u->children; link = link->next)
		n++;
	return n;
}

static int most_at_once(const struct xfer_upload *u)
{
	return u->md5 ? 1 : u->width.now;
}

bool xfer_parts_wants(const struct xfer *x)
{
	const struct xfer_upload *u = x->upload;

	return u->first_missing < u->count && count_children(u) < most_at_once(u);
}

void xfer_parts_pump(struct xfer *x)
{
	struct xfer_upload *u = x->upload;
	int i = u->first_missing, moving = count_children(u);
	int most = most_at_once(u);
	struct turn turn;

	if (!moving)
		width_begin(&u->width, now_us(x));
	for (; i < u->count && !x->is_failed && !x->is_cancelled; i++) {
		if (u->parts[i].state != PART_MISSING)
			continue;
		if (moving == most || !x->env->take_part(x->env->arg, x, &turn))
			break;
		moving++;
		start_part(u, i, &turn);
	}
	u->first_missing = i;
}

/* --- by the destination's scheme --- */

static const struct {
	void (*create)(struct xfer *x);
	void (*complete)(struct xfer *x);
	void (*abort)(struct xfer *x);
} makers[ENGINE_SCHEMES] = {
	[ENGINE_S3] = {xfer_upload_create, xfer_upload_complete, xfer_upload_abort},
	[ENGINE_FILE] = {xfer_file_create, xfer_file_complete, xfer_file_abort},
};

void xfer_parts_create(struct xfer *x)
{
	makers[x->spec->destination.scheme].create(x);
}

void xfer_parts_complete(struct xfer *x)
{
	makers[x->spec->destination.scheme].complete(x);
}

void xfer_parts_abort(struct xfer *x)
{
	makers[x->spec->destination.scheme].abort(x);
}

void xfer_parts_created(struct xfer *x)
{
	mem_replace(&x->upload->id, "");
	x->is_noted = true; /* a crash leaves nothing of it */
}

void xfer_parts_aborted(struct xfer *x)
{
	mem_replace(&x->upload->id, NULL);
	x->upload->is_aborted = true;
}

/* --- questions --- */

bool xfer_parts_is_busy(const struct xfer *x)
{
	return xfer_file_is_busy(x->target) ||
	       (x->upload && (x->upload->call || !list_is_empty(&x->upload->children)));
}

void xfer_parts_cancel(struct xfer *x)
{
	struct xfer_upload *u = x->upload;
	struct list ending, *link;

	if (!u)
		return;
	/* To learn of what it creates is short; to look for it later is not. */
	if (!u->is_creating)
		s3_call_cancel(u->call);
	/* A child may end, and leave the list, inside its cancel. */
	list_init(&ending);
	list_splice(&ending, &u->children);
	while (!list_is_empty(&ending)) {
		link = ending.next;
		list_remove(link);
		list_append(&u->children, link);
		xfer_cancel(xfer_from_link(link));
	}
}

bool xfer_parts_is_created(const struct xfer *x)
{
	return x->upload->id;
}

void xfer_parts_forget_id(struct xfer *x)
{
	mem_replace(&x->upload->id, NULL);
}

bool xfer_parts_is_listed(const struct xfer *x)
{
	return x->upload->is_listed;
}

bool xfer_parts_is_full(const struct xfer *x)
{
	return x->upload->stored == x->upload->count;
}

bool xfer_parts_is_completed(const struct xfer *x)
{
	return x->upload->is_completed;
}

void xfer_parts_settle(struct xfer *x)
{
	x->upload->is_completed = true;
}

bool xfer_parts_is_size(const struct xfer *x, int64_t size)
{
	return x->upload->size == size;
}

bool xfer_parts_is_aborted(const struct xfer *x)
{
	return x->upload->is_aborted;
}

bool xfer_parts_is_resumed(const struct xfer *x)
{
	return x->upload->is_resumed;
}

int64_t xfer_parts_length(const struct xfer *x, int i)
{
	return part_length(x->upload, i);
}

int xfer_parts_count(const struct xfer *x)
{
	return x->upload->count;
}

int xfer_parts_count_resumed(const struct xfer *x)
{
	return x->upload->resumed;
}

struct engine_upload *xfer_parts_intent(const struct xfer *x)
{
	const struct creds_set *set =
		x->env->creds(x->env->arg, x->spec->destination.creds_id);
	struct engine_upload *n = mem_alloc(sizeof(*n));

	n->intended_us = clock_wall_us(loop_clock(x->env->loop));
	str_copy(n->initiator, sizeof(n->initiator), set ? set->arn : "");
	return n;
}

struct engine_upload *xfer_parts_notes(const struct xfer *x)
{
	const struct xfer_upload *u = x->upload;
	struct engine_upload *n = mem_alloc(sizeof(*n));

	str_copy(n->upload_id, sizeof(n->upload_id), u->id);
	str_copy(n->source_etag, sizeof(n->source_etag), x->pinned);
	n->size = u->size;
	n->part_size = u->part_size;
	n->checksum = u->kept;
	return n;
}

enum checksum_alg xfer_parts_kept(const struct xfer *x)
{
	return x->upload->kept == CHECKSUM_CRC64NVME ? CHECKSUM_NONE : x->upload->kept;
}

uint64_t xfer_parts_crc(const struct xfer *x)
{
	const struct xfer_upload *u = x->upload;
	uint64_t shift = crc64nvme_shift((uint64_t)u->part_size);
	uint64_t crc = u->parts[0].crc;

	for (int i = 1; i < u->count; i++) {
		if (i + 1 == u->count)
			shift = crc64nvme_shift((uint64_t)part_length(u, i));
		crc = crc64nvme_append(crc, shift, u->parts[i].crc);
	}
	return crc;
}

bool xfer_parts_are_known(const struct xfer *x)
{
	const struct xfer_upload *u = x->upload;

	for (int i = 0; i < u->count; i++)
		if (u->parts[i].state == PART_MISSING || u->parts[i].state == PART_MOVING)
			return false;
	return true;
}

bool xfer_parts_md5(const struct xfer *x, char hex[2 * CRYPTO_MD5_LEN + 1])
{
	struct crypto_hash *md5 = x->upload->md5 ? crypto_hash_copy(x->upload->md5) : NULL;
	uint8_t sum[CRYPTO_MD5_LEN];

	if (!md5)
		return false;
	crypto_hash_final(md5, sum);
	crypto_hash_free(md5);
	str_to_hex(sum, sizeof(sum), hex);
	return true;
}

bool xfer_parts_is_etag(const struct xfer *x, const char *etag)
{
	const struct xfer_upload *u = x->upload;
	struct crypto_hash *md5 = crypto_hash_new(CRYPTO_MD5);
	uint8_t sum[CRYPTO_MD5_LEN];
	char hex[2 * CRYPTO_MD5_LEN + 1], want[2 * CRYPTO_MD5_LEN + 24];
	bool are_digests = true;

	for (int i = 0; i < u->count; i++) {
		const char *part = u->parts[i].etag;

		are_digests = are_digests && part && strlen(part) == 34;
		snprintf(hex, sizeof(hex), "%.32s", are_digests ? part + 1 : "");
		if (are_digests && str_from_hex(hex, sum, sizeof(sum)) == 0)
			crypto_hash_update(md5, sum, sizeof(sum));
		else
			are_digests = false;
	}
	crypto_hash_final(md5, sum);
	crypto_hash_free(md5);
	str_to_hex(sum, sizeof(sum), hex);
	snprintf(want, sizeof(want), "\"%s-%d\"", hex, u->count);
	return are_digests && str_eq(want, etag);
}

uint64_t xfer_parts_bytes(const struct xfer *x)
{
	const struct xfer_upload *u = x->upload;
	const struct list *link;
	uint64_t sum = 0;

	for (int i = 0; i < u->count; i++)
		if (u->parts[i].state == PART_STORED)
			sum += (uint64_t)part_length(u, i);
	for (link = u->children.next; link != &u->children; link = link->next)
		sum += LIST_ENTRY(link, struct xfer, link)->received;
	return sum;
}

void xfer_parts_wake(struct xfer *x, uint32_t creds_id)
{
	struct list woken, *link;

	if (!x->upload)
		return;
	list_init(&woken);
	list_splice(&woken, &x->upload->children);
	while (!list_is_empty(&woken)) {
		link = woken.next;
		list_remove(link);
		list_append(&x->upload->children, link);
		xfer_wake(xfer_from_link(link), creds_id);
	}
}
