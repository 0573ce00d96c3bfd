/*
 * Files on either side. A piece at a time belongs to a thread, which reads or writes it
 * right in the ring; the loop only counts, and reads what needs no waiting. What an
 * attempt's end means is xfer.c's.
 */
#include "config.h"

#include "engine/xfer_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "engine/xfer_look.h"
#include "engine/xfer_parts.h"
#include "engine/xfer_sums.h"
#include "net/loop.h"
#include "net/pool.h"

#define PIECE   (1 << 20) /* at most; half of a ring is usual */
#define TICK_US (20 * USEC_PER_MSEC)

enum file_state {
	FILE_OPEN,  /* waits for: a descriptor */
	FILE_MOVE,  /* waits for: a piece, or for the ring */
	FILE_CLOSE, /* waits for: the descriptor to be gone */
};

struct xfer_file {
	struct pool_job job;
	struct xfer *x;
	enum xfer_side side;
	enum file_state state;
	bool is_busy, is_cancelled, is_head_only;
	bool must_wait; /* its file system does not tell whether a read would */
	/* A thread's while is_busy, else the loop's. */
	struct file_place place;
	int fd; /* of a source, or of a parent's target */
	struct file_stat stat;
	struct file_target target; /* of a whole file at the destination */
	struct iovec iov[2];
	int count;
	int64_t offset, end; /* in the file; bytes */
	size_t piece;
	bool is_last;
	uint64_t crc;
	struct err err; /* class ERR_OK: none */
};

/* The file that parts go to. */
struct xfer_target {
	struct pool_job job;
	struct xfer *x;
	bool is_busy;
	struct file_place place;
	struct file_target file;
	struct file_stat stat;
	int64_t size, modified_us;
	struct err err;
};

static void file_run(struct xfer_file *f);

static struct file_place place_of(const struct xfer *x, enum xfer_side side)
{
	const struct engine_side *s = side == XFER_SOURCE ? &x->spec->source
							  : &x->spec->destination;

	return (struct file_place){s->root, s->key, s->mode, s->gid,
		x->spec->fidelity.overwrite == ENGINE_OVERWRITE_NEVER};
}

static bool is_part(const struct xfer_file *f)
{
	return f->side == XFER_DESTINATION && f->x->range.length > 0;
}

/* --- in a thread --- */

static void say_changed(struct xfer_file *f)
{
	err_set(&f->err, ERR_CONFLICT, ERR_FROM_LOCAL, "changed-while-read",
		"the file changed while it was read");
	snprintf(f->err.operation, sizeof(f->err.operation), "read");
}

static void work_open(struct pool_job *job)
{
	struct xfer_file *f = CONTAINER_OF(job, struct xfer_file, job);

	if (f->side == XFER_SOURCE)
		f->fd = file_open(&f->place, &f->stat, &f->err);
	else
		file_create(&f->place, f->end, &f->target, &f->err);
}

/* All of it, or an error; 0 at the end of the file. */
static ssize_t move_all(struct xfer_file *f, int fd,
	ssize_t (*move)(int fd, const struct iovec *iov, int count, off_t offset))
{
	struct iovec iov[2] = {f->iov[0], f->iov[1]}, *at = iov;
	size_t moved = 0;

	while (moved < f->piece) {
		ssize_t n = move(
			fd, at, (int)(iov + f->count - at), f->offset + (off_t)moved);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		moved += (size_t)n;
		while (at < iov + f->count && (size_t)n >= at->iov_len)
			n -= (ssize_t)(at++)->iov_len;
		if (at < iov + f->count) {
			at->iov_base = (char *)at->iov_base + n;
			at->iov_len -= (size_t)n;
		}
	}
	return (ssize_t)moved;
}

static void digest(struct xfer_file *f)
{
	struct xfer *x = f->x; /* whose digests are ours while we read */

	for (int i = 0; i < f->count; i++) {
		f->crc = crc64nvme(f->crc, f->iov[i].iov_base, f->iov[i].iov_len);
		xfer_sums_update(x, f->iov[i].iov_base, f->iov[i].iov_len);
		if (x->has_md5)
			crypto_hash_update(x->md5, f->iov[i].iov_base, f->iov[i].iov_len);
		if (x->running)
			crypto_hash_update(
				x->running, f->iov[i].iov_base, f->iov[i].iov_len);
	}
}

