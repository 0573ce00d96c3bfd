/*
 * Multipart uploads on disk: their intent noted before they are created, they themselves
 * before their first part, part by part, and forgotten when they are complete or gone. So
 * a run that was interrupted goes on where it was, and nothing of ours stays behind.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"
#include "engine/engine_set.h"

/* An intent is looked for again while a request of a killed daemon may be under way. */
#define YOUNG_US (60 * USEC_PER_SEC)

/* One that a run goes on with, or one that an earlier run left. */
struct core_upload {
	struct list link; /* in core_run.uploads or core_run.leftovers */
	uint64_t xfer;
	bool is_sweep; /* xfer only ends it, or looks for what the intent left */
	struct store_upload row;    /* upload_id "": only an intent ... */
	struct store_intent intent; /* ... which is this; seq 0: none */
};

static void forget(struct core_upload *u)
{
	list_remove(&u->link);
	free(u);
}

static int delete_rows(struct store *s, const struct core_upload *u)
{
	int r = u->intent.seq ? store_intent_delete(s, u->intent.seq) : 0;

	return r == 0 && u->row.upload_id[0] ? store_upload_delete(s, u->row.upload_id)
					     : r;
}

static void erase(struct core_run *cr, struct core_upload *u)
{
	int r = delete_rows(cr->core->store, u);

	if (r < 0)
		core_store_failed(cr->core, r, "upload");
	forget(u);
}

static struct core_upload *find(struct core_run *cr, uint64_t xfer)
{
	struct core_upload *u;

	LIST_FOREACH (u, &cr->uploads, link)
		if (u->xfer == xfer)
			return u;
	return NULL;
}

/* --- what earlier runs left --- */

/* Of another bucket: the job was edited, and this run has no key to it. */
static bool is_within_reach(const struct core_run *cr, const char *bucket)
{
	const struct conf_side *side = &run_job(cr->run)->destination;

	return side->scheme == CONF_S3 && strcmp(bucket, side->bucket) == 0;
}

static void add_leftover(void *arg, const struct store_upload *row)
{
	struct core_run *cr = arg;
	struct core_upload *u;

	if (!is_within_reach(cr, row->bucket))
		return;
	u = mem_alloc(sizeof(*u));
	u->row = *row;
	list_append(&cr->leftovers, &u->link);
}

static void add_intent(void *arg, const struct store_intent *intent)
{
	struct core_run *cr = arg;
	struct core_upload *u;

	if (!is_within_reach(cr, intent->bucket))
		return;
	u = mem_alloc(sizeof(*u));
	u->intent = *intent;
	snprintf(u->row.bucket, sizeof(u->row.bucket), "%s", intent->bucket);
	snprintf(u->row.key, sizeof(u->row.key), "%s", intent->key);
	list_append(&cr->leftovers, &u->link);
}

void core_uploads_load(struct core_run *cr)
{
	int r = store_upload_each(cr->core->store, cr->row.job, add_leftover, cr);

	if (r == 0)
		r = store_intent_each(cr->core->store, cr->row.job, add_intent, cr);
	if (r < 0)
		core_store_failed(cr->core, r, "uploads");
}

void core_uploads_drop(struct core_run *cr)
{
	while (!list_is_empty(&cr->uploads))
		forget(LIST_FIRST(&cr->uploads, struct core_upload, link));
	while (!list_is_empty(&cr->leftovers))
		forget(LIST_FIRST(&cr->leftovers, struct core_upload, link));
}

struct part_list {
	struct engine_part *items;
	size_t count, room;
};

static void add_part(void *arg, const struct store_part *part)
{
	struct part_list *l = arg;
	struct engine_part *p;

	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->items = mem_resize(l->items, l->room, sizeof(*l->items));
	}
	p = &l->items[l->count++];
	p->number = part->number;
	p->crc = part->crc;
	snprintf(p->etag, sizeof(p->etag), "%s", part->etag);
}

