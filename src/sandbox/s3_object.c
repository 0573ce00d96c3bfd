/* GET, HEAD, PUT and DELETE of one object, ranges, conditions, tags. Not copies. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "sandbox/accounts.h"
#include "sandbox/sandbox.h"

#define ANSWER_BYTES (4 << 20)

/* --- conditions --- */

bool s3_etag_is_in(const char *list, const char *etag)
{
	_cleanup_free_ char *bare = mem_strndup(etag + 1, strlen(etag) - 2);

	return strcmp(list, "*") == 0 || strstr(list, etag) || strcmp(list, bare) == 0;
}

static bool parse_http_date(const char *text, int64_t *ret)
{
	int64_t usec;

	if (!text || clock_parse_http_us(text, &usec) < 0)
		return false;
	*ret = usec / USEC_PER_SEC;
	return true;
}

static const char *condition(
	const struct request *r, const char *prefix, const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	return http_field(r->x, full);
}

/* Also of an answer without content. */
static void add_validators(struct request *r, const struct object *o)
{
	char text[64];
	struct tm tm;
	time_t at = (time_t)o->modified_s;

	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	request_header(r, "Last-Modified", text);
	request_header(r, "ETag", o->etag);
}

bool s3_conditions(struct request *r, const char *prefix, const struct object *o)
{
	const char *match = condition(r, prefix, "if-match");
	const char *none = condition(r, prefix, "if-none-match");
	bool is_copy = *prefix != '\0';
	int64_t at;

	if (match ? !s3_etag_is_in(match, o->etag)
		  : parse_http_date(condition(r, prefix, "if-unmodified-since"), &at) &&
				o->modified_s > at) {
		s3_fail(r, 412, "PreconditionFailed",
			"At least one of the pre-conditions you specified did not hold",
			match ? "<Condition>If-Match</Condition>"
			      : "<Condition>If-Unmodified-Since</Condition>");
		return false;
	}
	if (none ? !s3_etag_is_in(none, o->etag)
		 : !parse_http_date(condition(r, prefix, "if-modified-since"), &at) ||
				o->modified_s > at)
		return true;
	if (is_copy) {
		s3_fail(r, 412, "PreconditionFailed",
			"At least one of the pre-conditions you specified did not hold",
			NULL);
		return false;
	}
	add_validators(r, o);
	request_reply_empty(r, 304);
	return false;
}

/* --- GET and HEAD --- */

static void no_such_key(struct request *r)
{
	struct buf extra = BUF_INIT(ANSWER_BYTES);

	/* Who may not list learns nothing about what is there. */
	if (!s3_may(r, "s3:ListBucket", r->bucket, NULL)) {
		s3_deny(r, "s3:ListBucket", r->bucket, NULL);
		return;
	}
	xml_element(&extra, "Key", r->key);
	s3_fail(r, 404, "NoSuchKey", "The specified key does not exist.",
		buf_str(&extra));
	buf_done(&extra);
}

/* With ACLs an object belongs to who wrote it, and nobody else is let in by default. */
static bool is_private(const struct request *r, const struct object *o)
{
	return o->owner && !str_eq(o->owner, r->who->account_id);
}

struct object *s3_find(struct request *r, const struct bucket *b, const char *key,
	const char *version)
{
	static const char action[] = "s3:GetObjectVersion";
	struct object *o;

	if (version && !s3_may(r, action, b, key)) {
		s3_deny(r, action, b, key);
		return NULL;
	}
	o = version ? bucket_get_version(b, key, version) : bucket_get(b, key);
	if (o && is_private(r, o)) {
		s3_deny(r, "s3:GetObject", b, key);
		return object_unref(o);
	}
	if (!o && version)
		s3_fail(r, 404, "NoSuchVersion", "The specified version does not exist.",
			NULL);
	else if (!o && b == r->bucket)
		no_such_key(r);
	else if (!o)
		s3_fail(r, 404, "NoSuchKey", "The specified key does not exist.", NULL);
	return o;
}

enum range {
	RANGE_ALL,
	RANGE_PART,
	RANGE_BAD,
};

static enum range parse_range(
	const char *text, uint64_t size, uint64_t *from, uint64_t *len)
{
	const char *dash;
	uint64_t last;

	*from = 0;
	*len = size;
	if (!text || !str_has_prefix(text, "bytes=") || strchr(text, ','))
		return RANGE_ALL;
	text += strlen("bytes=");
	dash = strchr(text, '-');
	if (!dash)
		return RANGE_ALL;
	if (dash == text) {
		if (str_to_uint(dash + 1, INT64_MAX, &last) < 0)
			return RANGE_ALL;
		if (last == 0 || size == 0)
			return RANGE_BAD;
		*len = last < size ? last : size;
		*from = size - *len;
		return RANGE_PART;
	}
	if (str_to_uint_len(text, (size_t)(dash - text), INT64_MAX, from) < 0)
		return RANGE_ALL;
	last = size ? size - 1 : 0;
	if (dash[1] && (str_to_uint(dash + 1, INT64_MAX, &last) < 0 || last < *from)) {
		*from = 0;
		return RANGE_ALL;
	}
	if (*from >= size)
		return RANGE_BAD;
	if (last >= size)
		last = size - 1;
	*len = last - *from + 1;
	return RANGE_PART;
}

