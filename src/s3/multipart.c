/* Multipart calls: their queries, their XML. In which order they go is the engine's. */
#include "config.h"

#include "s3/multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "s3/answer.h"

#define LIST_PAGE   1000
#define LIST_BYTES  (1 << 20)
#define SMALL_BYTES 65536
#define PART_BYTES  384 /* of a part in the body of a Complete */

static const struct err *bad_answer(
	struct err *e, const char *operation, const struct s3_answer *answer)
{
	err_set(e, ERR_RETRY, ERR_FROM_S3, "no-result",
		"the answer to %s does not hold its result", operation);
	snprintf(e->operation, sizeof(e->operation), "%s", operation);
	e->http_status = answer->http->status;
	return e;
}

/* --- create --- */

struct creation {
	s3_created_fn fn;
	void *arg;
	char *upload_id;
	enum checksum_alg wanted;
};

static void on_create_text(void *arg, const char *path, const char *text, size_t len)
{
	struct creation *c = arg;

	if (str_eq(path, "InitiateMultipartUploadResult/UploadId") && len)
		mem_replace(&c->upload_id, text);
}

static void on_created(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct creation *c = arg;
	const struct xml_handler handler = {.on_text = on_create_text, .arg = c};
	bool has_checksum = false;
	struct err e;

	if (!err) {
		has_checksum = c->wanted && str_eq(http_header(answer->http,
							   "x-amz-checksum-algorithm"),
						    checksum_name(c->wanted));
		if (s3_answer_parse(answer->body, SMALL_BYTES,
			    "InitiateMultipartUploadResult", &handler) < 0 ||
			!c->upload_id)
			err = bad_answer(&e, "CreateMultipartUpload", answer);
	}
	c->fn(c->arg, err, err ? NULL : c->upload_id, has_checksum);
	free(c->upload_id);
	free(c);
}

struct s3_call *s3_create_upload(const struct s3_env *env, const char *key,
	const struct s3_meta *meta, enum checksum_alg wanted, s3_created_fn fn, void *arg)
{
	const struct sigv4_pair query[] = {{"uploads", ""}};
	size_t n = 0, count = meta ? meta->count : 0;
	_cleanup_free_ struct sigv4_pair *headers = mem_array(count + 2, sizeof(*headers));
	struct creation *c = mem_alloc(sizeof(*c));
	struct s3_op op = {.operation = "CreateMultipartUpload",
		.method = "POST",
		.key = key,
		.query = query,
		.query_count = 1,
		.headers = headers,
		.done = on_created,
		.arg = c};

	if (wanted) {
		headers[n++] = (struct sigv4_pair){
			"x-amz-checksum-algorithm", checksum_name(wanted)};
		headers[n++] = (struct sigv4_pair){"x-amz-checksum-type",
			checksum_is_of_whole(wanted) ? "FULL_OBJECT" : "COMPOSITE"};
	}
	for (size_t i = 0; i < count; i++)
		headers[n++] = meta->pairs[i];
	op.header_count = n;
	c->fn = fn;
	c->arg = arg;
	c->wanted = wanted;
	return s3_op_start(env, &op);
}

/* --- list of parts --- */

struct listing {
	s3_parts_fn fn;
	void *arg;
	struct s3_part *parts;
	size_t count;
	uint64_t next_marker;
	bool is_truncated, is_broken;
};

static void on_part_open(void *arg, const char *path)
{
	struct listing *l = arg;

	if (!str_eq(path, "ListPartsResult/Part"))
		return;
	if (l->count == LIST_PAGE)
		l->is_broken = true;
	else
		l->parts[l->count++] = (struct s3_part){.size = -1};
}

static void take_number(struct listing *l, const char *text, uint64_t max, uint64_t *ret)
{
	if (str_to_uint(text, max, ret) < 0)
		l->is_broken = true;
}

static void on_part_text(struct listing *l, const char *name, const char *text)
{
	struct s3_part *p = &l->parts[l->count - 1];
	uint64_t n = 0;

	if (str_eq(name, "PartNumber")) {
		take_number(l, text, S3_PARTS_MAX, &n);
		p->number = (int)n;
	} else if (str_eq(name, "Size")) {
		take_number(l, text, INT64_MAX, &n);
		p->size = (int64_t)n;
	} else if (str_eq(name, "ETag")) {
		snprintf(p->etag, sizeof(p->etag), "%s", text);
	} else if (str_eq(name, "ChecksumCRC64NVME")) {
		snprintf(p->crc64nvme, sizeof(p->crc64nvme), "%s", text);
	} else if (checksum_from_element(name)) {
		snprintf(p->sum, sizeof(p->sum), "%s", text);
	}
}

static void on_list_text(void *arg, const char *path, const char *text, size_t len)
{
	static const char part[] = "ListPartsResult/Part/";
	struct listing *l = arg;

	(void)len;
	if (l->is_broken)
		return;
	if (str_has_prefix(path, part))
		on_part_text(l, path + strlen(part), text);
	else if (str_eq(path, "ListPartsResult/IsTruncated"))
		l->is_truncated = str_eq(text, "true");
	else if (str_eq(path, "ListPartsResult/NextPartNumberMarker") && *text)
		take_number(l, text, S3_PARTS_MAX, &l->next_marker);
}