static void work_read(struct pool_job *job)
{
	struct xfer_file *f = CONTAINER_OF(job, struct xfer_file, job);
	struct file_stat now;
	ssize_t n = f->piece ? move_all(f, f->fd, preadv) : 0;

	if (n < 0)
		file_error(&f->err, (int)-n, "read", &f->place);
	else if ((size_t)n < f->piece)
		say_changed(f); /* it shrank */
	else
		digest(f);
	if (f->err.class != ERR_OK || !f->is_last)
		return;
	if (file_stat_fd(f->fd, &now) < 0 || !file_is_same(&now, &f->stat))
		say_changed(f);
	close(f->fd);
	f->fd = -1;
}

static void work_write(struct pool_job *job)
{
	struct xfer_file *f = CONTAINER_OF(job, struct xfer_file, job);
	ssize_t n = f->piece ? move_all(f, is_part(f) ? f->fd : f->target.fd, pwritev)
			     : 0;

	if (n < 0 || (size_t)n < f->piece)
		file_error(&f->err, n < 0 ? (int)-n : EIO, "write", &f->place);
	else if (f->is_last && !is_part(f))
		file_commit(&f->target, &f->place, f->x->heads[XFER_SOURCE].modified_us,
			&f->stat, &f->err);
}

static void work_close(struct pool_job *job)
{
	struct xfer_file *f = CONTAINER_OF(job, struct xfer_file, job);

	if (f->fd >= 0 && !is_part(f))
		close(f->fd);
	file_discard(&f->target);
}

/* --- on the loop --- */

static void on_done(struct pool_job *job)
{
	struct xfer_file *f = CONTAINER_OF(job, struct xfer_file, job);

	f->is_busy = false;
	file_run(f);
}

static void submit(struct xfer_file *f, void (*work)(struct pool_job *job))
{
	f->is_busy = true;
	f->job = (struct pool_job){.work = work, .done = on_done};
	pool_submit(f->x->env->pool, &f->job);
}

static void start(struct xfer *x, enum xfer_side side, bool is_head_only)
{
	struct xfer_file *f = mem_alloc(sizeof(*f));

	f->x = x;
	f->side = side;
	f->is_head_only = is_head_only;
	f->fd = -1;
	f->target = FILE_TARGET_NONE;
	f->place = place_of(x, side);
	x->is_begun[side] = true;
	x->files[side] = f;
	if (side == XFER_SOURCE) {
		submit(f, work_open);
		return;
	}
	f->end = x->heads[XFER_SOURCE].length;
	if (!x->range.length) {
		submit(f, work_open);
		return;
	}
	f->fd = x->range.target->file.fd;
	f->offset = x->range.first;
	f->end += f->offset;
	f->state = FILE_MOVE;
	file_run(f);
}

/* It names one content, as a version does. */
static void tell_print(const struct file_stat *st, struct s3_head *head)
{
	file_print(st, head->etag);
	file_print(st, head->version);
}

static void *release(void *f)
{
	free(f);
	return NULL;
}

static void end(struct xfer_file *f)
{
	struct xfer *x = f->x;
	struct s3_head head = {.length = f->stat.size};
	const struct err *e = f->err.class == ERR_OK ? NULL : &f->err;

	x->files[f->side] = NULL;
	loop_bury(x->env->loop, release, f);
	tell_print(&f->stat, &head);
	if (f->side == XFER_DESTINATION)
		xfer_io_put_ended(x, e, &head);
	else if (f->is_head_only)
		xfer_io_head_ended(x, e);
	else
		xfer_io_get_ended(x, e);
}

static void finish(struct xfer_file *f)
{
	if (f->is_cancelled && f->err.class == ERR_OK)
		err_set(&f->err, ERR_CANCELLED, ERR_FROM_NONE, "cancelled", "cancelled");
	f->state = FILE_CLOSE;
	submit(f, work_close);
}

/*
 * File systems stamp changes by the tick of their clock: a second one within the same
 * tick would not show. Once a tick has passed without a change, any later one does.
 */
static bool is_settled(struct xfer_file *f)
{
	const struct engine_side *s = &f->x->spec->source;
	int64_t now_us = clock_wall_us(loop_clock(f->x->env->loop));
	int64_t age_us = now_us - f->stat.ctime_ns / 1000;

	if (s->is_final || age_us < 0 || age_us > TICK_US)
		return true;
	err_set(&f->err, ERR_RETRY, ERR_FROM_LOCAL, "just-written",
		"the file was written to this very moment");
	snprintf(f->err.operation, sizeof(f->err.operation), "open");
	return false;
}

