/*
 * Dry runs for a client that waits: what a run of a job would do now, or what it would do
 * with one key. The same run as any other but for its last step, and no row of the
 * ledger.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "daemon/control_cmds.h"
#include "daemon/core_impl.h"
#include "daemon/ctl_proto.h"
#include "engine/engine_msg.h"
#include "net/loop.h"
#include "run/compare.h"

#define LINES_MAX 1000

struct core_plan {
	struct list link; /* in core.plans */
	struct core *core;
	struct run *run;
	struct control_call *call; /* NULL: the client went away */
	struct buf out;
	struct json_writer w;
	int64_t lines;
	char *job, *key;
};

static void *plan_free(void *arg)
{
	struct core_plan *p = arg;

	list_remove(&p->link);
	run_free(p->run);
	buf_done(&p->out);
	free(p->job);
	free(p->key);
	free(p);
	return NULL;
}

static void on_waiting(void *arg, struct run *r, bool is_waiting)
{
	(void)arg;
	(void)r;
	(void)is_waiting;
}

static void on_planned(void *arg, struct run *r, const struct run_planned *planned)
{
	struct core_plan *p = arg;

	if (p->lines <= 0 || (p->key && !run_get_asked(r)))
		return;
	p->lines--;
	json_object_begin(&p->w, NULL);
	json_put_str(&p->w, "reason", reason_code(planned->why));
	json_put_str(&p->w, "text", reason_text(planned->why));
	json_put_str(&p->w, "key", planned->key);
	if (planned->size >= 0)
		json_put_int(&p->w, "size", planned->size);
	json_object_end(&p->w);
}

static void put_count(struct json_writer *w, const struct store_count *count)
{
	json_object_begin(w, NULL);
	json_put_str(w, "reason", count->reason);
	json_put_str(w, "text", reason_text(reason_find(count->reason, false)));
	json_put_int(w, "objects", count->objects);
	json_put_int(w, "bytes", count->bytes);
	json_object_end(w);
}

static void put_counts(struct json_writer *w, const struct run_report *report)
{
	struct store_count count;

	json_array_begin(w, "counts");
	for (enum reason why = 0; why < REASONS; why++) {
		if (!report->counts[why])
			continue;
		snprintf(count.reason, sizeof(count.reason), "%s", reason_code(why));
		count.objects = (int64_t)report->counts[why];
		count.bytes = (int64_t)report->count_bytes[why];
		put_count(w, &count);
	}
	json_array_end(w);
}

static void put_requests(struct json_writer *w, const struct run_requests *requests)
{
	json_object_begin(w, "requests");
	for (enum run_request kind = 0; kind < RUN_REQUESTS; kind++)
		if (requests->n[kind])
			json_put_int(
				w, run_request_name(kind), (int64_t)requests->n[kind]);
	json_object_end(w);
}

static void on_done(void *arg, struct run *r, const struct run_report *report)
{
	struct core_plan *p = arg;
	struct control_call *call = p->call;
	const struct compare_delivered *d = run_get_delivered(r);
	char losses[300];

	loop_bury(p->core->loop, plan_free, p);
	if (!call)
		return;
	control_on_gone(call, NULL, NULL);
	json_array_end(&p->w);
	put_counts(&p->w, report);
	json_put_str(&p->w, "key", run_get_asked(r));
	json_put_bool(&p->w, "is_single", run_is_single(r));
	if (d) {
		json_object_begin(&p->w, "delivered");
		json_put_str(&p->w, "source_etag", d->source.etag);
		json_put_str(&p->w, "source_version", d->source.version);
		json_put_str(&p->w, "destination_etag", d->destination.etag);
		json_object_end(&p->w);
	}
	put_requests(&p->w, &report->requests);
	run_estimate_losses(run_job(r), losses, sizeof(losses));
	json_put_str(&p->w, "losses", losses);
	json_put_str(&p->w, "verdict",
		report->verdict == RUN_ENDED_SUCCEEDED ? "succeeded"
		: report->verdict == RUN_ENDED_PARTIAL ? "partial"
						       : "failed");
	json_put_str(&p->w, "reason", report->reason);
	json_put_str(&p->w, "message", report->message);
	json_object_end(&p->w);
	cmd_reply(call, &p->out, &p->w, false);
}

