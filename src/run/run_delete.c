/*
 * Deleting at the destination: candidates are put aside while the listings come in, and
 * when both have ended the brakes decide about all of them together. Only then the first
 * one goes, each after a HEAD of both sides (engine/remove).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "run/run_impl.h"

#define ROWS_A_TURN 500 /* of the manifest: other work comes between */

/* Key and ETag of each candidate, in an unnamed file: memory does not grow with them. */
struct run_deletes {
	FILE *file;
	uint64_t count, taken;
	int64_t bytes;
	bool is_broken; /* the file could not be written: nothing is deleted */
};

static struct run_deletes *deletes_of(struct run *r)
{
	if (!r->deletes) {
		r->deletes = mem_alloc(sizeof(*r->deletes));
		r->deletes->file = tmpfile();
		r->deletes->is_broken = !r->deletes->file;
	}
	return r->deletes;
}

static bool put_text(FILE *f, const char *text)
{
	size_t n = strlen(text) + 1;

	return fwrite(text, 1, n, f) == n;
}

void run_deletes_add(struct run *r, const struct lister_entry *e)
{
	struct run_deletes *d = deletes_of(r);

	d->count++;
	d->bytes += e->size;
	if (!d->is_broken)
		d->is_broken = !put_text(d->file, e->key) ||
			       !put_text(d->file, lister_mark(e));
}

/* --- brakes --- */

static bool hold(struct run *r, enum reason why, const char *text)
{
	struct run_report *report = &r->report;
	size_t n = strlen(report->message);

	run_count_many(r, REASON_BRAKED, r->deletes->count, (uint64_t)r->deletes->bytes);
	if (report->reason[0]) { /* what failed before says more */
		snprintf(report->message + n, sizeof(report->message) - n, "; %s", text);
		return false;
	}
	snprintf(report->reason, sizeof(report->reason), "%s", reason_code(why));
	snprintf(report->message, sizeof(report->message), "%s", text);
	return false;
}

/* A share is rounded up, so that a small mirror can lose one object. */
static uint64_t most_allowed(const struct run *r)
{
	const struct conf_delete *c = &r->job->delete;
	uint64_t there = r->sides[RUN_DESTINATION].taken, most = UINT64_MAX;

	if (r->options.allow_deletes > 0)
		return (uint64_t)r->options.allow_deletes;
	if (c->max_count >= 0)
		most = (uint64_t)c->max_count;
	if (c->max_percent >= 0 && (there * (uint64_t)c->max_percent + 99) / 100 < most)
		most = (there * (uint64_t)c->max_percent + 99) / 100;
	return most;
}

static bool judge_number(struct run *r)
{
	const struct run_deletes *d = r->deletes;
	uint64_t most = most_allowed(r);
	char text[512];

	if (d->count <= most)
		return true;
	snprintf(text, sizeof(text),
		"%llu of the %llu objects at the destination are gone from the source, "
		"and "
		"max_delete allows %llu: nothing was deleted; if that is right: "
		"s3ferryctl run %s --allow-deletes %llu",
		(unsigned long long)d->count,
		(unsigned long long)r->sides[RUN_DESTINATION].taken,
		(unsigned long long)most, r->job->name, (unsigned long long)d->count);
	return hold(r, REASON_RUN_BRAKE, text);
}

bool run_deletes_judge(struct run *r)
{
	struct run_deletes *d = r->deletes;
	char text[640];

	if (!d || !d->count)
		return true;
	if (r->report.objects_failed || r->is_given_up)
		return hold(r, REASON_RUN_BRAKE,
			"nothing was deleted, for some objects failed");
	if (d->is_broken)
		return hold(r, REASON_RUN_LOCAL,
			"nothing was deleted, for the list of candidates could not be "
			"written to a temporary file");
	if (!r->sides[RUN_SOURCE].taken && !r->job->delete.allows_empty &&
		r->options.allow_deletes < (int64_t)d->count) {
		snprintf(text, sizeof(text),
			"the source has no object of this job, and the destination has "
			"%llu: nothing was deleted; if that is right, set allow_empty, "
			"or "
			"once: s3ferryctl run %s --allow-deletes %llu",
			(unsigned long long)d->count, r->job->name,
			(unsigned long long)d->count);
		return hold(r, REASON_RUN_SOURCE_EMPTY, text);
	}
	return judge_number(r);
}

/* --- what goes --- */

static bool take_text(FILE *f, char *out, size_t size)
{
	size_t n = 0;
	int c;

	while ((c = getc(f)) > 0 && n + 1 < size)
		out[n++] = (char)c;
	out[n] = '\0';
	return c == 0;
}

static void remove_one(struct run *r, const char *relative, const char *etag)
{
	_cleanup_free_ char *from = mem_printf(
		"%s%s", r->sides[RUN_SOURCE].key, relative);
	_cleanup_free_ char *key = mem_printf(
		"%s%s", r->sides[RUN_DESTINATION].key, relative);
	_cleanup_free_ char *below = NULL, *trash = NULL;
	const struct lister_entry entry = {.key = relative,
		.key_len = strlen(relative),
		.etag = etag,
		.version = "",
		.storage_class = "",
		.size = -1};
	struct run_item *i = run_item_new(r, from, key);

	i->entries[RUN_DESTINATION] = run_entry_copy(&entry);
	if (!r->job->delete.trash) {
		run_item_remove(i, RUN_DESTINATION);
		return;
	}
	below = run_names_expand(r, r->job->delete.trash);
	trash = mem_printf("%s%s", below ? below : "", relative);
	if (below && strlen(trash) < ENGINE_KEY_LEN) {
		run_item_trash(i, trash);
		return;
	}
	run_count_failed(r, REASON_KEY_TOO_LONG, RUN_DESTINATION, key, NULL);
	run_manifest_item(i, REASON_KEY_TOO_LONG, NULL, NULL);
	run_item_free(i);
}

/* The manifest names what a brake kept, some at a time; true: there is more. */
static bool tell_braked(struct run *r)
{
	struct run_deletes *d = r->deletes;
	char key[ENGINE_KEY_LEN], etag[256];

	for (int n = 0; d->taken < d->count && !d->is_broken && r->manifest; n++) {
		if (n == ROWS_A_TURN) {
			run_go_on_later(r);
			return true;
		}
		d->taken++;
		d->is_broken = !take_text(d->file, key, sizeof(key)) ||
			       !take_text(d->file, etag, sizeof(etag));
		if (!d->is_broken)
			run_manifest_key(r, REASON_BRAKED, RUN_DESTINATION, key, NULL);
	}
	return false;
}

bool run_deletes_take(struct run *r)
{
	struct run_deletes *d = r->deletes;
	char key[ENGINE_KEY_LEN], etag[256];

	if (d && !d->is_broken && !d->taken && fseek(d->file, 0, SEEK_SET) != 0)
		d->count = 0;
	if (d && r->is_braked)
		return tell_braked(r);
	while (d && !r->must_stop && !r->is_given_up && run_has_room(r) &&
		d->taken < d->count) {
		d->taken++;
		if (!take_text(d->file, key, sizeof(key)) ||
			!take_text(d->file, etag, sizeof(etag)))
			break;
		remove_one(r, key, etag);
	}
	return r->in_flight > 0;
}

void *run_deletes_free(struct run_deletes *d)
{
	if (!d)
		return NULL;
	if (d->file)
		fclose(d->file);
	free(d);
	return NULL;
}
