/*
 * The manifest of a run: what became of each key, one JSON object a line, gzip, in
 * DIR/JOB/RUN.jsonl.gz. Each row carries the SHA-256 of the row before it and itself, so
 * that a changed, lost or added line shows. It is written to a name of its own and
 * renamed when it is whole; what a killed daemon left is taken up again.
 *
 * Keys that something was done to, or that failed, have rows of their own. Those left
 * alone come in key order and share a row as long as the reason is the same: each key
 * from its first to its last that has no row of its own.
 *
 * Calls block on the file; one thread at a time, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/reason.h"

struct buf;
struct manifest;

#define MANIFEST_HASH_LEN 65 /* hex and NUL */

struct manifest_head {
	const char *job, *run;
	int64_t slot_us, started_us;      /* wall clock */
	const char *source, *destination; /* URLs as they were filled in */
};

/* "" or NULL: not known. */
struct manifest_side {
	const char *etag, *version;
	const char *checksum; /* "crc64nvme:<base64>" */
};

struct manifest_row {
	enum reason reason;
	const char *key;             /* as the source names it; of a delete, the
					destination */
	const char *destination_key; /* NULL: the same below the destination */
	uint64_t bytes;
	struct manifest_side source, destination;
	int64_t at_us; /* wall clock, when it was settled */
	int64_t duration_us;
	const char *error; /* NULL: none */
	/* What is about to be done: its end has another row, unless we are killed. Not counted. */
	bool is_begun;
};

/*
 * Folders are made as needed. 0 or -errno. Writing never fails at once: the first error
 * is manifest_close()'s.
 */
int manifest_open(
	const char *dir, const struct manifest_head *head, struct manifest **ret);
void manifest_add(struct manifest *m, const struct manifest_row *row);
/* One that is left alone. One that comes after a later key has a row of its own. */
void manifest_left(
	struct manifest *m, enum reason reason, const char *key, uint64_t bytes);
/* The keys begin anew. */
void manifest_relist(struct manifest *m);
/* What was told so far survives a kill of the daemon. Also done now and then by itself.
 */
void manifest_flush(struct manifest *m);
/*
 * The closing row, on disk and under its name. Frees m. 0 or -errno; then nothing is left
 * under its name. ret_hash (NULL-able): of the closing row, which stands for them all.
 */
int manifest_close(struct manifest *m, const char *verdict, const char *reason,
	char ret_hash[MANIFEST_HASH_LEN]);
/* Frees m; what was written stays to be taken up. NULL-safe, returns NULL. */
void *manifest_abandon(struct manifest *m);

/* malloc'd. */
char *manifest_path(const char *dir, const char *job, const char *run);

struct manifest_summary {
	uint64_t rows, bytes;
	uint64_t counts[REASONS];
	char hash[MANIFEST_HASH_LEN]; /* of the closing row */
};
/*
 * Reads it all: 0, or -EBADMSG with the line (from 1) and a sentence in why, or -errno.
 */
int manifest_verify(const char *path, struct manifest_summary *ret, uint64_t *ret_line,
	char why[128]);
/*
 * The row that tells of a key, as JSON: its own, else the one it shares. 1, 0 when none
 * does, or negative errno.
 */
int manifest_find(const char *path, const char *key, struct buf *ret);

/*
 * Removes a job's manifests: all but the newest `keep` (0: all may stay), and those older
 * than max_age_s (0: none is too old). Returns how many, or -errno.
 */
int manifest_prune(
	const char *dir, const char *job, size_t keep, int64_t max_age_s, int64_t now_s);
