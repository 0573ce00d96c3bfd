/*
 * The state machine of one object. It decides; xfer_io.c calls and compares. Sessions are
 * renewed by the core, which is asked through the engine.
 */
#include "config.h"

#include "engine/xfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/xfer_copy.h"
#include "engine/xfer_file.h"
#include "engine/xfer_headers.h"
#include "engine/xfer_look.h"
#include "engine/xfer_parts.h"
#include "engine/xfer_sums.h"
#include "engine/xfer_seek.h"
#include "engine/xfer_trail.h"
#include "net/loop.h"

#define CREDS_WAIT_MS (10 * 60 * 1000)
#define ROUNDS_MAX    8
#define RESTARTS_MAX  2
#define NO_GENERATION UINT64_MAX

void xfer_fail(struct xfer *x, enum xfer_side side, const struct err *err)
{
	if (x->is_failed)
		return;
	x->is_failed = true;
	x->failed_side = side;
	x->err = *err;
}

static const struct engine_side *side_of(const struct xfer *x, enum xfer_side side)
{
	return side == XFER_SOURCE ? &x->spec->source : &x->spec->destination;
}

static struct engine_result *make_result(const struct xfer *x)
{
	struct engine_result *r = mem_alloc(sizeof(*r));
	const struct s3_head *s = &x->heads[XFER_SOURCE], *d = &x->heads[XFER_DESTINATION];

	r->bytes = x->skipped && x->found.length > 0 ? (uint64_t)x->found.length
						      : x->received;
	str_copy(r->source_etag, sizeof(r->source_etag), s->etag);
	str_copy(r->source_version, sizeof(r->source_version), s->version);
	r->source_modified_us = s->modified_us;
	str_copy(r->destination_etag, sizeof(r->destination_etag), d->etag);
	str_copy(r->destination_version, sizeof(r->destination_version), d->version);
	if (x->is_head_in)
		xfer_io_checksum(x, r->checksum, sizeof(r->checksum));
	if (x->spec->fidelity.checksum && d->sum[0])
		snprintf(r->stored, sizeof(r->stored), "%s:%s",
			checksum_suffix(d->sum_alg), d->sum);
	r->proof = x->is_failed ? ENGINE_PROOF_NONE : x->proof;
	r->is_source_proven = x->is_source_proven;
	r->route = x->is_copying ? ENGINE_ROUTE_COPY : ENGINE_ROUTE_STREAM;
	str_copy(r->route_why, sizeof(r->route_why), x->route_why);
	r->skipped = x->skipped;
	r->losses = x->skipped ? 0 : x->losses;
	r->attempts = x->attempts;
	if (x->upload) {
		r->parts = xfer_parts_count(x);
		r->parts_resumed = xfer_parts_count_resumed(x);
		r->has_upload_left = xfer_parts_is_created(x) &&
				     !xfer_parts_is_completed(x);
	}
	r->sent_again = x->parts_again + x->tries[XFER_SOURCE].again +
			x->tries[XFER_DESTINATION].again;
	r->is_create_lost = x->is_create_lost;
	r->orphans = xfer_seek_count(x);
	r->duration_us = clock_mono_us(loop_clock(x->env->loop)) - x->started_us;
	r->is_source_error = x->is_failed && x->failed_side == XFER_SOURCE;
	r->err = x->err;
	return r;
}

static void emit(struct xfer *x, enum engine_ev_type type)
{
	struct engine_ev ev = {.type = type, .id = x->spec->id, .tag = x->spec->tag,
		.bytes = x->received, .total = x->heads[XFER_SOURCE].length};

	ev.result = make_result(x);
	x->env->event(x->env->owner, &ev);
}

static enum step_result give_up(struct xfer *x)
{
	/* A file is not gone on with; what may have become an object tells the next attempt. */
	bool is_kept = (x->keeps_upload || x->is_unsure) && !x->target;

