/*
 * Checksums of other algorithms than ours, where the source declares nothing else, or
 * where the job asks for one at the destination: computed on the way and compared. A
 * composite is recomputed with the source's own parts, whose size one HEAD tells. Private
 * to src/engine.
 */
#pragma once

#include "engine/xfer_impl.h"

enum xfer_verdict {
	XFER_UNPROVEN, /* nothing to compare, or not in reach */
	XFER_RIGHT,
	XFER_WRONG,
};

/* NULL-safe; returns NULL. */
void *xfer_sums_free(struct xfer_sums *s);

/* The head of the source is in: the size of its parts is to be asked for. */
bool xfer_sums_is_due(const struct xfer *x);
/* Ends in xfer_run(). */
void xfer_sums_ask(struct xfer *x);
/* Bytes of our parts, so that theirs can be recomputed; 0: as is usual. */
int64_t xfer_sums_part_bytes(const struct xfer *x);
/* What a part is to compute. */
enum checksum_alg xfer_sums_alg(const struct xfer *x);

/* Of one stream: a whole object, or a part. */
void xfer_sums_begin(struct xfer *x);
/* All bytes are in. */
void xfer_sums_end(struct xfer *x);
void xfer_sums_update(struct xfer *x, const void *data, size_t len);
enum xfer_verdict xfer_sums_judge(struct xfer *x);

/* Of an upload. */
void xfer_sums_take_part(struct xfer *x, struct xfer *child);
enum xfer_verdict xfer_sums_judge_parts(struct xfer *x);

/* What the destination is to keep, where that is another algorithm than ours; else NONE.
 */
enum checksum_alg xfer_sums_asked(const struct xfer *x);
/* The sum of a part, from 1, as the server tells it. */
void xfer_sums_take_told(struct xfer *x, int number, const char *text);
/* Of all that was written, in what is asked for; "": not known. */
const char *xfer_sums_written(struct xfer *x);
/* Of the part at index i, from 0. */
void xfer_sums_part_text(const struct xfer *x, int i, char text[CHECKSUM_TEXT_LEN]);
/* The destination's answer has what the job asks for. */
bool xfer_sums_is_kept(const struct xfer *x);
