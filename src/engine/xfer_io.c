/*
 * The calls of one transfer and what their bytes and answers prove. What follows from it
 * is decided by the machine in xfer.c.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/known.h"
#include "engine/xfer_copy.h"
#include "engine/xfer_file.h"
#include "engine/xfer_headers.h"
#include "engine/xfer_impl.h"
#include "engine/xfer_look.h"
#include "engine/xfer_parts.h"
#include "engine/xfer_sums.h"
#include "engine/xfer_trail.h"
#include "net/loop.h"
#include "s3/multipart.h"

#define PROGRESS_MS 500
#define FILE_RING   (512 << 10) /* half of it is a piece: fewer cost more */
#define SMALL_BYTES (64 << 10) /* libcurl sends such a body with its head */

static const struct engine_side *side_of(const struct xfer *x, enum xfer_side side)
{
	return side == XFER_SOURCE ? &x->spec->source : &x->spec->destination;
}

void xfer_io_fail(struct xfer *x, enum xfer_side side, enum err_class class,
	const char *code, const char *text)
{
	struct err e;

	static const char *const operations[ENGINE_SCHEMES][XFER_SIDES] = {
		[ENGINE_S3] = {"GetObject", "PutObject"},
		[ENGINE_FILE] = {"read", "write"}};
	enum engine_scheme scheme = side_of(x, side)->scheme;

	err_set(&e, class, scheme == ENGINE_S3 ? ERR_FROM_S3 : ERR_FROM_LOCAL, code, "%s",
		text);
	snprintf(e.operation, sizeof(e.operation), "%s", operations[scheme][side]);
	xfer_fail(x, side, &e);
}

static void forget_source(struct xfer *x)
{
	s3_meta_done(&x->meta);
	mem_replace(&x->tagging, NULL);
	x->sums = xfer_sums_free(x->sums);
	x->is_tags_asked = false;
	memset(x->heads, 0, sizeof(x->heads));
	memset(x->is_begun, 0, sizeof(x->is_begun));
	memset(x->is_ended, 0, sizeof(x->is_ended));
	x->is_head_in = x->has_md5 = x->is_large = false;
	x->received = x->crc = 0;
	x->md5_hex[0] = '\0';
}

void xfer_io_reset(struct xfer *x)
{
	uint8_t drop[CRYPTO_MD5_LEN];

	x->pipe = xfer_pipe_free(x->pipe);
	x->running = crypto_hash_free(x->running);
	if (x->md5)
		crypto_hash_final(x->md5, drop);
	x->has_no_crc &= x->upload != NULL;
	/* An upload goes on with the source that it began with. */
	if (!x->upload || !x->is_head_in)
		forget_source(x);
	x->is_get_paused = x->is_copying = x->is_put_held = false;
	x->is_lost = x->is_asked = x->is_unsure = x->is_failed = x->is_source_proven = false;
	x->proof = ENGINE_PROOF_NONE;
	x->err = (struct err){0};
}

void xfer_place(const struct engine_side *s, struct s3_place *ret)
{
	*ret = (struct s3_place){s->bucket, s->region, s->endpoint_url, s->ca_bundle,
		s->options, s->expected_owner, s->is_requester_paying};
}

bool xfer_io_env(struct xfer *x, enum xfer_side side, struct s3_place *place,
	struct s3_env *env)
{
	const struct engine_side *s = side_of(x, side);
	const struct creds_set *set = x->env->creds(x->env->arg, s->creds_id);
	struct skew *skew = x->env->skew(x->env->arg, s->endpoint_url);

	if (!set) {
		xfer_io_fail(x, side, ERR_RETRY, "credentials",
			"the credentials were withdrawn");
		return false;
	}
	if (skew && !skew->us)
		skew->us = s->skew_us;
	xfer_place(s, place);
	*env = (struct s3_env){x->env->http, place, set,
		clock_wall_us(loop_clock(x->env->loop)), x->env->stall_timeout_ms,
		skew, x->env->regions, x->env->memos, x->turn.buffer};
	x->used[side] = set->generation;
	return true;
}

/* --- GET --- */

