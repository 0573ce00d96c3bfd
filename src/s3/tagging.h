/*
 * The tags of an object as one typed call. Nothing is retried. done() comes exactly once,
 * never inside the start; then the call is dead.
 */
#pragma once

#include "s3/op.h"

/* tagging: as x-amz-tagging wants them, "a=1&b=2" encoded; borrowed until it returns. */
typedef void (*s3_tags_fn)(void *arg, const struct err *err, const char *tagging);

/* version: NULL or "": of the newest. */
struct s3_call *s3_get_tags(const struct s3_env *env, const char *key,
	const char *version, s3_tags_fn fn, void *arg);
