/*
 * HEADs of the destination and what follows from them. Whether an object may be written
 * over is the job's to say; that a server heeds conditions is not taken for granted.
 */
#include "config.h"

#include "engine/xfer_look.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "engine/xfer_copy.h"
#include "engine/xfer_file.h"
#include "engine/xfer_parts.h"

#define SIDE_BIT(side) (1 << (side))
#define BOTH           (SIDE_BIT(XFER_SOURCE) | SIDE_BIT(XFER_DESTINATION))

static enum engine_overwrite overwrite(const struct xfer *x)
{
	return x->spec->fidelity.overwrite;
}

bool xfer_look_is_due(const struct xfer *x)
{
	bool is_file = x->spec->destination.scheme == ENGINE_FILE;

	/* A file tells of no bytes: it is the one that was recorded, or it is there. */
	if (is_file && overwrite(x) == ENGINE_OVERWRITE_CHANGED &&
		!x->spec->known_source_etag[0])
		return false;
	/* What is gone on with was begun because nothing was there. */
	if (x->spec->resume && overwrite(x) == ENGINE_OVERWRITE_NEVER)
		return false;
	return overwrite(x) != ENGINE_OVERWRITE_ALWAYS && !x->is_looked &&
	       !x->range.length;
}

/* MD5 of bytes, or of the MD5s of parts: equal only for equal bytes. */
static bool is_digest(const struct s3_head *head)
{
	const char *p = head->etag + 1;
	size_t n = 0;

	while (head->etag[0] && isxdigit((unsigned char)p[n]))
		n++;
	return head->is_etag_md5 || (n == 32 && p[n] == '-');
}

static void note_etag(struct xfer *x)
{
	const struct engine_xfer_spec *s = x->spec;
	bool is_known = s->known_source_etag[0] &&
			str_eq(s->known_destination_etag, x->found.etag);

	x->unless[0] = '\0';
	if (overwrite(x) != ENGINE_OVERWRITE_CHANGED)
		return;
	/* One alone: not every server tells with its 304 which of them it has. */
	if (is_known)
		str_copy(x->unless, sizeof(x->unless), s->known_source_etag);
	else if (is_digest(&x->found))
		str_copy(x->unless, sizeof(x->unless), x->found.etag);
}

/* Older servers of others compare If-Match with the ETag as they keep it, unquoted. */
static void note_condition(struct xfer *x)
{
	const char *etag = x->found.etag;
	size_t n = strlen(etag);
	bool is_bare = x->spec->destination.endpoint_url[0] && n > 2 && etag[0] == '"';

	snprintf(x->replaces, sizeof(x->replaces), "%.*s", (int)(is_bare ? n - 2 : n),
		etag + is_bare);
}

static bool is_forbidden(const struct err *err)
{
	return err->class == ERR_DENIED && err->http_status == 403;
}

/* It is to be looked at again; what the first look told still holds. */
static void not_seen(struct xfer *x)
{
	x->is_looked = x->is_looked_twice;
	x->is_looked_twice = false;
}

/*
 * Who may not list is told 403 for what is not there. Not twice: an answer to the first look
 * that is followed by 403 is a refusal, and to write without a condition were to guess.
 */
static bool may_be_hidden(const struct xfer *x, const struct err *err)
{
	bool is_first = !x->is_looked_twice ||
			(x->spec->resume && overwrite(x) == ENGINE_OVERWRITE_NEVER);

	return is_first && is_forbidden(err);
}

void xfer_look_ended(struct xfer *x, const struct err *err, const struct s3_head *head)
{
	bool is_gone = err && err->class == ERR_NOTFOUND &&
		       (err->http_status == 404 || err->origin == ERR_FROM_LOCAL);
	char before[sizeof(x->found.etag)];

	snprintf(before, sizeof(before), "%s", x->found.etag);
	if (err && !is_gone && !may_be_hidden(x, err)) {
		not_seen(x);
		xfer_fail(x, XFER_DESTINATION, err);
		xfer_run(x);
		return;
	}
	x->is_looked = true;
	x->is_blind = err && !is_gone;
	x->found = err ? (struct s3_head){0} : *head;
	if (x->is_looked_twice && !x->is_blind && !str_eq(before, x->found.etag))
		xfer_io_fail(x, XFER_DESTINATION, ERR_CONFLICT, "destination-changed",
			"another object came to the key while this one was moved");
	note_condition(x);
	note_etag(x);
	xfer_run(x);
}

