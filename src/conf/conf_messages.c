/* What is wrong with a configuration, collected and shown. Not finding it. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf_load.h"
#include "conf/conf_yaml.h"

#define MESSAGES_MAX 200
#define LINE_SHOWN   160
#define LINE_KEPT    4096

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
	if (end - p > LINE_KEPT) {
		end = p + LINE_KEPT;
		while (end > p && ((unsigned char)*end & 0xc0) == 0x80)
			end--;
	}
	return mem_strndup(p, (size_t)(end - p));
}

/*
 * Values come from a file and go to terminals and JSON: no escape sequences, and nothing
 * that a cut in the middle of a character left behind.
 */
static char *clean(const char *text)
{
	char *copy = mem_strdup(text && *text ? text : NULL);

	for (char *p = copy; p && *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	if (copy && !str_is_utf8(copy, strlen(copy))) {
		for (char *p = copy; *p; p++) {
			if ((unsigned char)*p >= 0x80)
				*p = '?';
		}
	}
	return copy;
}

static void add(struct conf_messages *m, enum conf_severity severity,
	const struct conf_place *at, const char *hint, const char *text)
{
	struct conf_message *msg;

	if (severity == CONF_ERROR)
		m->errors++;
	/* Warnings never take the last places from errors. */
	if (m->count >= (severity == CONF_ERROR ? MESSAGES_MAX : MESSAGES_MAX / 2))
		return;
	m->items = mem_grow(m->items, m->count, sizeof(*m->items));
	msg = &m->items[m->count++];
	*msg = (struct conf_message){
		.severity = severity,
		.file = mem_strdup(at->src->path),
		.key_path = clean(at->key_path),
		.text = clean(text),
		.hint = clean(hint),
		.width = 1,
	};
	if (!at->node)
		return;
	msg->line = at->node->line;
	msg->col = at->node->col + at->shift;
	msg->source_line = line_of(at->src, msg->line);
	if (msg->source_line &&
		!str_is_utf8(msg->source_line, strlen(msg->source_line))) {
		free(msg->source_line);
		msg->source_line = NULL;
	}
	if (at->node->width > 1 && !at->shift)
		msg->width = at->node->width;
}

void conf_complain(struct conf_messages *m, const struct conf_place *at, const char *hint,
	const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(m, CONF_ERROR, at, hint, text);
}

void conf_warn(struct conf_messages *m, const struct conf_place *at, const char *hint,
	const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(m, CONF_WARNING, at, hint, text);
}

static bool begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

/* Of a very long line the part around the column. */
static void put_caret(const struct conf_message *m, struct buf *out)
{
	const char *p = m->source_line;
	int first = m->col > LINE_SHOWN / 2 ? m->col - LINE_SHOWN / 2 : 1, col = 0;
	struct buf under = BUF_INIT(8 * LINE_SHOWN);

	buf_printf(out, "%5d | ", m->line);
	for (; *p; p++) {
		col += begins_character(*p);
		if (col >= first + LINE_SHOWN)
			break;
		if (col < first)
			continue;
		buf_putc(out, (unsigned char)*p < 0x20 && *p != '\t' ? '?' : *p);
		if (col < m->col && begins_character(*p))
			buf_putc(&under, *p == '\t' ? '\t' : ' ');
	}
	buf_printf(out, "\n      | %s^", buf_str(&under));
	for (int i = 1; i < m->width && m->col + i < first + LINE_SHOWN; i++)
		buf_putc(out, '~');
	if (m->hint)
		buf_printf(out, " %s", m->hint);
	buf_putc(out, '\n');
	buf_done(&under);
}

int conf_messages_format(const struct conf_messages *m, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->count; i++) {
		const struct conf_message *msg = &m->items[i];

		buf_puts(out, msg->file);
		if (msg->line)
			buf_printf(out, ":%d:%d", msg->line, msg->col);
		buf_printf(
			out, ": %s: ", msg->severity == CONF_ERROR ? "error" : "warning");
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
