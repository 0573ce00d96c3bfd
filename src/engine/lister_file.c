/*
 * Two batches: the one that is read, and the one that a thread fills meanwhile. Where the
 * entries come from is file_tree.c's.
 */
#include "config.h"

#include "engine/lister_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "engine/file_name.h"
#include "engine/file_tree.h"
#include "net/pool.h"

#define BATCH     256
#define TEXTS_MAX (BATCH * 4096)

struct item {
	size_t key, key_len, print; /* key, print: where in texts */
	int64_t size, modified_us;
	const char *unfit;
};

struct batch {
	struct item items[BATCH];
	size_t count, next;
	struct buf texts;
	bool is_last;
	struct err err; /* class ERR_OK: none; comes behind its items */
};

struct lister_file {
	struct lister lister;
	struct pool *pool;
	/* A thread's while is_busy: */
	struct pool_job job;
	struct file_tree *tree;
	struct batch *filling;
	bool is_busy;

	struct batch *reading;
	bool is_filled, is_asked, is_freed;
	struct lister_entry entry;
	struct lister_stats stats;
};

static struct batch *batch_new(void)
{
	struct batch *b = mem_alloc(sizeof(*b));

	buf_init(&b->texts, TEXTS_MAX);
	return b;
}

static void batch_free(struct batch *b)
{
	buf_done(&b->texts);
	free(b);
}

static struct lister_file *self(const struct lister *l)
{
	return CONTAINER_OF(l, struct lister_file, lister);
}

/* --- in a thread --- */

static void add(struct batch *b, const struct file_tree_entry *e)
{
	struct item *i = &b->items[b->count++];
	char print[FILE_PRINT_LEN];

	file_print(e->stat, print);
	*i = (struct item){.key = b->texts.len,
		.key_len = strlen(e->key),
		.size = e->stat->size,
		.modified_us = e->stat->mtime_ns / 1000,
		.unfit = e->unfit};
	buf_append(&b->texts, e->key, i->key_len + 1);
	i->print = b->texts.len;
	buf_append(&b->texts, print, strlen(print) + 1);
}

static void work_fill(struct pool_job *job)
{
	struct lister_file *f = CONTAINER_OF(job, struct lister_file, job);
	struct batch *b = f->filling;
	struct file_tree_entry e;
	int r = 1;

	b->count = b->next = 0;
	buf_reset(&b->texts);
	while (b->count < BATCH && r > 0) {
		r = file_tree_next(f->tree, &e, &b->err);
		if (r > 0)
			add(b, &e);
	}
	b->is_last = r <= 0;
}

/* --- on the loop --- */

static void *release(struct lister_file *f)
{
	file_tree_free(f->tree);
	batch_free(f->filling);
	batch_free(f->reading);
	free(f);
	return NULL;
}

static void on_filled(struct pool_job *job)
{
	struct lister_file *f = CONTAINER_OF(job, struct lister_file, job);

	f->is_busy = false;
	if (f->is_freed) {
		release(f);
		return;
	}
	f->is_filled = true;
	if (!f->is_asked)
		return;
	f->is_asked = false;
	f->lister.on_change(f->lister.arg);
}

static void fill(struct lister_file *f)
{
	f->is_busy = true;
	f->is_filled = false;
	f->job = (struct pool_job){.work = work_fill, .done = on_filled};
	pool_submit(f->pool, &f->job);
}

static void start(struct lister *l)
{
	self(l)->is_asked = true;
	fill(self(l));
}

/* The batch that was filled is read, and the other one is filled. */
static void turn(struct lister_file *f)
{
	struct batch *b = f->reading;

	f->reading = f->filling;
	f->filling = b;
	f->is_filled = false;
	if (!f->reading->is_last)
		fill(f);
}

static enum lister_state peek(struct lister *l, const struct lister_entry **ret_entry)
{
	struct lister_file *f = self(l);
	struct batch *b = f->reading;
	const struct item *i;

	if (b->next == b->count && f->is_filled) {
		turn(f);
		b = f->reading;
	}
	if (b->next == b->count && b->is_last)
		return b->err.class == ERR_OK ? LISTER_ENDED : LISTER_FAILED;
	if (b->next == b->count) {
		f->is_asked = true;
		return LISTER_WAITING;
	}
	i = &b->items[b->next];
	f->entry = (struct lister_entry){.key = b->texts.data + i->key,
		.key_len = i->key_len,
		.size = i->size,
		.modified_us = i->modified_us,
		.etag = "",
		.version = b->texts.data + i->print,
		.storage_class = "",
		.unfit = i->unfit};
	*ret_entry = &f->entry;
	return LISTER_READY;
}

static void pop(struct lister *l)
{
	struct lister_file *f = self(l);

	f->stats.entries++;
	f->stats.bytes += (uint64_t)f->reading->items[f->reading->next++].size;
}

static const struct err *error(const struct lister *l)
{
	const struct batch *b = self(l)->reading;

	return b->next == b->count && b->err.class != ERR_OK ? &b->err : NULL;
}

static void stats(const struct lister *l, struct lister_stats *ret)
{
	*ret = self(l)->stats;
}

static void free_later(struct lister *l)
{
	struct lister_file *f = self(l);

	f->is_freed = true;
	if (!f->is_busy)
		release(f);
}

/* NULL: no path is like this key. */
static char *path_of(const char *folder)
{
	struct buf path = BUF_INIT(4096);
	char *key = mem_strndup(folder, *folder ? strlen(folder) - 1 : 0);
	int r = *key ? file_name_from_key(&path, key) : 0;

	free(key);
	if (r == 0)
		return buf_take(&path);
	buf_done(&path);
	return NULL;
}

struct lister *lister_file_new(struct pool *pool, const char *root, const char *folder)
{
	static const struct lister_ops ops = {start, peek, pop, error, stats, free_later};
	struct lister_file *f = mem_alloc(sizeof(*f));
	_cleanup_free_ char *path = path_of(folder);

	f->lister.ops = &ops;
	f->pool = pool;
	/* A name that no disk can hold is that of no folder. */
	f->tree = file_tree_new(root, path ? path : "%2F");
	f->reading = batch_new();
	f->filling = batch_new();
	return &f->lister;
}
