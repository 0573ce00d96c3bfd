/*
 * CopyObject, and UploadPartCopy for the parts of what is too large for it, signed by one
 * of the two identities. Which one may, only trying tells; a refusal leads to the next
 * way and in the end to the stream.
 */
#include "config.h"

#include "engine/xfer_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/partition.h"
#include "base/crc.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/xfer_headers.h"
#include "engine/xfer_look.h"
#include "engine/xfer_pair.h"
#include "engine/xfer_parts.h"
#include "s3/copy.h"

#define PART_BYTES (INT64_C(512) << 20)

/* In this order: naming a version needs a right that not everybody has. */
static const struct {
	enum xfer_side signer;
	bool has_version;
} ways[XFER_COPY_WAYS] = {
	{XFER_DESTINATION, true},
	{XFER_DESTINATION, false},
	{XFER_SOURCE, true},
	{XFER_SOURCE, false},
};

static struct xfer_pair *pair_of(const struct xfer *x)
{
	return x->env->pair(
		x->env->arg, x->spec->source.creds_id, x->spec->destination.creds_id);
}

static bool is_one_service(const struct engine_side *a, const struct engine_side *b)
{
	if (a->scheme != ENGINE_S3 || b->scheme != ENGINE_S3)
		return false;
	if (a->endpoint_url[0] || b->endpoint_url[0])
		return str_eq(a->endpoint_url, b->endpoint_url);
	return partition_of(a->region) == partition_of(b->region);
}

bool xfer_copy_is_wanted(const struct xfer *x)
{
	if (x->spec->fidelity.method == ENGINE_METHOD_STREAM || x->is_stream_only ||
		x->spec->is_abort || (x->range.length && !x->range.is_copied))
		return false;
	return pair_of(x)->copy_way < XFER_COPY_WAYS &&
	       is_one_service(&x->spec->source, &x->spec->destination);
}

bool xfer_copy_is_parted(const struct xfer *x)
{
	return x->heads[XFER_SOURCE].length > S3_COPY_MAX;
}

int64_t xfer_copy_part_bytes(void)
{
	return PART_BYTES;
}

const char *xfer_copy_version(const struct xfer *x)
{
	const char *version = x->range.length ? x->range.version
					      : x->heads[XFER_SOURCE].version;

	return version && *version && !pair_of(x)->refuses_version ? version : NULL;
}

/* --- the call --- */

static void take_copy(struct xfer *x, const struct s3_head *head)
{
	x->heads[XFER_DESTINATION] = *head;
	x->received = (uint64_t)(x->range.length ? x->range.length
						 : x->heads[XFER_SOURCE].length);
	x->has_no_crc = !head->crc64nvme[0] ||
			crc64nvme_parse(head->crc64nvme, &x->crc) < 0;
	x->rounds = 0;
	pair_of(x)->copy_way = x->copy_way;
	pair_of(x)->has_copied = true;
}

static void on_copied(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;
	enum xfer_side signer = ways[x->copy_way].signer;

	x->calls[XFER_DESTINATION] = NULL;
	x->is_ended[XFER_DESTINATION] = true;
	if (err) {
		x->is_lost =
			!x->range.length &&
			(err->http_status == 412 ||
				(err->class == ERR_RETRY && err->origin == ERR_FROM_NET));
		xfer_fail(x, err->class == ERR_AUTH ? signer : XFER_DESTINATION, err);
	} else {
		take_copy(x, head);
	}
	xfer_run(x);
}

/* Sent to the destination, by whoever signs this time. */
static bool get_env(struct xfer *x, struct s3_place *place, struct s3_env *env)
{
	enum xfer_side signer = ways[x->copy_way].signer;
	struct s3_place own_place;
	struct s3_env own;

	if (!xfer_io_env(x, XFER_DESTINATION, place, env) ||
		!xfer_io_env(x, signer, &own_place, &own))
		return false;
	env->creds = own.creds;
	return true;
}

static void start_copy(struct xfer *x)
{
	const struct engine_side *source = &x->spec->source;
	const struct s3_condition condition = xfer_look_condition(x);
	struct s3_meta headers = {0};
	struct s3_copy c = {.bucket = source->bucket,
		.source_key = source->key,
		.etag = x->range.length ? x->pinned : x->heads[XFER_SOURCE].etag,
		.version = ways[x->copy_way].has_version ? xfer_copy_version(x) : NULL,
		.source_owner = source->expected_owner,
		.key = x->spec->destination.key,
		.condition = &condition,
		.upload_id = x->range.upload_id,
		.number = x->range.number,
		.first = x->range.first,
		.length = x->range.length,
		.done = on_copied,
		.arg = x};
	struct s3_place place;
	struct s3_env env;

	x->is_begun[XFER_DESTINATION] = true;
	if (!get_env(x, &place, &env))
		return;
	if (x->range.length) {
		x->calls[XFER_DESTINATION] = s3_copy_part(&env, &c);
		return;
	}
	xfer_headers_make(x, XFER_BY_COPY, &headers);
	c.meta = &headers;
	x->calls[XFER_DESTINATION] = s3_copy_object(&env, &c);
	s3_meta_done(&headers);
}

