/*
 * What a multipart upload says to S3: create, list, complete, abort. Which of these is
 * due is xfer.c's to say; the parts between them are xfer_parts.c's.
 */
#include "config.h"

#include "engine/xfer_upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/xfer_headers.h"
#include "engine/xfer_look.h"
#include "engine/xfer_parts.h"
#include "engine/xfer_sums.h"
#include "s3/multipart.h"

#define ABORTS_MAX 3

/* --- create --- */

static void on_created(
	void *arg, const struct err *err, const char *upload_id, bool has_checksum)
{
	struct xfer *x = arg;
	struct xfer_upload *u = x->upload;
	bool is_refused = err && (err->http_status == 400 || err->http_status == 501);

	u->call = NULL;
	u->is_creating = false;
	if (!err) {
		u->id = mem_strdup(upload_id);
		u->kept = has_checksum ? u->wanted : CHECKSUM_NONE;
	} else if (is_refused && u->wanted) {
		u->wanted = CHECKSUM_NONE; /* an older server: once more without */
	} else {
		/* Unless it was refused, it may have been done: what comes next needs an
		 * intent of its own. */
		x->is_create_lost = err->http_status < 400 || err->http_status >= 500;
		x->is_intended = !x->is_create_lost;
		xfer_fail(x, XFER_DESTINATION, err);
	}
	xfer_run(x);
}

void xfer_upload_create(struct xfer *x)
{
	struct xfer_upload *u = x->upload;
	struct s3_meta headers;
	struct s3_place place;
	struct s3_env env;

	if (u->call || u->id || !xfer_io_env(x, XFER_DESTINATION, &place, &env))
		return;
	u->is_creating = true;
	xfer_headers_make(x, XFER_BY_PUT, &headers);
	u->call = s3_create_upload(
		&env, x->spec->destination.key, &headers, u->wanted, on_created, x);
	s3_meta_done(&headers);
}

/* --- what the server has of it --- */

/* Stored, if the server's part is the one our notes or its own checksum tell. */
static void take_listed(struct xfer_upload *u, const struct s3_part *s)
{
	struct part *p = s->number >= 1 && s->number <= u->count
				 ? &u->parts[s->number - 1]
				 : NULL;
	uint64_t crc = 0;

	if (!p || s->size != xfer_parts_length(u->x, s->number - 1))
		return;
	if (p->state == PART_CLAIMED && str_eq(p->etag, s->etag))
		crc = p->crc;
	else if (!s->crc64nvme[0] || crc64nvme_parse(s->crc64nvme, &crc) < 0)
		return;
	u->x->has_no_crc |= crc == 0; /* copied by a server that tells none */
	if (u->kept != CHECKSUM_CRC64NVME)
		xfer_sums_take_told(u->x, s->number, s->sum);
	xfer_upload_store(u, s->number - 1, crc, s->etag);
	u->resumed++;
}

static void end_list(struct xfer_upload *u)
{
	for (int i = 0; i < u->count; i++)
		if (u->parts[i].state == PART_CLAIMED)
			u->parts[i].state = PART_MISSING;
	u->is_listed = true;
}

static void on_listed(void *arg, const struct err *err, const struct s3_part_page *page)
{
	struct xfer *x = arg;
	struct xfer_upload *u = x->upload;

	u->call = NULL;
	if (err) {
		xfer_fail(x, XFER_DESTINATION, err);
	} else {
		for (size_t i = 0; i < page->count; i++)
			take_listed(u, &page->parts[i]);
		/* A marker that does not grow would go round for ever. */
		if (page->next_marker > u->marker)
			u->marker = page->next_marker;
		else
			end_list(u);
	}
	xfer_run(x);
}

void xfer_parts_list(struct xfer *x)
{
	struct xfer_upload *u = x->upload;
	const struct s3_upload upload = {x->spec->destination.key, u->id};
	struct s3_place place;
	struct s3_env env;

	if (u->call || u->is_listed)
		return;
	if (xfer_io_env(x, XFER_DESTINATION, &place, &env))
		u->call = s3_list_parts(&env, &upload, u->marker, on_listed, x);
}