static bool is_other_object(const struct xfer *x, const struct s3_head *head)
{
	const char *pinned = x->pinned;
	size_t n;

	if (!pinned[0] || !head->etag[0] || str_eq(pinned, head->etag))
		return false;
	/* Listings of some servers leave the quotes out. */
	n = strlen(pinned);
	return strlen(head->etag) != n + 2 || strncmp(head->etag + 1, pinned, n) != 0;
}

/* false: this answer cannot be used, and the attempt has failed. */
static bool is_fit(struct xfer *x, const struct s3_head *head)
{
	int64_t want = x->range.length;

	if (head->length < 0)
		/* Then nothing tells its end from a connection that was closed early. */
		xfer_io_fail(x, XFER_SOURCE, ERR_FATAL, "no-length",
			"the source does not tell the object's length: something on the "
			"way leaves Content-Length out, as proxies that change answers do");
	else if (is_other_object(x, head) ||
		 (x->upload && !xfer_parts_is_size(x, head->length)))
		/* Not every server heeds If-Match. */
		xfer_io_fail(x, XFER_SOURCE, ERR_CONFLICT, "changed",
			"the object changed since it was looked at");
	else if (want && (head->length != want || head->status != 206))
		xfer_io_fail(x, XFER_SOURCE, ERR_FATAL, "range",
			"the source does not answer with the range that was asked for");
	else if (!xfer_part_size(head->length, xfer_part_bytes(x)))
		xfer_io_fail(x, XFER_DESTINATION, ERR_CONFIG, "too-large",
			"the object is larger than S3 can store");
	return !x->is_failed;
}

bool xfer_io_take_head(
	struct xfer *x, const struct s3_head *head, struct s3_meta *meta)
{
	x->heads[XFER_SOURCE] = *head;
	if (xfer_look_is_same(x, head)) {
		x->is_same = true;
		return false;
	}
	if (!is_fit(x, head))
		return false;
	x->meta = *meta;
	*meta = (struct s3_meta){0};
	if (!x->pinned[0])
		snprintf(x->pinned, sizeof(x->pinned), "%s", head->etag);
	x->rounds = 0;
	x->is_renewed[XFER_SOURCE] = false;
	x->is_head_in = true;
	x->is_large = !x->range.length &&
		      (x->upload || head->length > xfer_large_bytes(x));
	return true;
}

static enum http_flow on_get_head(
	void *arg, const struct s3_head *head, struct s3_meta *meta)
{
	struct xfer *x = arg;

	/* A large object comes in parts: this answer told all that was needed. */
	if (!xfer_io_take_head(x, head, meta) || x->is_large)
		return HTTP_ABORT;
	xfer_run(x);
	return HTTP_GO;
}

/* Half a second after bytes came, also when none come any more. */
void xfer_io_tell_progress(void *arg)
{
	struct xfer *x = arg;
	struct engine_ev ev = {.type = ENGINE_EV_PROGRESS, .id = x->spec->id,
		.tag = x->spec->tag,
		.bytes = x->upload ? xfer_parts_bytes(x) : x->received,
		.total = x->heads[XFER_SOURCE].length};

	x->is_telling = false;
	x->env->event(x->env->owner, &ev);
}

void xfer_io_received(struct xfer *x, size_t bytes)
{
	x->received += bytes;
	x->env->did_read(x->env->arg, x, bytes);
	if (!x->is_telling)
		loop_timer_set(x->teller, PROGRESS_MS);
	x->is_telling = true;
}

static size_t ring_size(const struct xfer *x)
{
	bool has_file = x->spec->source.scheme == ENGINE_FILE ||
			x->spec->destination.scheme == ENGINE_FILE;

	return has_file && x->turn.ring < FILE_RING ? FILE_RING : x->turn.ring;
}

static enum http_flow on_get_body(void *arg, const char *data, size_t len)
{
	struct xfer *x = arg;
	enum http_flow flow;

	if (x->state == XFER_TAGS) { /* the destination waits for them */
		x->is_get_paused = true;
		return HTTP_PAUSE;
	}
	if (!x->env->may_read(x->env->arg, x))
		return HTTP_PAUSE;
	flow = x->pipe ? xfer_pipe_write(x->pipe, data, len) : HTTP_ABORT;
	if (flow != HTTP_GO && flow != HTTP_ENOUGH)
		return flow;
	x->crc = crc64nvme(x->crc, data, len);
	xfer_sums_update(x, data, len);
	if (x->has_md5)
		crypto_hash_update(x->md5, data, len);
	if (x->running)
		crypto_hash_update(x->running, data, len);
	xfer_io_received(x, len);
	return flow;
}

