/*
 * One object from source to destination as a state machine. Owned by its engine, which is
 * told of its end and frees it then. It knows nothing of other transfers.
 */
#pragma once

#include "base/list.h"
#include "engine/engine_msg.h"

struct http;
struct known;
struct loop;
struct pool;
struct retry_quotas;
struct s3_place;
struct s3_regions;
struct sigv4_memos;
struct skew;
struct turn;
struct xfer;
struct xfer_pair;

/* What the engine lends; outlives its transfers. */
struct xfer_env {
	struct loop *loop;
	struct http *http;
	struct pool *pool; /* for files */
	int64_t part_bytes; /* of a part, where the spec does not say */
	int64_t stall_timeout_ms;
	/* The set, or NULL while there is none. Borrowed until the next turn. */
	const struct creds_set *(*creds)(void *arg, uint32_t creds_id);
	void (*need_creds)(void *arg, uint32_t creds_id, uint64_t generation);
	/* A part of this object may start: its slot and turn are taken. */
	bool (*take_part)(void *arg, struct xfer *x, struct turn *ret_turn);
	void (*give_part)(void *arg, struct xfer *part);
	/* An attempt failed: how long to wait; then go_on tells whether it may, or calls
	 * xfer_run_on() when it may. */
	int64_t (*back_off)(void *arg, struct xfer *x, int64_t delay_ms);
	bool (*go_on)(void *arg, struct xfer *x);
	/* false: bandwidth is used up; xfer_read_on() comes. did_read: what was used. */
	bool (*may_read)(void *arg, struct xfer *x);
	void (*did_read)(void *arg, struct xfer *x, size_t bytes);
	/* What was learned of these two sets of credentials; valid until the next turn. */
	struct xfer_pair *(*pair)(void *arg, uint32_t source, uint32_t destination);
	/* The clock of this endpoint ("": AWS's); NULL: taken for ours. */
	struct skew *(*skew)(void *arg, const char *endpoint_url);
	struct s3_regions *regions; /* of buckets, as answers told */
	struct known *known;        /* of custom endpoints, likewise */
	struct retry_quotas *quotas; /* of accounts at buckets */
	struct sigv4_memos *memos;
	void *arg;
	/* Who is told: the engine, or the object that this is a part of. */
	void (*event)(void *owner, const struct engine_ev *ev);
	/* After its ENGINE_EV_DONE; frees with loop_bury(). */
	void (*ended)(void *owner, struct xfer *x);
	void *owner;
};

/* Takes spec. Nothing happens before xfer_start(). */
struct xfer *xfer_new(const struct xfer_env *env, struct engine_xfer_spec *spec);
/* Only after its end, or when its http is closed first; takes and returns void *. */
void *xfer_free(void *x);
void xfer_start(struct xfer *x);
/* Its end comes later, with class CANCELLED. */
void xfer_cancel(struct xfer *x);
/* Before a cancel: a multipart upload stays at the destination. */
void xfer_keep_upload(struct xfer *x);
/* The upload it told of is on disk. */
void xfer_noted(struct xfer *x);
/* It is another transfer's: this one fails, and leaves it alone. */
void xfer_taken(struct xfer *x);
/* It was kept from going on, and may now. */
void xfer_run_on(struct xfer *x);
void xfer_read_on(struct xfer *x);
/* It has a part more to move, and may start one when it is asked. */
bool xfer_wants_part(const struct xfer *x);
void xfer_pump(struct xfer *x);
/* New credentials are there: goes on if it waits for that set. */
void xfer_wake(struct xfer *x, uint32_t creds_id);

uint64_t xfer_id(const struct xfer *x);
struct turn *xfer_turn(struct xfer *x);
struct xfer *xfer_from_turn(struct turn *turn);
/* Why its last attempt failed, or NULL. */
const struct err *xfer_failure(const struct xfer *x, bool *ret_is_source);
const struct engine_xfer_spec *xfer_spec(const struct xfer *x);
struct list *xfer_link(struct xfer *x);
struct xfer *xfer_from_link(struct list *link);
const char *xfer_state_name(const struct xfer *x);

/* Where requests to a side go, and what each of them says; borrows from the side. */
void xfer_place(const struct engine_side *s, struct s3_place *ret);

/* In how many pieces an object goes, with parts as wanted. */
int64_t xfer_part_count(int64_t size, int64_t wanted);
