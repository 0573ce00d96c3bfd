/*
 * The state machine of one removal. Not which objects are to go, and not whether that is
 * wise: the run decides, and holds the brakes.
 */
#include "config.h"

#include "engine/remove.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/retry.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/file.h"
#include "engine/tries.h"
#include "engine/xfer.h"
#include "net/loop.h"
#include "net/pool.h"
#include "s3/object.h"
#include "s3/restore.h"

#define CREDS_WAIT_MS (10 * 60 * 1000)
#define ROUNDS_MAX    8

enum removal_state {
	REMOVAL_START,   /* is the session of the next call usable?         */
	REMOVAL_CREDS,   /* waits for: a newer set                          */
	REMOVAL_ABSENT,  /* waits for: HEAD of what must not be there       */
	REMOVAL_LOOK,    /* waits for: HEAD of the object                   */
	REMOVAL_DELETE,  /* waits for: the answer to DELETE                 */
	REMOVAL_RESTORE, /* instead of all of these: the answer to a restore */
	REMOVAL_BACKOFF, /* waits for: the retry timer                      */
	REMOVAL_DONE,    /* terminal: r->err tells how it ended             */
};

struct removal {
	struct list link;
	const struct xfer_env *env;
	struct engine_remove_spec *spec;
	void (*ended)(void *owner, struct removal *r);
	enum removal_state state, next; /* next: of START */
	struct retry_policy policy; /* the job's */
	struct tries tries;         /* of this attempt */
	int attempts, rounds;
	struct loop_timer *timer;
	struct s3_call *call;
	bool is_answered, is_cancelled, is_due, is_readable;
	uint64_t used, refused;
	int64_t started_us;
	struct s3_head head;
	struct err err; /* of the last call; class OK: none */

	/* of a local file: a thread's while one is at work */
	struct pool_job job;
	struct file_place place;
	struct file_stat stat;
};

enum step_result {
	STEP_AGAIN,
	STEP_WAIT,
};

static enum step_result go(struct removal *r, enum removal_state state)
{
	r->state = state;
	return STEP_AGAIN;
}

static const struct engine_side *side_of(const struct removal *r)
{
	return r->next == REMOVAL_ABSENT ? &r->spec->absent : &r->spec->target;
}

static void emit_done(struct removal *r)
{
	struct engine_ev ev = {
		.type = ENGINE_EV_DONE, .id = r->spec->id, .tag = r->spec->tag};

	ev.result = mem_alloc(sizeof(*ev.result));
	ev.result->attempts = r->attempts + 1;
	ev.result->is_source_error = r->next == REMOVAL_ABSENT ||
				     r->next == REMOVAL_RESTORE;
	ev.result->is_readable = r->is_readable;
	ev.result->sent_again = r->tries.again;
	ev.result->duration_us = clock_mono_us(loop_clock(r->env->loop)) - r->started_us;
	ev.result->err = r->err;
	r->env->event(r->env->owner, &ev);
}

static enum step_result end(struct removal *r)
{
	loop_timer_cancel(r->timer);
	go(r, REMOVAL_DONE);
	emit_done(r);
	r->ended(r->env->owner, r);
	return STEP_WAIT;
}

static enum step_result refuse(struct removal *r, const char *code, const char *text)
{
	err_set(&r->err, ERR_CONFLICT, ERR_FROM_S3, code, "%s", text);
	return end(r);
}

static enum step_result end_cancelled(struct removal *r)
{
	err_set(&r->err, ERR_CANCELLED, ERR_FROM_NONE, "cancelled", "cancelled");
	return end(r);
}

/* --- calls --- */

static void removal_run(struct removal *r);

static struct tries_peer peer_of(const struct removal *r)
{
	const struct engine_side *s = side_of(r);
	const struct creds_set *set = r->env->creds(r->env->arg, s->creds_id);

	return (struct tries_peer){r->env->quotas, set ? set->account : "",
		s->endpoint_url, s->bucket};
}

static void on_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct removal *r = arg;
	const struct tries_peer peer = peer_of(r);

	r->call = NULL;
	r->is_answered = true;
	r->err = err ? *err : (struct err){0};
	if (!err) {
		tries_end(&r->tries, &peer);
		if (head)
			r->head = *head;
	}
	removal_run(r);
}

static void on_asked(void *arg, const struct err *err, bool is_readable)
{
	struct removal *r = arg;

	r->is_readable = is_readable;
	on_done(r, err, NULL);
}

