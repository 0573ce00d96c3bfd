/*
 * Requests that went to the wrong region of AWS: signed and sent once more where the
 * bucket is, which is remembered. Never off an endpoint of somebody else's, never for an
 * access point, and never by following a Location. Which answers tell: aws/redirect.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/partition.h"
#include "aws/redirect.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/s3name.h"
#include "base/str.h"
#include "s3/op_impl.h"
#include "s3/regions.h"

#define FIRST_REGION "us-east-1" /* where S3 is asked when nobody names a region */

/* A whole request with texts of its own. */
struct s3_kept {
	struct s3_env env;
	struct s3_place place;
	struct s3_op op;
	struct creds_set creds;
	char partition[32], region[64];
	bool is_resent;     /* once is enough */
	struct err because; /* of which HeadBucket was asked */
};

static bool is_set(const char *s)
{
	return s && *s;
}

static bool may_move(const struct s3_env *env)
{
	return env->regions && !is_set(env->place->endpoint_url) &&
	       !str_has_prefix(env->place->bucket, "arn:");
}

static const char *first_region(const struct s3_place *p)
{
	if (is_set(p->region))
		return p->region;
	return is_set(p->endpoint_url) ? NULL : FIRST_REGION;
}

const char *s3_region_of(const struct s3_env *env)
{
	const char *first = first_region(env->place), *known = NULL;

	if (may_move(env))
		known = s3_regions_find(
			env->regions, partition_of(first)->name, env->place->bucket);
	return known ? known : first;
}

/* --- a copy of the request --- */

static const struct sigv4_pair *copy_pairs(const struct sigv4_pair *from, size_t count)
{
	struct sigv4_pair *to = mem_array(count, sizeof(*to));

	for (size_t i = 0; i < count; i++)
		to[i] = (struct sigv4_pair){
			mem_strdup(from[i].name), mem_strdup(from[i].value)};
	return to;
}

static void free_pairs(const struct sigv4_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)pairs[i].name);
		free((char *)pairs[i].value);
	}
	free((void *)pairs);
}

static void copy_op(struct s3_op *to, const struct s3_op *from)
{
	*to = *from;
	to->key = mem_strdup(from->key);
	to->query = copy_pairs(from->query, from->query_count);
	to->headers = copy_pairs(from->headers, from->header_count);
	to->body = NULL;
	if (from->body_len) {
		to->body = mem_alloc(from->body_len);
		memcpy((void *)to->body, from->body, from->body_len);
	}
}

void s3_region_keep(
	struct s3_call *call, const struct s3_env *env, const struct s3_op *op)
{
	const struct s3_place *p = env->place;
	struct s3_kept *k;
	const char *partition;

	if (!may_move(env) || call->why[0])
		return;
	partition = partition_of(call->endpoint.signing_region)->name;
	if (s3_regions_find(env->regions, partition, p->bucket))
		return;
	k = call->kept = mem_secret_alloc(sizeof(*k));
	snprintf(k->partition, sizeof(k->partition), "%s", partition);
	k->env = *env;
	k->env.place = &k->place;
	k->env.creds = &k->creds;
	k->creds = *env->creds;
	k->place = (struct s3_place){mem_strdup(p->bucket), k->region, NULL,
		mem_strdup(p->ca_bundle), p->options, mem_strdup(p->expected_owner),
		p->is_requester_paying};
	copy_op(&k->op, op);
}

void *s3_region_free(struct s3_kept *k)
{
	if (!k)
		return NULL;
	free((char *)k->place.bucket);
	free((char *)k->place.ca_bundle);
	free((char *)k->place.expected_owner);
	free((char *)k->op.key);
	free_pairs(k->op.query, k->op.query_count);
	free_pairs(k->op.headers, k->op.header_count);
	free((void *)k->op.body);
	return mem_secret_free(k);
}

/* --- after an answer --- */

static enum redirect find_region(const struct s3_call *call,
	const struct http_response *r, const struct err *e, char region[64])
{
	const struct redirect_answer a = {
		.operation = call->operation,
		.http_status = r->status,
		.code = e->code,
		.bucket_region = http_header(r, "x-amz-bucket-region"),
		.body = buf_str(&call->body),
		.body_len = call->body.len,
	};

	return redirect_find(&a, region);
}

/* A sentence more for whoever has to mend the configuration. */
static void name_region(const struct s3_call *call, const char *region, struct err *e)
{
	size_t n = strlen(e->text);

	snprintf(e->text + n, sizeof(e->text) - n,
		"%sthe bucket is in region %s, the request went to %s", n ? "; " : "",
		region, call->endpoint.signing_region);
}

static bool is_usable(const struct s3_call *call, const char *region)
{
	const char *here = call->endpoint.signing_region;

	return !str_eq(region, here) && partition_of(region) == partition_of(here);
}

/* Bytes of a stream cannot be had again here: its owner begins anew, and gets it right.
 */
static bool send_there(struct s3_call *call, const char *region, struct err *e)
{
	struct s3_kept *k = call->kept;

	s3_regions_learn(k->env.regions, k->partition, k->place.bucket, region);
	if (k->op.is_streamed) {
		err_set(e, ERR_RETRY, ERR_FROM_S3, S3_WRONG_REGION, "%s", "");
		snprintf(e->operation, sizeof(e->operation), "%s", call->operation);
		name_region(call, region, e);
		return false;
	}
	snprintf(k->region, sizeof(k->region), "%s", region);
	k->is_resent = true;
	s3_call_send(call, &k->env, &k->op);
	return true;
}

/* Its headers tell the region also when it is refused. */
static bool ask_bucket(struct s3_call *call, const struct err *e)
{
	const struct s3_op head = {.operation = "HeadBucket", .method = "HEAD"};
	struct s3_kept *k = call->kept;

	call->is_asking = true;
	k->because = *e;
	snprintf(k->region, sizeof(k->region), "%s", call->endpoint.signing_region);
	s3_call_send(call, &k->env, &head);
	return true;
}

static bool take_told(struct s3_call *call, const struct http_response *r, struct err *e)
{
	const char *region = http_header(r, "x-amz-bucket-region");

	call->is_asking = false;
	if (e->class == ERR_CANCELLED)
		return false;
	*e = call->kept->because;
	return region && s3name_is_label(region) && is_usable(call, region) &&
	       send_there(call, region, e);
}

bool s3_region_settle(struct s3_call *call, const struct http_response *r, struct err *e)
{
	struct s3_kept *k = call->kept;
	enum redirect to;
	char region[64];

	if (call->is_asking)
		return take_told(call, r, e);
	if (k && e->class == ERR_OK) {
		s3_regions_learn(k->env.regions, k->partition, k->place.bucket,
			call->endpoint.signing_region);
		return false;
	}
	if (e->class == ERR_OK || e->class == ERR_CANCELLED || !r->status)
		return false;
	to = find_region(call, r, e, region);
	if (k && !k->is_resent && to == REDIRECT_TO && is_usable(call, region))
		return send_there(call, region, e);
	if (k && !k->is_resent && to == REDIRECT_ASK)
		return ask_bucket(call, e);
	if (to == REDIRECT_TO)
		name_region(call, region, e);
	return false;
}
