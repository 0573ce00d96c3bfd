/* The objects of a run: the page at work, destination keys, the window of transfers. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/skew.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "engine/engine_set.h"
#include "run/run_fidelity.h"
#include "run/run_impl.h"

void run_objects_clear(struct run *r)
{
	for (size_t i = 0; i < r->object_count; i++) {
		free(r->objects[i].key);
		free(r->objects[i].etag);
	}
	free(r->objects);
	r->objects = NULL;
	r->object_count = r->next_object = 0;
}

void run_objects_single(struct run *r)
{
	run_objects_clear(r);
	r->objects = mem_array(1, sizeof(*r->objects));
	r->objects[0].key = mem_strdup(r->sides[RUN_SOURCE].conf->key);
	r->objects[0].size = -1;
	r->object_count = 1;
	r->objects_total = 1;
	r->is_last_page = true;
}

void run_objects_take_page(struct run *r, const struct s3_page *page)
{
	const char *next = s3_page_text(page, page->token_at);
	char *token = page->is_truncated ? mem_strdup(next) : NULL;

	run_objects_clear(r);
	r->objects = mem_array(page->count, sizeof(*r->objects));
	for (size_t i = 0; i < page->count; i++) {
		const struct s3_entry *e = &page->entries[i];
		const char *key = s3_page_text(page, e->key_at);

		/* A "folder" made by a console: nothing to carry. */
		if (e->size == 0 && str_has_suffix(key, "/"))
			continue;
		r->objects[r->object_count++] = (struct run_object){
			mem_strdup(key), mem_strdup(s3_page_text(page, e->etag_at)), e->size};
		r->bytes_total = (r->bytes_total < 0 ? 0 : r->bytes_total) + e->size;
	}
	r->objects_total += r->object_count;
	free(r->token);
	r->token = token;
	r->is_last_page = !token;
}