static bool is_md5(const struct s3_head *head, const char *hex)
{
	return strncasecmp(head->etag + 1, hex, strlen(hex)) == 0;
}

/* All bytes are in: are they what the source declares? */
static bool is_as_declared(struct xfer *x)
{
	const struct s3_head *s = &x->heads[XFER_SOURCE];
	char crc[CRC64_BASE64_LEN];
	uint8_t md5[CRYPTO_MD5_LEN];
	enum xfer_verdict verdict;

	if (x->has_md5) {
		crypto_hash_final(x->md5, md5);
		str_to_hex(md5, sizeof(md5), x->md5_hex);
	}
	xfer_sums_end(x);
	if (x->range.length) /* what is declared is of the whole */
		return true;
	x->is_source_proven = x->spec->source.scheme == ENGINE_FILE;
	crc64nvme_base64(x->crc, crc);
	if (s->crc64nvme[0]) {
		x->is_source_proven = str_eq(s->crc64nvme, crc);
		return x->is_source_proven;
	}
	verdict = xfer_sums_judge(x);
	if (verdict != XFER_UNPROVEN) {
		x->is_source_proven = verdict == XFER_RIGHT;
		return x->is_source_proven;
	}
	if (!s->is_etag_md5 || !x->md5_hex[0])
		return true;
	x->is_source_proven = is_md5(s, x->md5_hex);
	return x->is_source_proven;
}

static void put_object(struct xfer *x);

/* The answer to a GET is whole; what it waits for may not be there yet. */
static void end_source(struct xfer *x)
{
	if (x->received != (uint64_t)x->heads[XFER_SOURCE].length)
		xfer_io_fail(x, XFER_SOURCE, ERR_INTEGRITY, "length",
			"the source sent another length than it told");
	else if (!is_as_declared(x)) /* the upload lacks its last byte: it won't count */
		xfer_io_fail(x, XFER_SOURCE, ERR_INTEGRITY, "digest",
			"the bytes read are not those the source declares");
	else
		xfer_pipe_end(x->pipe);
	if (x->is_put_held && !x->is_failed)
		put_object(x);
}

/* "Not modified", or its head said so: what was at the destination is this object. */
static bool is_there_already(struct xfer *x, const struct err *err)
{
	if (!err || !xfer_look_unless(x)[0] || err->http_status != 304)
		return x->is_same;
	x->is_same = true;
	return true;
}

void xfer_io_get_ended(struct xfer *x, const struct err *err)
{
	x->is_ended[XFER_SOURCE] = true;
	if (x->is_large)
		x->rounds = 0;
	else if (err && !is_there_already(x, err))
		xfer_fail(x, XFER_SOURCE, err);
	else if (!err && x->pipe)
		end_source(x);
	xfer_run(x);
}

/* It is the one that was named, whether the 304 says so or not. */
static void note_unmodified(
	struct xfer *x, const struct err *err, const struct s3_head *head)
{
	if (err && err->http_status == 304)
		str_copy(x->heads[XFER_SOURCE].etag, sizeof(head->etag),
			head->etag[0] ? head->etag : xfer_look_unless(x));
}

static void on_get_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->calls[XFER_SOURCE] = NULL;
	note_unmodified(x, err, head);
	xfer_io_get_ended(x, err);
}

static void get_object(struct xfer *x)
{
	struct s3_place place;
	struct s3_env env;
	const char *version = x->range.length ? xfer_copy_version(x) : NULL;
	const struct s3_object o = {.key = x->spec->source.key, .if_match = x->pinned,
		.if_none_match = xfer_look_unless(x), .version = version,
		.range_first = x->range.first, .range_length = x->range.length,
		.on_head = on_get_head, .on_body = on_get_body, .done = on_get_done,
		.arg = x};

	x->is_begun[XFER_SOURCE] = true;
	x->has_named_version = version;
	if (xfer_io_env(x, XFER_SOURCE, &place, &env))
		x->calls[XFER_SOURCE] = s3_get_object(&env, &o);
}

