/* s3ferryctl: options, the table of verbs, and how errors become exit codes. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "daemon/ctl_proto.h"

/* clang-format off */
const struct ctl_verb ctl_verbs[] = {
	{"status",   "", "jobs, what they do and did last (default)", 0, 0, "", verb_status},
	{"run",      "JOB [--wait] [--date DATE] [--dry-run] [--allow-deletes N]",
		"run a job now, or for a date", 1, 1, "wait date dry-run allow-deletes n", verb_run},
	{"plan",     "JOB [--date DATE] [-n N]", "what a run would do; writes nothing", 1, 1, "date n", verb_plan},
	{"show",     "RUN|JOB [--verify]", "a run, and its objects by reason", 1, 1, "verify", verb_show},
	{"explain",  "JOB KEY [--date DATE]", "why a key is copied, or is not", 2, 2, "date", verb_explain},
	{"next",     "[JOB|EXPRESSION] [-n N] [--from TIME] [--timezone Z] [-c FILE]",
		"the next slots; needs no daemon", 0, 1, "n from timezone config", verb_next},
	{"calendar", "JOB|EXPRESSION [--month] [YYYY-MM] [--timezone Z] [-c FILE]",
		"a month at a glance", 1, 2, "month timezone config", verb_calendar},
	{"history",  "[JOB] [-n N]", "the ledger, newest first", 0, 1, "n", verb_history},
	{"metrics",  "", "for the textfile collector of Prometheus", 0, 0, "", verb_metrics},
	{"backfill", "JOB FROM TO [--dry-run] [--again]", "run the slots of past dates", 3, 3, "dry-run again", verb_backfill},
	{"cancel",   "RUN|JOB", "stop a run, or the backfill of a job", 1, 1, "", verb_cancel},
	{"pause",    "JOB|--all [--for 2h]", "run no slots of a job", 0, 1, "all for", verb_pause},
	{"resume",   "JOB|--all", "run slots again", 0, 1, "all", verb_resume},
	{"reload",   "[--wait]", "load the configuration anew", 0, 0, "wait", verb_reload},
	{"check",    "[FILE]", "say what is wrong with a configuration", 0, 1, "config", verb_check},
	{NULL},
};
/* clang-format on */

static void usage(FILE *out)
{
	fputs("usage: s3ferryctl [--socket PATH] [--json] [VERB ...]\n\n", out);
	for (const struct ctl_verb *v = ctl_verbs; v->name; v++)
		fprintf(out, strlen(v->args) > 18 ? "  %-8s %s\n%30s%s\n" : "  %-8s %-18s %s%s\n",
			v->name, v->args, strlen(v->args) > 18 ? "" : v->help,
			strlen(v->args) > 18 ? v->help : "");
	fprintf(out,
		"\n      --socket PATH  not %s, nor $S3FERRY_SOCKET\n"
		"      --json         for programs: one JSON object a line\n"
		"  -c, --config FILE  next, calendar, check: of this file\n"
		"  -n N               so many rows\n"
		"      --from TIME    next: not from now but from 2026-11-01, 2026-11-01T07:00\n"
		"      --timezone Z   next, calendar: of an expression\n"
		"      --date DATE    run, plan: for the slot of that date\n"
		"      --dry-run      run: as plan; backfill: say what would run\n"
		"      --allow-deletes N  run: delete up to N objects this once\n"
		"      --again        backfill: also what has succeeded\n"
		"      --verify       show: whether the manifest is what was written\n"
		"      --all          every job\n"
		"      --for TIME     end the pause after 30m, 2h or 7d\n"
		"  -h, --help\n"
		"  -V, --version\n",
		CTL_SOCKET);
}

void ctl_print_json(const struct json *reply)
{
	struct buf out = BUF_INIT(CTL_REPLY_MAX);

	if (json_dump(json_get(reply, "parameters"), &out) == 0)
		puts(buf_str(&out));
	fflush(stdout);
	buf_done(&out);
}

