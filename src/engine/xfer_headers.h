/*
 * What an object carries along: its own headers, its tags, and what the job wants of the
 * new one. Degrades as declared, and notes what is lost. Private to src/engine.
 */
#pragma once

#include "engine/xfer_impl.h"

enum xfer_written {
	XFER_BY_PUT,    /* PutObject and CreateMultipartUpload */
	XFER_BY_COPY,   /* CopyObject: metadata and tags come along by themselves */
};

/* Into *ret, which s3_meta_done() frees; sets x->losses. */
void xfer_headers_make(struct xfer *x, enum xfer_written by, struct s3_meta *ret);
/* A call was refused, for what its code names: may it be repeated with less? Noted then. */
bool xfer_headers_give_in(struct xfer *x);
/* The same where only rights can be the reason. */
bool xfer_headers_give_up_rights(struct xfer *x);

/* The source has tags, and they are wanted and not there yet. */
bool xfer_tags_are_missing(const struct xfer *x);
enum step_result xfer_tags_step(struct xfer *x);
