/*
 * The record of what was delivered: written in batches, read in the order of the
 * listings. It makes comparing surer and is needed for nothing else.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/loop.h"
#include "run/run_impl.h"
#include "store/store.h"

#define ROWS      64  /* read at once */
#define CHANGES   256 /* the most that wait to be written */
#define COMMIT_MS 100

struct change {
	bool is_gone;
	struct store_delivered row;
};

struct run_record {
	struct run *run;
	struct store_place place;
	struct loop_timer *timer;
	struct change *changes; /* NULL: none yet, and so with rows */
	size_t change_count;
	bool is_full, is_read; /* is_read: rows hold what follows after the last look */
	struct store_delivered *rows;
	size_t row_count, next_row;
	char asked[ENGINE_KEY_LEN]; /* the last look: the rows before next_row are below
				       it */
	struct compare_delivered found;
	bool has_found;
	/* of run_record_decide() */
	struct lister_entry left;
};

static void on_commit_due(void *arg)
{
	struct run *r = arg;

	run_record_flush(r);
	run_go_on(r);
}

struct run_record *run_record_new(struct run *r)
{
	struct run_record *rec = mem_alloc(sizeof(*rec));
	const struct run_side *to = &r->sides[RUN_DESTINATION];
	_cleanup_free_ char *place = mem_printf("s3://%s/%s", to->conf->bucket, to->key);
	int e = store_place_open(r->env.store, r->job->name, place, &rec->place);

	rec->run = r;
	rec->timer = loop_timer_new(r->env.loop, on_commit_due, r);
	if (e < 0)
		r->ops.store_failed(r->ops.arg, e);
	return rec;
}

void *run_record_free(struct run_record *rec)
{
	if (!rec)
		return NULL;
	loop_timer_free(rec->timer);
	free(rec->changes);
	free(rec->rows);
	free(rec);
	return NULL;
}

/* --- reading --- */

static void add_row(void *arg, const struct store_delivered *d)
{
	struct run_record *rec = arg;

	if (!rec->rows)
		rec->rows = mem_array(ROWS, sizeof(*rec->rows));
	rec->rows[rec->row_count++] = *d;
}

static void read_from(struct run_record *rec, const char *key)
{
	struct run *r = rec->run;
	int e;

	rec->row_count = rec->next_row = 0;
	e = store_delivered_scan(r->env.store, &rec->place, key, ROWS, add_row, rec);
	rec->is_read = true;
	if (e < 0)
		r->ops.store_failed(r->ops.arg, e);
}

static bool is_behind(const struct run_record *rec, const char *key)
{
	return rec->row_count == ROWS &&
	       strcmp(rec->rows[rec->row_count - 1].key, key) < 0;
}

/* The first row at or after key, or NULL. Cheap when keys ascend, as renamed may not. */
static const struct store_delivered *seek(struct run_record *rec, const char *key)
{
	if (!rec->is_read || is_behind(rec, key) || strcmp(key, rec->asked) < 0)
		read_from(rec, key);
	str_copy(rec->asked, sizeof(rec->asked), key);
	while (rec->next_row < rec->row_count &&
		strcmp(rec->rows[rec->next_row].key, key) < 0)
		rec->next_row++;
	return rec->next_row < rec->row_count ? &rec->rows[rec->next_row] : NULL;
}

static const struct compare_delivered *find(struct run_record *rec, const char *key)
{
	const struct store_delivered *d = seek(rec, key);

	if (!d || strcmp(d->key, key) != 0)
		return NULL;
	rec->found = (struct compare_delivered){
		{d->source_etag, d->source_version, d->modified_us},
		{d->destination_etag, d->destination_version, -1}};
	return &rec->found;
}

const struct compare_delivered *run_record_find(void *run, const char *key, size_t len)
{
	struct run *r = run;
	char whole[ENGINE_KEY_LEN];
	int n = snprintf(whole, sizeof(whole), "%s%.*s", r->sides[RUN_DESTINATION].key,
		(int)len, key);

	return n < (int)sizeof(whole) ? find(r->record, whole) : NULL;
}

const struct compare_delivered *run_record_of(struct run *r, const char *destination_key)
{
	return r->record ? find(r->record, destination_key) : NULL;
}

const struct compare_delivered *run_record_find_single(
	void *run, const char *key, size_t len)
{
	struct run *r = run;
	char to[ENGINE_KEY_LEN];

	(void)key;
	(void)len;
	return run_destination_key(r, r->sides[RUN_SOURCE].key, to, sizeof(to)) < 0
		       ? NULL
		       : run_record_of(r, to);
}

