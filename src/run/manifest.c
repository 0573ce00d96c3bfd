/*
 * Writes manifests: rows, their chain, the file's way to its name, how long it is kept.
 * Reading is manifest_read.c's; what is written, the run decides.
 */
#include "config.h"

#include "run/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/gzip.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/manifest_impl.h"

#define FLUSH_BYTES (256 * 1024) /* of rows; that much a kill can take */
#define SUFFIX      ".jsonl.gz"
#define PART        ".part"
#define FRESH       PART ".new"

/* Rows of keys that were left alone, not written yet. */
struct fold {
	enum reason reason; /* REASON_NONE: none */
	char *first;
	struct buf last;
	uint64_t count, bytes;
};

struct manifest {
	char *path, *part;
	int fd;
	struct gzip_writer *gzip;
	struct buf row;
	struct json_writer json;
	uint8_t chain[CRYPTO_SHA256_LEN];
	struct fold fold;
	uint64_t rows, bytes, counts[REASONS];
	size_t unflushed;
	int error;
};

void manifest_chain(uint8_t chain[CRYPTO_SHA256_LEN], const char *row, size_t len)
{
	struct crypto_hash *h = crypto_hash_new(CRYPTO_SHA256);

	crypto_hash_update(h, chain, CRYPTO_SHA256_LEN);
	crypto_hash_update(h, row, len);
	crypto_hash_final(h, chain);
	crypto_hash_free(h);
}

char *manifest_path(const char *dir, const char *job, const char *run)
{
	return mem_printf("%s/%s/%s" SUFFIX, dir, job, run);
}

/* --- rows --- */

static void begin(struct manifest *m)
{
	buf_reset(&m->row);
	json_writer_init(&m->json, &m->row);
	json_object_begin(&m->json, NULL);
}

static void put(struct manifest *m, const char *name, const char *value)
{
	if (value && *value)
		json_put_str(&m->json, name, value);
}

static void put_time(struct manifest *m, const char *name, int64_t at_us)
{
	char text[40];

	json_put_str(&m->json, name, clock_format_iso_us(at_us, text, sizeof(text)));
}

static void write_line(struct manifest *m, const char *line, size_t len)
{
	if (!m->error)
		m->error = gzip_write(m->gzip, line, len);
	if (!m->error)
		m->error = gzip_write(m->gzip, "\n", 1);
	m->rows++;
	m->unflushed += len;
	if (m->unflushed > FLUSH_BYTES)
		manifest_flush(m);
}

/* The row without its brace goes into the chain, and the chain into the row. */
static void end(struct manifest *m)
{
	char hex[MANIFEST_HASH_LEN];

	json_object_end(&m->json);
	m->row.len--;
	manifest_chain(m->chain, m->row.data, m->row.len);
	str_to_hex(m->chain, sizeof(m->chain), hex);
	if (m->json.failed || buf_printf(&m->row, ",\"hash\":\"%s\"}", hex) < 0) {
		m->error = m->error ? m->error : -ENOBUFS;
		return;
	}
	write_line(m, m->row.data, m->row.len);
}

static void write_fold(struct manifest *m)
{
	struct fold *f = &m->fold;

	if (f->reason == REASON_NONE)
		return;
	begin(m);
	json_put_str(&m->json, "reason", reason_code(f->reason));
	json_put_str(&m->json, "from", f->first);
	json_put_str(&m->json, "to", buf_str(&f->last));
	json_put_int(&m->json, "count", (int64_t)f->count);
	json_put_int(&m->json, "bytes", (int64_t)f->bytes);
	end(m);
	f->reason = REASON_NONE;
}

/* It was looked at more closely, and others went by meanwhile: a row of its own. */
static void write_late(
	struct manifest *m, enum reason reason, const char *key, uint64_t size)
{
	begin(m);
	json_put_str(&m->json, "reason", reason_code(reason));
	json_put_str(&m->json, "key", key);
	json_put_int(&m->json, "size", (int64_t)size);
	end(m);
	m->counts[reason]++;
}

void manifest_relist(struct manifest *m)
{
	write_fold(m);
	buf_reset(&m->fold.last);
}

void manifest_left(
	struct manifest *m, enum reason reason, const char *key, uint64_t bytes)
{
	struct fold *f = &m->fold;

