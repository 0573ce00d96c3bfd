/* AWS's INI dialect, line by line. Not profiles: names and merging are aws/profile's. */
#include "config.h"

#include "base/ini.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define VALUE_MAX (64 * 1024)

struct parser {
	ini_fn fn;
	void *arg;
	struct ini_error *error;
	char *section, *key;
	struct buf value;
	int line, key_line;
};

static int fail(struct parser *p, const char *why)
{
	p->error->line = p->line;
	snprintf(p->error->text, sizeof(p->error->text), "%s", why);
	return -EBADMSG;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* In place. */
static char *trimmed(char *s)
{
	size_t n;

	while (is_blank(*s))
		s++;
	n = strlen(s);
	while (n && (is_blank(s[n - 1]) || s[n - 1] == '\r'))
		s[--n] = '\0';
	return s;
}

/* " #" and " ;" begin a comment behind a value; without the blank they belong to it. */
static void cut_comment(char *s)
{
	for (char *p = s; *p; p++) {
		if ((*p == '#' || *p == ';') && (p == s || is_blank(p[-1]))) {
			*p = '\0';
			return;
		}
	}
}

static void flush_key(struct parser *p)
{
	if (p->key)
		p->fn(p->arg, p->section, p->key, buf_str(&p->value), p->key_line);
	free(p->key);
	p->key = NULL;
	buf_reset(&p->value);
}

static int take_section(struct parser *p, char *line)
{
	char *end = strchr(line, ']');

	if (!end)
		return fail(p, "a section is not closed with ]");
	*end = '\0';
	flush_key(p);
	free(p->section);
	p->section = mem_strdup(trimmed(line + 1));
	p->fn(p->arg, p->section, NULL, NULL, p->line);
	return 0;
}

static int take_key(struct parser *p, char *line)
{
	char *equals = strchr(line, '=');

	if (!p->section)
		return fail(p, "a key stands before the first section");
	if (!equals)
		return fail(p, "'=' is missing");
	*equals = '\0';
	line = trimmed(line);
	if (!*line)
		return fail(p, "the key is empty");
	flush_key(p);
	p->key = mem_strdup(line);
	p->key_line = p->line;
	cut_comment(equals + 1);
	return buf_puts(&p->value, trimmed(equals + 1)) < 0 ? fail(p, "a value is too long")
							    : 0;
}

static int take_continuation(struct parser *p, char *line)
{
	line = trimmed(line);
	if (!*line)
		return 0;
	if (!p->key)
		return fail(p, "a continuation line has no key before it");
	/* Under an empty value the lines are keys of their own. */
	if (buf_str(&p->value)[0] == '\0' || buf_str(&p->value)[0] == '\n') {
		if (!strchr(line, '='))
			return fail(p, "'=' is missing in a nested value");
		if (*line == '=')
			return fail(p, "the key of a nested value is empty");
	}
	if (buf_putc(&p->value, '\n') < 0 || buf_puts(&p->value, line) < 0)
		return fail(p, "a value is too long");
	return 0;
}

static int take_line(struct parser *p, char *line)
{
	if (line[0] == '#' || line[0] == ';')
		return 0;
	if (is_blank(line[0]))
		return take_continuation(p, line);
	if (!*trimmed(line))
		return 0;
	return line[0] == '[' ? take_section(p, line) : take_key(p, line);
}

int ini_parse(
	const char *text, size_t len, ini_fn fn, void *arg, struct ini_error *ret_error)
{
	struct parser p = {fn, arg, ret_error, .value = BUF_INIT(VALUE_MAX)};
	const char *end = text + len;
	int r = 0;

	while (r == 0 && text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);
		char *line = mem_strndup(text, n);

		p.line++;
		r = take_line(&p, line);
		mem_wipe(line, n); /* values are secrets */
		free(line);
		text += n + (nl != NULL);
	}
	if (r == 0)
		flush_key(&p);
	free(p.key);
	free(p.section);
	buf_wipe(&p.value);
	return r;
}
