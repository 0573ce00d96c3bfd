/* expat wrapper: bounded, path-addressed. The only file that includes expat.h. */
#include "config.h"

#include "base/xml.h"

#include <errno.h>
#include <expat.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define DEPTH_MAX 32
#define PATH_BYTES 1024
#define TEXT_BYTES (64 * 1024)

struct xml {
	XML_Parser parser;
	struct xml_handler handler;
	size_t left; /* bytes that may still come */
	bool has_started;
	int depth;
	char path[PATH_BYTES];
	char root[64];
	size_t ends[DEPTH_MAX]; /* length of path up to each level */
	bool has_children[DEPTH_MAX + 1];
	struct buf text;
	char error[160];
};

static void fail(struct xml *x, const char *why)
{
	if (!x->error[0])
		snprintf(x->error, sizeof(x->error), "%s", why);
	XML_StopParser(x->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon ? colon + 1 : name;
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attrs)
{
	struct xml *x = arg;
	size_t at = x->depth ? x->ends[x->depth - 1] : 0;
	int n;

	name = local_name(name);
	if (x->depth == DEPTH_MAX) {
		fail(x, "elements are nested too deep");
		return;
	}
	n = snprintf(x->path + at, sizeof(x->path) - at, "%s%s", at ? "/" : "", name);
	if (at + (size_t)n >= sizeof(x->path)) {
		fail(x, "element names are too long");
		return;
	}
	if (x->depth == 0)
		snprintf(x->root, sizeof(x->root), "%s", name);
	x->has_children[x->depth] = true;
	x->ends[x->depth++] = at + (size_t)n;
	x->has_children[x->depth] = false;
	buf_reset(&x->text);
	if (x->handler.on_open)
		x->handler.on_open(x->handler.arg, x->path);
}

static void on_end(void *arg, const XML_Char *name)
{
	struct xml *x = arg;

	if (!x->has_children[x->depth] && x->handler.on_text)
		x->handler.on_text(
			x->handler.arg, x->path, buf_str(&x->text), x->text.len);
	if (x->handler.on_close)
		x->handler.on_close(x->handler.arg, x->path);
	x->depth--;
	x->path[x->depth ? x->ends[x->depth - 1] : 0] = '\0';
	buf_reset(&x->text);
}

static void on_characters(void *arg, const XML_Char *s, int len)
{
	struct xml *x = arg;

	if (buf_append(&x->text, s, (size_t)len) < 0)
		fail(x, "a text is too long");
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
	const XML_Char *pubid, int has_internal_subset)
{
	fail(arg, "a DOCTYPE is not accepted");
}

struct xml *xml_new(const struct xml_handler *handler, size_t max_bytes)
{
	struct xml *x = mem_alloc(sizeof(*x));

	x->handler = *handler;
	x->left = max_bytes;
	buf_init(&x->text, TEXT_BYTES);
	x->parser = XML_ParserCreate(NULL);
	if (!x->parser)
		abort();
	XML_SetUserData(x->parser, x);
	XML_SetElementHandler(x->parser, on_start, on_end);
	XML_SetCharacterDataHandler(x->parser, on_characters);
	XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
	return x;
}

void *xml_free(struct xml *x)
{
	if (x) {
		XML_ParserFree(x->parser);
		buf_done(&x->text);
		free(x);
	}
	return NULL;
}

static int parse(struct xml *x, const char *data, size_t len, bool is_final)
{
	enum XML_Status status = XML_Parse(x->parser, data, (int)len, is_final);

	if (status == XML_STATUS_OK && !x->error[0])
		return 0;
	if (!x->error[0])
		snprintf(x->error, sizeof(x->error), "line %lu: %s",
			(unsigned long)XML_GetCurrentLineNumber(x->parser),
			XML_ErrorString(XML_GetErrorCode(x->parser)));
	return -EBADMSG;
}

int xml_feed(struct xml *x, const char *data, size_t len)
{
	if (x->error[0])
		return -EBADMSG;
	if (len > x->left) {
		snprintf(x->error, sizeof(x->error), "the document is too large");
		return -ENOBUFS;
	}
	x->left -= len;
	/* S3 keeps slow answers alive with white space in front of the declaration. */
	while (!x->has_started && len && strchr(" \t\r\n", *data)) {
		data++;
		len--;
	}
	if (len == 0)
		return 0;
	x->has_started = true;
	return parse(x, data, len, false);
}

int xml_finish(struct xml *x)
{
	return x->error[0] ? -EBADMSG : parse(x, "", 0, true);
}

const char *xml_error(const struct xml *x)
{
	return x->error;
}

const char *xml_root(const struct xml *x)
{
	return x->root;
}

int xml_escape(struct buf *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		int r;

		if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'' || c < 0x20)
			r = buf_printf(out, "&#%u;", c);
		else
			r = buf_putc(out, s[i]);
		if (r < 0)
			return r;
	}
	return 0;
}
