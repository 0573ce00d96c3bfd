/*
 * Changes of objects behind every client's back: at once, or by a fault rule in the
 * middle of a client's work. JSON: {"bucket", "key", "body"}; without a body it is
 * deleted.
 */
#pragma once

#include <stdint.h>

struct buf;
struct json;
struct objects;

struct change {
	char *bucket, *key;
	char *body; /* NULL: deleted */
};

/* NULL, or a malloc'd sentence. change_done() in any case. */
char *change_read(struct change *c, const struct json *v, const struct objects *all);
void change_done(struct change *c);
void change_apply(const struct change *c, struct objects *all, int64_t now_s);
/* A list of them, at once: NULL, or a malloc'd sentence; then none was made. */
char *changes_make(const struct json *list, struct objects *all, int64_t now_s);
/* All keys of a bucket that begin so, as JSON: {"objects": [{key, etag, size,
 * modified}]}. */
void changes_list(const struct objects *all, const char *bucket, const char *prefix,
	struct buf *out);
