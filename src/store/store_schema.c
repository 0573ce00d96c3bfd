/*
 * Schema versions: each step is SQL that turns version n into n + 1, and a file carries
 * its version in user_version. Steps are only ever appended. No rows are read here.
 */
#include "config.h"

#include "store/store_schema.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_sql.h"

#define APPLICATION_ID 0x53334659 /* "S3FY": a foreign database is not ours to change */

/* clang-format off */
static const char *const steps[] = {
	/* 0 -> 1 */
	"CREATE TABLE job_state ("
	"  name TEXT NOT NULL PRIMARY KEY,"
	"  schedule_hash TEXT NOT NULL,"
	"  watermark_utc INTEGER NOT NULL,"
	"  clock_gen INTEGER NOT NULL DEFAULT 0,"
	"  paused_at INTEGER NOT NULL DEFAULT 0,"
	"  consecutive_failures INTEGER NOT NULL DEFAULT 0,"
	"  last_success_at INTEGER NOT NULL DEFAULT 0,"
	"  last_run_at INTEGER NOT NULL DEFAULT 0"
	") WITHOUT ROWID;"
	"CREATE TABLE run ("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  id TEXT NOT NULL UNIQUE,"
	"  job TEXT NOT NULL,"
	"  slot TEXT NOT NULL,"
	"  clock_gen INTEGER NOT NULL,"
	"  nominal_utc INTEGER NOT NULL,"
	"  claimed_at INTEGER NOT NULL,"
	"  started_at INTEGER NOT NULL,"
	"  ended_at INTEGER NOT NULL,"
	"  trigger TEXT NOT NULL CHECK (trigger IN ('schedule', 'catch_up', 'manual')),"
	"  state TEXT NOT NULL CHECK (state IN ('claimed', 'running', 'retry_wait',"
	"    'parked', 'succeeded', 'partial', 'failed', 'missed', 'skipped',"
	"    'cancelled')),"
	"  reason TEXT NOT NULL,"
	"  attempts INTEGER NOT NULL,"
	"  first_utc INTEGER NOT NULL,"
	"  last_utc INTEGER NOT NULL,"
	"  count INTEGER NOT NULL,"
	"  objects INTEGER NOT NULL,"
	"  bytes INTEGER NOT NULL,"
	"  message TEXT NOT NULL,"
	"  UNIQUE (job, slot, clock_gen)"
	");"
	"CREATE UNIQUE INDEX run_one_open ON run (job)"
	"  WHERE state IN ('claimed', 'running', 'retry_wait', 'parked');"
	"CREATE INDEX run_by_job ON run (job, seq);"
	"CREATE TABLE upload ("
	"  upload_id TEXT NOT NULL PRIMARY KEY,"
	"  run_id TEXT NOT NULL,"
	"  bucket TEXT NOT NULL,"
	"  key TEXT NOT NULL,"
	"  profile TEXT NOT NULL,"
	"  started_at INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE TABLE daemon ("
	"  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),"
	"  last_wall_utc INTEGER NOT NULL"
	");",
	/* 1 -> 2: uploads that go on at their next part */
	"DROP TABLE upload;"
	"CREATE TABLE upload ("
	"  upload_id TEXT NOT NULL PRIMARY KEY,"
	"  job TEXT NOT NULL,"
	"  bucket TEXT NOT NULL,"
	"  key TEXT NOT NULL,"
	"  source_key TEXT NOT NULL,"
	"  source_etag TEXT NOT NULL,"
	"  size INTEGER NOT NULL,"
	"  part_size INTEGER NOT NULL,"
	"  has_checksum INTEGER NOT NULL,"
	"  started_at INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX upload_by_job ON upload (job);"
	"CREATE TABLE upload_part ("
	"  upload_id TEXT NOT NULL REFERENCES upload ON DELETE CASCADE,"
	"  number INTEGER NOT NULL,"
	"  etag TEXT NOT NULL,"
	"  crc INTEGER NOT NULL,"
	"  PRIMARY KEY (upload_id, number)"
	") WITHOUT ROWID;",
	/* 2 -> 3: pauses that end by themselves; runs after others, and backfills. A CHECK
	 * cannot be altered, so the ledger moves into a new table. */
	"ALTER TABLE job_state ADD COLUMN paused_until INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job_state ADD COLUMN conf_paused INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE run_3 ("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  id TEXT NOT NULL UNIQUE,"
	"  job TEXT NOT NULL,"
	"  slot TEXT NOT NULL,"
	"  clock_gen INTEGER NOT NULL,"
	"  nominal_utc INTEGER NOT NULL,"
	"  claimed_at INTEGER NOT NULL,"
	"  started_at INTEGER NOT NULL,"
	"  ended_at INTEGER NOT NULL,"
	"  trigger TEXT NOT NULL CHECK (trigger IN ('schedule', 'catch_up', 'manual',"
	"    'after', 'backfill')),"
	"  state TEXT NOT NULL CHECK (state IN ('claimed', 'running', 'retry_wait',"
	"    'parked', 'succeeded', 'partial', 'failed', 'missed', 'skipped',"
	"    'cancelled')),"
	"  reason TEXT NOT NULL,"
	"  attempts INTEGER NOT NULL,"
	"  first_utc INTEGER NOT NULL,"
	"  last_utc INTEGER NOT NULL,"
	"  count INTEGER NOT NULL,"
	"  objects INTEGER NOT NULL,"
	"  bytes INTEGER NOT NULL,"
	"  message TEXT NOT NULL,"
	"  UNIQUE (job, slot, clock_gen)"
	");"
	"INSERT INTO run_3 SELECT * FROM run;"
	"DROP TABLE run;"
	"ALTER TABLE run_3 RENAME TO run;"
	"CREATE UNIQUE INDEX run_one_open ON run (job)"
	"  WHERE state IN ('claimed', 'running', 'retry_wait', 'parked');"
	"CREATE INDEX run_by_job ON run (job, seq);"
	"CREATE INDEX run_by_date ON run (job, nominal_utc);"
	"CREATE TABLE after_ready ("
	"  job TEXT NOT NULL,"
	"  upstream TEXT NOT NULL,"
	"  run_id TEXT NOT NULL,"
	"  nominal_utc INTEGER NOT NULL,"
	"  PRIMARY KEY (job, upstream)"
	") WITHOUT ROWID;"
	"CREATE TABLE backfill ("
	"  job TEXT NOT NULL PRIMARY KEY,"
	"  after_utc INTEGER NOT NULL,"
	"  until_utc INTEGER NOT NULL,"
	"  is_again INTEGER NOT NULL"
	") WITHOUT ROWID;",
	/* 3 -> 4: what was delivered, and the counts of runs by reason */
	"CREATE TABLE place ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  job TEXT NOT NULL,"
	"  place TEXT NOT NULL,"
	"  count INTEGER NOT NULL,"
	"  UNIQUE (job, place)"
	");"
	"CREATE TABLE delivered ("
	"  place INTEGER NOT NULL REFERENCES place ON DELETE CASCADE,"
	"  key TEXT NOT NULL,"
	"  source_etag TEXT NOT NULL,"
	"  source_version TEXT NOT NULL,"
	"  destination_etag TEXT NOT NULL,"
	"  destination_version TEXT NOT NULL,"
	"  modified_us INTEGER NOT NULL,"
	"  PRIMARY KEY (place, key)"
	") WITHOUT ROWID;"
	"CREATE TABLE run_count ("
	"  run_id TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
	"  reason TEXT NOT NULL,"
	"  objects INTEGER NOT NULL,"
	"  bytes INTEGER NOT NULL,"
	"  PRIMARY KEY (run_id, reason)"
	") WITHOUT ROWID;",
	/* 4 -> 5: what a job owes */
	"ALTER TABLE job_state ADD COLUMN served_utc INTEGER NOT NULL DEFAULT 0;"
	"UPDATE job_state SET served_utc = watermark_utc;",
	/* 5 -> 6: uploads that may have been created without our learning of it */
	"CREATE TABLE upload_intent ("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  job TEXT NOT NULL,"
	"  run_id TEXT NOT NULL,"
	"  bucket TEXT NOT NULL,"
	"  key TEXT NOT NULL,"
	"  initiator TEXT NOT NULL,"
	"  intended_us INTEGER NOT NULL"
	");"
	"CREATE INDEX upload_intent_by_job ON upload_intent (job);",
	/* 6 -> 7: uploads of which a damaged state told */
	"ALTER TABLE upload_intent ADD COLUMN until_us INTEGER NOT NULL DEFAULT 0;",
	/* 7 -> 8: what a run had to ask twice */
	"ALTER TABLE run ADD COLUMN sent_again INTEGER NOT NULL DEFAULT 0;",
};
/* clang-format on */

