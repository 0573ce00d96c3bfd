/*
 * The manifest as the run has it: which rows there are. Their form is manifest.c's. Rows
 * go to the page cache a quarter of a megabyte at a time; what reads them again or waits
 * for the disk (opening, closing) is done in the pool.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/loop.h"
#include "net/pool.h"
#include "run/manifest.h"
#include "run/run_impl.h"

/* Opening or closing, in the pool. Outlives the run. */
struct manifest_work {
	struct pool_job job;
	struct run *run; /* NULL: it was freed meanwhile */
	struct manifest *manifest;
	char *dir, *job_name, *id, *source, *destination;
	char *url; /* where it is to be sent; NULL: nowhere */
	int64_t slot_us, now_us;
	const char *verdict;
	char reason[32];
	struct conf_manifest keep;
	int result;
	struct manifest_unsent
		unsent[MANIFEST_UNSENT_MAX]; /* to be sent, with older ones */
	size_t unsent_count;
};

static int64_t wall_us(const struct run *r)
{
	return clock_wall_us(loop_clock(r->env.loop));
}

static void work_free(struct manifest_work *w)
{
	free(w->dir);
	free(w->job_name);
	free(w->id);
	free(w->source);
	free(w->destination);
	free(w->url);
	for (size_t i = 0; i < w->unsent_count; i++)
		manifest_unsent_done(&w->unsent[i]);
	free(w);
}

static void on_done(struct pool_job *job)
{
	struct manifest_work *w = CONTAINER_OF(job, struct manifest_work, job);
	struct run *r = w->run;

	if (w->result < 0)
		log_warning(LOG_FIELDS({"JOB", w->job_name}, {"RUN_ID", w->id}),
			"%s: the manifest in %s/%s cannot be written: %s", w->job_name,
			w->dir, w->job_name, strerror(-w->result));
	if (r) {
		r->manifest = w->manifest;
		r->manifest_work = NULL;
		memcpy(r->unsent, w->unsent, sizeof(r->unsent));
		r->unsent_count = w->unsent_count;
		w->unsent_count = 0; /* the run's now */
	} else {
		manifest_abandon(w->manifest);
	}
	work_free(w);
	if (r)
		run_go_on(r);
}

/* Takes url. */
static void submit(
	struct run *r, void (*work)(struct pool_job *job), const char *verdict, char *url)
{
	struct manifest_work *w = mem_alloc(sizeof(*w));

	w->job.work = work;
	w->job.done = on_done;
	w->run = r;
	w->manifest = r->manifest;
	r->manifest = NULL;
	w->dir = mem_strdup(r->env.manifest_dir);
	w->job_name = mem_strdup(r->job->name);
	w->id = mem_strdup(r->id);
	w->source = run_side_url(&r->sides[RUN_SOURCE]);
	w->destination = run_side_url(&r->sides[RUN_DESTINATION]);
	w->slot_us = r->options.nominal_s * USEC_PER_SEC;
	w->now_us = wall_us(r);
	w->keep = r->job->manifest;
	w->verdict = verdict;
	w->url = url;
	snprintf(w->reason, sizeof(w->reason), "%s", r->report.reason);
	r->manifest_work = w;
	pool_submit(r->env.files, &w->job);
}

/* --- opening --- */

static void open_file(struct pool_job *job)
{
	struct manifest_work *w = CONTAINER_OF(job, struct manifest_work, job);
	const struct manifest_head head = {
		w->job_name, w->id, w->slot_us, w->now_us, w->source, w->destination};

	w->result = manifest_open(w->dir, &head, &w->manifest);
}

bool run_manifest_open(struct run *r)
{
	if (r->manifest_work)
		return false;
	if (r->manifest)
		manifest_relist(r->manifest); /* it lists once more */
	if (r->has_opened_manifest || r->options.is_dry || !r->job->manifest.keep)
		return true;
	r->has_opened_manifest = true;
	submit(r, open_file, NULL, NULL);
	return false;
}

/* --- closing --- */

static void close_file(struct pool_job *job)
{
	struct manifest_work *w = CONTAINER_OF(job, struct manifest_work, job);

	int noted = w->url ? manifest_unsent_note(w->dir, w->job_name, w->id, w->url) : 0;

	w->result = manifest_close(w->manifest, w->verdict, w->reason, NULL);
	w->manifest = NULL;
	manifest_prune(w->dir, w->job_name, (size_t)w->keep.keep, w->keep.max_age_s,
		w->now_us / USEC_PER_SEC);
	if (w->url)
		w->unsent_count = manifest_unsent_list(
			w->dir, w->job_name, w->id, w->unsent);
	if (w->result == 0)
		w->result = noted;
}

