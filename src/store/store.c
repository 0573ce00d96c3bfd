/*
 * Opening (directory, lock, damage, migration), transactions, and the small tables. The
 * ledger of runs is in store_run.c. Nothing here decides policy, and nothing logs.
 */
#include "config.h"

#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_schema.h"
#include "store/store_sql.h"

/* Reading all of a larger file would hold up the start; its damage is met in use. */
#define CHECK_MAX_BYTES INT64_C(67108864)
#define MOVED_TO_SIZE   512
#define BUSY_MS         250 /* somebody's sqlite3 shell may hold a lock for a moment */

static int close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Ours, and nobody else may put files into it. Returns a descriptor. */
static int open_dir(const char *dir)
{
	struct stat st;
	int fd, r = 0;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		r = -EPERM;
	if (r == 0)
		return fd;
	close_fd(fd);
	return r;
}

static int open_own_file(int dir_fd, const char *name)
{
	struct stat st;
	int r = 0;
	int fd = openat(dir_fd, name,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd < 0)
		return errno == ELOOP ? -EPERM : -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		r = -EPERM;
	else if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close_fd(fd);
	return r;
}

static void read_pid(int fd, int64_t *ret_pid)
{
	char text[24];
	uint64_t pid;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (str_to_uint(text, INT_MAX, &pid) == 0)
		*ret_pid = (int64_t)pid;
}

/* The lock belongs to the open file: it goes with us, however we end. */
static int take_lock(int dir_fd, int *ret_fd, int64_t *ret_pid)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char text[24];
	int len, r = 0;
	int fd = open_own_file(dir_fd, "state.lock");

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		r = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
		if (r == -EBUSY)
			read_pid(fd, ret_pid);
		close_fd(fd);
		return r;
	}
	len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len) {
		r = errno == ENOSPC ? -ENOSPC : -EIO;
		close_fd(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* A fresh and empty file has no write-ahead log: one that does has lost its content. */
static int make_file(int dir_fd, int64_t *ret_size)
{
	struct stat st;
	int r = 0;
	int fd = open_own_file(dir_fd, "state.db");

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || (st.st_size == 0 && fsync(dir_fd) < 0))
		r = -errno;
	else
		*ret_size = st.st_size;
	close_fd(fd);
	if (r == 0 && *ret_size == 0 && fstatat(dir_fd, "state.db-wal", &st, 0) == 0 &&
		st.st_size > 0)
		return -EBADMSG;
	return r;
}

static int set_up(sqlite3 *db)
{
	static const char pragmas[] =
		"PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
		"PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
		"PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 4194304;";
	sqlite3_stmt *stmt = NULL;
	bool is_wal = false;
	int rc = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		is_wal = str_eq((const char *)sqlite3_column_text(stmt, 0), "wal");
	sqlite3_finalize(stmt);
	if (rc != SQLITE_ROW)
		return sql_opening_errno(db, rc);
	if (!is_wal)
		return -EOPNOTSUPP; /* a file system without shared memory maps */
	return sql_opening_errno(db, sqlite3_exec(db, pragmas, NULL, NULL, NULL));
}

static int open_db(const char *path, int64_t size, sqlite3 **ret, bool *ret_is_new)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(
		path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	int probe, r = db ? sql_opening_errno(db, rc) : -ENOMEM;

	if (r < 0)
		goto fail;
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, BUSY_MS);
	r = probe = store_schema_probe(db);
	if (r < 0)
		goto fail;
	if (probe == 0 && size <= CHECK_MAX_BYTES)
		r = store_schema_check(db);
	if (r >= 0)
		r = set_up(db);
	if (r == 0)
		r = store_schema_migrate(db);
	if (r < 0)
		goto fail;
	*ret = db;
	*ret_is_new = probe == 1;
	return 0;
fail:
	sqlite3_close(db);
	return r;
}

/* The log goes first: a fresh database must never meet the log of an old one. */
static int move_aside(int dir_fd, const char *dir, char *moved_to)
{
	static const char *const suffixes[] = {"-wal", "-shm", ""};
	char stamp[32], to[96], from[32];
	struct stat st;

	clock_format_amz(
		clock_wall_us(clock_system()) / USEC_PER_SEC, stamp, sizeof(stamp));
	snprintf(to, sizeof(to), "state.db.bad-%s", stamp);
	for (int n = 2; fstatat(dir_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0; n++)
		snprintf(to, sizeof(to), "state.db.bad-%s.%d", stamp, n);
	snprintf(moved_to, MOVED_TO_SIZE, "%s/%s", dir, to);
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		char target[104];

		snprintf(from, sizeof(from), "state.db%s", suffixes[i]);
		snprintf(target, sizeof(target), "%s%s", to, suffixes[i]);
		if (renameat(dir_fd, from, dir_fd, target) < 0 && errno != ENOENT)
			return -errno;
	}
	return fsync(dir_fd) < 0 ? -errno : 0;
}

static int open_locked(struct store *s, const char *dir, int dir_fd,
	enum store_open_result *ret_how, char *moved_to)
{
	_cleanup_free_ char *path = mem_printf("%s/state.db", dir);
	bool is_new = false, was_damaged = false;
	int64_t size = 0;
	int r = make_file(dir_fd, &size);

