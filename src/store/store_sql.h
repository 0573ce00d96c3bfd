/*
 * What the store's files share: the open database, its cached statements, and SQLite's
 * result codes as errno. Private to src/store.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sql_id {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_JOB_GET,
	SQL_JOB_PUT,
	SQL_RUN_INSERT,
	SQL_RUN_UPDATE,
	SQL_RUN_GET,
	SQL_RUN_OPEN_OF,
	SQL_RUN_EACH_OPEN,
	SQL_RUN_HISTORY,
	SQL_RUN_HISTORY_OF,
	SQL_RUN_PRUNE,
	SQL_JOB_EACH,
	SQL_JOB_DELETE,
	SQL_JOB_DELETE_RUNS,
	SQL_RUN_HAS_SUCCESS,
	SQL_READY_PUT,
	SQL_READY_EACH,
	SQL_READY_CLEAR,
	SQL_BACKFILL_PUT,
	SQL_BACKFILL_GET,
	SQL_BACKFILL_DELETE,
	SQL_BACKFILL_EACH,
	SQL_UPLOAD_PUT,
	SQL_UPLOAD_DELETE,
	SQL_UPLOAD_EACH,
	SQL_UPLOAD_IS_KNOWN,
	SQL_INTENT_PUT,
	SQL_INTENT_DELETE,
	SQL_INTENT_EACH,
	SQL_PART_PUT,
	SQL_PART_EACH,
	SQL_PLACE_GET,
	SQL_PLACE_ADD,
	SQL_PLACE_PRUNE,
	SQL_PLACE_COUNT,
	SQL_DELIVERED_UPDATE,
	SQL_DELIVERED_INSERT,
	SQL_DELIVERED_DELETE,
	SQL_DELIVERED_SCAN,
	SQL_COUNT_CLEAR,
	SQL_COUNT_PUT,
	SQL_COUNT_EACH,
	SQL_DAEMON_GET,
	SQL_DAEMON_PUT,
	SQL_ID_COUNT,
};

struct store {
	sqlite3 *db;
	int lock_fd;
	int depth;      /* of begins */
	bool is_doomed; /* rolled back inside: the outer commit must fail */
	sqlite3_stmt *statements[SQL_ID_COUNT];
};

int sql_errno(sqlite3 *db, int rc);
/* The same, but damage is -EBADMSG. */
int sql_opening_errno(sqlite3 *db, int rc);

/*
 * A statement, prepared once, without bindings. NULL: *ret_error tells. It must be given
 * to sql_run() or sql_done().
 */
sqlite3_stmt *sql_get(struct store *s, enum sql_id id, int *ret_error);
/* 1: a row stands ready; 0: no more. */
int sql_step(struct store *s, sqlite3_stmt *stmt);
void sql_done(sqlite3_stmt *stmt);
/* Step a statement without rows and finish it. */
int sql_run(struct store *s, sqlite3_stmt *stmt);

/* text stays the caller's and must live until the statement is finished. */
void sql_bind_text(sqlite3_stmt *stmt, int index, const char *text);
/* Copies what fits; size >= 1. */
void sql_column_text(sqlite3_stmt *stmt, int column, char *out, size_t size);