char *ctl_param(const char *name, const char *value)
{
	struct buf out = BUF_INIT(CTL_REQUEST_MAX);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_str(&w, name, value);
	json_object_end(&w);
	return buf_take(&out);
}

struct client *ctl_connect(const struct ctl_options *o, int *ret_exit)
{
	struct client *c = client_open(o->socket);

	if (c)
		return c;
	*ret_exit = errno == EACCES ? CTL_NOPERM : CTL_UNAVAILABLE;
	fprintf(stderr, "s3ferryctl: %s: %s\n", o->socket, strerror(errno));
	if (*ret_exit == CTL_NOPERM)
		fputs("  only root and members of the group s3ferry may ask the daemon\n",
			stderr);
	else if (errno == ENOENT || errno == ECONNREFUSED)
		fputs("  does the daemon run? systemctl start s3ferryd\n", stderr);
	return NULL;
}

/* Errors that have nothing to add. */
static const struct {
	const char *error, *text;
	int exit;
} said[] = {
	{"io.s3ferry.NoSuchRun",
		"there is no such run and no such job; s3ferryctl history has the runs",
		CTL_NOINPUT},
	{"io.s3ferry.NotRunning", "it is not under way: nothing to cancel", CTL_NOINPUT},
	{"io.s3ferry.NoRunYet", "the job has not run yet", CTL_NOINPUT},
	{"io.s3ferry.NoManifest", "no manifest is kept of this run", CTL_NOINPUT},
	{"io.s3ferry.AlreadyRunning", "the job runs already (overlap: skip)", CTL_TEMPFAIL},
	{"io.s3ferry.PausedInConfig",
		"the configuration pauses the job (paused: true); change it there and reload",
		CTL_CONFIG},
	{"io.s3ferry.NoSchedule", "the job has no schedule of its own, so it has no past slots",
		CTL_CONFIG},
	{"io.s3ferry.TooManyDates", "more than 10,000 slots; ask for less at once", CTL_USAGE},
	{"io.s3ferry.BackfillUnderWay",
		"a backfill of this job is under way; s3ferryctl cancel JOB ends it", CTL_TEMPFAIL},
	{"io.s3ferry.Stopping", "the daemon is stopping", CTL_TEMPFAIL},
	{"io.s3ferry.StateFailed",
		"the daemon could not write its state, so it did nothing: is the disk of its state "
		"directory full? Its log has the reason",
		CTL_TEMPFAIL},
	{"io.s3ferry.TooLarge", "the answer would be too large; ask for less at once", CTL_USAGE},
};

int ctl_tell_error(const struct ctl_options *o, const struct json *reply, const char *error)
{
	const struct json *p = json_get(reply, "parameters");
	const char *near = json_get_str(p, "nearest"), *text = json_get_str(p, "messages");

	if (o->is_json) {
		struct buf out = BUF_INIT(CTL_REPLY_MAX);

		json_dump(reply, &out);
		puts(buf_str(&out));
		buf_done(&out);
	}
	if (strcmp(error, "io.s3ferry.NoSuchJob") == 0) {
		fprintf(stderr, "s3ferryctl: there is no job '%s'", json_get_str(p, "job"));
		fprintf(stderr, near ? "; did you mean '%s'?\n" : "%s\n", near ? near : "");
		return CTL_NOINPUT;
	}
	if (strcmp(error, "io.s3ferry.BadDate") == 0) {
		fprintf(stderr, "s3ferryctl: %s; %s\n", json_get_str(p, "text"),
			json_get_str(p, "hint"));
		return CTL_USAGE;
	}
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		if (strcmp(error, said[i].error) != 0)
			continue;
		fprintf(stderr, "s3ferryctl: %s\n", said[i].text);
		return said[i].exit;
	}
	if (strcmp(error, "io.s3ferry.ConfigInvalid") == 0) {
		fprintf(stderr, "%sThe running configuration stays in force.\n",
			text ? text : "");
		return CTL_CONFIG;
	}
	fprintf(stderr, "s3ferryctl: the daemon answers %s\n", error);
	return CTL_SOFTWARE;
}

