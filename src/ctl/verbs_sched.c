/* pause, resume and backfill: what the scheduler is told by hand. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl.h"
#include "ctl/render.h"

#define PARAMS_MAX 8192

static char *job_or_all(const struct ctl_options *o)
{
	struct buf out = BUF_INIT(PARAMS_MAX);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	if (o->argc)
		json_put_str(&w, "job", o->argv[0]);
	else
		json_put_bool(&w, "all", true);
	if (o->for_s)
		json_put_int(&w, "for_s", o->for_s);
	json_object_end(&w);
	return buf_take(&out);
}

static int steer(const struct ctl_options *o, const char *method, const char *what)
{
	_cleanup_free_ char *params = job_or_all(o);
	const struct json *p, *jobs;
	struct json *reply;
	const char *until;
	char at[48];
	int code;

	if ((o->argc == 0) != o->is_all) {
		fputs("s3ferryctl: name a job, or --all\n", stderr);
		return CTL_USAGE;
	}
	reply = ctl_ask(o, method, params, &code);
	if (!reply)
		return code;
	p = json_get(reply, "parameters");
	jobs = json_get(p, "jobs");
	until = json_get_str(p, "until");
	if (o->is_json)
		ctl_print_json(reply);
	else if (json_array_len(jobs) == 0)
		puts(o->is_all ? "no job was paused by hand"
			       : "the job was not paused by hand");
	for (size_t i = 0; !o->is_json && i < json_array_len(jobs); i++)
		printf("%s %s%s%s\n", json_as_str(json_array_at(jobs, i)), what,
			until ? " until " : "",
			until ? render_time(until, at, sizeof(at)) : "");
	json_free(reply);
	return CTL_OK;
}

int verb_pause(const struct ctl_options *o)
{
	return steer(o, "io.s3ferry.Pause", "is paused");
}

int verb_resume(const struct ctl_options *o)
{
	return steer(o, "io.s3ferry.Resume", "runs again");
}

static char *dates(const struct ctl_options *o)
{
	struct buf out = BUF_INIT(PARAMS_MAX);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "job", o->argv[0]);
	json_put_str(&w, "from", o->argv[1]);
	json_put_str(&w, "to", o->argv[2]);
	json_put_bool(&w, "again", o->is_again);
	json_put_bool(&w, "dry_run", o->is_dry_run);
	json_object_end(&w);
	return buf_take(&out);
}

static void show_plan(const struct ctl_options *o, const struct json *slots)
{
	static const char *const columns[] = {"SLOT", "ZONE", "UTC", "WOULD", "MARK", NULL};
	struct table *t = table_new(columns);

	for (size_t i = 0; i < json_array_len(slots); i++) {
		const struct json *s = json_array_at(slots, i);
		bool is_done = json_get_bool(s, "has_succeeded", false);
		char local[64];

		table_row(t, (const char *[]){render_local(s, "local", local, sizeof(local)),
				     json_get_str(s, "zone"), json_get_str(s, "at"),
				     is_done && !o->is_again ? "not run: it has succeeded"
				     : is_done               ? "run again"
							     : "run",
				     json_get_str(s, "mark") ? json_get_str(s, "mark") : ""});
	}
	table_print(t);
}

static void show_backfill(const struct ctl_options *o, const struct json *p)
{
	long long count = json_get_int(p, "count", 0), done = json_get_int(p, "done", 0);
	const char *job = json_get_str(p, "job");

	if (o->is_dry_run)
		show_plan(o, json_get(p, "slots"));
	if (count)
		printf(o->is_dry_run ? "%s: %lld slot%s would run\n"
				     : "%s: %lld slot%s, one after another; s3ferryctl "
				       "history shows them\n",
			job, count, count == 1 ? "" : "s");
	else
		printf("%s: nothing to run between these dates\n", job);
	if (done && !o->is_again)
		printf("%lld more ha%s succeeded; --again runs %s too\n", done,
			done == 1 ? "s" : "ve", done == 1 ? "it" : "them");
}

int verb_backfill(const struct ctl_options *o)
{
	_cleanup_free_ char *params = dates(o);
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.Backfill", params, &code);

	if (!reply)
		return code;
	if (o->is_json)
		ctl_print_json(reply);
	else
		show_backfill(o, json_get(reply, "parameters"));
	json_free(reply);
	return CTL_OK;
}
