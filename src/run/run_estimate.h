/*
 * What a run would ask of S3, by kind, and what objects would lose: of a dry run. An
 * estimate: no retries, and the route as the job's words have it (method: auto counts as
 * streamed). Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct conf_job;

enum run_request {
	RUN_REQUEST_LIST,
	RUN_REQUEST_HEAD,
	RUN_REQUEST_GET,
	RUN_REQUEST_PUT, /* parts, and the begin and end of their uploads, too */
	RUN_REQUEST_COPY,
	RUN_REQUEST_DELETE,
	RUN_REQUEST_RESTORE,
	RUN_REQUESTS,
};

struct run_requests {
	uint64_t n[RUN_REQUESTS];
};

/* "list" */
const char *run_request_name(enum run_request kind);
/* One object of `size` bytes; of a move, its removal too. */
void run_estimate_copy(
	const struct conf_job *job, int64_t size, struct run_requests *add);
/* One that is there already leaves the source of a move. */
void run_estimate_leave(const struct conf_job *job, struct run_requests *add);
void run_estimate_delete(const struct conf_job *job, struct run_requests *add);
/* "tags (tags: drop); older versions"; "": nothing. */
void run_estimate_losses(const struct conf_job *job, char *out, size_t size);
