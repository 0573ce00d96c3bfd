/* What xfer.c (the machine) and xfer_io.c (its calls and proofs) share. */
#pragma once

#include "base/crypto.h"
#include "engine/retry.h"
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
	XFER_GET,        /* waits for: the head of the source's answer   */
	XFER_STREAM,     /* waits for: the end of both calls             */
	XFER_STOP,       /* waits for: the end of both calls, cancelled  */
	XFER_VERIFY,     /* compares all digests                         */
	XFER_ASK,        /* waits for: HEAD, when the PUT's answer was lost */
	XFER_BACKOFF,    /* waits for: retry timer                       */
	XFER_DONE,       /* terminal: x->err tells how it ended          */
};

struct xfer {
	struct list link;
	const struct xfer_env *env;
	struct engine_xfer_spec *spec;
	enum xfer_state state;
	struct retry_policy policy;
	int attempts, rounds; /* rounds: of credentials, without an answer between */
	int64_t started_us;
	struct loop_timer *timer, *teller;
	bool is_cancelled, is_due; /* is_due: the timer fired */
	bool is_telling; /* teller is set */

	/* of the session of each side */
	uint64_t used[XFER_SIDES], refused[XFER_SIDES];
	bool is_renewed[XFER_SIDES];

	/* of this attempt */
	struct s3_call *calls[XFER_SIDES], *ask;
	bool is_begun[XFER_SIDES], is_ended[XFER_SIDES], is_asked;
	bool is_head_in, is_lost; /* is_lost: all was sent, no answer came */
	struct s3_head heads[XFER_SIDES];
	struct s3_meta meta;
	struct xfer_pipe *pipe;
	uint64_t received, crc;
	struct crypto_hash *md5;
	bool has_md5;
	char md5_hex[2 * CRYPTO_MD5_LEN + 1]; /* of all bytes read, when they are */
	bool is_failed;
	enum xfer_side failed_side;
	struct err err;
	enum engine_proof proof;
	char pinned[128];
};

/* xfer.c */
void xfer_run(struct xfer *x);
/* The first failure of an attempt is its reason. */
void xfer_fail(struct xfer *x, enum xfer_side side, const struct err *err);

/* xfer_io.c */
void xfer_io_reset(struct xfer *x);
void xfer_io_get(struct xfer *x);
void xfer_io_put(struct xfer *x);
void xfer_io_ask(struct xfer *x);
/* Compares what was stored; sets x->proof or fails the attempt with class INTEGRITY. */
void xfer_io_verify(struct xfer *x);
/* After the HEAD of XFER_ASK: the object there is provably ours. */
bool xfer_io_is_ours(struct xfer *x);
void xfer_io_tell_progress(void *x);
void xfer_io_checksum(const struct xfer *x, char *out, size_t size);
