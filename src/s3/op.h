/*
 * One S3 call: build, sign, send, classify. The typed calls of list.h and object.h are
 * made of it. It does not retry, loop over pages or keep anything afterwards.
 * done() comes exactly once, never inside s3_op_start(); then the call is dead.
 */
#pragma once

#include "aws/sigv4.h"
#include "base/checksum.h"
#include "base/buf.h"
#include "net/http.h"
#include "s3/list.h"

struct s3_regions;
struct skew;

/* Where, as whom and when; all copied or used up during the start. */
struct s3_env {
	struct http *http;
	const struct s3_place *place;
	const struct creds_set *creds;
	int64_t now_us; /* wall clock, for signing */
	int64_t stall_timeout_ms; /* 0: http's default */
	/* The peer's clock: applied, and learned from its answers. NULL: taken for ours.
	 * Outlives the call. */
	struct skew *skew;
	/* Which regions buckets are in, learned from answers. NULL: nothing is kept.
	 * Outlives the call. */
	struct s3_regions *regions;
	/* Signing keys in use; NULL: none are kept. Outlives the call. */
	struct sigv4_memos *memos;
	size_t buffer_bytes; /* of libcurl, in each direction; 0: http's default */
	bool trails; /* a checksum behind a stream is read there */
};

struct s3_answer {
	const struct http_response *http; /* status 0: none arrived */
	const struct buf *body;           /* what on_body did not take */
	bool is_aws;                      /* one of AWS's own hosts */
};

struct s3_op {
	const char *operation; /* AWS's name: "GetObject" */
	const char *method;
	const char *key; /* NULL: the bucket itself. Byte-exact, not encoded */
	const struct sigv4_pair *query;
	size_t query_count;
	const struct sigv4_pair *headers; /* without Host and those of the signature */
	size_t header_count;

	/* A whole body (signed by its hash), or a stream of send_length bytes. An object's
	 * own bytes are signed only where streams are. */
	const void *body;
	size_t body_len;
	bool is_object;
	bool is_streamed;
	/* Its checksum may go behind it, where that is understood; NONE: none. */
	enum checksum_alg trails;
	int64_t send_length;
	enum http_flow (*on_send)(void *arg, char *out, size_t max, size_t *ret_len);

	/* Of a 2xx only; NULL-able. Without on_body the body is kept, up to body_max. */
	enum http_flow (*on_head)(void *arg, const struct s3_answer *answer);
	enum http_flow (*on_body)(void *arg, const char *data, size_t len);
	size_t body_max; /* 0: 64 KiB */

	void (*done)(void *arg, const struct err *err, const struct s3_answer *answer);
	void *arg;
};

/*
 * Code of an error: the bucket is in another region, which is known now. Only of streams,
 * which cannot begin anew here; everything else was sent again. Class RETRY.
 */
#define S3_WRONG_REGION "wrong-region"

struct s3_call *s3_op_start(const struct s3_env *env, const struct s3_op *op);
/* Undo HTTP_PAUSE; s3_call_cancel() is in list.h. Both take NULL. */
void s3_call_resume(struct s3_call *call);
