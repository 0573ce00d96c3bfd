/*
 * A large object as a multipart upload: parts move as child transfers, several at once,
 * each with its own retries; what is stored stays stored over retries and restarts of its
 * parent. The states of xfer.c that need it call in here; it decides nothing of their
 * order. Private to src/engine.
 */
#pragma once

#include "engine/xfer_impl.h"

/* The part size for an object: as wanted, or what 10,000 parts need. 0: too large for S3. */
int64_t xfer_part_size(int64_t size, int64_t wanted);

/* A part is missing, and not too many are under way. */
bool xfer_parts_wants(const struct xfer *x);

/* x->upload, for an object whose head is in, or for x->spec->resume. */
void xfer_parts_new(struct xfer *x);
void *xfer_parts_free(struct xfer_upload *u);
/* Not copied but streamed, after all: in smaller parts, unless some are stored already.
 */
void xfer_parts_recut(struct xfer *x);
/* Forget the upload itself: the next attempt begins with the source. */
void xfer_parts_drop(struct xfer *x);

/* Where an attempt goes on: which of the states below. */
enum xfer_state xfer_parts_entry(const struct xfer *x);
/* Begin what is missing; each ends in xfer_run(), and in xfer_fail() if it failed. */
void xfer_parts_create(struct xfer *x);
void xfer_parts_list(struct xfer *x);
void xfer_parts_pump(struct xfer *x);
void xfer_parts_complete(struct xfer *x);
void xfer_parts_abort(struct xfer *x);
/* Something of it is still under way. */
bool xfer_parts_is_busy(const struct xfer *x);
/* All that is under way is told to end. */
void xfer_parts_cancel(struct xfer *x);

/* It is not ours: there is nothing to abort. */
void xfer_parts_forget_id(struct xfer *x);
bool xfer_parts_is_created(const struct xfer *x);
bool xfer_parts_is_listed(const struct xfer *x);
bool xfer_parts_is_full(const struct xfer *x);
bool xfer_parts_is_completed(const struct xfer *x);
/* Asked, the destination has the object: Complete had its effect. */
void xfer_parts_settle(struct xfer *x);
/* Of a file: it is there, nameless; it is gone again. */
void xfer_parts_created(struct xfer *x);
void xfer_parts_aborted(struct xfer *x);
bool xfer_parts_is_size(const struct xfer *x, int64_t size);
bool xfer_parts_is_aborted(const struct xfer *x);
bool xfer_parts_is_resumed(const struct xfer *x);
int xfer_parts_count(const struct xfer *x);
/* Bytes of the part at index i, from 0. */
int64_t xfer_parts_length(const struct xfer *x, int i);
int xfer_parts_count_resumed(const struct xfer *x);
/* What the core is to keep, before the create and behind it; malloc'd. */
struct engine_upload *xfer_parts_intent(const struct xfer *x);
struct engine_upload *xfer_parts_notes(const struct xfer *x);
/* Every part is stored, or noted as stored before. */
bool xfer_parts_are_known(const struct xfer *x);
/* The checksum that the upload keeps, if that is another one; else NONE. */
enum checksum_alg xfer_parts_kept(const struct xfer *x);
/* CRC64NVME of the whole, once they are known. */
uint64_t xfer_parts_crc(const struct xfer *x);
/* MD5 of the whole, if it was kept. */
bool xfer_parts_md5(const struct xfer *x, char hex[2 * CRYPTO_MD5_LEN + 1]);
/* etag is what S3 gives an upload of these parts: MD5 of their MD5s. */
bool xfer_parts_is_etag(const struct xfer *x, const char *etag);
uint64_t xfer_parts_bytes(const struct xfer *x);

/* New credentials for the children. */
void xfer_parts_wake(struct xfer *x, uint32_t creds_id);
