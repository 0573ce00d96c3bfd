/*
 * What answers have told an engine of custom endpoints, so that it is not found out once
 * an object: which checksums they give and take. Forgotten with the engine; of some
 * endpoints only, as a daemon has few. Owned by its engine.
 */
#pragma once

#include <stdbool.h>

struct known;

/* Whether a checksum behind a body is read there, and not stored with it. */
enum known_trailers {
	TRAILERS_UNKNOWN,
	TRAILERS_ASKED, /* a request is under way that finds out */
	TRAILERS_READ,
	TRAILERS_REFUSED,
};

struct known *known_new(void);
void *known_free(struct known *k);

/* It answers uploads with CRC64NVME. */
bool known_tells_checksum(struct known *k, const char *endpoint_url);
void known_note_checksum(struct known *k, const char *endpoint_url);

/* REFUSED where there is no room to know more. */
enum known_trailers known_trailers_of(struct known *k, const char *endpoint_url);
void known_note_trailers(
	struct known *k, const char *endpoint_url, enum known_trailers what);
/*
 * A request that was to find out failed for what may pass, and the same bytes came
 * through without a checksum. true: that was so often that it is REFUSED now.
 */
bool known_note_trailers_lost(struct known *k, const char *endpoint_url);
