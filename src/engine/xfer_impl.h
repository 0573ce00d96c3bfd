/* What xfer.c (the machine) and xfer_io.c (its calls and proofs) share. */
#pragma once

#include "aws/retry.h"
#include "base/crypto.h"
#include "engine/tries.h"
#include "engine/turns.h"
#include "engine/xfer.h"
#include "engine/xfer_pipe.h"
#include "s3/object.h"

struct loop_timer;

enum xfer_side {
	XFER_SOURCE,
	XFER_DESTINATION,
	XFER_SIDES,
};

enum xfer_state {
	XFER_START,      /* are both sessions usable?                    */
	XFER_WAIT_CREDS, /* waits for: a newer set of one side           */
	XFER_LOOK,       /* waits for: HEAD of what may be overwritten   */
	XFER_GET,        /* waits for: the head of the source's answer   */
	XFER_TAGS,       /* waits for: tags and parts of the source      */
	XFER_STREAM,     /* waits for: the end of both calls             */
	XFER_STOP,       /* waits for: the end of both calls, cancelled  */
	XFER_COPY,       /* waits for: a copy by the server              */
	XFER_VERIFY,     /* compares all digests                         */
	XFER_INTEND,     /* waits for: the intent of an upload on disk   */
	XFER_CHECK,      /* waits for: HEAD of both sides, once more     */
	XFER_CREATE,     /* waits for: the id of a multipart upload      */
	XFER_NOTE,       /* waits for: the core to have it on disk       */
	XFER_LIST,       /* waits for: the parts that the server has     */
	XFER_PARTS,      /* waits for: the parts that are missing        */
	XFER_COMPLETE,   /* waits for: the answer to Complete            */
	XFER_ABORT,      /* waits for: the upload to be gone             */
	XFER_SEEK,       /* waits for: the uploads that an intent left   */
	XFER_ASK,        /* waits for: HEAD, when it may be there already */
	XFER_BACKOFF,    /* waits for: retry timer                       */
	XFER_DONE,       /* terminal: x->err tells how it ended          */
};

/* What a part moves; length 0: a whole object. */
struct xfer_range {
	const char *upload_id; /* borrowed: the parent outlives its parts */
	int number;            /* from 1 */
	int64_t first, length; /* bytes of the source */
	enum checksum_alg kept; /* by the upload; NONE: no sum */
	bool is_copied;        /* by the server, if it may be */
	const char *version;   /* of the source; borrowed, may be "" */
	const struct crypto_hash *before; /* MD5 of all bytes before it; NULL: not kept */
	const struct xfer_target *target; /* the file it goes to; NULL: S3 */
	enum checksum_alg sum_alg; /* to be computed besides */
};

struct xfer_file;
struct xfer_sums;
struct xfer_glance;
struct xfer_target;
struct xfer_seek;
struct xfer_upload;

enum step_result {
	STEP_AGAIN,
	STEP_WAIT,
};

struct xfer {
	struct list link;
	const struct xfer_env *env;
	struct engine_xfer_spec *spec;
	struct turn turn; /* the engine's */
	enum xfer_state state;
	struct retry_policy policy;      /* the job's */
	struct tries tries[XFER_SIDES];  /* of this attempt */
	uint64_t parts_again;            /* requests of parts that were sent again */
	int64_t delay_ms;                /* of XFER_BACKOFF */
	int attempts, rounds; /* rounds: of credentials, without an answer between */
	int begun; /* times, those that are no attempt, too */
	int64_t started_us;
	struct loop_timer *timer, *teller;
	bool is_cancelled, is_due; /* is_due: the timer fired */
	bool is_telling; /* teller is set */

	struct xfer_range range;
	struct xfer_upload *upload; /* of a large object, else NULL */
	struct xfer_target *target; /* its file, at a local destination */
	struct xfer_seek *seek;     /* of an intent, else NULL */
	bool is_large, is_intended, is_noted, keeps_upload, is_restarting;
	bool is_create_lost; /* since the last intent */
	int restarts;

	/* of the session of each side */
	uint64_t used[XFER_SIDES], refused[XFER_SIDES];
	bool is_renewed[XFER_SIDES]; /* since what was last answered */
	bool is_moved; /* began anew once, in another region */

