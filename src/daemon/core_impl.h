/* Shared by the files of daemon/core* and control_cmds alone. Core's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "daemon/control.h"
#include "daemon/core.h"
#include "run/run.h"
#include "sched/sched.h"
#include "store/store.h"

struct buf;

/* A claimed slot: waiting for its turn, or running. */
struct core_run {
	struct list link; /* in core.queued or core.active */
	struct core *core;
	struct run *run; /* NULL: queued */
	struct store_run row;
	struct list watchers;           /* of `s3ferryctl run --wait` */
	struct list uploads, leftovers; /* of core_uploads.c */
	bool is_late_told;              /* that it waits for its turn */
	bool is_superseded;             /* to be cancelled when this tick is committed */
	int64_t allow_deletes; /* of a run by hand; 0: as the job says */
	bool is_parking;                /* cancelled at the end of its window */
	int64_t not_before_s;           /* of one that waits for an archive; 0: now */
};

struct core_watcher {
	struct list link;
	struct control_call *call;
	struct core_run *run; /* NULL: it ended */
};

struct core {
	const struct clock *clock;
	struct loop *loop;
	struct http *http;
	const struct conf *conf;
	struct creds_env *env;
	struct creds_pool *creds;
	struct store *store;
	struct engine_set *engines;
	struct s3_regions *regions; /* for calls on this loop, and ... */
	struct skews *skews;        /* ... the clocks of all servers */
	struct retry_quotas *quotas; /* of calls on this loop */
	struct pool *files;         /* for listing local folders, and for manifests: */
	char *manifest_dir;
	struct sched *sched;
	struct control *control;
	struct loop_timer *watchdog, *drain, *status_timer, *bandwidth_timer;
	struct list queued, active; /* of core_run, oldest first */
	struct list plans;          /* of core_plan.c */
	size_t active_count;
	uint64_t next_serial;
	char *config_path;
	char *config_error; /* of the last reload, or NULL */
	int64_t watchdog_usec;
	int64_t started_at_s;
	int64_t engines_began_with, memory_began_with; /* as the configuration had them */
	bool is_boot_due; /* jobs at boot are to be looked at */
	bool is_batching; /* a transaction of core_sched.c is open */
	bool is_stopping;
	int exit_code;
};

#define CORE_DRAIN_MS 30000

/* core_uploads.c: multipart uploads on disk. */
void core_uploads_load(struct core_run *cr);
/* The state was damaged: what it knew of is looked for by the next run of each job. */
void core_uploads_lost(struct core *c);
void core_uploads_drop(struct core_run *cr);
void core_uploads_on_engine(struct core_run *cr, const struct engine_ev *ev);
struct engine_upload *core_uploads_resume(void *core_run, uint64_t xfer, const char *key);
struct engine_upload *core_uploads_leftover(void *core_run, uint64_t xfer, char *ret_key);

/* core_runs.c: what runs. */
/* nominal_s: the date it is run for; 0: now. */
struct core_run *core_claim_manual(
	struct core *c, const char *job, int64_t nominal_s, int *ret_errno);
struct core_run *core_run_new(const struct store_run *row);
/* Of a row that is claimed, in the store or in the transaction that is open. */
struct core_run *core_enqueue(struct core *c, const struct store_run *row);
void core_save_row(struct core *c, const struct store_run *row);
void core_start_queued(struct core *c);
void core_run_cancel(struct core_run *cr, enum run_cancel_why why);
struct core_run *core_find_run(struct core *c, const char *id_or_job);
void core_on_engine(void *arg, const struct engine_ev *ev);
void core_watcher_remove(struct core_watcher *w);
/* Forget the oldest rows that ended as this one. */
int core_prune(struct core *c, const struct store_run *row);
/* A write to the state failed: stop with the right exit code. */
void core_store_failed(struct core *c, int error, const char *what);
/* Runs that wait are put down and go on at the next start; a core, as loop_defer() wants. */
void core_stop_waiting(void *core);

