/* The table of reasons. What happened is decided elsewhere; here it only has its words.
 */
#include "config.h"

#include "run/reason.h"

#include "base/str.h"

/* clang-format off */
static const struct {
	const char *code;
	enum reason_kind kind;
	const char *text;
} rows[REASONS] = {
	[REASON_NONE]                = {"", REASON_KIND_NONE, ""},

	[REASON_COPIED]              = {"copied", REASON_KIND_DONE,
		"copied, and proven at the destination"},
	[REASON_MOVED]               = {"moved", REASON_KIND_DONE,
		"copied and proven, then deleted at the source"},
	[REASON_DELETED]             = {"deleted", REASON_KIND_DONE,
		"deleted at the destination, for it is gone from the source"},
	[REASON_TRASHED]             = {"trashed", REASON_KIND_DONE,
		"moved below trash_prefix, for it is gone from the source"},

	[REASON_NEW]                 = {"new", REASON_KIND_WHY,
		"to be copied: the destination does not have it"},
	[REASON_CHANGED]             = {"changed", REASON_KIND_WHY,
		"to be copied: source and destination differ"},
	[REASON_UNPROVEN]            = {"unproven", REASON_KIND_WHY,
		"to be copied: nothing proves that the destination has these bytes"},
	[REASON_FORCED]              = {"forced", REASON_KIND_WHY,
		"to be copied: overwrite is always"},
	[REASON_GONE]                = {"gone", REASON_KIND_WHY,
		"to be deleted at the destination: it is gone from the source"},

	[REASON_SAME]                = {"same", REASON_KIND_LEFT,
		"the destination has it already"},
	[REASON_EXISTS]              = {"exists", REASON_KIND_LEFT,
		"the destination has such a key, and overwrite is never"},
	[REASON_FILTERED]            = {"filtered", REASON_KIND_LEFT,
		"not selected by include and exclude"},
	[REASON_TOO_NEW]             = {"too-new", REASON_KIND_LEFT,
		"modified later than older_than allows"},
	[REASON_TOO_OLD]             = {"too-old", REASON_KIND_LEFT,
		"modified earlier than newer_than allows"},
	[REASON_TOO_SMALL]           = {"too-small", REASON_KIND_LEFT,
		"smaller than min_size"},
	[REASON_TOO_LARGE]           = {"too-large", REASON_KIND_LEFT,
		"larger than max_size"},
	[REASON_STORAGE_CLASS]       = {"storage-class", REASON_KIND_LEFT,
		"in a storage class that the job does not take"},
	[REASON_UNSTABLE]            = {"unstable", REASON_KIND_LEFT,
		"modified within stable_for: perhaps it is still being written"},
	[REASON_FOLDER]              = {"folder", REASON_KIND_LEFT,
		"an empty object that stands for a folder: nothing to carry"},
	[REASON_UNFIT]               = {"unfit", REASON_KIND_LEFT,
		"a link, a device, a folder without a key, or below such a folder"},
	[REASON_EXTRA]               = {"extra", REASON_KIND_LEFT,
		"only at the destination, and the job does not delete"},
	[REASON_REAPPEARED]          = {"reappeared", REASON_KIND_LEFT,
		"missing in the source's listing but there when asked for: not deleted"},
	[REASON_BRAKED]              = {"braked", REASON_KIND_LEFT,
		"to be deleted, but a brake of the run held it back"},
	[REASON_ARCHIVED]            = {"archived", REASON_KIND_LEFT,
		"in an archive and not restored"},
	[REASON_RESTORING]           = {"restoring", REASON_KIND_LEFT,
		"being restored from an archive"},
	[REASON_NOT_REACHED]         = {"not-reached", REASON_KIND_LEFT,
		"the run ended before it was its turn"},

	[REASON_CHANGED_WHILE_READ]  = {"changed-while-read", REASON_KIND_FAILED,
		"the source changed while it was read, each time"},
	[REASON_VANISHED]            = {"vanished", REASON_KIND_FAILED,
		"listed at the source, but gone when it was to be read"},
	[REASON_DESTINATION_CHANGED] = {"destination-changed", REASON_KIND_FAILED,
		"somebody else changed it at the destination meanwhile: left as it is"},
	[REASON_SOURCE_KEPT]         = {"source-kept", REASON_KIND_FAILED,
		"copied and proven, but the source could not be deleted"},
	[REASON_COLLISION]           = {"collision", REASON_KIND_FAILED,
		"two source keys would become one at the destination"},
	[REASON_OBSTRUCTED]          = {"obstructed", REASON_KIND_FAILED,
		"a link or a device stands in its place at the destination"},
	[REASON_UNSAFE_KEY]          = {"unsafe-key", REASON_KIND_FAILED,
		"this key cannot be the name of a local file"},
	[REASON_KEY_TOO_LONG]        = {"key-too-long", REASON_KIND_FAILED,
		"the destination key would be longer than 1,024 bytes"},
	[REASON_NO_CHECKSUM]         = {"no-checksum", REASON_KIND_FAILED,
		"the job asks for a proof that these servers cannot give"},
	[REASON_OBJECT_DENIED]       = {"denied", REASON_KIND_FAILED,
		"the service knows us and says no"},
	[REASON_OBJECT_INTEGRITY]    = {"integrity", REASON_KIND_FAILED,
		"the bytes that arrived are not the source's"},
	[REASON_OBJECT_THROTTLED]    = {"throttled", REASON_KIND_FAILED,
		"the service asked for less until patience ended"},
	[REASON_OBJECT_NETWORK]      = {"network", REASON_KIND_FAILED,
		"name, connection, TLS or framing failed, each time"},
	[REASON_OBJECT_SERVICE]      = {"service", REASON_KIND_FAILED,
		"the service answered with an error of its own, each time"},
	[REASON_OBJECT_LOCAL]        = {"local", REASON_KIND_FAILED,
		"this host: disk, permission or descriptors"},
	[REASON_OBJECT_CONFIG]       = {"config", REASON_KIND_FAILED,
		"the configuration asks for something impossible"},

	[REASON_RUN_ARCHIVED]        = {"archived", REASON_KIND_RUN,
		"objects are in an archive and not restored"},
	[REASON_RUN_BRAKE]           = {"brake", REASON_KIND_RUN,
		"it would have deleted more than max_delete allows"},
	[REASON_RUN_BUCKET_MISSING]  = {"bucket_missing", REASON_KIND_RUN,
		"there is no such bucket"},
	[REASON_RUN_CANCELLED]       = {"cancelled", REASON_KIND_RUN,
		"somebody cancelled it"},
	[REASON_RUN_CATCH_UP]        = {"catch_up", REASON_KIND_RUN,
		"the slot passed while the daemon was down, and catch_up is none"},
	[REASON_RUN_CATCH_UP_LIMIT]  = {"catch_up_limit", REASON_KIND_RUN,
		"more slots were missed than catch_up_limit"},
	[REASON_RUN_CHANGED]         = {"changed", REASON_KIND_RUN,
		"objects changed while they were read, each time"},
	[REASON_RUN_COALESCED]       = {"coalesced", REASON_KIND_RUN,
		"several missed slots were made up for by one run"},
	[REASON_RUN_CONFIG]          = {"config", REASON_KIND_RUN,
		"the configuration asks for something impossible"},
	[REASON_RUN_CREDENTIALS]     = {"credentials", REASON_KIND_RUN,
		"no credentials could be had"},
	[REASON_RUN_DEADLINE]        = {"deadline", REASON_KIND_RUN,
		"it could not start within its starting_deadline"},
	[REASON_RUN_DENIED]          = {"denied", REASON_KIND_RUN,
		"the service knows us and says no"},
	[REASON_RUN_EDITED]          = {"edited", REASON_KIND_RUN,
		"the job's schedule was changed, or the job removed, before it ran"},
	[REASON_RUN_EXPECTATION]     = {"expectation", REASON_KIND_RUN,
		"what came is not what expect asks for"},
	[REASON_RUN_INTEGRITY]       = {"integrity", REASON_KIND_RUN,
		"bytes that arrived are not the source's"},
	[REASON_RUN_INTERRUPTED]     = {"interrupted", REASON_KIND_RUN,
		"the daemon stopped; the run is taken up again"},
	[REASON_RUN_LISTING]         = {"listing", REASON_KIND_RUN,
		"a listing contradicts itself: nothing of it is believed, nothing deleted"},
	[REASON_RUN_LOCAL]           = {"local", REASON_KIND_RUN,
		"this host: disk, permission or descriptors"},
	[REASON_RUN_NETWORK]         = {"network", REASON_KIND_RUN,
		"name, connection, TLS or framing failed, each time"},
	[REASON_RUN_NOT_FOUND]       = {"not_found", REASON_KIND_RUN,
		"what was asked for is not there"},
	[REASON_RUN_OVERLAP]         = {"overlap", REASON_KIND_RUN,
		"the run before was still at work"},
	[REASON_RUN_PAUSED]          = {"paused", REASON_KIND_RUN,
		"the job is paused"},
	[REASON_RUN_RESTORING]       = {"restoring", REASON_KIND_RUN,
		"objects are being restored from an archive: it goes on when they are there"},
	[REASON_RUN_SERVICE]         = {"service", REASON_KIND_RUN,
		"the service answered with an error of its own, each time"},
	[REASON_RUN_SOURCE_EMPTY]    = {"source_empty", REASON_KIND_RUN,
		"the source is empty, and allow_empty is not set: nothing was deleted"},
	[REASON_RUN_SOURCE_MISSING]  = {"source_missing", REASON_KIND_RUN,
		"the source object is not there"},
	[REASON_RUN_SUPERSEDED]      = {"superseded", REASON_KIND_RUN,
		"a newer slot of the job took its place"},
	[REASON_RUN_THROTTLED]       = {"throttled", REASON_KIND_RUN,
		"the service asked for less until patience ended"},
	[REASON_RUN_TIMEOUT]         = {"timeout", REASON_KIND_RUN,
		"it took longer than timeout"},
	[REASON_RUN_WINDOW]          = {"window", REASON_KIND_RUN,
		"the hours of its window were over"},
};
/* clang-format on */

static bool is_known(enum reason r)
{
	return r > REASON_NONE && r < REASONS;
}

const char *reason_code(enum reason r)
{
	return is_known(r) ? rows[r].code : "";
}

const char *reason_text(enum reason r)
{
	return is_known(r) ? rows[r].text : "";
}

enum reason_kind reason_kind(enum reason r)
{
	return is_known(r) ? rows[r].kind : REASON_KIND_NONE;
}

enum reason reason_find(const char *code, bool is_run)
{
	for (enum reason r = REASON_NONE + 1; r < REASONS; r++)
		if ((rows[r].kind == REASON_KIND_RUN) == is_run &&
			str_eq(rows[r].code, code))
			return r;
	return REASON_NONE;
}
