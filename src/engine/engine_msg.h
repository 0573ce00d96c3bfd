/*
 * All that crosses between the core and an engine: commands down, events up, by value.
 * Pointers cross only where this header says so, with their ownership.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aws/creds.h"
#include "aws/endpoint.h"
#include "base/err.h"
#include "engine/engine_fidelity.h"

#define ENGINE_KEY_LEN    1025
#define ENGINE_BUCKET_LEN 256
#define ENGINE_URL_LEN    512
#define ENGINE_ROOT_LEN   1024
#define ENGINE_WHY_LEN    640 /* an err with its operation and code */

enum engine_scheme {
	ENGINE_S3,
	ENGINE_FILE,
	ENGINE_SCHEMES,
};

/* One end of a transfer: where, and as whom. */
struct engine_side {
	enum engine_scheme scheme;
	char bucket[ENGINE_BUCKET_LEN];
	char key[ENGINE_KEY_LEN];
	char region[64];                   /* "": that of the bucket is found */
	char endpoint_url[ENGINE_URL_LEN]; /* "": AWS's own */
	char ca_bundle[256];               /* "": the system's */
	struct endpoint_options options;
	int64_t skew_us; /* its clock, as the core knows it; 0: as ours */
	uint32_t creds_id;                 /* which set of ENGINE_CMD_CREDS signs */
	/* Of a file: key is below root; of what is made there: */
	char root[ENGINE_ROOT_LEN];
	bool is_final; /* nobody writes to it any more, however new it is */
	int mode;    /* 0: the umask's */
	int64_t gid; /* -1: as the kernel chooses */
	char expected_owner[16];           /* account id of the bucket; "": not asked */
	bool is_requester_paying;
};

struct engine_part {
	int number; /* from 1 */
	uint64_t crc; /* CRC64NVME of its bytes */
	char etag[72];
};

/*
 * A multipart upload as the core keeps it on disk: enough to go on after a crash. What the
 * server has of it, ListParts tells; this tells what the server cannot.
 */
struct engine_upload {
	char upload_id[1024]; /* "": only an intent, of which the server may have made one */
	int64_t intended_us;  /* of an intent: wall clock */
	char initiator[256];  /* of an intent: ARN of the session; "": not known */
	/* Of an intent: all that the session's own ARN began before then at the key or
	 * below it; 0: only what was to be made. Wall clock. */
	int64_t until_us;
	char key[ENGINE_KEY_LEN]; /* of an orphan below a prefix */
	char source_etag[128];
	int64_t size, part_size; /* bytes */
	enum checksum_alg checksum; /* that the server keeps; NONE: none */
	size_t count;
	struct engine_part parts[];
};

struct engine_xfer_spec {
	uint64_t id;           /* chosen by the core, unique while in flight */
	uint64_t tag;          /* the core's own: which run */
	struct engine_side source, destination;
	struct engine_fidelity fidelity;
	char source_etag[128]; /* "": pinned by the first GET */
	int64_t source_size;   /* bytes; -1: the first answer tells */
	/* A copy recorded earlier: of which source it is, if it still is what is there. */
	char known_source_etag[128], known_destination_etag[128];
	bool wants_time; /* of the source: no 304, which need not tell it */
	bool is_source_to_go; /* next: a server's word for its copy is not enough */
	struct engine_upload *resume; /* NULL, or malloc'd: goes with the spec */
	/* Nothing moves: the upload of `resume` is to be gone; of an intent, uploads that it
	 * left are looked for. */
	bool is_abort;
	int weight;         /* of its run among others; 0: 1 */
	int64_t part_bytes; /* 0: the engine's */
	int parts_at_once;  /* 0: as many as help, up to 8 */
	int max_attempts;
	int64_t backoff_ms, max_backoff_ms;
	double backoff_factor;
};

/*
 * An object that is to go, if it is still the one that was meant; or, with restore_tier,
 * one in an archive that a readable copy is asked of.
 */
struct engine_remove_spec {
	uint64_t id, tag; /* as of a transfer */
	struct engine_side target;
	char etag[128]; /* what it must be; "": anything */
	struct engine_side absent; /* where nothing may be: the source of a mirror */
	bool has_absent;
	char restore_tier[16]; /* "": it is to go */
	int64_t restore_days;  /* 0: of a class that has no such limit */
	int max_attempts;
	int64_t backoff_ms, max_backoff_ms;
	double backoff_factor;
};

/* What a bucket asks for, as one engine has it. */
struct engine_rate {
	char endpoint_url[ENGINE_URL_LEN], bucket[ENGINE_BUCKET_LEN];
	int at_once;     /* transfers that this engine gives it */
	bool is_slowed;  /* it asked for less than it was given */
	int64_t hold_ms; /* nothing starts for so long */
};

