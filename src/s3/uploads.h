/*
 * The uploads under way at one key, or below a prefix: ListMultipartUploads, page by
 * page. It says what the server tells; whose they are is the engine's to judge. done()
 * comes exactly once, never inside the start; then the call is dead.
 */
#pragma once

#include "s3/op.h"

#define S3_UPLOAD_ID_LEN  1024
#define S3_UPLOAD_KEY_LEN 1025

struct s3_pending {
	char upload_id[S3_UPLOAD_ID_LEN];
	char key[S3_UPLOAD_KEY_LEN]; /* of a prefix; "" where one key is asked for */
	char initiator[256];  /* an ARN or another id; "": the server does not tell */
	int64_t initiated_us; /* the server's clock; -1: not told */
};

/* Borrowed until the callback returns. */
struct s3_pending_page {
	const struct s3_pending *items;
	size_t count;
	/* Where the next page begins; both "" at the end. */
	const char *key_marker, *id_marker;
	int64_t skew_us; /* the server's clock ahead of ours, by this answer; 0: not told
			  */
};
typedef void (*s3_pending_fn)(
	void *arg, const struct err *err, const struct s3_pending_page *page);
struct s3_pending_query {
	const char *key;
	bool is_prefix; /* what is below it, too; else uploads of longer keys are left out
			 */
	const char *key_marker, *id_marker; /* of the page before; "" for the first */
};
struct s3_call *s3_list_uploads(const struct s3_env *env,
	const struct s3_pending_query *q, s3_pending_fn fn, void *arg);
