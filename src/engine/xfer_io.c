/*
 * The calls of one transfer and what their bytes and answers prove. What follows from it
 * is decided by the machine in xfer.c.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/xfer_impl.h"
#include "net/loop.h"

#define PUT_MAX     (INT64_C(5) << 30)
#define PROGRESS_MS 500

static const struct engine_side *side_of(const struct xfer *x, enum xfer_side side)
{
	return side == XFER_SOURCE ? &x->spec->source : &x->spec->destination;
}

static void fail_here(
	struct xfer *x, enum xfer_side side, enum err_class class, const char *code,
	const char *text)
{
	struct err e;

	err_set(&e, class, ERR_FROM_S3, code, "%s", text);
	snprintf(e.operation, sizeof(e.operation), "%s",
		side == XFER_SOURCE ? "GetObject" : "PutObject");
	xfer_fail(x, side, &e);
}

void xfer_io_reset(struct xfer *x)
{
	uint8_t drop[CRYPTO_MD5_LEN];

	x->pipe = xfer_pipe_free(x->pipe);
	s3_meta_done(&x->meta);
	if (x->md5)
		crypto_hash_final(x->md5, drop);
	memset(x->heads, 0, sizeof(x->heads));
	memset(x->is_begun, 0, sizeof(x->is_begun));
	memset(x->is_ended, 0, sizeof(x->is_ended));
	x->is_head_in = x->is_lost = x->is_asked = x->is_failed = x->has_md5 = false;
	x->received = x->crc = 0;
	x->md5_hex[0] = '\0';
	x->proof = ENGINE_PROOF_NONE;
	x->err = (struct err){0};
}

/* false: the set went away since it was looked at. */
static bool fill_env(struct xfer *x, enum xfer_side side, struct s3_place *place,
	struct s3_env *env)
{
	const struct engine_side *s = side_of(x, side);
	const struct creds_set *set = x->env->creds(x->env->arg, s->creds_id);

	if (!set)
		return false;
	*place = (struct s3_place){s->bucket, s->region, s->endpoint_url, s->ca_bundle};
	*env = (struct s3_env){x->env->http, place, set,
		clock_wall_us(loop_clock(x->env->loop)), x->env->stall_timeout_ms};
	x->used[side] = set->generation;
	return true;
}

static void no_creds(struct xfer *x, enum xfer_side side)
{
	fail_here(x, side, ERR_RETRY, "credentials", "the credentials were withdrawn");
}

/* --- GET --- */

static enum http_flow on_get_head(
	void *arg, const struct s3_head *head, struct s3_meta *meta)
{
	struct xfer *x = arg;

	x->heads[XFER_SOURCE] = *head;
	if (head->length < 0 || head->length > PUT_MAX) {
		if (head->length < 0)
			fail_here(x, XFER_SOURCE, ERR_FATAL, "no-length",
				"the source does not tell the object's length");
		else
			fail_here(x, XFER_DESTINATION, ERR_CONFIG, "too-large",
				"objects above 5 GiB are not supported yet");
		return HTTP_ABORT;
	}
	x->meta = *meta;
	*meta = (struct s3_meta){0};
	if (!x->pinned[0])
		snprintf(x->pinned, sizeof(x->pinned), "%s", head->etag);
	x->rounds = 0;
	x->is_head_in = true;
	xfer_run(x);
	return HTTP_GO;
}

/* Half a second after bytes came, also when none come any more. */
void xfer_io_tell_progress(void *arg)
{
	struct xfer *x = arg;
	struct engine_ev ev = {.type = ENGINE_EV_PROGRESS, .id = x->spec->id,
		.tag = x->spec->tag, .bytes = x->received,
		.total = x->heads[XFER_SOURCE].length};

	x->is_telling = false;
	x->env->event(x->env->arg, &ev);
}

static void note_progress(struct xfer *x)
{
	if (!x->is_telling)
		loop_timer_set(x->teller, PROGRESS_MS);
	x->is_telling = true;
}

static enum http_flow on_get_body(void *arg, const char *data, size_t len)
{
	struct xfer *x = arg;
	enum http_flow flow = x->pipe ? xfer_pipe_write(x->pipe, data, len) : HTTP_ABORT;

	if (flow != HTTP_GO)
		return flow;
	x->received += len;
	x->crc = crc64nvme(x->crc, data, len);
	if (x->has_md5)
		crypto_hash_update(x->md5, data, len);
	note_progress(x);
	return HTTP_GO;
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

	if (x->has_md5) {
		crypto_hash_final(x->md5, md5);
		str_to_hex(md5, sizeof(md5), x->md5_hex);
	}
	crc64nvme_base64(x->crc, crc);
	if (s->crc64nvme[0] && !str_eq(s->crc64nvme, crc))
		return false;
	return !s->is_etag_md5 || !x->md5_hex[0] || is_md5(s, x->md5_hex);
}

static void on_get_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->calls[XFER_SOURCE] = NULL;
	x->is_ended[XFER_SOURCE] = true;
	if (err)
		xfer_fail(x, XFER_SOURCE, err);
	else if (x->received != (uint64_t)x->heads[XFER_SOURCE].length)
		fail_here(x, XFER_SOURCE, ERR_INTEGRITY, "length",
			"the source sent another length than it told");
	else if (!is_as_declared(x)) /* the upload lacks its last byte: it won't count */
		fail_here(x, XFER_SOURCE, ERR_INTEGRITY, "digest",
			"the bytes read are not those the source declares");
	else if (x->pipe)
		xfer_pipe_end(x->pipe);
	xfer_run(x);
}

