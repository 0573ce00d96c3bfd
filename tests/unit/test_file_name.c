/*
 * engine/file_name: keys to paths and back. Every key comes back as it was, no two share
 * a path, no path leaves its root; and names that only look like escapes stay what they
 * are.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/file_name.h"

static void check(const char *key, const char *path)
{
	struct buf out = BUF_INIT(4096), back = BUF_INIT(4096);

	assert_int_equal(file_name_from_key(&out, key), 0);
	assert_string_equal(buf_str(&out), path);
	assert_int_equal(file_name_to_key(&back, path), 0);
	assert_string_equal(buf_str(&back), key);
	buf_done(&out);
	buf_done(&back);
}

static void keys_that_are_paths_stay_as_they_are(void **state)
{
	static const char *const keys[] = {"a", "a/b", "daily/2026/11/report.csv",
		".hidden", "...", "a/..b", "con", "-rf", "$(x)", "a b+c",
		"\xf0\x9f\x98\x80", "\xff\xfe", "100%", "100%25.txt", "a%2Fb.txt",
		"my%20file", "%C3%A9", "%2f", "%0a", "%2E%2E", "a%2E", "x/%2E%2E", "%",
		"%2", "%25"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		check(keys[i], keys[i]);
}

static void what_no_path_can_carry_is_escaped(void **state)
{
	check("/", "%2F");
	check("//", "%2F%2F");
	check("/a", "%2Fa");
	check("a/", "a%2F");
	check("a//", "a/%2F");
	check("a//b", "a/%2Fb");
	check("a///b", "a/%2F/b");
	check(".", "%2E");
	check("..", "%2E.");
	check("../x", "%2E./x");
	check("a/../../b", "a/%2E./%2E./b");
	check("a/./b", "a/%2E/b");
	check("./", ".%2F");
	check("..//x", "%2E./%2Fx");
	check("/../etc/passwd", "%2F../etc/passwd");
	check("a\nb", "a%0Ab");
	check("\x01\x1b\x7f", "%01%1B%7F");
	check(".s3ferry-tmp-0123456789abcdef", "%2Es3ferry-tmp-0123456789abcdef");
}

static void a_percent_that_would_be_read_is_escaped(void **state)
{
	check("%0A", "%250A");
	check("%250A", "%25250A");
	check("%2F", "%252F");
	check("%252F", "%25252F");
	check("%2Fa", "%252Fa");
	check("a%2F", "a%252F");
	check("x%2F/y", "x%2F/y");
	check("/%2F", "%2F%252F");
	check("x/%2F/", "x/%252F%2F");
	check("x/y%2F/", "x/y%2F%2F");
	check("%2E", "%252E");
	check("%2E.", "%252E.");
	check("%2E/a", "%252E/a");
	check("%25%2F", "%25%252F");
}

static void names_of_no_key_are_refused(void **state)
{
	static const char *const paths[] = {"", ".", "..", "/a", "a/", "a//b", "a/./b",
		"../a", "a\nb", "\x7f", ".s3ferry-tmp-0123456789abcdef"};
	char name[FILE_NAME_LEN + 2];
	struct buf out = BUF_INIT(4096);

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		assert_int_equal(file_name_to_key(&out, paths[i]), -EINVAL);
		buf_reset(&out);
	}
	memset(name, 'n', sizeof(name));
	name[FILE_NAME_LEN + 1] = '\0';
	assert_int_equal(file_name_from_key(&out, ""), -EINVAL);
	assert_int_equal(file_name_from_key(&out, name), -ENAMETOOLONG);
	buf_reset(&out);
	name[FILE_NAME_LEN] = '\0';
	assert_int_equal(file_name_from_key(&out, name), 0);
	buf_done(&out);
}

static unsigned rnd(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

/* Made of what hurts: slashes, dots, percents, digits of escapes, controls. */
static void random_key(unsigned *seed, char out[24])
{
	static const char parts[] = "//..%%2255FFEE0A\x01\n/%2F%2E%25a";
	size_t len = 1 + rnd(seed, 20);

	for (size_t i = 0; i < len; i++)
		out[i] = parts[rnd(seed, sizeof(parts) - 1)];
	out[len] = '\0';
}

static bool is_confined(const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 0 || n > FILE_NAME_LEN || (n == 1 && *path == '.') ||
			(n == 2 && memcmp(path, "..", 2) == 0))
			return false;
		path += n;
		if (*path == '/' && !*++path)
			return false;
	}
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

#define KEYS 200000

static void any_key_comes_back(void **state)
{
	char **paths = calloc(KEYS, sizeof(*paths)), **keys = calloc(KEYS, sizeof(*keys));
	size_t paths_left = 1, keys_left = 1;
	unsigned seed = 4;

	for (size_t i = 0; i < KEYS; i++) {
		struct buf out = BUF_INIT(4096), back = BUF_INIT(4096);
		char key[24];

		random_key(&seed, key);
		assert_int_equal(file_name_from_key(&out, key), 0);
		assert_true(is_confined(buf_str(&out)));
		assert_int_equal(file_name_to_key(&back, buf_str(&out)), 0);
		assert_string_equal(buf_str(&back), key);
		keys[i] = buf_take(&back);
		paths[i] = buf_take(&out);
	}
	qsort(keys, KEYS, sizeof(*keys), by_text);
	qsort(paths, KEYS, sizeof(*paths), by_text);
	for (size_t i = 1; i < KEYS; i++) {
		keys_left += strcmp(keys[i - 1], keys[i]) != 0;
		paths_left += strcmp(paths[i - 1], paths[i]) != 0;
	}
	assert_int_equal(keys_left, paths_left);
	for (size_t i = 0; i < KEYS; i++) {
		free(keys[i]);
		free(paths[i]);
	}
	free(keys);
	free(paths);
}

/* What somebody else called a file: a key that leads back to it, or none. */
static void any_name_is_found_again_or_refused(void **state)
{
	unsigned seed = 5, refused = 0;

	for (int i = 0; i < KEYS; i++) {
		struct buf key = BUF_INIT(4096), out = BUF_INIT(4096);
		char name[24];

		random_key(&seed, name);
		if (file_name_to_key(&key, name) < 0) {
			refused++;
			assert_true(!is_confined(name) || strpbrk(name, "\x01\n"));
		} else {
			assert_int_equal(file_name_from_key(&out, buf_str(&key)), 0);
			assert_string_equal(buf_str(&out), name);
		}
		buf_done(&key);
		buf_done(&out);
	}
	assert_in_range(refused, 1, KEYS - 1);
}

UNIT_MAIN(cmocka_unit_test(keys_that_are_paths_stay_as_they_are),
	cmocka_unit_test(what_no_path_can_carry_is_escaped),
	cmocka_unit_test(a_percent_that_would_be_read_is_escaped),
	cmocka_unit_test(names_of_no_key_are_refused),
	cmocka_unit_test(any_key_comes_back),
	cmocka_unit_test(any_name_is_found_again_or_refused))
