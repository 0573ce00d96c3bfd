/* Reading a whole XML answer, with the references that S3 should not write. No fields. */
#include "config.h"

#include "s3/answer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"

/* "&#x1;" or "&#1;": of a control character that is no white space. */
static bool is_forbidden(const char *ref)
{
	bool is_hex = ref[2] == 'x';
	char *end;
	long n = strtol(ref + (is_hex ? 3 : 2), &end, is_hex ? 16 : 10);

	return *end == ';' && n > 0 && n < 32 && n != '\t' && n != '\n' && n != '\r';
}

static void forgive(char *text)
{
	for (char *p = text; (p = strstr(p, "&#")); p++)
		if (is_forbidden(p))
			memset(p, '?', (size_t)(strchr(p, ';') - p) + 1);
}

int s3_answer_parse(const struct buf *body, size_t max, const char *root,
	const struct xml_handler *handler)
{
	_cleanup_free_ char *text = mem_strndup(buf_str(body), body->len);
	struct xml *x = xml_new(handler, max);
	int r;

	forgive(text);
	r = xml_feed(x, text, body->len);
	if (r == 0)
		r = xml_finish(x);
	if (r == 0 && !str_eq(xml_root(x), root))
		r = -1;
	xml_free(x);
	return r < 0 ? -1 : 0;
}
