/* The window: objects that are worked on, and what the engines are told of each. */
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

/* --- items --- */

struct lister_entry *run_entry_copy(const struct lister_entry *e)
{
	size_t etag = strlen(e->etag) + 1, version = strlen(e->version) + 1;
	size_t class = strlen(e->storage_class) + 1;
	struct lister_entry *ret =
		mem_alloc(sizeof(*ret) + e->key_len + 1 + etag + version + class);
	char *at = (char *)(ret + 1);

	*ret = *e;
	ret->key = memcpy(at, e->key, e->key_len);
	at += e->key_len + 1;
	ret->etag = memcpy(at, e->etag, etag);
	at += etag;
	ret->version = memcpy(at, e->version, version);
	at += version;
	ret->storage_class = memcpy(at, e->storage_class, class);
	return ret;
}

/* Ids of one run grow by one, so id % RUN_WINDOW finds its slot when it is free. */
static struct run_item *take_slot(struct run *r)
{
	struct run_item *i;

	do
		r->next_id++;
	while (r->items[r->next_id % RUN_WINDOW].id);
	i = &r->items[r->next_id % RUN_WINDOW];
	*i = (struct run_item){.run = r, .id = r->next_id};
	r->in_flight++;
	return i;
}

struct run_item *run_item_new(struct run *r, const char *source_key, const char *key)
{
	struct run_item *i = take_slot(r);

	i->keys[RUN_SOURCE] = mem_strdup(source_key);
	i->keys[RUN_DESTINATION] = mem_strdup(key);
	return i;
}

void run_item_free(struct run_item *i)
{
	if (!i->id)
		return;
	i->run->in_flight--;
	for (int k = 0; k < RUN_SIDES; k++) {
		free(i->keys[k]);
		free(i->entries[k]);
	}
	free(i->trash_key);
	free(i->delivered);
	free(i->result);
	run_ask_free(i->ask);
	*i = (struct run_item){0};
}

struct run_item *run_item_find(struct run *r, uint64_t id)
{
	struct run_item *i = &r->items[id % RUN_WINDOW];

	return id && i->id == id ? i : NULL;
}

void run_objects_clear(struct run *r)
{
	for (size_t k = 0; k < RUN_WINDOW; k++)
		run_item_free(&r->items[k]);
}

bool run_has_room(const struct run *r)
{
	return r->in_flight < (size_t)r->job->limits.objects;
}

/* --- what the engines are told --- */

struct s3_place run_side_place(const struct run_side *side)
{
	return (struct s3_place){
		.bucket = side->conf->bucket,
		.region = side->place.region,
		.endpoint_url = side->place.endpoint_url,
		.ca_bundle = side->place.ca_bundle,
		.options = side->place.options,
		.expected_owner = side->conf->expected_owner,
		.is_requester_paying = side->conf->is_requester_paying,
	};
}

char *run_side_url(const struct run_side *side)
{
	return mem_printf("%s%s/%s", side->conf->scheme == CONF_FILE ? "file://" : "s3://",
		side->conf->bucket, side->key);
}

static void fill_side(const struct run *r, struct engine_side *out,
	const struct run_side *side, const char *key)
{
	struct skew *skew = skews_of(r->env.skews, side->place.endpoint_url);

	*out = side->place;
	out->skew_us = skew ? skew->us : 0;
	str_copy(out->key, sizeof(out->key), key);
	out->creds_id = side->creds_id;
	str_copy(out->expected_owner, sizeof(out->expected_owner),
		side->conf->expected_owner ? side->conf->expected_owner : "");
	out->is_requester_paying = side->conf->is_requester_paying;
	if (side->conf->scheme == CONF_S3) {
		str_copy(out->bucket, sizeof(out->bucket), side->conf->bucket);
		return;
	}
	out->scheme = ENGINE_FILE;
	str_copy(out->root, sizeof(out->root), side->conf->bucket);
	out->mode = side->conf->mode;
	out->gid = side->conf->gid;
}

static struct engine_xfer_spec *new_spec(struct run_item *i)
{
	static const int weights[] = {
		[CONF_LOW] = 1, [CONF_NORMAL] = 3, [CONF_HIGH] = 9};
	struct run *r = i->run;
	const struct conf_retry *retry = &r->job->retry;
	struct engine_xfer_spec *x = mem_alloc(sizeof(*x));

