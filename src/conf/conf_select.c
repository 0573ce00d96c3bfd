/*
 * What a job takes, removes and expects: the keys beside `action`. Not the URLs
 * (conf_check), and not what a run makes of them.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/template.h"
#include "conf/conf_build.h"

#define DELETE_PERCENT 10
#define DELETE_COUNT   1000

static void take_restore(
	const struct spot *s, const struct raw_job *raw, struct conf_select *to)
{
	to->archived = (enum conf_archived)raw->archived;
	to->restore = (struct conf_restore){
		raw->restore.days, schema_tiers[raw->restore.tier], raw->restore.poll_s};
	if (to->archived != CONF_ARCHIVED_RESTORE && node_get(s->map, "restore"))
		spot_complain(s, "restore", "archived: restore",
			"it says how to restore, and this job does not");
	if (to->archived == CONF_ARCHIVED_RESTORE &&
		raw->overwrite == CONF_OVERWRITE_ALWAYS)
		spot_complain(s, "archived", "overwrite: changed",
			"each time the run looks for what is restored it would copy "
			"all the others again");
}

static void take_select(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	struct conf_select *to = &job->select;

	to->include = conf_texts_take(&raw->include);
	to->exclude = conf_texts_take(&raw->exclude);
	to->storage_classes = conf_texts_take(&raw->only_storage_class);
	to->newer_than_s = raw->newer_than_s;
	to->older_than_s = raw->older_than_s;
	to->min_size = raw->min_size;
	to->max_size = raw->max_size;
	to->stable_for_s = raw->source.stable_for_s;
	take_restore(s, raw, to);
	if (to->newer_than_s && to->older_than_s && to->newer_than_s <= to->older_than_s)
		spot_complain(s, "older_than", "newer_than is the longer one of both",
			"no object is newer than newer_than and older than older_than");
	if (to->max_size >= 0 && to->min_size > to->max_size)
		spot_complain(s, "max_size", NULL, "it is smaller than min_size");
	if (raw->destination.stable_for_s)
		spot_complain(s, "destination", "source: {stable_for: 30s}",
			"stable_for is a key of the source");
}

/* What is put below it must not be found, and moved or deleted, by the next run. */
static struct template *take_beside(const struct spot *s, const char *key,
	const char *text, const struct conf_job *job)
{
	const struct conf_side *to = &job->destination;

	if (to->key && str_has_prefix(text, to->key))
		spot_complain(s, key, "a prefix beside that of the destination",
			"it lies inside the destination");
	if (!str_has_suffix(text, "/"))
		spot_complain(s, key, NULL, "a prefix ends in /");
	return key_compile(s, key, text, 0);
}

static void take_manifest(const struct spot *s, const char *text, struct conf_job *job)
{
	if (job->destination.scheme == CONF_FILE)
		spot_complain(s, "manifest_prefix", "a destination in S3",
			"it names a place in the destination's bucket");
	else
		job->manifest_prefix = take_beside(s, "manifest_prefix", text, job);
	if (!job->manifest.keep)
		spot_complain(s, "manifest_prefix", "manifest: {keep: 1}",
			"no manifest is written");
}

static void take_delete(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	const struct raw_max_delete *max = &raw->max_delete;
	static const char *const keys[] = {"max_delete", "allow_empty", "trash_prefix"};
	bool is_given = max->percent >= 0 || max->count >= 0;

	job->delete.is_on = raw->is_deleting;
	job->delete.allows_empty = raw->allows_empty;
	job->delete.max_percent = is_given ? max->percent : DELETE_PERCENT;
	job->delete.max_count = is_given ? max->count : DELETE_COUNT;
	if (raw->trash_prefix)
		job->delete.trash =
			take_beside(s, "trash_prefix", raw->trash_prefix, job);
	if (raw->is_deleting && job->action != CONF_SYNC)
		spot_complain(s, "delete", "action: sync",
			"only a sync removes objects of the destination");
	for (size_t i = 0; !raw->is_deleting && i < ARRAY_LEN(keys); i++)
		if (node_get(s->map, keys[i]))
			spot_complain(s, keys[i], "delete: true",
				"it says how to delete, and this job does not");
	if (job->delete.is_on && job->destination.name &&
		template_has_date(job->destination.name))
		spot_complain(s, "delete", "a prefix without a date",
			"a destination with a date in it is another one each time: "
			"nothing there is ever to be deleted");
	if (job->delete.is_on && job->destination.key && !job->destination.is_prefix)
		spot_complain(s, "delete", "a destination that ends in /",
			"deleting needs a prefix that the job alone fills");
}

static void take_missing(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	job->missing.is_set = node_get(s->map, "if_missing");
	job->missing.wait_s = raw->if_missing.wait_s;
	job->missing.poll_s = raw->if_missing.poll_s;
	job->missing.is_skipped = raw->if_missing.then == 1;
	if (job->missing.wait_s >= job->timeout_s)
		spot_complain(s, "if_missing", "a longer timeout, or a shorter wait",
			"it waits longer than the run's timeout");
}

static bool has_slots(const struct spot *s)
{
	return node_get(s->map, "schedule") || node_get(s->map, "calendar") ||
	       node_get(s->map, "every");
}