int run_destination_key(const struct run *r, const char *source_key, char *out, size_t size)
{
	const struct conf_side *source = r->sides[RUN_SOURCE].conf;
	const struct conf_side *destination = r->sides[RUN_DESTINATION].conf;
	const char *tail = "", *slash;
	int n;

	if (source->is_prefix) {
		tail = source_key + strlen(source->key);
	} else if (destination->is_prefix) {
		slash = strrchr(source_key, '/');
		tail = slash ? slash + 1 : source_key;
	}
	n = snprintf(out, size, "%s%s", destination->key, tail);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static void fill_side(const struct run *r, struct engine_side *out,
	const struct run_side *side, const char *key)
{
	struct skew *skew = skews_of(r->env.skews, side->place.endpoint_url);

	*out = side->place;
	out->skew_us = skew ? skew->us : 0;
	snprintf(out->key, sizeof(out->key), "%s", key);
	out->creds_id = side->creds_id;
	snprintf(out->expected_owner, sizeof(out->expected_owner), "%s",
		side->conf->expected_owner ? side->conf->expected_owner : "");
	out->is_requester_paying = side->conf->is_requester_paying;
	if (side->conf->scheme == CONF_S3) {
		snprintf(out->bucket, sizeof(out->bucket), "%s", side->conf->bucket);
		return;
	}
	out->scheme = ENGINE_FILE;
	snprintf(out->root, sizeof(out->root), "%s", side->conf->bucket);
	out->mode = side->conf->mode;
	out->gid = side->conf->gid;
}

/* Ids of one run grow by one, so id % RUN_WINDOW finds its slot when it is free. */
static struct engine_xfer_spec *new_spec(
	struct run *r, const char *source_key, const char *destination_key)
{
	const struct conf_retry *retry = &r->job->retry;
	struct engine_xfer_spec *x = mem_alloc(sizeof(*x));

	do
		x->id = ++r->next_id;
	while (r->ids[x->id % RUN_WINDOW]);
	x->tag = r->serial;
	fill_side(r, &x->source, &r->sides[RUN_SOURCE], source_key);
	fill_side(r, &x->destination, &r->sides[RUN_DESTINATION], destination_key);
	run_fidelity_fill(r->job, &x->fidelity);
	/* Not a HEAD of each object of a prefix. */
	if (r->sides[RUN_SOURCE].conf->is_prefix &&
		x->fidelity.overwrite == ENGINE_OVERWRITE_CHANGED)
		x->fidelity.overwrite = ENGINE_OVERWRITE_ALWAYS;
	x->source_size = -1;
	x->part_bytes = r->job->limits.part_bytes;
	x->parts_at_once = (int)r->job->limits.parts;
	x->max_attempts = (int)retry->attempts;
	x->backoff_ms = retry->backoff_s * 1000;
	x->max_backoff_ms = retry->max_backoff_s * 1000;
	x->backoff_factor = retry->factor;
	return x;
}

static void send(struct run *r, struct engine_xfer_spec *x, size_t object)
{
	struct engine_cmd cmd = {ENGINE_CMD_XFER, .id = x->id, .xfer = x};

	r->ids[x->id % RUN_WINDOW] = x->id;
	r->slot_object[x->id % RUN_WINDOW] = object;
	r->in_flight++;
	engine_set_send(r->env.engines, &cmd);
}

static void dispatch_one(struct run *r, const struct run_object *o, const char *key)
{
	struct engine_xfer_spec *x = new_spec(r, o->key, key);

	snprintf(x->source_etag, sizeof(x->source_etag), "%s", o->etag ? o->etag : "");
	x->source_size = o->size;
	x->resume = r->ops.resume(r->ops.arg, x->id, key);
	send(r, x, (size_t)(o - r->objects));
}

bool run_objects_sweep(struct run *r)
{
	char key[ENGINE_KEY_LEN] = "";

	while (!r->must_stop && r->in_flight < RUN_WINDOW) {
		struct engine_xfer_spec *x = new_spec(r, "", "");

		x->resume = r->ops.leftover(r->ops.arg, x->id, key);
		if (!x->resume) {
			free(x);
			break;
		}
		snprintf(x->destination.key, sizeof(x->destination.key), "%s", key);
		x->is_abort = true;
		send(r, x, RUN_NO_OBJECT);
	}
	return r->in_flight > 0;
}

void run_objects_dispatch(struct run *r)
{
	char key[ENGINE_KEY_LEN];
	struct err e;

	while (!r->must_stop && r->in_flight < (size_t)r->job->limits.objects &&
		r->next_object < r->object_count) {
		const struct run_object *o = &r->objects[r->next_object++];

		if (run_destination_key(r, o->key, key, sizeof(key)) == 0) {
			dispatch_one(r, o, key);
			continue;
		}
		r->report.objects_failed++;
		err_set(&e, ERR_CONFIG, ERR_FROM_LOCAL, "key-too-long",
			"the destination key would be longer than 1,024 bytes");
		if (r->report.err.class == ERR_OK)
			run_explain(r, RUN_DESTINATION, o->key, &e);
	}
}

void run_objects_cancel(struct run *r)
{
	for (size_t i = 0; i < RUN_WINDOW; i++) {
		struct engine_cmd cmd = {ENGINE_CMD_CANCEL, .id = r->ids[i],
			.keeps_upload = r->report.verdict == RUN_ENDED_INTERRUPTED};

		if (r->ids[i])
			engine_set_send(r->env.engines, &cmd);
	}
}

void run_object_key(const struct run *r, uint64_t id, int side, char out[ENGINE_KEY_LEN])
{
	size_t at = r->slot_object[id % RUN_WINDOW];
	const char *key = at < r->object_count ? r->objects[at].key : "";

	if (side == RUN_SOURCE || run_destination_key(r, key, out, ENGINE_KEY_LEN) < 0)
		snprintf(out, ENGINE_KEY_LEN, "%s", key);
}

uint64_t run_bytes_in_flight(const struct run *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < RUN_WINDOW; i++)
		sum += r->id_bytes[i];
	return sum;
}
