/*
 * run/manifest on base/gzip: rows and their chain, every kind of meddling, what a killed
 * daemon leaves, how long manifests are kept, and the notes of those that are to be sent.
 */
#include "config.h"

#include "run/manifest.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/gzip.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/manifest_unsent.h"

#define NOW (INT64_C(1764000000) * USEC_PER_SEC)

struct fixture {
	char dir[64];
	char *path, *part;
};

static const struct manifest_head head = {
	"job", "run-1", NOW, NOW, "s3://a/x/", "s3://b/"};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_manifest.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->path = manifest_path(f->dir, "job", "run-1");
	f->part = mem_printf("%s.part", f->path);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *job = mem_printf("%s/job", f->dir);

	manifest_prune(f->dir, "job", 1, 1, INT64_MAX / 2);
	rmdir(job);
	assert_int_equal(rmdir(f->dir), 0);
	free(f->path);
	free(f->part);
	free(f);
	return 0;
}

static struct manifest *begin(struct fixture *f)
{
	struct manifest *m = NULL;

	assert_int_equal(manifest_open(f->dir, &head, &m), 0);
	return m;
}

static void add(struct manifest *m, enum reason reason, const char *key, uint64_t bytes)
{
	const struct manifest_row row = {.reason = reason,
		.key = key,
		.bytes = bytes,
		.source = {"\"e\"", "v1", "crc64nvme:AAAA"},
		.destination = {"\"d\"", NULL, "crc64nvme:AAAA"},
		.at_us = NOW,
		.duration_us = 1200,
		.error = reason == REASON_OBJECT_DENIED ? "it says \"no\"" : NULL};

	manifest_add(m, &row);
}

/* Seven rows: head, copied, same a-c, filtered d, same e-f, denied, end. */
static void write_one(struct fixture *f, char hash[MANIFEST_HASH_LEN])
{
	struct manifest *m = begin(f);

	manifest_left(m, REASON_SAME, "a", 1);
	manifest_left(m, REASON_SAME, "b", 2);
	add(m, REASON_COPIED, "b2", 100);
	manifest_left(m, REASON_SAME, "c", 4);
	manifest_left(m, REASON_FILTERED, "d", 8);
	manifest_left(m, REASON_SAME, "e", 16);
	manifest_left(m, REASON_SAME, "f\n\xc3\xbc", 32);
	add(m, REASON_OBJECT_DENIED, "g", 0);
	assert_int_equal(manifest_close(m, "partial", "denied", hash), 0);
}

static int verify(const struct fixture *f, struct manifest_summary *s, uint64_t *line)
{
	char why[128];
	int r = manifest_verify(f->path, s, line, why);

	assert_int_equal(r == -EBADMSG, why[0] != '\0');
	return r;
}

static void is_whole_and_verifies(void **state)
{
	struct fixture *f = *state;
	struct manifest_summary s;
	char hash[MANIFEST_HASH_LEN];
	uint64_t line;

	write_one(f, hash);
	assert_int_equal(access(f->part, F_OK), -1);
	assert_int_equal(verify(f, &s, &line), 0);
	assert_int_equal(s.rows, 7);
	assert_int_equal(s.bytes, 100);
	assert_int_equal(s.counts[REASON_SAME], 5);
	assert_int_equal(s.counts[REASON_FILTERED], 1);
	assert_int_equal(s.counts[REASON_COPIED], 1);
	assert_int_equal(s.counts[REASON_OBJECT_DENIED], 1);
	assert_string_equal(s.hash, hash);
}

static void assert_found(const struct fixture *f, const char *key, const char *words)
{
	struct buf row = BUF_INIT(65536);

	assert_int_equal(manifest_find(f->path, key, &row), words != NULL);
	if (words && !strstr(buf_str(&row), words))
		fail_msg("%s: %s", key, buf_str(&row));
	buf_done(&row);
}

