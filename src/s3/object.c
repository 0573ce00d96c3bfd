/* Typed calls on one object: their headers in and out. What the bytes are is not checked. */
#include "config.h"

#include "s3/object.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "s3/multipart.h"

struct object_call {
	struct s3_object o; /* key and texts are not kept */
	struct s3_head head;
	bool is_head_read;
};

/* --- headers of an answer --- */

void s3_meta_done(struct s3_meta *meta)
{
	size_t i;

	for (i = 0; i < meta->count; i++) {
		free((char *)meta->pairs[i].name);
		free((char *)meta->pairs[i].value);
	}
	free(meta->pairs);
	*meta = (struct s3_meta){0};
}

void s3_meta_add(struct s3_meta *meta, const char *name, const char *value)
{
	if (meta->count == meta->room) {
		meta->room = meta->room ? 2 * meta->room : 16;
		meta->pairs = mem_resize(meta->pairs, meta->room, sizeof(*meta->pairs));
	}
	meta->pairs[meta->count++] =
		(struct sigv4_pair){mem_strdup(name), mem_strdup(value)};
}

static bool travels(const char *name)
{
	static const char *const names[] = {"content-type", "content-encoding",
		"content-language", "content-disposition", "cache-control", "expires",
		"x-amz-website-redirect-location", NULL};
	size_t i;

	for (i = 0; names[i]; i++)
		if (str_eq(name, names[i]))
			return true;
	return str_has_prefix(name, "x-amz-meta-");
}

static void take_meta(const struct http_response *r, struct s3_meta *ret)
{
	const char *name, *value;
	size_t i;

	*ret = (struct s3_meta){0};
	for (i = 0; http_header_at(r, i, &name, &value); i++) {
		if (!travels(name))
			continue;
		/* Some servers give back the coding of the upload with the object's own. */
		if (str_eq(name, "content-encoding")) {
			if (str_has_prefix(value, "aws-chunked"))
				value += strlen("aws-chunked");
			value += strspn(value, ", ");
			if (!*value)
				continue;
		}
		s3_meta_add(ret, name, value);
	}
}

static void copy_header(
	const struct http_response *r, const char *name, char *out, size_t size)
{
	const char *value = http_header(r, name);

	if (value) /* else it stays "" */
		str_copy(out, size, value);
}

static int count_of(const struct http_response *r, const char *name)
{
	const char *value = http_header(r, name);
	uint64_t n;

	return value && str_to_uint(value, INT32_MAX, &n) == 0 ? (int)n : 0;
}

static bool looks_like_md5(const char *etag)
{
	size_t i;

	if (strlen(etag) != 34 || etag[0] != '"' || etag[33] != '"')
		return false;
	for (i = 1; i <= 32; i++)
		if (!isxdigit((unsigned char)etag[i]))
			return false;
	return true;
}

/* What KMS and SSE-C encrypt has another ETag. */
static bool is_md5(const struct http_response *r, const char *etag)
{
	const char *sse = http_header(r, "x-amz-server-side-encryption");

	return looks_like_md5(etag) && (!sse || !str_has_prefix(sse, "aws:kms")) &&
	       !http_header(r, "x-amz-server-side-encryption-customer-algorithm");
}

static void read_sum(const struct http_response *r, struct s3_head *ret)
{
	char name[40];

	for (int alg = CHECKSUM_CRC32C; alg < CHECKSUM_ALGS && !ret->sum[0]; alg++) {
		snprintf(name, sizeof(name), "x-amz-checksum-%s",
			checksum_suffix((enum checksum_alg)alg));
		copy_header(r, name, ret->sum, sizeof(ret->sum));
		ret->sum_alg = ret->sum[0] ? (enum checksum_alg)alg : CHECKSUM_NONE;
	}
}

static enum s3_restore restore_of(const struct http_response *r)
{
	const char *text = http_header(r, "x-amz-restore");

	if (!text)
		return S3_RESTORE_NONE;
	return strstr(text, "ongoing-request=\"true\"") ? S3_RESTORE_RUNNING
							: S3_RESTORE_DONE;
}

void s3_head_read(const struct s3_answer *a, struct s3_head *ret)
{
	const struct http_response *r = a->http;
	const char *kind = http_header(r, "x-amz-checksum-type");
	const char *modified = http_header(r, "last-modified");

	*ret = (struct s3_head){
		.length = r->content_length, .is_aws = a->is_aws, .status = r->status};
	copy_header(r, "etag", ret->etag, sizeof(ret->etag));
	if (modified)
		clock_parse_http_us(modified, &ret->modified_us);
	copy_header(r, "x-amz-version-id", ret->version, sizeof(ret->version));
	if (!kind || str_eq(kind, "FULL_OBJECT"))
		copy_header(r, "x-amz-checksum-crc64nvme", ret->crc64nvme,
			sizeof(ret->crc64nvme));
	if (!ret->crc64nvme[0])
		read_sum(r, ret);
	ret->part_count = count_of(r, "x-amz-mp-parts-count");
	copy_header(r, "x-amz-storage-class", ret->storage_class,
		sizeof(ret->storage_class));
	ret->restore = restore_of(r);
	copy_header(r, "x-amz-object-lock-mode", ret->lock_mode, sizeof(ret->lock_mode));
	copy_header(r, "x-amz-object-lock-retain-until-date", ret->lock_until,
		sizeof(ret->lock_until));
	ret->has_legal_hold = str_eq(http_header(r, "x-amz-object-lock-legal-hold"), "ON");
	ret->tag_count = count_of(r, "x-amz-tagging-count");
	ret->hidden_meta = count_of(r, "x-amz-missing-meta");
	ret->is_etag_md5 = is_md5(r, ret->etag);
}

