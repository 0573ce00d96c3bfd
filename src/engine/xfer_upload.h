/*
 * A multipart upload and the map of its parts. Private to xfer_parts.c and xfer_upload.c:
 * others ask xfer_parts.h.
 */
#pragma once

#include "engine/width.h"
#include "engine/xfer_impl.h"

enum part_state {
	PART_MISSING,
	PART_CLAIMED, /* our notes have it; the server was not asked yet */
	PART_MOVING,
	PART_STORED,
};

struct part {
	enum part_state state;
	uint64_t crc;
	char *etag;
};

struct xfer_upload {
	struct xfer *x;
	struct xfer_env env; /* of the children */
	char *id;            /* NULL: not created yet */
	bool is_listed, is_completed, is_aborted, is_resumed, is_creating;
	enum checksum_alg wanted, kept; /* NONE: no sum */
	int64_t size, part_size;
	int count, stored, resumed, first_missing, marker, aborts;
	struct part *parts;
	struct list children;
	struct width width; /* how many of them at once */
	struct s3_call *call;
	/*
	 * MD5 of what is stored so far, where nothing else proves the source: then parts
	 * go one by one, in order. NULL: not kept.
	 */
	struct crypto_hash *md5;
};

/* The part at index i, from 0, is stored; etag is copied. */
void xfer_upload_store(struct xfer_upload *u, int i, uint64_t crc, const char *etag);

/* The calls to S3; each ends in xfer_run(), and in xfer_fail() if it failed. */
void xfer_upload_create(struct xfer *x);
void xfer_upload_complete(struct xfer *x);
void xfer_upload_abort(struct xfer *x);