	return xfer_goto(x, x->upload && !is_kept ? XFER_ABORT : XFER_DONE);
}

/* --- steps --- */

static bool is_usable(const struct xfer *x, enum xfer_side side)
{
	const struct creds_set *set =
		x->env->creds(x->env->arg, side_of(x, side)->creds_id);

	if (side_of(x, side)->scheme == ENGINE_FILE)
		return true; /* nobody signs there */
	return set && set->generation != x->refused[side] &&
	       set->expires_at_us > clock_wall_us(loop_clock(x->env->loop));
}

static enum step_result step_start(struct xfer *x)
{
	enum xfer_side side;

	xfer_io_reset(x);
	if (!x->upload && x->spec->resume && !xfer_seek_is_wanted(x))
		xfer_parts_new(x);
	for (side = 0; side < XFER_SIDES; side++)
		if (!is_usable(x, side))
			return xfer_goto(x, XFER_WAIT_CREDS);
	x->attempts++;
	x->begun++;
	if (x->spec->is_abort)
		return xfer_goto(x, x->upload ? XFER_ABORT : XFER_SEEK);
	if (x->upload && x->is_head_in)
		return xfer_goto(x, xfer_parts_entry(x));
	if (x->range.length && xfer_copy_is_wanted(x))
		return xfer_goto(x, XFER_COPY);
	return xfer_goto(x, xfer_look_is_due(x) ? XFER_LOOK : XFER_GET);
}

static void enter_wait_creds(struct xfer *x)
{
	const struct creds_set *set;
	enum xfer_side side;

	x->rounds++;
	x->is_due = false;
	loop_timer_set(x->timer, CREDS_WAIT_MS);
	for (side = 0; side < XFER_SIDES; side++) {
		uint32_t id = side_of(x, side)->creds_id;

		if (is_usable(x, side))
			continue;
		set = x->env->creds(x->env->arg, id);
		x->env->need_creds(x->env->arg, id, set ? set->generation : 0);
	}
}

static enum step_result step_wait_creds(struct xfer *x)
{
	enum xfer_side side = is_usable(x, XFER_SOURCE) ? XFER_DESTINATION : XFER_SOURCE;
	struct err e;

	if (is_usable(x, XFER_SOURCE) && is_usable(x, XFER_DESTINATION)) {
		loop_timer_cancel(x->timer);
		return xfer_goto(x, XFER_START);
	}
	if (!x->is_cancelled && !x->is_due && x->rounds <= ROUNDS_MAX)
		return STEP_WAIT;
	if (!x->is_failed) {
		err_set(&e, ERR_AUTH, ERR_FROM_CREDS, "no-session",
			"no fresh credentials came for the %s",
			side == XFER_SOURCE ? "source" : "destination");
		xfer_fail(x, side, &e);
	}
	return give_up(x);
}

/* --- requests that are sent again, before it is an attempt of the job that failed --- */

static struct tries_peer peer_of(const struct xfer *x, enum xfer_side side)
{
	const struct engine_side *s = side_of(x, side);
	const struct creds_set *set = x->env->creds(x->env->arg, s->creds_id);

	return (struct tries_peer){x->env->quotas, set ? set->account : "",
		s->endpoint_url, s->bucket};
}

static bool may_try_again(struct xfer *x)
{
	enum xfer_side side = x->failed_side;
	const struct tries_peer peer = peer_of(x, side);

	return side_of(x, side)->scheme == ENGINE_S3 &&
	       tries_again(&x->tries[side], &peer, &x->err, crypto_random_unit(),
		       &x->delay_ms);
}

/* What was asked for is there. */
static void end_tries(struct xfer *x, enum xfer_side side)
{
	const struct tries_peer peer = peer_of(x, side);

	x->is_renewed[side] = false;
	if (side_of(x, side)->scheme == ENGINE_S3)
		tries_end(&x->tries[side], &peer);
}