static void on_gone(void *arg)
{
	struct core_plan *p = arg;

	p->call = NULL;
	run_cancel(p->run, RUN_CANCEL_ASKED);
}

static void on_store_failed(void *arg, int error)
{
	struct core_plan *p = arg;

	core_store_failed(p->core, error, "what was delivered");
}

struct run *core_plan_find(struct core *c, uint64_t serial)
{
	struct core_plan *p;

	LIST_FOREACH (p, &c->plans, link)
		if (run_serial(p->run) == serial)
			return p->run;
	return NULL;
}

void core_plan_drop_all(struct core *c)
{
	while (!list_is_empty(&c->plans))
		plan_free(LIST_FIRST(&c->plans, struct core_plan, link));
}

static void begin(struct core *c, struct control_call *call, const struct json *params,
	int64_t nominal_s)
{
	const struct conf_job *job = conf_find_job(c->conf, json_get_str(params, "job"));
	const struct run_env env = {
		c->loop, c->http, c->creds, c->engines, c->regions, c->skews, c->quotas,
		c->store, c->files, NULL};
	struct core_plan *p = mem_alloc(sizeof(*p));
	const struct run_ops ops = {.waiting = on_waiting,
		.done = on_done,
		.store_failed = on_store_failed,
		.planned = on_planned,
		.arg = p};
	struct run_options options = {.nominal_s = nominal_s, .is_dry = true};
	char id[RUN_ID_LEN];

	crypto_uuid(id);
	p->core = c;
	p->call = call;
	p->job = mem_strdup(job->name);
	p->key = mem_strdup(json_get_str(params, "key"));
	p->lines = json_get_int(params, "limit", 20);
	if (p->lines < 0 || p->lines > LINES_MAX)
		p->lines = LINES_MAX;
	options.only_key = p->key;
	list_append(&c->plans, &p->link);
	cmd_begin(&p->w, &p->out);
	json_put_str(&p->w, "job", job->name);
	cmd_put_time(&p->w, "slot", nominal_s);
	json_array_begin(&p->w, "objects");
	p->run = run_new(&env, c->conf, job, id, ++c->next_serial, &options);
	control_on_gone(call, on_gone, p);
	run_start(p->run, &ops);
}

void cmd_plan(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	const char *name = json_get_str(params, "job");
	int64_t nominal_s = core_now_s(c);

	if (!name || !conf_find_job(c->conf, name)) {
		cmd_no_such_job(c, call, name ? name : "");
		return;
	}
	if (c->is_stopping) {
		control_error(call, "io.s3ferry.Stopping", NULL);
		return;
	}
	if (cmd_take_date(c, call, params, &nominal_s))
		begin(c, call, params, nominal_s);
}

/* --- Show --- */

static void put_row(void *arg, const struct store_count *count)
{
	put_count(arg, count);
}

static void keep_run(void *arg, const struct store_run *row)
{
	*(struct store_run *)arg = *row;
}

void cmd_show(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	const char *target = json_get_str(params, "target");
	_cleanup_free_ char *manifest = NULL;
	struct store_run row = {0};
	struct json_writer w;
	struct buf out;

	/* By its id, or the newest of a job. */
	if (target && store_run_get(c->store, target, &row) < 0)
		store_run_history(c->store, target, 1, keep_run, &row);
	if (!row.id[0]) {
		control_error(call,
			target && conf_find_job(c->conf, target) ? "io.s3ferry.NoRunYet"
								 : "io.s3ferry.NoSuchRun",
			NULL);
		return;
	}
	cmd_begin(&w, &out);
	cmd_put_run(&w, "run", &row);
	json_array_begin(&w, "counts");
	if (store_count_each(c->store, row.id, put_row, &w) < 0)
		w.failed = true;
	json_array_end(&w);
	manifest = core_manifest_of(c, &row);
	if (manifest)
		json_put_str(&w, "manifest", manifest);
	json_object_end(&w);
	cmd_reply(call, &out, &w, false);
}