struct json *ctl_ask(const struct ctl_options *o, const char *method, const char *params,
	int *ret_exit)
{
	struct client *c = ctl_connect(o, ret_exit);
	struct json *reply = NULL;
	const char *error = NULL;

	if (!c)
		return NULL;
	if (client_call(c, method, params, false) < 0 || client_reply(c, &reply, &error) < 0) {
		fputs("s3ferryctl: the daemon went away\n", stderr);
		*ret_exit = CTL_UNAVAILABLE;
	} else if (error) {
		*ret_exit = ctl_tell_error(o, reply, error);
		reply = json_free(reply);
	}
	client_close(c);
	return reply;
}

/* Whether the blank-separated list has the word. */
static bool is_listed(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += len)
		if ((at == list || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return true;
	return false;
}

/* An option that a verb would not look at is a mistake, not a wish. */
static int call_verb(const struct ctl_verb *v, const struct ctl_options *o)
{
	const char *odd = NULL;

	for (size_t i = 0; i < o->given_count && !odd; i++)
		if (!is_listed(v->options, o->given[i]))
			odd = o->given[i];
	if (!odd && o->argc >= v->min_args && o->argc <= v->max_args)
		return v->run(o);
	if (odd)
		fprintf(stderr, "s3ferryctl: %s takes no %s%s\n", v->name,
			odd[1] ? "--" : "-", odd);
	fprintf(stderr, "usage: s3ferryctl %s%s%s\n", v->name, *v->args ? " " : "", v->args);
	return CTL_USAGE;
}

static int dispatch(const char *name, const struct ctl_options *o)
{
	const char *names[32];
	const char *near;
	size_t n = 0;

	if (strcmp(name, "help") == 0) {
		usage(stdout);
		return CTL_OK;
	}
	for (const struct ctl_verb *v = ctl_verbs; v->name; v++) {
		names[n++] = v->name;
		if (strcmp(v->name, name) == 0)
			return call_verb(v, o);
	}
	names[n] = NULL;
	near = str_nearest(name, names);
	fprintf(stderr, "s3ferryctl: there is no verb '%s'", name);
	fprintf(stderr, near ? "; did you mean '%s'?\n" : "; see --help%s\n", near ? near : "");
	return CTL_USAGE;
}

enum {
	OPT_SOCKET = 256,
	OPT_JSON,
	OPT_WAIT,
	OPT_ALL,
	OPT_FOR,
	OPT_FROM,
	OPT_TIMEZONE,
	OPT_DATE,
	OPT_MONTH,
	OPT_AGAIN,
	OPT_VERIFY,
	OPT_DRY_RUN,
	OPT_ALLOW_DELETES,
};

static const struct option longs[] = {
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"json", no_argument, NULL, OPT_JSON},
	{"wait", no_argument, NULL, OPT_WAIT},
	{"all", no_argument, NULL, OPT_ALL},
	{"for", required_argument, NULL, OPT_FOR},
	{"config", required_argument, NULL, 'c'},
	{"from", required_argument, NULL, OPT_FROM},
	{"timezone", required_argument, NULL, OPT_TIMEZONE},
	{"date", required_argument, NULL, OPT_DATE},
	{"month", optional_argument, NULL, OPT_MONTH},
	{"again", no_argument, NULL, OPT_AGAIN},
	{"verify", no_argument, NULL, OPT_VERIFY},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"allow-deletes", required_argument, NULL, OPT_ALLOW_DELETES},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL},
};

static bool take_flag(int opt, struct ctl_options *o)
{
	const struct {
		int opt;
		bool *to;
	} flags[] = {{OPT_JSON, &o->is_json}, {OPT_WAIT, &o->waits}, {OPT_ALL, &o->is_all},
		{OPT_AGAIN, &o->is_again}, {OPT_DRY_RUN, &o->is_dry_run},
		{OPT_VERIFY, &o->is_verify}};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (flags[i].opt == opt)
			return *flags[i].to = true;
	}
	return false;
}