static struct engine_upload *take_over(
	struct core_run *cr, struct core_upload *u, uint64_t xfer)
{
	struct part_list parts = {0};
	struct engine_upload *ret;
	int r = store_part_each(cr->core->store, u->row.upload_id, add_part, &parts);

	if (r < 0)
		core_store_failed(cr->core, r, "parts");
	ret = mem_alloc(sizeof(*ret) + parts.count * sizeof(*parts.items));
	snprintf(ret->upload_id, sizeof(ret->upload_id), "%s", u->row.upload_id);
	snprintf(ret->source_etag, sizeof(ret->source_etag), "%s", u->row.source_etag);
	snprintf(ret->initiator, sizeof(ret->initiator), "%s", u->intent.initiator);
	ret->intended_us = u->intent.intended_us;
	ret->until_us = u->intent.until_us;
	ret->size = u->row.size > 0 ? u->row.size : 1; /* else it is only to be aborted */
	ret->part_size = u->row.part_size;
	ret->checksum = (enum checksum_alg)u->row.checksum;
	ret->count = parts.count;
	if (parts.count)
		memcpy(ret->parts, parts.items, parts.count * sizeof(*parts.items));
	free(parts.items);
	u->xfer = xfer;
	list_remove(&u->link);
	list_append(&cr->uploads, &u->link);
	return ret;
}

struct engine_upload *core_uploads_resume(void *arg, uint64_t xfer, const char *key)
{
	struct core_run *cr = arg;
	struct core_upload *u;

	LIST_FOREACH (u, &cr->leftovers, link)
		if (u->row.size > 0 && strcmp(u->row.key, key) == 0)
			return take_over(cr, u, xfer);
	return NULL;
}

struct engine_upload *core_uploads_leftover(void *arg, uint64_t xfer, char *ret_key)
{
	struct core_run *cr = arg;
	struct core_upload *u = LIST_FIRST(&cr->leftovers, struct core_upload, link);

	if (!u)
		return NULL;
	snprintf(ret_key, ENGINE_KEY_LEN, "%s", u->row.key);
	u->is_sweep = true;
	return take_over(cr, u, xfer);
}

/* Where keys are made up from the date, all that begins as they do. */
static void note_loss(struct core *c, const struct conf_job *job)
{
	struct store_intent i = {.until_us = clock_wall_us(c->clock)};
	const struct conf_side *side = &job->destination;
	const char *template = strstr(side->key, "${");
	int r;

	if (side->scheme != CONF_S3)
		return;
	snprintf(i.job, sizeof(i.job), "%s", job->name);
	snprintf(i.bucket, sizeof(i.bucket), "%s", side->bucket);
	snprintf(i.key, sizeof(i.key), "%.*s",
		(int)(template ? (size_t)(template - side->key) : strlen(side->key)),
		side->key);
	r = store_intent_put(c->store, &i);
	if (r < 0)
		core_store_failed(c, r, "upload");
}

void core_uploads_lost(struct core *c)
{
	for (size_t i = 0; i < c->conf->job_count; i++)
		note_loss(c, c->conf->jobs[i]);
}

/* --- what this run does --- */

static void name_it(struct core_run *cr, struct core_upload *u)
{
	u->row.started_at = core_now_s(cr->core);
	snprintf(u->row.job, sizeof(u->row.job), "%s", cr->row.job);
	snprintf(u->row.bucket, sizeof(u->row.bucket), "%s",
		run_job(cr->run)->destination.bucket);
	run_get_key(cr->run, u->xfer, 0, u->row.source_key);
	run_get_key(cr->run, u->xfer, 1, u->row.key);
}

/* Written: the engine may go on. */
static void answer(struct core_run *cr, uint64_t xfer, int r)
{
	struct engine_cmd cmd = {.type = ENGINE_CMD_NOTED, .id = xfer};

	if (r < 0)
		core_store_failed(cr->core, r, "upload");
	else
		engine_set_send(cr->core->engines, &cmd);
}

