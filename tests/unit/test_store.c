/*
 * The store: what is committed survives, what is not does not, a second daemon is turned
 * away, and a damaged file is moved aside instead of being trusted.
 */
#include "config.h"

#include "store/store.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

struct fixture {
	char dir[64];
	char db[96];
	char moved_to[512];
	int64_t pid;
	enum store_open_result how;
	struct store *store;
};

static int reopen(struct fixture *f)
{
	f->store = store_close(f->store);
	f->moved_to[0] = '\0';
	return store_open(f->dir, &f->store, &f->how, f->moved_to, &f->pid);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/s3ferry-store-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	rmdir(f->dir); /* store_open() makes it */
	snprintf(f->db, sizeof(f->db), "%s/state.db", f->dir);
	*state = f;
	return reopen(f);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct dirent *entry;
	DIR *d;

	store_close(f->store);
	d = opendir(f->dir);
	while (d && (entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
	rmdir(f->dir);
	free(f);
	return 0;
}

static struct store_run make_run(int number, const char *job, enum run_state state)
{
	struct store_run run = {
		.nominal_at = 1000 + number,
		.claimed_at = 1001 + number,
		.trigger = TRIGGER_SCHEDULE,
		.state = state,
		.count = 1,
	};

	snprintf(run.id, sizeof(run.id), "00000000-0000-4000-8000-%012d", number);
	snprintf(run.job, sizeof(run.job), "%s", job);
	snprintf(run.slot, sizeof(run.slot), "2026-11-24T07:%02d/0", number);
	return run;
}

static void collect(void *arg, const struct store_run *run)
{
	char *out = arg;
	size_t len = strlen(out);

	snprintf(out + len, 512 - len, "%d:%s ", atoi(run->id + 24), run->job);
}

static void test_reopen(void **state)
{
	struct fixture *f = *state;
	struct store_job job = {.name = "daily",
		.schedule_hash = "abc",
		.watermark = 77,
		.clock_gen = 2,
		.paused_at = 5,
		.paused_until = 6,
		.conf_paused = true,
		.consecutive_failures = 3,
		.last_success_at = 9,
		.last_run_at = 10};
	struct store_job back;
	int64_t wall = 1;
	struct stat st;

	assert_int_equal(f->how, STORE_CREATED);
	assert_int_equal(store_job_get(f->store, "daily", &back), -ENOENT);
	assert_int_equal(store_daemon_get(f->store, &wall), -ENOENT);
	assert_int_equal(wall, 1);
	assert_int_equal(store_job_put(f->store, &job), 0);
	assert_int_equal(store_daemon_put(f->store, 123456), 0);
	assert_int_equal(store_daemon_put(f->store, 123457), 0);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(f->how, STORE_OPENED);
	assert_int_equal(store_job_get(f->store, "daily", &back), 0);
	assert_memory_equal(&back, &job, sizeof(job));
	assert_int_equal(store_daemon_get(f->store, &wall), 0);
	assert_int_equal(wall, 123457);
	assert_int_equal(stat(f->db, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(f->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_run_row(void **state)
{
	struct fixture *f = *state;
	struct store_run run = make_run(1, "daily", RUN_CLAIMED), back;

	run.clock_gen = 4;
	run.first_at = 900;
	run.last_at = 950;
	run.count = 6;
	run.trigger = TRIGGER_CATCH_UP;
	assert_int_equal(store_run_insert(f->store, &run), 0);
	run.state = RUN_FAILED;
	run.started_at = 1003;
	run.ended_at = 1004;
	run.attempts = 2;
	run.objects = 7;
	run.bytes = UINT64_C(1) << 40;
	run.sent_again = 3;
	snprintf(run.reason, sizeof(run.reason), "denied");
	snprintf(run.message, sizeof(run.message), "AccessDenied; \"quoted\" ' text");
	assert_int_equal(store_run_update(f->store, &run), 0);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(store_run_get(f->store, run.id, &back), 0);
	assert_memory_equal(&back, &run, sizeof(run));
	run = make_run(2, "daily", RUN_CLAIMED);
	assert_int_equal(store_run_update(f->store, &run), -ENOENT);
	assert_int_equal(store_run_get(f->store, run.id, &back), -ENOENT);
}

static void test_run_by_its_beginning(void **state)
{
	struct fixture *f = *state;
	struct store_run run = make_run(1, "daily", RUN_FAILED), back;

	assert_int_equal(store_run_insert(f->store, &run), 0);
	assert_int_equal(store_run_get(f->store, "00000000", &back), 0);
	assert_string_equal(back.id, run.id);
	assert_int_equal(store_run_get(f->store, "0000000", &back), -ENOENT);
	assert_int_equal(store_run_get(f->store, "00000001", &back), -ENOENT);
	run = make_run(2, "daily", RUN_FAILED);
	assert_int_equal(store_run_insert(f->store, &run), 0);
	assert_int_equal(store_run_get(f->store, "00000000", &back), -ENOENT);
	assert_int_equal(store_run_get(f->store, run.id, &back), 0);
	assert_string_equal(back.id, run.id);
}

static void test_slot_taken_once(void **state)
{
	struct fixture *f = *state;
	struct store_run run = make_run(1, "daily", RUN_SUCCEEDED), again;

	assert_int_equal(store_run_insert(f->store, &run), 0);
	again = make_run(2, "daily", RUN_CLAIMED);
	memcpy(again.slot, run.slot, sizeof(run.slot));
	assert_int_equal(store_run_insert(f->store, &again), -EEXIST);
	again.clock_gen = 1;
	assert_int_equal(store_run_insert(f->store, &again), 0);
}

static void test_one_open_run(void **state)
{
	static const enum run_state open_states[] = {
		RUN_CLAIMED, RUN_RUNNING, RUN_RETRY_WAIT, RUN_PARKED};
	struct fixture *f = *state;
	struct store_run run = make_run(1, "daily", RUN_RUNNING), other, back;

	assert_int_equal(store_run_insert(f->store, &run), 0);
	for (size_t i = 0; i < ARRAY_LEN(open_states); i++) {
		other = make_run(2, "daily", open_states[i]);
		assert_int_equal(store_run_insert(f->store, &other), -EEXIST);
		assert_true(run_state_is_open(open_states[i]));
	}
	other = make_run(2, "daily", RUN_SKIPPED);
	assert_false(run_state_is_open(RUN_SKIPPED));
	assert_int_equal(store_run_insert(f->store, &other), 0);
	other = make_run(3, "hourly", RUN_CLAIMED);
	assert_int_equal(store_run_insert(f->store, &other), 0);
	assert_int_equal(store_run_open_of(f->store, "daily", &back), 0);
	assert_string_equal(back.id, run.id);
	run.state = RUN_SUCCEEDED;
	assert_int_equal(store_run_update(f->store, &run), 0);
	assert_int_equal(store_run_open_of(f->store, "daily", &back), -ENOENT);
}

static void test_listings(void **state)
{
	struct fixture *f = *state;
	char seen[512] = "";
	struct store_run run;

	for (int i = 1; i <= 4; i++) {
		run = make_run(i, i % 2 ? "a" : "b", i <= 2 ? RUN_FAILED : RUN_CLAIMED);
		assert_int_equal(store_run_insert(f->store, &run), 0);
	}
	assert_int_equal(store_run_each_open(f->store, collect, seen), 0);
	assert_string_equal(seen, "3:a 4:b ");
	seen[0] = '\0';
	assert_int_equal(store_run_history(f->store, NULL, 3, collect, seen), 0);
	assert_string_equal(seen, "4:b 3:a 2:b ");
	seen[0] = '\0';
	assert_int_equal(store_run_history(f->store, "a", 10, collect, seen), 0);
	assert_string_equal(seen, "3:a 1:a ");
	assert_string_equal(run_state_name(RUN_RETRY_WAIT), "retry_wait");
	assert_string_equal(run_trigger_name(TRIGGER_MANUAL), "manual");
}

static void test_prune(void **state)
{
	struct fixture *f = *state;
	char seen[512] = "";
	struct store_run run;

	for (int i = 1; i <= 6; i++) {
		run = make_run(i, "a", i <= 2 ? RUN_SUCCEEDED : RUN_FAILED);
		assert_int_equal(store_run_insert(f->store, &run), 0);
	}
	run = make_run(7, "b", RUN_FAILED);
	assert_int_equal(store_run_insert(f->store, &run), 0);
	run = make_run(8, "a", RUN_RUNNING);
	assert_int_equal(store_run_insert(f->store, &run), 0);
	assert_int_equal(store_run_prune(f->store, "a", RUN_FAILED, 2), 0);
	assert_int_equal(store_run_prune(f->store, "a", RUN_SUCCEEDED, 1), 0);
	assert_int_equal(store_run_prune(f->store, "b", RUN_FAILED, 1), 0);
	assert_int_equal(store_run_history(f->store, NULL, 100, collect, seen), 0);
	assert_string_equal(seen, "8:a 7:b 6:a 5:a 2:a ");
}

static void on_name(void *arg, const char *name)
{
	strcat(strcat(arg, name), " ");
}

static void test_forget(void **state)
{
	struct fixture *f = *state;
	char seen[512] = "";
	struct store_job job = {.watermark = 100, .schedule_hash = "h"};
	struct store_run run = make_run(1, "a", RUN_FAILED);

	for (const char *name = "abc"; *name; name++, job.watermark += 100) {
		snprintf(job.name, sizeof(job.name), "%c", *name);
		assert_int_equal(store_job_put(f->store, &job), 0);
	}
	assert_int_equal(store_run_insert(f->store, &run), 0);
	run = make_run(2, "b", RUN_FAILED);
	assert_int_equal(store_run_insert(f->store, &run), 0);
	assert_int_equal(store_job_each_idle(f->store, 250, on_name, seen), 0);
	assert_string_equal(seen, "a b ");
	assert_int_equal(store_job_forget(f->store, "a"), 0);
	assert_int_equal(store_job_get(f->store, "a", &job), -ENOENT);
	seen[0] = '\0';
	assert_int_equal(store_run_history(f->store, NULL, 100, collect, seen), 0);
	assert_string_equal(seen, "2:b ");
}

static void on_part(void *arg, const struct store_part *part)
{
	struct fixture *f = arg;

	assert_true(part->number == f->pid + 1 || part->number == 10000);
	assert_string_equal(part->etag, "\"e\"");
	assert_true(part->crc == UINT64_C(0xfedcba9876543210));
	f->pid++;
}

static void on_upload(void *arg, const struct store_upload *u)
{
	struct fixture *f = arg;

	assert_string_equal(u->upload_id, "u1");
	assert_string_equal(u->bucket, "bucket");
	assert_string_equal(u->key, "a/b c");
	assert_string_equal(u->source_etag, "\"x\"");
	assert_int_equal(u->size, INT64_C(1) << 45);
	assert_int_equal(u->part_size, 1 << 24);
	assert_int_equal(u->checksum, 3);
	f->pid = 0;
	assert_int_equal(store_part_each(f->store, u->upload_id, on_part, f), 0);
	assert_int_equal(f->pid, 3);
	assert_int_equal(store_upload_delete(f->store, u->upload_id), 0);
	f->pid = 0;
	assert_int_equal(store_part_each(f->store, u->upload_id, on_part, f), 0);
	assert_int_equal(f->pid, 0);
	f->pid = 77;
}

static void on_intent(void *arg, const struct store_intent *i)
{
	struct fixture *f = arg;

	assert_string_equal(i->job, "daily");
	assert_string_equal(i->key, "a/b c");
	assert_string_equal(i->initiator, "arn:x");
	assert_int_equal(i->until_us, i->intended_us == 43 ? 7 : 0);
	f->pid = f->pid * 100 + i->intended_us;
}

static void test_intents(void **state)
{
	struct fixture *f = *state;
	struct store_intent i = {.job = "daily",
		.run_id = "r",
		.bucket = "bucket",
		.key = "a/b c",
		.initiator = "arn:x",
		.intended_us = 42};
	int64_t first;

	assert_int_equal(store_intent_put(f->store, &i), 0);
	first = i.seq;
	i.until_us = 7;
	i.intended_us = 43; /* the same key once more: both may have left something */
	assert_int_equal(store_intent_put(f->store, &i), 0);
	assert_int_not_equal(i.seq, first);
	assert_int_equal(reopen(f), 0);
	f->pid = 0;
	assert_int_equal(store_intent_each(f->store, "daily", on_intent, f), 0);
	assert_int_equal(f->pid, 4243);
	assert_int_equal(store_intent_delete(f->store, first), 0);
	f->pid = 0;
	assert_int_equal(store_intent_each(f->store, "daily", on_intent, f), 0);
	assert_int_equal(f->pid, 43);
	f->pid = 0;
	assert_int_equal(store_intent_each(f->store, "other", on_intent, f), 0);
	assert_int_equal(f->pid, 0);
}

static void test_uploads(void **state)
{
	struct fixture *f = *state;
	struct store_upload u = {.job = "daily",
		.bucket = "bucket",
		.key = "a/b c",
		.upload_id = "u1",
		.source_key = "s",
		.source_etag = "\"x\"",
		.size = INT64_C(1) << 45,
		.part_size = 1 << 24,
		.checksum = 3,
		.started_at = 42};
	struct store_part part = {1, "\"e\"", UINT64_C(0xfedcba9876543210)};

	/* No part without its upload. */
	assert_int_not_equal(store_part_put(f->store, "u1", &part), 0);
	assert_int_equal(store_upload_put(f->store, &u), 0);
	assert_int_equal(store_part_put(f->store, "u1", &part), 0);
	assert_int_equal(store_part_put(f->store, "u1", &part), 0);
	part.number = 10000;
	assert_int_equal(store_part_put(f->store, "u1", &part), 0);
	part.number = 2;
	assert_int_equal(store_part_put(f->store, "u1", &part), 0);
	snprintf(u.job, sizeof(u.job), "other");
	snprintf(u.upload_id, sizeof(u.upload_id), "u2");
	assert_int_equal(store_upload_put(f->store, &u), 0);
	assert_int_equal(reopen(f), 0);
	f->pid = 0;
	assert_int_equal(store_upload_is_known(f->store, "u2"), 1);
	assert_int_equal(store_upload_is_known(f->store, "u3"), 0);
	assert_int_equal(store_upload_each(f->store, "daily", on_upload, f), 0);
	assert_int_equal(f->pid, 77);
	f->pid = 0;
	assert_int_equal(store_upload_each(f->store, "daily", on_upload, f), 0);
	assert_int_equal(f->pid, 0);
}

static void test_nested_transactions(void **state)
{
	struct fixture *f = *state;
	struct store_run run = make_run(1, "a", RUN_CLAIMED), back;

	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_run_insert(f->store, &run), 0);
	assert_int_equal(store_run_insert(f->store, &run), -EEXIST);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(store_commit(f->store), -EINVAL);
	assert_int_equal(store_run_get(f->store, run.id, &back), 0);

	/* A rollback inside takes all of it, and the outer commit says so. */
	run = make_run(2, "b", RUN_CLAIMED);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_run_insert(f->store, &run), 0);
	assert_int_equal(store_begin(f->store), 0);
	store_rollback(f->store);
	assert_int_equal(store_daemon_put(f->store, 5), -ECANCELED);
	assert_int_equal(store_commit(f->store), -ECANCELED);
	assert_int_equal(store_run_get(f->store, run.id, &back), -ENOENT);
	assert_int_equal(store_daemon_put(f->store, 5), 0);
}

static void test_second_opener(void **state)
{
	struct fixture *f = *state;
	struct store *other = NULL;
	enum store_open_result how = STORE_OPENED;
	char moved_to[512];
	int64_t pid = 0;

	assert_int_equal(store_open(f->dir, &other, &how, moved_to, &pid), -EBUSY);
	assert_int_equal(pid, getpid());
	assert_null(other);
}

/* A process that is killed, with or without having committed. */
static void die_in_transaction(struct fixture *f, int number, bool commit)
{
	struct store_run run = make_run(number, "a", RUN_CLAIMED);
	int status;
	pid_t pid;

	f->store = store_close(f->store);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (reopen(f) < 0 || store_begin(f->store) < 0 ||
			store_run_insert(f->store, &run) < 0 ||
			(commit && store_commit(f->store) < 0))
			_exit(1);
		raise(SIGKILL); /* no exit handler, no close */
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void test_kill(void **state)
{
	struct fixture *f = *state;
	struct store_run back, run = make_run(1, "a", RUN_CLAIMED);

	die_in_transaction(f, 1, false);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(f->how, STORE_OPENED);
	assert_int_equal(store_run_get(f->store, run.id, &back), -ENOENT);
	die_in_transaction(f, 1, true);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(store_run_get(f->store, run.id, &back), 0);
	assert_int_equal(back.state, RUN_CLAIMED);
}

static void overwrite(const char *path, off_t at, size_t len)
{
	char junk[64];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	memset(junk, 0xa5, sizeof(junk));
	for (; len >= sizeof(junk); len -= sizeof(junk), at += sizeof(junk))
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
}

static void assert_recovered(struct fixture *f)
{
	struct store_job job;
	char prefix[128];

	assert_int_equal(reopen(f), 0);
	assert_int_equal(f->how, STORE_RECOVERED);
	snprintf(prefix, sizeof(prefix), "%s.bad-20", f->db);
	assert_memory_equal(f->moved_to, prefix, strlen(prefix));
	assert_int_equal(access(f->moved_to, F_OK), 0);
	assert_int_equal(store_job_get(f->store, "daily", &job), -ENOENT);
	assert_int_equal(
		store_job_put(f->store, &(struct store_job){.name = "daily"}), 0);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(f->how, STORE_OPENED);
	assert_int_equal(store_job_get(f->store, "daily", &job), 0);
}

static void test_not_a_database(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		store_job_put(f->store, &(struct store_job){.name = "daily"}), 0);
	f->store = store_close(f->store);
	overwrite(f->db, 0, 4096);
	assert_recovered(f);
}

static void test_damaged_pages(void **state)
{
	struct fixture *f = *state;
	struct store_run run;

	assert_int_equal(
		store_job_put(f->store, &(struct store_job){.name = "daily"}), 0);
	for (int i = 0; i < 50; i++) {
		run = make_run(i, "daily", RUN_SUCCEEDED);
		assert_int_equal(store_run_insert(f->store, &run), 0);
	}
	f->store = store_close(f->store);
	overwrite(f->db, 4096, 4096);
	assert_recovered(f);
	f->store = store_close(f->store);
	assert_int_equal(truncate(f->db, 5000), 0); /* twice in one second */
	assert_recovered(f);
}

static void test_lost_content(void **state)
{
	struct fixture *f = *state;
	char wal[128], moved[600];

	assert_int_equal(
		store_job_put(f->store, &(struct store_job){.name = "daily"}), 0);
	snprintf(wal, sizeof(wal), "%s-wal", f->db);
	die_in_transaction(f, 1, true);
	assert_int_equal(access(wal, F_OK), 0);
	assert_int_equal(truncate(f->db, 0), 0);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(f->how, STORE_RECOVERED);
	snprintf(moved, sizeof(moved), "%s-wal", f->moved_to);
	assert_int_equal(access(moved, F_OK), 0);
}

static void test_newer_schema(void **state)
{
	struct fixture *f = *state;
	const unsigned char newer[4] = {0, 0, 0, 99};
	int fd;

	f->store = store_close(f->store);
	fd = open(f->db, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, newer, 4, 60), 4); /* user_version in the header */
	close(fd);
	assert_int_equal(reopen(f), -EPROTO);
	assert_null(f->store);
	assert_int_equal(access(f->db, F_OK), 0);
	assert_string_equal(f->moved_to, "");
	assert_int_equal(reopen(f), -EPROTO); /* and the lock was let go */
}

static char *read_text(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[512];
	char *text = mem_alloc(16384);
	FILE *file;

	snprintf(
		path, sizeof(path), "%s/tests/unit/data/%s", srcdir ? srcdir : ".", name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_in_range(fread(text, 1, 16383, file), 1, 16382);
	fclose(file);
	return text;
}

/* The ledger, the watermarks and what is open survive the move into a new table. */
static void test_older_schema(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *sql = read_text("state-2.sql");
	struct store_run run;
	struct store_job job;
	sqlite3 *db = NULL;

	f->store = store_close(f->store);
	assert_int_equal(unlink(f->db), 0);
	assert_int_equal(sqlite3_open(f->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(chmod(f->db, 0600), 0);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(f->how, STORE_OPENED);
	assert_int_equal(store_job_get(f->store, "daily", &job), 0);
	assert_int_equal(job.watermark, 1795503600);
	assert_int_equal(job.clock_gen, 2);
	assert_int_equal(job.paused_at, 5);
	assert_int_equal(job.paused_until, 0);
	assert_int_equal(store_run_get(f->store, "r1", &run), 0);
	assert_int_equal(run.bytes, 42);
	assert_string_equal(run.message, "3 objects");
	assert_int_equal(store_run_open_of(f->store, "daily", &run), 0);
	assert_string_equal(run.id, "r2");
	assert_int_equal(run.trigger, TRIGGER_CATCH_UP);
	run = make_run(3, "daily", RUN_CLAIMED);
	assert_int_equal(store_run_insert(f->store, &run), -EEXIST); /* one open run */
	run = make_run(3, "other", RUN_CLAIMED);
	run.trigger = TRIGGER_BACKFILL;
	assert_int_equal(store_run_insert(f->store, &run), 0);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(f->how, STORE_OPENED);
}

static void test_refuses_symlink_and_open_dir(void **state)
{
	struct fixture *f = *state;
	char real[128];

	f->store = store_close(f->store);
	snprintf(real, sizeof(real), "%s/real", f->dir);
	assert_int_equal(rename(f->db, real), 0);
	assert_int_equal(symlink("real", f->db), 0);
	assert_int_equal(reopen(f), -EPERM);
	assert_int_equal(unlink(f->db), 0);
	assert_int_equal(rename(real, f->db), 0);
	assert_int_equal(chmod(f->dir, 0777), 0);
	assert_int_equal(reopen(f), -EPERM);
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(f->how, STORE_OPENED);
}

static void add_key(void *arg, const struct store_delivered *d)
{
	strcat(arg, d->key);
	strcat(arg, " ");
}

/* Keys come back in byte order; a place is of one job, and old places go. */
static void test_delivered(void **state)
{
	struct fixture *f = *state;
	struct store_delivered d = {.source_etag = "e1", .modified_us = 7};
	struct store_place p, again;
	char place[32], keys[128] = "";

	assert_int_equal(store_place_open(f->store, "daily", "s3://b/", &p), 0);
	for (const char *k = "b/\xc3\xa4 b/a b0 a ", *end; *k; k = end + 1) {
		end = strchr(k, ' ');
		snprintf(d.key, sizeof(d.key), "%.*s", (int)(end - k), k);
		assert_int_equal(store_delivered_put(f->store, &p, &d), 0);
		assert_int_equal(store_delivered_put(f->store, &p, &d), 0);
	}
	assert_int_equal(p.count, 4);
	assert_int_equal(store_delivered_scan(f->store, &p, "b", 2, add_key, keys), 0);
	assert_string_equal(keys, "b/a b/\xc3\xa4 ");
	assert_int_equal(store_delivered_delete(f->store, &p, "b/a"), 0);
	assert_int_equal(store_delivered_delete(f->store, &p, "none"), 0);
	assert_int_equal(reopen(f), 0);
	assert_int_equal(store_place_open(f->store, "daily", "s3://b/", &again), 0);
	assert_int_equal(again.id, p.id);
	assert_int_equal(again.count, 3);
	again.count = STORE_DELIVERED_MAX;
	assert_int_equal(store_delivered_put(f->store, &again, &d), 0);
	snprintf(d.key, sizeof(d.key), "new");
	assert_int_equal(store_delivered_put(f->store, &again, &d), -EDQUOT);
	for (int i = 0; i < 8; i++) {
		snprintf(place, sizeof(place), "s3://b/%d/", i);
		assert_int_equal(store_place_open(f->store, "daily", place, &p), 0);
	}
	keys[0] = '\0';
	assert_int_equal(store_delivered_scan(f->store, &again, "", 9, add_key, keys), 0);
	assert_string_equal(keys, "");
}

static void add_count(void *arg, const struct store_count *c)
{
	char text[64];

	snprintf(text, sizeof(text), "%s:%d:%d ", c->reason, (int)c->objects,
		(int)c->bytes);
	strcat(arg, text);
}

static void test_counts_go_with_their_run(void **state)
{
	struct fixture *f = *state;
	struct store_run run = make_run(1, "daily", RUN_SUCCEEDED);
	const struct store_count counts[] = {{"same", 5, 50}, {"copied", 2, 20}};
	char text[128] = "";

	assert_int_equal(store_count_put(f->store, run.id, &counts[0]), -EINVAL);
	assert_int_equal(store_run_insert(f->store, &run), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(store_count_put(f->store, run.id, &counts[i]), 0);
	assert_int_equal(store_count_each(f->store, run.id, add_count, text), 0);
	assert_string_equal(text, "copied:2:20 same:5:50 ");
	assert_int_equal(store_count_clear(f->store, run.id), 0);
	assert_int_equal(store_count_put(f->store, run.id, &counts[0]), 0);
	text[0] = '\0';
	assert_int_equal(store_count_each(f->store, run.id, add_count, text), 0);
	assert_string_equal(text, "same:5:50 ");
	run = make_run(2, "daily", RUN_SUCCEEDED);
	assert_int_equal(store_run_insert(f->store, &run), 0);
	assert_int_equal(store_run_prune(f->store, "daily", RUN_SUCCEEDED, 1), 0);
	run = make_run(1, "daily", RUN_SUCCEEDED);
	text[0] = '\0';
	assert_int_equal(store_count_each(f->store, run.id, add_count, text), 0);
	assert_string_equal(text, "");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reopen),
		TEST(test_run_row),
		TEST(test_run_by_its_beginning),
		TEST(test_slot_taken_once),
		TEST(test_one_open_run),
		TEST(test_listings),
		TEST(test_prune),
		TEST(test_forget),
		TEST(test_uploads),
		TEST(test_intents),
		TEST(test_nested_transactions),
		TEST(test_second_opener),
		TEST(test_kill),
		TEST(test_not_a_database),
		TEST(test_damaged_pages),
		TEST(test_lost_content),
		TEST(test_newer_schema),
		TEST(test_older_schema),
		TEST(test_delivered),
		TEST(test_counts_go_with_their_run),
		TEST(test_refuses_symlink_and_open_dir),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
