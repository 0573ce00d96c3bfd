/*
 * What the scheduler has still to do and no slot tells: successes that jobs with `after`
 * wait to use, and the dates of a backfill. Rows of the ledger are in store_run.c.
 */
#include "config.h"

#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/store_sql.h"

int store_run_has_success(struct store *s, const char *job, int64_t nominal_at)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_RUN_HAS_SUCCESS, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	sqlite3_bind_int64(stmt, 2, nominal_at);
	r = sql_step(s, stmt);
	sql_done(stmt);
	return r;
}

int store_ready_put(struct store *s, const struct store_ready *ready)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_READY_PUT, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, ready->job);
	sql_bind_text(stmt, 2, ready->upstream);
	sql_bind_text(stmt, 3, ready->run_id);
	sqlite3_bind_int64(stmt, 4, ready->nominal_at);
	return sql_run(s, stmt);
}

int store_ready_each(struct store *s, const char *job, store_ready_fn fn, void *arg)
{
	struct store_ready row;
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_READY_EACH, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	while ((r = sql_step(s, stmt)) == 1) {
		sql_column_text(stmt, 0, row.job, sizeof(row.job));
		sql_column_text(stmt, 1, row.upstream, sizeof(row.upstream));
		sql_column_text(stmt, 2, row.run_id, sizeof(row.run_id));
		row.nominal_at = sqlite3_column_int64(stmt, 3);
		fn(arg, &row);
	}
	sql_done(stmt);
	return r;
}

static int run_of_job(struct store *s, enum sql_id id, const char *job)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, id, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	return sql_run(s, stmt);
}

int store_ready_clear(struct store *s, const char *job)
{
	return run_of_job(s, SQL_READY_CLEAR, job);
}

int store_backfill_put(struct store *s, const struct store_backfill *b)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_BACKFILL_PUT, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, b->job);
	sqlite3_bind_int64(stmt, 2, b->after);
	sqlite3_bind_int64(stmt, 3, b->until);
	sqlite3_bind_int(stmt, 4, b->is_again);
	return sql_run(s, stmt);
}

static void read_backfill(sqlite3_stmt *stmt, struct store_backfill *ret)
{
	*ret = (struct store_backfill){0};
	sql_column_text(stmt, 0, ret->job, sizeof(ret->job));
	ret->after = sqlite3_column_int64(stmt, 1);
	ret->until = sqlite3_column_int64(stmt, 2);
	ret->is_again = sqlite3_column_int(stmt, 3) != 0;
}

int store_backfill_get(struct store *s, const char *job, struct store_backfill *ret)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_BACKFILL_GET, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	r = sql_step(s, stmt);
	if (r == 1)
		read_backfill(stmt, ret);
	sql_done(stmt);
	return r == 1 ? 0 : r == 0 ? -ENOENT : r;
}

int store_backfill_delete(struct store *s, const char *job)
{
	return run_of_job(s, SQL_BACKFILL_DELETE, job);
}

int store_backfill_each(struct store *s, store_backfill_fn fn, void *arg)
{
	_cleanup_free_ struct store_backfill *rows = NULL;
	size_t count = 0;
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_BACKFILL_EACH, &r);

	if (!stmt)
		return r;
	while ((r = sql_step(s, stmt)) == 1) {
		rows = mem_resize(rows, count + 1, sizeof(*rows));
		read_backfill(stmt, &rows[count++]);
	}
	sql_done(stmt);
	for (size_t i = 0; r == 0 && i < count; i++)
		fn(arg, &rows[i]);
	return r;
}

int store_job_each_idle(struct store *s, int64_t since_s, store_name_fn fn, void *arg)
{
	char(*names)[256] = NULL;
	size_t count = 0;
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_JOB_EACH, &r);

	if (!stmt)
		return r;
	sqlite3_bind_int64(stmt, 1, since_s);
	while ((r = sql_step(s, stmt)) == 1) {
		names = mem_grow(names, count, sizeof(*names));
		sql_column_text(stmt, 0, names[count++], sizeof(*names));
	}
	sql_done(stmt);
	for (size_t i = 0; r == 0 && i < count; i++)
		fn(arg, names[i]);
	free(names);
	return r;
}

int store_job_forget(struct store *s, const char *name)
{
	static const enum sql_id steps[] = {SQL_JOB_DELETE_RUNS, SQL_JOB_DELETE,
		SQL_READY_CLEAR, SQL_BACKFILL_DELETE};
	int r = store_begin(s);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++)
		r = run_of_job(s, steps[i], name);
	if (r == 0)
		return store_commit(s);
	store_rollback(s);
	return r;
}