	if (strcmp(key, buf_str(&f->last)) < 0) {
		write_late(m, reason, key, bytes);
		return;
	}
	if (f->reason != reason) {
		write_fold(m);
		mem_replace(&f->first, key);
		f->reason = reason;
		f->count = f->bytes = 0;
	}
	buf_reset(&f->last);
	buf_puts(&f->last, key);
	f->count++;
	f->bytes += bytes;
	m->counts[reason]++;
}

static void put_side(struct manifest *m, const char *name, const struct manifest_side *s)
{
	json_object_begin(&m->json, name);
	put(m, "etag", s->etag);
	put(m, "version", s->version);
	put(m, "checksum", s->checksum);
	json_object_end(&m->json);
}

void manifest_add(struct manifest *m, const struct manifest_row *row)
{
	begin(m);
	json_put_str(&m->json, "reason", reason_code(row->reason));
	json_put_str(&m->json, "key", row->key);
	put(m, "destination_key", row->destination_key);
	json_put_int(&m->json, "bytes", (int64_t)row->bytes);
	put_side(m, "source", &row->source);
	put_side(m, "destination", &row->destination);
	put_time(m, "at", row->at_us);
	json_put_int(&m->json, "duration_us", row->duration_us);
	put(m, "error", row->error);
	if (row->is_begun)
		json_put_bool(&m->json, "begun", true);
	end(m);
	if (row->is_begun)
		return;
	m->counts[row->reason]++;
	m->bytes += row->bytes;
}

void manifest_flush(struct manifest *m)
{
	if (!m->error)
		m->error = gzip_flush(m->gzip);
	m->unflushed = 0;
}

/* --- the file --- */

static void *destroy(struct manifest *m)
{
	gzip_writer_free(m->gzip);
	if (m->fd >= 0)
		close(m->fd);
	free(m->path);
	free(m->part);
	free(m->fold.first);
	buf_done(&m->fold.last);
	buf_done(&m->row);
	free(m);
	return NULL;
}

static void put_head(struct manifest *m, const struct manifest_head *head)
{
	begin(m);
	json_put_int(&m->json, "manifest", 1);
	json_put_str(&m->json, "job", head->job);
	json_put_str(&m->json, "run", head->run);
	put_time(m, "slot", head->slot_us);
	put_time(m, "started", head->started_us);
	json_put_str(&m->json, "source", head->source);
	json_put_str(&m->json, "destination", head->destination);
	end(m);
}

/* A row that was written before, and what it counts for. False: it closes the manifest. */
static bool write_again(struct manifest *m, const char *line, size_t len)
{
	struct json *v = json_parse(line, len, NULL);
	enum reason r = reason_find(json_get_str(v, "reason"), false);
	int64_t count = json_get_int(v, "count", 1);
	bool is_begun = json_get_bool(v, "begun", false);
	bool is_closing = json_get_str(v, "verdict");

	if (r != REASON_NONE && count > 0 && !is_begun)
		m->counts[r] += (uint64_t)count;
	if (json_get_str(v, "key") && !is_begun)
		m->bytes += (uint64_t)json_get_int(v, "bytes", 0);
	json_free(v);
	if (!is_closing)
		write_line(m, line, len);
	return !is_closing;
}

/* The rows of a run that was killed: all that are whole and follow each other. */
static void take_up(struct manifest *m, int old)
{
	struct gzip_reader *r = gzip_reader_new(old);
	uint8_t chain[CRYPTO_SHA256_LEN];

	memcpy(chain, m->chain, sizeof(chain));
	while (gzip_read_line(r, &m->row) == 1 &&
		manifest_follows(chain, m->row.data, m->row.len) &&
		write_again(m, m->row.data, m->row.len))
		memcpy(m->chain, chain, sizeof(chain));
	gzip_reader_free(r);
}