/* What an answer's head is to a GET: of the file, or of the part that is asked for. */
static void tell_head(struct xfer_file *f)
{
	struct xfer *x = f->x;
	struct s3_head head = {.length = f->stat.size,
		.status = 200,
		.modified_us = f->stat.mtime_ns / 1000};
	struct s3_meta meta = {0};
	int64_t first = x->range.first, length = x->range.length;

	if (length && first + length <= f->stat.size)
		head = (struct s3_head){.length = length, .status = 206};
	tell_print(&f->stat, &head);
	f->offset = first;
	f->end = first + head.length;
	f->crc = x->crc;
	f->state = FILE_MOVE;
	if (!xfer_io_take_head(x, &head, &meta) || x->is_large || f->is_head_only)
		finish(f);
	else
		xfer_run(x); /* makes the ring */
}

static void run_open(struct xfer_file *f)
{
	if (f->err.class != ERR_OK || f->is_cancelled)
		finish(f);
	else if (f->side == XFER_DESTINATION)
		f->state = FILE_MOVE;
	else if (f->x->range.length || is_settled(f))
		tell_head(f);
	else
		finish(f);
}

/* The piece that a thread has moved is the ring's again. */
static void settle(struct xfer_file *f)
{
	struct xfer *x = f->x;

	if (!f->piece || f->err.class != ERR_OK)
		return;
	f->offset += (int64_t)f->piece;
	if (f->side == XFER_SOURCE) {
		x->crc = f->crc;
		xfer_pipe_fill(x->pipe, f->piece);
		xfer_io_received(x, f->piece);
	} else {
		xfer_pipe_drop(x->pipe, f->piece);
	}
}

/* The next piece, as large as the ring allows now; none: the ring calls again. */
static void plan(struct xfer_file *f)
{
	struct xfer_pipe *pipe = f->x->pipe;
	int64_t left = f->end - f->offset;
	bool is_source = f->side == XFER_SOURCE;

	f->piece = 0;
	f->is_last = false;
	if (is_source && left && !f->x->env->may_read(f->x->env->arg, f->x))
		return;
	f->count = is_source ? xfer_pipe_room(
				       pipe, left < PIECE ? (size_t)left : PIECE, f->iov)
			     : xfer_pipe_content(pipe, PIECE, f->iov);
	for (int i = 0; i < f->count; i++)
		f->piece += f->iov[i].iov_len;
	f->is_last = (int64_t)f->piece == left && (is_source || xfer_pipe_is_ended(pipe));
}

/*
 * A piece that is in memory is here before a thread would be awake. Slow digests, and the
 * end with its look at what changed, stay a thread's.
 */
static bool read_now(struct xfer_file *f)
{
	ssize_t n;

	if (f->side != XFER_SOURCE || !f->piece || f->is_last || f->must_wait ||
		f->x->has_md5 || f->x->running || f->x->sums)
		return false;
	n = preadv2(f->fd, f->iov, f->count, f->offset, RWF_NOWAIT);
	f->must_wait = n < 0 && errno == EOPNOTSUPP;
	if (n < (ssize_t)f->piece)
		return false;
	digest(f);
	return true;
}

static void move(struct xfer_file *f)
{
	for (plan(f); read_now(f); plan(f))
		settle(f);
	if (f->piece || f->is_last)
		submit(f, f->side == XFER_SOURCE ? work_read : work_write);
}

static void run_move(struct xfer_file *f)
{
	bool was_last = f->is_last;

	settle(f);
	f->piece = 0;
	f->is_last = false;
	if (f->err.class != ERR_OK || f->is_cancelled)
		finish(f);
	else if (was_last)
		end(f);
	else if (f->x->pipe)
		move(f);
}

static void file_run(struct xfer_file *f)
{
	if (f->is_busy)
		return;
	switch (f->state) {
	case FILE_OPEN:
		run_open(f);
		/* Telling the head may have begun, or ended, what follows. */
		if (f->state == FILE_MOVE && !f->is_busy)
			run_move(f);
		return;
	case FILE_MOVE:
		run_move(f);
		return;
	case FILE_CLOSE:
		end(f);
		return;
	}
}

void xfer_file_resume(struct xfer_file *f)
{
	if (f && f->state == FILE_MOVE)
		file_run(f);
}

void xfer_file_cancel(struct xfer_file *f)
{
	if (!f || f->is_cancelled)
		return;
	f->is_cancelled = true;
	if (f->state == FILE_MOVE)
		file_run(f);
}

void xfer_file_head(struct xfer *x)
{
	start(x, XFER_SOURCE, true);
}

void xfer_file_get(struct xfer *x)
{
	start(x, XFER_SOURCE, false);
}

void xfer_file_put(struct xfer *x)
{
	start(x, XFER_DESTINATION, false);
}