static void on_listed(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct listing *l = arg;
	const struct xml_handler handler = {
		.on_open = on_part_open, .on_text = on_list_text, .arg = l};
	struct s3_part_page page;
	struct err e;

	if (!err && (s3_answer_parse(
			     answer->body, LIST_BYTES, "ListPartsResult", &handler) < 0 ||
			    l->is_broken || (l->is_truncated && !l->next_marker)))
		err = bad_answer(&e, "ListParts", answer);
	page = (struct s3_part_page){
		l->parts, l->count, l->is_truncated ? (int)l->next_marker : 0};
	l->fn(l->arg, err, err ? NULL : &page);
	free(l->parts);
	free(l);
}

struct s3_call *s3_list_parts(const struct s3_env *env, const struct s3_upload *u,
	int marker, s3_parts_fn fn, void *arg)
{
	char after[16];
	const struct sigv4_pair query[] = {{"uploadId", u->upload_id},
		{"max-parts", "1000"}, {"part-number-marker", after}};
	struct listing *l = mem_alloc(sizeof(*l));
	const struct s3_op op = {.operation = "ListParts",
		.method = "GET",
		.key = u->key,
		.query = query,
		.query_count = marker ? 3 : 2,
		.body_max = LIST_BYTES,
		.done = on_listed,
		.arg = l};

	snprintf(after, sizeof(after), "%d", marker);
	l->fn = fn;
	l->arg = arg;
	l->parts = mem_array(LIST_PAGE, sizeof(*l->parts));
	return s3_op_start(env, &op);
}

/* --- complete and abort --- */

struct ending {
	s3_object_fn fn;
	void *arg;
	struct s3_head head;
	bool has_etag;
};

static void on_complete_text(void *arg, const char *path, const char *text, size_t len)
{
	static const char root[] = "CompleteMultipartUploadResult/";
	struct ending *e = arg;

	(void)len;
	if (!str_has_prefix(path, root))
		return;
	path += strlen(root);
	if (str_eq(path, "ETag")) {
		e->has_etag = true;
		snprintf(e->head.etag, sizeof(e->head.etag), "%s", text);
	} else {
		s3_head_take_sum(&e->head, path, text);
	}
}

static void on_completed(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct ending *end = arg;
	const struct xml_handler handler = {.on_text = on_complete_text, .arg = end};
	struct err e;

	if (answer->http->status)
		s3_head_read(answer, &end->head);
	/* The answer may begin long before the result: no result, nothing done. */
	if (!err && (s3_answer_parse(answer->body, SMALL_BYTES,
			     "CompleteMultipartUploadResult", &handler) < 0 ||
			    !end->has_etag))
		err = bad_answer(&e, "CompleteMultipartUpload", answer);
	end->fn(end->arg, err, &end->head);
	free(end);
}

static void put_parts(struct buf *body, const struct s3_complete *c)
{
	buf_puts(body, "<CompleteMultipartUpload "
		       "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < c->count; i++) {
		buf_printf(body, "<Part><PartNumber>%d</PartNumber><ETag>",
			c->parts[i].number);
		xml_escape(body, c->parts[i].etag, strlen(c->parts[i].etag));
		buf_puts(body, "</ETag>");
		if (c->alg && !checksum_is_of_whole(c->alg))
			buf_printf(body, "<Checksum%s>%s</Checksum%s>",
				checksum_name(c->alg), c->parts[i].sum,
				checksum_name(c->alg));
		buf_puts(body, "</Part>");
	}
	buf_puts(body, "</CompleteMultipartUpload>");
}

struct s3_call *s3_complete_upload(
	const struct s3_env *env, const struct s3_complete *c, s3_object_fn fn, void *arg)
{
	const struct sigv4_pair query[] = {{"uploadId", c->upload.upload_id}};
	struct sigv4_pair headers[5] = {{"Content-Type", "application/xml"}};
	struct ending *end = mem_alloc(sizeof(*end));
	struct buf body = BUF_INIT(c->count * PART_BYTES + SMALL_BYTES);
	char size[24], name[40];
	struct s3_op op = {.operation = "CompleteMultipartUpload",
		.method = "POST",
		.key = c->upload.key,
		.query = query,
		.query_count = 1,
		.headers = headers,
		.header_count = 1,
		.done = on_completed,
		.arg = end};
	struct s3_call *call;

	if (c->sum) {
		snprintf(size, sizeof(size), "%lld", (long long)c->size);
		snprintf(
			name, sizeof(name), "x-amz-checksum-%s", checksum_suffix(c->alg));
		headers[op.header_count++] = (struct sigv4_pair){name, c->sum};
		headers[op.header_count++] = (struct sigv4_pair){
			"x-amz-checksum-type", "FULL_OBJECT"};
		headers[op.header_count++] = (struct sigv4_pair){
			"x-amz-mp-object-size", size};
	}
	op.header_count +=
		s3_condition_header(c->condition, &headers[op.header_count]);
	put_parts(&body, c);
	op.body = buf_str(&body);
	op.body_len = body.len;
	end->fn = fn;
	end->arg = arg;
	call = s3_op_start(env, &op);
	buf_done(&body);
	return call;
}

static void on_aborted(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct ending *end = arg;

	(void)answer;
	end->fn(end->arg, err, &end->head);
	free(end);
}

struct s3_call *s3_abort_upload(
	const struct s3_env *env, const struct s3_upload *u, s3_object_fn fn, void *arg)
{
	const struct sigv4_pair query[] = {{"uploadId", u->upload_id}};
	struct ending *end = mem_alloc(sizeof(*end));
	const struct s3_op op = {.operation = "AbortMultipartUpload",
		.method = "DELETE",
		.key = u->key,
		.query = query,
		.query_count = 1,
		.done = on_aborted,
		.arg = end};

	end->fn = fn;
	end->arg = arg;
	return s3_op_start(env, &op);
}
