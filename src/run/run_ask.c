/*
 * Where two listings do not tell whether an object is the same: a HEAD of each side that
 * the plan asks for, then the plan again. A HEAD that fails tells nothing, and what is
 * not proven is copied. And the one key that is not listed at all, an object or a local
 * file, when a dry run is to say what became of it.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/skew.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "engine/file.h"
#include "net/loop.h"
#include "net/pool.h"
#include "run/run_impl.h"
#include "s3/object.h"

/* A look at a local file, in the pool. Outlives the run. */
struct glance {
	struct pool_job job;
	struct run_ask *ask; /* NULL: it was freed meanwhile */
	int which;
	char *root, *key;
	struct file_stat stat;
	struct err err;
};

struct ask_side {
	struct s3_call *call; /* one of the two while it is under way */
	struct glance *glance;
	bool is_told, is_gone;
	struct err err;
	struct s3_head head;
	struct compare_digest digest;
	struct compare_head told;
};

struct run_ask {
	struct run_item *item;
	struct ask_side sides[RUN_SIDES];
	bool is_unlisted;
};

static void finish(struct run_item *i)
{
	struct run_ask *a = i->ask;
	struct compare_case c = {i->entries[RUN_SOURCE], i->entries[RUN_DESTINATION],
		i->delivered, NULL, NULL};
	static const struct compare_head nothing = {.version = "", .source_version = ""};
	struct plan_step step = {0};

	if (a->sides[RUN_DESTINATION].is_gone)
		c.destination = NULL;
	c.source_head = a->sides[RUN_SOURCE].is_told ? &a->sides[RUN_SOURCE].told
						     : &nothing;
	c.destination_head = a->sides[RUN_DESTINATION].is_told
				     ? &a->sides[RUN_DESTINATION].told
				     : &nothing;
	plan_settle(&i->run->plan, &c, &step);
	i->ask = run_ask_free(a);
	run_steps_on_settled(i, &step);
}

/* --- one key that no listing told of --- */

static struct lister_entry *entry_of(struct run_item *i, int which)
{
	const struct ask_side *s = &i->ask->sides[which];
	const struct lister_entry e = {.key = i->keys[which],
		.key_len = strlen(i->keys[which]),
		.size = s->is_told ? s->head.length : -1,
		.modified_us = s->head.modified_us,
		.etag = s->head.etag,
		.version = s->head.version,
		.storage_class = s->head.storage_class,
		.restore = (enum lister_restore)s->head.restore};

	return run_entry_copy(&e);
}

/* What we are told nothing of may be there. */
static bool is_unknown(const struct run_item *i, int which)
{
	const struct ask_side *s = &i->ask->sides[which];

	return !s->is_told && !s->is_gone;
}

/* What a run would end with: no source, or a place where no file can be written. */
static int failed_side(const struct run_ask *a)
{
	if (a->sides[RUN_SOURCE].err.class != ERR_OK)
		return RUN_SOURCE;
	return a->sides[RUN_DESTINATION].err.class == ERR_LOCAL ? RUN_DESTINATION : -1;
}

static void finish_unlisted(struct run_item *i)
{
	struct run *r = i->run;
	struct run_ask *a = i->ask;
	const struct ask_side *from = &a->sides[RUN_SOURCE];
	const struct ask_side *to = &a->sides[RUN_DESTINATION];
	bool is_unproven = is_unknown(i, RUN_SOURCE) || is_unknown(i, RUN_DESTINATION);
	int failed = failed_side(a);
	struct plan_step step;

	if (failed >= 0) {
		run_steps_on_unseen(i, failed, &a->sides[failed].err);
		return;
	}
	i->entries[RUN_SOURCE] = entry_of(i, RUN_SOURCE);
	if (to->is_told && !is_unproven)
		i->entries[RUN_DESTINATION] = entry_of(i, RUN_DESTINATION);
	plan_decide(&r->plan, i->entries[RUN_SOURCE], i->entries[RUN_DESTINATION], &step);
	if (step.action == PLAN_ASK) {
		const struct compare_case c = {i->entries[RUN_SOURCE],
			i->entries[RUN_DESTINATION], step.delivered, &from->told,
			&to->told};

		plan_settle(&r->plan, &c, &step);
	}
	if (is_unproven && step.action == PLAN_COPY)
		step.reason = REASON_UNPROVEN;
	i->ask = run_ask_free(a);
	run_steps_on_settled(i, &step);
}

/* --- answers --- */

static void on_head(
	struct run_ask *a, int which, const struct err *e, const struct s3_head *head)
{
	struct ask_side *s = &a->sides[which];

	s->call = NULL;
	s->glance = NULL;
	s->is_gone = e && e->class == ERR_NOTFOUND;
	if (e) {
		s->err = *e;
	} else {
		s->is_told = true;
		s->head = *head;
		s->digest = (struct compare_digest){"crc64nvme", s->head.crc64nvme};
		s->told = (struct compare_head){s->head.version, head->is_etag_md5,
			&s->digest, head->crc64nvme[0] ? 1 : 0, ""};
	}
	for (int i = 0; i < RUN_SIDES; i++)
		if (a->sides[i].call || a->sides[i].glance)
			return;
	if (a->is_unlisted)
		finish_unlisted(a->item);
	else
		finish(a->item);
}