static enum http_flow on_source_head(
	void *arg, const struct s3_head *head, struct s3_meta *meta)
{
	struct xfer *x = arg;

	xfer_io_take_head(x, head, meta);
	return HTTP_GO;
}

void xfer_io_head_ended(struct xfer *x, const struct err *err)
{
	x->is_ended[XFER_SOURCE] = true;
	if (err && !is_there_already(x, err))
		xfer_fail(x, XFER_SOURCE, err);
	xfer_run(x);
}

static void on_head_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->calls[XFER_SOURCE] = NULL;
	note_unmodified(x, err, head);
	xfer_io_head_ended(x, err);
}

static void head_object(struct xfer *x)
{
	struct s3_place place;
	struct s3_env env;
	const struct s3_object o = {.key = x->spec->source.key,
		.if_none_match = xfer_look_unless(x), .on_head = on_source_head,
		.done = on_head_done, .arg = x};

	x->is_begun[XFER_SOURCE] = true;
	if (xfer_io_env(x, XFER_SOURCE, &place, &env))
		x->calls[XFER_SOURCE] = s3_head_object(&env, &o);
}

/* --- PUT --- */

static enum http_flow on_put_send(void *arg, char *out, size_t max, size_t *ret_len)
{
	struct xfer *x = arg;

	return xfer_pipe_read(x->pipe, out, max, ret_len);
}

/*
 * Whether the object came to be in spite of this error: no answer came, or the condition
 * does not hold, maybe because of the object itself, which an earlier attempt brought, or
 * this one: libcurl sends a small body once more when a kept-alive connection goes away.
 */
static bool may_be_there(const struct xfer *x, const struct err *err, bool is_all_sent)
{
	if (x->is_failed || x->range.length)
		return false;
	return err->http_status == 412 ||
	       (x->is_ended[XFER_SOURCE] && is_all_sent && err->class == ERR_RETRY &&
		       err->origin == ERR_FROM_NET);
}

void xfer_io_put_ended(struct xfer *x, const struct err *err, const struct s3_head *head)
{
	uint64_t length = (uint64_t)x->heads[XFER_SOURCE].length;
	bool is_all_sent = xfer_pipe_bytes_out(x->pipe) == length;

	x->is_ended[XFER_DESTINATION] = true;
	x->heads[XFER_DESTINATION] = *head;
	if (err) {
		x->is_lost = may_be_there(x, err, is_all_sent);
		xfer_fail(x, XFER_DESTINATION, err);
	} else if (!is_all_sent) {
		xfer_io_fail(x, XFER_DESTINATION, ERR_INTEGRITY, "length",
			"the destination answered before all bytes were sent");
	}
	xfer_run(x);
}

static void on_put_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->calls[XFER_DESTINATION] = NULL;
	xfer_io_put_ended(x, err, head);
}

static void resume_get(void *arg)
{
	struct xfer *x = arg;

	s3_call_resume(x->calls[XFER_SOURCE]);
	xfer_file_resume(x->files[XFER_SOURCE]);
}

void xfer_read_on(struct xfer *x)
{
	resume_get(x);
}

static void resume_put(void *arg)
{
	struct xfer *x = arg;

	s3_call_resume(x->calls[XFER_DESTINATION]);
	xfer_file_resume(x->files[XFER_DESTINATION]);
}

/* MD5 costs more than all else: only where nothing better proves a side. */
static bool wants_md5(const struct xfer *x)
{
	const struct s3_head *source = &x->heads[XFER_SOURCE];
	const char *custom = x->spec->destination.endpoint_url;

	if (x->range.length)
		return !x->range.kept && !x->range.target;
	return (source->is_etag_md5 && !source->crc64nvme[0] && !xfer_sums_alg(x)) ||
	       (custom[0] && !known_tells_checksum(x->env->known, custom));
}