/* --- complete --- */

static void on_completed(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;
	struct xfer_upload *u = x->upload;

	u->call = NULL;
	if (err) {
		/* No answer, or "no such upload" or "it is there" to a repeated call: it
		 * may be done. */
		x->is_lost = !x->is_failed &&
			     (err->class == ERR_NOTFOUND || err->class == ERR_RETRY ||
				     err->http_status == 412);
		xfer_fail(x, XFER_DESTINATION, err);
	} else {
		x->heads[XFER_DESTINATION] = *head;
		u->is_completed = true;
	}
	xfer_run(x);
}

/* What the upload keeps, of the whole; "": it is not sent. */
static void whole_sum(struct xfer *x, char out[CHECKSUM_TEXT_LEN])
{
	enum checksum_alg kept = x->upload->kept;

	out[0] = '\0';
	if (kept == CHECKSUM_CRC64NVME && !x->has_no_crc)
		crc64nvme_base64(xfer_parts_crc(x), out);
	else if (kept != CHECKSUM_CRC64NVME && checksum_is_of_whole(kept))
		snprintf(out, CHECKSUM_TEXT_LEN, "%s", xfer_sums_written(x));
}

void xfer_upload_complete(struct xfer *x)
{
	struct xfer_upload *u = x->upload;
	struct s3_complete c = {.upload = {x->spec->destination.key, u->id},
		.count = (size_t)u->count,
		.size = u->size,
		.alg = u->kept};
	const struct s3_condition condition = xfer_look_condition(x);
	char sum[CHECKSUM_TEXT_LEN];
	struct s3_part *parts;
	struct s3_place place;
	struct s3_env env;

	if (u->call || !xfer_io_env(x, XFER_DESTINATION, &place, &env))
		return;
	parts = mem_array(c.count, sizeof(*parts));
	for (int i = 0; i < u->count; i++) {
		parts[i].number = i + 1;
		str_copy(parts[i].etag, sizeof(parts[i].etag), u->parts[i].etag);
		xfer_sums_part_text(x, i, parts[i].sum);
	}
	whole_sum(x, sum);
	c.parts = parts;
	c.sum = sum[0] ? sum : NULL;
	c.condition = &condition;
	u->call = s3_complete_upload(&env, &c, on_completed, x);
	free(parts);
}

/* --- abort --- */

/* A part that was under way may land after an abort: the list tells. */
static void on_abort_checked(
	void *arg, const struct err *err, const struct s3_part_page *page)
{
	struct xfer *x = arg;
	struct xfer_upload *u = x->upload;

	(void)page;
	u->call = NULL;
	u->is_aborted = err || u->aborts == ABORTS_MAX;
	if (err && err->class == ERR_NOTFOUND)
		mem_replace(&u->id, NULL);
	xfer_run(x);
}

static void on_aborted(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;
	struct xfer_upload *u = x->upload;
	const struct s3_upload upload = {x->spec->destination.key, u->id};
	struct s3_place place;
	struct s3_env env;

	(void)head;
	u->call = NULL;
	if (err && err->class == ERR_NOTFOUND) {
		mem_replace(&u->id, NULL);
		u->is_aborted = true;
	} else if (!err && xfer_io_env(x, XFER_DESTINATION, &place, &env)) {
		u->call = s3_list_parts(&env, &upload, 0, on_abort_checked, x);
		return;
	} else {
		u->is_aborted = u->aborts == ABORTS_MAX ||
				(err && !err_is_transient(err));
	}
	xfer_run(x);
}

void xfer_upload_abort(struct xfer *x)
{
	struct xfer_upload *u = x->upload;
	struct s3_upload upload = {x->spec->destination.key, u->id};
	struct s3_place place;
	struct s3_env env;

	if (u->call || u->is_aborted)
		return;
	if (!u->id || !xfer_io_env(x, XFER_DESTINATION, &place, &env)) {
		u->is_aborted = true;
		return;
	}
	u->aborts++;
	u->call = s3_abort_upload(&env, &upload, on_aborted, x);
}