static void begin(struct xfer *x)
{
	if (!x->is_copying) {
		x->is_copying = true;
		x->copy_way = pair_of(x)->copy_way;
	}
	/* Without a version the two ways of one signer are the same. */
	while (ways[x->copy_way].has_version && !xfer_copy_version(x))
		x->copy_way++;
	start_copy(x);
}

enum step_result xfer_copy_step(struct xfer *x)
{
	if (!x->is_begun[XFER_DESTINATION])
		begin(x);
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (!x->is_ended[XFER_DESTINATION])
		return STEP_WAIT;
	return xfer_goto(x, XFER_VERIFY);
}

/* --- refusals --- */

static void note_why(struct xfer *x)
{
	const struct err *e = &x->err;

	if (ways[x->copy_way].signer == XFER_DESTINATION || !x->route_why[0])
		snprintf(x->route_why, sizeof(x->route_why), "%s: %d %s%s%s",
			e->operation, e->http_status, e->code, e->text[0] ? ": " : "",
			e->text);
}

static bool is_refusal(const struct err *e)
{
	return e->origin == ERR_FROM_S3 &&
	       (e->class == ERR_DENIED || e->class == ERR_NOTFOUND ||
		       e->class == ERR_FATAL);
}

/* A HEAD has no words for what is wrong; the GET of a stream tells. */
static bool is_mute(const struct xfer *x)
{
	return x->spec->fidelity.method == ENGINE_METHOD_AUTO &&
	       x->failed_side == XFER_SOURCE && !x->upload && !x->is_stream_only &&
	       str_eq(x->err.operation, "HeadObject") && x->err.http_status >= 400 &&
	       !err_is_transient(&x->err);
}

/* What is refused to the first part is to the others: the object begins anew. */
static bool refuse_part(struct xfer *x)
{
	x->is_copy_refused = true;
	return false;
}

bool xfer_copy_goes_on(struct xfer *x)
{
	if (x->is_copy_refused && x->upload) {
		x->is_copy_refused = false;
		xfer_parts_recut(x);
		return true;
	}
	if (is_mute(x)) {
		x->is_stream_only = true;
		return true;
	}
	if (!x->is_copying || !is_refusal(&x->err))
		return false;
	note_why(x);
	if (x->copy_way + 1 < XFER_COPY_WAYS) {
		x->copy_way++;
		x->is_begun[XFER_DESTINATION] = x->is_ended[XFER_DESTINATION] = false;
		return true;
	}
	if (x->spec->fidelity.method != ENGINE_METHOD_AUTO)
		return false;
	x->is_copying = false;
	x->is_stream_only = true;
	if (!pair_of(x)->has_copied)
		pair_of(x)->copy_way = XFER_COPY_WAYS;
	return !x->range.length || pair_of(x)->has_copied || refuse_part(x);
}

/* --- proof --- */

enum engine_proof xfer_copy_prove(const struct xfer *x, bool *ret_is_wrong)
{
	const struct s3_head *s = &x->heads[XFER_SOURCE],
			     *d = &x->heads[XFER_DESTINATION];

	*ret_is_wrong = false;
	if (s->crc64nvme[0] && d->crc64nvme[0]) {
		*ret_is_wrong = !str_eq(s->crc64nvme, d->crc64nvme);
		return ENGINE_PROOF_CHECKSUM;
	}
	if (s->sum[0] && !checksum_part_count(s->sum) && s->sum_alg == d->sum_alg &&
		!checksum_part_count(d->sum)) {
		*ret_is_wrong = !str_eq(s->sum, d->sum);
		return ENGINE_PROOF_CHECKSUM;
	}
	/* The ETag of a copy is another one, unless both are of the bytes. */
	if (s->is_etag_md5 && d->is_etag_md5) {
		*ret_is_wrong = !str_eq(s->etag, d->etag);
		return ENGINE_PROOF_MD5;
	}
	return ENGINE_PROOF_TRANSIT;
}
