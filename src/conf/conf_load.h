/*
 * From YAML files to a checked conf: the same code for s3ferryd --check, s3ferryctl check,
 * start and reload. Everything wrong is reported in one pass.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct conf;

enum conf_severity {
	CONF_ERROR,
	CONF_WARNING,
};

struct conf_message {
	enum conf_severity severity;
	char *file;
	int line, col;  /* from 1; 0: the file as a whole */
	char *key_path; /* "jobs.daily-report.schedule", or NULL */
	char *text;     /* one sentence */
	char *hint;     /* "did you mean 'external_id'?", or NULL */
	char *source_line; /* the line of the file, or NULL */
	int width;      /* columns the caret underlines, >= 1 */
};

struct conf_messages {
	struct conf_message *items;
	size_t count, errors;
};
void conf_messages_done(struct conf_messages *m);
/* "file:line:col: error: path: text", source line, caret, hint; one block a message. */
int conf_messages_format(const struct conf_messages *m, struct buf *out);

/*
 * path is the main file; the .yaml files of jobs.d beside it are read too, in byte order.
 * 0, or -EINVAL when there are errors, -EPERM when others than root and we can change a
 * file, -ENOENT / -EACCES for an unreadable main file (no message then). *ret is set only
 * on 0; messages (warnings too) are always filled, the caller's to _done().
 */
int conf_load(const char *path, const struct conf **ret, struct conf_messages *messages);
