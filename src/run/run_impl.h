/* Shared by the files of run/ alone: the run's own state. */
#pragma once

#include "aws/creds.h"
#include "engine/engine_msg.h"
#include "engine/lister.h"
#include "run/key_set.h"
#include "run/manifest_unsent.h"
#include "run/plan.h"
#include "run/reason.h"
#include "run/run.h"
#include "s3/list.h"

struct glob;
struct manifest;
struct manifest_work;
struct run_ask;
struct run_deletes;
struct run_record;
struct template;
struct tz;

#define RUN_WINDOW 256 /* at most: objects of one run that are worked on at once */

enum run_step {
	RUN_START,   /* entered by run_start(); decides what is needed first     */
	RUN_CREDS,   /* waits for: a set of both sides                           */
	RUN_OPEN,    /* begins the listings                                      */
	RUN_WORK,    /* waits for: listings, and objects that are worked on      */
	RUN_JUDGE,   /* both listings are over: is it all there? what is to go?  */
	RUN_REMOVE,  /* waits for: what is to go at the destination              */
	RUN_CLOSE,   /* waits for: uploads that nobody took over to be gone      */
	RUN_PAUSE,   /* waits for: time to look again at the source, then CREDS  */
	RUN_BACKOFF, /* waits for: the retry timer, then RUN_CREDS again         */
	RUN_DRAIN,   /* waits for: objects that were told to stop                */
	RUN_SEAL,    /* waits for: its manifest to be on disk                    */
	RUN_UPLOAD,  /* waits for: the manifest to be at the destination         */
	RUN_DONE,    /* terminal: r->report tells how it ended                   */
};

enum {
	RUN_SOURCE,
	RUN_DESTINATION,
	RUN_SIDES,
};

/* One end of the run and who it is there. */
struct run_side {
	const struct conf_side *conf;
	struct engine_side place; /* where its requests go: no key, no bucket */
	struct creds *creds;
	struct creds_wait *wait;
	uint32_t creds_id;
	bool has_set;
	struct creds_set *set; /* the newest, on pages of secrets; NULL: local files */

	char *key; /* of this slot: a key, or the prefix of those that are listed */
	struct lister *lister;    /* NULL: not listed */
	bool is_lister_asking;    /* it waits for a set */
	uint64_t listed, taken;   /* entries seen; those of the source that were selected */
};

/* What is being done with an object. */
enum run_work {
	WORK_NONE,
	WORK_ASK,     /* HEADs, to compare                        */
	WORK_COPY,    /* to the destination                       */
	WORK_RECORD,  /* a move: the record must be on disk first */
	WORK_LEAVE,   /* a move: the source object is removed     */
	WORK_TRASH,   /* copied below trash_prefix                */
	WORK_DELETE,  /* removed at the destination               */
	WORK_ABORT,   /* an upload of an earlier run is aborted   */
	WORK_RESTORE, /* a readable copy of it is asked for       */
	WORK_MANIFEST, /* a manifest, to the destination          */
};

struct run_item {
	struct run *run;
	enum run_work work;
	uint64_t id;    /* 0: free */
	uint64_t bytes; /* moved so far */
	char *keys[RUN_SIDES];
	char *trash_key; /* of WORK_TRASH */
	struct lister_entry *entries[RUN_SIDES]; /* owned; NULL: not known, not there */
	struct compare_delivered *delivered;     /* owned; NULL: none */
	struct run_ask *ask;
	enum reason why; /* why it is copied */
	bool is_restored; /* a restore was asked for, and it was readable */
	struct engine_result *result; /* of a copy that is to be recorded; owned */
};

struct run {
	struct run_env env;
	const struct conf *conf;
	const struct conf_job *job;
	char id[40];
	uint64_t serial;
	struct run_options options;
	struct run_ops ops;
	enum run_step step;
	struct run_side sides[RUN_SIDES];
	struct loop_timer *timer;    /* of RUN_BACKOFF, RUN_PAUSE, RUN_DRAIN */
	struct loop_timer *deadline; /* of the whole run */
	int attempt;                 /* of credentials, from 1 */
	int64_t started_us, started_wall_us;