/* The sweep at the end of this run looks for what it may have left. */
static void leave(struct core_run *cr, struct core_upload *u)
{
	list_remove(&u->link);
	list_append(&cr->leftovers, &u->link);
}

static void note_intent(struct core_run *cr, const struct engine_ev *ev)
{
	struct core_upload *u = find(cr, ev->id);
	struct store_intent *i;

	if (u) /* of a create whose answer was lost */
		leave(cr, u);
	u = mem_alloc(sizeof(*u));
	u->xfer = ev->id;
	list_append(&cr->uploads, &u->link);
	name_it(cr, u);
	i = &u->intent;
	snprintf(i->job, sizeof(i->job), "%s", u->row.job);
	snprintf(i->run_id, sizeof(i->run_id), "%s", cr->row.id);
	snprintf(i->bucket, sizeof(i->bucket), "%s", u->row.bucket);
	snprintf(i->key, sizeof(i->key), "%s", u->row.key);
	snprintf(i->initiator, sizeof(i->initiator), "%s", ev->upload->initiator);
	i->intended_us = ev->upload->intended_us;
	answer(cr, ev->id, store_intent_put(cr->core->store, i));
}

/* In the place of its intent, both or neither. */
static int write_upload(struct store *s, struct core_upload *u)
{
	int r = store_begin(s);

	if (r < 0)
		return r;
	r = store_intent_delete(s, u->intent.seq);
	if (r == 0)
		r = store_upload_put(s, &u->row);
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	u->intent.seq = 0;
	return store_commit(s);
}

/* A server that gives one id twice would have us complete, or abort, another's parts. */
static void refuse(struct core_run *cr, uint64_t xfer)
{
	struct engine_cmd cmd = {.type = ENGINE_CMD_TAKEN, .id = xfer};

	engine_set_send(cr->core->engines, &cmd);
}

static void note(struct core_run *cr, const struct engine_ev *ev)
{
	struct core_upload *u = find(cr, ev->id);
	const struct engine_upload *e = ev->upload;

	if (!u)
		return;
	/* It may be told again: of the same upload, cut anew. */
	if (strcmp(u->row.upload_id, e->upload_id) != 0 &&
		store_upload_is_known(cr->core->store, e->upload_id) == 1) {
		refuse(cr, ev->id);
		return;
	}
	u->row.size = e->size;
	u->row.part_size = e->part_size;
	u->row.checksum = (int)e->checksum;
	snprintf(u->row.upload_id, sizeof(u->row.upload_id), "%s", e->upload_id);
	snprintf(u->row.source_etag, sizeof(u->row.source_etag), "%s", e->source_etag);
	answer(cr, ev->id, write_upload(cr->core->store, u));
}

static void note_part(struct core_run *cr, const struct engine_ev *ev)
{
	struct core_upload *u = find(cr, ev->id);
	struct store_part part = {.number = ev->part.number, .crc = ev->part.crc};
	int r;

	if (!u)
		return;
	snprintf(part.etag, sizeof(part.etag), "%s", ev->part.etag);
	r = store_part_put(cr->core->store, u->row.upload_id, &part);
	if (r < 0)
		core_store_failed(cr->core, r, "part");
}

/* --- what intents left --- */

/* Another job may be creating an upload of this very key, and not know its id yet. */
static bool is_being_created(struct core *c, const struct store_upload *orphan)
{
	struct core_upload *u;
	struct core_run *cr;

	LIST_FOREACH (cr, &c->active, link)
		LIST_FOREACH (u, &cr->uploads, link)
			if (!u->is_sweep && !u->row.upload_id[0] &&
				strcmp(u->row.key, orphan->key) == 0 &&
				strcmp(u->row.bucket, orphan->bucket) == 0)
				return true;
	return false;
}

