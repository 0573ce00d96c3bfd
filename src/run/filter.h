/*
 * Which objects a job is about: selected is what matches an include (all, when there is
 * none) and no exclude, in whatever order they stand, and is neither too old, too new,
 * too small nor too large. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/reason.h"

struct filter;
struct glob;
struct lister_entry;

#define FILTER_NONE INT64_MIN /* of a number below: no such limit */

struct filter_spec {
	const struct glob *const *include; /* kept by the caller as long as the filter */
	size_t include_count;
	const struct glob *const *exclude;
	size_t exclude_count;
	/*
	 * Ages are seen from the slot of the run, so that a run that comes late, and a
	 * backfill, select what the run in time would have.
	 */
	int64_t slot_us;
	int64_t newer_than_us, older_than_us; /* ages, or FILTER_NONE */
	int64_t min_size, max_size;           /* bytes, or FILTER_NONE */
	/* Whether it is still being written is a matter of now: filter_set_now(). */
	int64_t stable_for_us;
	const char *const *storage_classes; /* only these; copied */
	size_t storage_class_count;         /* 0: all */
};

struct filter *filter_new(const struct filter_spec *spec);
void *filter_free(struct filter *f);
void filter_set_now(struct filter *f, int64_t now_us);

/* REASON_NONE: selected. REASON_FILTERED, _TOO_OLD, _UNSTABLE, ... */
enum reason filter_check(struct filter *f, const struct lister_entry *e);
/* By include and exclude alone: of a key that the other side does not have. */
bool filter_takes_name(struct filter *f, const char *key, size_t len);
/* For explain: the exclude that matches, else NULL with the include that does, else NULL
 * twice. */
void filter_explain(const struct filter *f, const char *key, size_t len,
	const struct glob **ret_exclude, const struct glob **ret_include);
