/*
 * Multipart uploads as typed calls: create, one part, list of parts, complete, abort.
 * Nothing is retried here and no digest is compared. done() comes exactly once, never
 * inside the start; then the call is dead.
 */
#pragma once

#include "s3/object.h"

#define S3_PARTS_MAX 10000

struct s3_upload {
	const char *key;
	const char *upload_id; /* not of a create */
};

struct s3_part {
	int number;   /* from 1 */
	int64_t size; /* bytes; of a list only */
	char etag[128];
	char crc64nvme[16]; /* base64; "": not told */
	char sum[CHECKSUM_TEXT_LEN]; /* of another algorithm, which the upload keeps */
};

/* has_checksum: the server keeps what was asked for, part by part and of the whole. */
typedef void (*s3_created_fn)(
	void *arg, const struct err *err, const char *upload_id, bool has_checksum);
/* meta may be NULL. wanted: to be kept of the full object, or of its parts' sums where
 * the algorithm can't be joined; NONE: not asked. */
struct s3_call *s3_create_upload(const struct s3_env *env, const char *key,
	const struct s3_meta *meta, enum checksum_alg wanted, s3_created_fn fn,
	void *arg);

/* o as for s3_put_object(), with its upload; ret_head->etag is the part's. */
struct s3_call *s3_upload_part(const struct s3_env *env, const struct s3_object *o,
	const char *upload_id, int number);

/* Parts after `marker`, at most 1,000; next_marker 0 at the end. Borrowed until it returns. */
struct s3_part_page {
	const struct s3_part *parts;
	size_t count;
	int next_marker;
};
typedef void (*s3_parts_fn)(
	void *arg, const struct err *err, const struct s3_part_page *page);
struct s3_call *s3_list_parts(const struct s3_env *env, const struct s3_upload *u,
	int marker, s3_parts_fn fn, void *arg);

/*
 * parts in order, copied. size and sum (NULL: not sent) are of the whole object; sums of
 * parts are sent where theirs is a composite.
 * done() gets etag, version and checksum of the new object; an answer without a result
 * is class RETRY, code "no-result".
 */
struct s3_complete {
	struct s3_upload upload;
	const struct s3_part *parts;
	size_t count;
	int64_t size;
	enum checksum_alg alg;
	const char *sum;
	const struct s3_condition *condition; /* NULL-able */
};
struct s3_call *s3_complete_upload(const struct s3_env *env, const struct s3_complete *c,
	s3_object_fn fn, void *arg);

struct s3_call *s3_abort_upload(const struct s3_env *env, const struct s3_upload *u,
	s3_object_fn fn, void *arg);