enum engine_cmd_type {
	ENGINE_CMD_XFER,   /* `xfer` is malloc'd; the engine frees it */
	ENGINE_CMD_REMOVE, /* `removal` is malloc'd; the engine frees it */
	ENGINE_CMD_CANCEL, /* `id`; its ENGINE_EV_DONE comes with class CANCELLED */
	ENGINE_CMD_NOTED,  /* `id`: what ENGINE_EV_INTENT or _UPLOAD told is on disk */
	ENGINE_CMD_TAKEN,  /* `id`: the upload that it told of is another transfer's */
	ENGINE_CMD_CREDS,  /* `creds_id`, `creds` of mem_secret_alloc(); the engine frees it */
	ENGINE_CMD_FORGET, /* `creds_id` is used no more */
	ENGINE_CMD_BANDWIDTH, /* `id`: the tag of a run, or BANDWIDTH_ALL; `bytes_s` */
	ENGINE_CMD_RATE,   /* `rate` malloc'd; the engine frees it: another was refused */
	ENGINE_CMD_STOP,   /* of engine_thread: the last one */
};

struct engine_cmd {
	enum engine_cmd_type type;
	uint64_t id;
	uint32_t creds_id;
	bool keeps_upload; /* of a CANCEL: a multipart upload stays, to go on later */
	union {
		struct engine_xfer_spec *xfer;
		struct engine_remove_spec *removal;
		struct creds_set *creds;
		struct engine_rate *rate;
		int64_t bytes_s;
	};
};

/* How a delivered object was proven. */
enum engine_proof {
	ENGINE_PROOF_NONE,
	ENGINE_PROOF_CHECKSUM, /* the destination's full-object checksum is ours */
	ENGINE_PROOF_MD5,      /* its ETag is the MD5 of the bytes we read */
	ENGINE_PROOF_TRANSIT,  /* neither side gives a digest: own CRC and length */
	ENGINE_PROOF_FILE,     /* the kernel wrote and synced all bytes of a local file */
};

struct engine_result {
	uint64_t bytes; /* that passed; of one that is skipped: what the destination has */
	char source_etag[128], destination_etag[128];
	char source_version[128], destination_version[128];
	int64_t source_modified_us; /* 0: not told */
	char checksum[48]; /* "crc64nvme:<base64>" of the bytes that passed */
	char stored[80];   /* what the destination keeps, if that is another one */
	enum engine_proof proof; /* of what the destination stored */
	/* The bytes are those of a digest that the source gave, or of a file that stayed
	   the same from its opening to its end. */
	bool is_source_proven;
	enum engine_route route;
	char route_why[ENGINE_WHY_LEN]; /* a copy by the server was tried: why not */
	enum engine_skip skipped;
	unsigned losses; /* bits of enum engine_loss */
	int attempts;
	int64_t duration_us;
	int parts;         /* of a multipart upload; 0: one PUT */
	int parts_resumed; /* that were there already */
	bool has_upload_left; /* an upload stays at the destination */
	bool is_create_lost;  /* or may: whether one was created was not learned */
	int orphans;          /* of an intent: told by ENGINE_EV_ORPHAN */
	uint64_t sent_again;  /* of a DONE: requests, those of parts among them */
	bool is_readable;     /* of a restore: the copy is there; else it will come */
	bool is_source_error; /* err below is about the source side */
	struct err err;       /* class ERR_OK: delivered and proven */
};

enum engine_ev_type {
	ENGINE_EV_PROGRESS,   /* `id`, `tag`, `bytes` so far of `total` (-1: unknown) */
	ENGINE_EV_RETRY,      /* an attempt failed and another follows: `result` says why */
	ENGINE_EV_NEED_CREDS, /* `creds_id`: the set of `generation` was refused or ends
				 soon; the transfer waits for ENGINE_CMD_CREDS */
	ENGINE_EV_INTENT,     /* `id`, `tag`: `upload` (malloc'd) says when and as whom; no
				 upload is created before ENGINE_CMD_NOTED */
	ENGINE_EV_ORPHAN,     /* `id`, `tag`: the `upload` (malloc'd) of an intent was found */
	ENGINE_EV_UPLOAD,     /* `id`, `tag`: `upload` (malloc'd; the receiver frees it)
				 began; no part is sent before ENGINE_CMD_NOTED */
	ENGINE_EV_PART,       /* `id`, `tag`: `part` is stored */
	ENGINE_EV_CLOCK,      /* `endpoint_url` (malloc'd; the receiver frees it): its
				 clock is `total` us ahead of ours; not of a transfer */
	ENGINE_EV_RESTART,    /* `id`, `tag`: begins anew, without the upload; is_left: that
				 could not be aborted */
	ENGINE_EV_RATE,       /* `rate` malloc'd; engine_set frees it */
	ENGINE_EV_DONE,       /* `id`, `tag`, `result` malloc'd; the receiver frees it */
};

struct engine_ev {
	enum engine_ev_type type;
	uint64_t id, tag;
	uint32_t creds_id;
	uint64_t generation;
	uint64_t bytes;
	/* of all; engine.c fills them: requests of this engine so far, and what the buffers
	 * of its attempts under way may hold */
	uint64_t sent_again, in_flight;
	int64_t total;
	bool is_left;
	struct engine_result *result; /* malloc'd for RETRY and DONE; the receiver frees */
	struct engine_upload *upload;
	char *endpoint_url;
	struct engine_rate *rate;
	struct engine_part part;
};
