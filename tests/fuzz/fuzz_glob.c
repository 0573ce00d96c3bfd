/*
 * Patterns: no input crashes or takes long; errors lie inside; one pattern alone, in a
 * set and by what its wildcards stood for says the same of a key. A line is the pattern,
 * the rest is the key.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/mem.h"
#include "fuzz.h"

static void check_match(const struct glob *g, const char *key, size_t len)
{
	const struct glob *globs[] = {g, g};
	struct glob_set *set = glob_set_new(globs, 2);
	struct glob_span spans[GLOB_SPANS];
	bool is_match = glob_match(g, key, len);
	char prefix[GLOB_MAX];
	size_t fixed = glob_prefix(g, prefix), count, end = 0;

	for (int i = 0; i < 2; i++)
		demand_of(glob_set_match(set, key, len) == is_match, "in a set it differs",
			glob_text(g));
	demand_of(!is_match || (fixed <= len && memcmp(prefix, key, fixed) == 0),
		"a match without its prefix", glob_text(g));
	count = glob_capture(g, key, len, spans);
	demand_of(is_match || !count, "wildcards of no match", glob_text(g));
	for (size_t i = 0; i < count; i++) {
		demand_of(spans[i].at >= end && spans[i].at + spans[i].len <= len,
			"a wildcard outside the key", glob_text(g));
		end = spans[i].at + spans[i].len;
	}
	glob_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t len = end ? (size_t)(end - data) : size;
	size_t key_len = end ? size - len - 1 : 0;
	char *pattern = mem_strndup((const char *)data, len);
	struct glob_error e = {0};
	struct glob *g;

	if (key_len > 1024)
		key_len = 1024;
	if (glob_compile(pattern, &g, &e) == 0) {
		check_match(g, end ? (const char *)end + 1 : "", key_len);
		glob_free(g);
	} else {
		demand_of(e.at <= strlen(pattern), "the error lies outside", pattern);
		demand_of(e.text[0] && memchr(e.text, 0, sizeof(e.text)), "no text",
			pattern);
	}
	free(pattern);
	return 0;
}
