/*
 * From an AWS answer to an err: the one place where service errors are classified. Pure.
 * Finds <Code> whatever wraps it: S3's <Error>, STS's <ErrorResponse>, and the
 * <Errors> list of other servers; copes with an empty Message and with a HEAD's no body.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct aws_answer {
	enum err_origin origin; /* ERR_FROM_S3 or ERR_FROM_STS */
	const char *operation;  /* "GetObject" */
	int http_status;
	const char *body; /* what was kept of it; may be NULL */
	size_t body_len;
	const char *request_id, *host_id; /* header values or NULL */
	/* InvalidAccessKeyId and a bare 403 mean an ended session when it is (nearly) over */
	bool is_session; /* temporary credentials signed this request */
	int64_t session_left_s; /* of its life, may be negative */
};

/* Fills *ret from a non-2xx answer, or from an <Error> inside a 2xx. Never ERR_OK. */
void aws_error_from_answer(const struct aws_answer *answer, struct err *ret);
/* Whether a 2xx body is an error after all; root element "Error". */
bool aws_body_is_error(const char *body, size_t len);
