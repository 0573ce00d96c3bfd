/*
 * RestoreObject: a copy of an archived object that can be read for some days. Nothing is
 * retried or waited for. done() comes exactly once, never inside the start.
 */
#pragma once

#include "s3/op.h"

/* is_readable: such a copy is there already, and lasts longer now. */
typedef void (*s3_restore_fn)(void *arg, const struct err *err, bool is_readable);

/* days 0: of a class that keeps what was restored. tier: "Standard", as S3 writes it. */
struct s3_call *s3_restore_object(const struct s3_env *env, const char *key, int64_t days,
	const char *tier, s3_restore_fn fn, void *arg);