static bool take_text(int opt, struct ctl_options *o)
{
	const struct {
		int opt;
		const char **to;
	} texts[] = {{OPT_SOCKET, &o->socket}, {'c', &o->config}, {OPT_FROM, &o->from},
		{OPT_TIMEZONE, &o->timezone}, {OPT_DATE, &o->date}, {OPT_MONTH, &o->month}};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i].opt != opt)
			continue;
		*texts[i].to = optarg;
		return true;
	}
	return false;
}

/* What a verb may refuse; --socket and --json are of all. */
static void note_given(int opt, struct ctl_options *o)
{
	const char *name = opt == 'n' ? "n" : NULL;

	for (size_t i = 0; longs[i].name; i++)
		if (longs[i].val == opt)
			name = longs[i].name;
	if (name && opt != OPT_SOCKET && opt != OPT_JSON &&
		o->given_count < ARRAY_LEN(o->given))
		o->given[o->given_count++] = name;
}

/* opt: '?', or ':' where the value is missing. */
static int tell_bad_option(int opt, const char *text)
{
	const char *names[ARRAY_LEN(longs)], *near = NULL;
	size_t n = 0;

	if (opt == ':') {
		fprintf(stderr, "s3ferryctl: %s needs a value; see --help\n", text);
		return CTL_USAGE;
	}
	for (; longs[n].name; n++)
		names[n] = longs[n].name;
	names[n] = NULL;
	if (strncmp(text, "--", 2) == 0)
		near = str_nearest(text + 2, names);
	fprintf(stderr, "s3ferryctl: there is no option '%s'", text);
	fprintf(stderr, near ? "; did you mean '--%s'?\n" : "; see --help%s\n",
		near ? near : "");
	return CTL_USAGE;
}

/* -1, or how to end. */
static int take_option(int opt, struct ctl_options *o)
{
	uint64_t count;

	switch (opt) {
	case OPT_FOR:
		if (str_to_duration_s(optarg, &o->for_s) == 0 && o->for_s > 0)
			return -1;
		fputs("s3ferryctl: --for takes 30m, 2h or 7d\n", stderr);
		return CTL_USAGE;
	case OPT_ALLOW_DELETES:
		if (str_to_uint(optarg, INT64_MAX, &count) == 0 && count) {
			o->allow_deletes = (int64_t)count;
			return -1;
		}
		fputs("s3ferryctl: --allow-deletes takes a number of objects\n", stderr);
		return CTL_USAGE;
	case 'n':
		if (str_to_uint(optarg, 1000, &count) == 0 && count) {
			o->count = (long)count;
			return -1;
		}
		fputs("s3ferryctl: -n takes 1 to 1000\n", stderr);
		return CTL_USAGE;
	case 'h':
		usage(stdout);
		return CTL_OK;
	case 'V':
		puts("s3ferryctl " PACKAGE_VERSION);
		return CTL_OK;
	}
	return take_flag(opt, o) || take_text(opt, o) ? -1 : CTL_USAGE;
}

int main(int argc, char **argv)
{
	const char *env = getenv("S3FERRY_SOCKET");
	struct ctl_options o = {.socket = env && *env ? env : CTL_SOCKET};
	int opt;

	while ((opt = getopt_long(argc, argv, ":c:n:hV", longs, NULL)) != -1) {
		int end = opt == '?' || opt == ':' ? tell_bad_option(opt, argv[optind - 1])
						   : take_option(opt, &o);

		if (end >= 0)
			return end;
		note_given(opt, &o);
	}
	argc -= optind;
	argv += optind;
	o.argc = argc ? argc - 1 : 0;
	o.argv = argv + 1;
	return dispatch(argc ? argv[0] : "status", &o);
}
