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

/* More than the source's head is needed: its tags, or how long its parts are. */
bool xfer_details_are_missing(const struct xfer *x);
enum step_result xfer_details_step(struct xfer *x);