	if (r == 0)
		r = open_db(path, size, &s->db, &is_new);
	if (r == -EBADMSG) {
		was_damaged = true;
		r = move_aside(dir_fd, dir, moved_to);
		if (r == 0)
			r = make_file(dir_fd, &size);
		if (r == 0)
			r = open_db(path, size, &s->db, &is_new);
	}
	if (r < 0)
		return r == -EBADMSG ? -EIO : r; /* damaged at once: the disk */
	*ret_how = was_damaged ? STORE_RECOVERED : is_new ? STORE_CREATED : STORE_OPENED;
	return 0;
}

int store_open(const char *dir, struct store **ret, enum store_open_result *ret_how,
	char *moved_to, int64_t *ret_pid)
{
	struct store *s;
	int r, dir_fd = open_dir(dir);

	if (dir_fd < 0)
		return dir_fd;
	s = mem_alloc(sizeof(*s));
	s->lock_fd = -1;
	r = take_lock(dir_fd, &s->lock_fd, ret_pid);
	if (r == 0)
		r = open_locked(s, dir, dir_fd, ret_how, moved_to);
	close_fd(dir_fd);
	if (r < 0)
		store_close(s);
	else
		*ret = s;
	return r;
}

void *store_close(struct store *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(s->statements); i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db); /* an open transaction is rolled back */
	close_fd(s->lock_fd);
	free(s);
	return NULL;
}

static int run_plain(struct store *s, enum sql_id id)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, id, &r);

	return stmt ? sql_run(s, stmt) : r;
}

int store_begin(struct store *s)
{
	int r = s->depth == 0 ? run_plain(s, SQL_BEGIN) : s->is_doomed ? -ECANCELED : 0;

	if (r == 0)
		s->depth++;
	return r;
}

int store_commit(struct store *s)
{
	int r;

	if (s->depth == 0)
		return -EINVAL;
	if (s->depth > 1) {
		s->depth--;
		return s->is_doomed ? -ECANCELED : 0;
	}
	r = s->is_doomed ? -ECANCELED : run_plain(s, SQL_COMMIT);
	if (r < 0)
		store_rollback(s);
	else
		s->depth = 0;
	return r;
}

void store_rollback(struct store *s)
{
	if (s->depth == 0)
		return;
	if (!sqlite3_get_autocommit(s->db))
		run_plain(s, SQL_ROLLBACK);
	s->depth--;
	s->is_doomed = s->depth > 0;
}

int store_job_get(struct store *s, const char *name, struct store_job *ret)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_JOB_GET, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, name);
	r = sql_step(s, stmt);
	if (r == 1) {
		*ret = (struct store_job){0};
		sql_column_text(stmt, 0, ret->name, sizeof(ret->name));
		sql_column_text(stmt, 1, ret->schedule_hash, sizeof(ret->schedule_hash));
		ret->watermark = sqlite3_column_int64(stmt, 2);
		ret->clock_gen = sqlite3_column_int64(stmt, 3);
		ret->paused_at = sqlite3_column_int64(stmt, 4);
		ret->consecutive_failures = sqlite3_column_int64(stmt, 5);
		ret->last_success_at = sqlite3_column_int64(stmt, 6);
		ret->last_run_at = sqlite3_column_int64(stmt, 7);
		ret->paused_until = sqlite3_column_int64(stmt, 8);
		ret->conf_paused = sqlite3_column_int(stmt, 9) != 0;
		ret->served = sqlite3_column_int64(stmt, 10);
	}
	sql_done(stmt);
	return r == 1 ? 0 : r == 0 ? -ENOENT : r;
}

int store_job_put(struct store *s, const struct store_job *job)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_JOB_PUT, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job->name);
	sql_bind_text(stmt, 2, job->schedule_hash);
	sqlite3_bind_int64(stmt, 3, job->watermark);
	sqlite3_bind_int64(stmt, 4, job->clock_gen);
	sqlite3_bind_int64(stmt, 5, job->paused_at);
	sqlite3_bind_int64(stmt, 6, job->consecutive_failures);
	sqlite3_bind_int64(stmt, 7, job->last_success_at);
	sqlite3_bind_int64(stmt, 8, job->last_run_at);
	sqlite3_bind_int64(stmt, 9, job->paused_until);
	sqlite3_bind_int(stmt, 10, job->conf_paused);
	sqlite3_bind_int64(stmt, 11, job->served);
	return sql_run(s, stmt);
}

int store_daemon_get(struct store *s, int64_t *ret_last_wall_s)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_DAEMON_GET, &r);

	if (!stmt)
		return r;
	r = sql_step(s, stmt);
	if (r == 1)
		*ret_last_wall_s = sqlite3_column_int64(stmt, 0);
	sql_done(stmt);
	return r == 1 ? 0 : r == 0 ? -ENOENT : r;
}

int store_daemon_put(struct store *s, int64_t wall_s)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_DAEMON_PUT, &r);

	if (!stmt)
		return r;
	sqlite3_bind_int64(stmt, 1, wall_s);
	return sql_run(s, stmt);
}
