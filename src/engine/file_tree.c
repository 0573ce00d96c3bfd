/*
 * A walk with a stack of folders, each with its names sorted: as many of the next ones as
 * memory is lent for, for which a larger folder is read several times. Names are kept in
 * one buffer per folder, and stat() is asked when an entry's turn comes.
 */
#include "config.h"

#include "engine/file_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "engine/file_name.h"

#define NAMES_BYTES ((size_t)4 << 20) /* lent for one folder's names */
#define NAME_BYTES  2048              /* of one, with its key, at most */
#define KEY_MAX     1024              /* bytes that S3 takes */
#define UNFIT_KEY   "a name that no key leads to"

struct name {
	uint32_t at;     /* of the name in the buffer */
	uint32_t key_at; /* of what it is in a key, without the '/' of a folder */
	uint16_t key_len;
	bool is_folder, is_unfit;
};

struct folder {
	struct list link;
	int fd;
	struct buf texts; /* name NUL, key NUL if it is another, for each */
	struct name *names;
	size_t count, next, room;
	bool is_cut, has_last;
	struct name bound;     /* is_cut: what is behind it is for another time */
	struct name last;      /* of the time before, in ... */
	struct buf last_texts; /* ... this */
	size_t key_len;        /* of t->key up to here */
};

struct file_tree {
	char *root, *folder;
	size_t lent; /* bytes of one folder's names */
	bool is_begun;
	struct list stack; /* the deepest first */
	struct buf key;
	struct file_stat stat;
};

static void folder_free(struct folder *f)
{
	list_remove(&f->link);
	if (f->fd >= 0)
		close(f->fd);
	buf_done(&f->texts);
	buf_done(&f->last_texts);
	free(f->names);
	free(f);
}

struct file_tree *file_tree_new(const char *root, const char *folder)
{
	struct file_tree *t = mem_alloc(sizeof(*t));

	t->root = mem_strdup(root);
	t->folder = mem_strdup(folder);
	t->lent = NAMES_BYTES;
	list_init(&t->stack);
	buf_init(&t->key, 2 * KEY_MAX);
	return t;
}

void file_tree_lend(struct file_tree *t, size_t bytes)
{
	t->lent = bytes;
}

void *file_tree_free(struct file_tree *t)
{
	struct folder *f;

	if (!t)
		return NULL;
	while ((f = LIST_FIRST(&t->stack, struct folder, link)))
		folder_free(f);
	buf_done(&t->key);
	free(t->root);
	free(t->folder);
	free(t);
	return NULL;
}

/* --- one folder --- */

/*
 * As its first key and as any of its keys begins, a folder's name ends in '/'. Each name
 * with the buffer that it is in.
 */
static int compare(
	const char *in_x, const struct name *x, const char *in_y, const struct name *y)
{
	const char *a = in_x + x->key_at, *b = in_y + y->key_at;
	size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
	int c = memcmp(a, b, n);
	int at_x, at_y;

	if (c)
		return c;
	at_x = n < x->key_len ? (unsigned char)a[n] : x->is_folder ? '/' : -1;
	at_y = n < y->key_len ? (unsigned char)b[n] : y->is_folder ? '/' : -1;
	if (at_x != at_y)
		return at_x < at_y ? -1 : 1;
	/* "a%2F", the key "a/", stands before all that is in the folder "a". */
	if (x->is_folder != y->is_folder)
		return x->is_folder ? 1 : -1;
	return strcmp(in_x + x->at, in_y + y->at); /* one may be unfit */
}

static int by_key(const void *a, const void *b, void *texts)
{
	return compare(texts, a, texts, b);
}

