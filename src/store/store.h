/*
 * What survives a crash: SQLite, WAL, synchronous=FULL. Slots are claimed and uploads are
 * noted here before anything acts on them. Opened and called by the core's thread only.
 * Times are UTC seconds unless a name says _us. Errors: negative errno; -EIO means the
 * disk failed and the daemon must exit 74.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum run_state { /* open ones first */
	RUN_CLAIMED,
	RUN_RUNNING,
	RUN_RETRY_WAIT,
	RUN_PARKED,
	RUN_SUCCEEDED,
	RUN_PARTIAL,
	RUN_FAILED,
	RUN_MISSED,
	RUN_SKIPPED,
	RUN_CANCELLED,
};
const char *run_state_name(enum run_state s);
bool run_state_is_open(enum run_state s);

enum run_trigger {
	TRIGGER_SCHEDULE,
	TRIGGER_CATCH_UP,
	TRIGGER_MANUAL,
	TRIGGER_AFTER,    /* jobs it follows have succeeded */
	TRIGGER_BACKFILL, /* a date asked for by hand */
};
const char *run_trigger_name(enum run_trigger t);

#define RUN_ID_LEN 37

/* One row of the ledger: one slot of one job. */
struct store_run {
	char id[RUN_ID_LEN]; /* UUID */
	char job[256];
	char slot[64]; /* slot key, or "manual/<uuid>", "after/<uuid>", "backfill/<uuid>" */
	int64_t clock_gen;
	int64_t nominal_at, claimed_at, started_at, ended_at; /* 0: not yet */
	enum run_trigger trigger;
	enum run_state state;
	char reason[32]; /* "", "overlap", "coalesced", "interrupted", "denied", ... */
	int attempts;
	int64_t first_at, last_at; /* of a coalesced or missed range */
	int64_t count;             /* slots in that range, else 1 */
	uint64_t objects, bytes;
	uint64_t sent_again; /* requests to S3 that failed at first */
	char message[768]; /* the one sentence that status and history show */
};

struct store_job {
	char name[256];
	char schedule_hash[65];
	int64_t watermark; /* slots up to here are settled */
	int64_t served;    /* slots up to here need no success any more */
	int64_t clock_gen;
	int64_t paused_at;    /* 0: not paused at run time */
	int64_t paused_until; /* 0: until resumed */
	bool conf_paused;     /* by the configuration, when it was last looked at */
	int64_t consecutive_failures;
	int64_t last_success_at, last_run_at;
};

enum store_open_result {
	STORE_OPENED,
	STORE_CREATED,
	STORE_RECOVERED, /* the damaged file was moved aside; see moved_to */
};

/*
 * dir/state.db; dir is made 0700 if missing. moved_to (>= 512 bytes) names the file that
 * a damaged database was moved to. -EBUSY: another process holds it (*ret_pid);
 * -EPROTO: a newer schema; -EPERM: wrong owner or a symlink; -EIO, -ENOSPC, ...
 */
int store_open(const char *dir, struct store **ret, enum store_open_result *ret_how,
	char *moved_to, int64_t *ret_pid);
void *store_close(struct store *s);

/* A transaction around several calls; nested begins count. Commit is durable. */
int store_begin(struct store *s);
int store_commit(struct store *s);
void store_rollback(struct store *s);

/* job_state */
int store_job_get(struct store *s, const char *name, struct store_job *ret); /* -ENOENT */
int store_job_put(struct store *s, const struct store_job *job);

typedef void (*store_name_fn)(void *arg, const char *name);
/* Jobs of which nothing was settled since; fn may call the store. */
int store_job_each_idle(struct store *s, int64_t since_s, store_name_fn fn, void *arg);
/* Its state and its closed rows. */
int store_job_forget(struct store *s, const char *name);

/* run: -EEXIST when the slot is taken or the job has an open run */
int store_run_insert(struct store *s, const struct store_run *run);
int store_run_update(struct store *s, const struct store_run *run); /* by id */
/* By its id, or eight digits of it and more with which no other one begins. */
int store_run_get(struct store *s, const char *id, struct store_run *ret);
int store_run_open_of(struct store *s, const char *job, struct store_run *ret);
typedef void (*store_run_fn)(void *arg, const struct store_run *run);
/* Open rows, oldest first. */
int store_run_each_open(struct store *s, store_run_fn fn, void *arg);
/* Newest first; job NULL: all jobs. */
int store_run_history(
	struct store *s, const char *job, int limit, store_run_fn fn, void *arg);
/* Of the rows of a job that ended so, keep the newest `keep`. */
int store_run_prune(struct store *s, const char *job, enum run_state state, int keep);

/* Whether a run of this date has succeeded, whatever it was started by: 1 or 0. */
int store_run_has_success(struct store *s, const char *job, int64_t nominal_at);

