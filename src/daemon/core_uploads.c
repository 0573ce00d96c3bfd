/*
 * Multipart uploads on disk: noted before their first part, part by part, and forgotten
 * when they are complete or gone, so that a run that was interrupted goes on where it was.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"
#include "engine/engine_set.h"

/* One that a run goes on with, or one that an earlier run left. */
struct core_upload {
	struct list link; /* in core_run.uploads or core_run.leftovers */
	uint64_t xfer;
	struct store_upload row;
};

static void forget(struct core_upload *u)
{
	list_remove(&u->link);
	free(u);
}

static void erase(struct core_run *cr, struct core_upload *u)
{
	int r = store_upload_delete(cr->core->store, u->row.upload_id);

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

static void add_leftover(void *arg, const struct store_upload *row)
{
	struct core_run *cr = arg;
	const struct conf_side *side = &run_job(cr->run)->destination;
	struct core_upload *u;

	/* Of another bucket: the job was edited, and this run has no key to it. */
	if (side->scheme != CONF_S3 || strcmp(row->bucket, side->bucket) != 0)
		return;
	u = mem_alloc(sizeof(*u));
	u->row = *row;
	list_append(&cr->leftovers, &u->link);
}

void core_uploads_load(struct core_run *cr)
{
	int r = store_upload_each(cr->core->store, cr->row.job, add_leftover, cr);

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
	ret->size = u->row.size;
	ret->part_size = u->row.part_size;
	ret->has_checksum = u->row.has_checksum;
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
		if (strcmp(u->row.key, key) == 0)
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
	return take_over(cr, u, xfer);
}

/* --- what this run does --- */

static void note(struct core_run *cr, const struct engine_ev *ev)
{
	struct core *c = cr->core;
	struct core_upload *u = mem_alloc(sizeof(*u));
	const struct engine_upload *e = ev->upload;
	struct engine_cmd cmd = {.type = ENGINE_CMD_NOTED, .id = ev->id};
	int r;

	u->xfer = ev->id;
	list_append(&cr->uploads, &u->link);
	u->row.size = e->size;
	u->row.part_size = e->part_size;
	u->row.has_checksum = e->has_checksum;
	u->row.started_at = core_now_s(c);
	snprintf(u->row.job, sizeof(u->row.job), "%s", cr->row.job);
	snprintf(u->row.bucket, sizeof(u->row.bucket), "%s",
		run_job(cr->run)->destination.bucket);
	snprintf(u->row.upload_id, sizeof(u->row.upload_id), "%s", e->upload_id);
	snprintf(u->row.source_etag, sizeof(u->row.source_etag), "%s", e->source_etag);
	run_get_key(cr->run, ev->id, 0, u->row.source_key);
	run_get_key(cr->run, ev->id, 1, u->row.key);
	r = store_upload_put(c->store, &u->row);
	if (r < 0)
		core_store_failed(c, r, "upload");
	else
		engine_set_send(c->engines, &cmd);
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

void core_uploads_on_engine(struct core_run *cr, const struct engine_ev *ev)
{
	struct core_upload *u = find(cr, ev->id);

	if (ev->type == ENGINE_EV_UPLOAD)
		note(cr, ev);
	else if (ev->type == ENGINE_EV_PART)
		note_part(cr, ev);
	else if (u && ev->type == ENGINE_EV_RESTART)
		erase(cr, u);
	else if (u && ev->type == ENGINE_EV_DONE && ev->result->has_upload_left)
		forget(u);
	else if (u && ev->type == ENGINE_EV_DONE)
		erase(cr, u);
}
