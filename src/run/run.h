/*
 * One execution of a job: credentials of both sides, the list of objects, their transfer,
 * the verdict. Sees neither SQL nor the scheduler: the core keeps the ledger and hears of
 * each change through run_ops. A run keeps the configuration it began with.
 * Core's thread. done() comes exactly once and never inside run_start() or run_cancel().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine_fidelity.h"
#include "run/reason.h"
#include "run/run_estimate.h"

struct compare_delivered;
struct conf;
struct engine_upload;
struct conf_job;
struct creds_env;
struct creds_pool;
struct engine_ev;
struct engine_set;
struct http;
struct loop;
struct pool;
struct run;
struct retry_quotas;
struct s3_regions;
struct skews;
struct store;

/* What every run of a daemon shares; outlives them all. */
struct run_env {
	struct loop *loop;
	struct http *http;
	struct creds_pool *creds;
	struct engine_set *engines;
	struct s3_regions *regions; /* of buckets, and the clocks of servers: */
	struct skews *skews;        /* for calls on this loop, and ... */
	struct retry_quotas *quotas; /* ... how often a failed one may be repeated */
	struct store *store; /* of the record of delivered keys */
	struct pool *files; /* for listing local folders, and for manifests: */
	const char *manifest_dir;
};

/* What was done, as the report counts it. */
struct run_done {
	uint64_t objects, bytes;
	uint64_t counts[REASONS], count_bytes[REASONS];
};

/* What differs from run to run of a job. */
struct run_options {
	int64_t nominal_s;     /* of the slot: dates and ages are seen from here */
	int64_t allow_deletes; /* this once so many, whatever max_delete says; 0: no word */
	const char *only_key;  /* of a dry run: tell about this one alone; NULL: all */
	bool is_dry;           /* nothing is written: run_ops.planned hears what would be */
	struct run_done before; /* by its earlier passes, of one that is taken up again */
};

enum run_verdict {
	RUN_ENDED_SUCCEEDED,
	RUN_ENDED_PARTIAL,
	RUN_ENDED_FAILED,
	RUN_ENDED_CANCELLED,
	RUN_ENDED_SKIPPED, /* nothing came, and the job says that this is fine */
	RUN_ENDED_INTERRUPTED, /* by a stop or a window: it is taken up again */
	RUN_ENDED_PARKED, /* objects are being restored: it is taken up after again_s */
};

/* objects, bytes, counts and count_bytes are with options.before. */
struct run_report {
	enum run_verdict verdict;
	char reason[32];   /* "" or "denied" "timeout" "source_missing" "network" ... */
	char message[768]; /* the sentence that status and history show */
	uint64_t objects, objects_failed, bytes;
	uint64_t objects_copied; /* of these, by the server itself */
	uint64_t objects_same, objects_existing; /* that were there; not among objects */
	uint64_t lost[ENGINE_LOSSES]; /* objects that arrived without this */
	uint64_t objects_undigested; /* a side gave no digest: own checksum and length */
	uint64_t sent_again; /* requests to S3 that failed at first */
	int64_t duration_us;
	int64_t again_s; /* of RUN_ENDED_PARKED, from now */
	struct run_requests requests; /* of a dry run: what a run would ask */
	uint64_t counts[REASONS], count_bytes[REASONS]; /* of objects, by reason */
	struct err err; /* the first error; class ERR_OK if none */
};

/* What a dry run would do with an object. */
struct run_planned {
	enum reason why;
	const char *key; /* below the source's place */
	int64_t size;    /* -1: not known */
};

/* Of this pass. */
struct run_progress {
	uint64_t objects_done, objects_total, bytes_done;
	int64_t bytes_total; /* -1: not known yet */
};

enum run_cancel_why {
	RUN_CANCEL_ASKED,
	RUN_CANCEL_STOPPING,
	RUN_CANCEL_SUPERSEDED, /* a newer slot of the job comes in its place */
	RUN_CANCEL_WINDOW,     /* its hours are over */
	RUN_CANCEL_PARKING,    /* so are these, and it goes on in the next ones */
};

struct run_ops {
	/* Waiting to try again, or working again. */
	void (*waiting)(void *arg, struct run *r, bool is_waiting);
	void (*done)(void *arg, struct run *r, const struct run_report *report);
	/*
	 * The upload that an earlier run left for this destination key, or NULL; malloc'd.
	 * xfer: the transfer that takes it over.
	 */
	struct engine_upload *(*resume)(void *arg, uint64_t xfer, const char *key);
	/* One that nobody took over, to be aborted, and its key; NULL: none is left. */
	struct engine_upload *(*leftover)(void *arg, uint64_t xfer, char *ret_key);
	/* The state cannot be written. */
	void (*store_failed)(void *arg, int error);
	/* Of a dry run; NULL-able. */
	void (*planned)(void *arg, struct run *r, const struct run_planned *p);
	void *arg;
};

/*
 * id is the ledger's. serial is unique in this process; engine events carry it as tag.
 * conf is referenced until the run is freed.
 */
struct run *run_new(const struct run_env *env, const struct conf *conf,
	const struct conf_job *job, const char *id, uint64_t serial,
	const struct run_options *options);
void *run_free(struct run *r);
void run_start(struct run *r, const struct run_ops *ops);
void run_cancel(struct run *r, enum run_cancel_why why);

/* The core hands over the engines' events of this run. */
void run_on_engine(struct run *r, const struct engine_ev *ev);
/* Serial of the run that a set of credentials belongs to. */
uint64_t run_serial_of_creds(uint32_t creds_id);

const char *run_id(const struct run *r);
const struct conf_job *run_job(const struct run *r);
uint64_t run_serial(const struct run *r);
/* Source (0) or destination (1) key of a transfer in flight; size ENGINE_KEY_LEN. */
void run_get_key(const struct run *r, uint64_t xfer, int side, char *ret_key);
/*
 * options.only_key as the manifest names it. NULL: nothing was asked, or the job's source
 * is one key and not this one. Borrowed from r.
 */
const char *run_get_asked(const struct run *r);
bool run_is_single(const struct run *r);
/* The record of options.only_key; NULL: none. Borrowed from r. */
const struct compare_delivered *run_get_delivered(struct run *r);
void run_get_progress(const struct run *r, struct run_progress *ret);
