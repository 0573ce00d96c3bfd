/* plan, show and explain: what a run would do, what one did, and why. */
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

static char *plan_params(const struct ctl_options *o, const char *key)
{
	struct buf out = BUF_INIT(8192);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "job", o->argv[0]);
	if (key)
		json_put_str(&w, "key", key);
	if (o->date)
		json_put_str(&w, "date", o->date);
	if (o->count)
		json_put_int(&w, "limit", o->count);
	json_object_end(&w);
	return buf_take(&out);
}

static void show_counts(const struct json *counts)
{
	static const char *const columns[] = {
		"REASON", "OBJECTS", "BYTES", "MEANING", NULL};
	struct table *t;

	if (!json_array_len(counts))
		return;
	t = table_new(columns);
	for (size_t i = 0; i < json_array_len(counts); i++) {
		const struct json *c = json_array_at(counts, i);
		char objects[24], bytes[32];

		snprintf(objects, sizeof(objects), "%lld",
			(long long)json_get_int(c, "objects", 0));
		str_format_size(
			(uint64_t)json_get_int(c, "bytes", 0), bytes, sizeof(bytes));
		table_row(t, (const char *[]){json_get_str(c, "reason"), objects, bytes,
				     json_get_str(c, "text")});
	}
	table_print(t);
}

static char sign_of(const char *reason)
{
	if (str_eq(reason, "new"))
		return '+';
	return str_eq(reason, "gone") ? '-' : '~';
}

static void show_key(const char *key)
{
	struct buf out = BUF_INIT(8192);

	str_escape(&out, key, strlen(key));
	fputs(buf_str(&out), stdout);
	buf_done(&out);
}

static void show_objects(const struct json *objects)
{
	for (size_t i = 0; i < json_array_len(objects); i++) {
		const struct json *e = json_array_at(objects, i);
		char size[32] = "";

		if (json_get(e, "size"))
			str_format_size(
				(uint64_t)json_get_int(e, "size", 0), size, sizeof(size));
		printf("%c %-12s %10s  ", sign_of(json_get_str(e, "reason")),
			json_get_str(e, "reason"), size);
		show_key(json_get_str(e, "key"));
		putchar('\n');
	}
}

/* "a run asks S3 about 2,410 times: 4 list, 1203 get, 1203 put" */
static void show_requests(const struct json *requests)
{
	static const char *const kinds[] = {
		"list", "head", "get", "put", "copy", "delete", "restore"};
	const char *mark = ": ";
	long long sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		sum += json_get_int(requests, kinds[i], 0);
	printf("a run asks S3 about %lld time%s", sum, sum == 1 ? "" : "s");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		long long n = json_get_int(requests, kinds[i], 0);

		if (!n)
			continue;
		printf("%s%lld %s", mark, n, kinds[i]);
		mark = ", ";
	}
	puts("; nothing was written now");
}

static int show_plan(const struct json *p)
{
	const char *verdict = json_get_str(p, "verdict");
	bool is_good = str_eq(verdict, "succeeded");

	show_objects(json_get(p, "objects"));
	show_counts(json_get(p, "counts"));
	show_requests(json_get(p, "requests"));
	if (*json_get_str(p, "losses"))
		printf("not carried along: %s\n", json_get_str(p, "losses"));
	if (!is_good)
		printf("a run would %s (%s): %s\n",
			str_eq(verdict, "partial") ? "be partial" : "fail",
			json_get_str(p, "reason"), json_get_str(p, "message"));
	return is_good ? CTL_OK : CTL_RUN_FAILED;
}

int verb_plan(const struct ctl_options *o)
{
	_cleanup_free_ char *params = plan_params(o, NULL);
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.Plan", params, &code);
	const struct json *p = json_get(reply, "parameters");

	if (!reply)
		return code;
	if (!o->is_json) {
		code = show_plan(p);
	} else {
		ctl_print_json(reply);
		code = str_eq(json_get_str(p, "verdict"), "succeeded") ? CTL_OK
								       : CTL_RUN_FAILED;
	}
	json_free(reply);
	return code;
}