	/* xfer_headers.c: what is sent along, and what could not be */
	char *tagging; /* of the source; NULL: not asked */
	bool is_tags_asked, drops_tags, drops_class, drops_acl;
	unsigned losses;
	struct xfer_sums *sums; /* xfer_sums.c; NULL: none needed */
	/* xfer_look.c: what was at the destination; status 0: nothing, or not asked */
	struct s3_head found;
	char replaces[128]; /* its ETag as the server wants it in a condition */
	char unless[128]; /* ETag of the source that means that it is there */
	bool is_looked, is_looked_twice, is_blind, is_same;
	enum engine_skip skipped;
	int checked; /* sides of XFER_CHECK that have answered */
	bool has_named_version; /* the last call of the source did */
	/* xfer_copy.c */
	bool is_copying; /* of this attempt */
	bool is_stream_only;
	bool is_copy_refused; /* of a part, by all ways: its object is cut anew */
	int copy_way;
	char route_why[ENGINE_WHY_LEN];
	/* xfer_trail.c; lost: it failed, which says nothing, and is not sent again */
	bool is_trailing_probe, is_trailing_lost;

	/* of this attempt */
	struct s3_call *calls[XFER_SIDES], *ask;
	struct xfer_file *files[XFER_SIDES];
	struct xfer_glance *glance; /* at a file; NULL: none */
	bool is_head_only; /* the source was asked for its head, not for its bytes */
	bool is_begun[XFER_SIDES], is_ended[XFER_SIDES], is_asked;
	bool is_get_paused;
	bool is_put_held; /* until a small object is all there */
	bool is_head_in, is_lost; /* is_lost: it may be there all the same */
	bool is_unsure; /* the HEAD could not tell */
	struct s3_head heads[XFER_SIDES];
	struct s3_meta meta;
	struct xfer_pipe *pipe;
	uint64_t received, crc;
	bool has_no_crc; /* the server copied, and tells no CRC64NVME */
	struct crypto_hash *md5;
	struct crypto_hash *running; /* of a part: MD5 from the object's start to here */
	bool has_md5;
	char md5_hex[2 * CRYPTO_MD5_LEN + 1]; /* of all bytes read, when they are */
	bool is_failed;
	enum xfer_side failed_side;
	struct err err;
	enum engine_proof proof;
	bool is_source_proven;
	char pinned[128];
};

/* xfer.c */
void xfer_run(struct xfer *x);
enum step_result xfer_goto(struct xfer *x, enum xfer_state state);
/* The first failure of an attempt is its reason. */
void xfer_fail(struct xfer *x, enum xfer_side side, const struct err *err);

struct xfer *xfer_new_part(const struct xfer_env *env, struct engine_xfer_spec *spec,
	const struct xfer_range *range);

/* xfer_parts.c */
int64_t xfer_part_bytes(const struct xfer *x);
/* Above it an object has parts. */
int64_t xfer_large_bytes(const struct xfer *x);

/* xfer_io.c */
void xfer_io_reset(struct xfer *x);
/* What a call of a side needs; false: no credentials, and the attempt has failed. */
bool xfer_io_env(struct xfer *x, enum xfer_side side, struct s3_place *place,
	struct s3_env *env);
void xfer_io_get(struct xfer *x);
/* HEAD instead, for an object that is known to be large. */
void xfer_io_head(struct xfer *x);
/* All parts are in: are they what the source declares? Else the attempt has failed. */
void xfer_io_check_whole(struct xfer *x);
void xfer_io_put(struct xfer *x);
void xfer_io_fail(struct xfer *x, enum xfer_side side, enum err_class class,
	const char *code, const char *text);
void xfer_io_ask(struct xfer *x);
/* Compares what was stored; sets x->proof or fails the attempt with class INTEGRITY. */
void xfer_io_verify(struct xfer *x);
/* What the destination's answer proves; a digest that differs is remembered. */
enum engine_proof xfer_io_prove(struct xfer *x, bool *ret_is_wrong);
/* After the HEAD of XFER_ASK: the object there is provably ours. */
bool xfer_io_is_ours(struct xfer *x);
void xfer_io_tell_progress(void *x);

/* What both schemes tell of a side. false: this head cannot be used, the attempt failed. */
bool xfer_io_take_head(struct xfer *x, const struct s3_head *head, struct s3_meta *meta);
void xfer_io_received(struct xfer *x, size_t bytes);
/* They end in xfer_run(). */
void xfer_io_head_ended(struct xfer *x, const struct err *err);
void xfer_io_get_ended(struct xfer *x, const struct err *err);
void xfer_io_put_ended(struct xfer *x, const struct err *err, const struct s3_head *head);
void xfer_io_checksum(const struct xfer *x, char *out, size_t size);