static void put_object(struct xfer *x)
{
	struct s3_place place;
	struct s3_env env;
	const struct s3_head *source = &x->heads[XFER_SOURCE];
	const struct s3_condition condition = xfer_look_condition(x);
	struct s3_meta headers = {0};
	const struct s3_object o = {.key = x->spec->destination.key,
		.length = source->length,
		.meta = &headers,
		.condition = &condition,
		.body = x->is_put_held ? xfer_pipe_take(x->pipe) : NULL,
		.crc64nvme = source->crc64nvme,
		.sum_alg = source->sum_alg,
		.sum = source->sum,
		.asked = x->range.length ? x->range.kept : x->spec->fidelity.checksum,
		.on_send = on_put_send,
		.done = on_put_done,
		.arg = x};

	if (!xfer_io_env(x, XFER_DESTINATION, &place, &env))
		return;
	env.trails = xfer_trail_begin(x);
	if (x->range.length) {
		x->calls[XFER_DESTINATION] = s3_upload_part(
			&env, &o, x->range.upload_id, x->range.number);
	} else {
		xfer_headers_make(x, XFER_BY_PUT, &headers);
		x->calls[XFER_DESTINATION] = s3_put_object(&env, &o);
		s3_meta_done(&headers);
	}
	if (x->is_put_held)
		return;
	if (x->is_get_paused)
		s3_call_resume(x->calls[XFER_SOURCE]);
	if (x->is_ended[XFER_SOURCE]) /* of an empty object, while tags were asked for */
		end_source(x);
}

/* --- by scheme --- */

static const struct {
	void (*head)(struct xfer *x);
	void (*get)(struct xfer *x);
	void (*put)(struct xfer *x);
} ports[ENGINE_SCHEMES] = {
	[ENGINE_S3] = {head_object, get_object, put_object},
	[ENGINE_FILE] = {xfer_file_head, xfer_file_get, xfer_file_put},
};

void xfer_io_head(struct xfer *x)
{
	ports[x->spec->source.scheme].head(x);
}

void xfer_io_get(struct xfer *x)
{
	ports[x->spec->source.scheme].get(x);
}

/* A small object is put when it is all there: its bytes are proven before they go. */
static bool is_put_later(const struct xfer *x)
{
	int64_t length = x->heads[XFER_SOURCE].length;

	return x->spec->destination.scheme == ENGINE_S3 && length > 0 &&
	       length <= SMALL_BYTES && !x->is_ended[XFER_SOURCE];
}

void xfer_io_put(struct xfer *x)
{
	x->is_begun[XFER_DESTINATION] = true;
	x->pipe = xfer_pipe_new(ring_size(x), (uint64_t)x->heads[XFER_SOURCE].length,
		resume_get, resume_put, x);
	x->has_md5 = wants_md5(x);
	if (x->has_md5 && !x->md5)
		x->md5 = crypto_hash_new(CRYPTO_MD5);
	if (x->range.before)
		x->running = crypto_hash_copy(x->range.before);
	xfer_sums_begin(x);
	x->is_put_held = is_put_later(x);
	if (!x->is_put_held)
		ports[x->spec->destination.scheme].put(x);
	else if (x->is_get_paused)
		s3_call_resume(x->calls[XFER_SOURCE]);
}

/* --- HEAD of the destination --- */

static void on_ask_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->ask = NULL;
	x->is_asked = true;
	x->is_unsure = err && (err_is_transient(err) || err->class == ERR_AUTH);
	if (x->is_unsure)
		x->err = *err; /* what was lost may have been nothing */
	x->heads[XFER_DESTINATION] = err ? (struct s3_head){.length = -1} : *head;
	xfer_run(x);
}

void xfer_io_ask(struct xfer *x)
{
	struct s3_place place;
	struct s3_env env;
	const struct s3_object o = {
		.key = x->spec->destination.key, .done = on_ask_done, .arg = x};

	if (xfer_io_env(x, XFER_DESTINATION, &place, &env))
		x->ask = s3_head_object(&env, &o);
	else
		x->is_asked = true;
}

/* --- proof --- */

/* The server copied it, or answered early: not all bytes passed here. */
static bool is_unseen(const struct xfer *x)
{
	bool is_whole = x->received == (uint64_t)x->heads[XFER_SOURCE].length;

	return x->upload ? x->has_no_crc : x->is_copying || !is_whole;
}

enum engine_proof xfer_io_prove(struct xfer *x, bool *ret_is_wrong)
{
	const char *written;
	const struct s3_head *d = &x->heads[XFER_DESTINATION];
	char crc[CRC64_BASE64_LEN];