static void on_looked(void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->ask = NULL;
	xfer_look_ended(x, err, head);
}

static void look(struct xfer *x)
{
	struct s3_place place;
	struct s3_env env;
	const struct s3_object o = {
		.key = x->spec->destination.key, .done = on_looked, .arg = x};

	if (x->spec->destination.scheme == ENGINE_FILE)
		xfer_file_look(x);
	else if (xfer_io_env(x, XFER_DESTINATION, &place, &env))
		x->ask = s3_head_object(&env, &o);
	else
		not_seen(x);
}

static bool is_listed_etag(const struct xfer *x)
{
	size_t n = strlen(x->pinned);

	return n &&
	       (strncmp(x->unless, x->pinned, n) == 0 || strstr(x->unless, x->pinned));
}

enum step_result xfer_look_step(struct xfer *x)
{
	if (!x->is_looked && !x->ask && !x->glance && !x->is_failed && !x->is_cancelled)
		look(x);
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (!x->is_looked)
		return STEP_WAIT;
	if (x->is_looked_twice)
		return xfer_goto(x, XFER_COMPLETE);
	if (x->upload) /* maybe what it became, which its parts tell */
		return xfer_goto(x, XFER_GET);
	if (x->found.status && overwrite(x) == ENGINE_OVERWRITE_NEVER)
		x->skipped = ENGINE_SKIP_EXISTS;
	else if (x->found.status && is_listed_etag(x))
		x->skipped = ENGINE_SKIP_SAME;
	return xfer_goto(x, x->skipped ? XFER_DONE : XFER_GET);
}

const char *xfer_look_unless(const struct xfer *x)
{
	return x->range.length || x->upload || x->spec->wants_time ? "" : x->unless;
}

bool xfer_look_is_same(const struct xfer *x, const struct s3_head *source)
{
	const struct s3_head *d = &x->found;

	if (!d->status || overwrite(x) != ENGINE_OVERWRITE_CHANGED || x->range.length ||
		x->upload)
		return false;
	/* Not every server heeds If-None-Match. */
	if (source->etag[0] && strstr(x->unless, source->etag))
		return true;
	if (d->length != source->length)
		return false;
	return (d->crc64nvme[0] && str_eq(d->crc64nvme, source->crc64nvme)) ||
	       (d->sum[0] && d->sum_alg == source->sum_alg && str_eq(d->sum, source->sum));
}

struct s3_condition xfer_look_condition(const struct xfer *x)
{
	struct s3_condition c = {0};

	if (overwrite(x) == ENGINE_OVERWRITE_NEVER)
		c.is_absent = true;
	else if (overwrite(x) == ENGINE_OVERWRITE_CHANGED && x->is_looked &&
		 !x->is_blind) {
		c.is_absent = !x->found.status;
		c.etag = x->replaces;
	}
	return c;
}

void xfer_look_explain(struct xfer *x)
{
	struct s3_condition c = xfer_look_condition(x);
	struct err *e = &x->err;
	bool is_other = e->http_status == 412 ||
			(e->http_status == 404 && c.etag && str_eq(e->code, "NoSuchKey"));

	if (x->failed_side != XFER_DESTINATION || (!c.is_absent && !c.etag))
		return;
	if (e->http_status == 409 && str_eq(e->code, "ConditionalRequestConflict")) {
		x->is_looked = false; /* somebody writes there too: look anew */
		e->class = ERR_RETRY;
	} else if (is_other) {
		e->class = ERR_CONFLICT;
		snprintf(e->code, sizeof(e->code), "destination-changed");
		snprintf(e->text, sizeof(e->text),
			"another object came to the key while this one was moved");
	}
}

bool xfer_look_again_is_due(const struct xfer *x)
{
	struct s3_condition c = xfer_look_condition(x);

	return (c.is_absent || c.etag) && (x->is_looked || x->spec->resume) &&
	       !x->is_looked_twice && !x->is_blind &&
	       x->spec->destination.endpoint_url[0];
}

void xfer_look_again(struct xfer *x)
{
	x->is_looked = false;
	x->is_looked_twice = true;
}

/* --- after the write --- */

