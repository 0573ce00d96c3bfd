/* CopyObject and UploadPartCopy: headers out, XML in. Whether to copy is the engine's. */
#include "config.h"

#include "s3/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/s3name.h"
#include "base/str.h"
#include "base/xml.h"
#include "s3/answer.h"

#define SOURCE_MAX  8192
#define BODY_MAX    65536
#define OWN_HEADERS 6
#define SILENCE_MS  (5 * 60 * 1000) /* S3 copies 5 GB before it says a word */

struct copying {
	s3_object_fn done;
	void *arg;
	const char *root; /* of the result */
	const char *operation;
	struct s3_head head;
	char etag[128];
};

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	struct copying *c = arg;
	size_t n = strlen(c->root);

	(void)len;
	if (strncmp(path, c->root, n) != 0 || path[n] != '/')
		return;
	path += n + 1;
	if (str_eq(path, "ETag"))
		snprintf(c->etag, sizeof(c->etag), "%s", text);
	else
		s3_head_take_sum(&c->head, path, text);
}

static bool has_result(struct copying *c, const struct s3_answer *answer)
{
	const struct xml_handler handler = {.on_text = on_text, .arg = c};

	return s3_answer_parse(answer->body, BODY_MAX, c->root, &handler) == 0 &&
	       c->etag[0];
}

static void on_done(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct copying *c = arg;
	struct err e;

	if (answer->http->status)
		s3_head_read(answer, &c->head);
	if (!err && has_result(c, answer)) {
		s3_head_set_etag(answer, &c->head, c->etag);
	} else if (!err) {
		err_set(&e, ERR_RETRY, ERR_FROM_S3, "no-result",
			"the answer to %s does not hold its result", c->operation);
		snprintf(e.operation, sizeof(e.operation), "%s", c->operation);
		e.http_status = answer->http->status;
		err = &e;
	}
	c->done(c->arg, err, &c->head);
	free(c);
}

static struct s3_call *start(const struct s3_env *env, const struct s3_copy *c,
	struct s3_op *op, struct sigv4_pair *headers, size_t count)
{
	struct copying *k = mem_alloc(sizeof(*k));
	struct buf source = BUF_INIT(SOURCE_MAX);
	struct s3_env patient = *env;
	struct s3_call *call;

	s3name_copy_source(&source, c->bucket, c->source_key, c->version);
	headers[count++] = (struct sigv4_pair){"x-amz-copy-source", buf_str(&source)};
	headers[count++] = (struct sigv4_pair){"x-amz-copy-source-if-match", c->etag};
	if (c->source_owner && *c->source_owner)
		headers[count++] = (struct sigv4_pair){
			"x-amz-source-expected-bucket-owner", c->source_owner};
	k->done = c->done;
	k->arg = c->arg;
	k->operation = op->operation;
	k->root = c->upload_id ? "CopyPartResult" : "CopyObjectResult";
	op->method = "PUT";
	op->key = c->key;
	op->headers = headers;
	op->header_count = count;
	op->body_max = BODY_MAX;
	op->done = on_done;
	op->arg = k;
	patient.stall_timeout_ms = SILENCE_MS;
	call = s3_op_start(&patient, op);
	buf_done(&source);
	return call;
}

struct s3_call *s3_copy_object(const struct s3_env *env, const struct s3_copy *c)
{
	size_t n = c->meta ? c->meta->count : 0;
	_cleanup_free_ struct sigv4_pair *headers = mem_array(
		n + OWN_HEADERS, sizeof(*headers));
	struct s3_op op = {.operation = "CopyObject"};

	if (n)
		memcpy(headers, c->meta->pairs, n * sizeof(*headers));
	n += s3_condition_header(c->condition, &headers[n]);
	return start(env, c, &op, headers, n);
}

struct s3_call *s3_copy_part(const struct s3_env *env, const struct s3_copy *c)
{
	struct sigv4_pair headers[OWN_HEADERS];
	char number[16], range[64];
	const struct sigv4_pair query[] = {
		{"partNumber", number}, {"uploadId", c->upload_id}};
	struct s3_op op = {
		.operation = "UploadPartCopy", .query = query, .query_count = 2};

	snprintf(number, sizeof(number), "%d", c->number);
	snprintf(range, sizeof(range), "bytes=%lld-%lld", (long long)c->first,
		(long long)(c->first + c->length - 1));
	headers[0] = (struct sigv4_pair){"x-amz-copy-source-range", range};
	return start(env, c, &op, headers, 1);
}
