/*
 * The verbs of the control socket, one function and one row each. They read the core and
 * ask it to act; they keep no state but the clients that wait for a run.
 *
 * Status   {}            -> {version, uptime_s, config{path, loaded_at, error?}, jobs[]}
 * Run      {job, date?} more -> {run, job}... {progress}... {verdict, reason, message}
 * Next     {job?, count, from?} -> {slots[]}
 * History  {job?, limit} -> {runs[...]}
 * Cancel   {target}      -> {run}
 * Reload   {}            -> {changes} or ConfigInvalid {messages}
 *
 * Those that steer the scheduler are in control_sched.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/retry.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/period.h"
#include "calendar/slot.h"
#include "calendar/slot_json.h"
#include "conf/conf.h"
#include "daemon/control.h"
#include "daemon/control_cmds.h"
#include "daemon/core_impl.h"
#include "daemon/ctl_proto.h"
#include "engine/bandwidth.h"
#include "engine/engine_set.h"
#include "net/loop.h"

#define COUNT_MAX 1000

void cmd_reply(
	struct control_call *call, struct buf *out, struct json_writer *w, bool continues)
{
	if (w->failed)
		control_error(call, "io.s3ferry.TooLarge", NULL);
	else
		control_reply(call, buf_str(out), continues);
	buf_done(out);
}

void cmd_begin(struct json_writer *w, struct buf *out)
{
	buf_init(out, CTL_REPLY_MAX - 1024);
	json_writer_init(w, out);
	json_object_begin(w, NULL);
}

void cmd_put_time(struct json_writer *w, const char *key, int64_t at_s)
{
	char text[32];

	if (at_s)
		json_put_str(w, key, clock_format_iso(at_s, text, sizeof(text)));
	else
		json_put_null(w, key);
}

void cmd_no_such_job(struct core *c, struct control_call *call, const char *name)
{
	const char **names = mem_array(c->conf->job_count + 1, sizeof(*names));
	struct json_writer w;
	struct buf out;

	for (size_t i = 0; i < c->conf->job_count; i++)
		names[i] = c->conf->jobs[i]->name;
	cmd_begin(&w, &out);
	json_put_str(&w, "job", name);
	json_put_str(&w, "nearest", str_nearest(name, names));
	json_object_end(&w);
	control_error(call, "io.s3ferry.NoSuchJob", buf_str(&out));
	buf_done(&out);
	free(names);
}

/* --- Status --- */

void cmd_put_run(struct json_writer *w, const char *key, const struct store_run *row)
{
	bool is_open = run_state_is_open(row->state);

	json_object_begin(w, key);
	json_put_str(w, "run", row->id);
	json_put_str(w, "job", row->job);
	json_put_str(w, "slot", row->slot);
	json_put_str(w, "state", run_state_name(row->state));
	json_put_str(w, "reason", row->reason);
	json_put_str(w, "message", row->message);
	json_put_str(w, "trigger", run_trigger_name(row->trigger));
	cmd_put_time(w, "nominal_at", row->nominal_at);
	cmd_put_time(w, "started_at", row->started_at);
	cmd_put_time(w, "ended_at", is_open ? 0 : row->ended_at);
	if (row->count > 1) {
		cmd_put_time(w, "first_at", row->first_at);
		cmd_put_time(w, "last_at", row->last_at);
	}
	json_put_int(w, "attempts", row->attempts);
	json_put_int(w, "count", row->count);
	json_put_int(w, "objects", (int64_t)row->objects);
	json_put_int(w, "bytes", (int64_t)row->bytes);
	json_put_int(w, "sent_again", (int64_t)row->sent_again);
	json_object_end(w);
}

static void put_progress(struct json_writer *w, const struct core_run *cr)
{
	struct run_progress p = {.bytes_total = -1};

	if (cr->run)
		run_get_progress(cr->run, &p);
	json_put_int(w, "objects_done", (int64_t)p.objects_done);
	json_put_int(w, "objects_total", (int64_t)p.objects_total);
	json_put_int(w, "bytes_done", (int64_t)p.bytes_done);
	if (p.bytes_total >= 0)
		json_put_int(w, "bytes_total", p.bytes_total);
}