static void call_s3(struct removal *r)
{
	const struct engine_side *s = side_of(r);
	const struct creds_set *set = r->env->creds(r->env->arg, s->creds_id);
	struct s3_place place;
	const struct s3_env env = {r->env->http, &place, set,
		clock_wall_us(loop_clock(r->env->loop)), r->env->stall_timeout_ms,
		r->env->skew(r->env->arg, s->endpoint_url), r->env->regions,
		r->env->memos};
	const struct s3_object o = {.key = s->key,
		.if_match = r->next == REMOVAL_DELETE ? r->spec->etag : NULL,
		.done = on_done,
		.arg = r};

	xfer_place(s, &place);
	r->used = set->generation;
	r->is_answered = false;
	if (r->next == REMOVAL_RESTORE)
		r->call = s3_restore_object(&env, s->key, r->spec->restore_days,
			r->spec->restore_tier, on_asked, r);
	else if (r->next == REMOVAL_DELETE)
		r->call = s3_delete_object(&env, &o);
	else
		r->call = s3_head_object(&env, &o);
}

/* --- local files --- */

static void work_look(struct pool_job *job)
{
	struct removal *r = CONTAINER_OF(job, struct removal, job);

	file_look(&r->place, &r->stat, &r->err);
}

static void work_delete(struct pool_job *job)
{
	struct removal *r = CONTAINER_OF(job, struct removal, job);

	file_remove(&r->place, r->spec->etag, &r->err);
}

static void on_worked(struct pool_job *job)
{
	struct removal *r = CONTAINER_OF(job, struct removal, job);

	r->is_answered = true;
	file_print(&r->stat, r->head.etag);
	removal_run(r);
}

static void call_file(struct removal *r)
{
	const struct engine_side *s = side_of(r);

	r->is_answered = false;
	r->err = (struct err){0};
	r->place = (struct file_place){s->root, s->key, 0, -1};
	r->job = (struct pool_job){
		.work = r->next == REMOVAL_DELETE ? work_delete : work_look,
		.done = on_worked};
	pool_submit(r->env->pool, &r->job);
}

static void (*const calls[ENGINE_SCHEMES])(struct removal *r) = {
	[ENGINE_S3] = call_s3,
	[ENGINE_FILE] = call_file,
};

/* --- steps --- */

static bool is_usable(const struct removal *r)
{
	const struct creds_set *set = r->env->creds(r->env->arg, side_of(r)->creds_id);

	if (side_of(r)->scheme == ENGINE_FILE)
		return true;
	return set && set->generation != r->refused &&
	       set->expires_at_us > clock_wall_us(loop_clock(r->env->loop));
}

static void ask_creds(struct removal *r)
{
	uint32_t id = side_of(r)->creds_id;
	const struct creds_set *set = r->env->creds(r->env->arg, id);

	r->rounds++;
	r->is_due = false;
	loop_timer_set(r->timer, CREDS_WAIT_MS);
	r->env->need_creds(r->env->arg, id, set ? set->generation : 0);
}

static enum step_result step_start(struct removal *r)
{
	if (r->is_cancelled)
		return end_cancelled(r);
	if (!is_usable(r)) {
		go(r, REMOVAL_CREDS);
		ask_creds(r);
		return STEP_AGAIN;
	}
	go(r, r->next);
	calls[side_of(r)->scheme](r);
	return STEP_WAIT;
}

static enum step_result step_creds(struct removal *r)
{
	if (r->is_cancelled)
		return end_cancelled(r);
	if (is_usable(r)) {
		loop_timer_cancel(r->timer);
		return go(r, REMOVAL_START);
	}
	if (!r->is_due && r->rounds <= ROUNDS_MAX)
		return STEP_WAIT;
	err_set(&r->err, ERR_AUTH, ERR_FROM_CREDS, "no-session",
		"no fresh credentials came");
	return end(r);
}

/* What follows a call that did not go well. */
static enum step_result after_failure(struct removal *r)
{
	const struct tries_peer peer = peer_of(r);
	int64_t delay_ms;

	if (r->is_cancelled)
		return end_cancelled(r);
	if (r->err.class == ERR_AUTH && r->rounds < ROUNDS_MAX) {
		r->refused = r->used;
		return go(r, REMOVAL_START);
	}
	if (side_of(r)->scheme != ENGINE_S3 ||
		!tries_again(&r->tries, &peer, &r->err, crypto_random_unit(), &delay_ms)) {
		if (!retry_may(&r->policy, r->err.class, ++r->attempts))
			return end(r);
		tries_reset(&r->tries);
		delay_ms = retry_delay_ms(
			&r->policy, r->err.class, r->attempts, crypto_random_unit());
	}
	r->is_due = false;
	loop_timer_set(r->timer, delay_ms);
	return go(r, REMOVAL_BACKOFF);
}

static enum step_result step_absent(struct removal *r)
{
	if (!r->is_answered)
		return STEP_WAIT;
	if (r->err.class == ERR_OK)
		return refuse(
			r, "source-is-back", "the source has the object again: it stays");
	if (r->err.class != ERR_NOTFOUND || str_eq(r->err.code, "NoSuchBucket"))
		return after_failure(r);
	r->next = REMOVAL_LOOK;
	return go(r, REMOVAL_START);
}

