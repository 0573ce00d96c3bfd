/*
 * engine/file: what keys may do to a disk. 5,000 hostile keys and four layouts of
 * symbolic links; files appear whole or not at all; what a crash left is cleared away.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/file.h"
#include "engine/file_name.h"

#define KEYS 5000

static bool lacks_nameless; /* as NFS does */

/* The linker lets the code under test call this in place of openat(). */
int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, mode_t mode);
int __wrap_openat(int folder, const char *path, int flags, mode_t mode)
{
	if (lacks_nameless && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return __real_openat(folder, path, flags, mode);
}

struct place {
	char base[64], root[80], outside[80];
	struct buf found; /* of a look around */
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static char *in_root(const struct place *p, const char *name)
{
	return mem_printf("%s/%s", p->root, name);
}

static int set_up(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));
	_cleanup_free_ char *canary = NULL;

	strcpy(p->base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/s3ferry-file-XXXXXX"
						      : "/tmp/s3ferry-file-XXXXXX");
	assert_non_null(mkdtemp(p->base));
	snprintf(p->root, sizeof(p->root), "%s/root", p->base);
	snprintf(p->outside, sizeof(p->outside), "%s/outside", p->base);
	assert_int_equal(mkdir(p->root, 0755), 0);
	assert_int_equal(mkdir(p->outside, 0755), 0);
	canary = mem_printf("%s/canary", p->outside);
	put_file(canary, "sings");
	buf_init(&p->found, 1 << 16);
	lacks_nameless = false;
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	nftw(p->base, remove_one, 32, FTW_DEPTH | FTW_PHYS);
	buf_done(&p->found);
	free(p);
	return 0;
}

/* 0, or -1 with *err: a file with this text under this key. */
static int make(const struct file_place *place, const char *text, struct err *err)
{
	struct file_target t;
	struct file_stat st;

	if (file_create(place, (int64_t)strlen(text), &t, err) < 0)
		return -1;
	assert_int_equal(pwrite(t.fd, text, strlen(text), 0), strlen(text));
	return file_commit(&t, place, INT64_C(1234567890123456), &st, err);
}

static bool holds(const struct file_place *place, const char *text)
{
	char got[2048];
	struct file_stat st;
	struct err err;
	int fd = file_open(place, &st, &err);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got) - 1);

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}

/* --- hostile keys --- */

static const char *const classics[] = {"../x", "a/../../b", "/abs", "//", ".", "..", "x/",
	"a//b", "\r", "\n", "\t", "\x1b[2J", "\x01", "\x7f", "%2e%2e", "%2E%2E/x",
	"..%2Fx",
	"\xe2\x80\xae"
	"gpj",
	"\xed\xa0\x80", "\xff\xfe", "e\xcc\x81", "\xc3\xa9", "Case", "case", "soap", "+",
	" ", "con", "-rf", "$(x)", "\xf0\x9f\x98\x80", "a", "a/b", "link/x", "link/../x",
	"file", "etc/passwd", "../outside/canary", "/../outside/canary",
	"../../../../../../tmp/x", "dangling", "deep/link/x", "self/self/x",
	".s3ferry-tmp-0123456789abcdef"};

static void make_key(unsigned i, char out[1025])
{
	static const char *const parts[] = {"/", "//", "..", ".", "a", "b", "link",
		"file", "%2F", "%2E", "%25", "outside", "canary", "\x01", "\n", "\xff",
		"self", "deep", "dangling", "../"};
	unsigned seed = i * 2654435761u + 7;
	size_t n;

	*out = '\0';
	if (i < sizeof(classics) / sizeof(*classics)) {
		strcpy(out, classics[i]);
		return;
	}
	n = 1 + seed % 9;
	for (size_t j = 0; j < n; j++) {
		seed = seed * 1103515245 + 12345;
		strcat(out, parts[(seed >> 16) % (sizeof(parts) / sizeof(*parts))]);
	}
	if (i % 97 == 0)
		memset(out + strlen(out), 'n', 256);
}

static void lay_links(const struct place *p, int layout)
{
	static const char *const names[] = {
		"link", "a", "file", "deep/link", "self", "dangling"};
	_cleanup_free_ char *deep = in_root(p, "deep");

	mkdir(deep, 0755);
	for (size_t i = 0; layout && i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_free_ char *name = in_root(p, names[i]);
		const char *to = layout == 1   ? p->outside
				 : layout == 2 ? "../outside/canary"
					       : "../outside";

		if (str_eq(names[i], "self"))
			to = ".";
		if (str_eq(names[i], "dangling"))
			to = "../outside/new";
		assert_int_equal(symlink(to, name), 0);
	}
}

/* Everything below base but the root's own, and where each link leads. */
static int look(const char *path, const struct stat *st, int type, struct FTW *ftw);
static struct place *looking;
static int look(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char to[256] = "";

	if (S_ISLNK(st->st_mode))
		assert_true(readlink(path, to, sizeof(to) - 1) > 0);
	if (!str_has_prefix(path, looking->root) || S_ISLNK(st->st_mode))
		buf_printf(&looking->found, "%s %llx %lld %s\n", path,
			(unsigned long long)st->st_ino, (long long)st->st_size, to);
	return 0;
}