static void tells_of_each_key(void **state)
{
	struct fixture *f = *state;

	write_one(f, NULL);
	assert_found(f, "b2", "\"reason\":\"copied\"");
	assert_found(f, "b2", "\"version\":\"v1\",\"checksum\":\"crc64nvme:AAAA\"");
	assert_found(
		f, "a", "\"reason\":\"same\",\"from\":\"a\",\"to\":\"c\",\"count\":3");
	assert_found(f, "b", "\"bytes\":7");
	assert_found(f, "d", "filtered");
	assert_found(f, "f\n\xc3\xbc", "\"from\":\"e\"");
	assert_found(f, "g", "it says \\\"no\\\"");
	assert_found(f, "zzz", NULL);
	assert_found(f, "", NULL);
}

/* --- meddling --- */

/* All lines of a file, each with its end. */
static void late_and_listed_again(void **state)
{
	struct fixture *f = *state;
	struct manifest_summary sum;
	uint64_t line;
	char why[128];
	struct manifest *m = begin(f);

	manifest_left(m, REASON_SAME, "a", 1);
	manifest_left(m, REASON_FILTERED, "c", 1);
	manifest_left(m, REASON_EXISTS, "b", 7);
	manifest_left(m, REASON_FILTERED, "d", 1);
	manifest_relist(m);
	manifest_left(m, REASON_TOO_NEW, "a", 1);
	manifest_left(m, REASON_TOO_NEW, "d", 1);
	assert_int_equal(manifest_close(m, "succeeded", "", NULL), 0);
	assert_int_equal(manifest_verify(f->path, &sum, &line, why), 0);
	assert_int_equal(sum.rows, 6);
	assert_int_equal(sum.counts[REASON_FILTERED], 2);
	assert_found(f, "b", "\"reason\":\"exists\",\"key\":\"b\",\"size\":7");
	assert_found(f, "c", "\"reason\":\"too-new\"");
}

static void read_lines(
	const char *path, struct buf *out, size_t starts[16], size_t *count)
{
	struct buf line = BUF_INIT(65536);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct gzip_reader *r = gzip_reader_new(fd);

	*count = 0;
	while (gzip_read_line(r, &line) == 1) {
		starts[(*count)++] = out->len;
		buf_append(out, line.data, line.len);
		buf_putc(out, '\n');
	}
	starts[*count] = out->len;
	gzip_reader_free(r);
	buf_done(&line);
	close(fd);
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct gzip_writer *w = gzip_writer_new(fd);

	assert_int_equal(gzip_write(w, data, len), 0);
	assert_int_equal(gzip_finish(w), 0);
	gzip_writer_free(w);
	close(fd);
}

static void a_changed_byte_shows(void **state)
{
	struct fixture *f = *state;
	struct buf all = BUF_INIT(1 << 20);
	struct manifest_summary s;
	size_t starts[16], count;
	uint64_t line;

	write_one(f, NULL);
	read_lines(f->path, &all, starts, &count);
	assert_int_equal(count, 7);
	for (size_t i = 0; i < all.len; i += 3) {
		char kept = all.data[i];

		if (kept == '\n')
			continue;
		all.data[i] = kept == 'x' ? 'y' : 'x';
		write_file(f->path, all.data, all.len);
		assert_int_equal(verify(f, &s, &line), -EBADMSG);
		assert_true(i >= starts[line - 1] && i < starts[line]);
		all.data[i] = kept;
	}
	buf_done(&all);
}

static void lost_and_swapped_rows_show(void **state)
{
	struct fixture *f = *state;
	struct buf all = BUF_INIT(1 << 20), other = BUF_INIT(1 << 20);
	struct manifest_summary s;
	size_t starts[16], count;
	uint64_t line;

	write_one(f, NULL);
	read_lines(f->path, &all, starts, &count);
	for (size_t i = 0; i < count; i++) { /* one is lost */
		buf_reset(&other);
		buf_append(&other, all.data, starts[i]);
		buf_append(&other, all.data + starts[i + 1], all.len - starts[i + 1]);
		write_file(f->path, other.data, other.len);
		assert_int_equal(verify(f, &s, &line), -EBADMSG);
	}
	for (size_t i = 0; i < count; i++) { /* one comes twice */
		buf_reset(&other);
		buf_append(&other, all.data, starts[i + 1]);
		buf_append(&other, all.data + starts[i], all.len - starts[i]);
		write_file(f->path, other.data, other.len);
		assert_int_equal(verify(f, &s, &line), -EBADMSG);
		assert_int_equal(line, i + 2);
	}
	write_file(f->path, all.data, all.len);
	assert_int_equal(verify(f, &s, &line), 0);
	buf_done(&all);
	buf_done(&other);
}