/* Known to be large, or not to be read here: its head alone is asked for. */
static bool wants_head(const struct xfer *x)
{
	return x->upload || x->spec->source_size > xfer_large_bytes(x) ||
	       xfer_copy_is_wanted(x);
}

static enum step_result after_head(struct xfer *x)
{
	end_tries(x, XFER_SOURCE);
	if (!x->upload && xfer_copy_is_wanted(x) && !xfer_copy_is_parted(x))
		return xfer_goto(x, XFER_COPY);
	if (!x->is_large) { /* it shrank since it was listed */
		x->spec->source_size = -1;
		return xfer_goto(x, XFER_START);
	}
	if (!x->upload && xfer_details_are_missing(x))
		return xfer_goto(x, XFER_TAGS);
	if (!x->upload)
		xfer_parts_new(x);
	return xfer_goto(x, xfer_parts_entry(x));
}

static enum step_result step_get(struct xfer *x)
{
	if (!x->is_begun[XFER_SOURCE]) {
		/* Others may learn meanwhile that nothing can be copied: it stays a HEAD. */
		x->is_head_only = wants_head(x);
		(x->is_head_only ? xfer_io_head : xfer_io_get)(x);
	}
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (x->is_ended[XFER_SOURCE] && x->is_same) {
		x->skipped = ENGINE_SKIP_SAME;
		return xfer_goto(x, XFER_DONE);
	}
	if (x->is_ended[XFER_SOURCE] && (x->is_large || x->is_head_only))
		return after_head(x);
	if (!x->is_head_in || x->is_large || x->is_same || x->is_head_only)
		return STEP_WAIT;
	return xfer_goto(x, xfer_details_are_missing(x) ? XFER_TAGS : XFER_STREAM);
}

static enum step_result step_stream(struct xfer *x)
{
	if (!x->is_begun[XFER_DESTINATION])
		xfer_io_put(x);
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (!x->is_ended[XFER_SOURCE] || !x->is_ended[XFER_DESTINATION])
		return STEP_WAIT;
	return xfer_goto(x, XFER_VERIFY);
}

/* A session that ended: once more with the next one, unless that was just done. */
static enum step_result after_refusal(struct xfer *x)
{
	enum xfer_side side = x->failed_side;
	const struct creds_set *set =
		x->env->creds(x->env->arg, side_of(x, side)->creds_id);
	int64_t now_us = clock_wall_us(loop_clock(x->env->loop));
	bool is_over = set && set->generation == x->used[side] &&
		       set->expires_at_us <= now_us;

	x->refused[side] = x->used[side];
	if ((x->is_renewed[side] && !is_over) || x->rounds >= ROUNDS_MAX)
		return give_up(x);
	x->is_renewed[side] = true;
	x->attempts--; /* it is no fault of the object */
	return xfer_goto(x, is_usable(x, side) ? XFER_START : XFER_WAIT_CREDS);
}

/* The upload is of no more use, but the object may be: the source changed, or it is gone. */
static bool is_stale(const struct xfer *x)
{
	if (!x->upload || x->restarts == RESTARTS_MAX)
		return false;
	/* 409: something else happened to the key meanwhile; S3 asks for a new upload. */
	if (x->failed_side == XFER_DESTINATION)
		return x->err.http_status == 409 || str_eq(x->err.code, "NoSuchUpload");
	if (x->err.class == ERR_INTEGRITY)
		return xfer_parts_is_full(x);
	return x->err.class == ERR_CONFLICT && xfer_parts_is_resumed(x);
}

/* Once more in another way, which is no fault of the object. */
static enum step_result begin_anew(struct xfer *x)
{
	x->attempts--;
	return xfer_goto(x, XFER_START);
}

static enum step_result go_on_copying(struct xfer *x)
{
	x->is_failed = false;
	return x->is_copying ? xfer_goto(x, XFER_COPY) : begin_anew(x);
}