/* --- what is there already --- */

struct xfer_glance {
	struct pool_job job;
	struct xfer *x;
	struct file_place place;
	struct file_stat stat;
	struct err err;
};

static void work_look(struct pool_job *job)
{
	struct xfer_glance *g = CONTAINER_OF(job, struct xfer_glance, job);

	file_look(&g->place, &g->stat, &g->err);
}

static void on_seen(struct pool_job *job)
{
	struct xfer_glance *g = CONTAINER_OF(job, struct xfer_glance, job);
	struct xfer *x = g->x;
	struct s3_head head = {.length = g->stat.size, .status = 200};
	struct err e = g->err;

	tell_print(&g->stat, &head);
	x->glance = NULL;
	free(g);
	xfer_look_ended(x, e.class == ERR_OK ? NULL : &e, &head);
}

void xfer_file_look(struct xfer *x)
{
	struct xfer_glance *g = mem_alloc(sizeof(*g));

	g->x = x;
	g->place = place_of(x, XFER_DESTINATION);
	g->job = (struct pool_job){.work = work_look, .done = on_seen};
	x->glance = g;
	pool_submit(x->env->pool, &g->job);
}

/* --- the file of a large object --- */

static void work_create(struct pool_job *job)
{
	struct xfer_target *t = CONTAINER_OF(job, struct xfer_target, job);

	file_create(&t->place, t->size, &t->file, &t->err);
}

static void work_commit(struct pool_job *job)
{
	struct xfer_target *t = CONTAINER_OF(job, struct xfer_target, job);

	file_commit(&t->file, &t->place, t->modified_us, &t->stat, &t->err);
}

static void work_discard(struct pool_job *job)
{
	file_discard(&CONTAINER_OF(job, struct xfer_target, job)->file);
}

static void submit_target(struct xfer_target *t, void (*work)(struct pool_job *job),
	void (*done)(struct pool_job *job))
{
	t->is_busy = true;
	t->job = (struct pool_job){.work = work, .done = done};
	pool_submit(t->x->env->pool, &t->job);
}

static struct xfer_target *target_of(struct pool_job *job)
{
	struct xfer_target *t = CONTAINER_OF(job, struct xfer_target, job);

	t->is_busy = false;
	return t;
}

static void on_created(struct pool_job *job)
{
	struct xfer_target *t = target_of(job);
	struct xfer *x = t->x;

	if (t->err.class == ERR_OK) {
		xfer_parts_created(x);
	} else {
		xfer_fail(x, XFER_DESTINATION, &t->err);
		x->target = NULL;
		free(t);
	}
	xfer_run(x);
}

static void on_committed(struct pool_job *job)
{
	struct xfer_target *t = target_of(job);
	struct xfer *x = t->x;

	if (t->err.class == ERR_OK) {
		x->heads[XFER_DESTINATION] = (struct s3_head){.length = t->stat.size};
		tell_print(&t->stat, &x->heads[XFER_DESTINATION]);
		xfer_parts_settle(x);
	} else {
		/* Its bytes were let go: there is no second try. */
		if (t->err.class != ERR_CONFLICT)
			t->err.class = ERR_LOCAL;
		xfer_fail(x, XFER_DESTINATION, &t->err);
	}
	xfer_run(x);
}

static void drop_target(struct xfer *x)
{
	free(x->target);
	x->target = NULL;
	xfer_parts_aborted(x);
}

static void on_discarded(struct pool_job *job)
{
	struct xfer *x = target_of(job)->x;

	drop_target(x);
	xfer_run(x);
}

void xfer_file_create(struct xfer *x)
{
	struct xfer_target *t;

	if (x->target)
		return;
	t = mem_alloc(sizeof(*t));
	t->x = x;
	t->place = place_of(x, XFER_DESTINATION);
	t->size = x->heads[XFER_SOURCE].length;
	t->modified_us = x->heads[XFER_SOURCE].modified_us;
	t->file = FILE_TARGET_NONE;
	x->target = t;
	submit_target(t, work_create, on_created);
}

void xfer_file_complete(struct xfer *x)
{
	submit_target(x->target, work_commit, on_committed);
}

void xfer_file_abort(struct xfer *x)
{
	if (!x->target)
		xfer_parts_aborted(x);
	else if (x->target->is_busy)
		return;
	else if (!pool_is_closed(x->env->pool))
		submit_target(x->target, work_discard, on_discarded);
	else {
		file_discard(&x->target->file);
		drop_target(x);
	}
}

bool xfer_file_is_busy(const struct xfer_target *t)
{
	return t && t->is_busy;
}
