/*
 * metrics: what status knows, in the text format 0.0.4 of Prometheus, for the textfile
 * collector of its node exporter. No port is opened for it.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "ctl/ctl.h"

static void head_of(const char *name, const char *type, const char *help)
{
	printf("# HELP s3ferry_%s %s\n# TYPE s3ferry_%s %s\n", name, help, name, type);
}

static void head(const char *name, const char *help)
{
	head_of(name, "gauge", help);
}

/* Names of jobs need no escaping: conf allows letters, digits, '.', '_' and '-'. */
static void put(const char *name, const struct json *job, int64_t value)
{
	printf("s3ferry_%s{job=\"%s\"} %" PRId64 "\n", name, json_get_str(job, "name"), value);
}

/* 0 where there is none. */
static int64_t time_of(const struct json *v, const char *key)
{
	const char *iso = json_get_str(v, key);
	int64_t at;

	return iso && clock_parse_iso(iso, &at) == 0 ? at : 0;
}

static int64_t last_success_of(const struct json *job)
{
	return time_of(job, "last_success_at");
}

static int64_t last_run_of(const struct json *job)
{
	return time_of(json_get(job, "last"), "ended_at");
}

static int64_t next_run_of(const struct json *job)
{
	return time_of(job, "next_effective");
}

static int64_t overdue_of(const struct json *job)
{
	return json_get_bool(job, "overdue", false);
}

static int64_t paused_of(const struct json *job)
{
	return json_get_bool(job, "paused", false);
}

static int64_t running_of(const struct json *job)
{
	return json_get(job, "running") != NULL;
}

static int64_t failures_of(const struct json *job)
{
	return json_get_int(job, "consecutive_failures", 0);
}

static const struct {
	const char *name, *help;
	int64_t (*of)(const struct json *job);
} per_job[] = {
	{"job_last_success_timestamp_seconds", "End of the newest success; 0: none yet.",
		last_success_of},
	{"job_last_run_timestamp_seconds", "End of the newest run; 0: none yet.", last_run_of},
	{"job_next_run_timestamp_seconds", "When it runs next; 0: never.", next_run_of},
	{"job_overdue", "1: a slot has had no success in time.", overdue_of},
	{"job_paused", "1: its slots do not run.", paused_of},
	{"job_running", "1: a run is under way.", running_of},
	{"job_consecutive_failures", "Failed or partial runs since the newest success.",
		failures_of},
};

static void put_engines(const struct json *e)
{
	const struct json *slowed = json_get(e, "slowed");

	head("engines", "Engines, each with its own loop.");
	printf("s3ferry_engines %" PRId64 "\n", json_get_int(e, "count", 0));
	head("objects_under_way", "Objects that the engines move or remove now.");
	printf("s3ferry_objects_under_way %" PRId64 "\n",
		json_get_int(e, "transfers", 0));
	head("bytes_in_flight", "What the buffers of all that is under way may hold.");
	printf("s3ferry_bytes_in_flight %" PRId64 "\n",
		json_get_int(e, "bytes_in_flight", 0));
	head_of("requests_sent_again_total", "counter",
		"Requests to S3 that failed and were sent again, since the daemon began.");
	printf("s3ferry_requests_sent_again_total %" PRId64 "\n",
		json_get_int(e, "sent_again", 0));
	head("loop_longest_turn_seconds",
		"How long the core was busy at once, at most, in the last minute or two.");
	printf("s3ferry_loop_longest_turn_seconds %.6f\n",
		(double)json_get_int(e, "longest_turn_us", 0) / 1e6);
	head("bandwidth_limit_bytes_per_second", "Limit of all jobs together; 0: none.");
	printf("s3ferry_bandwidth_limit_bytes_per_second %" PRId64 "\n",
		json_get_int(e, "bandwidth_limit", 0));
	head("slowed_buckets", "Buckets that asked for less and have not recovered.");
	printf("s3ferry_slowed_buckets %zu\n", json_array_len(slowed));
}

int verb_metrics(const struct ctl_options *o)
{
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.Status", NULL, &code);
	const struct json *p = json_get(reply, "parameters"), *jobs = json_get(p, "jobs");
	const struct json *config = json_get(p, "config");

	if (!reply)
		return code;
	if (o->is_json) {
		ctl_print_json(reply);
		json_free(reply);
		return CTL_OK;
	}
	head("build_info", "The running s3ferryd.");
	printf("s3ferry_build_info{version=\"%s\"} 1\n", json_get_str(p, "version"));
	head("config_last_reload_successful", "0: the newest configuration was rejected.");
	printf("s3ferry_config_last_reload_successful %d\n", !json_get_str(config, "error"));
	head("config_last_reload_success_timestamp_seconds",
		"When the running configuration was loaded.");
	printf("s3ferry_config_last_reload_success_timestamp_seconds %" PRId64 "\n",
		time_of(config, "loaded_at"));
	put_engines(json_get(p, "engines"));
	for (size_t m = 0; m < ARRAY_LEN(per_job); m++) {
		head(per_job[m].name, per_job[m].help);
		for (size_t i = 0; i < json_array_len(jobs); i++) {
			const struct json *job = json_array_at(jobs, i);

			put(per_job[m].name, job, per_job[m].of(job));
		}
	}
	json_free(reply);
	return CTL_OK;
}
