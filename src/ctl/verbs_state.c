/* status and history: what is and what was. Not what will be (verbs_next.c). */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl.h"
#include "ctl/render.h"

#define RUN_ID_SHOWN 8 /* digits: enough to ask for it */

static void status_head(const struct json *p)
{
	const struct json *config = json_get(p, "config"), *jobs = json_get(p, "jobs");
	const char *error = json_get_str(config, "error");
	size_t running = 0, failing = 0, overdue = 0, n = json_array_len(jobs);
	char up[32], loaded[48];

	for (size_t i = 0; i < n; i++) {
		const char *state = json_get_str(json_array_at(jobs, i), "state");

		running += str_eq(state, "running");
		failing += str_eq(state, "failing");
		overdue += json_get_bool(json_array_at(jobs, i), "overdue", false);
	}
	printf("s3ferryd %s, up %s, configuration of %s%s\n", json_get_str(p, "version"),
		str_format_duration(json_get_int(p, "uptime_s", 0) * 1000000, up, sizeof(up)),
		render_time(json_get_str(config, "loaded_at"), loaded, sizeof(loaded)),
		error ? " (a newer one was rejected)" : "");
	printf("%zu job%s: %zu running, %zu failing, %zu overdue\n", n, n == 1 ? "" : "s",
		running, failing, overdue);
	if (error)
		printf("rejected: %s\n", error);
}

/* What is under way, and what holds it back; nothing of an idle daemon. */
static void status_engines(const struct json *e)
{
	const struct json *slowed = json_get(e, "slowed");
	long long n = json_get_int(e, "count", 1),
		  transfers = json_get_int(e, "transfers", 0);
	int64_t limit = json_get_int(e, "bandwidth_limit", 0),
		again = json_get_int(e, "sent_again", 0),
		held = json_get_int(e, "bytes_in_flight", 0);
	char text[32];

	if (transfers || limit)
		printf("%lld engine%s: %lld object%s under way", n, n == 1 ? "" : "s",
			transfers, transfers == 1 ? "" : "s");
	if (held)
		printf(", %s in flight",
			str_format_size((uint64_t)held, text, sizeof(text)));
	if (limit)
		printf(", at most %s/s",
			str_format_size((uint64_t)limit, text, sizeof(text)));
	if ((transfers || limit) && again)
		printf(", %lld request%s sent again so far", (long long)again,
			again == 1 ? "" : "s");
	if (transfers || limit)
		printf(", the core busy for at most %.1f ms at once\n",
			(double)json_get_int(e, "longest_turn_us", 0) / 1e3);
	for (size_t i = 0; i < json_array_len(slowed); i++) {
		const struct json *s = json_array_at(slowed, i);
		const char *endpoint = json_get_str(s, "endpoint");

		printf("bucket %s at %s asks for less: %lld at once\n",
			json_get_str(s, "bucket"),
			endpoint && *endpoint ? endpoint : "AWS",
			(long long)json_get_int(s, "at_once", 0));
	}
}

static void result_of(const struct json *job, char *out, size_t size)
{
	const struct json *running = json_get(job, "running"), *last = json_get(job, "last");
	char done[32], total[32];

	if (running && !str_eq(json_get_str(job, "state"), "parked")) {
		str_format_size((uint64_t)json_get_int(running, "bytes_done", 0), done,
			sizeof(done));
		str_format_size((uint64_t)json_get_int(running, "bytes_total", 0), total,
			sizeof(total));
		snprintf(out, size, json_get(running, "bytes_total") ? "%s of %s" : "%s", done,
			total);
		return;
	}
	if (!last)
		snprintf(out, size, "-");
	else if (str_eq(json_get_str(last, "state"), "succeeded"))
		snprintf(out, size, "%s", json_get_str(last, "message"));
	else
		snprintf(out, size, "%s%s%s", json_get_str(last, "state"),
			*json_get_str(last, "reason") ? ": " : "",
			json_get_str(last, "reason"));
}

static void status_row(struct table *t, const struct json *job)
{
	char last[48], next[48], left[32], result[160], state[48];
	const char *next_at = json_get_str(job, "next_effective");
	const struct json *running = json_get(job, "running");
	const char *last_at = running ? json_get_str(running, "started_at")
				      : json_get_str(json_get(job, "last"), "ended_at");

	result_of(job, result, sizeof(result));
	snprintf(state, sizeof(state), "%s%s", json_get_str(job, "state"),
		json_get_bool(job, "overdue", false) &&
				!str_eq(json_get_str(job, "state"), "overdue")
			? ", overdue"
			: "");
	table_row(t, (const char *[]){json_get_str(job, "name"), state,
			     render_time(last_at, last, sizeof(last)), result,
			     render_time(next_at, next, sizeof(next)),
			     render_left(next_at, left, sizeof(left))});
}

