/*
 * Listings: no input crashes either reader, and what the quick one takes, expat's reads
 * alike.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/list.h"
#include "s3/list_parse.h"
#include "fuzz.h"

static bool is_same_text(
	const struct s3_page *a, uint32_t a_at, const struct s3_page *b, uint32_t b_at)
{
	return strcmp(s3_page_text(a, a_at), s3_page_text(b, b_at)) == 0;
}

static bool is_same(const struct s3_page *a, const struct s3_page *b)
{
	if (a->count != b->count || a->is_truncated != b->is_truncated ||
		!is_same_text(a, a->token_at, b, b->token_at))
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct s3_entry *x = &a->entries[i], *y = &b->entries[i];

		if (x->key_len != y->key_len || x->size != y->size ||
			x->modified_us != y->modified_us || x->restore != y->restore ||
			x->restored_until_us != y->restored_until_us ||
			!is_same_text(a, x->key_at, b, y->key_at) ||
			!is_same_text(a, x->etag_at, b, y->etag_at) ||
			!is_same_text(a, x->storage_class_at, b, y->storage_class_at))
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_page quick = {0}, slow = {0};
	bool is_taken = list_scan((const char *)data, size, &quick);
	bool is_good = list_xml((const char *)data, size, &slow) == 0;

	demand(!is_taken || is_good, "only the quick reader takes it");
	demand(!is_taken || is_same(&quick, &slow), "the readers differ");
	for (size_t i = 0; is_good && i < slow.count; i++)
		demand(slow.entries[i].key_len ==
				strlen(s3_page_text(&slow, slow.entries[i].key_at)),
			"a key with a NUL");
	s3_page_done(&quick);
	s3_page_done(&slow);
	return 0;
}
