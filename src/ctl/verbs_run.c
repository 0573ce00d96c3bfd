/* run and cancel. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/client.h"
#include "ctl/ctl.h"

#define PLAIN_LINE_US (10 * USEC_PER_SEC)

/* Ctrl-C leaves the run alone: only the looking ends. */
static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int signo)
{
	is_interrupted = 1;
}

static void show_progress(const struct json *p, int64_t *last_us)
{
	int64_t now = clock_mono_us(clock_system());
	int64_t total = json_get_int(p, "bytes_total", 0);
	int64_t done = json_get_int(p, "bytes_done", 0);
	bool is_tty = isatty(STDERR_FILENO);
	char a[32], b[32];

	if (!is_tty && now - *last_us < PLAIN_LINE_US)
		return;
	*last_us = now;
	str_format_size((uint64_t)done, a, sizeof(a));
	str_format_size((uint64_t)total, b, sizeof(b));
	fprintf(stderr, is_tty ? "\r\033[K%s  " : "%s  ", json_get_str(p, "job"));
	if (total > 0)
		fprintf(stderr, "%3d %%  %s of %s", (int)(done * 100 / total), a, b);
	else
		fprintf(stderr, "%s  %s", json_get_str(p, "state"), a);
	if (!is_tty)
		fputc('\n', stderr);
}

static int exit_of(const struct json *p)
{
	const char *verdict = json_get_str(p, "verdict"), *reason = json_get_str(p, "reason");
	const char *class = json_get_str(p, "error_class");

	if (str_eq(verdict, "succeeded"))
		return CTL_OK;
	if (str_eq(verdict, "partial"))
		return CTL_RUN_PARTIAL;
	if (str_eq(verdict, "parked"))
		return CTL_TEMPFAIL; /* it goes on by itself, but it is not there yet */
	if (str_eq(reason, "denied"))
		return CTL_NOPERM;
	if (str_eq(reason, "source_missing") || str_eq(reason, "bucket_missing"))
		return CTL_NOINPUT;
	if (str_eq(class, "retry") || str_eq(class, "throttle"))
		return CTL_TEMPFAIL;
	return CTL_RUN_FAILED;
}

static int show_end(const struct ctl_options *o, const struct json *reply)
{
	const struct json *p = json_get(reply, "parameters");
	const char *verdict = json_get_str(p, "verdict");

	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (o->is_json)
		ctl_print_json(reply);
	else if (verdict)
		printf("%s %s: %s\n", json_get_str(p, "job"), verdict,
			json_get_str(p, "message"));
	else
		printf("%s started, run %s\n", json_get_str(p, "job"), json_get_str(p, "run"));
	return verdict ? exit_of(p) : CTL_OK;
}

static int detach(const char *job)
{
	fprintf(stderr, "\nThe run goes on. To stop it: s3ferryctl cancel %s\n", job);
	return CTL_INTERRUPTED;
}

static int follow(const struct ctl_options *o, struct client *c)
{
	int64_t last_us = clock_mono_us(clock_system());

	for (;;) {
		struct json *reply = NULL;
		const char *error;
		int r = client_reply(c, &reply, &error), code = -1;

		if (r == -EINTR && is_interrupted)
			return detach(o->argv[0]);
		if (r < 0) {
			fputs("s3ferryctl: the daemon went away\n", stderr);
			return CTL_UNAVAILABLE;
		}
		if (error)
			code = ctl_tell_error(o, reply, error);
		else if (r == 0)
			code = show_end(o, reply);
		else if (o->is_json)
			ctl_print_json(reply);
		else if (json_get(json_get(reply, "parameters"), "bytes_done"))
			show_progress(json_get(reply, "parameters"), &last_us);
		json_free(reply);
		if (code >= 0)
			return code; /* an end that came before Ctrl-C took hold is told */
		if (is_interrupted)
			return detach(o->argv[0]);
	}
}

static char *job_and_date(const struct ctl_options *o)
{
	struct buf out = BUF_INIT(8192);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "job", o->argv[0]);
	if (o->date)
		json_put_str(&w, "date", o->date);
	if (o->allow_deletes)
		json_put_int(&w, "allow_deletes", o->allow_deletes);
	json_object_end(&w);
	return buf_take(&out);
}

int verb_run(const struct ctl_options *o)
{
	_cleanup_free_ char *params = job_and_date(o);
	struct sigaction act = {.sa_handler = on_interrupt};
	struct client *c;
	int code;

	if (o->is_dry_run)
		return verb_plan(o);
	c = ctl_connect(o, &code);
	if (!c)
		return code;
	sigaction(SIGINT, &act, NULL); /* without SA_RESTART: recv() returns */
	code = client_call(c, "io.s3ferry.Run", params, o->waits) < 0 ? CTL_UNAVAILABLE
								       : follow(o, c);
	client_close(c);
	return code;
}

int verb_cancel(const struct ctl_options *o)
{
	_cleanup_free_ char *params = ctl_param("target", o->argv[0]);
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.Cancel", params, &code);
	const struct json *p = json_get(reply, "parameters");

	if (!reply)
		return code;
	if (o->is_json)
		ctl_print_json(reply);
	else if (json_get_str(p, "run"))
		printf("%s: run %s is being cancelled\n", json_get_str(p, "job"),
			json_get_str(p, "run"));
	if (!o->is_json && json_get_bool(p, "backfill", false))
		printf("%s: no more dates of its backfill are run\n", json_get_str(p, "job"));
	json_free(reply);
	return CTL_OK;
}
