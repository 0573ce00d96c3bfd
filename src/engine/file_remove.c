/* A local file looked at, and removed if it is still the one that was meant. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/file.h"
#include "engine/file_name.h"

#define PATH_LEN_MAX 4095

struct found {
	int folder, fd; /* fd: O_PATH, of the file itself */
	char *path, *name;
	struct file_stat stat;
};

static void found_done(struct found *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->folder >= 0)
		close(f->folder);
	free(f->path);
}

static int open_folder(struct found *f, const struct file_place *place)
{
	int root = open(place->root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	char *slash = strrchr(f->path, '/');

	if (root < 0)
		return -errno;
	f->name = slash ? slash + 1 : f->path;
	if (slash)
		*slash = '\0';
	fd = file_open_below(root, slash ? f->path : ".", O_RDONLY | O_DIRECTORY);
	close(root);
	return fd;
}

/* 0 or negative errno; f is to be found_done() in any case. */
static int find(struct found *f, const struct file_place *place)
{
	struct buf path = BUF_INIT(PATH_LEN_MAX);
	struct stat st;
	int r = file_name_from_key(&path, place->key);

	*f = (struct found){-1, -1, buf_take(&path), NULL, {0}};
	if (r < 0)
		return r;
	f->folder = open_folder(f, place);
	if (f->folder < 0)
		return f->folder;
	f->fd = openat(f->folder, f->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (!S_ISREG(st.st_mode))
		return -EISDIR;
	file_take_stat(&st, &f->stat);
	return 0;
}

int file_look(const struct file_place *place, struct file_stat *ret, struct err *err)
{
	struct found f;
	int r = find(&f, place);

	/* Where a file stands in the way of its folder there is no such file either. */
	if (r < 0)
		file_error(err, r == -ENOTDIR ? ENOENT : -r, "look", place);
	else
		*ret = f.stat;
	found_done(&f);
	return r < 0 ? -1 : 0;
}

int file_remove(const struct file_place *place, const char *print, struct err *err)
{
	struct found f;
	char now[FILE_PRINT_LEN];
	int r = find(&f, place);

	if (r == 0) {
		file_print(&f.stat, now);
		if (*print && !str_eq(print, now))
			r = -ESTALE;
	}
	if (r == 0 && unlinkat(f.folder, f.name, 0) < 0)
		r = -errno;
	if (r == 0 && fsync(f.folder) < 0)
		r = -errno;
	found_done(&f);
	if (r < 0)
		file_error(err, -r, "remove", place);
	if (r == -ESTALE)
		err_set(err, ERR_CONFLICT, ERR_FROM_LOCAL, "changed",
			"the file is another one than when it was read: it stays");
	return r < 0 ? -1 : 0;
}