/* On disk like any other upload: from now on it is ended like one. */
static void adopt(struct core_run *cr, struct core_upload *intent,
	const struct engine_upload *found)
{
	const char *upload_id = found->upload_id;
	struct core *c = cr->core;
	int r = store_upload_is_known(c->store, upload_id);
	struct core_upload *u = mem_alloc(sizeof(*u));

	u->row = intent->row;
	if (found->key[0])
		snprintf(u->row.key, sizeof(u->row.key), "%s", found->key);
	if (r || is_being_created(c, &u->row)) {
		free(u);
	} else {
		u->row.size = -1;
		u->row.part_size = 1;
		u->row.started_at = core_now_s(c);
		snprintf(u->row.job, sizeof(u->row.job), "%s", cr->row.job);
		snprintf(u->row.upload_id, sizeof(u->row.upload_id), "%s", upload_id);
		list_append(&cr->leftovers, &u->link);
		r = store_upload_put(c->store, &u->row);
	}
	if (r < 0)
		core_store_failed(c, r, "upload");
}

static void end_search(
	struct core_run *cr, struct core_upload *u, const struct engine_result *result)
{
	int64_t age_us = clock_wall_us(cr->core->clock) - u->intent.intended_us;
	bool is_refused = result->err.class != ERR_OK &&
			  !err_is_transient(&result->err) &&
			  result->err.class != ERR_AUTH &&
			  result->err.class != ERR_CANCELLED;

	if (is_refused)
		log_warning(LOG_FIELDS({"JOB", cr->row.job}, {"RUN_ID", cr->row.id},
				    {"KEY", u->row.key}, {"AWS_CODE", result->err.code}),
			"%s: an interrupted run may have left a multipart upload of %s; "
			"the "
			"destination's role may not look for it (%s): it needs "
			"s3:ListBucketMultipartUploads, or the bucket a lifecycle rule",
			cr->row.job, u->row.key, result->err.code);
	if (u->intent.until_us && result->orphans)
		log_notice(LOG_FIELDS({"JOB", cr->row.job}, {"RUN_ID", cr->row.id}),
			"%s: %d multipart uploads of which the damaged state knew were "
			"found and are aborted",
			cr->row.job, result->orphans);
	if (is_refused || (result->err.class == ERR_OK &&
				  (result->orphans || age_us > YOUNG_US || age_us < 0)))
		erase(cr, u);
	else
		forget(u);
}

static void end_xfer(
	struct core_run *cr, struct core_upload *u, const struct engine_result *result)
{
	if (u->is_sweep && !u->row.upload_id[0])
		end_search(cr, u, result);
	else if (!u->row.upload_id[0] &&
		 (result->is_create_lost || result->has_upload_left))
		leave(cr, u);
	else if (result->has_upload_left)
		forget(u);
	else
		erase(cr, u);
}

static void restart(struct core_run *cr, struct core_upload *u, bool is_left)
{
	if (!is_left) {
		erase(cr, u);
		return;
	}
	u->row.size = -1; /* its transfer begins another */
	if (store_upload_put(cr->core->store, &u->row) == 0)
		leave(cr, u);
}

void core_uploads_on_engine(struct core_run *cr, const struct engine_ev *ev)
{
	struct core_upload *u = find(cr, ev->id);

	if (ev->type == ENGINE_EV_INTENT)
		note_intent(cr, ev);
	else if (ev->type == ENGINE_EV_UPLOAD)
		note(cr, ev);
	else if (ev->type == ENGINE_EV_PART)
		note_part(cr, ev);
	else if (u && ev->type == ENGINE_EV_ORPHAN)
		adopt(cr, u, ev->upload);
	else if (u && ev->type == ENGINE_EV_RESTART)
		restart(cr, u, ev->is_left);
	else if (u && ev->type == ENGINE_EV_DONE)
		end_xfer(cr, u, ev->result);
}