static char *look_around(struct place *p)
{
	looking = p;
	buf_reset(&p->found);
	assert_int_equal(nftw(p->base, look, 32, FTW_PHYS), 0);
	return mem_strdup(buf_str(&p->found));
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* nftw() keeps the order of the disk. */
static void assert_same_lines(char *a, char *b)
{
	char *texts[2] = {a, b}, *lines[2][64], *rest;
	size_t counts[2] = {0};

	for (int i = 0; i < 2; i++) {
		for (char *l = strtok_r(texts[i], "\n", &rest); l;
			l = strtok_r(NULL, "\n", &rest))
			lines[i][counts[i]++] = l;
		qsort(lines[i], counts[i], sizeof(char *), by_line);
	}
	assert_int_equal(counts[0], counts[1]);
	for (size_t i = 0; i < counts[0]; i++)
		assert_string_equal(lines[0][i], lines[1][i]);
}

static void try_layout(struct place *p, int layout)
{
	unsigned made = 0, refused = 0;
	char *before, *after;
	struct err err;

	lay_links(p, layout);
	before = look_around(p);
	for (unsigned i = 0; i < KEYS; i++) {
		char key[1400] = "";
		struct file_place place = {p->root, key, 0, -1};

		make_key(i, key);
		if (make(&place, key, &err) == 0) {
			made++;
			assert_true(holds(&place, key));
		} else {
			refused++;
			assert_true(err.class == ERR_LOCAL);
			assert_false(holds(&place, key));
		}
	}
	after = look_around(p);
	assert_same_lines(before, after);
	assert_in_range(made, KEYS / 5, KEYS);
	assert_in_range(refused, 1, KEYS);
	free(before);
	free(after);
}

static void hostile_keys_stay_inside(void **state)
{
	try_layout(*state, 0);
}

static void links_to_folders_are_not_followed(void **state)
{
	try_layout(*state, 1);
}

static void links_to_files_are_not_followed(void **state)
{
	try_layout(*state, 2);
}

static void relative_links_are_not_followed(void **state)
{
	lacks_nameless = true;
	try_layout(*state, 3);
}

/* --- how a file comes to be --- */

static void a_file_replaces_another_at_once(void **state)
{
	struct place *p = *state;
	struct file_place place = {p->root, "d/x", 0640, -1};
	_cleanup_free_ char *path = in_root(p, "d/x"), *folder = in_root(p, "d");
	struct file_target t;
	struct file_stat st;
	struct stat seen;
	struct err err;

	assert_int_equal(make(&place, "old", &err), 0);
	assert_int_equal(stat(path, &seen), 0);
	assert_int_equal(seen.st_mode & 07777, 0640);
	assert_int_equal(seen.st_mtim.tv_sec, 1234567890);
	assert_int_equal(seen.st_mtim.tv_nsec, 123456000);
	assert_int_equal(stat(folder, &seen), 0);
	assert_int_equal(seen.st_mode & 07777, 0750);
	for (int i = 0; i < 2; i++) {
		lacks_nameless = i == 1;
		assert_int_equal(file_create(&place, 3, &t, &err), 0);
		assert_int_equal(t.temporary[0] != '\0', lacks_nameless);
		assert_int_equal(pwrite(t.fd, "new", 3, 0), 3);
		assert_true(holds(&place, i ? "new" : "old"));
		assert_int_equal(file_commit(&t, &place, 0, &st, &err), 0);
		assert_true(holds(&place, "new"));
		assert_int_equal(st.size, 3);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
}

static void what_is_let_go_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct file_place place = {p->root, "x", 0, -1};
	struct file_target t;
	struct err err;

	for (int i = 0; i < 2; i++) {
		lacks_nameless = i == 1;
		assert_int_equal(file_create(&place, 100, &t, &err), 0);
		file_discard(&t);
		file_discard(&t);
	}
	assert_int_equal(rmdir(p->root), 0);
	assert_int_equal(mkdir(p->root, 0755), 0);
}

static void what_a_crash_left_is_cleared_unless_it_is_at_work(void **state)
{
	struct place *p = *state;
	struct file_place place = {p->root, "x", 0, -1};
	struct buf name = BUF_INIT(100);
	_cleanup_free_ char *path = NULL;
	struct file_target t;
	struct err err;
	int fd;

	file_name_temporary(&name, "x");
	path = in_root(p, buf_str(&name));
	buf_done(&name);
	put_file(path, "half");
	lacks_nameless = true;
	assert_int_equal(make(&place, "whole", &err), 0);
	assert_true(holds(&place, "whole"));
	assert_int_equal(access(path, F_OK), -1);
	put_file(path, "half");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(file_create(&place, 1, &t, &err), -1);
	assert_int_equal(err.class, ERR_RETRY);
	close(fd);
	lacks_nameless = false;
	assert_int_equal(make(&place, "again", &err), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void names_that_clash_are_told(void **state)
{
	struct place *p = *state;
	struct err err;

	assert_int_equal(make(&(struct file_place){p->root, "a", 0, -1}, "1", &err), 0);
	assert_int_equal(
		make(&(struct file_place){p->root, "a/b", 0, -1}, "2", &err), -1);
	assert_string_equal(err.code, "name-clash");
	assert_int_equal(make(&(struct file_place){p->root, "c/d", 0, -1}, "3", &err), 0);
	assert_int_equal(make(&(struct file_place){p->root, "c", 0, -1}, "4", &err), -1);
	assert_string_equal(err.code, "name-clash");
	assert_int_equal(err.class, ERR_LOCAL);
}

static void a_file_goes_only_if_it_is_the_one_that_was_meant(void **state)
{
	struct place *p = *state;
	struct file_place place = {p->root, "d/x", 0, -1},
			  other = {p->root, "d/x/y", 0, -1};
	char print[FILE_PRINT_LEN];
	struct file_stat st;
	struct err err;

	assert_int_equal(make(&place, "old", &err), 0);
	assert_int_equal(file_look(&place, &st, &err), 0);
	file_print(&st, print);
	assert_int_equal(file_look(&other, &st, &err), -1);
	assert_int_equal(err.class, ERR_NOTFOUND);
	assert_int_equal(make(&place, "new", &err), 0);
	assert_int_equal(file_remove(&place, print, &err), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_true(holds(&place, "new"));
	assert_int_equal(file_look(&place, &st, &err), 0);
	file_print(&st, print);
	assert_int_equal(file_remove(&place, print, &err), 0);
	assert_int_equal(file_remove(&place, "", &err), -1);
	assert_int_equal(err.class, ERR_NOTFOUND);
}

static void links_are_not_removed(void **state)
{
	struct place *p = *state;
	struct file_place place = {p->root, "link", 0, -1},
			  through = {p->root, "folder/canary", 0, -1};
	_cleanup_free_ char *link = in_root(p, "link"), *folder = in_root(p, "folder"),
			    *canary = mem_printf("%s/canary", p->outside);
	struct err err;

	assert_int_equal(symlink(canary, link), 0);
	assert_int_equal(symlink(p->outside, folder), 0);
	assert_int_equal(file_remove(&place, "", &err), -1);
	assert_int_equal(file_remove(&through, "", &err), -1);
	assert_string_equal(err.code, "ELOOP");
	assert_int_equal(access(canary, F_OK), 0);
	assert_int_equal(access(link, F_OK), 0);
}

static void a_missing_root_is_not_made(void **state)
{
	struct place *p = *state;
	struct err err;

	strcat(p->root, "/missing");
	assert_int_equal(make(&(struct file_place){p->root, "a", 0, -1}, "1", &err), -1);
	assert_int_equal(err.class, ERR_LOCAL);
	assert_string_equal(err.code, "ENOENT");
	assert_int_equal(access(p->root, F_OK), -1);
}

static void only_regular_files_are_read(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *fifo = in_root(p, "fifo"), *folder = in_root(p, "folder");
	const char *const keys[] = {"fifo", "folder", "none"};
	const char *const codes[] = {"not-regular", "name-clash", "ENOENT"};

	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	for (int i = 0; i < 3; i++) {
		struct file_stat st;
		struct err err;

		assert_int_equal(file_open(&(struct file_place){p->root, keys[i], 0, -1},
					 &st, &err),
			-1);
		assert_string_equal(err.code, codes[i]);
		assert_int_equal(err.class == ERR_NOTFOUND, i == 2);
	}
}

static void a_disk_that_is_too_small_says_so_at_once(void **state)
{
	struct place *p = *state;
	struct file_place place = {p->root, "x", 0, -1};
	struct file_target t;
	struct err err;

	assert_int_equal(file_create(&place, INT64_C(1) << 60, &t, &err), -1);
	assert_true(str_eq(err.code, "ENOSPC") || str_eq(err.code, "EFBIG"));
	assert_int_equal(err.class, ERR_LOCAL);
	assert_int_equal(rmdir(p->root), 0);
	assert_int_equal(mkdir(p->root, 0755), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN_OPENAT2(TEST(hostile_keys_stay_inside), TEST(links_to_folders_are_not_followed),
	TEST(links_to_files_are_not_followed), TEST(relative_links_are_not_followed),
	TEST(a_file_replaces_another_at_once), TEST(what_is_let_go_leaves_nothing),
	TEST(what_a_crash_left_is_cleared_unless_it_is_at_work),
	TEST(names_that_clash_are_told),
	TEST(a_file_goes_only_if_it_is_the_one_that_was_meant),
	TEST(links_are_not_removed), TEST(a_missing_root_is_not_made),
	TEST(only_regular_files_are_read), TEST(a_disk_that_is_too_small_says_so_at_once))
