/*
 * The system calls behind file.h. What is read or written, and when, is xfer_file.c's;
 * what a key is called, file_name.c's.
 */
#include "config.h"

#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "engine/file_name.h"

#define PATH_LEN_MAX 4095
#define NSEC_PER_SEC INT64_C(1000000000)

/* --- words --- */

static enum err_class class_of(int error)
{
	switch (error) {
	case ENOENT:
		return ERR_NOTFOUND;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
	case ESTALE:
	case EBUSY:
		return ERR_RETRY;
	default:
		return ERR_LOCAL;
	}
}

/* What it means here and what to do; NULL: the system's own words must do. */
static const char *meaning_of(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "the service's user may not do this: look at the folder's owner "
		       "and "
		       "mode, and whether the unit lets it in (ReadWritePaths=, see "
		       "LOCAL "
		       "FILES in s3ferry.yaml(5))";
	case EROFS:
		return "it is read-only for the service: under systemd add "
		       "ReadWritePaths=FOLDER to the unit (LOCAL FILES in "
		       "s3ferry.yaml(5))";
	case ENOSPC:
	case EDQUOT:
		return "there is no room left: the disk or the quota is full";
	case EMFILE:
	case ENFILE:
		return "too many open files: raise LimitNOFILE= of the unit";
	case ELOOP:
		return "a symbolic link is in its path: links are not followed";
	case EXDEV:
		return "its path leads out of the root";
	case ENOTDIR:
	case EISDIR:
		return "a file and a folder would have the same name here";
	case ENAMETOOLONG:
		return "a name in this key is longer than a file's may be (255 bytes)";
	case ENOSYS:
		return "this kernel has no openat2(): local files need Linux 5.6";
	default:
		return NULL;
	}
}

static const char *code_of(int error)
{
	if (error == ENOTDIR || error == EISDIR)
		return "name-clash";
	return strerrorname_np(error) ? strerrorname_np(error) : "local";
}

void file_error(
	struct err *err, int error, const char *operation, const struct file_place *place)
{
	const char *meaning = meaning_of(error), *why = strerrordesc_np(error);

	err_set(err, class_of(error), ERR_FROM_LOCAL, code_of(error), "%.200s: %s%s%s",
		place->root, why ? why : "unknown error", meaning ? "; " : "",
		meaning ? meaning : "");
	snprintf(err->operation, sizeof(err->operation), "%s", operation);
}

static int fail(
	struct err *err, int error, const char *operation, const struct file_place *place)
{
	file_error(err, error, operation, place);
	return -1;
}

/* --- opening --- */

int file_open_below(int folder, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The root is the administrator's: links on the way to it are his. */
static int open_root(const struct file_place *place)
{
	return open(place->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int64_t nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * NSEC_PER_SEC + t->tv_nsec;
}

void file_take_stat(const struct stat *st, struct file_stat *ret)
{
	*ret = (struct file_stat){st->st_size, nanoseconds(&st->st_mtim),
		nanoseconds(&st->st_ctim), st->st_dev, st->st_ino};
}

int file_stat_fd(int fd, struct file_stat *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	file_take_stat(&st, ret);
	return 0;
}

void file_print(const struct file_stat *st, char out[FILE_PRINT_LEN])
{
	snprintf(out, FILE_PRINT_LEN, "\"%llx-%llx-%llx-%llx\"",
		(unsigned long long)st->inode, (unsigned long long)st->size,
		(unsigned long long)st->mtime_ns, (unsigned long long)st->ctime_ns);
}

bool file_is_same(const struct file_stat *a, const struct file_stat *b)
{
	return a->size == b->size && a->mtime_ns == b->mtime_ns &&
	       a->ctime_ns == b->ctime_ns && a->inode == b->inode &&
	       a->device == b->device;
}

static int take_regular(
	int fd, const struct file_place *place, struct file_stat *ret, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(err, errno, "open", place);
	if (S_ISDIR(st.st_mode))
		return fail(err, EISDIR, "open", place);
	if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_LOCAL, ERR_FROM_LOCAL, "not-regular",
			"it is a device, a pipe or a socket, not a regular file: its end "
			"would not tell all of it from half of it; write a file, and move "
			"that");
		snprintf(err->operation, sizeof(err->operation), "open");
		return -1;
	}
	file_take_stat(&st, ret);
	return 0;
}

