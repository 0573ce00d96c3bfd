/*
 * engine/lister_file and file_tree: the order of S3's keys, what is no object, what
 * cannot be read, and no more memory than the folders on the way.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "engine/file_name.h"
#include "engine/file_tree.h"
#include "engine/lister_file.h"
#include "net/loop.h"
#include "net/pool.h"

struct bench {
	char root[64];
	const char *folder; /* below it */
	struct loop *loop;
	struct pool *pool;
	struct lister *lister;
	struct buf keys, last; /* keys: one a line, in order */
	size_t count;
	struct err err;
	bool has_ended;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int set_up(void **state)
{
	struct bench *b = mem_alloc(sizeof(*b));

	b->folder = "";
	strcpy(b->root, "/tmp/s3ferry-tree-XXXXXX");
	assert_non_null(mkdtemp(b->root));
	b->loop = loop_new(clock_system());
	b->pool = pool_new(b->loop, 2);
	buf_init(&b->keys, 1 << 24);
	buf_init(&b->last, 8192);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	lister_free(b->lister);
	pool_close(b->pool);
	pool_free(b->pool);
	loop_free(b->loop);
	nftw(b->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	buf_done(&b->keys);
	buf_done(&b->last);
	free(b);
	return 0;
}

static char *path_of(const struct bench *b, const char *path)
{
	return mem_printf("%s/%s", b->root, path);
}

static void make_folder(const struct bench *b, const char *path)
{
	_cleanup_free_ char *whole = path_of(b, path);

	assert_true(mkdir(whole, 0755) == 0 || errno == EEXIST);
}

static void make_file(const struct bench *b, const char *path)
{
	_cleanup_free_ char *whole = path_of(b, path);
	int fd;

	for (char *p = whole + strlen(b->root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		assert_true(mkdir(whole, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
	fd = open(whole, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	close(fd);
}

static void make_key(const struct bench *b, const char *key)
{
	struct buf path = BUF_INIT(8192);

	assert_int_equal(file_name_from_key(&path, key), 0);
	make_file(b, buf_str(&path));
	buf_done(&path);
}

static void take(struct bench *b, const struct lister_entry *e)
{
	assert_int_equal(strlen(e->key), e->key_len);
	if (b->count++)
		assert_true(strcmp(e->key, buf_str(&b->last)) > 0);
	buf_reset(&b->last);
	buf_puts(&b->last, e->key);
	buf_printf(&b->keys, "%s%s%s\n", e->key, e->unfit ? " is " : "",
		e->unfit ? e->unfit : "");
	if (!e->unfit) {
		assert_int_equal(e->size, 3);
		assert_true(e->modified_us > 0);
		assert_true(*e->version == '"');
	}
}

static void on_change(void *arg)
{
	struct bench *b = arg;
	const struct lister_entry *e;
	enum lister_state state;

	while ((state = lister_peek(b->lister, &e)) == LISTER_READY) {
		take(b, e);
		lister_pop(b->lister);
	}
	if (state == LISTER_WAITING)
		return;
	b->has_ended = state == LISTER_ENDED;
	if (!b->has_ended)
		b->err = *lister_error(b->lister);
	loop_stop(b->loop);
}

static void list(struct bench *b)
{
	b->lister = lister_file_new(b->pool, b->root, b->folder);
	lister_start(b->lister, on_change, b);
	loop_run(b->loop);
}

static void keys_come_in_the_order_of_s3(void **state)
{
	struct bench *b = *state;
	static const char *const keys[] = {"a/x", "a-b", "a0", "b/", "b/%", "b/c/d",
		"b//e", "b/.f", "../g", "z", "\xc3\xa9", "a\nb", "B"};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		make_key(b, keys[i]);
	make_folder(b, "empty");
	list(b);
	assert_true(b->has_ended);
	assert_string_equal(buf_str(&b->keys), "../g\nB\na\nb\na-b\na/x\na0\nb/\nb/%\n"
					       "b/.f\nb//e\nb/c/d\nz\n\xc3\xa9\n");
}

static void what_is_no_object_is_told(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *fifo = path_of(b, "fifo"), *link = path_of(b, "link"),
			    *loop = path_of(b, "loop");

	make_file(b, "a/file");
	make_file(b, "bad\x01name");
	make_file(b, "bad\x01"
		     "dir/inside");
	make_file(b, ".s3ferry-tmp-0123456789abcdef");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(symlink(".", loop), 0);
	list(b);
	assert_true(b->has_ended);
	assert_string_equal(buf_str(&b->keys),
		"a/file\nbad\x01"
		"dir/ is a name that no key leads to\n"
		"bad\x01name is a name that no key leads to\nfifo is a pipe\n"
		"link is a symbolic link\nloop is a symbolic link\n");
}

static void what_cannot_be_seen_fails_the_listing(void **state)
{
	struct bench *b = *state;

	strcat(b->root, "x");
	list(b);
	b->root[strlen(b->root) - 1] = '\0';
	assert_false(b->has_ended);
	assert_int_equal(b->err.class, ERR_NOTFOUND);
	assert_string_equal(b->err.operation, "list");
}

static void a_folder_below_the_root_is_listed_alone(void **state)
{
	struct bench *b = *state;

	make_key(b, "x/\n/y/z");
	make_key(b, "x/a");
	b->folder = "x/\n/";
	list(b);
	assert_true(b->has_ended);
	assert_string_equal(buf_str(&b->keys), "y/z\n");
}

static void a_missing_folder_is_empty_but_a_missing_root_is_not(void **state)
{
	struct bench *b = *state;

	b->folder = "2026-11-26/";
	list(b);
	assert_true(b->has_ended);
	assert_int_equal(b->count, 0);
	b->lister = lister_free(b->lister);
	strcat(b->root, "x");
	list(b);
	b->root[strlen(b->root) - 1] = '\0';
	assert_false(b->has_ended);
	assert_int_equal(b->err.class, ERR_NOTFOUND);
}

static void large_folders_come_in_batches(void **state)
{
	struct bench *b = *state;
	struct lister_stats s;
	char name[64];

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "%d/%d", i % 7, i);
		make_file(b, name);
	}
	list(b);
	assert_true(b->has_ended);
	assert_int_equal(b->count, 3000);
	lister_get_stats(b->lister, &s);
	assert_int_equal(s.entries, 3000);
	assert_int_equal(s.bytes, 9000);
}

static void freed_while_a_thread_walks_it_ends_later(void **state)
{
	struct bench *b = *state;

	make_file(b, "a");
	b->lister = lister_file_new(b->pool, b->root, b->folder);
	lister_start(b->lister, on_change, b);
	b->lister = lister_free(b->lister);
	pool_close(b->pool);
	assert_int_equal(b->count, 0);
}

/* Deep and odd, and each key once, in order, as it was made. */
static void lends_no_more(struct bench *b, size_t bytes)
{
	struct file_tree *t = file_tree_new(b->root, b->folder);
	struct buf keys = BUF_INIT(1 << 24);
	struct file_tree_entry e;
	struct err err;

	file_tree_lend(t, bytes);
	while (file_tree_next(t, &e, &err) > 0)
		buf_printf(&keys, "%s%s%s\n", e.key, e.unfit ? " is " : "",
			e.unfit ? e.unfit : "");
	assert_string_equal(buf_str(&keys), buf_str(&b->keys));
	file_tree_free(t);
	buf_done(&keys);
}

static void random_trees_come_back_sorted(void **state)
{
	struct bench *b = *state;
	static const char letters[] = "//..%2FEa-0\x01";
	unsigned seed = 11, made = 0;

	for (int i = 0; i < 400; i++) {
		struct buf path = BUF_INIT(8192);
		struct stat st;
		char key[9] = "";
		size_t len = 1 + (seed >> 8) % 7;

		for (size_t j = 0; j < len; j++) {
			seed = seed * 1103515245 + 12345;
			key[j] = letters[(seed >> 16) % (sizeof(letters) - 1)];
		}
		assert_int_equal(file_name_from_key(&path, key), 0);
		char *whole = path_of(b, buf_str(&path)), *slash;
		bool clashes = lstat(whole, &st) == 0;

		for (slash = whole + strlen(b->root) + 1;
			!clashes && (slash = strchr(slash, '/')); slash++) {
			*slash = '\0';
			clashes = lstat(whole, &st) == 0 && !S_ISDIR(st.st_mode);
			*slash = '/';
		}
		if (!clashes) {
			make_key(b, key);
			made++;
		}
		free(whole);
		buf_done(&path);
	}
	list(b);
	assert_true(b->has_ended);
	assert_int_equal(b->count, made);
	lends_no_more(b, 0);
	lends_no_more(b, 300);
	lends_no_more(b, 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN_OPENAT2(TEST(keys_come_in_the_order_of_s3), TEST(what_is_no_object_is_told),
	TEST(what_cannot_be_seen_fails_the_listing),
	TEST(a_folder_below_the_root_is_listed_alone),
	TEST(a_missing_folder_is_empty_but_a_missing_root_is_not),
	TEST(large_folders_come_in_batches),
	TEST(freed_while_a_thread_walks_it_ends_later),
	TEST(random_trees_come_back_sorted))
