/*
 * Another configuration for a daemon that runs: load, check, diff, swap - all or nothing.
 * Runs under way keep the one they began with.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_diff.h"
#include "conf/conf_load.h"
#include "daemon/core_impl.h"
#include "daemon/sdnotify.h"
#include "run/message_ids.h"

#define TEXT_MAX (256 * 1024)

/* The journal keeps lines apart: one entry a line. */
void core_log_config(const char *text, int level, const char *message_id)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len)
			log_write(level, LOG_FIELDS({"MESSAGE_ID", message_id}), "%.*s",
				(int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void describe_top(const struct core *c, const struct conf *next,
	const struct conf_diff *d, struct buf *out)
{
	if (d->top)
		buf_printf(out, "~ %s\n", d->top);
	if (next->engines != c->engines_began_with)
		buf_puts(out, "~ engines: takes effect at the next start\n");
	if (next->memory_bytes != c->memory_began_with)
		buf_puts(out, "~ memory_limit: takes effect at the next start\n");
}

static void describe(const struct core *c, const struct conf *next,
	const struct conf_diff *d, struct buf *out)
{
	static const char signs[] = {
		[CONF_ADDED] = '+', [CONF_REMOVED] = '-', [CONF_CHANGED] = '~'};

	describe_top(c, next, d, out);
	for (size_t i = 0; i < d->count; i++) {
		const struct conf_diff_item *item = &d->items[i];

		buf_printf(out, "%c %s %s", signs[item->change],
			item->is_job ? "job" : "profile", item->name);
		if (item->detail && *item->detail)
			buf_printf(out, ": %s", item->detail);
		buf_putc(out, '\n');
	}
	if (out->len == 0)
		buf_puts(out, "nothing changed\n");
}

static int reject(struct core *c, const char *text, char **ret_errors)
{
	size_t first = strcspn(text, "\n");

	free(c->config_error);
	c->config_error = mem_strndup(text, first);
	core_log_config(text, LOG_ERR, MSG_CONFIG_REJECTED);
	log_err(LOG_FIELDS({"MESSAGE_ID", MSG_CONFIG_REJECTED}),
		"the configuration was rejected; the one before stays in force");
	*ret_errors = mem_strdup(text);
	return -EINVAL;
}

static char *swap(struct core *c, const struct conf *next)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	struct conf_diff diff;

	conf_diff_make(c->conf, next, &diff);
	describe(c, next, &diff, &text);
	conf_diff_done(&diff);
	conf_unref(c->conf);
	c->conf = next;
	free(c->config_error);
	c->config_error = NULL;
	core_sched_take_conf(c);
	core_bandwidth_update(c);
	core_log_config(buf_str(&text), LOG_INFO, NULL);
	log_notice(LOG_FIELDS({"MESSAGE_ID", MSG_CONFIG_LOADED}),
		"configuration loaded: %zu job%s", next->job_count,
		next->job_count == 1 ? "" : "s");
	return buf_take(&text);
}

int core_reload(struct core *c, char **ret_changes, char **ret_errors)
{
	struct conf_messages messages = {0};
	struct buf text = BUF_INIT(TEXT_MAX);
	const struct conf *next = NULL;
	int r;

	sdnotify_reloading();
	r = conf_load(c->config_path, &next, &messages);
	if (r == -ENOENT || r == -EACCES)
		buf_printf(&text, "%s: error: %s\n", c->config_path, strerror(-r));
	else
		conf_messages_format(&messages, &text);
	if (r < 0) {
		r = reject(c, buf_str(&text), ret_errors);
	} else {
		core_log_config(buf_str(&text), LOG_WARNING, NULL);
		*ret_changes = swap(c, next);
	}
	buf_done(&text);
	conf_messages_done(&messages);
	sdnotify_ready("reloaded");
	core_update_status(c);
	return r;
}
