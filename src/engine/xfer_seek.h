/*
 * Uploads that were begun without our learning of it: the daemon was killed, or the
 * answer was lost, between the intent on disk and the id. They are looked for at exactly
 * the key of the intent and told, one ENGINE_EV_ORPHAN each; to end them is another
 * transfer's.
 *
 * Ours is what began at or after the intent (in the server's clock, five seconds less) by
 * the initiator that the intent names. At an endpoint of somebody's own whose initiators
 * are no ARNs (RGW names whoever asks), time and key decide. Where we do not know who we
 * were, as with long-lived keys at AWS, nothing is ours.
 */
#pragma once

#include "engine/xfer_impl.h"

/* x->spec->resume is an intent: there is nothing else to do. */
bool xfer_seek_is_wanted(const struct xfer *x);
/* The next page, if none is under way; ends in xfer_run(). */
void xfer_seek_next(struct xfer *x);
bool xfer_seek_is_over(const struct xfer *x);
/* Orphans told by this attempt. */
int xfer_seek_count(const struct xfer *x);
void *xfer_seek_free(struct xfer_seek *s);
