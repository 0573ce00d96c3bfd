/*
 * Whether the destination has what the source has: a decision from both listings, from
 * the record of what was delivered, and where these prove nothing from a HEAD of each
 * side. Pure.
 *
 *   auto      sizes differ: differs. The destination is as we left it (record): the
 *             source decides, its ETag or version against the recorded one. Equal ETags:
 *             same. The source is younger: differs. Else ask both sides: equal checksums
 *             of the whole object, or ETags that are digests, decide. Else unproven
 *   size      equal sizes are the same
 *   mtime     equal sizes, and the source not younger than the destination
 *   etag      equal sizes and ETags, or delivered by us from this ETag
 *   checksum  equal checksums of the whole object; asks both sides for each object
 *   version   delivered by us from this version of the source; asks the source
 *   proof     as auto, but a time proves nothing: for objects that leave the source when
 *             they are the same
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lister_entry;

enum compare_mode {
	COMPARE_AUTO,
	COMPARE_SIZE,
	COMPARE_MTIME,
	COMPARE_ETAG,
	COMPARE_CHECKSUM,
	COMPARE_VERSION,
	COMPARE_PROOF,
};

/* What tells one content of a key from another; "" or -1: not known. */
struct compare_mark {
	const char *etag, *version;
	int64_t modified_us;
};

/* The record of one delivered key: both sides when it was proven. */
struct compare_delivered {
	struct compare_mark source, destination;
};

/* A checksum of the whole object, as headers carry it. */
struct compare_digest {
	const char *algorithm; /* "crc64nvme", "sha256", ... */
	const char *value;     /* base64 */
};

/* What a HEAD told more than the listing. */
struct compare_head {
	const char *version; /* "" : not told */
	bool is_etag_md5;    /* the ETag is a digest of the bytes */
	const struct compare_digest *digests;
	size_t digest_count;
	/* Of the destination: the source's version that it was made of, from its
	 * metadata; "" : not told. */
	const char *source_version;
};

struct compare_case {
	const struct lister_entry *source, *destination;
	const struct compare_delivered *delivered;                 /* NULL: no record */
	const struct compare_head *source_head, *destination_head; /* NULL: not asked */
};

enum compare_verdict {
	COMPARE_SAME,
	COMPARE_DIFFERS,
	COMPARE_UNPROVEN, /* nothing says that they are the same: copy */
	COMPARE_ASK,      /* the HEADs of *ret_asks first, then once more */
};

/* Bits of *ret_asks. */
enum {
	COMPARE_ASK_SOURCE = 1,
	COMPARE_ASK_DESTINATION = 2,
};

/* Never COMPARE_ASK when both heads are given. */
enum compare_verdict compare(
	enum compare_mode mode, const struct compare_case *c, unsigned *ret_asks);