static void tell_not_uploaded(const struct run *r, const char *path, const char *why)
{
	log_warning(LOG_FIELDS({"JOB", r->job->name}, {"RUN_ID", r->id}),
		"%s: the manifest %s did not get to s3://%s: %s", r->job->name, path,
		r->sides[RUN_DESTINATION].conf->bucket, why);
}

/* malloc'd; NULL: nowhere. */
static char *url_of(const struct run *r)
{
	_cleanup_free_ char *prefix = NULL, *key = NULL;

	if (!r->job->manifest_prefix)
		return NULL;
	prefix = run_names_expand(r, r->job->manifest_prefix);
	key = mem_printf("%s%s.jsonl.gz", prefix ? prefix : "", r->id);
	if (prefix && strlen(key) < ENGINE_KEY_LEN)
		return mem_printf(
			"s3://%s/%s", r->sides[RUN_DESTINATION].conf->bucket, key);
	tell_not_uploaded(r, r->id, "its key would be too long");
	return NULL;
}

bool run_manifest_seal(struct run *r)
{
	static const char *const verdicts[] = {
		[RUN_ENDED_SUCCEEDED] = "succeeded",
		[RUN_ENDED_PARTIAL] = "partial",
		[RUN_ENDED_FAILED] = "failed",
		[RUN_ENDED_CANCELLED] = "cancelled",
		[RUN_ENDED_SKIPPED] = "skipped",
	};

	if (r->manifest_work)
		return false;
	if (!r->manifest)
		return true;
	if (r->report.verdict == RUN_ENDED_INTERRUPTED ||
		r->report.verdict == RUN_ENDED_PARKED) {
		r->manifest = manifest_abandon(r->manifest); /* to be taken up again */
		return true;
	}
	submit(r, close_file, verdicts[r->report.verdict], url_of(r));
	return false;
}

/* --- to the destination, by its identity --- */

struct drop_work {
	struct pool_job job;
	char *dir, *path;
};

static void drop_note(struct pool_job *job)
{
	struct drop_work *w = CONTAINER_OF(job, struct drop_work, job);

	manifest_unsent_drop(w->dir, w->path);
}

static void on_dropped(struct pool_job *job)
{
	struct drop_work *w = CONTAINER_OF(job, struct drop_work, job);

	free(w->dir);
	free(w->path);
	free(w);
}

static void drop(const struct run *r, const char *path)
{
	struct drop_work *w = mem_alloc(sizeof(*w));

	*w = (struct drop_work){{.work = drop_note, .done = on_dropped},
		mem_strdup(r->env.manifest_dir), mem_strdup(path)};
	pool_submit(r->env.files, &w->job);
}

static void send_one(struct run *r, const struct manifest_unsent *u)
{
	_cleanup_free_ char *bucket = mem_printf(
		"s3://%s/", r->sides[RUN_DESTINATION].conf->bucket);

	if (str_has_prefix(u->url, bucket)) {
		run_item_send_file(run_item_new(r, u->path, u->url + strlen(bucket)),
			r->env.manifest_dir);
		return;
	}
	log_warning(LOG_FIELDS({"JOB", r->job->name}, {"RUN_ID", r->id}),
		"%s: the manifest %s did not get to %s: the job has another destination "
		"by now",
		r->job->name, u->path, u->url);
	drop(r, u->path);
}

static void tell_kept(const struct run *r)
{
	log_notice(LOG_FIELDS({"JOB", r->job->name}, {"RUN_ID", r->id}),
		"%s: the manifest of run %s goes to s3://%s with the next run",
		r->job->name, r->id, r->sides[RUN_DESTINATION].conf->bucket);
}

bool run_manifest_upload(struct run *r)
{
	if (r->must_stop || r->must_keep_manifests) {
		if (r->unsent_count)
			tell_kept(r);
		return true;
	}
	for (size_t i = 0; i < r->unsent_count && !r->has_sent_manifests; i++)
		send_one(r, &r->unsent[i]);
	r->has_sent_manifests = true;
	return !r->in_flight;
}

