/*
 * Copies inside S3 as typed calls: a whole object (up to S3_COPY_MAX bytes), or a range of
 * one as a part of an upload. One identity signs, which reads there and writes here.
 * Nothing is retried and no digest is compared. done() comes exactly once, never inside
 * the start; then the call is dead. An answer without a result is class RETRY, code
 * "no-result": it may begin minutes before the result.
 */
#pragma once

#include "s3/object.h"

#define S3_COPY_MAX INT64_C(5368709120) /* bytes; above: in parts */

struct s3_copy {
	/* From where: pinned by etag, and by version where one is told (NULL or "": not). */
	const char *bucket, *source_key, *etag, *version;
	const char *source_owner; /* account id; NULL or "": not asked */
	const char *key; /* to where, in the bucket of the env's place */

	/* of an object: headers of the new one that the copy does not bring along */
	const struct s3_meta *meta;
	const struct s3_condition *condition; /* NULL-able */
	/* of a part */
	const char *upload_id;
	int number; /* from 1 */
	int64_t first, length; /* bytes of the source */

	s3_object_fn done; /* etag, version and checksum of what was written */
	void *arg;
};

struct s3_call *s3_copy_object(const struct s3_env *env, const struct s3_copy *c);
struct s3_call *s3_copy_part(const struct s3_env *env, const struct s3_copy *c);
