/*
 * What is at the destination: before, whether there is anything to do; after, whether what
 * was written is there. Private to src/engine.
 */
#pragma once

#include "engine/xfer_impl.h"

/* Before the source is asked: the destination is to be looked at. */
bool xfer_look_is_due(const struct xfer *x);
enum step_result xfer_look_step(struct xfer *x);
/* Of the look at a file: what it found, or why not. */
void xfer_look_ended(struct xfer *x, const struct err *err, const struct s3_head *head);
/* ETag that the source need not be read for; "": none. */
const char *xfer_look_unless(const struct xfer *x);
/* The head of the source says that it is there already. */
bool xfer_look_is_same(const struct xfer *x, const struct s3_head *source);
/* What must still be at the key when it is written. */
struct s3_condition xfer_look_condition(const struct xfer *x);
/* A write failed because of that condition: the reason becomes our own. */
void xfer_look_explain(struct xfer *x);

/* Before Complete: the server may not heed conditions, so that we look once more. */
bool xfer_look_again_is_due(const struct xfer *x);
void xfer_look_again(struct xfer *x);

/* After the write, for proof. */
bool xfer_check_is_due(const struct xfer *x);
void xfer_check_enter(struct xfer *x);
enum step_result xfer_check_step(struct xfer *x);