int file_open(const struct file_place *place, struct file_stat *ret, struct err *err)
{
	struct buf path = BUF_INIT(PATH_LEN_MAX);
	int fd = file_name_from_key(&path, place->key);
	int root = fd < 0 ? -1 : open_root(place);

	if (root >= 0) {
		/* A pipe without a writer would block, but for O_NONBLOCK. */
		fd = file_open_below(
			root, buf_str(&path), O_RDONLY | O_NONBLOCK | O_NOCTTY);
		close(root);
	} else if (fd == 0) {
		fd = -errno;
	}
	buf_done(&path);
	if (fd < 0)
		return fail(err, -fd, "open", place);
	if (take_regular(fd, place, ret, err) < 0) {
		close(fd);
		return -1;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return fd;
}

/* --- folders --- */

/* Whoever may read its files may look into it. */
static mode_t folder_mode(int mode)
{
	return (mode_t)(mode | (mode & 0444) >> 2 | 0700);
}

static int set_owner_and_mode(int fd, const struct file_place *place, int mode)
{
	struct stat st;

	if (place->gid >= 0) {
		if (fstat(fd, &st) < 0)
			return -errno;
		/* In a folder with the set-group-ID bit it is right already. */
		if (st.st_gid != (gid_t)place->gid &&
			fchown(fd, (uid_t)-1, (gid_t)place->gid) < 0)
			return -errno;
	}
	return mode && fchmod(fd, (mode_t)mode) < 0 ? -errno : 0;
}

/* A set-group-ID bit that the parent handed down stays. */
static int finish_folder(int fd, const struct file_place *place)
{
	struct stat st;
	int mode = 0;

	if (place->mode) {
		if (fstat(fd, &st) < 0)
			return -errno;
		mode = (int)(folder_mode(place->mode) | (st.st_mode & S_ISGID));
	}
	return set_owner_and_mode(fd, place, mode);
}

/* One name below parent, made where it is missing: a descriptor, or negative errno. */
static int enter(int parent, const char *name, const struct file_place *place)
{
	int fd = file_open_below(parent, name, O_RDONLY | O_DIRECTORY), r;

	if (fd != -ENOENT)
		return fd;
	if (mkdirat(parent, name, 0777) < 0 && errno != EEXIST)
		return -errno;
	fd = file_open_below(parent, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	r = finish_folder(fd, place);
	/* The name of the new folder has to last too. */
	if (r == 0 && fsync(parent) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int make_folders(char *path, const struct file_place *place)
{
	int fd = open(place->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), deeper;
	char *name, *next;

	if (fd < 0)
		return -errno;
	for (name = path; name && fd >= 0; name = next) {
		next = strchr(name, '/');
		if (next)
			*next++ = '\0';
		deeper = enter(fd, name, place);
		close(fd);
		fd = deeper;
	}
	return fd;
}

/* The folder of a path, made where it is missing: a descriptor, or negative errno. */
static int open_folder(char *path, const struct file_place *place)
{
	char *slash = strrchr(path, '/');
	int root = open_root(place), fd;

	if (root < 0)
		return -errno;
	if (slash)
		*slash = '\0';
	fd = file_open_below(root, slash ? path : ".", O_RDONLY | O_DIRECTORY);
	close(root);
	return fd == -ENOENT && slash ? make_folders(path, place) : fd;
}

/* --- making a file --- */

/* What stands at its place may be replaced: nothing, or a file of this very name. */
static int check_place(const struct file_target *t)
{
	char path[PATH_LEN_MAX + 1], link[64];
	int fd = openat(t->folder, t->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	const char *name;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		st.st_mode = 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	close(fd);
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (!S_ISREG(st.st_mode))
		return -EISDIR;
	if (n < 0)
		return 0;
	path[n] = '\0';
	name = strrchr(path, '/');
	/* A file system that folds case takes two keys for one file. */
	return name && strcasecmp(name + 1, t->name) == 0 &&
			       strcmp(name + 1, t->name) != 0
		       ? -EISDIR
		       : 0;
}

/* One that a crash left may go; one that somebody holds is at work. */
static int clear_temporary(const struct file_target *t)
{
	int fd = openat(t->folder, t->temporary, O_RDONLY | O_NOFOLLOW | O_CLOEXEC),
	    r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		r = -EBUSY;
	else if (unlinkat(t->folder, t->temporary, 0) < 0 && errno != ENOENT)
		r = -errno;
	close(fd);
	return r;
}

static int set_temporary(struct file_target *t)
{
	struct buf name = BUF_INIT(sizeof(t->temporary) - 1);
	int r;

	file_name_temporary(&name, t->name);
	snprintf(t->temporary, sizeof(t->temporary), "%s", buf_str(&name));
	buf_done(&name);
	r = clear_temporary(t);
	if (r < 0)
		t->temporary[0] = '\0';
	return r;
}

/* For file systems that cannot keep a file without a name: NFS, and some of FUSE. */
static int open_named(struct file_target *t)
{
	int r = set_temporary(t);

	if (r < 0)
		return r;
	t->fd = openat(t->folder, t->temporary,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (t->fd < 0) {
		r = errno == EEXIST ? -EBUSY : -errno;
		t->temporary[0] = '\0'; /* it is not ours */
		return r;
	}
	return flock(t->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK ? -EBUSY : 0;
}

static int open_target(struct file_target *t)
{
	t->fd = openat(t->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (t->fd >= 0)
		return 0;
	return errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL ? open_named(t)
									 : -errno;
}

static int take_room(int fd, int64_t size)
{
	if (size == 0 || fallocate(fd, 0, 0, size) == 0)
		return 0;
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -errno : 0;
}

static int begin_target(
	const struct file_place *place, int64_t size, struct file_target *t)
{
	struct buf path = BUF_INIT(PATH_LEN_MAX);
	int r = file_name_from_key(&path, place->key);
	char *text = buf_take(&path), *name = r < 0 ? NULL : strrchr(text, '/');

	if (r == 0) {
		snprintf(t->name, sizeof(t->name), "%s", name ? name + 1 : text);
		t->folder = open_folder(text, place);
		r = t->folder < 0 ? t->folder : 0;
	}
	free(text);
	if (r == 0)
		r = check_place(t);
	if (r == 0)
		r = open_target(t);
	return r == 0 ? take_room(t->fd, size) : r;
}

int file_create(const struct file_place *place, int64_t size, struct file_target *ret,
	struct err *err)
{
	struct file_target t = FILE_TARGET_NONE;
	int r = begin_target(place, size, &t);

	if (r == 0) {
		*ret = t;
		return 0;
	}
	if (t.folder < -1)
		t.folder = -1;
	file_discard(&t);
	file_error(err, -r, "create", place);
	if (r == -ENOENT)
		err->class = ERR_LOCAL; /* the root: an object is not missing */
	return -1;
}

void file_discard(struct file_target *t)
{
	if (t->temporary[0] && t->folder >= 0)
		unlinkat(t->folder, t->temporary, 0);
	if (t->fd >= 0)
		close(t->fd);
	if (t->folder >= 0)
		close(t->folder);
	*t = FILE_TARGET_NONE;
}

static int set_time(int fd, int64_t modified_us)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

	if (!modified_us)
		return 0;
	times[1].tv_sec = modified_us / USEC_PER_SEC;
	times[1].tv_nsec = modified_us % USEC_PER_SEC * 1000;
	return futimens(fd, times) < 0 ? -errno : 0;
}

static int link_to(const struct file_target *t, const char *name)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, link, t->folder, name, AT_SYMLINK_FOLLOW) < 0 ? -errno
									      : 0;
}

/* A rename would replace what came to that name meanwhile. */
static int put_in_free_place(struct file_target *t)
{
	if (linkat(t->folder, t->temporary, t->folder, t->name, 0) < 0)
		return -errno;
	if (unlinkat(t->folder, t->temporary, 0) < 0)
		return -errno;
	t->temporary[0] = '\0';
	return 0;
}

static int put_in_place(struct file_target *t, bool is_new)
{
	int r = t->temporary[0] ? 0 : link_to(t, t->name);

	if (!t->temporary[0] && (r != -EEXIST || is_new))
		return r;
	if (is_new)
		return put_in_free_place(t);
	r = check_place(t);
	if (r == 0 && !t->temporary[0]) {
		r = set_temporary(t);
		if (r == 0)
			r = link_to(t, t->temporary);
		if (r < 0)
			t->temporary[0] = '\0';
	}
	if (r == 0 && renameat(t->folder, t->temporary, t->folder, t->name) < 0)
		r = -errno;
	if (r == 0)
		t->temporary[0] = '\0';
	return r;
}

int file_commit(struct file_target *t, const struct file_place *place,
	int64_t modified_us, struct file_stat *ret, struct err *err)
{
	int r = set_owner_and_mode(t->fd, place, place->mode);

	if (r == 0)
		r = set_time(t->fd, modified_us);
	if (r == 0 && fsync(t->fd) < 0)
		r = -errno;
	if (r == 0)
		r = put_in_place(t, place->is_new);
	if (r == 0 && fsync(t->folder) < 0)
		r = -errno;
	if (r == 0)
		r = file_stat_fd(t->fd, ret);
	if (r < 0)
		file_error(err, -r, "commit", place);
	if (r == -EEXIST)
		err_set(err, ERR_CONFLICT, ERR_FROM_LOCAL, "destination-changed",
			"another file came to the place while this one was moved");
	file_discard(t);
	return r < 0 ? -1 : 0;
}