static void keep_run(void *arg, const struct store_run *row)
{
	*(struct store_run *)arg = *row;
}

static const char *job_state(const struct core_run *running, const struct conf_job *job,
	const struct core_job_facts *facts)
{
	if (running)
		return running->run                         ? "running"
		       : running->row.state == RUN_PARKED ? "parked"
							    : "queued";
	if (facts->is_paused)
		return "paused";
	if (facts->consecutive_failures)
		return "failing";
	if (facts->overdue_slot_at)
		return "overdue";
	/* All its times are past. */
	return job->schedule && !facts->next_run_at && !schedule_is_boot(job->schedule)
		       ? "expired"
		       : "idle";
}

static void put_after(struct json_writer *w, const struct conf_job *job)
{
	if (!job->after.count)
		return;
	json_array_begin(w, "after");
	for (size_t i = 0; i < job->after.count; i++)
		json_put_str(w, NULL, job->after.v[i]);
	json_array_end(w);
}

/* What is kept for the job beside its slots. */
static void put_asked(struct core *c, struct json_writer *w, const struct conf_job *job)
{
	struct store_job state = {0};
	struct store_backfill b;

	store_job_get(c->store, job->name, &state);
	if (core_is_paused(job, &state, core_now_s(c)) && !job->is_paused)
		cmd_put_time(w, "paused_until", state.paused_until);
	if (!job->schedule || store_backfill_get(c->store, job->name, &b) < 0)
		return;
	json_object_begin(w, "backfill");
	json_put_int(w, "left",
		(int64_t)schedule_count(
			job->schedule, b.after, b.until, CORE_BACKFILL_MAX));
	cmd_put_time(w, "until", b.until);
	json_object_end(w);
}

static void put_running(struct json_writer *w, const struct core_run *running)
{
	json_object_begin(w, "running");
	json_put_str(w, "run", running->row.id);
	cmd_put_time(w, "started_at", running->row.started_at);
	put_progress(w, running);
	json_object_end(w);
}

static void put_job(struct core *c, struct json_writer *w, const struct conf_job *job)
{
	const struct core_run *running = core_find_run(c, job->name);
	struct core_job_facts facts;
	struct store_run last = {0};
	struct slot slot;
	int64_t effective;

	core_job_facts(c, job, &facts);
	json_object_begin(w, NULL);
	json_put_str(w, "name", job->name);
	json_put_str(w, "state", job_state(running, job, &facts));
	json_put_str(w, "schedule", job->schedule_text);
	json_put_str(w, "timezone", job->timezone);
	json_put_int(w, "consecutive_failures", facts.consecutive_failures);
	json_put_bool(w, "paused", facts.is_paused);
	json_put_bool(w, "overdue", facts.overdue_slot_at != 0);
	if (facts.overdue_slot_at)
		cmd_put_time(w, "overdue_slot", facts.overdue_slot_at);
	put_after(w, job);
	cmd_put_time(w, "last_success_at", facts.last_success_at);
	put_asked(c, w, job);
	store_run_history(c->store, job->name, running ? 2 : 1, keep_run, &last);
	if (last.id[0] && !run_state_is_open(last.state))
		cmd_put_run(w, "last", &last);
	if (running)
		put_running(w, running);
	if (sched_next(c->sched, job->name, &slot, &effective) == 0) {
		cmd_put_time(w, "next_at", slot.at_s);
		cmd_put_time(w, "next_effective", effective);
	}
	json_object_end(w);
}

static void put_slowed(void *arg, const struct engine_rate *rate)
{
	struct json_writer *w = arg;

	json_object_begin(w, NULL);
	json_put_str(w, "bucket", rate->bucket);
	json_put_str(w, "endpoint", rate->endpoint_url);
	json_put_int(w, "at_once", rate->at_once);
	json_object_end(w);
}

