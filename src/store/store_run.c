/*
 * The ledger: rows of `run`, one a slot. It enforces that a slot is taken once and that a
 * job has one open run; what a state means is decided above.
 */
#include "config.h"

#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_sql.h"

static const char *const state_names[] = {
	[RUN_CLAIMED] = "claimed",
	[RUN_RUNNING] = "running",
	[RUN_RETRY_WAIT] = "retry_wait",
	[RUN_PARKED] = "parked",
	[RUN_SUCCEEDED] = "succeeded",
	[RUN_PARTIAL] = "partial",
	[RUN_FAILED] = "failed",
	[RUN_MISSED] = "missed",
	[RUN_SKIPPED] = "skipped",
	[RUN_CANCELLED] = "cancelled",
};

static const char *const trigger_names[] = {
	[TRIGGER_SCHEDULE] = "schedule",
	[TRIGGER_CATCH_UP] = "catch_up",
	[TRIGGER_MANUAL] = "manual",
	[TRIGGER_AFTER] = "after",
	[TRIGGER_BACKFILL] = "backfill",
};

const char *run_state_name(enum run_state s)
{
	return (size_t)s < ARRAY_LEN(state_names) ? state_names[s] : "unknown";
}

bool run_state_is_open(enum run_state s)
{
	return s <= RUN_PARKED;
}

const char *run_trigger_name(enum run_trigger t)
{
	return (size_t)t < ARRAY_LEN(trigger_names) ? trigger_names[t] : "unknown";
}

static int name_index(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(names[i], name))
			return (int)i;
	return 0; /* the table's CHECK lets no other name in */
}

/* SQLite keeps signed numbers: a counter beyond them saturates instead of wrapping. */
static int64_t to_signed(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static void bind_run(sqlite3_stmt *stmt, const struct store_run *run)
{
	sql_bind_text(stmt, 1, run->id);
	sql_bind_text(stmt, 2, run->job);
	sql_bind_text(stmt, 3, run->slot);
	sqlite3_bind_int64(stmt, 4, run->clock_gen);
	sqlite3_bind_int64(stmt, 5, run->nominal_at);
	sqlite3_bind_int64(stmt, 6, run->claimed_at);
	sqlite3_bind_int64(stmt, 7, run->started_at);
	sqlite3_bind_int64(stmt, 8, run->ended_at);
	sql_bind_text(stmt, 9, run_trigger_name(run->trigger));
	sql_bind_text(stmt, 10, run_state_name(run->state));
	sql_bind_text(stmt, 11, run->reason);
	sqlite3_bind_int64(stmt, 12, run->attempts);
	sqlite3_bind_int64(stmt, 13, run->first_at);
	sqlite3_bind_int64(stmt, 14, run->last_at);
	sqlite3_bind_int64(stmt, 15, run->count);
	sqlite3_bind_int64(stmt, 16, to_signed(run->objects));
	sqlite3_bind_int64(stmt, 17, to_signed(run->bytes));
	sql_bind_text(stmt, 18, run->message);
	sqlite3_bind_int64(stmt, 19, to_signed(run->sent_again));
}

static void read_run(sqlite3_stmt *stmt, struct store_run *run)
{
	char state[16], trigger[16];

	*run = (struct store_run){0};
	sql_column_text(stmt, 0, run->id, sizeof(run->id));
	sql_column_text(stmt, 1, run->job, sizeof(run->job));
	sql_column_text(stmt, 2, run->slot, sizeof(run->slot));
	run->clock_gen = sqlite3_column_int64(stmt, 3);
	run->nominal_at = sqlite3_column_int64(stmt, 4);
	run->claimed_at = sqlite3_column_int64(stmt, 5);
	run->started_at = sqlite3_column_int64(stmt, 6);
	run->ended_at = sqlite3_column_int64(stmt, 7);
	sql_column_text(stmt, 8, trigger, sizeof(trigger));
	run->trigger = name_index(trigger_names, ARRAY_LEN(trigger_names), trigger);
	sql_column_text(stmt, 9, state, sizeof(state));
	run->state = name_index(state_names, ARRAY_LEN(state_names), state);
	sql_column_text(stmt, 10, run->reason, sizeof(run->reason));
	run->attempts = sqlite3_column_int(stmt, 11);
	run->first_at = sqlite3_column_int64(stmt, 12);
	run->last_at = sqlite3_column_int64(stmt, 13);
	run->count = sqlite3_column_int64(stmt, 14);
	run->objects = (uint64_t)sqlite3_column_int64(stmt, 15);
	run->bytes = (uint64_t)sqlite3_column_int64(stmt, 16);
	sql_column_text(stmt, 17, run->message, sizeof(run->message));
	run->sent_again = (uint64_t)sqlite3_column_int64(stmt, 18);
}

int store_run_insert(struct store *s, const struct store_run *run)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_RUN_INSERT, &r);

	if (!stmt)
		return r;
	bind_run(stmt, run);
	return sql_run(s, stmt);
}

int store_run_update(struct store *s, const struct store_run *run)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_RUN_UPDATE, &r);

	if (!stmt)
		return r;
	bind_run(stmt, run);
	r = sql_run(s, stmt);
	if (r == 0 && sqlite3_changes(s->db) == 0)
		r = -ENOENT;
	return r;
}

static int read_one(
	struct store *s, enum sql_id id, const char *key, struct store_run *ret)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, id, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, key);
	r = sql_step(s, stmt);
	if (r == 1)
		read_run(stmt, ret);
	sql_done(stmt);
	return r == 1 ? 0 : r == 0 ? -ENOENT : r;
}

int store_run_get(struct store *s, const char *id, struct store_run *ret)
{
	return read_one(s, SQL_RUN_GET, id, ret);
}

int store_run_open_of(struct store *s, const char *job, struct store_run *ret)
{
	return read_one(s, SQL_RUN_OPEN_OF, job, ret);
}

/* All rows first, then the callbacks: they may call the store. Finishes stmt. */
static int give_all(struct store *s, sqlite3_stmt *stmt, store_run_fn fn, void *arg)
{
	_cleanup_free_ struct store_run *rows = NULL;
	size_t count = 0, room = 0;
	int r;

	while ((r = sql_step(s, stmt)) == 1) {
		if (count == room) {
			room = room ? 2 * room : 16;
			rows = mem_resize(rows, room, sizeof(*rows));
		}
		read_run(stmt, &rows[count++]);
	}
	sql_done(stmt);
	for (size_t i = 0; r == 0 && i < count; i++)
		fn(arg, &rows[i]);
	return r;
}

int store_run_each_open(struct store *s, store_run_fn fn, void *arg)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_RUN_EACH_OPEN, &r);

	return stmt ? give_all(s, stmt, fn, arg) : r;
}

int store_run_history(
	struct store *s, const char *job, int limit, store_run_fn fn, void *arg)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, job ? SQL_RUN_HISTORY_OF : SQL_RUN_HISTORY, &r);

	if (!stmt)
		return r;
	sqlite3_bind_int(stmt, 1, limit < 0 ? 0 : limit); /* SQL: negative is all */
	if (job)
		sql_bind_text(stmt, 2, job);
	return give_all(s, stmt, fn, arg);
}

int store_run_prune(struct store *s, const char *job, enum run_state state, int keep)
{
	int r = 0;
	sqlite3_stmt *stmt = sql_get(s, SQL_RUN_PRUNE, &r);

	if (!stmt)
		return r;
	sql_bind_text(stmt, 1, job);
	sql_bind_text(stmt, 2, run_state_name(state));
	sqlite3_bind_int(stmt, 3, keep);
	return sql_run(s, stmt);
}
