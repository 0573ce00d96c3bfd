/* Shared by the files of run/ alone: the run's own state. */
#pragma once

#include "aws/creds.h"
#include "engine/engine_msg.h"
#include "run/run.h"
#include "s3/list.h"

#define RUN_WINDOW    32 /* transfers of one run handed to the engines at once */
#define RUN_NO_OBJECT SIZE_MAX /* the slot of a transfer that only aborts an upload */

enum run_step {
	RUN_START,    /* entered by run_start(); decides what is needed first         */
	RUN_CREDS,    /* waits for: a set of both sides                               */
	RUN_LIST,     /* waits for: one page of the source prefix                     */
	RUN_TRANSFER, /* waits for: all transfers of the page                         */
	RUN_BACKOFF,  /* waits for: the retry timer, then RUN_CREDS again             */
	RUN_DRAIN,    /* waits for: transfers that were told to stop                  */
	RUN_DONE,     /* terminal: r->report tells how it ended                       */
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
	struct creds_set set; /* the newest; wiped with the run */
};

struct run_object {
	char *key;
	char *etag; /* NULL: the first GET pins it */
	int64_t size;
};

struct run {
	struct run_env env;
	const struct conf *conf;
	const struct conf_job *job;
	char id[40];
	uint64_t serial;
	struct run_ops ops;
	enum run_step step;
	struct run_side sides[RUN_SIDES];
	struct loop_timer *timer;    /* of RUN_BACKOFF */
	struct loop_timer *deadline; /* of the whole run */
	int attempt;                 /* of credentials and listing, from 1 */
	bool has_replayed_list;      /* one refresh per page */
	int64_t started_us;

	/* the page at work */
	struct s3_call *list_call;
	struct run_object *objects;
	size_t object_count, next_object;
	char *token; /* of the next page; NULL: none */
	bool is_last_page;
	size_t in_flight;
	uint64_t ids[RUN_WINDOW];       /* of the transfers in flight; 0: free */
	uint64_t id_bytes[RUN_WINDOW];  /* what each has moved so far */
	size_t slot_object[RUN_WINDOW]; /* which object of the page each one is */
	uint64_t next_id;
	uint64_t objects_total;
	int64_t bytes_total;

	bool has_told_route;
	bool must_stop; /* cancelled, timed out, or the credentials are gone */
	int failed_side;          /* where report.err happened ... */
	char failed_key[ENGINE_KEY_LEN]; /* ... and on which object */
	struct run_report report;
};

/* run_objects.c */
/* Fill the list with the one object of a plain key. */
void run_objects_single(struct run *r);
void run_objects_take_page(struct run *r, const struct s3_page *page);
void run_objects_clear(struct run *r);
/* Hand transfers to the engines up to the window. */
void run_objects_dispatch(struct run *r);
void run_objects_cancel(struct run *r);
/* Abort what earlier runs left at the destination; true: something is under way. */
bool run_objects_sweep(struct run *r);
/* 0, or -ENAMETOOLONG / -EINVAL. */
int run_destination_key(const struct run *r, const char *source_key, char *out, size_t size);
/* The key of a transfer at its source or destination. */
void run_object_key(const struct run *r, uint64_t id, int side, char out[ENGINE_KEY_LEN]);
uint64_t run_bytes_in_flight(const struct run *r);

/* run_result.c */
/* Counts an object that is delivered, or was. */
void run_note_delivered(struct run *r, const struct engine_result *result);
/* "; 2 copied on the server; ..." for the end of a sentence, or "". */
void run_describe_delivered(const struct run_report *rep, char *out, size_t size);
bool run_losses_text(const struct run_report *rep, char *out, size_t size);
/* One line, if anything was lost. */
void run_log_losses(const struct run *r);

/* run_log.c */
void run_log_started(const struct run *r);
void run_log_ended(struct run *r);
void run_log_retry(const struct run *r, int side, const struct err *e, int64_t delay_ms);
void run_log_resumed(const struct run *r, const struct engine_ev *ev);
void run_log_object_retry(const struct run *r, const struct engine_result *result);
/* That the clock of a server is wrong, or ours: once. */
void run_log_clock(const struct run *r, const char *endpoint_url);
/* Sets reason and message of the report from its first error. */
void run_explain(struct run *r, int side, const char *key, const struct err *e);