/* Bytes that never passed here, and of which the source has the only others. */
static bool is_last_look(const struct xfer *x)
{
	bool is_in_parts = x->upload && xfer_copy_is_parted(x) &&
			   x->spec->fidelity.method != ENGINE_METHOD_STREAM;

	return x->spec->is_source_to_go && (x->is_copying || is_in_parts);
}

bool xfer_check_is_due(const struct xfer *x)
{
	enum engine_verify verify = x->spec->fidelity.verify;

	if (x->range.length || x->is_failed || x->spec->destination.scheme != ENGINE_S3)
		return false;
	return verify == ENGINE_VERIFY_FULL || is_last_look(x) ||
	       (verify == ENGINE_VERIFY_OBJECT && x->proof == ENGINE_PROOF_TRANSIT);
}

static bool is_full(const struct xfer *x)
{
	return x->spec->source.scheme == ENGINE_S3 &&
	       x->spec->fidelity.verify == ENGINE_VERIFY_FULL;
}

/* Who may write need not be allowed to read, as long as no more is lost by it. */
static bool insists(const struct xfer *x)
{
	return is_full(x) || (is_last_look(x) && x->proof == ENGINE_PROOF_TRANSIT);
}

static void note_checked(struct xfer *x, enum xfer_side side)
{
	x->checked |= SIDE_BIT(side);
	xfer_run(x);
}

static void on_source_checked(
	void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->calls[XFER_SOURCE] = NULL;
	if (err)
		xfer_fail(x, XFER_SOURCE, err);
	else if (!str_eq(head->etag, x->heads[XFER_SOURCE].etag))
		xfer_io_fail(x, XFER_SOURCE, ERR_CONFLICT, "changed",
			"the object changed while it was moved");
	note_checked(x, XFER_SOURCE);
}

static void refuse_written(struct xfer *x, const char *code, const char *text)
{
	xfer_io_fail(x, XFER_DESTINATION, ERR_INTEGRITY, code, text);
	/* The next attempt writes over this, not over what was there before. */
	if (overwrite(x) == ENGINE_OVERWRITE_CHANGED)
		x->is_looked = false;
}

static void compare(struct xfer *x, const struct s3_head *head)
{
	bool is_that = str_eq(x->heads[XFER_DESTINATION].etag, head->etag), is_wrong;
	enum engine_proof answered = x->proof;

	x->heads[XFER_DESTINATION] = *head;
	x->proof = xfer_io_prove(x, &is_wrong);
	if (x->proof == ENGINE_PROOF_TRANSIT && is_that)
		x->proof = answered; /* a HEAD may tell less than the answer did */
	if (is_wrong || head->length != x->heads[XFER_SOURCE].length ||
		(is_last_look(x) && !is_that))
		refuse_written(x, "digest",
			"what is at the destination is not what was sent");
}

static void on_written_checked(
	void *arg, const struct err *err, const struct s3_head *head)
{
	struct xfer *x = arg;

	x->ask = NULL;
	if (!err)
		compare(x, head);
	else if (err->class == ERR_NOTFOUND && err->http_status == 404)
		refuse_written(x, "gone", "what was written is not at the destination");
	else if (insists(x) || !is_forbidden(err))
		xfer_fail(x, XFER_DESTINATION, err);
	note_checked(x, XFER_DESTINATION);
}

void xfer_check_enter(struct xfer *x)
{
	const char *version = xfer_copy_version(x);
	const struct s3_object source = {.key = x->spec->source.key,
		.version = version,
		.done = on_source_checked,
		.arg = x};
	const struct s3_object written = {.key = x->spec->destination.key,
		.version = x->heads[XFER_DESTINATION].version,
		.done = on_written_checked,
		.arg = x};
	struct s3_place place;
	struct s3_env env;

	x->has_named_version = version;
	x->checked = is_full(x) ? 0 : SIDE_BIT(XFER_SOURCE);
	if (xfer_io_env(x, XFER_DESTINATION, &place, &env))
		x->ask = s3_head_object(&env, &written);
	if (is_full(x) && xfer_io_env(x, XFER_SOURCE, &place, &env))
		x->calls[XFER_SOURCE] = s3_head_object(&env, &source);
}

enum step_result xfer_check_step(struct xfer *x)
{
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	return x->checked == BOTH ? xfer_goto(x, XFER_DONE) : STEP_WAIT;
}