int verb_status(const struct ctl_options *o)
{
	static const char *const columns[] = {
		"JOB", "STATE", "LAST", "RESULT", "NEXT", "LEFT", NULL};
	int code;
	char at[48];
	struct json *reply = ctl_ask(o, "io.s3ferry.Status", NULL, &code);
	const struct json *p = json_get(reply, "parameters"), *jobs = json_get(p, "jobs");
	struct table *t;

	if (!reply)
		return code;
	if (o->is_json) {
		ctl_print_json(reply);
		json_free(reply);
		return CTL_OK;
	}
	status_head(p);
	status_engines(json_get(p, "engines"));
	t = table_new(columns);
	for (size_t i = 0; i < json_array_len(jobs); i++)
		status_row(t, json_array_at(jobs, i));
	table_print(t);
	for (size_t i = 0; i < json_array_len(jobs); i++) {
		const struct json *job = json_array_at(jobs, i), *last = json_get(job, "last");

		if (str_eq(json_get_str(job, "state"), "failing") && last)
			printf("%s: %s\n", json_get_str(job, "name"),
				json_get_str(last, "message"));
		if (json_get_bool(job, "overdue", false))
			printf("%s: no success for its slot of %s\n", json_get_str(job, "name"),
				render_time(json_get_str(job, "overdue_slot"), at, sizeof(at)));
		if (json_get(job, "backfill"))
			printf("%s: %lld slots of its backfill are left\n",
				json_get_str(job, "name"),
				(long long)json_get_int(json_get(job, "backfill"), "left", 0));
	}
	json_free(reply);
	return CTL_OK;
}

static char *job_and_count(const struct ctl_options *o, const char *count_name)
{
	struct buf out = BUF_INIT(8192);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	if (o->argc)
		json_put_str(&w, "job", o->argv[0]);
	if (o->count)
		json_put_int(&w, count_name, o->count);
	json_object_end(&w);
	return buf_take(&out);
}

/* Of slots that share a row the first, and the last where there is most room. */
static void history_row(struct table *t, const struct json *r)
{
	int64_t n = json_get_int(r, "count", 1);
	const char *reason = json_get_str(r, "reason"), *told = json_get_str(r, "message");
	char at[48], last[48], result[96], count[24], id[RUN_ID_SHOWN + 1];
	_cleanup_free_ char *message = NULL;

	render_time(json_get_str(r, n == 1 ? "nominal_at" : "first_at"), at, sizeof(at));
	snprintf(result, sizeof(result), "%s%s%s", json_get_str(r, "state"),
		reason && *reason ? ": " : "", reason ? reason : "");
	snprintf(count, sizeof(count), n >= 1000 ? "%lld+" : "%lld", (long long)n);
	snprintf(id, sizeof(id), "%s", json_get_str(r, "run"));
	render_time(json_get_str(r, "last_at"), last, sizeof(last));
	message = n == 1 ? mem_strdup(told ? told : "")
			 : mem_printf("to %s%s%s", last, told && *told ? ": " : "",
				   told ? told : "");
	table_row(t, (const char *[]){at, json_get_str(r, "job"),
			     json_get_str(r, "trigger"), result, count, id, message});
}

int verb_history(const struct ctl_options *o)
{
	static const char *const columns[] = {
		"SLOT", "JOB", "BY", "RESULT", "SLOTS", "RUN", "MESSAGE", NULL};
	_cleanup_free_ char *params = job_and_count(o, "limit");
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.History", params, &code);
	const struct json *runs = json_get(json_get(reply, "parameters"), "runs");
	struct table *t;

	if (!reply)
		return code;
	if (o->is_json) {
		ctl_print_json(reply);
		json_free(reply);
		return CTL_OK;
	}
	if (!json_array_len(runs))
		puts("no runs yet");
	t = table_new(columns);
	for (size_t i = 0; i < json_array_len(runs); i++)
		history_row(t, json_array_at(runs, i));
	table_cut_last(t);
	table_print(t);
	json_free(reply);
	return CTL_OK;
}
