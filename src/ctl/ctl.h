/* Shared by the verbs of s3ferryctl: options, exit codes, the table. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct client;
struct json;

enum {
	CTL_OK = 0,
	CTL_RUN_FAILED = 1,
	CTL_RUN_PARTIAL = 2,
	CTL_USAGE = 64,
	CTL_NOINPUT = 66,     /* no such job or run */
	CTL_UNAVAILABLE = 69, /* the daemon does not answer */
	CTL_SOFTWARE = 70,
	CTL_TEMPFAIL = 75,
	CTL_NOPERM = 77,
	CTL_CONFIG = 78,
	CTL_INTERRUPTED = 130,
};

struct ctl_options {
	const char *socket;
	bool is_json, waits, is_all;
	long count;    /* -n; 0: the verb's own */
	int64_t for_s; /* 0: not given */
	const char *config;               /* -c, or NULL */
	const char *from, *timezone;      /* of next; NULL: not given */
	const char *date, *month;         /* of run, of calendar */
	bool is_again, is_dry_run, is_verify; /* of backfill, of run, of show */
	int64_t allow_deletes;            /* of run; 0: as the job says */
	const char *given[16]; /* names of the options, but for those of all verbs */
	size_t given_count;
	int argc;   /* what stands behind the verb */
	char **argv;
};

struct ctl_verb {
	const char *name, *args, *help;
	int min_args, max_args;
	const char *options; /* names of those it looks at, without dashes */
	int (*run)(const struct ctl_options *o);
};
extern const struct ctl_verb ctl_verbs[];

int verb_status(const struct ctl_options *o);
int verb_run(const struct ctl_options *o);
int verb_next(const struct ctl_options *o);
int verb_calendar(const struct ctl_options *o);
int verb_backfill(const struct ctl_options *o);
int verb_metrics(const struct ctl_options *o);
int verb_history(const struct ctl_options *o);
int verb_cancel(const struct ctl_options *o);
int verb_pause(const struct ctl_options *o);
int verb_resume(const struct ctl_options *o);
int verb_plan(const struct ctl_options *o);
int verb_explain(const struct ctl_options *o);
int verb_show(const struct ctl_options *o);
int verb_reload(const struct ctl_options *o);
int verb_check(const struct ctl_options *o);

/* Connects, or says why not and sets *ret_exit. */
struct client *ctl_connect(const struct ctl_options *o, int *ret_exit);
/*
 * One call with one reply. NULL after an error was told (as JSON on stdout when asked
 * for); *ret_exit says how to end. Free with json_free().
 */
struct json *ctl_ask(const struct ctl_options *o, const char *method, const char *params,
	int *ret_exit);
/* Tell an error reply and give the exit code for it. */
int ctl_tell_error(const struct ctl_options *o, const struct json *reply, const char *error);
/* The parameters of a reply as one line of JSON. */
void ctl_print_json(const struct json *reply);
/* {"name": "value"}; malloc'd. */
char *ctl_param(const char *name, const char *value);