void s3_head_take_sum(struct s3_head *head, const char *element, const char *text)
{
	enum checksum_alg alg = checksum_from_element(element);

	if (alg == CHECKSUM_CRC64NVME) {
		snprintf(head->crc64nvme, sizeof(head->crc64nvme), "%s", text);
	} else if (alg) {
		snprintf(head->sum, sizeof(head->sum), "%s", text);
		head->sum_alg = alg;
	}
}

void s3_head_set_etag(
	const struct s3_answer *answer, struct s3_head *head, const char *etag)
{
	snprintf(head->etag, sizeof(head->etag), *etag == '"' ? "%s" : "\"%s\"", etag);
	head->is_etag_md5 = is_md5(answer->http, head->etag);
}

/* --- callbacks of the call below --- */

static enum http_flow on_head(void *arg, const struct s3_answer *answer)
{
	struct object_call *c = arg;
	struct s3_meta meta;
	enum http_flow flow;

	s3_head_read(answer, &c->head);
	c->is_head_read = true;
	if (!c->o.on_head)
		return HTTP_GO;
	take_meta(answer->http, &meta);
	flow = c->o.on_head(c->o.arg, &c->head, &meta);
	s3_meta_done(&meta);
	return flow;
}

static enum http_flow on_body(void *arg, const char *data, size_t len)
{
	struct object_call *c = arg;

	return c->o.on_body(c->o.arg, data, len);
}

static enum http_flow on_send(void *arg, char *out, size_t max, size_t *ret_len)
{
	struct object_call *c = arg;

	return c->o.on_send(c->o.arg, out, max, ret_len);
}

static void on_done(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct object_call *c = arg;

	if (answer->http->status && !c->is_head_read)
		s3_head_read(answer, &c->head);
	c->o.done(c->o.arg, err, &c->head);
	free(c);
}

/* --- calls --- */

static struct s3_call *start(
	const struct s3_env *env, const struct s3_object *o, struct s3_op *op)
{
	struct object_call *c = mem_alloc(sizeof(*c));

	c->o = *o;
	op->key = o->key;
	op->done = on_done;
	op->on_head = on_head;
	op->arg = c;
	return s3_op_start(env, op);
}

static void add(struct sigv4_pair *headers, size_t *n, const char *name, const char *value)
{
	headers[(*n)++] = (struct sigv4_pair){name, value};
}

/* A version and a part, where they are asked for. */
static void choose_version(
	const struct s3_object *o, struct sigv4_pair query[2], struct s3_op *op)
{
	op->query = query;
	if (o->part_number)
		query[op->query_count++] = (struct sigv4_pair){"partNumber", "1"};
	if (o->version && *o->version)
		query[op->query_count++] = (struct sigv4_pair){"versionId", o->version};
}

/* ret_quoted: to be freed when the headers were used. */
static void add_if_match(
	struct sigv4_pair *headers, size_t *n, const char *etag, char **ret_quoted)
{
	if (!etag || !*etag)
		return;
	if (*etag != '"')
		*ret_quoted = mem_printf("\"%s\"", etag);
	add(headers, n, "If-Match", *ret_quoted ? *ret_quoted : etag);
}

/* GET and HEAD ask for the same in the same words. */
static void add_wishes(const struct s3_object *o, struct sigv4_pair *headers, size_t *n,
	char **ret_quoted)
{
	add(headers, n, "x-amz-checksum-mode", "ENABLED");
	add_if_match(headers, n, o->if_match, ret_quoted);
	if (o->if_none_match && *o->if_none_match)
		add(headers, n, "If-None-Match", o->if_none_match);
}

struct s3_call *s3_head_object(const struct s3_env *env, const struct s3_object *o)
{
	struct sigv4_pair headers[3], query[2];
	size_t n = 0;
	_cleanup_free_ char *quoted = NULL;
	struct s3_op op = {.operation = "HeadObject", .method = "HEAD", .headers = headers};

	add_wishes(o, headers, &n, &quoted);
	op.header_count = n;
	choose_version(o, query, &op);
	return start(env, o, &op);
}

struct s3_call *s3_get_object(const struct s3_env *env, const struct s3_object *o)
{
	struct sigv4_pair headers[4], query[2];
	size_t n = 0;
	_cleanup_free_ char *quoted = NULL;
	char range[64];
	struct s3_op op = {.operation = "GetObject", .method = "GET", .headers = headers};