	/* what is to be done */
	struct glob *pattern;     /* of the source's keys below its prefix; NULL: all */
	struct glob **globs;      /* include, then exclude, of the job */
	size_t glob_count;
	struct filter *filter;
	struct plan plan;
	struct tz *zone;
	bool is_single, is_renamed; /* one key; keys that no merge can compare */
	struct key_set renamed;     /* their keys at the destination, of this round */
	bool has_begun; /* the single key was taken */
	bool is_source_empty; /* the newest listing of it that was closed had nothing */
	bool is_continuing; /* a deferred call goes on with the listings */
	struct run_record *record;
	struct run_deletes *deletes;
	struct manifest *manifest; /* NULL: none, or in the hands of: */
	struct manifest_work *manifest_work; /* in the pool; NULL: nothing is under way */
	bool has_opened_manifest, has_sent_manifests, must_keep_manifests;
	struct manifest_unsent unsent[MANIFEST_UNSENT_MAX]; /* its own, and older ones */
	size_t unsent_count;
	uint64_t restoring; /* objects of this round that are in an archive still */
	uint64_t taken_bytes; /* of what was selected at the source */
	int64_t newest_us;    /* of the same; 0: nothing */
	int64_t waited_since_us; /* of if_missing; 0: not yet */
	bool is_braked;

	/* the window */
	struct run_item items[RUN_WINDOW];
	size_t in_flight;
	uint64_t next_id;
	uint64_t objects_total;
	int64_t bytes_total;

	bool has_told_route;
	uint64_t denials; /* in a row */
	bool is_listing_failed;
	bool is_given_up; /* no more of the listings is taken */
	bool is_missing;  /* the single key is not there */

	bool must_stop; /* cancelled, timed out, or the credentials are gone */
	int failed_side;          /* where report.err happened ... */
	char failed_key[ENGINE_KEY_LEN]; /* ... and on which object */
	struct run_report report;
};

/* run.c: something came; never inside a call from the run. */
void run_go_on(struct run *r);

/* run_names.c: keys of this slot. */
/* 0, or -EINVAL with e filled. */
int run_names_open(struct run *r, struct err *e);
void run_names_close(struct run *r);
/* A template of the configuration for this slot; NULL: too long. malloc'd. */
char *run_names_expand(const struct run *r, const struct template *t);
/* 0, or -ENAMETOOLONG. */
int run_destination_key(const struct run *r, const char *source_key, char *out, size_t size);

/* run.c */
void run_ask_creds(struct run *r, int side);

/* run_plan.c: the two listings as steps. */
void run_plan_open(struct run *r);
void run_plan_close(struct run *r);
enum plan_result run_plan_next(struct run *r, struct plan_step *ret);
void run_plan_pop(struct run *r, const struct plan_step *step);
/* The lister of a side that failed, or -1. */
int run_plan_failed_side(const struct run *r);
void run_plan_give_creds(struct run *r, int side);

/* run_objects.c: the window. */
struct s3_place run_side_place(const struct run_side *side);
/* Of this slot; malloc'd. */
char *run_side_url(const struct run_side *side);
void run_objects_clear(struct run *r);
/* As many objects as the job allows are not yet worked on. */
bool run_has_room(const struct run *r);
struct run_item *run_item_new(struct run *r, const char *source_key, const char *key);
void run_item_free(struct run_item *i);
struct run_item *run_item_find(struct run *r, uint64_t id);
void run_item_copy(struct run_item *i);
/* A removal at the source (of a move) or at the destination. */
void run_item_remove(struct run_item *i, int side);
/* A file of ours, keys[RUN_SOURCE] below `root`, to the destination. */
void run_item_send_file(struct run_item *i, const char *root);
/* A readable copy of an archived source object. */
void run_item_restore(struct run_item *i);
/* Copied below the trash; then the removal. */
void run_item_trash(struct run_item *i, const char *trash_key);
void run_item_trashed(struct run_item *i);
void run_objects_cancel(struct run *r);
/* Abort what earlier runs left at the destination; true: something is under way. */
bool run_objects_sweep(struct run *r);
/* The key of a transfer at its source or destination. */
void run_object_key(const struct run *r, uint64_t id, int side, char out[ENGINE_KEY_LEN]);
uint64_t run_bytes_in_flight(const struct run *r);
struct lister_entry *run_entry_copy(const struct lister_entry *e);

/* run_steps.c: what becomes of each object. */
/* Takes steps while there is room; true: the listings are over. */
bool run_steps_take(struct run *r);
/* After the HEADs of a PLAN_ASK. */
void run_steps_on_settled(struct run_item *i, const struct plan_step *settled);
/* In a dry run of one key: its source cannot be seen, or nothing can be written. */
void run_steps_on_unseen(struct run_item *i, int side, const struct err *e);
void run_steps_on_done(struct run *r, const struct engine_ev *ev);
void run_steps_on_recorded(struct run *r);
/* run_go_on(), when other work had its turn. */
void run_go_on_later(struct run *r);
void run_count(struct run *r, enum reason why, uint64_t bytes);
void run_count_many(struct run *r, enum reason why, uint64_t objects, uint64_t bytes);
/* Counts, explains the first one; key: of the side. */
void run_count_failed(struct run *r, enum reason why, int side, const char *key,
	const struct err *e);

