/* What is wrong with a configuration, collected and shown. Not finding it. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf_load.h"
#include "conf/conf_yaml.h"

#define MESSAGES_MAX 200
#define LINE_SHOWN   160

static char *line_of(const struct source *src, int line)
{
	const char *p = src->text, *end;

	for (; p && line > 1; line--) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return NULL;
	end = p + strcspn(p, "\r\n");
	return mem_strndup(p, (size_t)(end - p < LINE_SHOWN ? end - p : LINE_SHOWN));
}

static void add(struct conf_messages *m, enum conf_severity severity,
	const struct conf_place *at, const char *hint, char *text)
{
	struct conf_message *msg;

	if (severity == CONF_ERROR)
		m->errors++;
	if (m->count == MESSAGES_MAX) {
		free(text);
		return;
	}
	m->items = mem_resize(m->items, m->count + 1, sizeof(*m->items));
	msg = &m->items[m->count++];
	*msg = (struct conf_message){
		.severity = severity,
		.file = mem_strdup(at->src->path),
		.key_path = mem_strdup(at->key_path),
		.text = text,
		.hint = mem_strdup(hint && *hint ? hint : NULL),
		.width = 1,
	};
	if (!at->node)
		return;
	msg->line = at->node->line;
	msg->col = at->node->col + at->shift;
	msg->source_line = line_of(at->src, msg->line);
	if (at->node->text && !at->shift && *at->node->text)
		msg->width = (int)strcspn(at->node->text, "\n");
}

void conf_complain(struct conf_messages *m, const struct conf_place *at, const char *hint,
	const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(m, CONF_ERROR, at, hint, mem_strdup(text));
}

void conf_warn(struct conf_messages *m, const struct conf_place *at, const char *hint,
	const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(m, CONF_WARNING, at, hint, mem_strdup(text));
}

static void put_caret(const struct conf_message *m, struct buf *out)
{
	int col = 1;

	buf_printf(out, "%5d | %s\n      | ", m->line, m->source_line);
	for (const char *p = m->source_line; *p && col < m->col; p++, col++)
		buf_putc(out, *p == '\t' ? '\t' : ' ');
	buf_putc(out, '^');
	for (int i = 1; i < m->width && i < LINE_SHOWN; i++)
		buf_putc(out, '~');
	if (m->hint)
		buf_printf(out, " %s", m->hint);
	buf_putc(out, '\n');
}

int conf_messages_format(const struct conf_messages *m, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->count; i++) {
		const struct conf_message *msg = &m->items[i];

		buf_puts(out, msg->file);
		if (msg->line)
			buf_printf(out, ":%d:%d", msg->line, msg->col);
		buf_printf(out, ": %s: ", msg->severity == CONF_ERROR ? "error" : "warning");
		if (msg->key_path)
			buf_printf(out, "%s: ", msg->key_path);
		r = buf_printf(out, "%s\n", msg->text);
		if (msg->source_line)
			put_caret(msg, out);
		else if (msg->hint)
			r = buf_printf(out, "      %s\n", msg->hint);
	}
	return r;
}

void conf_messages_done(struct conf_messages *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->items[i].file);
		free(m->items[i].key_path);
		free(m->items[i].text);
		free(m->items[i].hint);
		free(m->items[i].source_line);
	}
	free(m->items);
	*m = (struct conf_messages){0};
}
