/*
 * What a job has delivered, and the counts of its runs by reason. A memory that makes the
 * next run cheaper and surer: where it is lost, objects are compared by what both sides
 * tell. Never a copy of a listing.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/store.h"
#include "store/store_sql.h"

#define PLACES_KEPT 8

static int find_place(
	struct store *s, const char *job, const char *place, struct store_place *ret)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_PLACE_GET, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	sql_bind_text(stmt, 2, place);
	r = sql_step(s, stmt);
	if (r == 1)
		*ret = (struct store_place){
			sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1)};
	sql_done(stmt);
	return r == 1 ? 0 : r == 0 ? -ENOENT : r;
}

static int add_place(struct store *s, const char *job, const char *place)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_PLACE_ADD, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	sql_bind_text(stmt, 2, place);
	r = sql_run(s, stmt);
	if (r < 0)
		return r;
	/* A job with a date in its destination has another place each day. */
	stmt = sql_get(s, SQL_PLACE_PRUNE, &r);
	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	sqlite3_bind_int(stmt, 2, PLACES_KEPT);
	return sql_run(s, stmt);
}

int store_place_open(
	struct store *s, const char *job, const char *place, struct store_place *ret)
{
	int r = find_place(s, job, place, ret);

	if (r != -ENOENT)
		return r;
	r = add_place(s, job, place);
	return r < 0 ? r : find_place(s, job, place, ret);
}

static int put_count(struct store *s, const struct store_place *p)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_PLACE_COUNT, &r);

	if (!stmt)
		return r;
	sqlite3_bind_int64(stmt, 1, p->id);
	sqlite3_bind_int64(stmt, 2, p->count);
	return sql_run(s, stmt);
}

static int write_row(struct store *s, enum sql_id id, const struct store_place *p,
	const struct store_delivered *d)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, id, &r);

	if (!stmt)
		return r;
	sqlite3_bind_int64(stmt, 1, p->id);
	sql_bind_text(stmt, 2, d->key);
	sql_bind_text(stmt, 3, d->source_etag);
	sql_bind_text(stmt, 4, d->source_version);
	sql_bind_text(stmt, 5, d->destination_etag);
	sql_bind_text(stmt, 6, d->destination_version);
	sqlite3_bind_int64(stmt, 7, d->modified_us);
	r = sql_run(s, stmt);
	return r < 0 ? r : sqlite3_changes(s->db);
}

int store_delivered_put(
	struct store *s, struct store_place *p, const struct store_delivered *d)
{
	int r = write_row(s, SQL_DELIVERED_UPDATE, p, d);

	if (r != 0)
		return r < 0 ? r : 0;
	if (p->count >= STORE_DELIVERED_MAX)
		return -EDQUOT;
	r = write_row(s, SQL_DELIVERED_INSERT, p, d);
	if (r < 0)
		return r;
	p->count++;
	return put_count(s, p);
}

int store_delivered_delete(struct store *s, struct store_place *p, const char *key)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_DELIVERED_DELETE, &r);

	if (!stmt)
		return r;
	sqlite3_bind_int64(stmt, 1, p->id);
	sql_bind_text(stmt, 2, key);
	r = sql_run(s, stmt);
	if (r < 0 || sqlite3_changes(s->db) == 0)
		return r;
	p->count--;
	return put_count(s, p);
}

int store_delivered_scan(struct store *s, const struct store_place *p, const char *from,
	int limit, store_delivered_fn fn, void *arg)
{
	struct store_delivered *row = NULL;
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_DELIVERED_SCAN, &r);

	if (!stmt)
		return r;
	row = mem_alloc(sizeof(*row));
	sqlite3_bind_int64(stmt, 1, p->id);
	sql_bind_text(stmt, 2, from);
	sqlite3_bind_int(stmt, 3, limit);
	while ((r = sql_step(s, stmt)) == 1) {
		sql_column_text(stmt, 0, row->key, sizeof(row->key));
		sql_column_text(stmt, 1, row->source_etag, sizeof(row->source_etag));
		sql_column_text(
			stmt, 2, row->source_version, sizeof(row->source_version));
		sql_column_text(
			stmt, 3, row->destination_etag, sizeof(row->destination_etag));
		sql_column_text(stmt, 4, row->destination_version,
			sizeof(row->destination_version));
		row->modified_us = sqlite3_column_int64(stmt, 5);
		fn(arg, row);
	}
	sql_done(stmt);
	free(row);
	return r;
}

/* --- counts --- */

int store_count_clear(struct store *s, const char *run_id)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_COUNT_CLEAR, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, run_id);
	return sql_run(s, stmt);
}

int store_count_put(struct store *s, const char *run_id, const struct store_count *c)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_COUNT_PUT, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, run_id);
	sql_bind_text(stmt, 2, c->reason);
	sqlite3_bind_int64(stmt, 3, c->objects);
	sqlite3_bind_int64(stmt, 4, c->bytes);
	return sql_run(s, stmt);
}

int store_count_each(struct store *s, const char *run_id, store_count_fn fn, void *arg)
{
	struct store_count c;
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_COUNT_EACH, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, run_id);
	while ((r = sql_step(s, stmt)) == 1) {
		sql_column_text(stmt, 0, c.reason, sizeof(c.reason));
		c.objects = sqlite3_column_int64(stmt, 1);
		c.bytes = sqlite3_column_int64(stmt, 2);
		fn(arg, &c);
	}
	sql_done(stmt);
	return r;
}
