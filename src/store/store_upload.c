/* Multipart uploads under way and their parts. What they mean is the engine's. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/store.h"
#include "store/store_sql.h"

int store_upload_put(struct store *s, const struct store_upload *u)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_UPLOAD_PUT, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, u->upload_id);
	sql_bind_text(stmt, 2, u->job);
	sql_bind_text(stmt, 3, u->bucket);
	sql_bind_text(stmt, 4, u->key);
	sql_bind_text(stmt, 5, u->source_key);
	sql_bind_text(stmt, 6, u->source_etag);
	sqlite3_bind_int64(stmt, 7, u->size);
	sqlite3_bind_int64(stmt, 8, u->part_size);
	sqlite3_bind_int(stmt, 9, u->checksum);
	sqlite3_bind_int64(stmt, 10, u->started_at);
	return sql_run(s, stmt);
}

int store_upload_delete(struct store *s, const char *upload_id)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_UPLOAD_DELETE, &r);

	if (!stmt)
		return r;
	/* Its parts go with it (ON DELETE CASCADE). */
	sql_bind_text(stmt, 1, upload_id);
	return sql_run(s, stmt);
}

int store_upload_each(struct store *s, const char *job, store_upload_fn fn, void *arg)
{
	_cleanup_free_ struct store_upload *rows = NULL;
	size_t count = 0, room = 0;
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_UPLOAD_EACH, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	while ((r = sql_step(s, stmt)) == 1) {
		struct store_upload *u;

		if (count == room) {
			room = room ? 2 * room : 16;
			rows = mem_resize(rows, room, sizeof(*rows));
		}
		u = &rows[count++];
		sql_column_text(stmt, 0, u->upload_id, sizeof(u->upload_id));
		sql_column_text(stmt, 1, u->job, sizeof(u->job));
		sql_column_text(stmt, 2, u->bucket, sizeof(u->bucket));
		sql_column_text(stmt, 3, u->key, sizeof(u->key));
		sql_column_text(stmt, 4, u->source_key, sizeof(u->source_key));
		sql_column_text(stmt, 5, u->source_etag, sizeof(u->source_etag));
		u->size = sqlite3_column_int64(stmt, 6);
		u->part_size = sqlite3_column_int64(stmt, 7);
		u->checksum = sqlite3_column_int(stmt, 8);
		u->started_at = sqlite3_column_int64(stmt, 9);
	}
	sql_done(stmt);
	for (size_t i = 0; r == 0 && i < count; i++)
		fn(arg, &rows[i]); /* may call the store: no statement is open */
	return r;
}

int store_upload_is_known(struct store *s, const char *upload_id)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_UPLOAD_IS_KNOWN, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, upload_id);
	r = sql_step(s, stmt);
	sql_done(stmt);
	return r;
}

int store_intent_put(struct store *s, struct store_intent *intent)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_INTENT_PUT, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, intent->job);
	sql_bind_text(stmt, 2, intent->run_id);
	sql_bind_text(stmt, 3, intent->bucket);
	sql_bind_text(stmt, 4, intent->key);
	sql_bind_text(stmt, 5, intent->initiator);
	sqlite3_bind_int64(stmt, 6, intent->intended_us);
	sqlite3_bind_int64(stmt, 7, intent->until_us);
	r = sql_run(s, stmt);
	if (r == 0)
		intent->seq = sqlite3_last_insert_rowid(s->db);
	return r;
}

int store_intent_delete(struct store *s, int64_t seq)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_INTENT_DELETE, &r);

	if (!stmt)
		return r;
	sqlite3_bind_int64(stmt, 1, seq);
	return sql_run(s, stmt);
}

int store_intent_each(struct store *s, const char *job, store_intent_fn fn, void *arg)
{
	struct store_intent i = {0};
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_INTENT_EACH, &r);

	if (!stmt)
		return r;
	snprintf(i.job, sizeof(i.job), "%s", job);
	sql_bind_text(stmt, 1, job);
	while ((r = sql_step(s, stmt)) == 1) {
		i.seq = sqlite3_column_int64(stmt, 0);
		sql_column_text(stmt, 1, i.run_id, sizeof(i.run_id));
		sql_column_text(stmt, 2, i.bucket, sizeof(i.bucket));
		sql_column_text(stmt, 3, i.key, sizeof(i.key));
		sql_column_text(stmt, 4, i.initiator, sizeof(i.initiator));
		i.intended_us = sqlite3_column_int64(stmt, 5);
		i.until_us = sqlite3_column_int64(stmt, 6);
		fn(arg, &i);
	}
	sql_done(stmt);
	return r;
}

int store_part_put(struct store *s, const char *upload_id, const struct store_part *part)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_PART_PUT, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, upload_id);
	sqlite3_bind_int(stmt, 2, part->number);
	sql_bind_text(stmt, 3, part->etag);
	sqlite3_bind_int64(stmt, 4, (int64_t)part->crc);
	return sql_run(s, stmt);
}

int store_part_each(struct store *s, const char *upload_id, store_part_fn fn, void *arg)
{
	struct store_part part;
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_PART_EACH, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, upload_id);
	while ((r = sql_step(s, stmt)) == 1) {
		part.number = sqlite3_column_int(stmt, 0);
		sql_column_text(stmt, 1, part.etag, sizeof(part.etag));
		part.crc = (uint64_t)sqlite3_column_int64(stmt, 2);
		fn(arg, &part);
	}
	sql_done(stmt);
	return r;
}
