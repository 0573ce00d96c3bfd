/*
 * The SQL of every call and the cache of prepared statements. It knows no row's meaning:
 * columns are bound and read in store.c and store_run.c.
 */
#include "config.h"

#include "store/store_sql.h"

#include <errno.h>
#include <stdio.h>

#define OPEN_STATES "('claimed', 'running', 'retry_wait', 'parked')"
#define RUN_COLUMNS                                                                      \
	"id, job, slot, clock_gen, nominal_utc, claimed_at, started_at, ended_at, "      \
	"trigger, state, reason, attempts, first_utc, last_utc, count, objects, bytes, " \
	"message, sent_again"

/* clang-format off */
static const char *const sql_text[SQL_ID_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_JOB_GET] =
		"SELECT name, schedule_hash, watermark_utc, clock_gen, paused_at,"
		" consecutive_failures, last_success_at, last_run_at, paused_until,"
		" conf_paused, served_utc"
		" FROM job_state WHERE name = ?1",
	[SQL_JOB_PUT] =
		"INSERT OR REPLACE INTO job_state (name, schedule_hash, watermark_utc,"
		" clock_gen, paused_at, consecutive_failures, last_success_at, last_run_at,"
		" paused_until, conf_paused, served_utc)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[SQL_RUN_INSERT] =
		"INSERT INTO run (" RUN_COLUMNS ") VALUES"
		" (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
		" ?17, ?18, ?19)",
	[SQL_RUN_UPDATE] =
		"UPDATE run SET job = ?2, slot = ?3, clock_gen = ?4, nominal_utc = ?5,"
		" claimed_at = ?6, started_at = ?7, ended_at = ?8, trigger = ?9,"
		" state = ?10, reason = ?11, attempts = ?12, first_utc = ?13,"
		" last_utc = ?14, count = ?15, objects = ?16, bytes = ?17, message = ?18,"
		" sent_again = ?19 WHERE id = ?1",
	[SQL_RUN_GET] =
		"SELECT " RUN_COLUMNS " FROM run WHERE id = ?1 OR (length(?1) >= 8 AND"
		" id BETWEEN ?1 AND ?1 || 'g' AND"
		" (SELECT count(*) FROM run WHERE id BETWEEN ?1 AND ?1 || 'g') = 1)",
	[SQL_RUN_OPEN_OF] =
		"SELECT " RUN_COLUMNS " FROM run WHERE job = ?1 AND state IN " OPEN_STATES,
	[SQL_RUN_EACH_OPEN] =
		"SELECT " RUN_COLUMNS " FROM run WHERE state IN " OPEN_STATES
		" ORDER BY seq",
	[SQL_RUN_HISTORY] =
		"SELECT " RUN_COLUMNS " FROM run ORDER BY seq DESC LIMIT ?1",
	[SQL_RUN_HISTORY_OF] =
		"SELECT " RUN_COLUMNS " FROM run WHERE job = ?2"
		" ORDER BY seq DESC LIMIT ?1",
	[SQL_RUN_PRUNE] =
		"DELETE FROM run WHERE job = ?1 AND state = ?2 AND seq <= (SELECT seq FROM run"
		" WHERE job = ?1 AND state = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3)",
	[SQL_JOB_EACH] = "SELECT name FROM job_state WHERE watermark_utc < ?1",
	[SQL_JOB_DELETE] = "DELETE FROM job_state WHERE name = ?1",
	[SQL_JOB_DELETE_RUNS] =
		"DELETE FROM run WHERE job = ?1 AND state NOT IN " OPEN_STATES,
	[SQL_RUN_HAS_SUCCESS] =
		"SELECT 1 FROM run WHERE job = ?1 AND nominal_utc = ?2"
		" AND state = 'succeeded' LIMIT 1",
	[SQL_READY_PUT] =
		"INSERT OR REPLACE INTO after_ready (job, upstream, run_id, nominal_utc)"
		" VALUES (?1, ?2, ?3, ?4)",
	[SQL_READY_EACH] =
		"SELECT job, upstream, run_id, nominal_utc FROM after_ready WHERE job = ?1",
	[SQL_READY_CLEAR] = "DELETE FROM after_ready WHERE job = ?1",
	[SQL_BACKFILL_PUT] =
		"INSERT OR REPLACE INTO backfill (job, after_utc, until_utc, is_again)"
		" VALUES (?1, ?2, ?3, ?4)",
	[SQL_BACKFILL_GET] =
		"SELECT job, after_utc, until_utc, is_again FROM backfill WHERE job = ?1",
	[SQL_BACKFILL_DELETE] = "DELETE FROM backfill WHERE job = ?1",
	[SQL_BACKFILL_EACH] =
		"SELECT job, after_utc, until_utc, is_again FROM backfill ORDER BY job",
	[SQL_UPLOAD_PUT] =
		"INSERT OR REPLACE INTO upload (upload_id, job, bucket, key, source_key,"
		" source_etag, size, part_size, has_checksum, started_at)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[SQL_UPLOAD_DELETE] = "DELETE FROM upload WHERE upload_id = ?1",
	[SQL_UPLOAD_EACH] =
		"SELECT upload_id, job, bucket, key, source_key, source_etag, size, part_size,"
		" has_checksum, started_at FROM upload WHERE job = ?1"
		" ORDER BY started_at, upload_id",
	[SQL_UPLOAD_IS_KNOWN] = "SELECT 1 FROM upload WHERE upload_id = ?1",
	[SQL_INTENT_PUT] =
		"INSERT INTO upload_intent (job, run_id, bucket, key, initiator, intended_us,"
		" until_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_INTENT_DELETE] = "DELETE FROM upload_intent WHERE seq = ?1",
	[SQL_INTENT_EACH] =
		"SELECT seq, run_id, bucket, key, initiator, intended_us, until_us"
		" FROM upload_intent WHERE job = ?1 ORDER BY seq",
	[SQL_PART_PUT] =
		"INSERT OR REPLACE INTO upload_part (upload_id, number, etag, crc)"
		" VALUES (?1, ?2, ?3, ?4)",
	[SQL_PART_EACH] =
		"SELECT number, etag, crc FROM upload_part WHERE upload_id = ?1"
		" ORDER BY number",
	[SQL_PLACE_GET] = "SELECT id, count FROM place WHERE job = ?1 AND place = ?2",
	[SQL_PLACE_ADD] = "INSERT INTO place (job, place, count) VALUES (?1, ?2, 0)",
	[SQL_PLACE_PRUNE] =
		"DELETE FROM place WHERE job = ?1 AND id NOT IN"
		" (SELECT id FROM place WHERE job = ?1 ORDER BY id DESC LIMIT ?2)",
	[SQL_PLACE_COUNT] = "UPDATE place SET count = ?2 WHERE id = ?1",
	[SQL_DELIVERED_UPDATE] =
		"UPDATE delivered SET source_etag = ?3, source_version = ?4,"
		" destination_etag = ?5, destination_version = ?6, modified_us = ?7"
		" WHERE place = ?1 AND key = ?2",
	[SQL_DELIVERED_INSERT] =
		"INSERT INTO delivered (place, key, source_etag, source_version,"
		" destination_etag, destination_version, modified_us)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_DELIVERED_DELETE] = "DELETE FROM delivered WHERE place = ?1 AND key = ?2",
	[SQL_DELIVERED_SCAN] =
		"SELECT key, source_etag, source_version, destination_etag,"
		" destination_version, modified_us FROM delivered WHERE place = ?1 AND key >= ?2 ORDER BY key LIMIT ?3",
	[SQL_COUNT_CLEAR] = "DELETE FROM run_count WHERE run_id = ?1",
	[SQL_COUNT_PUT] =
		"INSERT OR REPLACE INTO run_count (run_id, reason, objects, bytes)"
		" VALUES (?1, ?2, ?3, ?4)",
	[SQL_COUNT_EACH] =
		"SELECT reason, objects, bytes FROM run_count WHERE run_id = ?1"
		" ORDER BY reason",
	[SQL_DAEMON_GET] = "SELECT last_wall_utc FROM daemon WHERE one = 1",
	[SQL_DAEMON_PUT] =
		"INSERT OR REPLACE INTO daemon (one, last_wall_utc) VALUES (1, ?1)",
};
/* clang-format on */