/* What the engines have under way, and what holds them back. */
static void put_engines(struct core *c, struct json_writer *w)
{
	int64_t limit = engine_set_get_limit(c->engines, BANDWIDTH_ALL);

	json_object_begin(w, "engines");
	json_put_int(w, "count", (int64_t)engine_set_count(c->engines));
	json_put_int(w, "transfers", (int64_t)engine_set_transfers(c->engines));
	json_put_int(w, "bytes_in_flight", (int64_t)engine_set_in_flight(c->engines));
	/* Theirs, and those of the listings, which are this loop's. */
	json_put_int(w, "sent_again",
		(int64_t)(engine_set_sent_again(c->engines) +
			  retry_quotas_counted(c->quotas)));
	json_put_int(w, "longest_turn_us", loop_longest_us(c->loop));
	if (limit)
		json_put_int(w, "bandwidth_limit", limit);
	json_array_begin(w, "slowed");
	engine_set_each_slowed(c->engines, put_slowed, w);
	json_array_end(w);
	json_object_end(w);
}

static void on_status(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	struct json_writer w;
	struct buf out;

	cmd_begin(&w, &out);
	json_put_str(&w, "version", PACKAGE_VERSION);
	json_put_int(&w, "uptime_s", core_now_s(c) - c->started_at_s);
	json_object_begin(&w, "config");
	json_put_str(&w, "path", c->conf->path);
	cmd_put_time(&w, "loaded_at", c->conf->loaded_at_s);
	json_put_str(&w, "error", c->config_error);
	json_object_end(&w);
	put_engines(c, &w);
	json_array_begin(&w, "jobs");
	for (size_t i = 0; i < c->conf->job_count; i++)
		put_job(c, &w, c->conf->jobs[i]);
	json_array_end(&w);
	json_object_end(&w);
	cmd_reply(call, &out, &w, false);
}

/* --- Run, and the clients that wait for it --- */

void core_watcher_remove(struct core_watcher *w)
{
	list_remove(&w->link);
	free(w);
}

static void on_watcher_gone(void *arg)
{
	core_watcher_remove(arg);
}

static void send_progress(struct core_watcher *watcher)
{
	const struct core_run *cr = watcher->run;
	struct json_writer w;
	struct buf out;

	cmd_begin(&w, &out);
	json_put_str(&w, "run", cr->row.id);
	json_put_str(&w, "job", cr->row.job);
	json_put_str(&w, "state", cr->run ? run_state_name(cr->row.state) : "queued");
	put_progress(&w, cr);
	json_object_end(&w);
	cmd_reply(watcher->call, &out, &w, true);
}

void core_report_progress(struct core_run *cr)
{
	struct core_watcher *w, *tmp;

	LIST_FOREACH_SAFE (w, tmp, &cr->watchers, link)
		send_progress(w);
}

void core_report_end(struct core_run *cr, const struct run_report *report)
{
	struct core_watcher *watcher, *tmp;

	LIST_FOREACH_SAFE (watcher, tmp, &cr->watchers, link) {
		struct control_call *call = watcher->call;
		struct json_writer w;
		struct buf out;

		core_watcher_remove(watcher);
		control_on_gone(call, NULL, NULL);
		cmd_begin(&w, &out);
		json_put_str(&w, "run", cr->row.id);
		json_put_str(&w, "job", cr->row.job);
		json_put_str(&w, "verdict",
			report->verdict == RUN_ENDED_INTERRUPTED
				? "interrupted"
				: run_state_name(cr->row.state));
		json_put_str(&w, "reason", report->reason);
		json_put_str(&w, "error_class", err_class_name(report->err.class));
		json_put_str(&w, "message", report->message);
		json_put_int(&w, "objects_done", (int64_t)report->objects);
		json_put_int(&w, "bytes_done", (int64_t)report->bytes);
		json_put_int(&w, "duration_us", report->duration_us);
		json_object_end(&w);
		cmd_reply(call, &out, &w, false);
	}
}

bool cmd_take_date(struct core *c, struct control_call *call,
	const struct json *params, int64_t *ret_nominal_s)
{
	const struct conf_job *job = conf_find_job(c->conf, json_get_str(params, "job"));
	int64_t from, until;
	struct slot slot;

	if (!json_get_str(params, "date"))
		return true;
	if (!cmd_take_period(call, params, "date", job->timezone, &from, &until))
		return false;
	*ret_nominal_s = from;
	if (job->schedule && schedule_next(job->schedule, from - 1, &slot) == 0 &&
		slot.at_s < until)
		*ret_nominal_s = slot.at_s;
	return true;
}

