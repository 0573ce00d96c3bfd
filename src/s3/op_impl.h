/* Shared by the files s3/op*.c alone: one call and its request. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aws/endpoint.h"
#include "s3/chunked.h"
#include "s3/op.h"

struct err;
struct s3_kept;

struct s3_call {
	struct http_call *http;
	struct s3_op op; /* only callbacks and numbers stay valid */
	struct endpoint endpoint;
	struct s3_chunked *chunked;
	struct buf body;
	struct s3_answer answer;
	const char *operation;
	int64_t now_us, expires_at_us;
	struct skew *skew; /* NULL-able */
	int64_t skew_us;   /* what this request was signed with */
	bool is_session, is_body_cut;
	bool is_asking; /* HeadBucket is under way instead: which region? */
	char why[256];  /* the endpoint cannot be built */
	/* The request once more, while it is not sure which region the bucket is in. */
	struct s3_kept *kept;
};

/* op.c: builds, signs and sends. */
void s3_call_send(struct s3_call *call, const struct s3_env *env, const struct s3_op *op);

/* op_region.c: the region of the bucket. */
/* What is known of it, else what the place says. */
const char *s3_region_of(const struct s3_env *env);
/* Keeps what a second try needs, where there may be one. */
void s3_region_keep(
	struct s3_call *call, const struct s3_env *env, const struct s3_op *op);
/*
 * After an answer. true: a request is under way again. Otherwise *e, of class ERR_OK for
 * a success, may say more than before.
 */
bool s3_region_settle(struct s3_call *call, const struct http_response *r, struct err *e);
void *s3_region_free(struct s3_kept *kept);
