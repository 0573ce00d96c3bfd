/* run/reason: each code has its words, is found again, and stands in s3ferryctl(1). */
#include "config.h"

#include "run/reason.h"

#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static void every_reason_has_its_words(void **state)
{
	(void)state;
	for (enum reason r = REASON_NONE + 1; r < REASONS; r++) {
		const char *text = reason_text(r);

		assert_true(reason_code(r)[0] && strlen(reason_code(r)) < 32);
		assert_int_equal(strspn(reason_code(r), "abcdefghijklmnopqrstuvwxyz-_"),
			strlen(reason_code(r)));
		assert_true(text[0] && text[strlen(text) - 1] != '.');
		assert_int_not_equal(reason_kind(r), REASON_KIND_NONE);
		/* also shows that no code comes twice */
		assert_int_equal(
			reason_find(reason_code(r), reason_kind(r) == REASON_KIND_RUN),
			r);
	}
	assert_string_equal(reason_code(REASON_NONE), "");
	assert_string_equal(reason_code(REASONS), "");
	assert_int_equal(reason_find("no-such-reason", false), REASON_NONE);
	assert_int_equal(reason_find("", true), REASON_NONE);
	assert_int_equal(reason_find("denied", false), REASON_OBJECT_DENIED);
	assert_int_equal(reason_find("denied", true), REASON_RUN_DENIED);
}

/* Lines "It Li CODE" of the two subsections; each is followed by the sentence. */
static void read_page(FILE *f, bool told[REASONS])
{
	bool is_in = false, is_run = false;
	char line[1024];

	while (fgets(line, sizeof(line), f)) {
		enum reason r;

		line[strcspn(line, "\n")] = '\0';
		if (str_has_prefix(line, ".S")) {
			is_run = str_eq(line, ".Ss Reasons of a run");
			is_in = is_run || str_eq(line, ".Ss Reasons of an object");
		}
		if (!is_in || !str_has_prefix(line, ".It Li "))
			continue;
		r = reason_find(line + 7, is_run);
		if (r == REASON_NONE || told[r])
			fail_msg("'%s' is no reason, or comes twice", line + 7);
		told[r] = true;
	}
}

static void manual_lists_every_reason(void **state)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = mem_printf(
		"%s/man/s3ferryctl.1", srcdir ? srcdir : ".");
	FILE *f = fopen(path, "re");
	bool told[REASONS] = {false};

	(void)state;
	assert_non_null(f);
	read_page(f, told);
	fclose(f);
	for (enum reason r = REASON_NONE + 1; r < REASONS; r++)
		if (!told[r])
			fail_msg("s3ferryctl(1) lacks '%s'", reason_code(r));
}

UNIT_MAIN(cmocka_unit_test(every_reason_has_its_words),
	cmocka_unit_test(manual_lists_every_reason))