static void add_object_headers(struct request *r, const struct object *o)
{
	char text[64];
	bool has_type = false;

	add_validators(r, o);
	request_header(r, "Accept-Ranges", "bytes");
	for (size_t i = 0; i < o->meta.count; i++) {
		request_header(r, o->meta.headers[i].name, o->meta.headers[i].value);
		has_type |= str_eq(o->meta.headers[i].name, "content-type");
	}
	s3_answer_restore(r, o);
	if (o->version[0] || r->bucket->is_versioned)
		request_header(
			r, "x-amz-version-id", o->version[0] ? o->version : "null");
	if (!has_type)
		request_header(r, "content-type", "binary/octet-stream");
	snprintf(text, sizeof(text), "%zu", meta_tag_count(&o->meta));
	if (!str_eq(text, "0"))
		request_header(r, "x-amz-tagging-count", text);
	if (o->sum[0] && str_eq(http_field(r->x, "x-amz-checksum-mode"), "ENABLED") &&
		!http_field(r->x, "range") && !query_get(&r->query, "partNumber"))
		s3_answer_sum(r, o->sum_alg, o->sum);
	if (o->has_crc && str_eq(http_field(r->x, "x-amz-checksum-mode"), "ENABLED") &&
		!http_field(r->x, "range"))
		s3_answer_crc(r, o->crc);
}

void s3_get_object(struct request *r)
{
	struct object *o = s3_find(
		r, r->bucket, r->key, query_get(&r->query, "versionId"));
	uint64_t from, len;
	char text[96];
	enum range range;

	if (!o)
		return;
	if (!s3_conditions(r, "", o) || (!request_is_head(r) && !s3_is_readable(r, o))) {
		object_unref(o);
		return;
	}
	range = parse_range(http_field(r->x, "range"), o->size, &from, &len);
	/* Only the first part can be asked for. */
	if (o->part_count && str_eq(query_get(&r->query, "partNumber"), "1")) {
		range = RANGE_PART;
		from = 0;
		len = o->part_size;
		snprintf(text, sizeof(text), "%u", o->part_count);
		request_header(r, "x-amz-mp-parts-count", text);
	}
	if (range == RANGE_BAD) {
		snprintf(text, sizeof(text), "<ActualObjectSize>%llu</ActualObjectSize>",
			(unsigned long long)o->size);
		s3_fail(r, 416, "InvalidRange", "The requested range is not satisfiable",
			text);
		object_unref(o);
		return;
	}
	add_object_headers(r, o);
	if (range == RANGE_PART) {
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu",
			(unsigned long long)from, (unsigned long long)(from + len - 1),
			(unsigned long long)o->size);
		request_header(r, "Content-Range", text);
	}
	request_reply_object(r, range == RANGE_PART ? 206 : 200, o, from, len);
}

/* --- PUT and DELETE --- */

void s3_answer_crc(struct request *r, uint64_t crc)
{
	char text[CRC64_BASE64_LEN];

	crc64nvme_base64(crc, text);
	request_header(r, "x-amz-checksum-crc64nvme", text);
	request_header(r, "x-amz-checksum-type", "FULL_OBJECT");
}

void s3_answer_sum(struct request *r, enum checksum_alg alg, const char *sum)
{
	char name[40];

	snprintf(name, sizeof(name), "x-amz-checksum-%s", checksum_suffix(alg));
	request_header(r, name, sum);
	request_header(r, "x-amz-checksum-type",
		checksum_part_count(sum) ? "COMPOSITE" : "FULL_OBJECT");
}

bool s3_check_crc(struct request *r, uint64_t crc)
{
	const char *told = http_field(r->x, "x-amz-checksum-crc64nvme");
	char text[CRC64_BASE64_LEN];

	crc64nvme_base64(crc, text);
	if (!told || strcmp(told, text) == 0)
		return true;
	s3_fail(r, 400, "BadDigest",
		"The CRC64NVME you specified did not match the calculated checksum.", NULL);
	return false;
}

void s3_put_object(struct request *r)
{
	struct object *o;
	char hex[33];

	if (!s3_may_replace(r) || !s3_may_write(r) || !s3_check_crc(r, r->body.crc))
		return;
	o = object_new(r->key);
	o->size = r->body.length;
	o->blob = blob_ref(r->body.blob);
	o->modified_s = r->now_s;
	str_to_hex(r->body.md5_sum, sizeof(r->body.md5_sum), hex);
	o->etag = mem_printf("\"%s\"", hex);
	s3_read_meta(r, &o->meta);
	o->crc = r->body.crc;
	o->sum_alg = r->body.sum_alg;
	if (o->sum_alg)
		checksum_text(&r->body.sum_bytes, o->sum);
	o->has_crc = !o->sum_alg;
	s3_store(r, o);
	request_header(r, "ETag", o->etag);
	if (o->has_crc)
		s3_answer_crc(r, o->crc);
	else
		s3_answer_sum(r, o->sum_alg, o->sum);
	request_reply_empty(r, 200);
	object_unref(o);
}

