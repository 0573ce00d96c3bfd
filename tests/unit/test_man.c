/* s3ferry.yaml(5) names each key of the language once, and no key that is none. */
#include "config.h"

#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_schema.h"

#define KEYS_MAX 300

struct page {
	char keys[KEYS_MAX][64];
	enum schema_section sections[KEYS_MAX];
	size_t count;
};

/* The page's headings in the order of enum schema_section. */
static const char *const headings[SCHEMA_SECTIONS] = {
	[SCHEMA_TOP] = ".Sh KEYS OF THE TOP LEVEL",
	[SCHEMA_PROFILE] = ".Sh KEYS OF A PROFILE",
	[SCHEMA_JOB] = ".Sh KEYS OF A JOB",
	[SCHEMA_SIDE] = ".Sh KEYS OF SOURCE, DESTINATION",
	[SCHEMA_RETRY] = ".Sh KEYS OF RETRY",
		[SCHEMA_LIMITS] = ".Sh KEYS OF LIMITS",
	[SCHEMA_WINDOW] = ".Sh KEYS OF WINDOW",
	[SCHEMA_MAX_DELETE] = ".Sh KEYS OF MAX_DELETE",
	[SCHEMA_IF_MISSING] = ".Sh KEYS OF IF_MISSING",
	[SCHEMA_RESTORE] = ".Sh KEYS OF RESTORE",
	[SCHEMA_EXPECT] = ".Sh KEYS OF EXPECT",
	[SCHEMA_MANIFEST] = ".Sh KEYS OF MANIFEST",
};

static enum schema_section section_of(const char *line)
{
	for (size_t i = 0; i < SCHEMA_SECTIONS; i++)
		if (strcmp(line, headings[i]) == 0)
			return (enum schema_section)i;
	return SCHEMA_SECTIONS;
}

static void read_page(struct page *ret)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = mem_printf(
		"%s/man/s3ferry.yaml.5", srcdir ? srcdir : ".");
	FILE *f = fopen(path, "re");
	enum schema_section section = SCHEMA_SECTIONS;
	char line[1024];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, ".Sh ", 4) == 0)
			section = section_of(line);
		if (section == SCHEMA_SECTIONS || strncmp(line, ".It Cm ", 7) != 0)
			continue;
		assert_true(ret->count < KEYS_MAX);
		snprintf(ret->keys[ret->count], sizeof(ret->keys[0]), "%s", line + 7);
		ret->sections[ret->count++] = section;
	}
	fclose(f);
}

static int count_in_page(const struct page *p, const struct schema_row *row)
{
	int n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += p->sections[i] == row->section && strcmp(p->keys[i], row->key) == 0;
	return n;
}

static void page_and_schema_name_the_same_keys(void **state)
{
	struct page *p = mem_alloc(sizeof(*p));

	(void)state;
	read_page(p);
	for (size_t i = 0; i < schema_row_count; i++) {
		const struct schema_row *row = &schema_rows[i];
		int want = row->type == SCHEMA_PLANNED ? 0 : 1;

		if (count_in_page(p, row) != want)
			fail_msg("'%s' of %s: %d times in the page instead of %d",
				row->key, schema_section_name(row->section),
				count_in_page(p, row), want);
	}
	for (size_t i = 0; i < p->count; i++)
		if (!schema_find(p->sections[i], p->keys[i]))
			fail_msg("'%s' is in the page but is no key of %s", p->keys[i],
				schema_section_name(p->sections[i]));
	free(p);
}

UNIT_MAIN(cmocka_unit_test(page_and_schema_name_the_same_keys))