	add_wishes(o, headers, &n, &quoted);
	if (o->range_length) {
		snprintf(range, sizeof(range), "bytes=%lld-%lld", (long long)o->range_first,
			(long long)(o->range_first + o->range_length - 1));
		add(headers, &n, "Range", range);
	}
	op.header_count = n;
	choose_version(o, query, &op);
	if (o->on_body)
		op.on_body = on_body;
	return start(env, o, &op);
}

size_t s3_condition_header(const struct s3_condition *c, struct sigv4_pair *ret)
{
	if (c && c->is_absent)
		*ret = (struct sigv4_pair){"If-None-Match", "*"};
	else if (c && c->etag && *c->etag)
		*ret = (struct sigv4_pair){"If-Match", c->etag};
	else
		return 0;
	return 1;
}

/* What is all there goes out at once, and is signed by one hash in place of a chain. */
static void choose_body(const struct s3_object *o, struct s3_op *op)
{
	op->is_object = true;
	op->is_streamed = !o->body;
	op->body = o->body;
	op->body_len = o->body ? (size_t)o->length : 0;
	op->send_length = o->length;
	op->on_send = on_send;
}

/* AWS wants a checksum of whatever it is to lock, and answers with it. */
static bool is_summed_here(const struct s3_env *env, const struct s3_object *o)
{
	const char *custom = env->place->endpoint_url;

	return (o->asked || !custom || !*custom) && (o->body || o->length == 0);
}

struct sum_header {
	char name[40], text[CHECKSUM_TEXT_LEN];
};

static void add_told(struct sigv4_pair *headers, size_t *n, enum checksum_alg alg,
	struct sum_header *out, const char *sum)
{
	snprintf(out->name, sizeof(out->name), "x-amz-checksum-%s", checksum_suffix(alg));
	add(headers, n, out->name, sum);
}

/* What is known ahead of the object's bytes; else what is to follow them. */
static void add_sum(const struct s3_env *env, const struct s3_object *o, struct s3_op *op,
	struct sigv4_pair *headers, struct sum_header *out)
{
	enum checksum_alg alg = o->asked;
	bool has_crc = o->crc64nvme && *o->crc64nvme;
	bool has_sum = o->sum && *o->sum && !checksum_part_count(o->sum);
	const char *known = NULL;

	if (!alg)
		alg = !has_crc && has_sum ? o->sum_alg : CHECKSUM_CRC64NVME;
	if (has_crc && alg == CHECKSUM_CRC64NVME)
		known = o->crc64nvme;
	else if (has_sum && alg == o->sum_alg)
		known = o->sum;
	if (!known && is_summed_here(env, o)) {
		checksum_of(alg, o->body ? o->body : "", (size_t)o->length, out->text);
		known = out->text;
	}
	if (known)
		add_told(headers, &op->header_count, alg, out, known);
	else
		op->trails = alg;
}

struct s3_call *s3_put_object(const struct s3_env *env, const struct s3_object *o)
{
	struct sum_header sum;
	size_t n = o->meta ? o->meta->count : 0;
	_cleanup_free_ struct sigv4_pair *headers = mem_array(n + 2, sizeof(*headers));
	struct s3_op op = {.operation = "PutObject",
		.method = "PUT",
		.headers = headers,
		.header_count = n};

	if (n)
		memcpy(headers, o->meta->pairs, n * sizeof(*headers));
	add_sum(env, o, &op, headers, &sum);
	op.header_count += s3_condition_header(o->condition, &headers[op.header_count]);
	choose_body(o, &op);
	return start(env, o, &op);
}

struct s3_call *s3_upload_part(const struct s3_env *env, const struct s3_object *o,
	const char *upload_id, int number)
{
	char text[16];
	const struct sigv4_pair query[] = {{"partNumber", text}, {"uploadId", upload_id}};
	struct sigv4_pair headers[1];
	struct sum_header sum;
	struct s3_op op = {.operation = "UploadPart",
		.method = "PUT",
		.query = query,
		.query_count = 2,
		.headers = headers};

	snprintf(text, sizeof(text), "%d", number);
	if (o->asked && o->body) {
		checksum_of(o->asked, o->body, (size_t)o->length, sum.text);
		add_told(headers, &op.header_count, o->asked, &sum, sum.text);
	} else {
		op.trails = o->asked;
	}
	choose_body(o, &op);
	return start(env, o, &op);
}

struct s3_call *s3_delete_object(const struct s3_env *env, const struct s3_object *o)
{
	struct sigv4_pair headers[1];
	char *quoted = NULL;
	struct s3_op op = {
		.operation = "DeleteObject", .method = "DELETE", .headers = headers};
	struct s3_call *call;

	add_if_match(headers, &op.header_count, o->if_match, &quoted);
	call = start(env, o, &op);
	free(quoted);
	return call;
}
