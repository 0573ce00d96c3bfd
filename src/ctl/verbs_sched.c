/* pause and resume: what the scheduler is told by hand. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
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