static void on_source(void *arg, const struct err *e, const struct s3_head *head)
{
	on_head(arg, RUN_SOURCE, e, head);
}

static void on_destination(void *arg, const struct err *e, const struct s3_head *head)
{
	on_head(arg, RUN_DESTINATION, e, head);
}

static struct s3_call *head(struct run_ask *a, int which)
{
	struct run *r = a->item->run;
	const struct run_side *side = &r->sides[which];
	const struct s3_place place = run_side_place(side);
	const struct s3_env env = {
		.http = r->env.http,
		.place = &place,
		.creds = side->set,
		.now_us = clock_wall_us(loop_clock(r->env.loop)),
		.skew = skews_of(r->env.skews, place.endpoint_url),
		.regions = r->env.regions,
	};
	const struct s3_object o = {.key = a->item->keys[which],
		.done = which == RUN_SOURCE ? on_source : on_destination,
		.arg = a};

	r->report.requests.n[RUN_REQUEST_HEAD]++;
	return s3_head_object(&env, &o);
}

static void look_at_file(struct pool_job *job)
{
	struct glance *g = CONTAINER_OF(job, struct glance, job);
	const struct file_place place = {.root = g->root, .key = g->key, .gid = -1};
	int fd;

	if (g->which == RUN_DESTINATION) {
		file_look(&place, &g->stat, &g->err);
		return;
	}
	/* It is there only if it can be read. */
	fd = file_open(&place, &g->stat, &g->err);
	if (fd >= 0)
		close(fd);
}

static void on_file(struct pool_job *job)
{
	struct glance *g = CONTAINER_OF(job, struct glance, job);
	struct s3_head head = {
		.length = g->stat.size, .modified_us = g->stat.mtime_ns / 1000};

	file_print(&g->stat, head.etag);
	file_print(&g->stat, head.version);
	if (g->ask)
		on_head(g->ask, g->which, g->err.class == ERR_OK ? NULL : &g->err, &head);
	free(g->root);
	free(g->key);
	free(g);
}

static struct glance *look(struct run_ask *a, int which)
{
	struct run *r = a->item->run;
	struct glance *g = mem_alloc(sizeof(*g));

	g->job.work = look_at_file;
	g->job.done = on_file;
	g->ask = a;
	g->which = which;
	g->root = mem_strdup(r->sides[which].conf->bucket);
	g->key = mem_strdup(a->item->keys[which]);
	pool_submit(r->env.files, &g->job);
	return g;
}

static char *copy_text(char **at, const char *text)
{
	char *ret = *at;

	*at += sprintf(ret, "%s", text) + 1;
	return ret;
}

static struct compare_delivered *delivered_copy(const struct compare_delivered *d)
{
	const struct compare_mark *marks[] = {&d->source, &d->destination};
	size_t size = sizeof(*d);
	struct compare_delivered *ret;
	char *at;

	for (int i = 0; i < 2; i++)
		size += strlen(marks[i]->etag) + strlen(marks[i]->version) + 2;
	ret = mem_alloc(size);
	*ret = *d;
	at = (char *)(ret + 1);
	ret->source.etag = copy_text(&at, d->source.etag);
	ret->source.version = copy_text(&at, d->source.version);
	ret->destination.etag = copy_text(&at, d->destination.etag);
	ret->destination.version = copy_text(&at, d->destination.version);
	return ret;
}

void run_ask_start(struct run_item *i, const struct plan_step *step)
{
	static const unsigned bits[] = {
		[RUN_SOURCE] = COMPARE_ASK_SOURCE,
		[RUN_DESTINATION] = COMPARE_ASK_DESTINATION,
	};
	struct run_ask *a = mem_alloc(sizeof(*a));

	i->work = WORK_ASK;
	i->ask = a;
	a->item = i;
	if (step->delivered)
		i->delivered = delivered_copy(step->delivered);
	for (int k = 0; k < RUN_SIDES; k++)
		if (step->asks & bits[k])
			a->sides[k].call = head(a, k);
}

void run_ask_unlisted(struct run_item *i)
{
	struct run_ask *a = mem_alloc(sizeof(*a));

	i->work = WORK_ASK;
	i->ask = a;
	a->item = i;
	a->is_unlisted = true;
	for (int k = 0; k < RUN_SIDES; k++)
		if (i->run->sides[k].conf->scheme == CONF_S3)
			a->sides[k].call = head(a, k);
		else
			a->sides[k].glance = look(a, k);
}

void run_ask_cancel(struct run_item *i)
{
	for (int k = 0; k < RUN_SIDES; k++)
		if (i->ask->sides[k].call)
			s3_call_cancel(i->ask->sides[k].call);
}

void *run_ask_free(struct run_ask *a)
{
	for (int k = 0; a && k < RUN_SIDES; k++)
		if (a->sides[k].glance)
			a->sides[k].glance->ask = NULL;
	free(a);
	return NULL;
}