static int read_number(sqlite3 *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : sql_opening_errno(db, rc);
}

int store_schema_probe(sqlite3 *db)
{
	int64_t version = 0, application = 0, tables = 0;
	int r;

	r = read_number(db, "PRAGMA user_version", &version);
	if (r == 0)
		r = read_number(db, "PRAGMA application_id", &application);
	if (r == 0)
		r = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0)
		return r;
	if (version == 0 && tables == 0)
		return 1;
	if (application != APPLICATION_ID || version <= 0)
		return -EBADMSG;
	return version > (int64_t)ARRAY_LEN(steps) ? -EPROTO : 0;
}

int store_schema_check(sqlite3 *db)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	bool is_ok = false;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		is_ok = str_eq((const char *)sqlite3_column_text(stmt, 0), "ok");
	sqlite3_finalize(stmt);
	if (rc == SQLITE_ROW)
		return is_ok ? 0 : -EBADMSG;
	return sql_opening_errno(db, rc);
}

int store_schema_migrate(sqlite3 *db)
{
	char pragma[96];
	int64_t version = 0;
	int rc;
	int r = read_number(db, "PRAGMA user_version", &version);

	if (r < 0 || version == (int64_t)ARRAY_LEN(steps))
		return r;
	rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (; rc == SQLITE_OK && version < (int64_t)ARRAY_LEN(steps); version++)
		rc = sqlite3_exec(db, steps[version], NULL, NULL, NULL);
	if (rc == SQLITE_OK) {
		snprintf(pragma, sizeof(pragma),
			"PRAGMA user_version = %zu; PRAGMA application_id = %d; COMMIT",
			ARRAY_LEN(steps), APPLICATION_ID);
		rc = sqlite3_exec(db, pragma, NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK)
		return 0;
	r = sql_opening_errno(db, rc);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
