/* Decoded names and values of a query string or of a form. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define QUERY_MAX 64

struct buf;

struct query {
	struct {
		const char *name, *value;
	} at[QUERY_MAX];
	size_t count;
	char *storage;
};

/* 0, -EINVAL on a broken escape, -E2BIG above QUERY_MAX. query_done() in any case. */
int query_parse(struct query *q, const char *text, bool plus_is_space);
void query_done(struct query *q);
const char *query_get(const struct query *q, const char *name); /* or NULL */
/* SigV4's canonical query string, without X-Amz-Signature. */
void query_canonical(const struct query *q, struct buf *out);
/* Decodes %XX in place. 0, or -EINVAL (also for a NUL byte). */
int percent_decode(char *s, bool plus_is_space);