static enum step_result try_again(struct xfer *x)
{
	if (may_try_again(x)) {
		log_debug(NULL, "xfer %llu: %s %s: %s; again in %lld ms",
			(unsigned long long)x->spec->id, x->err.operation, x->err.code,
			x->err.text, (long long)x->delay_ms);
		x->attempts--; /* it is still the same */
		return xfer_goto(x, XFER_BACKOFF);
	}
	if (!retry_may(&x->policy, x->err.class, x->attempts))
		return give_up(x);
	tries_reset(&x->tries[XFER_SOURCE]);
	tries_reset(&x->tries[XFER_DESTINATION]);
	x->delay_ms = retry_delay_ms(
		&x->policy, x->err.class, x->attempts, crypto_random_unit());
	emit(x, ENGINE_EV_RETRY);
	return xfer_goto(x, XFER_BACKOFF);
}

static enum step_result after_failure(struct xfer *x)
{
	if (xfer_trail_gives_in(x))
		return begin_anew(x);
	if (x->err.class == ERR_AUTH)
		return after_refusal(x);
	/* The bucket is elsewhere, which is known now: no fault of the object. */
	if (str_eq(x->err.code, S3_WRONG_REGION) && !x->is_moved) {
		x->is_moved = true;
		return begin_anew(x);
	}
	xfer_look_explain(x);
	if (xfer_headers_give_in(x))
		return begin_anew(x);
	if (xfer_copy_goes_on(x))
		return go_on_copying(x);
	if (xfer_headers_give_up_rights(x))
		return begin_anew(x);
	if (is_stale(x)) {
		x->restarts++;
		x->is_restarting = true;
		return xfer_goto(x, XFER_ABORT);
	}
	return try_again(x);
}

static bool is_busy(const struct xfer *x)
{
	return x->calls[XFER_SOURCE] || x->calls[XFER_DESTINATION] || x->ask ||
	       x->glance || x->files[XFER_SOURCE] || x->files[XFER_DESTINATION] ||
	       xfer_parts_is_busy(x);
}

static enum step_result step_stop(struct xfer *x)
{
	struct err e;

	if (x->is_cancelled && !(x->is_failed && x->err.class == ERR_CANCELLED)) {
		err_set(&e, ERR_CANCELLED, ERR_FROM_NONE, "cancelled", "cancelled");
		x->is_failed = false;
		xfer_fail(x, XFER_DESTINATION, &e);
	}
	if (is_busy(x)) {
		s3_call_cancel(x->calls[XFER_SOURCE]);
		s3_call_cancel(x->calls[XFER_DESTINATION]);
		s3_call_cancel(x->ask);
		xfer_file_cancel(x->files[XFER_SOURCE]);
		xfer_file_cancel(x->files[XFER_DESTINATION]);
		xfer_parts_cancel(x);
		return STEP_WAIT;
	}
	if (x->is_cancelled)
		return give_up(x);
	if (x->is_lost && !x->is_asked)
		return xfer_goto(x, XFER_ASK);
	return after_failure(x);
}

/* --- steps of a multipart upload --- */

static void tell_core(
	struct xfer *x, enum engine_ev_type type, struct engine_upload *upload)
{
	struct engine_ev ev = {
		.type = type, .id = x->spec->id, .tag = x->spec->tag, .upload = upload};

	x->env->event(x->env->owner, &ev);
}

static void enter_intend(struct xfer *x)
{
	x->is_create_lost = false;
	tell_core(x, ENGINE_EV_INTENT, xfer_parts_intent(x));
}

