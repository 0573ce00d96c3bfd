/*
 * XML as it arrives: expat with a DOCTYPE refused, depth <= 32 and a byte cap, handing
 * out the text of each leaf by its path. Namespaces are cut off. Knows neither S3 nor STS.
 */
#pragma once

#include <stddef.h>

struct xml;

/*
 * path is "ListBucketResult/Contents/Key". on_text comes once per element without child
 * elements, when it ends, with its whole text (len bytes, NUL-terminated, maybe empty).
 * on_open and on_close frame every element. A callback may be NULL. A text longer than
 * 64 KiB is an error.
 */
struct xml_handler {
	void (*on_open)(void *arg, const char *path);
	void (*on_text)(void *arg, const char *path, const char *text, size_t len);
	void (*on_close)(void *arg, const char *path);
	void *arg;
};

struct xml *xml_new(const struct xml_handler *handler, size_t max_bytes);
void *xml_free(struct xml *x);
/* White space before the document is skipped. 0, -EBADMSG, or -ENOBUFS over the cap. */
int xml_feed(struct xml *x, const char *data, size_t len);
/* 0 when exactly one whole document was fed, else -EBADMSG. */
int xml_finish(struct xml *x);
/* Why feed or finish failed; valid until xml_free(). */
const char *xml_error(const struct xml *x);
/* Name of the root element, "" before it was seen. */
const char *xml_root(const struct xml *x);

/* Append s with & < > " ' escaped and control characters as references. -ENOBUFS. */
struct buf;
int xml_escape(struct buf *out, const char *s, size_t len);
