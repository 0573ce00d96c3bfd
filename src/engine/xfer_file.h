/*
 * The local side of a transfer: what xfer_io.c is for S3. Each function only begins; it
 * ends like a call does, in xfer_run(), and never inside its start. All system calls are
 * made by the engine's pool of threads; the bytes pass through the same ring.
 * Private to src/engine.
 */
#pragma once

#include "engine/file.h"
#include "engine/xfer_impl.h"

/* The source: only looked at, or read. */
void xfer_file_head(struct xfer *x);
void xfer_file_get(struct xfer *x);
/* The destination: a whole file, or a part of the one that the parent makes. */
void xfer_file_put(struct xfer *x);

/* The file that would be replaced; ends in xfer_look_ended(). */
void xfer_file_look(struct xfer *x);

/* NULL-safe: the ring has bytes, or room, again. */
void xfer_file_resume(struct xfer_file *f);
/* NULL-safe: it ends soon, with class CANCELLED. */
void xfer_file_cancel(struct xfer_file *f);

/* The file of a large object, as xfer_parts.h has it of uploads. */
void xfer_file_create(struct xfer *x);
void xfer_file_complete(struct xfer *x);
void xfer_file_abort(struct xfer *x);
bool xfer_file_is_busy(const struct xfer_target *t); /* NULL-safe */
