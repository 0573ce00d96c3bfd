/*
 * A walk with a stack of folders, each with its names sorted. Names are kept in one
 * buffer per folder, and stat() is asked when an entry's turn comes.
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

#define NAMES_MAX ((size_t)512 << 20) /* bytes of one folder's names */
#define KEY_MAX   1024                /* bytes that S3 takes */
#define UNFIT_KEY "a name that no key leads to"

struct name {
	const char *key; /* what it is in a key, without the '/' of a folder */
	size_t key_len;
	size_t at; /* of the name, and of the key behind it, in the buffer */
	bool is_folder, is_unfit;
};

struct folder {
	struct list link;
	int fd;
	struct buf texts; /* name NUL key NUL, for each */
	struct name *names;
	size_t count, next, room;
	size_t key_len; /* of t->key up to here */
};

struct file_tree {
	char *root, *folder;
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
	free(f->names);
	free(f);
}

struct file_tree *file_tree_new(const char *root, const char *folder)
{
	struct file_tree *t = mem_alloc(sizeof(*t));

	t->root = mem_strdup(root);
	t->folder = mem_strdup(folder);
	list_init(&t->stack);
	buf_init(&t->key, 2 * KEY_MAX);
	return t;
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

/* As its first key and as any of its keys begins, a folder's name ends in '/'. */
static int by_key(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
	int c = memcmp(x->key, y->key, n);
	int at_x, at_y;

	if (c)
		return c;
	at_x = n < x->key_len ? (unsigned char)x->key[n] : x->is_folder ? '/' : -1;
	at_y = n < y->key_len ? (unsigned char)y->key[n] : y->is_folder ? '/' : -1;
	if (at_x != at_y)
		return at_x < at_y ? -1 : 1;
	/* "a%2F", the key "a/", stands before all that is in the folder "a". */
	return (x->is_folder > y->is_folder) - (x->is_folder < y->is_folder);
}

static bool is_folder(int fd, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* 0, or -ENOBUFS: the folder is too large. */
static int add_name(struct folder *f, const struct dirent *d)
{
	struct name n = {.at = f->texts.len, .is_folder = is_folder(f->fd, d)};
	size_t len = strlen(d->d_name);
	int r = buf_append(&f->texts, d->d_name, len + 1);

	if (r < 0)
		return r;
	n.is_unfit = file_name_to_key_part(&f->texts, d->d_name, n.is_folder) < 0;
	if (n.is_unfit) { /* half a key may be there */
		f->texts.len = n.at + len + 1;
		r = buf_append(&f->texts, d->d_name, len);
	}
	n.key_len = f->texts.len - n.at - len - 1;
	if (r == 0)
		r = buf_putc(&f->texts, '\0');
	if (f->count == f->room) {
		f->room = f->room ? 2 * f->room : 64;
		f->names = mem_resize(f->names, f->room, sizeof(*f->names));
	}
	f->names[f->count++] = n;
	return r;
}

static bool is_ours(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       file_name_is_temporary(name);
}

/* All names, sorted; 0 or negative errno. */
static int read_folder(struct folder *f)
{
	int copy = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *d;

	if (!dir)
		return -errno;
	while (r == 0) {
		errno = 0;
		d = readdir(dir);
		if (!d)
			break;
		if (!is_ours(d->d_name))
			r = add_name(f, d);
	}
	if (r == 0 && errno)
		r = -errno;
	closedir(dir);
	for (size_t i = 0; i < f->count; i++) {
		struct name *n = &f->names[i];

		n->key = f->texts.data + n->at + strlen(f->texts.data + n->at) + 1;
	}
	if (f->count)
		qsort(f->names, f->count, sizeof(*f->names), by_key);
	return r;
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
	buf_init(&f->texts, NAMES_MAX);
	list_prepend(&t->stack, &f->link);
	return read_folder(f);
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

	if (error == ENOBUFS)
		err_set(err, ERR_LOCAL, ERR_FROM_LOCAL, "folder-too-large",
			"%.200s/%.200s has more names than memory is lent for", t->root,
			buf_str(&t->key));
	else
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
	if (buf_append(&t->key, n->key, n->key_len) < 0 ||
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
		else
			folder_free(f);
	}
	return r < 0 ? fail(t, -r, err) : r;
}