void s3_delete_object(struct request *r)
{
	const char *match = http_field(r->x, "if-match");
	struct object *o = match ? bucket_get(r->bucket, r->key) : NULL;
	bool is_other = o && !s3_etag_is_in(match, o->etag);

	object_unref(o);
	if (is_other) { /* one that is gone already is no other one */
		s3_fail(r, 412, "PreconditionFailed",
			"At least one of the pre-conditions you specified did not hold",
			"<Condition>If-Match</Condition>");
		return;
	}
	bucket_delete(r->bucket, r->key);
	request_reply_empty(r, 204);
}

struct deletion {
	struct request *r;
	struct buf out;
	bool is_quiet;
	size_t count;
};

static void on_delete_text(void *arg, const char *path, const char *text, size_t len)
{
	struct deletion *d = arg;
	const struct request *r = d->r;

	if (strcmp(path, "Delete/Quiet") == 0)
		d->is_quiet = strcmp(text, "true") == 0;
	if (strcmp(path, "Delete/Object/Key") != 0 || ++d->count > 1000)
		return;
	if (!s3_may(d->r, "s3:DeleteObject", r->bucket, text)) {
		buf_puts(&d->out, "<Error>");
		xml_element(&d->out, "Key", text);
		buf_puts(&d->out,
			"<Code>AccessDenied</Code><Message>Access Denied</Message>"
			"</Error>");
		return;
	}
	bucket_delete(r->bucket, text);
	if (d->is_quiet)
		return;
	buf_puts(&d->out, "<Deleted>");
	xml_element(&d->out, "Key", text);
	buf_puts(&d->out, "</Deleted>");
}

void s3_delete_objects(struct request *r)
{
	struct deletion d = {.r = r};
	const struct xml_handler handler = {NULL, on_delete_text, NULL, &d};
	const struct blob *body = r->body.blob;
	struct xml *xml = xml_new(&handler, BODY_TEXT_MAX);

	buf_init(&d.out, ANSWER_BYTES);
	buf_puts(&d.out, XML_HEAD "<DeleteResult " S3_NS ">");
	if (xml_feed(xml, body->data ? body->data : "", body->len) < 0 ||
		xml_finish(xml) < 0 || d.count == 0 || d.count > 1000) {
		s3_fail(r, 400, "MalformedXML",
			"The XML you provided was not well-formed or did not validate "
			"against "
			"our published schema",
			NULL);
	} else {
		buf_puts(&d.out, "</DeleteResult>");
		s3_xml(r, &d.out);
	}
	xml_free(xml);
	buf_done(&d.out);
}

/* --- tags --- */

void s3_get_tags(struct request *r)
{
	struct object *o = s3_find(
		r, r->bucket, r->key, query_get(&r->query, "versionId"));
	struct buf b = BUF_INIT(ANSWER_BYTES);
	struct query tags;

	if (!o)
		return;
	query_parse(&tags, o->meta.tags ? o->meta.tags : "", true);
	buf_puts(&b, XML_HEAD "<Tagging " S3_NS "><TagSet>");
	for (size_t i = 0; i < tags.count; i++) {
		buf_puts(&b, "<Tag>");
		xml_element(&b, "Key", tags.at[i].name);
		xml_element(&b, "Value", tags.at[i].value);
		buf_puts(&b, "</Tag>");
	}
	buf_puts(&b, "</TagSet></Tagging>");
	s3_xml(r, &b);
	buf_done(&b);
	query_done(&tags);
	object_unref(o);
}

static void on_tag_text(void *arg, const char *path, const char *text, size_t len)
{
	struct buf *out = arg;

	if (strcmp(path, "Tagging/TagSet/Tag/Key") == 0) {
		if (out->len)
			buf_putc(out, '&');
		str_uri_encode(out, text, len, false);
	} else if (strcmp(path, "Tagging/TagSet/Tag/Value") == 0) {
		buf_putc(out, '=');
		str_uri_encode(out, text, len, false);
	}
}

static void set_tags(struct request *r, const char *tags, int status)
{
	struct object *o = bucket_get(r->bucket, r->key);

	if (!o) {
		no_such_key(r);
		return;
	}
	if (!o->is_virtual)
		mem_replace(&o->meta.tags, tags);
	object_unref(o);
	request_reply_empty(r, status);
}

void s3_put_tags(struct request *r)
{
	struct buf tags = BUF_INIT(ANSWER_BYTES);
	const struct xml_handler handler = {NULL, on_tag_text, NULL, &tags};
	const struct blob *body = r->body.blob;
	struct xml *xml = xml_new(&handler, BODY_TEXT_MAX);

	if (xml_feed(xml, body->data ? body->data : "", body->len) < 0 ||
		xml_finish(xml) < 0)
		s3_fail(r, 400, "MalformedXML",
			"The XML you provided was not well-formed", NULL);
	else
		set_tags(r, buf_str(&tags), 200);
	xml_free(xml);
	buf_done(&tags);
}

void s3_delete_tags(struct request *r)
{
	set_tags(r, NULL, 204);
}