static enum step_result step_intend(struct xfer *x)
{
	if (x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	return x->is_intended ? xfer_goto(x, XFER_CREATE) : STEP_WAIT;
}

static enum step_result step_create(struct xfer *x)
{
	if (!x->is_failed && !x->is_cancelled)
		xfer_parts_create(x);
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (!xfer_parts_is_created(x))
		return STEP_WAIT;
	end_tries(x, XFER_DESTINATION);
	return xfer_goto(x, xfer_parts_entry(x));
}

static void enter_note(struct xfer *x)
{
	tell_core(x, ENGINE_EV_UPLOAD, xfer_parts_notes(x));
}

static enum step_result step_note(struct xfer *x)
{
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	return x->is_noted ? xfer_goto(x, XFER_PARTS) : STEP_WAIT;
}

static enum step_result step_list(struct xfer *x)
{
	if (!x->is_failed && !x->is_cancelled)
		xfer_parts_list(x);
	if (x->is_failed || x->is_cancelled) {
		/* An upload that is gone may have been completed before the crash. */
		x->is_lost = x->err.class == ERR_NOTFOUND;
		return xfer_goto(x, XFER_STOP);
	}
	if (!xfer_parts_is_listed(x))
		return STEP_WAIT;
	end_tries(x, XFER_DESTINATION);
	return xfer_goto(x, XFER_PARTS);
}

static enum step_result step_parts(struct xfer *x)
{
	xfer_parts_pump(x);
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (!xfer_parts_is_full(x))
		return STEP_WAIT;
	if (!xfer_look_again_is_due(x))
		return xfer_goto(x, XFER_COMPLETE);
	xfer_look_again(x);
	return xfer_goto(x, XFER_LOOK);
}

static void enter_complete(struct xfer *x)
{
	xfer_io_check_whole(x);
	if (!x->is_failed)
		xfer_parts_complete(x);
}

static enum step_result step_complete(struct xfer *x)
{
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	return xfer_parts_is_completed(x) ? xfer_goto(x, XFER_VERIFY) : STEP_WAIT;
}

static enum step_result step_abort(struct xfer *x)
{
	xfer_parts_abort(x);
	if (!xfer_parts_is_aborted(x))
		return STEP_WAIT;
	if (!x->is_restarting)
		return xfer_goto(x, XFER_DONE);
	x->is_restarting = false;
	xfer_parts_drop(x);
	return xfer_goto(x, XFER_START);
}

static enum step_result step_seek(struct xfer *x)
{
	if (!x->is_failed && !x->is_cancelled)
		xfer_seek_next(x);
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	return xfer_seek_is_over(x) ? xfer_goto(x, XFER_DONE) : STEP_WAIT;
}

static enum step_result step_verify(struct xfer *x)
{
	xfer_io_verify(x);
	if (x->is_failed)
		return after_failure(x);
	return xfer_goto(x, xfer_check_is_due(x) ? XFER_CHECK : XFER_DONE);
}

/* Nothing but the HEAD; when that is of no use, all of it, which asks once more. */
static enum step_result ask_again(struct xfer *x)
{
	if (!err_is_transient(&x->err) || !may_try_again(x))
		return after_failure(x);
	x->is_asked = false;
	return xfer_goto(x, XFER_BACKOFF);
}

static enum step_result step_ask(struct xfer *x)
{
	if (x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (!x->ask && !x->is_asked)
		xfer_io_ask(x);
	if (!x->is_asked)
		return STEP_WAIT;
	if (x->is_unsure)
		return ask_again(x);
	if (!xfer_io_is_ours(x))
		return after_failure(x);
	x->is_failed = false;
	x->err = (struct err){0};
	if (x->upload)
		xfer_parts_settle(x);
	return xfer_goto(x, XFER_DONE);
}

static void enter_backoff(struct xfer *x)
{
	x->is_due = false;
	loop_timer_set(x->timer, x->env->back_off(x->env->arg, x, x->delay_ms));
}

static enum step_result step_backoff(struct xfer *x)
{
	if (x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (!x->is_due || !x->env->go_on(x->env->arg, x))
		return STEP_WAIT;
	return xfer_goto(x, x->is_lost && !x->is_asked ? XFER_ASK : XFER_START);
}

static void enter_done(struct xfer *x)
{
	loop_timer_cancel(x->timer);
	loop_timer_cancel(x->teller);
	xfer_trail_drop(x);
	for (enum xfer_side side = 0; side < XFER_SIDES && !x->is_failed; side++)
		end_tries(x, side);
	emit(x, ENGINE_EV_DONE);
	x->env->ended(x->env->owner, x);
}

/* clang-format off */
static const struct {
	const char *name;
	enum step_result (*step)(struct xfer *x);
	void (*enter)(struct xfer *x);
} xfer_states[] = {
	[XFER_START]      = {"start",      step_start,      NULL},
	[XFER_WAIT_CREDS] = {"wait-creds", step_wait_creds, enter_wait_creds},
	[XFER_LOOK]       = {"look",       xfer_look_step,  NULL},
	[XFER_GET]        = {"get",        step_get,        NULL},
	[XFER_TAGS]       = {"tags",       xfer_details_step,  NULL},
	[XFER_STREAM]     = {"stream",     step_stream,     NULL},
	[XFER_STOP]       = {"stop",       step_stop,       NULL},
	[XFER_COPY]       = {"copy",       xfer_copy_step,  NULL},
	[XFER_VERIFY]     = {"verify",     step_verify,     NULL},
	[XFER_INTEND]     = {"intend",     step_intend,     enter_intend},
	[XFER_CHECK]      = {"check",      xfer_check_step, xfer_check_enter},
	[XFER_CREATE]     = {"create",     step_create,     NULL},
	[XFER_NOTE]       = {"note",       step_note,       enter_note},
	[XFER_LIST]       = {"list",       step_list,       NULL},
	[XFER_PARTS]      = {"parts",      step_parts,      NULL},
	[XFER_COMPLETE]   = {"complete",   step_complete,   enter_complete},
	[XFER_ABORT]      = {"abort",      step_abort,      NULL},
	[XFER_SEEK]       = {"seek",       step_seek,       NULL},
	[XFER_ASK]        = {"ask",        step_ask,        NULL},
	[XFER_BACKOFF]    = {"backoff",    step_backoff,    enter_backoff},
	[XFER_DONE]       = {"done",       NULL,            enter_done},
};
/* clang-format on */

enum step_result xfer_goto(struct xfer *x, enum xfer_state state)
{
	log_debug(NULL, "xfer %llu: %s -> %s", (unsigned long long)x->spec->id,
		xfer_states[x->state].name, xfer_states[state].name);
	x->state = state;
	if (xfer_states[state].enter)
		xfer_states[state].enter(x);
	return STEP_AGAIN;
}

void xfer_run(struct xfer *x)
{
	while (x->state != XFER_DONE && xfer_states[x->state].step(x) == STEP_AGAIN)
		;
}

/* --- from outside --- */

static void on_timer(void *arg)
{
	struct xfer *x = arg;

	x->is_due = true;
	xfer_run(x);
}

struct xfer *xfer_new(const struct xfer_env *env, struct engine_xfer_spec *spec)
{
	struct xfer *x = mem_alloc(sizeof(*x));