/* ETags come with or without quotes. */
static bool is_same_etag(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (n >= 2 && a[0] == '"')
		a++, n -= 2;
	if (m >= 2 && b[0] == '"')
		b++, m -= 2;
	return n == m && memcmp(a, b, n) == 0;
}

/* Not every server heeds If-Match at a DELETE, so that the object is looked at before. */
static enum step_result step_look(struct removal *r)
{
	if (!r->is_answered)
		return STEP_WAIT;
	if (r->err.class == ERR_NOTFOUND && !str_eq(r->err.code, "NoSuchBucket")) {
		r->err = (struct err){0};
		return end(r);
	}
	if (r->err.class != ERR_OK)
		return after_failure(r);
	if (!r->spec->etag[0])
		return refuse(r, "unknown",
			"nothing tells which object was meant: it stays");
	if (!is_same_etag(r->head.etag, r->spec->etag))
		return refuse(r, "changed",
			"the object is another one than when it was listed: it stays");
	r->next = REMOVAL_DELETE;
	return go(r, REMOVAL_START);
}

static enum step_result step_delete(struct removal *r)
{
	if (!r->is_answered)
		return STEP_WAIT;
	if (r->err.class == ERR_NOTFOUND && !str_eq(r->err.code, "NoSuchBucket"))
		r->err = (struct err){0};
	if (r->err.class == ERR_OK)
		return end(r);
	/* A lost answer: look again, it may be gone. */
	if (r->err.class == ERR_RETRY)
		r->next = REMOVAL_LOOK;
	return after_failure(r);
}

static enum step_result step_restore(struct removal *r)
{
	if (!r->is_answered)
		return STEP_WAIT;
	if (str_eq(r->err.code, "RestoreAlreadyInProgress"))
		r->err = (struct err){0};
	return r->err.class == ERR_OK ? end(r) : after_failure(r);
}

static enum step_result step_backoff(struct removal *r)
{
	if (r->is_cancelled)
		return end_cancelled(r);
	return r->is_due ? go(r, REMOVAL_START) : STEP_WAIT;
}

/* clang-format off */
static enum step_result (*const steps[])(struct removal *r) = {
	[REMOVAL_START]   = step_start,
	[REMOVAL_CREDS]   = step_creds,
	[REMOVAL_ABSENT]  = step_absent,
	[REMOVAL_LOOK]    = step_look,
	[REMOVAL_DELETE]  = step_delete,
	[REMOVAL_RESTORE] = step_restore,
	[REMOVAL_BACKOFF] = step_backoff,
};
/* clang-format on */

static void removal_run(struct removal *r)
{
	while (r->state != REMOVAL_DONE && steps[r->state](r) == STEP_AGAIN)
		;
}

/* --- from outside --- */

static void on_timer(void *arg)
{
	struct removal *r = arg;

	r->is_due = true;
	removal_run(r);
}

struct removal *removal_new(const struct xfer_env *env, struct engine_remove_spec *spec,
	void (*ended)(void *owner, struct removal *r))
{
	struct removal *r = mem_alloc(sizeof(*r));

	list_init(&r->link);
	r->env = env;
	r->spec = spec;
	r->ended = ended;
	r->next = spec->restore_tier[0] ? REMOVAL_RESTORE
		  : spec->has_absent    ? REMOVAL_ABSENT
					: REMOVAL_LOOK;
	r->policy = (struct retry_policy){spec->max_attempts, spec->backoff_ms,
		spec->max_backoff_ms, spec->backoff_factor};
	r->refused = UINT64_MAX;
	r->timer = loop_timer_new(env->loop, on_timer, r);
	return r;
}

void *removal_free(void *arg)
{
	struct removal *r = arg;

	if (!r)
		return NULL;
	list_remove(&r->link);
	loop_timer_free(r->timer);
	free(r->spec);
	free(r);
	return NULL;
}

void removal_start(struct removal *r)
{
	r->started_us = clock_mono_us(loop_clock(r->env->loop));
	removal_run(r);
}

void removal_cancel(struct removal *r)
{
	if (r->is_cancelled || r->state == REMOVAL_DONE)
		return;
	r->is_cancelled = true;
	if (r->call && r->next != REMOVAL_DELETE)
		s3_call_cancel(r->call);
	removal_run(r);
}

void removal_wake(struct removal *r, uint32_t creds_id)
{
	if (r->state != REMOVAL_CREDS || side_of(r)->creds_id != creds_id)
		return;
	if (!is_usable(r) && r->rounds <= ROUNDS_MAX)
		ask_creds(r); /* the new set is no better: ask again, a few times */
	removal_run(r);
}

uint64_t removal_id(const struct removal *r)
{
	return r->spec->id;
}

struct list *removal_link(struct removal *r)
{
	return &r->link;
}

struct removal *removal_from_link(struct list *link)
{
	return LIST_ENTRY(link, struct removal, link);
}
