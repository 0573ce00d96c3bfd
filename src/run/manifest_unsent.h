/*
 * Manifests that are to get to the destination and may not have yet: a note beside each,
 * with the address it goes to, so that a later run of the job sends what a stop kept
 * here. A note without its manifest is worth nothing.
 *
 * Calls block on the file; any thread.
 */
#pragma once

#include <stddef.h>

#define MANIFEST_UNSENT_MAX 8 /* that one run sends, its own included */

struct manifest_unsent {
	char *path; /* below the folder of all manifests: "JOB/RUN.jsonl.gz" */
	char *url;  /* "s3://BUCKET/KEY" */
};

/* On disk when it returns; its name is once the manifest was closed. 0 or -errno. */
int manifest_unsent_note(
	const char *dir, const char *job, const char *run, const char *url);
/*
 * Of a job, that of `run` first, the others in no order: how many. Removes notes that are
 * no good and those whose manifest is gone.
 */
size_t manifest_unsent_list(const char *dir, const char *job, const char *run,
	struct manifest_unsent ret[MANIFEST_UNSENT_MAX]);
/* It is there, or is not to be sent any more. path: as in manifest_unsent. */
void manifest_unsent_drop(const char *dir, const char *path);
void manifest_unsent_done(struct manifest_unsent *u);