static const struct compare_delivered *get_found(void *arg, const char *key, size_t len)
{
	struct run_record *rec = arg;

	(void)key;
	(void)len;
	return rec->has_found ? &rec->found : NULL;
}

/*
 * A key that gets another name: the destination is not listed, so what was recorded of it
 * stands for what it has. Not for a move: its receiver may have taken the object away by
 * now, and the source would lose the only copy.
 */
void run_record_decide(
	struct run *r, const struct lister_entry *source, struct plan_step *ret)
{
	struct run_record *rec = r->record;
	const struct compare_delivered *d = NULL;
	struct plan plan = r->plan;
	_cleanup_free_ char *from = mem_printf(
		"%s%s", r->sides[RUN_SOURCE].key, source->key);
	char to[ENGINE_KEY_LEN];

	if (run_destination_key(r, from, to, sizeof(to)) < 0)
		*to = '\0'; /* too long: whoever copies it says so */
	if (*to && r->job->action != CONF_MOVE)
		d = find(rec, to);
	rec->has_found = d;
	plan.delivered = get_found;
	plan.arg = rec;
	/* Size and time are the source's own here, and would agree with themselves. */
	if (plan.compare == COMPARE_SIZE || plan.compare == COMPARE_MTIME)
		plan.compare = COMPARE_AUTO;
	rec->left = *source;
	if (d) {
		rec->left.etag = d->destination.etag;
		rec->left.version = d->destination.version;
	}
	plan_decide(&plan, source, d ? &rec->left : NULL, ret);
	if (*to && ret->action != PLAN_SKIP && !key_set_add(&r->renamed, to)) {
		ret->action = PLAN_SKIP;
		ret->reason = REASON_COLLISION;
	}
}

/* --- writing --- */

static struct store_delivered *add_change(struct run *r, bool is_gone, const char *key)
{
	struct run_record *rec = r->record;
	struct change *c;

	if (!rec->changes)
		rec->changes = mem_array(CHANGES, sizeof(*rec->changes));
	if (rec->change_count == CHANGES)
		run_record_flush(r);
	c = &rec->changes[rec->change_count++];
	*c = (struct change){.is_gone = is_gone};
	str_copy(c->row.key, sizeof(c->row.key), key);
	if (!loop_timer_is_set(rec->timer))
		loop_timer_set(rec->timer, COMMIT_MS);
	return &c->row;
}

void run_record_put(
	struct run *r, const struct run_item *i, const struct engine_result *e)
{
	const struct lister_entry *s = i->entries[RUN_SOURCE];
	struct store_delivered *row = add_change(r, false, i->keys[RUN_DESTINATION]);
	const char *etag = e->source_etag[0] || !s ? e->source_etag : s->etag;
	const char *version = e->source_version[0] || !s ? e->source_version : s->version;

	str_copy(row->source_etag, sizeof(row->source_etag), etag);
	str_copy(row->source_version, sizeof(row->source_version), version);
	str_copy(row->destination_etag, sizeof(row->destination_etag),
		e->destination_etag);
	str_copy(row->destination_version, sizeof(row->destination_version),
		e->destination_version);
	row->modified_us = s ? s->modified_us : -1;
}

void run_record_drop(struct run *r, const char *destination_key)
{
	add_change(r, true, destination_key);
}

static int write_all(struct run_record *rec)
{
	struct store *s = rec->run->env.store;
	int e = store_begin(s);

	if (e < 0)
		return e;
	for (size_t i = 0; e == 0 && i < rec->change_count; i++) {
		const struct change *c = &rec->changes[i];

		if (c->is_gone)
			e = store_delivered_delete(s, &rec->place, c->row.key);
		else
			e = store_delivered_put(s, &rec->place, &c->row);
		if (e == -EDQUOT) {
			rec->is_full = true;
			e = 0;
		}
	}
	if (e == 0)
		return store_commit(s);
	store_rollback(s);
	return e;
}

void run_record_flush(struct run *r)
{
	struct run_record *rec = r->record;
	bool was_full = rec && rec->is_full;
	int e;

	if (!rec)
		return;
	loop_timer_cancel(rec->timer);
	if (!rec->change_count)
		return;
	run_manifest_flush(r); /* what is recorded has its row, whoever kills us */
	e = write_all(rec);
	rec->change_count = 0;
	if (e < 0) {
		r->ops.store_failed(r->ops.arg, e);
		return;
	}
	if (rec->is_full && !was_full)
		log_notice(LOG_FIELDS({"JOB", r->job->name}, {"RUN_ID", r->id}),
			"%s: the record of delivered keys is full (%d): further keys are "
			"compared by what both sides tell",
			r->job->name, STORE_DELIVERED_MAX);
	run_steps_on_recorded(r);
}
