/* Schedules without the daemon: of the configuration's file, or as given. */
#include "config.h"

#include "ctl/preview.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/jitter.h"
#include "calendar/slot.h"
#include "conf/conf.h"
#include "conf/conf_load.h"
#include "ctl/ctl.h"

bool preview_is_expression(const char *text)
{
	return *text && (strpbrk(text, " \t(@*:,") || strchr("0123456789", *text));
}

/* As cron, EventBridge and macros; else as every: and calendar: take it. */
static int compile(const struct ctl_options *o, const char *text, struct schedule **ret)
{
	static const enum schedule_syntax others[] = {SCHEDULE_EVERY, SCHEDULE_CALENDAR};
	struct schedule_spec spec = {
		.expression = text, .timezone = o->timezone ? o->timezone : "UTC"};
	struct schedule_error e, unused;

	if (schedule_new(&spec, ret, &e) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(others) && !e.is_timezone; i++) {
		spec.syntax = others[i];
		if (schedule_new(&spec, ret, &unused) == 0)
			return 0;
	}
	fprintf(stderr, "s3ferryctl: %s\n", e.text);
	if (!e.is_timezone)
		fprintf(stderr, "  %s\n  %*s^\n", text, (int)e.position, "");
	if (*e.hint)
		fprintf(stderr, "  %s\n", e.hint);
	return CTL_USAGE;
}

static int load(const struct ctl_options *o, struct preview *p)
{
	const char *path = o->config ? o->config : SYSCONFDIR "/s3ferry/s3ferry.yaml";
	struct conf_messages messages = {0};
	struct buf text = BUF_INIT(1024 * 1024);
	int r = conf_load(path, &p->conf, &messages);

	conf_messages_format(&messages, &text);
	if (r == -ENOENT || r == -EACCES)
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
	else if (r < 0)
		fputs(buf_str(&text), stderr);
	buf_done(&text);
	conf_messages_done(&messages);
	if (r == 0)
		return 0;
	if (r == -ENOENT) {
		fputs("  name one with --config FILE, or give an expression\n", stderr);
		return CTL_NOINPUT;
	}
	return r == -EPERM || r == -EACCES ? CTL_NOPERM : CTL_CONFIG;
}

static int no_such_job(const struct conf *conf, const char *name)
{
	const char **names = mem_array(conf->job_count + 1, sizeof(*names));
	const char *near;

	for (size_t i = 0; i < conf->job_count; i++)
		names[i] = conf->jobs[i]->name;
	near = str_nearest(name, names);
	free(names);
	fprintf(stderr, "s3ferryctl: there is no job '%s'", name);
	fprintf(stderr, near ? "; did you mean '%s'?\n" : "%s\n", near ? near : "");
	return CTL_NOINPUT;
}

static void add_job(
	struct preview *p, const uint8_t key[JITTER_KEY_LEN], const struct conf_job *job)
{
	if (!job->schedule)
		return;
	p->items[p->count++] = (struct preview_item){job->name, job->schedule,
		job->timezone, jitter_of(key, job->name, job->jitter_s)};
}

int preview_open(const struct ctl_options *o, const char *what, struct preview *ret)
{
	uint8_t key[JITTER_KEY_LEN];
	const struct conf_job *job;
	int code;

	*ret = (struct preview){0};
	if (what && preview_is_expression(what)) {
		code = compile(o, what, &ret->own);
		if (code)
			return code;
		ret->items = mem_array(1, sizeof(*ret->items));
		ret->items[ret->count++] = (struct preview_item){
			what, ret->own, schedule_timezone(ret->own), 0};
		return 0;
	}
	code = load(o, ret);
	if (code)
		return code;
	job = what ? conf_find_job(ret->conf, what) : NULL;
	if (what && !job)
		code = no_such_job(ret->conf, what);
	jitter_read_key(key);
	ret->items = mem_array(ret->conf->job_count + 1, sizeof(*ret->items));
	for (size_t i = 0; !code && i < ret->conf->job_count; i++) {
		if (!what || job == ret->conf->jobs[i])
			add_job(ret, key, ret->conf->jobs[i]);
	}
	if (code)
		preview_done(ret);
	return code;
}

void preview_done(struct preview *p)
{
	schedule_free(p->own);
	conf_unref(p->conf);
	free(p->items);
	*p = (struct preview){0};
}
