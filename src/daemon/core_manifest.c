/*
 * Manifests for a client that asks: whether each row is what was written, and what became
 * of one key. Read in the pool, for they may be long; what is in them is run/manifest's.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/control_cmds.h"
#include "daemon/core_impl.h"
#include "net/pool.h"
#include "run/manifest.h"

#define ROW_MAX   (64 * 1024)
#define RUNS_BACK 20 /* of a job, for its newest manifest */

/* One question. */
struct look {
	struct pool_job job;
	struct control_call *call; /* NULL: the client went away */
	struct store_run row;
	char *path, *key; /* key NULL: all rows are checked */
	struct buf found;
	struct manifest_summary summary;
	uint64_t line;
	char why[128];
	int result;
};

static void look_free(struct look *l)
{
	free(l->path);
	free(l->key);
	buf_done(&l->found);
	free(l);
}

static void work(struct pool_job *job)
{
	struct look *l = CONTAINER_OF(job, struct look, job);

	if (l->key)
		l->result = manifest_find(l->path, l->key, &l->found);
	else
		l->result = manifest_verify(l->path, &l->summary, &l->line, l->why);
}

static void put_verified(struct json_writer *w, const struct look *l)
{
	json_put_bool(w, "is_good", l->result == 0);
	json_put_int(w, "rows", (int64_t)l->summary.rows);
	json_put_int(w, "bytes", (int64_t)l->summary.bytes);
	json_put_str(w, "hash", l->summary.hash);
	if (l->result == 0)
		return;
	json_put_int(w, "line", (int64_t)l->line);
	json_put_str(w, "why", l->why[0] ? l->why : strerror(-l->result));
}

static void on_done(struct pool_job *job)
{
	struct look *l = CONTAINER_OF(job, struct look, job);
	struct json_writer w;
	struct buf out;

	if (l->call) {
		control_on_gone(l->call, NULL, NULL);
		cmd_begin(&w, &out);
		cmd_put_run(&w, "run", &l->row);
		json_put_str(&w, "manifest", l->path);
		if (!l->key)
			put_verified(&w, l);
		else if (l->result == 1)
			json_put_raw(&w, "row", buf_str(&l->found));
		json_object_end(&w);
		cmd_reply(l->call, &out, &w, false);
	}
	look_free(l);
}

static void on_gone(void *arg)
{
	struct look *l = arg;

	l->call = NULL;
}

char *core_manifest_of(const struct core *c, const struct store_run *row)
{
	char *path = manifest_path(c->manifest_dir, row->job, row->id);

	if (access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

/* Rows come newest first; the first one that has a manifest stays. */
struct newest {
	const struct core *core;
	struct store_run row;
	char *path;
};

static void take_newest(void *arg, const struct store_run *row)
{
	struct newest *n = arg;

	if (n->path)
		return;
	n->row = *row;
	n->path = core_manifest_of(n->core, row);
}

static void look(
	struct core *c, struct control_call *call, const char *target, const char *key)
{
	struct newest n = {.core = c};
	struct look *l;

	/* By its id, or the newest of a job. */
	if (target && store_run_get(c->store, target, &n.row) == 0)
		n.path = core_manifest_of(c, &n.row);
	else if (target)
		store_run_history(c->store, target, RUNS_BACK, take_newest, &n);
	if (!n.path && key) {
		control_reply(call, NULL, false);
		return;
	}
	if (!n.path) {
		control_error(call, "io.s3ferry.NoManifest", NULL);
		return;
	}
	l = mem_alloc(sizeof(*l));
	l->job.work = work;
	l->job.done = on_done;
	l->call = call;
	l->row = n.row;
	l->path = n.path;
	l->key = key ? mem_strdup(key) : NULL;
	buf_init(&l->found, ROW_MAX);
	control_on_gone(call, on_gone, l);
	pool_submit(c->files, &l->job);
}

void cmd_verify(void *arg, struct control_call *call, const struct json *params)
{
	look(arg, call, json_get_str(params, "target"), NULL);
}

void cmd_find(void *arg, struct control_call *call, const struct json *params)
{
	const char *key = json_get_str(params, "key");

	look(arg, call, json_get_str(params, "target"), key ? key : "");
}