/* run_ask.c: HEADs where the listings do not decide. */
void run_ask_start(struct run_item *i, const struct plan_step *step);
/* The single key, of a dry run: a look at both sides in place of listings. */
void run_ask_unlisted(struct run_item *i);
void run_ask_cancel(struct run_item *i);
void *run_ask_free(struct run_ask *a);

/* run_record.c: what was delivered, in memory until the next commit. */
struct run_record *run_record_new(struct run *r);
void *run_record_free(struct run_record *rec);
const struct compare_delivered *run_record_find(void *run, const char *key, size_t len);
/* Of a whole key at the destination; NULL: none, or no record is kept. */
const struct compare_delivered *run_record_of(struct run *r, const char *destination_key);
/* As run_record_find(), where the job has one key. */
const struct compare_delivered *run_record_find_single(
	void *run, const char *key, size_t len);
/* The step of a key that no listing of the destination tells about. */
void run_record_decide(
	struct run *r, const struct lister_entry *source, struct plan_step *ret);
void run_record_put(struct run *r, const struct run_item *i, const struct engine_result *e);
void run_record_drop(struct run *r, const char *destination_key);
/* Everything is on disk when this returns. */
void run_record_flush(struct run *r);

/* run_delete.c: candidates, brakes, and what goes. */
void run_deletes_add(struct run *r, const struct lister_entry *e);
/* Both listings are complete. False: a brake holds, and the report says so. */
bool run_deletes_judge(struct run *r);
/* Fills the window; true: something is under way. */
bool run_deletes_take(struct run *r);
void *run_deletes_free(struct run_deletes *d);

/* run_manifest.c: the rows of its objects; nothing of it where the job wants none. */
/* True: rows may be told, or there is to be none. False: run_go_on() comes. */
bool run_manifest_open(struct run *r);
/* True: it is on disk. False: run_go_on() comes. */
bool run_manifest_seal(struct run *r);
/* True: it is at the destination, or is not to be. False: an item is under way. */
bool run_manifest_upload(struct run *r);
void run_manifest_on_uploaded(struct run_item *i, const struct engine_result *result);
void run_manifest_drop(struct run *r);
/* What was told so far survives a kill. */
void run_manifest_flush(struct run *r);
/* An entry that is left alone. */
void run_manifest_left(struct run *r, enum reason why, const struct lister_entry *e);
/* What became of an item. result: of its copy, NULL where there was none; e: NULL-able. */
void run_manifest_item(const struct run_item *i, enum reason why,
	const struct engine_result *result, const struct err *e);
/* It is about to be removed, which no later listing would tell of: survives a kill. */
void run_manifest_begin(const struct run_item *i, enum reason why);
/* A key that did not become an item. */
void run_manifest_key(struct run *r, enum reason why, int side, const char *key,
	const struct err *e);

/* run_verdict.c: how it ends. */
enum run_verdict run_judge(struct run *r);
/* Objects that S3 restores are waited for, but not by us. */
bool run_is_restoring(const struct run *r);
enum run_verdict run_park(struct run *r);
/* Nothing is there yet: until when to wait, ms from now; < 0: no longer. */
int64_t run_wait_ms(struct run *r);

/* run_result.c */
/* What was counted of this pass is counted anew. */
void run_counts_restart(struct run *r);
/* Counts an object that is delivered, or was. */
void run_note_delivered(struct run *r, const struct engine_result *result);
/* "; 2 copied on the server; ..." for the end of a sentence, or "". */
void run_describe_delivered(const struct run_report *rep, char *out, size_t size);
/* "1,203 copied, 3 denied": what became of its objects. */
void run_counts_text(const struct run_report *rep, char *out, size_t size);
bool run_losses_text(const struct run_report *rep, char *out, size_t size);
/* One line, if anything was lost. */
void run_log_losses(const struct run *r);

/* run_log.c */
void run_log_started(const struct run *r);
void run_log_ended(struct run *r);
void run_log_retry(const struct run *r, int side, const struct err *e, int attempt,
	int64_t delay_ms);
void run_log_missing(const struct run *r, int64_t delay_ms);
void run_log_resumed(const struct run *r, const struct engine_ev *ev);
void run_log_object_retry(const struct run *r, const struct engine_result *result);
/* That the clock of a server is wrong, or ours: once. */
void run_log_clock(const struct run *r, const char *endpoint_url);
/* Sets reason and message of the report from its first error. */
void run_explain(struct run *r, int side, const char *key, const struct err *e);