static void on_run(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	const char *name = json_get_str(params, "job");
	struct core_watcher *watcher;
	int64_t nominal_s = 0;
	struct core_run *cr;
	struct json_writer w;
	struct buf out;
	int r;

	if (!name || !conf_find_job(c->conf, name)) {
		cmd_no_such_job(c, call, name ? name : "");
		return;
	}
	if (c->is_stopping) {
		control_error(call, "io.s3ferry.Stopping", NULL);
		return;
	}
	if (!cmd_take_date(c, call, params, &nominal_s))
		return;
	cr = core_claim_manual(c, name, nominal_s, &r);
	if (!cr) {
		control_error(call,
			r == -EEXIST ? "io.s3ferry.AlreadyRunning"
				     : "io.s3ferry.StateFailed",
			NULL);
		return;
	}
	cr->allow_deletes = json_get_int(params, "allow_deletes", 0);
	log_info(LOG_FIELDS({"JOB", name}, {"RUN_ID", cr->row.id}, {"TRIGGER", "manual"}),
		"%s: run asked for by hand", name);
	cmd_begin(&w, &out);
	json_put_str(&w, "run", cr->row.id);
	json_put_str(&w, "job", name);
	json_object_end(&w);
	if (control_wants_more(call)) {
		watcher = mem_alloc(sizeof(*watcher));
		watcher->call = call;
		watcher->run = cr;
		list_append(&cr->watchers, &watcher->link);
		control_on_gone(call, on_watcher_gone, watcher);
		cmd_reply(call, &out, &w, true);
	} else {
		cmd_reply(call, &out, &w, false);
	}
	core_start_queued(c);
	core_update_status(c);
}

/* --- Next --- */

static void put_next(struct core *c, struct json_writer *w, const struct conf_job *job,
	const struct json *params, int64_t count)
{
	const char *from = json_get_str(params, "from");
	struct slot slot = {.at_s = core_now_s(c)};
	struct schedule_error e;
	int64_t from_s, unused;

	if (!job->schedule)
		return;
	if (from && period_parse(from, job->timezone, &from_s, &unused, &e) == 0)
		slot.at_s = from_s - 1;
	for (int64_t i = 0; i < count; i++) {
		if (schedule_next(job->schedule, slot.at_s, &slot) < 0)
			return;
		json_object_begin(w, NULL);
		json_put_str(w, "job", job->name);
		slot_put_json(w, &slot, sched_start_of(c->sched, job->name, slot.at_s));
		json_object_end(w);
	}
}

static void on_next(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	const char *name = json_get_str(params, "job");
	int64_t count = json_get_int(params, "count", name ? 5 : 1), from, until;
	struct json_writer w;
	struct buf out;

	if (name && !conf_find_job(c->conf, name)) {
		cmd_no_such_job(c, call, name);
		return;
	}
	if (count < 1 || count > COUNT_MAX)
		count = COUNT_MAX;
	if (json_get_str(params, "from") &&
		!cmd_take_period(call, params, "from", "UTC", &from, &until))
		return;
	cmd_begin(&w, &out);
	json_array_begin(&w, "slots");
	for (size_t i = 0; i < c->conf->job_count; i++) {
		if (!name || strcmp(name, c->conf->jobs[i]->name) == 0)
			put_next(c, &w, c->conf->jobs[i], params, count);
	}
	json_array_end(&w);
	json_object_end(&w);
	cmd_reply(call, &out, &w, false);
}

/* --- History, Cancel, Reload --- */

struct history {
	struct json_writer *w;
	size_t count;
};

static void put_history_row(void *arg, const struct store_run *row)
{
	struct history *h = arg;

	h->count++;
	cmd_put_run(h->w, NULL, row);
}