/* core_sched.c: the ledger's side of the scheduler. */
const struct sched_ops *core_sched_ops(struct core *c, struct sched_ops *ret);
/* What is written until the commit is durable together; a second begin does nothing. */
int core_batch_begin(struct core *c);
void core_batch_commit(struct core *c);
void core_sched_take_conf(struct core *c);
void core_sched_hold(struct core *c);
void core_recover(struct core *c);
/* By the configuration or by hand. */
bool core_is_paused(
	const struct conf_job *job, const struct store_job *state, int64_t now_s);
/* The caller commits, and then tells the scheduler. until_s 0: until resumed. */
int core_pause(struct core *c, const char *job, int64_t until_s);
int core_resume(struct core *c, const char *job); /* -ENOENT: no core_pause() before */

/* core_manifest.c */
/* The manifest of a run, malloc'd; NULL: there is none. */
char *core_manifest_of(const struct core *c, const struct store_run *row);

/* core_after.c: jobs that follow others. */
/* A run ended: inside the transaction that says so. */
int core_after_note(struct core *c, const struct store_run *row);
/* Claim what has become ready; once a tick. */
void core_after_try(struct core *c);

/* core_backfill.c: past dates, asked for by hand. */
struct core_backfill {
	int64_t after_s, until_s; /* slots in (after, until], of the past */
	bool is_again;            /* also those that have succeeded */
};
#define CORE_BACKFILL_MAX 10000 /* dates at once */
typedef void (*core_backfill_fn)(void *arg, const struct slot *slot, bool has_succeeded);
/* Each slot of the range. -E2BIG: more than the above. */
int core_backfill_plan(struct core *c, const struct conf_job *job,
	const struct core_backfill *b, core_backfill_fn fn, void *arg);
/* -EEXIST: one is under way. */
int core_backfill_start(
	struct core *c, const struct conf_job *job, const struct core_backfill *b);
/* Claims no more dates; a run under way goes on. -ENOENT: there is none. */
int core_backfill_end(struct core *c, const char *job);
/* Claim what may run next; once a tick. */
void core_backfill_try(struct core *c);

/* core_boot.c: claims what @reboot starts; once a tick. */
void core_boot_try(struct core *c);
/* core_plan.c: dry runs for clients that wait. */
/* The dry run with this serial, or NULL. */
struct run *core_plan_find(struct core *c, uint64_t serial);
void core_plan_drop_all(struct core *c);

/* core_window.c: the hours of a job. */
bool core_window_admits(struct core *c, struct core_run *cr, const struct conf_job *job);
/* Ends what works outside its hours; once a tick. */
void core_window_enforce(struct core *c);

/* core_bandwidth.c: takes a core as void *, for its timer. */
void core_bandwidth_update(void *core);
/* Of a run that ended. */
void core_bandwidth_end(struct core_run *cr);

/* core_reload.c */
/* 0 and *ret_changes (one line a change), or -EINVAL and *ret_errors. malloc'd texts. */
int core_reload(struct core *c, char **ret_changes, char **ret_errors);
void core_log_config(const char *text, int level, const char *message_id);

/* core_status.c */
/* What status and metrics say of a job, in one place. Times are 0 where there is none. */
struct core_job_facts {
	int64_t last_success_at, last_run_at, next_run_at;
	int64_t overdue_slot_at; /* the slot without success; 0: not overdue */
	int64_t consecutive_failures;
	bool is_running, is_paused;
};
void core_job_facts(
	struct core *c, const struct conf_job *job, struct core_job_facts *ret);
void core_update_status(struct core *c);
int64_t core_now_s(const struct core *c);

/* control_cmds.c */
extern const struct control_verb core_verbs[];
extern const char core_interface[]; /* control_idl.c */
void core_report_progress(struct core_run *cr);
void core_report_end(struct core_run *cr, const struct run_report *report);
