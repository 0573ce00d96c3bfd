/*
 * Scripted damage. JSON: {"rules": [{"match": {"method", "path_prefix", "operation",
 * "access_key", "range" (how it begins), "part" (number), "has_trailer" (a checksum
 * behind its bytes), "skip", "count", "nth"}, "action": {...}}]}; the first live rule that
 * matches is taken. Actions: reset_at, stall_at, flip_at, truncate_at (bytes of the body;
 * with reset_at and stall_at of the request's, if it has one: behind its end it is carried
 * out), status + code + message, error_in_200 (a code), expired_token, delay_ms,
 * clock_offset_s, same_id (of an upload that is there), keeps_frame (of a body with a
 * checksum behind it: all is stored), object (a change, made before the request is answered
 * as ever; see changes.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct change;
struct faults;
struct json_writer;
struct objects;

struct fault {
	int64_t reset_at, stall_at, flip_at, truncate_at; /* negative: not */
	int status;                                       /* 0: not */
	const char *code; /* with status; borrowed from the rule */
	const char *message;
	const char *error_in_200; /* NULL: not */
	bool expired_token, same_id, keeps_frame;
	int64_t delay_ms, clock_offset_s;
	const struct change *change; /* NULL: none; borrowed from the rule */
};

struct fault_query {
	const char *method, *path, *operation, *access_key;
	const char *range, *part, *trailer; /* as the request has them; NULL: not */
};

/*
 * NULL on a malformed text; then *ret_error is a malloc'd sentence. all: whose buckets
 * changes may name.
 */
struct faults *faults_load(
	const char *text, size_t len, const struct objects *all, char **ret_error);
void *faults_free(struct faults *f);
/* Counts one request; NULL when no rule applies. Valid until faults_free(). */
const struct fault *faults_match(struct faults *f, const struct fault_query *q);
/* An array "faults" of how often each rule matched and fired. */
void faults_report(const struct faults *f, struct json_writer *w);