static void on_history(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	const char *name = json_get_str(params, "job");
	int64_t limit = json_get_int(params, "limit", 20);
	struct json_writer w;
	struct history h = {&w, 0};
	struct buf out;

	if (limit < 1 || limit > COUNT_MAX)
		limit = COUNT_MAX;
	cmd_begin(&w, &out);
	json_array_begin(&w, "runs");
	if (store_run_history(c->store, name, (int)limit, put_history_row, &h) < 0)
		w.failed = true;
	/* A job that was removed is known by its rows. */
	if (name && !h.count && !w.failed && !conf_find_job(c->conf, name)) {
		buf_done(&out);
		cmd_no_such_job(c, call, name);
		return;
	}
	json_array_end(&w);
	json_object_end(&w);
	cmd_reply(call, &out, &w, false);
}

static void on_cancel(void *arg, struct control_call *call, const struct json *params)
{
	struct core *c = arg;
	const char *target = json_get_str(params, "target");
	struct store_run row;
	bool is_run = target && store_run_get(c->store, target, &row) == 0;
	struct core_run *cr = target ? core_find_run(c, is_run ? row.id : target) : NULL;
	/* By its name a job ends all that was asked of it, by its id one run. */
	bool is_backfill = target && core_backfill_end(c, target) == 0;
	struct json_writer w;
	struct buf out;

	if (!cr && !is_backfill) {
		bool is_known = is_run || (target && conf_find_job(c->conf, target));

		control_error(call,
			is_known ? "io.s3ferry.NotRunning" : "io.s3ferry.NoSuchRun", NULL);
		return;
	}
	cmd_begin(&w, &out);
	json_put_str(&w, "run", cr ? cr->row.id : NULL);
	json_put_str(&w, "job", cr ? cr->row.job : target);
	json_put_bool(&w, "backfill", is_backfill);
	json_object_end(&w);
	if (cr)
		core_run_cancel(cr, RUN_CANCEL_ASKED);
	cmd_reply(call, &out, &w, false);
}

static void on_reload(void *arg, struct control_call *call, const struct json *params)
{
	_cleanup_free_ char *changes = NULL, *errors = NULL;
	int r = core_reload(arg, &changes, &errors);
	struct json_writer w;
	struct buf out;

	cmd_begin(&w, &out);
	json_put_str(&w, r < 0 ? "messages" : "changes", r < 0 ? errors : changes);
	json_object_end(&w);
	if (r < 0)
		control_error(call, "io.s3ferry.ConfigInvalid", buf_str(&out));
	else
		control_reply(call, buf_str(&out), false);
	buf_done(&out);
}

static void on_get_info(void *arg, struct control_call *call, const struct json *params)
{
	control_reply(call,
		"{\"vendor\":\"s3ferry\",\"product\":\"s3ferryd\",\"version\":"
		"\"" PACKAGE_VERSION "\",\"url\":\"\",\"interfaces\":[\"org.varlink."
				     "service\",\"io.s3ferry\"]}",
		false);
}

static void on_describe(void *arg, struct control_call *call, const struct json *params)
{
	const char *name = json_get_str(params, "interface");
	struct json_writer w;
	struct buf out;

	if (!name || strcmp(name, "io.s3ferry") != 0) {
		control_error(call, "org.varlink.service.InterfaceNotFound", NULL);
		return;
	}
	cmd_begin(&w, &out);
	json_put_str(&w, "description", core_interface);
	json_object_end(&w);
	cmd_reply(call, &out, &w, false);
}

/* clang-format off */
const struct control_verb core_verbs[] = {
	{"io.s3ferry.Status",           on_status, false},
	{"io.s3ferry.Run",              on_run, true},
	{"io.s3ferry.Plan",             cmd_plan, false},
	{"io.s3ferry.Show",             cmd_show, false},
	{"io.s3ferry.Verify",           cmd_verify, false},
	{"io.s3ferry.Find",             cmd_find, false},
	{"io.s3ferry.Next",             on_next, false},
	{"io.s3ferry.History",          on_history, false},
	{"io.s3ferry.Cancel",           on_cancel, true},
	{"io.s3ferry.Reload",           on_reload, true},
	{"io.s3ferry.Pause",            cmd_pause, true},
	{"io.s3ferry.Resume",           cmd_resume, true},
	{"io.s3ferry.Backfill",         cmd_backfill, true},
	{"org.varlink.service.GetInfo", on_get_info, false},
	{"org.varlink.service.GetInterfaceDescription", on_describe, false},
	{NULL, NULL, false},
};
/* clang-format on */
