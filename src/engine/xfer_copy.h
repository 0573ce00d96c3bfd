/*
 * The route on which the server copies: who signs, how, and when it is left. Private to
 * src/engine.
 */
#pragma once

#include "engine/xfer_impl.h"

/* The job wants it, the sides allow it, and it was not refused. */
bool xfer_copy_is_wanted(const struct xfer *x);
/* Larger than one CopyObject may be. */
bool xfer_copy_is_parted(const struct xfer *x);
int64_t xfer_copy_part_bytes(void);
enum step_result xfer_copy_step(struct xfer *x);
/* A copy was refused. true: another way is to be tried, or the stream, by XFER_START. */
bool xfer_copy_goes_on(struct xfer *x);
/* What the answer proves of the copy; as xfer_io_prove(). */
enum engine_proof xfer_copy_prove(const struct xfer *x, bool *ret_is_wrong);

/* The source's version, where it has one and we may name it; else NULL. */
const char *xfer_copy_version(const struct xfer *x);