/* Successes that a job with `after` has not used yet, one a job it follows. */
struct store_ready {
	char job[256], upstream[256];
	char run_id[RUN_ID_LEN]; /* of upstream */
	int64_t nominal_at;
};
int store_ready_put(struct store *s, const struct store_ready *ready);
typedef void (*store_ready_fn)(void *arg, const struct store_ready *ready);
int store_ready_each(struct store *s, const char *job, store_ready_fn fn, void *arg);
int store_ready_clear(struct store *s, const char *job);

/* Dates still to be run, one range a job. */
struct store_backfill {
	char job[256];
	int64_t after, until; /* slots in (after, until] */
	bool is_again;        /* also those that have succeeded */
};
int store_backfill_put(struct store *s, const struct store_backfill *b);
int store_backfill_get(struct store *s, const char *job, struct store_backfill *ret);
int store_backfill_delete(struct store *s, const char *job);
typedef void (*store_backfill_fn)(void *arg, const struct store_backfill *b);
/* fn may call the store. */
int store_backfill_each(struct store *s, store_backfill_fn fn, void *arg);

/* Multipart uploads under way, noted before their first part. One a job and key. */
struct store_upload {
	char job[256];
	char bucket[256], key[1025], upload_id[1024]; /* of the destination */
	char source_key[1025], source_etag[128];
	int64_t size, part_size; /* bytes; size -1: only to be aborted */
	int checksum; /* that the server keeps; 0: none, 1: CRC64NVME, others as
			 engine_upload has them */
	int64_t started_at;
};
int store_upload_put(struct store *s, const struct store_upload *u);
int store_upload_delete(struct store *s, const char *upload_id); /* and its parts */
typedef void (*store_upload_fn)(void *arg, const struct store_upload *u);
/* Those of a job, oldest first; fn may call the store. */
int store_upload_each(struct store *s, const char *job, store_upload_fn fn, void *arg);
/* 1 or 0: noted here, by whichever job. */
int store_upload_is_known(struct store *s, const char *upload_id);

/*
 * An upload that is about to be created: noted before the request goes out, so that what a
 * crash leaves at the destination without an id here can be looked for.
 */
struct store_intent {
	int64_t seq; /* given by store_intent_put() */
	char job[256], run_id[RUN_ID_LEN];
	char bucket[256], key[1025];
	char initiator[256]; /* ARN of the session; "": not known */
	int64_t intended_us;
	int64_t until_us; /* all that was begun before, at the key or below; 0: no such
			     search */
};
int store_intent_put(struct store *s, struct store_intent *intent);
int store_intent_delete(struct store *s, int64_t seq);
typedef void (*store_intent_fn)(void *arg, const struct store_intent *intent);
/* Those of a job, oldest first; fn may not call the store. */
int store_intent_each(struct store *s, const char *job, store_intent_fn fn, void *arg);

/* Parts that the destination has acknowledged. */
struct store_part {
	int number;
	char etag[72];
	uint64_t crc; /* CRC64NVME */
};
int store_part_put(struct store *s, const char *upload_id, const struct store_part *part);
typedef void (*store_part_fn)(void *arg, const struct store_part *part);
/* fn may not call the store. */
int store_part_each(struct store *s, const char *upload_id, store_part_fn fn, void *arg);

/* What a job has delivered to one place ("s3://bucket/prefix/"), by destination key. */
#define STORE_DELIVERED_MAX 1000000
struct store_place {
	int64_t id;
	int64_t count; /* of its rows */
};
struct store_delivered {
	char key[1025]; /* of the destination */
	char source_etag[128], source_version[128]; /* of what was copied */
	char destination_etag[128], destination_version[128]; /* of what it became */
	int64_t modified_us; /* of the source; -1: not known */
};
/* Made where it is missing; only the newest places of a job are kept. */
int store_place_open(
	struct store *s, const char *job, const char *place, struct store_place *ret);
/* -EDQUOT: a new key, and the place is full. */
int store_delivered_put(
	struct store *s, struct store_place *p, const struct store_delivered *d);
int store_delivered_delete(struct store *s, struct store_place *p, const char *key);
typedef void (*store_delivered_fn)(void *arg, const struct store_delivered *d);
/* Up to limit rows with keys >= from, ascending; fn may not call the store. */
int store_delivered_scan(struct store *s, const struct store_place *p, const char *from,
	int limit, store_delivered_fn fn, void *arg);

/* How many objects of a run ended for which reason; they go with their run. */
struct store_count {
	char reason[32];
	int64_t objects, bytes;
};
/* None is left. */
int store_count_clear(struct store *s, const char *run_id);
int store_count_put(struct store *s, const char *run_id, const struct store_count *c);
typedef void (*store_count_fn)(void *arg, const struct store_count *c);
/* By reason; fn may not call the store. */
int store_count_each(struct store *s, const char *run_id, store_count_fn fn, void *arg);

/* The daemon's own row: wall clock seen last, written each tick and at stop. */
int store_daemon_get(struct store *s, int64_t *ret_last_wall_s);
int store_daemon_put(struct store *s, int64_t wall_s);
