/*
 * base/glob: the grammar by examples, every kind of error with its place, and a slow
 * matcher of a few lines that must agree on random patterns and keys.
 */
#include "config.h"

#include "base/glob.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool match(const char *pattern, const char *key)
{
	const struct glob *globs[1];
	struct glob_error e;
	struct glob_set *set;
	struct glob *g;
	bool result;

	if (glob_compile(pattern, &g, &e) < 0)
		fail_msg("'%s': %zu: %s", pattern, e.at, e.text);
	globs[0] = g;
	set = glob_set_new(globs, 1);
	result = glob_match(g, key, strlen(key));
	for (int i = 0; i < 2; i++) /* the second time from memory */
		if (glob_set_match(set, key, strlen(key)) != result)
			fail_msg("'%s' and '%s': alone %d, in a set not", pattern, key,
				result);
	glob_set_free(set);
	glob_free(g);
	return result;
}

static void matches_by_the_book(void **state)
{
	static const struct {
		const char *pattern, *key;
		bool is_match;
	} cases[] = {
		{"a.csv", "a.csv", true},
		{"a.csv", "aXcsv", false},
		{"*.csv", "a.csv", true},
		{"*.csv", ".csv", true},
		{"*.csv", "d/a.csv", false},
		{"**/*.csv", "a.csv", true},
		{"**/*.csv", "d/e/a.csv", true},
		{"**/*.csv", "d/e/a.csvx", false},
		{"**/a", "ba", false},
		{"**/a", "b/a", true},
		{"**/a", "/a", true},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b", true},
		{"a/**/b", "a/xb", false},
		{"a/**/b", "ab", false},
		{"a/**", "a/", true},
		{"a/**", "a/b/c", true},
		{"a/**", "a", false},
		{"a**", "a/b", true},
		{"a**b", "a/x/b", true},
		{"a**/b", "ax/b", true},
		{"a**/b", "axb", false},
		{"**", "", true},
		{"**", "a//b", true},
		{"***", "a/b", true},
		{"*", "", true},
		{"*", "a/b", false},
		{"tmp/", "tmp/x/y", true},
		{"tmp/", "tmp/", true},
		{"tmp/", "tmp", false},
		{"?", "/", false},
		{"?", "a", true},
		{"?", "", false},
		{"[abc]x", "bx", true},
		{"[!abc]x", "bx", false},
		{"[^abc]x", "dx", true},
		{"[!a]", "/", false},
		{"[.-0]", "/", false},
		{"[]x]", "]", true},
		{"[a-]", "-", true},
		{"[\\]]", "]", true},
		{"[0-9][0-9]", "42", true},
		{"{a,b}.csv", "b.csv", true},
		{"{a,b}.csv", "c.csv", false},
		{"{a,}x", "x", true},
		{"{a,{b,c}d}e", "cde", true},
		{"{a,{b,c}d}e", "ce", false},
		{"{*.jpg,sub/*.css}", "sub/a.css", true},
		{"{[{,],x}", ",", true},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"\\{a,b}", "{a,b}", true},
		{"a}", "a}", true},
		{"a,b", "a,b", true},
		{"\xc3\xbc?", "\xc3\xbc\xc3", true},
		{"**/x/**/y/**", "x/y/", true},
		{"**/x/**/y/**", "a/x/b/c/y/d/e", true},
		{"**/**/a", "a", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (match(cases[i].pattern, cases[i].key) != cases[i].is_match)
			fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].key);
}

static void errors_say_where(void **state)
{
	static const struct {
		const char *pattern;
		size_t at;
		const char *word;
	} cases[] = {
		{"", 0, "empty"},
		{"a/[bc", 2, "'['"},
		{"a/{b,c", 2, "'{'"},
		{"a{b,[c}", 4, "'['"},
		{"a\\", 1, "'\\'"},
		{"{x,yy[z-a]}", 6, "backwards"},
		{"[[:alpha:]]", 1, "names"},
		{"{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", 0, "64"},
	};
	struct glob_error e;
	struct glob *g;
	char *many = mem_alloc(GLOB_MAX + 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(glob_compile(cases[i].pattern, &g, &e), -22);
		if (e.at != cases[i].at || !strstr(e.text, cases[i].word))
			fail_msg("'%s': %zu: %s", cases[i].pattern, e.at, e.text);
	}
	memset(many, 'a', GLOB_MAX + 1);
	assert_int_equal(glob_compile(many, &g, NULL), -22);
	many[GLOB_MAX] = '\0';
	assert_int_equal(glob_compile(many, &g, NULL), 0);
	glob_free(g);
	free(many);
}

static void tells_what_is_fixed(void **state)
{
	static const struct {
		const char *pattern, *prefix;
		bool is_literal;
	} cases[] = {
		{"logs/2026-*.gz", "logs/2026-", false},
		{"{ab,ac}d", "a", false},
		{"**", "", false},
		{"a/b", "a/b", true},
		{"a/", "a/", false},
		{"\\*x", "*x", true},
	};
	char out[GLOB_MAX];
	struct glob *g;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = strlen(cases[i].prefix);

		assert_int_equal(glob_compile(cases[i].pattern, &g, NULL), 0);
		assert_int_equal(glob_prefix(g, out), len);
		assert_memory_equal(out, cases[i].prefix, len);
		assert_int_equal(glob_is_literal(g), cases[i].is_literal);
		assert_string_equal(glob_text(g), cases[i].pattern);
		glob_free(g);
	}
}

