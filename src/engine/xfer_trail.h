/*
 * Checksums behind the bytes of a body: where they may go, and the part that finds out.
 * Private to src/engine.
 */
#pragma once

#include "engine/xfer_impl.h"

/* The destination is known to read them. */
bool xfer_trail_may(const struct xfer *x);
/* Of the PUT that is about to start: it has one. May make it the one that finds out. */
bool xfer_trail_begin(struct xfer *x);
/* It was answered, and this is what the answer proves: fails the attempt, or not. */
void xfer_trail_judge(struct xfer *x, bool is_proven);
/* The attempt failed, maybe for it: once more without, as no fault of the object. */
bool xfer_trail_gives_in(struct xfer *x);
/* Whatever it was about to find out is as open as before. */
void xfer_trail_drop(struct xfer *x);
