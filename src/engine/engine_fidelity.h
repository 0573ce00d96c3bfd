/*
 * How objects of one run are to arrive: the route, what is carried along, what is
 * checked. Part of a transfer's spec, by value. All zero: streamed, written over whatever
 * is there, metadata as it is, tags where that is allowed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/checksum.h"

enum engine_method {
	ENGINE_METHOD_STREAM,
	ENGINE_METHOD_AUTO, /* a copy by the server where one identity may, else a stream
			     */
	ENGINE_METHOD_SERVER_SIDE, /* or not at all */
};

enum engine_overwrite {
	ENGINE_OVERWRITE_ALWAYS,
	ENGINE_OVERWRITE_CHANGED, /* not what provably is there already */
	ENGINE_OVERWRITE_NEVER,
};

enum engine_verify {
	ENGINE_VERIFY_TRANSFER, /* by the answers that come anyway */
	ENGINE_VERIFY_OBJECT, /* and a HEAD of what was written, if these prove nothing */
	ENGINE_VERIFY_FULL,   /* and a HEAD of both sides in any case */
};

enum engine_tags {
	ENGINE_TAGS_BEST_EFFORT,
	ENGINE_TAGS_REQUIRE,
	ENGINE_TAGS_DROP,
};

enum engine_choice {
	ENGINE_UNSET,
	ENGINE_YES,
	ENGINE_NO,
};

struct engine_fidelity {
	enum engine_method method;
	enum engine_overwrite overwrite;
	enum engine_verify verify;
	enum checksum_alg checksum; /* NONE: the source's, else CRC64NVME */
	enum engine_tags tags;
	/* "" or "keep": the source's; "STANDARD_IA"; "GLACIER=STANDARD,...": others kept
	 */
	char storage_class[256];
	char encryption[16]; /* x-amz-server-side-encryption; "": the bucket's default */
	char kms_key_id[256];
	enum engine_choice bucket_key;
	char acl[32];         /* canned; "": none is sent */
	bool is_acl_optional; /* where it is refused, the object goes without */
	/* "": none, and reported; "none"; "copy"; a mode, for retain_s from now */
	char object_lock[16];
	int64_t retain_s;
};

/* What an object lost on its way; each a bit of engine_result.losses. */
enum engine_loss {
	ENGINE_LOSS_TAGS,
	ENGINE_LOSS_METADATA, /* user metadata that S3 itself keeps back */
	ENGINE_LOSS_CLASS,
	ENGINE_LOSS_LOCK,
	ENGINE_LOSS_ACL,
	ENGINE_LOSS_CHECKSUM, /* the one that the job asks for */
	ENGINE_LOSSES,
};

enum engine_route {
	ENGINE_ROUTE_STREAM,
	ENGINE_ROUTE_COPY,
};

/* Delivered without a byte moved. */
enum engine_skip {
	ENGINE_SKIP_NOT,
	ENGINE_SKIP_SAME, /* the destination provably holds this version of the source */
	ENGINE_SKIP_EXISTS, /* something is there, and nothing may be overwritten */
};