	x->id = i->id;
	x->tag = r->serial;
	fill_side(r, &x->source, &r->sides[RUN_SOURCE], i->keys[RUN_SOURCE]);
	fill_side(r, &x->destination, &r->sides[RUN_DESTINATION], i->keys[RUN_DESTINATION]);
	run_fidelity_fill(r->job, &x->fidelity);
	/* Not a HEAD of each object of a prefix: the listings were compared. */
	if (!r->is_single && x->fidelity.overwrite == ENGINE_OVERWRITE_CHANGED)
		x->fidelity.overwrite = ENGINE_OVERWRITE_ALWAYS;
	x->source_size = -1;
	x->wants_time = r->is_single && r->job->expect.newer_than_s;
	x->is_source_to_go = r->job->action == CONF_MOVE;
	x->weight = weights[r->job->priority];
	x->part_bytes = r->job->limits.part_bytes;
	x->parts_at_once = (int)r->job->limits.parts;
	x->max_attempts = (int)retry->attempts;
	x->backoff_ms = retry->backoff_s * 1000;
	x->max_backoff_ms = retry->max_backoff_s * 1000;
	x->backoff_factor = retry->factor;
	return x;
}

static void pin(struct engine_xfer_spec *x, const struct lister_entry *e)
{
	if (!e)
		return;
	str_copy(x->source_etag, sizeof(x->source_etag), e->etag);
	x->source_size = e->size;
}

static void send(struct run_item *i, struct engine_xfer_spec *x, enum run_work work)
{
	struct engine_cmd cmd = {ENGINE_CMD_XFER, .id = x->id, .xfer = x};

	i->work = work;
	engine_set_send(i->run->env.engines, &cmd);
}

/* No listing says what the one key has at the destination: the record may. */
static void take_record(struct engine_xfer_spec *x, const struct run_item *i)
{
	const struct compare_delivered *d =
		i->run->is_single ? run_record_of(i->run, i->keys[RUN_DESTINATION]) : NULL;

	if (!d || x->fidelity.overwrite != ENGINE_OVERWRITE_CHANGED)
		return;
	str_copy(x->known_source_etag, sizeof(x->known_source_etag), d->source.etag);
	str_copy(x->known_destination_etag, sizeof(x->known_destination_etag),
		d->destination.etag);
}

void run_item_copy(struct run_item *i)
{
	struct run *r = i->run;
	struct engine_xfer_spec *x = new_spec(i);

	pin(x, i->entries[RUN_SOURCE]);
	take_record(x, i);
	x->resume = r->ops.resume(r->ops.arg, x->id, i->keys[RUN_DESTINATION]);
	send(i, x, WORK_COPY);
}

void run_item_send_file(struct run_item *i, const char *root)
{
	struct engine_xfer_spec *x = new_spec(i);

	x->source = (struct engine_side){
		.scheme = ENGINE_FILE, .is_final = true, .gid = -1};
	snprintf(x->source.root, sizeof(x->source.root), "%s", root);
	snprintf(x->source.key, sizeof(x->source.key), "%s", i->keys[RUN_SOURCE]);
	x->fidelity.method = ENGINE_METHOD_STREAM;
	x->fidelity.overwrite = ENGINE_OVERWRITE_ALWAYS;
	send(i, x, WORK_MANIFEST);
}

void run_item_trash(struct run_item *i, const char *trash_key)
{
	struct run *r = i->run;
	struct engine_xfer_spec *x = new_spec(i);

	fill_side(r, &x->source, &r->sides[RUN_DESTINATION], i->keys[RUN_DESTINATION]);
	fill_side(r, &x->destination, &r->sides[RUN_DESTINATION], trash_key);
	pin(x, i->entries[RUN_DESTINATION]);
	/* What is below that name is older than what is about to be deleted. */
	x->fidelity.overwrite = ENGINE_OVERWRITE_ALWAYS;
	x->is_source_to_go = true;
	i->trash_key = mem_strdup(trash_key);
	send(i, x, WORK_TRASH);
}

void run_item_trashed(struct run_item *i)
{
	i->why = REASON_TRASHED;
	run_item_remove(i, RUN_DESTINATION);
}

static struct engine_remove_spec *new_removal(
	struct run_item *i, int side, struct engine_cmd *ret)
{
	struct run *r = i->run;
	const struct conf_retry *retry = &r->job->retry;
	struct engine_remove_spec *x = mem_alloc(sizeof(*x));

