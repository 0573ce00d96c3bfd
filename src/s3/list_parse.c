/* The memory of a page, and what is checked of it however it was read. No XML. */
#include "config.h"

#include "s3/list_parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "s3/list.h"

void s3_page_done(struct s3_page *page)
{
	free(page->entries);
	buf_done(&page->text);
	*page = (struct s3_page){0};
}

struct s3_entry *list_add(struct s3_page *page)
{
	if (page->count == LIST_ENTRIES_MAX)
		return NULL;
	if (page->count == page->cap) {
		page->cap = page->cap ? 4 * page->cap : 256;
		page->entries = mem_resize(
			page->entries, page->cap, sizeof(*page->entries));
	}
	page->entries[page->count] = (struct s3_entry){.size = -1};
	return &page->entries[page->count++];
}

unsigned list_put(struct s3_page *page, const char *text, size_t len)
{
	size_t at;

	if (!page->text.max) {
		buf_init(&page->text, LIST_PAGE_MAX);
		buf_putc(&page->text, '\0'); /* no text stands at 0 */
	}
	at = page->text.len;
	if (buf_append(&page->text, text, len) < 0 || buf_putc(&page->text, '\0') < 0)
		return 0;
	return (unsigned)at;
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. S3 writes a space as '+' and a plus as %2B; others write %20. */
static bool decode(char *text, uint32_t *len)
{
	const char *in = text, *end = text + *len;
	char *out = text;

	while (in < end) {
		int high, low;

		if (*in != '%') {
			*out++ = *in == '+' ? ' ' : *in;
			in++;
			continue;
		}
		high = end - in > 2 ? hex_of(in[1]) : -1;
		low = high >= 0 ? hex_of(in[2]) : -1;
		if (low < 0 || high + low == 0)
			return false;
		*out++ = (char)(16 * high + low);
		in += 3;
	}
	*out = '\0';
	*len = (uint32_t)(out - text);
	return true;
}

bool list_finish(struct s3_page *page, bool is_encoded, bool has_truncated)
{
	for (size_t i = 0; i < page->count; i++) {
		struct s3_entry *e = &page->entries[i];

		if (!e->key_at || e->size < 0 ||
			(is_encoded && !decode(page->text.data + e->key_at, &e->key_len)))
			return false;
		if (!e->key_len || e->key_len > LIST_KEY_MAX)
			return false;
	}
	return has_truncated;
}