	if (is_unseen(x))
		return xfer_copy_prove(x, ret_is_wrong);
	crc64nvme_base64(x->crc, crc);
	*ret_is_wrong = false;
	if (x->spec->destination.scheme == ENGINE_FILE)
		return ENGINE_PROOF_FILE;
	if (d->crc64nvme[0]) {
		*ret_is_wrong = !str_eq(d->crc64nvme, crc);
		return ENGINE_PROOF_CHECKSUM;
	}
	written = xfer_sums_written(x);
	if (d->sum[0] && written[0] && d->sum_alg == x->spec->fidelity.checksum) {
		*ret_is_wrong = !str_eq(d->sum, written);
		return ENGINE_PROOF_CHECKSUM;
	}
	if (d->sum[0] && d->sum_alg == x->heads[XFER_SOURCE].sum_alg && !x->upload) {
		*ret_is_wrong = !str_eq(d->sum, x->heads[XFER_SOURCE].sum);
		return ENGINE_PROOF_CHECKSUM;
	}
	if (x->upload)
		return xfer_parts_is_etag(x, d->etag) ? ENGINE_PROOF_MD5
						      : ENGINE_PROOF_TRANSIT;
	if (d->is_etag_md5 && x->md5_hex[0]) {
		*ret_is_wrong = !is_md5(d, x->md5_hex);
		return ENGINE_PROOF_MD5;
	}
	return ENGINE_PROOF_TRANSIT;
}

void xfer_io_verify(struct xfer *x)
{
	bool is_wrong;
	enum engine_proof proof = xfer_io_prove(x, &is_wrong);
	const char *custom = x->spec->destination.endpoint_url;

	if (proof == ENGINE_PROOF_CHECKSUM && custom[0])
		known_note_checksum(x->env->known, custom);
	xfer_trail_judge(x, proof == ENGINE_PROOF_CHECKSUM && !is_wrong);
	if (is_wrong)
		xfer_io_fail(x, XFER_DESTINATION, ERR_INTEGRITY, "digest",
			"the destination stored other bytes than were sent");
	else
		x->proof = proof;
	if (!x->is_failed && !xfer_sums_is_kept(x))
		x->losses |= 1u << ENGINE_LOSS_CHECKSUM;
	if (is_unseen(x))
		x->is_source_proven = proof != ENGINE_PROOF_TRANSIT;
}

void xfer_io_check_whole(struct xfer *x)
{
	const struct s3_head *source = &x->heads[XFER_SOURCE];
	char crc[CRC64_BASE64_LEN];
	bool has_digest = true;
	enum xfer_verdict verdict;

	x->received = (uint64_t)source->length;
	if (x->has_no_crc)
		return;
	x->crc = xfer_parts_crc(x);
	crc64nvme_base64(x->crc, crc);
	if (source->crc64nvme[0])
		x->is_source_proven = str_eq(source->crc64nvme, crc);
	else if ((verdict = xfer_sums_judge_parts(x)) != XFER_UNPROVEN)
		x->is_source_proven = verdict == XFER_RIGHT;
	else if (source->is_etag_md5 && xfer_parts_md5(x, x->md5_hex))
		x->is_source_proven = is_md5(source, x->md5_hex);
	else
		has_digest = false;
	if (x->spec->source.scheme == ENGINE_FILE)
		x->is_source_proven = true; /* each part saw the same file */
	if (has_digest && !x->is_source_proven)
		xfer_io_fail(x, XFER_SOURCE, ERR_INTEGRITY, "digest",
			"the bytes read are not those the source declares");
}

bool xfer_io_is_ours(struct xfer *x)
{
	bool is_wrong;

	if (x->upload && !xfer_parts_are_known(x))
		return false;
	if (x->upload && !x->has_no_crc)
		x->crc = xfer_parts_crc(x);
	x->proof = xfer_io_prove(x, &is_wrong);
	return !is_wrong && x->proof != ENGINE_PROOF_TRANSIT &&
	       x->heads[XFER_DESTINATION].length == x->heads[XFER_SOURCE].length;
}

void xfer_io_checksum(const struct xfer *x, char *out, size_t size)
{
	char crc[CRC64_BASE64_LEN];

	if (x->has_no_crc)
		return;
	crc64nvme_base64(x->crc, crc);
	snprintf(out, size, "crc64nvme:%s", crc);
}