static void captures_what_wildcards_stood_for(void **state)
{
	static const struct {
		const char *pattern, *key, *spans; /* each in <> */
	} cases[] = {
		{"logs/*-*.gz", "logs/a-b-c.gz", "<a-b><c>"},
		{"**/*.csv", "a/b/c.csv", "<a/b/><c>"},
		{"**/*.csv", "c.csv", "<><c>"},
		{"in/?[0-9]/**", "in/x7/y/z", "<x><7><y/z>"},
		{"{a*,b?}", "bz", "<z>"},
		{"*", "a/b", ""},
		{"abc", "abc", ""},
		{"dir/", "dir/x", "<x>"},
		{"a**b**c", "axbybzc", "<xby><z>"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct glob_span spans[GLOB_SPANS];
		char text[256] = "";
		struct glob *g;
		size_t n;

		assert_int_equal(glob_compile(cases[i].pattern, &g, NULL), 0);
		n = glob_capture(g, cases[i].key, strlen(cases[i].key), spans);
		for (size_t k = 0; k < n; k++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text),
				"<%.*s>", (int)spans[k].len, cases[i].key + spans[k].at);
		assert_string_equal(text, cases[i].spans);
		glob_free(g);
	}
}

/* --- the slow one: tries everything --- */

static bool slow(const char *p, const char *k, bool is_start);

static bool slow_stars(const char *p, const char *k, bool is_start)
{
	size_t n = strspn(p, "*");

	if (n > 1 && p[n] == '/' && is_start) { /* whole folders */
		if (!p[n + 1])
			return true; /* "dir/" */
		for (const char *at = k; at;
			at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
			if (slow(p + n + 1, at, true))
				return true;
		return false;
	}
	for (;; k++) {
		if (slow(p + n, k, false))
			return true;
		if (!*k || (n == 1 && *k == '/'))
			return false;
	}
}

static bool slow(const char *p, const char *k, bool is_start)
{
	if (!*p)
		return !*k;
	if (*p == '*')
		return slow_stars(p, k, is_start);
	if (*p == '/' && !p[1])
		return *k == '/';
	if (!*k || (*p == '?' && *k == '/') || (*p != '?' && *p != *k))
		return false;
	return slow(p + 1, k + 1, *p == '/');
}

static void random_text(char *out, const char *alphabet, unsigned max, uint64_t *rng)
{
	unsigned n = (unsigned)(*rng >> 33) % (max + 1);

	for (unsigned i = 0; i < n; i++) {
		*rng = *rng * UINT64_C(6364136223846793005) + 1442695040888963407;
		out[i] = alphabet[(*rng >> 33) % strlen(alphabet)];
	}
	*rng = *rng * UINT64_C(6364136223846793005) + 1442695040888963407;
	out[n] = '\0';
}

static void agrees_with_the_slow_one(void **state)
{
	uint64_t rng = 4711;
	unsigned matches = 0;

	(void)state;
	for (int i = 0; i < 15000; i++) {
		char pattern[16], key[16];

		random_text(pattern, "aab/**?", 9, &rng);
		random_text(key, "aab//", 9, &rng);
		if (!*pattern)
			continue;
		if (match(pattern, key) != slow(pattern, key, true))
			fail_msg("'%s' and '%s'", pattern, key);
		matches += match(pattern, key);
	}
	assert_true(matches > 800);
}

static void a_set_is_any_of_its_patterns(void **state)
{
	struct glob *globs[60];
	struct glob_set *set;
	uint64_t rng = 17;
	size_t count = 0;

	(void)state;
	while (count < ARRAY_LEN(globs)) {
		char pattern[24];

		random_text(pattern, "abcdefgh*/?", 8, &rng);
		if (*pattern)
			assert_int_equal(glob_compile(pattern, &globs[count++], NULL), 0);
	}
	set = glob_set_new((const struct glob *const *)globs, count);
	/* enough different keys that the automaton starts over */
	for (int i = 0; i < 4000; i++) {
		bool any = false;
		char key[32];

		random_text(key, "abcdefgh/", 20, &rng);
		for (size_t k = 0; k < count && !any; k++)
			any = glob_match(globs[k], key, strlen(key));
		assert_int_equal(glob_set_match(set, key, strlen(key)), any);
	}
	glob_set_free(set);
	for (size_t i = 0; i < count; i++)
		glob_free(globs[i]);
	set = glob_set_new(NULL, 0);
	assert_false(glob_set_match(set, "a", 1));
	glob_set_free(set);
}

/* Where a matcher that backtracks would take longer than the universe. */
static void nothing_backtracks(void **state)
{
	char pattern[GLOB_MAX + 1] = "", *key = mem_alloc(1025);
	struct glob_span spans[GLOB_SPANS];
	struct glob *g;

	(void)state;
	for (int i = 0; i < 250; i++)
		strcat(pattern, "a**");
	strcat(pattern, "b");
	memset(key, 'a', 1024);
	assert_false(match(pattern, key));
	assert_int_equal(glob_compile(pattern, &g, NULL), 0);
	assert_int_equal(glob_capture(g, key, 1024, spans), 0);
	key[1023] = 'b';
	assert_int_equal(glob_capture(g, key, 1024, spans), GLOB_SPANS);
	glob_free(g);
	free(key);
}

UNIT_MAIN(cmocka_unit_test(matches_by_the_book), cmocka_unit_test(errors_say_where),
	cmocka_unit_test(tells_what_is_fixed),
	cmocka_unit_test(captures_what_wildcards_stood_for),
	cmocka_unit_test(agrees_with_the_slow_one),
	cmocka_unit_test(a_set_is_any_of_its_patterns),
	cmocka_unit_test(nothing_backtracks))
