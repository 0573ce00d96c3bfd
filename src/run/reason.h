/*
 * Why: one stable code for each object of a run and for each run, with its sentence. The
 * ledger, the manifest, metrics and s3ferryctl show the code; s3ferryctl(1) lists them
 * all. Codes are part of the interface: never renamed, never reused. Pure.
 */
#pragma once

#include <stdbool.h>

enum reason {
	REASON_NONE,

	/* what became of an object */
	REASON_COPIED,
	REASON_MOVED,
	REASON_DELETED,
	REASON_TRASHED,

	/* why it is to be copied: the plan, explain, --dry-run */
	REASON_NEW,
	REASON_CHANGED,
	REASON_UNPROVEN,
	REASON_FORCED,
	REASON_GONE, /* to be deleted */

	/* left alone, and rightly so */
	REASON_SAME,
	REASON_EXISTS,
	REASON_FILTERED,
	REASON_TOO_NEW,
	REASON_TOO_OLD,
	REASON_TOO_SMALL,
	REASON_TOO_LARGE,
	REASON_STORAGE_CLASS,
	REASON_UNSTABLE,
	REASON_FOLDER,
	REASON_UNFIT,
	REASON_EXTRA,
	REASON_REAPPEARED,
	REASON_BRAKED,
	REASON_ARCHIVED,
	REASON_RESTORING,
	REASON_NOT_REACHED,

	/* failed */
	REASON_CHANGED_WHILE_READ,
	REASON_VANISHED,
	REASON_DESTINATION_CHANGED,
	REASON_SOURCE_KEPT,
	REASON_COLLISION,
	REASON_OBSTRUCTED,
	REASON_UNSAFE_KEY,
	REASON_KEY_TOO_LONG,
	REASON_NO_CHECKSUM,
	REASON_OBJECT_DENIED, /* "denied" of an object */
	REASON_OBJECT_INTEGRITY,
	REASON_OBJECT_THROTTLED,
	REASON_OBJECT_NETWORK,
	REASON_OBJECT_SERVICE,
	REASON_OBJECT_LOCAL,
	REASON_OBJECT_CONFIG,

	/* of a run */
	REASON_RUN_ARCHIVED,
	REASON_RUN_BRAKE,
	REASON_RUN_BUCKET_MISSING,
	REASON_RUN_CANCELLED,
	REASON_RUN_CATCH_UP,
	REASON_RUN_CATCH_UP_LIMIT,
	REASON_RUN_CHANGED,
	REASON_RUN_COALESCED,
	REASON_RUN_CONFIG,
	REASON_RUN_CREDENTIALS,
	REASON_RUN_DEADLINE,
	REASON_RUN_DENIED,
	REASON_RUN_EDITED,
	REASON_RUN_EXPECTATION,
	REASON_RUN_INTEGRITY,
	REASON_RUN_INTERRUPTED,
	REASON_RUN_LISTING,
	REASON_RUN_LOCAL,
	REASON_RUN_NETWORK,
	REASON_RUN_NOT_FOUND,
	REASON_RUN_OVERLAP,
	REASON_RUN_PAUSED,
	REASON_RUN_RESTORING,
	REASON_RUN_SERVICE,
	REASON_RUN_SOURCE_EMPTY,
	REASON_RUN_SOURCE_MISSING,
	REASON_RUN_SUPERSEDED,
	REASON_RUN_THROTTLED,
	REASON_RUN_TIMEOUT,
	REASON_RUN_WINDOW,

	REASONS,
};

enum reason_kind {
	REASON_KIND_NONE,
	REASON_KIND_DONE,   /* of an object: something was done, and proven */
	REASON_KIND_WHY,    /* of an object: why something is to be done */
	REASON_KIND_LEFT,   /* of an object: nothing to be done; no failure */
	REASON_KIND_FAILED, /* of an object: makes the run partial or failed */
	REASON_KIND_RUN,    /* of a run */
};

/* "copied"; "" of REASON_NONE. Objects' codes are unique, and so are runs'. */
const char *reason_code(enum reason r);
/* "copied, and proven at the destination": no capital, no full stop. */
const char *reason_text(enum reason r);
enum reason_kind reason_kind(enum reason r);
/* The code of an object (or of a run) as a value again; REASON_NONE when unknown. */
enum reason reason_find(const char *code, bool is_run);