	*ret = (struct engine_cmd){ENGINE_CMD_REMOVE, .id = i->id, .removal = x};
	x->id = i->id;
	x->tag = r->serial;
	fill_side(r, &x->target, &r->sides[side], i->keys[side]);
	x->max_attempts = (int)retry->attempts;
	x->backoff_ms = retry->backoff_s * 1000;
	x->max_backoff_ms = retry->max_backoff_s * 1000;
	x->backoff_factor = retry->factor;
	return x;
}

void run_item_remove(struct run_item *i, int side)
{
	struct run *r = i->run;
	const struct lister_entry *e = i->entries[side];
	struct engine_cmd cmd;
	struct engine_remove_spec *x = new_removal(i, side, &cmd);
	const char *etag = e ? lister_mark(e) : "";

	/* What was read, not what was listed. */
	if (side == RUN_SOURCE && i->result && i->result->source_etag[0])
		etag = i->result->source_etag;
	str_copy(x->etag, sizeof(x->etag), etag);
	x->has_absent = side == RUN_DESTINATION;
	if (x->has_absent)
		fill_side(r, &x->absent, &r->sides[RUN_SOURCE], i->keys[RUN_SOURCE]);
	i->work = side == RUN_SOURCE ? WORK_LEAVE : WORK_DELETE;
	run_manifest_begin(i, side == RUN_SOURCE           ? REASON_MOVED
			      : i->why == REASON_TRASHED ? REASON_TRASHED
							 : REASON_DELETED);
	engine_set_send(r->env.engines, &cmd);
}

/* What this class restores stays restored: it takes no days. */
static bool has_days(const struct lister_entry *e)
{
	return !e || !str_eq(e->storage_class, "INTELLIGENT_TIERING");
}

void run_item_restore(struct run_item *i)
{
	struct run *r = i->run;
	const struct conf_restore *want = &r->job->select.restore;
	struct engine_cmd cmd;
	struct engine_remove_spec *x = new_removal(i, RUN_SOURCE, &cmd);

	x->restore_days = has_days(i->entries[RUN_SOURCE]) ? want->days : 0;
	snprintf(x->restore_tier, sizeof(x->restore_tier), "%s", want->tier);
	i->work = WORK_RESTORE;
	engine_set_send(r->env.engines, &cmd);
}

bool run_objects_sweep(struct run *r)
{
	char key[ENGINE_KEY_LEN] = "";

	while (!r->must_stop && r->in_flight < RUN_WINDOW) {
		struct run_item *i = run_item_new(r, "", "");
		struct engine_upload *left = r->ops.leftover(r->ops.arg, i->id, key);
		struct engine_xfer_spec *x;

		if (!left) {
			run_item_free(i);
			break;
		}
		mem_replace(&i->keys[RUN_DESTINATION], key);
		x = new_spec(i);
		x->resume = left;
		x->is_abort = true;
		send(i, x, WORK_ABORT);
	}
	return r->in_flight > 0;
}

static void cancel(struct run_item *i)
{
	struct engine_cmd cmd = {ENGINE_CMD_CANCEL, .id = i->id,
		.keeps_upload = i->run->report.verdict == RUN_ENDED_INTERRUPTED};

	if (i->work == WORK_ASK)
		run_ask_cancel(i);
	else if (i->work == WORK_RECORD)
		run_item_free(i); /* delivered; the next run takes it away */
	else
		engine_set_send(i->run->env.engines, &cmd);
}

void run_objects_cancel(struct run *r)
{
	for (size_t k = 0; k < RUN_WINDOW; k++)
		if (r->items[k].id)
			cancel(&r->items[k]);
}

void run_object_key(const struct run *r, uint64_t id, int side, char out[ENGINE_KEY_LEN])
{
	const struct run_item *i = &r->items[id % RUN_WINDOW];
	const char *key = i->id == id ? i->keys[side] : NULL;

	if (key && i->work == WORK_TRASH)
		key = side == RUN_SOURCE ? i->keys[RUN_DESTINATION] : i->trash_key;
	snprintf(out, ENGINE_KEY_LEN, "%s", key ? key : "");
}

uint64_t run_bytes_in_flight(const struct run *r)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < RUN_WINDOW; k++)
		sum += r->items[k].work == WORK_COPY ? r->items[k].bytes : 0;
	return sum;
}