static void take_expect(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	const struct raw_expect *from = &raw->expect;
	struct spot t = {
		s->d, s->src, node_key(s->map, "expect"), node_get(s->map, "expect"), ""};

	snprintf(t.path, sizeof(t.path), "%.250s.expect", s->path);
	job->expect = (struct conf_expect){from->min_objects, from->max_objects,
		from->min_bytes, from->newer_than_s, -1, NULL};
	if (from->max_objects >= 0 && from->min_objects > from->max_objects)
		spot_complain(&t, "max_objects", NULL, "it is smaller than min_objects");
	if (!from->by)
		return;
	job->expect.by_minutes = window_minutes(from->by);
	if (job->expect.by_minutes < 0)
		spot_complain(&t, "by", "such as \"09:00\"", "not a time of the day");
	else if (!has_slots(s))
		spot_complain(&t, "by", "a schedule",
			"without slots of its own nothing is late");
	else
		job->expect.by = window_daily(job->expect.by_minutes, job->timezone,
			s->d->conf->zones);
}

static void check_globs(const struct spot *s, const char *key, const struct conf_texts *t)
{
	const struct node *list = node_get(s->map, key);

	for (size_t i = 0; i < t->count; i++) {
		struct glob *g = NULL;
		struct glob_error e;
		struct spot_place at = {
			key, list->kind == NODE_LIST ? list->items[i] : list, 0};

		if (glob_compile(t->v[i], &g, &e) < 0) {
			at.position = e.at;
			spot_say(s, CONF_ERROR, &at, NULL, e.text);
		}
		glob_free(g);
	}
}

/* A source that is one key is taken as it is. */
static void check_single(const struct spot *s, const struct conf_job *job)
{
	static const char *const keys[] = {"include", "exclude", "newer_than",
		"older_than", "min_size", "max_size", "only_storage_class", "flatten",
		"delete"};

	if (!job->source.name || job->source.is_prefix)
		return;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (node_get(s->map, keys[i]))
			spot_complain(s, keys[i], "a source that ends in /, or a glob",
				"the source is one key: there is nothing to choose");
}

void select_finish(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	job->compare = (enum conf_compare)raw->compare;
	job->is_flat = raw->is_flat;
	if (raw->rename)
		job->rename = key_compile(
			s, "rename", raw->rename, job->source.is_glob ? GLOB_SPANS : 0);
	take_select(s, raw, job);
	take_delete(s, raw, job);
	if (raw->manifest_prefix)
		take_manifest(s, raw->manifest_prefix, job);
	take_missing(s, raw, job);
	take_expect(s, raw, job);
	check_globs(s, "include", &job->select.include);
	check_globs(s, "exclude", &job->select.exclude);
	check_single(s, job);
	if ((job->is_flat || job->rename) && job->destination.key &&
		!job->destination.is_prefix)
		spot_complain(s, job->rename ? "rename" : "flatten", NULL,
			"the destination is one key: there is nothing to name");
	if (job->delete.is_on && (job->is_flat || job->rename))
		spot_complain(s, "delete", NULL,
			"keys that are renamed cannot be told from keys that are gone");
}

/* --- jobs among each other --- */

/* What a job writes to. */
struct target {
	const struct conf_job *job;
	const struct draft_job *draft;
};

/* Each bucket's together, and in it what lies inside a prefix right behind that. */
static int by_place(const void *a, const void *b)
{
	const struct conf_side *s = &((const struct target *)a)->job->destination;
	const struct conf_side *t = &((const struct target *)b)->job->destination;
	int c = strcmp(s->bucket, t->bucket);

	return c ? c : strcmp(s->key, t->key);
}

static bool may_hold(const struct conf_side *outer, const struct conf_side *inner)
{
	return str_eq(inner->bucket, outer->bucket) &&
	       str_has_prefix(inner->key, outer->key);
}

/* What others write between `from` and the end would be gone at the next run of `t`. */
static void check_deleting(struct draft *d, const struct target *t,
	const struct target *from, const struct target *end)
{
	const struct conf_side *mine = &t->job->destination;
	struct spot s = {d, t->draft->src, t->draft->name, t->draft->map, ""};
	char text[400], name[201] = "";
	size_t n = 0;

	for (; from < end && may_hold(mine, &from->job->destination); from++) {
		if (from == t || !side_is_same_bucket(&from->job->destination, mine))
			continue;
		if (n++ == 0)
			snprintf(name, sizeof(name), "%.200s", from->job->name);
	}
	if (!n)
		return;
	conf_join_path(s.path, "jobs", t->job->name);
	snprintf(text, sizeof(text),
		"it would delete what the job '%s'%s into its destination", name,
		n > 1 ? " and others write" : " writes");
	spot_complain(&s, "delete", "a prefix of its own for each job", text);
}

void select_check_jobs(struct draft *d)
{
	struct target *targets = mem_array(d->job_count + 1, sizeof(*targets));
	bool has_deletes = false;
	size_t n = 0;

	for (size_t i = 0; i < d->job_count; i++) {
		has_deletes |= d->conf->jobs[i]->delete.is_on;
		if (d->conf->jobs[i]->destination.key)
			targets[n++] = (struct target){d->conf->jobs[i], &d->jobs[i]};
	}
	if (has_deletes)
		qsort(targets, n, sizeof(*targets), by_place);
	for (size_t i = 0; i < n; i++) {
		const struct conf_side *mine = &targets[i].job->destination;
		size_t from = i;

		if (!targets[i].job->delete.is_on || !mine->is_prefix)
			continue;
		while (from && may_hold(mine, &targets[from - 1].job->destination))
			from--; /* of the same place, sorted before it */
		check_deleting(d, &targets[i], targets + from, targets + n);
	}
	free(targets);
}
