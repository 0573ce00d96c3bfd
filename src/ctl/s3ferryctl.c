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
	{"status",  "",             "jobs, what they do and did last (default)", 0, 0, verb_status},
	{"run",     "JOB [--wait]", "run a job now",                             1, 1, verb_run},
	{"next",    "[JOB] [-n N]", "the next slots",                            0, 1, verb_next},
	{"history", "[JOB] [-n N]", "the ledger, newest first",                  0, 1, verb_history},
	{"cancel",  "RUN|JOB",      "stop a run",                                1, 1, verb_cancel},
	{"pause",   "JOB [--for 2h]", "run no slots of a job, or --all",         0, 1, verb_pause},
	{"resume",  "JOB",          "run slots again, or --all",                 0, 1, verb_resume},
	{"reload",  "[--wait]",     "load the configuration anew",               0, 0, verb_reload},
	{"check",   "[FILE]",       "say what is wrong with a configuration",    0, 1, verb_check},
	{NULL},
};
/* clang-format on */

static void usage(FILE *out)
{
	fputs("usage: s3ferryctl [--socket PATH] [--json] [VERB ...]\n\n", out);
	for (const struct ctl_verb *v = ctl_verbs; v->name; v++)
		fprintf(out, "  %-8s %-14s %s\n", v->name, v->args, v->help);
	fprintf(out,
		"\n      --socket PATH  control socket (%s, or $S3FERRY_SOCKET)\n"
		"      --json         for programs: one JSON object a line\n"
		"  -n N               so many rows\n"
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
	fputs(*ret_exit == CTL_NOPERM
			? "  only root and members of the group s3ferry may ask the daemon\n"
			: "  does the daemon run? systemctl start s3ferryd\n",
		stderr);
	return NULL;
}

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
	if (strcmp(error, "io.s3ferry.NoSuchRun") == 0) {
		fputs("s3ferryctl: no such run is under way\n", stderr);
		return CTL_NOINPUT;
	}
	if (strcmp(error, "io.s3ferry.AlreadyRunning") == 0) {
		fputs("s3ferryctl: the job runs already (overlap: skip)\n", stderr);
		return CTL_TEMPFAIL;
	}
	if (strcmp(error, "io.s3ferry.PausedInConfig") == 0) {
		fputs("s3ferryctl: the configuration pauses the job (paused: true); change it "
		      "there and reload\n",
			stderr);
		return CTL_CONFIG;
	}
	if (strcmp(error, "io.s3ferry.ConfigInvalid") == 0) {
		fprintf(stderr, "%sThe running configuration stays in force.\n",
			text ? text : "");
		return CTL_CONFIG;
	}
	fprintf(stderr, "s3ferryctl: the daemon answers %s\n", error);
	return strcmp(error, "io.s3ferry.Stopping") == 0 ? CTL_TEMPFAIL : CTL_SOFTWARE;
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

static int dispatch(const char *name, const struct ctl_options *o)
{
	const char *names[16];
	const char *near;
	size_t n = 0;

	for (const struct ctl_verb *v = ctl_verbs; v->name; v++) {
		names[n++] = v->name;
		if (strcmp(v->name, name) != 0)
			continue;
		if (o->argc >= v->min_args && o->argc <= v->max_args)
			return v->run(o);
		fprintf(stderr, "usage: s3ferryctl %s %s\n", v->name, v->args);
		return CTL_USAGE;
	}
	names[n] = NULL;
	near = str_nearest(name, names);
	fprintf(stderr, "s3ferryctl: there is no verb '%s'", name);
	fprintf(stderr, near ? "; did you mean '%s'?\n" : "; see --help%s\n", near ? near : "");
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	enum { OPT_SOCKET = 256, OPT_JSON, OPT_WAIT, OPT_ALL, OPT_FOR };
	static const struct option longs[] = {
		{"socket", required_argument, NULL, OPT_SOCKET},
		{"json", no_argument, NULL, OPT_JSON},
		{"wait", no_argument, NULL, OPT_WAIT},
		{"all", no_argument, NULL, OPT_ALL},
		{"for", required_argument, NULL, OPT_FOR},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL},
	};
	const char *env = getenv("S3FERRY_SOCKET");
	struct ctl_options o = {.socket = env && *env ? env : CTL_SOCKET};
	uint64_t count;
	int opt;

	while ((opt = getopt_long(argc, argv, "n:hV", longs, NULL)) != -1) {
		switch (opt) {
		case OPT_SOCKET:
			o.socket = optarg;
			break;
		case OPT_JSON:
			o.is_json = true;
			break;
		case OPT_WAIT:
			o.waits = true;
			break;
		case OPT_ALL:
			o.is_all = true;
			break;
		case OPT_FOR:
			if (str_to_duration_s(optarg, &o.for_s) < 0 || o.for_s <= 0) {
				fputs("s3ferryctl: --for takes 30m, 2h or 7d\n", stderr);
				return CTL_USAGE;
			}
			break;
		case 'n':
			if (str_to_uint(optarg, 1000, &count) < 0 || count == 0) {
				fputs("s3ferryctl: -n takes 1 to 1000\n", stderr);
				return CTL_USAGE;
			}
			o.count = (long)count;
			break;
		case 'h':
			usage(stdout);
			return CTL_OK;
		case 'V':
			puts("s3ferryctl " PACKAGE_VERSION);
			return CTL_OK;
		default:
			return CTL_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	o.argc = argc ? argc - 1 : 0;
	o.argv = argv + 1;
	return dispatch(argc ? argv[0] : "status", &o);
}