static void a_cut_off_file_shows(void **state)
{
	struct fixture *f = *state;
	struct manifest_summary s;
	struct stat st;
	uint64_t line;

	write_one(f, NULL);
	assert_int_equal(stat(f->path, &st), 0);
	for (off_t len = st.st_size - 1; len >= 0; len -= 7) {
		assert_int_equal(truncate(f->path, len), 0);
		assert_int_equal(verify(f, &s, &line), -EBADMSG);
	}
	unlink(f->path);
	assert_int_equal(verify(f, &s, &line), -ENOENT);
}

/* --- kills --- */

static void goes_on_after_a_kill(void **state)
{
	struct fixture *f = *state;
	static struct manifest *volatile killed; /* left as it is, but still known to valgrind */
	struct manifest *m = begin(f);
	struct manifest_summary s;
	uint64_t line;

	add(m, REASON_COPIED, "a", 10);
	manifest_left(m, REASON_SAME, "b", 1);
	manifest_flush(m); /* the row of b is still open: it is lost */
	add(m, REASON_COPIED, "c", 10);
	manifest_flush(m);
	assert_int_equal(access(f->path, F_OK), -1);
	/* as a kill: the file as it is, nothing ended */
	killed = m;
	assert_non_null(killed);
	m = begin(f);
	manifest_left(m, REASON_SAME, "a", 10);
	manifest_left(m, REASON_SAME, "b", 1);
	manifest_abandon(m);
	m = begin(f);
	manifest_left(m, REASON_SAME, "a", 10);
	assert_int_equal(manifest_close(m, "succeeded", "", NULL), 0);
	assert_int_equal(verify(f, &s, &line), 0);
	assert_int_equal(s.counts[REASON_COPIED], 2);
	assert_int_equal(s.counts[REASON_SAME], 3);
	assert_int_equal(s.bytes, 20);
	assert_int_equal(s.rows, 3 + 2 + 2 + 1);
	assert_found(f, "a", "copied");
	assert_found(f, "b", "same");
}

/* The part cut off anywhere is taken up as far as it goes. */
static void takes_up_what_is_whole(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = begin(f);
	struct manifest_summary s;
	struct stat st;
	char key[16];
	uint64_t line, last = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		add(m, REASON_COPIED, key, 1);
	}
	manifest_abandon(m);
	assert_int_equal(stat(f->part, &st), 0);
	for (off_t len = st.st_size; len > 0; len -= 37) {
		if (len < st.st_size)
			assert_int_equal(truncate(f->part, len), 0);
		m = begin(f);
		assert_int_equal(manifest_close(m, "succeeded", "", NULL), 0);
		assert_int_equal(verify(f, &s, &line), 0);
		assert_true(s.counts[REASON_COPIED] <= last);
		last = s.counts[REASON_COPIED];
		/* for the next turn: a part again */
		assert_int_equal(unlink(f->path), 0);
		m = begin(f);
		for (uint64_t i = 0; i < last; i++)
			add(m, REASON_COPIED, "k", 1);
		manifest_abandon(m);
	}
}