int sql_opening_errno(sqlite3 *db, int rc)
{
	int extended = sqlite3_extended_errcode(db);

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EPERM;
	case SQLITE_CONSTRAINT:
		if (extended == SQLITE_CONSTRAINT_UNIQUE ||
			extended == SQLITE_CONSTRAINT_PRIMARYKEY)
			return -EEXIST;
		return -EINVAL;
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return -EINVAL;
	default:
		return -EIO;
	}
}

int sql_errno(sqlite3 *db, int rc)
{
	int r = sql_opening_errno(db, rc);

	/* Found while running: only a restart, which checks the file, can help. */
	return r == -EBADMSG ? -EIO : r;
}

sqlite3_stmt *sql_get(struct store *s, enum sql_id id, int *ret_error)
{
	int rc;

	if (s->is_doomed && id != SQL_ROLLBACK) {
		*ret_error = -ECANCELED;
		return NULL;
	}
	if (!s->statements[id]) {
		rc = sqlite3_prepare_v3(s->db, sql_text[id], -1,
			SQLITE_PREPARE_PERSISTENT, &s->statements[id], NULL);
		if (rc != SQLITE_OK) {
			*ret_error = sql_errno(s->db, rc);
			return NULL;
		}
	}
	return s->statements[id];
}

int sql_step(struct store *s, sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : sql_errno(s->db, rc);
}

void sql_done(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

int sql_run(struct store *s, sqlite3_stmt *stmt)
{
	int r = sql_step(s, stmt);

	sql_done(stmt);
	/* A full disk or a failed write makes SQLite roll back by itself. */
	if (r < 0 && s->depth > 0 && sqlite3_get_autocommit(s->db))
		s->is_doomed = true;
	return r < 0 ? r : 0;
}

void sql_bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
	sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

void sql_column_text(sqlite3_stmt *stmt, int column, char *out, size_t size)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	snprintf(out, size, "%s", text ? (const char *)text : "");
}
