/*
 * Local files as transfers need them: a source that is read, and a file that is made
 * beside its place and put there whole. Paths come from keys (file_name.h) and are opened
 * below their root only: no symbolic link is followed, no ".." leaves it. All of it may
 * block: for threads of a pool, never for a loop. Errors of the class LOCAL are final and
 * say what to do; RETRY: the host is short of something just now.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

#define FILE_ROOT_LEN 1024

/* Which file. Borrowed texts. */
struct file_place {
	const char *root; /* an existing folder, absolute */
	const char *key;
	int mode; /* of new files, and of folders where those may be read; 0: the umask's
		   */
	int64_t gid; /* -1: as the kernel chooses */
	bool is_new; /* of what is made: no file that is there is replaced */
};

/* What tells that a file is the one that it was. */
struct file_stat {
	int64_t size, mtime_ns, ctime_ns;
	uint64_t device, inode;
};
#define FILE_PRINT_LEN 100
/* All of it in one word, in quotes, as an ETag is. */
void file_print(const struct file_stat *st, char out[FILE_PRINT_LEN]);
bool file_is_same(const struct file_stat *a, const struct file_stat *b);

/* A descriptor, or -1 with *err. Regular files only. */
int file_open(const struct file_place *place, struct file_stat *ret, struct err *err);
int file_stat_fd(int fd, struct file_stat *ret);
struct stat;
void file_take_stat(const struct stat *st, struct file_stat *ret);
/* A path below an open folder, or negative errno; flags of open(). */
int file_open_below(int folder, const char *path, int flags);

/* A file that is being made. Nobody sees it before file_commit(). */
struct file_target {
	int fd, folder;                /* -1: none */
	char name[256], temporary[64]; /* temporary: "" while it has no name at all */
};
#define FILE_TARGET_NONE ((struct file_target){.fd = -1, .folder = -1})
/*
 * 0, or -1 with *err. Makes the folders below the root that are missing, and takes room
 * for size bytes, so that a full disk is told at once.
 */
int file_create(const struct file_place *place, int64_t size, struct file_target *ret,
	struct err *err);
/*
 * On disk, whole, in its place, where it replaces the file that was there; class
 * CONFLICT: that may not be. modified_us: the time that it gets; 0: none. Ends the target
 * in any case.
 */
int file_commit(struct file_target *t, const struct file_place *place,
	int64_t modified_us, struct file_stat *ret, struct err *err);
/* Nothing stays of it. */
void file_discard(struct file_target *t);

/* 0, or -1 with *err; class NOTFOUND: there is none. */
int file_look(const struct file_place *place, struct file_stat *ret, struct err *err);
/* print: what it must be still, else class CONFLICT and it stays; "": whatever it is. */
int file_remove(const struct file_place *place, const char *print, struct err *err);

/* What went wrong, in words: of an operation on a place. */
void file_error(struct err *err, int error, const char *operation,
	const struct file_place *place);
