/*
 * What is to be done with each key: two listings merged in key order, through filter and
 * compare, to one step a key. It does no I/O, knows no clock and logs nothing; deletes
 * come out as candidates, whether they may be done is the run's to judge when both
 * listings have ended.
 *
 * Keys keep their names. Where a job renames them, the orders differ and nothing can be
 * merged: the run asks the destination key by key and uses plan_decide().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/compare.h"
#include "run/reason.h"

struct filter;
struct lister_entry;

enum plan_overwrite {
	PLAN_OVERWRITE_CHANGED,
	PLAN_OVERWRITE_ALWAYS,
	PLAN_OVERWRITE_NEVER,
};

struct plan {
	struct filter *filter; /* borrowed; NULL: all */
	enum compare_mode compare;
	enum plan_overwrite overwrite;
	bool deletes;   /* keys that only the destination has are candidates */
	int64_t now_us; /* a restored copy that ended before is archived again */
	/*
	 * The record of a key, NULL when there is none; borrowed until the next call.
	 * Asked at most once a key and in ascending order. NULL-able.
	 */
	const struct compare_delivered *(*delivered)(
		void *arg, const char *key, size_t key_len);
	void *arg;

	/* the plan's own, zeroed at first: a folder of the source that was not listed */
	char held[1025];
	size_t held_len;
};

enum plan_action {
	PLAN_COPY,     /* NEW, CHANGED, UNPROVEN, FORCED */
	PLAN_KEEP,     /* SAME, EXISTS: both sides have it */
	PLAN_SKIP,     /* FILTERED and so on, FOLDER, UNFIT, EXTRA; and two that failed:
			* OBSTRUCTED, VANISHED */
	PLAN_ARCHIVED, /* would be copied but cannot be read: ARCHIVED, RESTORING */
	PLAN_DELETE,   /* GONE: a candidate */
	PLAN_ASK,      /* HEAD the sides of `asks`, then plan_settle() */
};

struct plan_step {
	enum plan_action action;
	enum reason reason;
	/* NULL: that side does not have it. Borrowed as the heads were: act, or copy what
	 * is needed, then pop each that is not NULL. */
	const struct lister_entry *source, *destination;
	const struct compare_delivered *delivered; /* with PLAN_ASK; NULL: no record */
	unsigned asks;                             /* bits of compare.h */
};

/* The head of one listing. */
struct plan_head {
	const struct lister_entry *entry; /* NULL: none at hand ... */
	bool has_ended;                   /* ... and none will come */
};

enum plan_result {
	PLAN_STEP,
	PLAN_NEED_SOURCE, /* wait for its next entry, or for its end */
	PLAN_NEED_DESTINATION,
	PLAN_END,
};

enum plan_result plan_next(struct plan *p, const struct plan_head *source,
	const struct plan_head *destination, struct plan_step *ret);

/*
 * One key without a merge: destination NULL when it does not have the key. For renamed
 * keys: then the destination's entry is what HEAD told, and `key` of the source decides
 * filters and record. Never PLAN_DELETE.
 */
void plan_decide(const struct plan *p, const struct lister_entry *source,
	const struct lister_entry *destination, struct plan_step *ret);

/*
 * The step of a PLAN_ASK again, with what the HEADs told (NULL: not asked, or the object
 * is gone by now: say so in source or destination of c). Entries and record are the
 * caller's copies by then. The result is never PLAN_ASK when all that was asked is given.
 */
void plan_settle(
	const struct plan *p, const struct compare_case *c, struct plan_step *ret);

/* Names that one source key and the plan need; see reason.h. Whether it can be read now.
 */
bool plan_is_archived(const struct lister_entry *e, int64_t now_us, enum reason *ret);