static int make_folders(const char *dir, const char *job)
{
	_cleanup_free_ char *path = mem_printf("%s/%s", dir, job);

	if (mkdir(dir, 0750) < 0 && errno != EEXIST)
		return -errno;
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* A new part beside the old one, which it takes up and replaces. */
static int open_part(struct manifest *m, const struct manifest_head *head)
{
	_cleanup_free_ char *fresh = mem_printf("%s" FRESH, m->path);
	int old = open(m->part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	/* Killed between this name and the ledger's row: the run is taken up as well. */
	if (old < 0)
		old = open(m->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	m->fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (m->fd < 0) {
		int r = -errno;

		if (old >= 0)
			close(old);
		return r;
	}
	m->gzip = gzip_writer_new(m->fd);
	if (old >= 0) {
		take_up(m, old);
		close(old);
	}
	put_head(m, head);
	manifest_flush(m);
	if (!m->error && rename(fresh, m->part) < 0)
		m->error = -errno;
	return m->error;
}

int manifest_open(
	const char *dir, const struct manifest_head *head, struct manifest **ret)
{
	struct manifest *m;
	int r = make_folders(dir, head->job);

	if (r < 0)
		return r;
	m = mem_alloc(sizeof(*m));
	m->fd = -1;
	m->path = manifest_path(dir, head->job, head->run);
	m->part = mem_printf("%s" PART, m->path);
	buf_init(&m->row, MANIFEST_ROW_MAX);
	buf_init(&m->fold.last, MANIFEST_ROW_MAX);
	r = open_part(m, head);
	if (r < 0)
		destroy(m);
	else
		*ret = m;
	return r;
}

void *manifest_abandon(struct manifest *m)
{
	if (!m)
		return NULL;
	write_fold(m);
	manifest_flush(m);
	return destroy(m);
}

static void put_end(struct manifest *m, const char *verdict, const char *reason)
{
	begin(m);
	json_put_str(&m->json, "verdict", verdict);
	put(m, "because", reason);
	json_put_int(&m->json, "rows", (int64_t)m->rows);
	json_put_int(&m->json, "bytes", (int64_t)m->bytes);
	json_object_begin(&m->json, "counts");
	for (enum reason r = REASON_NONE + 1; r < REASONS; r++)
		if (m->counts[r])
			json_put_int(&m->json, reason_code(r), (int64_t)m->counts[r]);
	json_object_end(&m->json);
	end(m);
}

static int sync_folder(const char *path)
{
	_cleanup_free_ char *dir = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

int manifest_close(struct manifest *m, const char *verdict, const char *reason,
	char ret_hash[MANIFEST_HASH_LEN])
{
	int r;

	write_fold(m);
	put_end(m, verdict, reason);
	r = m->error;
	if (r == 0)
		r = gzip_finish(m->gzip);
	if (r == 0 && fsync(m->fd) < 0)
		r = -errno;
	if (r == 0 && rename(m->part, m->path) < 0)
		r = -errno;
	if (r == 0)
		r = sync_folder(m->path);
	if (r == 0 && ret_hash)
		str_to_hex(m->chain, sizeof(m->chain), ret_hash);
	destroy(m);
	return r;
}

/* --- how long they are kept --- */

struct kept {
	char name[256];
	struct timespec at;
};

static int newest_first(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->at.tv_sec != y->at.tv_sec)
		return x->at.tv_sec > y->at.tv_sec ? -1 : 1;
	if (x->at.tv_nsec != y->at.tv_nsec)
		return x->at.tv_nsec > y->at.tv_nsec ? -1 : 1;
	return strcmp(y->name, x->name);
}

static struct kept *list_kept(DIR *d, size_t *ret_count)
{
	struct kept *all = NULL;
	struct dirent *e;
	struct stat st;
	size_t count = 0;

	while ((e = readdir(d))) {
		if (!str_has_suffix(e->d_name, SUFFIX) &&
			!str_has_suffix(e->d_name, SUFFIX PART) &&
			!str_has_suffix(e->d_name, SUFFIX FRESH))
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		all = mem_resize(all, count + 1, sizeof(*all));
		snprintf(all[count].name, sizeof(all[count].name), "%s", e->d_name);
		all[count++].at = st.st_mtim;
	}
	*ret_count = count;
	return all;
}

int manifest_prune(
	const char *dir, const char *job, size_t keep, int64_t max_age_s, int64_t now_s)
{
	_cleanup_free_ char *path = mem_printf("%s/%s", dir, job);
	DIR *d = opendir(path);
	struct kept *all;
	size_t count;
	int removed = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	all = list_kept(d, &count);
	if (count)
		qsort(all, count, sizeof(*all), newest_first);
	for (size_t i = 0; i < count; i++) {
		bool is_old = max_age_s && now_s - all[i].at.tv_sec > max_age_s;

		if (!is_old && (!keep || i < keep))
			continue;
		if (unlinkat(dirfd(d), all[i].name, 0) == 0)
			removed++;
	}
	free(all);
	closedir(d);
	return removed;
}