	list_init(&x->link);
	x->env = env;
	x->spec = spec;
	x->policy = (struct retry_policy){spec->max_attempts, spec->backoff_ms,
		spec->max_backoff_ms, spec->backoff_factor};
	x->timer = loop_timer_new(env->loop, on_timer, x);
	x->teller = loop_timer_new(env->loop, xfer_io_tell_progress, x);
	str_copy(x->pinned, sizeof(x->pinned),
		spec->resume ? spec->resume->source_etag : spec->source_etag);
	x->refused[XFER_SOURCE] = x->refused[XFER_DESTINATION] = NO_GENERATION;
	return x;
}

void *xfer_free(void *arg)
{
	struct xfer *x = arg;

	if (!x)
		return NULL;
	list_remove(&x->link);
	loop_timer_free(x->timer);
	loop_timer_free(x->teller);
	xfer_parts_free(x->upload);
	free(x->target);
	xfer_seek_free(x->seek);
	crypto_hash_free(x->running);
	xfer_pipe_free(x->pipe);
	s3_meta_done(&x->meta);
	free(x->tagging);
	xfer_sums_free(x->sums);
	crypto_hash_free(x->md5);
	free(x->spec->resume);
	free(x->spec);
	free(x);
	return NULL;
}

struct xfer *xfer_new_part(const struct xfer_env *env, struct engine_xfer_spec *spec,
	const struct xfer_range *range)
{
	struct xfer *x = xfer_new(env, spec);

	x->range = *range;
	return x;
}

void xfer_start(struct xfer *x)
{
	x->started_us = clock_mono_us(loop_clock(x->env->loop));
	xfer_run(x);
}

void xfer_cancel(struct xfer *x)
{
	struct err e;

	if (x->is_cancelled || x->state == XFER_DONE)
		return;
	x->is_cancelled = true;
	if (x->state == XFER_WAIT_CREDS || x->state == XFER_START) {
		err_set(&e, ERR_CANCELLED, ERR_FROM_NONE, "cancelled", "cancelled");
		x->is_failed = false;
		xfer_fail(x, XFER_DESTINATION, &e);
		give_up(x);
	}
	xfer_run(x);
}

void xfer_keep_upload(struct xfer *x)
{
	x->keeps_upload = true;
}

void xfer_noted(struct xfer *x)
{
	if (x->state == XFER_INTEND)
		x->is_intended = true;
	else if (x->state == XFER_NOTE)
		x->is_noted = true;
	else
		return;
	xfer_run(x);
}

void xfer_taken(struct xfer *x)
{
	if (x->state != XFER_NOTE)
		return;
	xfer_parts_forget_id(x);
	xfer_io_fail(x, XFER_DESTINATION, ERR_FATAL, "upload-id",
		"the destination gave the id of an upload that is another object's: its "
		"answers to CreateMultipartUpload cannot be trusted");
	xfer_run(x);
}

void xfer_pump(struct xfer *x)
{
	if (x->state == XFER_PARTS)
		xfer_run(x);
}

void xfer_wake(struct xfer *x, uint32_t creds_id)
{
	xfer_parts_wake(x, creds_id);
	if (x->state != XFER_WAIT_CREDS || (x->spec->source.creds_id != creds_id &&
						   x->spec->destination.creds_id != creds_id))
		return;
	if (!is_usable(x, XFER_SOURCE) || !is_usable(x, XFER_DESTINATION))
		enter_wait_creds(x); /* the new set is no better: ask again, a few times */
	xfer_run(x);
}

uint64_t xfer_id(const struct xfer *x)
{
	return x->spec->id;
}

void xfer_run_on(struct xfer *x)
{
	xfer_run(x);
}

bool xfer_wants_part(const struct xfer *x)
{
	return x->state == XFER_PARTS && xfer_parts_wants(x);
}

struct turn *xfer_turn(struct xfer *x)
{
	return &x->turn;
}

struct xfer *xfer_from_turn(struct turn *turn)
{
	return CONTAINER_OF(turn, struct xfer, turn);
}

const struct err *xfer_failure(const struct xfer *x, bool *ret_is_source)
{
	*ret_is_source = x->failed_side == XFER_SOURCE;
	return x->is_failed ? &x->err : NULL;
}

const struct engine_xfer_spec *xfer_spec(const struct xfer *x)
{
	return x->spec;
}

struct list *xfer_link(struct xfer *x)
{
	return &x->link;
}

struct xfer *xfer_from_link(struct list *link)
{
	return LIST_ENTRY(link, struct xfer, link);
}

const char *xfer_state_name(const struct xfer *x)
{
	return xfer_states[x->state].name;
}