/* Closed, but killed before the ledger knew: the run is taken up, and its manifest. */
static void a_closed_one_is_taken_up(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = begin(f);
	struct manifest_summary s;
	uint64_t line;

	add(m, REASON_DELETED, "gone", 0);
	assert_int_equal(manifest_close(m, "succeeded", "", NULL), 0);
	m = begin(f);
	manifest_left(m, REASON_SAME, "a", 1);
	assert_int_equal(manifest_close(m, "succeeded", "", NULL), 0);
	assert_int_equal(verify(f, &s, &line), 0);
	assert_int_equal(s.counts[REASON_DELETED], 1);
	assert_int_equal(s.counts[REASON_SAME], 1);
	assert_found(f, "gone", "deleted");
}

/* What was begun is known after a kill, and counts when it has ended. */
static void what_was_begun_counts_once(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = begin(f);
	struct manifest_summary s;
	const struct manifest_row row = {
		.reason = REASON_MOVED, .key = "a", .bytes = 7, .is_begun = true};
	uint64_t line;

	manifest_add(m, &row);
	manifest_abandon(m);
	m = begin(f);
	add(m, REASON_SOURCE_KEPT, "b", 0);
	assert_int_equal(manifest_close(m, "partial", "", NULL), 0);
	assert_int_equal(verify(f, &s, &line), 0);
	assert_int_equal(s.counts[REASON_MOVED], 0);
	assert_int_equal(s.bytes, 0);
	assert_found(f, "a", "moved");
}

static void an_error_is_told_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = begin(f);
	_cleanup_free_ char *job = mem_printf("%s/job", f->dir);

	assert_int_equal(unlink(f->part), 0);
	assert_int_equal(rmdir(job), 0);
	add(m, REASON_COPIED, "a", 1);
	assert_int_equal(manifest_close(m, "succeeded", "", NULL), -ENOENT);
	assert_null(manifest_abandon(NULL));
}

static void is_kept_by_count_and_age(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		char run[16];
		const struct manifest_head h = {"job", run, NOW, NOW, "a", "b"};
		_cleanup_free_ char *path = NULL;
		struct timespec times[2] = {{1000 + i, 0}, {1000 + i, 0}};
		struct manifest *m;

		snprintf(run, sizeof(run), "r%d", i);
		assert_int_equal(manifest_open(f->dir, &h, &m), 0);
		assert_int_equal(manifest_close(m, "succeeded", "", NULL), 0);
		path = manifest_path(f->dir, "job", run);
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	}
	assert_int_equal(manifest_prune(f->dir, "job", 0, 0, 2000), 0);
	assert_int_equal(manifest_prune(f->dir, "job", 4, 0, 2000), 1);
	assert_int_equal(manifest_prune(f->dir, "job", 0, 997, 2000), 2);
	assert_int_equal(manifest_prune(f->dir, "job", 2, 997, 2000), 0);
	assert_int_equal(manifest_prune(f->dir, "nobody", 1, 1, 2000), 0);
}

/* --- base/gzip alone --- */