static bool is_folder(int fd, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* name NUL, and key NUL if it is another. */
static struct name put_name(struct buf *texts, const char *name, bool is_folder)
{
	struct name n = {.at = (uint32_t)texts->len, .is_folder = is_folder};
	size_t len = strlen(name), key_len;

	buf_append(texts, name, len + 1);
	n.key_at = (uint32_t)texts->len;
	n.is_unfit = file_name_to_key_part(texts, name, is_folder) < 0;
	key_len = texts->len - n.key_at;
	if (n.is_unfit ||
		(key_len == len && memcmp(texts->data + n.key_at, name, len) == 0)) {
		texts->len = n.key_at; /* half a key may be there */
		n.key_at = n.at;
		key_len = len;
	} else {
		buf_append(texts, "", 1);
	}
	n.key_len = (uint16_t)key_len;
	return n;
}

static void sort(struct folder *f)
{
	if (f->count)
		qsort_r(f->names, f->count, sizeof(*f->names), by_key, f->texts.data);
}

/* Keeps the half that comes first. */
static void cut(struct folder *f, size_t max_bytes)
{
	struct buf texts = BUF_INIT(max_bytes);

	sort(f);
	f->count = (f->count + 1) / 2;
	for (size_t i = 0; i < f->count; i++) {
		struct name *n = &f->names[i];

		*n = put_name(&texts, f->texts.data + n->at, n->is_folder);
	}
	buf_done(&f->texts);
	f->texts = texts;
	f->bound = f->names[f->count - 1];
	f->is_cut = true;
}

static void add_name(struct folder *f, const struct dirent *d, size_t lent)
{
	struct name n = put_name(&f->texts, d->d_name, is_folder(f->fd, d));
	const char *texts = f->texts.data;

	if ((f->has_last && compare(texts, &n, f->last_texts.data, &f->last) <= 0) ||
		(f->is_cut && compare(texts, &n, texts, &f->bound) >= 0)) {
		f->texts.len = n.at;
		return;
	}
	if (f->count == f->room) {
		f->room = f->room ? 2 * f->room : 64;
		f->names = mem_resize(f->names, f->room, sizeof(*f->names));
	}
	f->names[f->count++] = n;
	if (f->texts.len + f->count * sizeof(n) > lent)
		cut(f, lent + NAME_BYTES);
}

static bool is_ours(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       file_name_is_temporary(name);
}

/* The next names, sorted; 0 or negative errno. */
static int read_folder(struct folder *f, size_t lent)
{
	int copy = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *d;

	if (!dir)
		return -errno;
	f->is_cut = false;
	f->count = f->next = 0;
	buf_reset(&f->texts);
	while ((errno = 0, d = readdir(dir)))
		if (!is_ours(d->d_name))
			add_name(f, d, lent);
	r = -errno;
	closedir(dir);
	sort(f);
	return r;
}

static int read_on(struct folder *f, size_t lent)
{
	const struct name *last = &f->names[f->count - 1];

	buf_reset(&f->last_texts);
	f->last = put_name(&f->last_texts, f->texts.data + last->at, last->is_folder);
	f->has_last = true;
	return read_folder(f, lent);
}

/* fd becomes the folder's; negative: why there is none. 0 or negative errno. */
static int push(struct file_tree *t, int fd)
{
	struct folder *f;

	if (fd < 0)
		return fd;
	f = mem_alloc(sizeof(*f));
	f->fd = fd;
	f->key_len = t->key.len;
	buf_init(&f->texts, t->lent + NAME_BYTES);
	buf_init(&f->last_texts, NAME_BYTES);
	list_prepend(&t->stack, &f->link);
	return read_folder(f, t->lent);
}

/* --- the walk --- */

static const char *unfit_type(mode_t mode)
{
	if (S_ISLNK(mode))
		return "a symbolic link";
	if (S_ISFIFO(mode))
		return "a pipe";
	if (S_ISSOCK(mode))
		return "a socket";
	return S_ISREG(mode) || S_ISDIR(mode) ? NULL : "a device";
}

static int fail(const struct file_tree *t, int error, struct err *err)
{
	const struct file_place place = {.root = t->root, .key = ""};

	file_error(err, error, "list", &place);
	return -1;
}

/* 1: an entry, 0: nothing to tell of it, or negative errno. */
static int visit(struct file_tree *t, const struct folder *f, const struct name *n,
	struct file_tree_entry *ret)
{
	const char *name = f->texts.data + n->at;
	struct stat st;
	int r;

	if (fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode) != n->is_folder)
		return 0; /* it became something else meanwhile: the next run's */
	t->key.len = f->key_len;
	if (buf_append(&t->key, f->texts.data + n->key_at, n->key_len) < 0 ||
		(n->is_folder && buf_putc(&t->key, '/') < 0))
		return -ENAMETOOLONG;
	file_take_stat(&st, &t->stat);
	*ret = (struct file_tree_entry){buf_str(&t->key), &t->stat,
		n->is_unfit ? UNFIT_KEY : unfit_type(st.st_mode)};
	if (!n->is_folder || n->is_unfit)
		return 1;
	if (t->key.len > KEY_MAX) {
		ret->unfit = "a folder whose keys would be longer than 1,024 bytes";
		return 1;
	}
	r = file_open_below(f->fd, name, O_RDONLY | O_DIRECTORY);
	if (r == -EACCES || r == -EPERM) {
		ret->unfit = "a folder that may not be read";
		return 1;
	}
	return r == -ENOENT ? 0 : push(t, r);
}

/* Links on the way to it are the administrator's. */
static int open_root(const struct file_tree *t)
{
	int root = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (root < 0 || !*t->folder)
		return root < 0 ? -errno : root;
	fd = file_open_below(root, t->folder, O_RDONLY | O_DIRECTORY);
	close(root);
	return fd;
}

static int begin(struct file_tree *t)
{
	int fd = open_root(t);
	struct stat st;

	/* A root that is missing may be a disk that is not mounted. */
	if (fd == -ENOENT && *t->folder && stat(t->root, &st) == 0)
		return 0;
	return push(t, fd);
}

int file_tree_next(struct file_tree *t, struct file_tree_entry *ret, struct err *err)
{
	struct folder *f;
	int r = 0;

	if (!t->is_begun)
		r = begin(t);
	t->is_begun = true;
	while (r == 0 && (f = LIST_FIRST(&t->stack, struct folder, link))) {
		if (f->next < f->count)
			r = visit(t, f, &f->names[f->next++], ret);
		else if (f->is_cut)
			r = read_on(f, t->lent);
		else
			folder_free(f);
	}
	return r < 0 ? fail(t, -r, err) : r;
}
