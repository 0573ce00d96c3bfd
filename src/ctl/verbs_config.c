/* reload and check. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/conf_load.h"
#include "ctl/ctl.h"

int verb_reload(const struct ctl_options *o)
{
	int code;
	struct json *reply = ctl_ask(o, "io.s3ferry.Reload", NULL, &code);

	if (!reply)
		return code;
	if (o->is_json)
		ctl_print_json(reply);
	else
		fputs(json_get_str(json_get(reply, "parameters"), "changes"), stdout);
	json_free(reply);
	return CTL_OK;
}

static void print_messages(const struct conf_messages *m)
{
	struct buf out = BUF_INIT(1024 * 1024);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_array_begin(&w, "messages");
	for (size_t i = 0; i < m->count; i++) {
		const struct conf_message *msg = &m->items[i];

		json_object_begin(&w, NULL);
		json_put_str(&w, "severity",
			msg->severity == CONF_ERROR ? "error" : "warning");
		json_put_str(&w, "file", msg->file);
		json_put_int(&w, "line", msg->line);
		json_put_int(&w, "column", msg->col);
		json_put_str(&w, "key", msg->key_path);
		json_put_str(&w, "text", msg->text);
		json_put_str(&w, "hint", msg->hint);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_put_int(&w, "errors", (int64_t)m->errors);
	json_object_end(&w);
	puts(buf_str(&out));
	buf_done(&out);
}

int verb_check(const struct ctl_options *o)
{
	const char *path = o->argc     ? o->argv[0]
			   : o->config ? o->config
				       : SYSCONFDIR "/s3ferry/s3ferry.yaml";
	struct conf_messages messages = {0};
	struct buf text = BUF_INIT(1024 * 1024);
	const struct conf *conf = NULL;
	int r = conf_load(path, &conf, &messages);

	if (o->is_json) {
		print_messages(&messages);
	} else {
		conf_messages_format(&messages, &text);
		fputs(buf_str(&text), stderr);
		if (r == -ENOENT || r == -EACCES)
			fprintf(stderr, "%s: error: %s\n", path, strerror(-r));
		else if (r < 0)
			fprintf(stderr, "%zu error%s\n", messages.errors,
				messages.errors == 1 ? "" : "s");
		else
			printf("%s: ok, %zu job%s\n", path, conf->job_count,
				conf->job_count == 1 ? "" : "s");
	}
	conf_unref(conf);
	buf_done(&text);
	conf_messages_done(&messages);
	if (r == -EPERM || r == -EACCES)
		return CTL_NOPERM;
	return r < 0 ? CTL_CONFIG : CTL_OK;
}
