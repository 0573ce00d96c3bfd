/* Query strings and forms, decoded and in SigV4's canonical form. No state. */
#include "config.h"

#include "sandbox/query.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

int percent_decode(char *s, bool plus_is_space)
{
	char *to = s;

	for (; *s; s++) {
		uint8_t byte;

		if (*s == '+' && plus_is_space) {
			*to++ = ' ';
		} else if (*s != '%') {
			*to++ = *s;
		} else {
			char pair[3] = {s[1], s[1] ? s[2] : '\0', '\0'};

			if (str_from_hex(pair, &byte, 1) < 0 || byte == 0)
				return -EINVAL;
			*to++ = (char)byte;
			s += 2;
		}
	}
	*to = '\0';
	return 0;
}

int query_parse(struct query *q, const char *text, bool plus_is_space)
{
	char *next;

	*q = (struct query){.storage = mem_strdup(text)};
	for (char *p = q->storage; p && *p; p = next) {
		char *value;

		next = strchr(p, '&');
		if (next)
			*next++ = '\0';
		if (!*p)
			continue;
		value = strchr(p, '=');
		if (value)
			*value++ = '\0';
		else
			value = p + strlen(p);
		if (percent_decode(p, plus_is_space) < 0 ||
			(*value && percent_decode(value, plus_is_space) < 0))
			return -EINVAL;
		if (q->count == QUERY_MAX)
			return -E2BIG;
		q->at[q->count].name = p;
		q->at[q->count++].value = value;
	}
	return 0;
}

void query_done(struct query *q)
{
	free(q->storage);
	*q = (struct query){0};
}

const char *query_get(const struct query *q, const char *name)
{
	for (size_t i = 0; i < q->count; i++)
		if (strcmp(q->at[i].name, name) == 0)
			return q->at[i].value;
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void query_canonical(const struct query *q, struct buf *out)
{
	char *pairs[QUERY_MAX];
	size_t n = 0;

	for (size_t i = 0; i < q->count; i++) {
		struct buf b = BUF_INIT(256 * 1024);

		if (strcmp(q->at[i].name, "X-Amz-Signature") == 0)
			continue;
		str_uri_encode(&b, q->at[i].name, strlen(q->at[i].name), false);
		/* Sorts before every character an encoded name can have. */
		buf_putc(&b, '\x01');
		str_uri_encode(&b, q->at[i].value, strlen(q->at[i].value), false);
		pairs[n++] = buf_take(&b);
	}
	qsort(pairs, n, sizeof(*pairs), compare);
	for (size_t i = 0; i < n; i++) {
		*strchr(pairs[i], '\x01') = '=';
		if (i)
			buf_putc(out, '&');
		buf_puts(out, pairs[i]);
		free(pairs[i]);
	}
}