void xfer_io_get(struct xfer *x)
{
	struct s3_place place;
	struct s3_env env;
	const struct s3_object o = {.key = x->spec->source.key, .if_match = x->pinned,
		.on_head = on_get_head, .on_body = on_get_body, .done = on_get_done,
		.arg = x};

	x->is_begun[XFER_SOURCE] = true;
	if (fill_env(x, XFER_SOURCE, &place, &env))
		x->calls[XFER_SOURCE] = s3_get_object(&env, &o);
	else
		no_creds(x, XFER_SOURCE);
}

/* --- PUT --- */

static enum http_flow on_put_send(void *arg, char *out, size_t max, size_t *ret_len)
{
	struct xfer *x = arg;

	return xfer_pipe_read(x->pipe, out, max, ret_len);
}

static void on_put_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;
	uint64_t length = (uint64_t)x->heads[XFER_SOURCE].length;
	bool is_all_sent = xfer_pipe_bytes_out(x->pipe) == length;

	x->calls[XFER_DESTINATION] = NULL;
	x->is_ended[XFER_DESTINATION] = true;
	x->heads[XFER_DESTINATION] = *head;
	if (err) {
		x->is_lost = !x->is_failed && x->is_ended[XFER_SOURCE] && is_all_sent &&
			     err->class == ERR_RETRY && err->origin == ERR_FROM_NET;
		xfer_fail(x, XFER_DESTINATION, err);
	} else if (!is_all_sent) {
		fail_here(x, XFER_DESTINATION, ERR_INTEGRITY, "length",
			"the destination answered before all bytes were sent");
	}
	xfer_run(x);
}

static void resume_get(void *arg)
{
	struct xfer *x = arg;

	s3_call_resume(x->calls[XFER_SOURCE]);
}

static void resume_put(void *arg)
{
	struct xfer *x = arg;

	s3_call_resume(x->calls[XFER_DESTINATION]);
}

void xfer_io_put(struct xfer *x)
{
	struct s3_place place;
	struct s3_env env;
	const struct s3_head *source = &x->heads[XFER_SOURCE];
	const struct s3_object o = {.key = x->spec->destination.key,
		.length = source->length, .meta = &x->meta,
		.crc64nvme = source->crc64nvme, .on_send = on_put_send,
		.done = on_put_done, .arg = x};
	size_t ring = x->env->ring_bytes;

	x->is_begun[XFER_DESTINATION] = true;
	if ((uint64_t)source->length < ring)
		ring = (size_t)source->length;
	x->pipe = xfer_pipe_new(ring, resume_get, resume_put, x);
	x->has_md5 = source->is_etag_md5 || x->spec->destination.endpoint_url[0];
	if (x->has_md5 && !x->md5)
		x->md5 = crypto_hash_new(CRYPTO_MD5);
	if (fill_env(x, XFER_DESTINATION, &place, &env))
		x->calls[XFER_DESTINATION] = s3_put_object(&env, &o);
	else
		no_creds(x, XFER_DESTINATION);
}

/* --- HEAD of the destination --- */

static void on_ask_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->ask = NULL;
	x->is_asked = true;
	x->heads[XFER_DESTINATION] = err ? (struct s3_head){.length = -1} : *head;
	xfer_run(x);
}

void xfer_io_ask(struct xfer *x)
{
	struct s3_place place;
	struct s3_env env;
	const struct s3_object o = {
		.key = x->spec->destination.key, .done = on_ask_done, .arg = x};

	if (fill_env(x, XFER_DESTINATION, &place, &env))
		x->ask = s3_head_object(&env, &o);
	else
		x->is_asked = true;
}

/* --- proof --- */

/* What the destination's answer proves; a digest that differs is remembered. */
static enum engine_proof prove(const struct xfer *x, bool *ret_is_wrong)
{
	const struct s3_head *d = &x->heads[XFER_DESTINATION];
	char crc[CRC64_BASE64_LEN];

	crc64nvme_base64(x->crc, crc);
	*ret_is_wrong = false;
	if (d->crc64nvme[0]) {
		*ret_is_wrong = !str_eq(d->crc64nvme, crc);
		return ENGINE_PROOF_CHECKSUM;
	}
	if (d->is_etag_md5 && x->md5_hex[0]) {
		*ret_is_wrong = !is_md5(d, x->md5_hex);
		return ENGINE_PROOF_MD5;
	}
	return ENGINE_PROOF_TRANSIT;
}

void xfer_io_verify(struct xfer *x)
{
	bool is_wrong;
	enum engine_proof proof = prove(x, &is_wrong);

	if (is_wrong)
		fail_here(x, XFER_DESTINATION, ERR_INTEGRITY, "digest",
			"the destination stored other bytes than were sent");
	else
		x->proof = proof;
}

bool xfer_io_is_ours(struct xfer *x)
{
	bool is_wrong;

	x->proof = prove(x, &is_wrong);
	return !is_wrong && x->proof != ENGINE_PROOF_TRANSIT &&
	       x->heads[XFER_DESTINATION].length == x->heads[XFER_SOURCE].length;
}

void xfer_io_checksum(const struct xfer *x, char *out, size_t size)
{
	char crc[CRC64_BASE64_LEN];

	crc64nvme_base64(x->crc, crc);
	snprintf(out, size, "crc64nvme:%s", crc);
}