/* What a stop kept here goes with the next run's. */
void run_manifest_on_uploaded(struct run_item *i, const struct engine_result *result)
{
	const struct err *e = &result->err;
	bool is_put_off = e->class == ERR_CANCELLED;
	_cleanup_free_ char *why = NULL;

	if (e->class != ERR_OK) {
		why = mem_printf("%s%s%s: %s%s", e->operation, *e->operation ? " " : "",
			e->code, e->text, is_put_off ? "; the next run sends it" : "");
		tell_not_uploaded(i->run, i->keys[RUN_SOURCE], why);
	}
	if (!is_put_off)
		drop(i->run, i->keys[RUN_SOURCE]);
	run_item_free(i);
}

void run_manifest_flush(struct run *r)
{
	if (r->manifest)
		manifest_flush(r->manifest);
}

void run_manifest_drop(struct run *r)
{
	if (r->manifest_work)
		r->manifest_work->run = NULL;
	r->manifest_work = NULL;
	r->manifest = manifest_abandon(r->manifest);
	for (size_t i = 0; i < r->unsent_count; i++)
		manifest_unsent_done(&r->unsent[i]);
	r->unsent_count = 0;
}

/* --- rows --- */

void run_manifest_left(struct run *r, enum reason why, const struct lister_entry *e)
{
	if (r->manifest)
		manifest_left(
			r->manifest, why, e->key, e->size > 0 ? (uint64_t)e->size : 0);
}

/* Below its side, as the listings name it; a single key is told whole. */
static const char *below(const struct run *r, int side, const char *key)
{
	const char *prefix = r->sides[side].key;

	return !r->is_single && str_has_prefix(key, prefix) ? key + strlen(prefix) : key;
}

static void add(struct run *r, struct manifest_row *row, const struct err *e)
{
	_cleanup_free_ char *error = NULL;

	if (e && e->class != ERR_OK) {
		error = mem_printf("%s%s%s: %s", e->operation, e->operation[0] ? " " : "",
			e->code, e->text);
		row->bytes = 0;
	}
	row->error = error;
	row->at_us = wall_us(r);
	manifest_add(r->manifest, row);
}

void run_manifest_key(
	struct run *r, enum reason why, int side, const char *key, const struct err *e)
{
	struct manifest_row row = {.reason = why, .key = below(r, side, key)};

	if (r->manifest)
		add(r, &row, e);
}

static void take_entry(struct manifest_side *out, const struct lister_entry *e)
{
	if (e)
		*out = (struct manifest_side){e->etag, e->version, NULL};
}

static void take_result(struct manifest_row *row, const struct engine_result *x)
{
	row->duration_us = x->duration_us;
	if (x->source_etag[0])
		row->source.etag = x->source_etag;
	if (x->source_version[0])
		row->source.version = x->source_version;
	if (x->err.class != ERR_OK)
		return;
	row->bytes = x->bytes;
	if (x->is_source_proven)
		row->source.checksum = x->checksum;
	row->destination = (struct manifest_side){x->destination_etag,
		x->destination_version,
		x->proof != ENGINE_PROOF_CHECKSUM ? NULL
		: x->stored[0]                    ? x->stored
						  : x->checksum};
}

static struct manifest_row row_of(
	const struct run_item *i, enum reason why, const struct engine_result *result)
{
	struct run *r = i->run;
	bool is_delete = i->work == WORK_DELETE || i->work == WORK_TRASH;
	const char *to = below(r, RUN_DESTINATION, i->keys[RUN_DESTINATION]);
	struct manifest_row row = {.reason = why};

	row.key = is_delete ? to : below(r, RUN_SOURCE, i->keys[RUN_SOURCE]);
	if (!str_eq(row.key, to))
		row.destination_key = i->keys[RUN_DESTINATION];
	if (why == REASON_TRASHED)
		row.destination_key = i->trash_key;
	take_entry(&row.source, i->entries[RUN_SOURCE]);
	take_entry(&row.destination, i->entries[RUN_DESTINATION]);
	if (result)
		take_result(&row, result);
	return row;
}

void run_manifest_item(const struct run_item *i, enum reason why,
	const struct engine_result *result, const struct err *e)
{
	struct manifest_row row = row_of(i, why, result);

	if (i->run->manifest)
		add(i->run, &row, e);
}

void run_manifest_begin(const struct run_item *i, enum reason why)
{
	struct manifest_row row = row_of(i, why, i->result);

	if (!i->run->manifest)
		return;
	row.is_begun = true;
	add(i->run, &row, NULL);
	manifest_flush(i->run->manifest);
}