static void lines_of_gzip(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = mem_printf("%s/lines", f->dir);
	struct buf line = BUF_INIT(100000), small = BUF_INIT(10);
	char *big = mem_alloc(50001);
	struct gzip_writer *w;
	struct gzip_reader *r;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(big, 'b', 50000);
	w = gzip_writer_new(fd);
	assert_int_equal(gzip_write(w, "one\n\n", 5), 0);
	assert_int_equal(gzip_finish(w), 0);
	gzip_writer_free(w);
	w = gzip_writer_new(fd); /* a second stream behind the first */
	assert_int_equal(gzip_write(w, big, 50000), 0);
	assert_int_equal(gzip_write(w, "\n", 1), 0);
	assert_int_equal(gzip_finish(w), 0);
	gzip_writer_free(w);
	lseek(fd, 0, SEEK_SET);
	r = gzip_reader_new(fd);
	assert_int_equal(gzip_read_line(r, &line), 1);
	assert_string_equal(buf_str(&line), "one");
	assert_int_equal(gzip_read_line(r, &line), 1);
	assert_string_equal(buf_str(&line), "");
	assert_int_equal(gzip_read_line(r, &line), 1);
	assert_string_equal(buf_str(&line), big);
	assert_int_equal(gzip_read_line(r, &line), 0);
	gzip_reader_free(r);
	lseek(fd, 0, SEEK_SET);
	r = gzip_reader_new(fd);
	gzip_read_line(r, &small);
	gzip_read_line(r, &small);
	assert_int_equal(gzip_read_line(r, &small), -ENOBUFS);
	gzip_reader_free(r);
	close(fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	w = gzip_writer_new(fd);
	assert_int_equal(gzip_write(w, "x", 1), -ENOSPC); /* gzip's head */
	assert_int_equal(gzip_flush(w), -ENOSPC);
	assert_int_equal(gzip_finish(w), -ENOSPC);
	gzip_writer_free(w);
	close(fd);
	unlink(path);
	free(big);
	buf_done(&line);
	buf_done(&small);
}

/* An empty file of the job's folder. */
static void touch(const struct fixture *f, const char *name)
{
	_cleanup_free_ char *path = mem_printf("%s/job/%s", f->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void note(const struct fixture *f, const char *run, const char *url)
{
	assert_int_equal(manifest_unsent_note(f->dir, "job", run, url), 0);
}

static void notes_name_what_is_to_be_sent(void **state)
{
	struct fixture *f = *state;
	struct manifest_unsent u[MANIFEST_UNSENT_MAX];
	char run[32];

	assert_int_equal(manifest_unsent_list(f->dir, "job", "run-1", u), 0);
	write_one(f, NULL);
	for (int i = 2; i < 12; i++) {
		snprintf(run, sizeof(run), "run-%d.jsonl.gz", i);
		touch(f, run);
		*strchr(run, '.') = '\0';
		note(f, run, "s3://b/older");
	}
	note(f, "run-1", "s3://b/m/run-1");
	assert_int_equal(
		manifest_unsent_list(f->dir, "job", "run-1", u), MANIFEST_UNSENT_MAX);
	assert_string_equal(u[0].path, "job/run-1.jsonl.gz");
	assert_string_equal(u[0].url, "s3://b/m/run-1");
	for (size_t i = 0; i < MANIFEST_UNSENT_MAX; i++) {
		assert_string_equal(u[i].url, i ? "s3://b/older" : "s3://b/m/run-1");
		manifest_unsent_drop(f->dir, u[i].path);
		manifest_unsent_done(&u[i]);
	}
	assert_int_equal(manifest_unsent_list(f->dir, "job", "run-1", u), 3);
	for (size_t i = 0; i < 3; i++) {
		manifest_unsent_drop(f->dir, u[i].path);
		manifest_unsent_done(&u[i]);
	}
	assert_int_equal(manifest_unsent_list(f->dir, "job", "run-1", u), 0);
}

static void notes_that_are_no_good_go(void **state)
{
	struct fixture *f = *state;
	struct manifest_unsent u[MANIFEST_UNSENT_MAX];

	write_one(f, NULL);
	touch(f, "run-1.jsonl.gz.unsent"); /* its bytes were lost */
	touch(f, "run-2.jsonl.gz");
	note(f, "run-2", "what is no address");
	note(f, "gone", "s3://b/gone");
	assert_int_equal(manifest_unsent_list(f->dir, "job", "run-1", u), 0);
	assert_int_equal(access(f->path, F_OK), 0);
	/* The folder goes at the end: no note may be left in it. */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN(TEST(is_whole_and_verifies), TEST(tells_of_each_key),
	TEST(late_and_listed_again), TEST(a_changed_byte_shows),
	TEST(lost_and_swapped_rows_show), TEST(a_cut_off_file_shows),
	TEST(goes_on_after_a_kill), TEST(takes_up_what_is_whole),
	TEST(a_closed_one_is_taken_up), TEST(what_was_begun_counts_once),
	TEST(an_error_is_told_at_the_end), TEST(is_kept_by_count_and_age),
	TEST(notes_name_what_is_to_be_sent), TEST(notes_that_are_no_good_go),
	TEST(lines_of_gzip))