/* What the newest manifest of the job says; without one, nothing. key: as it names it. */
static void show_last(const struct ctl_options *o, const char *key)
{
	_cleanup_free_ char *params = NULL;
	struct buf out = BUF_INIT(8192);
	const struct json *p, *row;
	struct json_writer w;
	struct json *reply;
	char ended[48];
	int code;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "target", o->argv[0]);
	json_put_str(&w, "key", key);
	json_object_end(&w);
	params = buf_take(&out);
	reply = ctl_ask(o, "io.s3ferry.Find", params, &code);
	p = json_get(reply, "parameters");
	row = json_get(p, "row");
	if (reply && o->is_json) {
		ctl_print_json(reply);
	} else if (row) {
		const char *error = json_get_str(row, "error");
		const char *at = json_get_str(json_get(p, "run"), "ended_at");

		printf("last run:  %s%s%s%s (run %s, %s)\n", json_get_str(row, "reason"),
			json_get_bool(row, "begun", false)
				? ", begun, and the daemon was stopped"
				: "",
			error ? ": " : "", error ? error : "",
			json_get_str(json_get(p, "run"), "run"),
			render_time(at, ended, sizeof(ended)));
	} else if (reply && !json_get(p, "manifest")) {
		printf("last run:  no manifest of the job is kept\n");
	} else if (reply) {
		printf("last run:  neither side had this key\n");
	}
	json_free(reply);
}

int verb_explain(const struct ctl_options *o)
{
	_cleanup_free_ char *params = plan_params(o, o->argv[1]);
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.Plan", params, &code);
	const struct json *p = json_get(reply, "parameters");
	const struct json *now = json_array_at(json_get(p, "objects"), 0);
	const struct json *last = json_get(p, "delivered");
	const char *key = json_get_str(p, "key");

	if (!reply)
		return code;
	if (o->is_json)
		ctl_print_json(reply);
	if (key)
		show_last(o, key);
	if (!key && !o->is_json)
		puts("the source of this job is one key, and another one");
	if (o->is_json || !key) {
		json_free(reply);
		return CTL_OK;
	}
	if (last)
		printf("delivered: from ETag %s, to ETag %s\n",
			json_get_str(last, "source_etag"),
			json_get_str(last, "destination_etag"));
	else if (!json_get_bool(p, "is_single", false)) /* of those nothing is remembered */
		printf("delivered: not by this job, as far as it remembers\n");
	if (now)
		printf("now:       %s: %s\n", json_get_str(now, "reason"),
			json_get_str(now, "text"));
	else if (!str_eq(json_get_str(p, "verdict"), "succeeded"))
		printf("now:       %s\n", json_get_str(p, "message"));
	else
		printf("now:       neither side has this key\n");
	json_free(reply);
	return CTL_OK;
}

static int verify(const struct ctl_options *o)
{
	_cleanup_free_ char *params = ctl_param("target", o->argv[0]);
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.Verify", params, &code);
	const struct json *p = json_get(reply, "parameters");
	bool is_good = json_get_bool(p, "is_good", false);

	if (!reply)
		return code;
	if (o->is_json)
		ctl_print_json(reply);
	else if (is_good)
		printf("its %lld rows are those that were written; hash %s\n",
			(long long)json_get_int(p, "rows", 0), json_get_str(p, "hash"));
	else
		printf("damaged at line %lld: %s\n",
			(long long)json_get_int(p, "line", 0), json_get_str(p, "why"));
	json_free(reply);
	return is_good ? CTL_OK : CTL_RUN_FAILED;
}

int verb_show(const struct ctl_options *o)
{
	_cleanup_free_ char *params = ctl_param("target", o->argv[0]);
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.Show", params, &code);
	const struct json *p = json_get(reply, "parameters"), *run = json_get(p, "run");
	long long again = json_get_int(run, "sent_again", 0);
	char slot[48], ended[48];

	if (!reply)
		return code;
	if (o->is_json) {
		ctl_print_json(reply);
		json_free(reply);
		return o->is_verify ? verify(o) : CTL_OK;
	}
	printf("%s, run %s\n", json_get_str(run, "job"), json_get_str(run, "run"));
	printf("slot %s, ended %s\n",
		render_time(json_get_str(run, "nominal_at"), slot, sizeof(slot)),
		render_time(json_get_str(run, "ended_at"), ended, sizeof(ended)));
	printf("%s%s%s: %s\n", json_get_str(run, "state"),
		*json_get_str(run, "reason") ? ", " : "", json_get_str(run, "reason"),
		json_get_str(run, "message"));
	show_counts(json_get(p, "counts"));
	if (again)
		printf("%lld request%s to S3 failed and %s sent again\n", again,
			again == 1 ? "" : "s", again == 1 ? "was" : "were");
	if (json_get_str(p, "manifest"))
		printf("manifest: %s\n", json_get_str(p, "manifest"));
	json_free(reply);
	return o->is_verify ? verify(o) : CTL_OK;
}
