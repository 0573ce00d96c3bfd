/* Multipart uploads. Not the parts that are copied: s3_copy. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "sandbox/accounts.h"
#include "sandbox/sandbox.h"

#define ANSWER_BYTES (8 << 20)
#define PART_MIN     (5u << 20)
#define PARTS_MAX    10000
#define COPY_PIECE   65536
#define NO_SUCH_UPLOAD                                                        \
	"The specified upload does not exist. The upload ID may be invalid, " \
	"or the upload may have been aborted or completed."

struct upload *s3_find_upload(struct request *r)
{
	const char *id = query_get(&r->query, "uploadId");
	struct upload *u = bucket_find_upload(r->bucket, r->key, id ? id : "");

	if (!u)
		s3_fail(r, 404, "NoSuchUpload", NO_SUCH_UPLOAD, NULL);
	return u;
}

void s3_create_upload(struct request *r)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);
	bool is_same = r->fault && r->fault->same_id && r->bucket->upload_count;
	struct upload *u;

	if (!s3_may_write(r))
		return;
	u = is_same ? r->bucket->uploads[0]
		    : bucket_start_upload(r->bucket, r->key, r->who->arn, r->now_s);
	mem_replace(&u->owner, s3_owner_of_new(r));
	s3_read_meta(r, &u->meta);
	u->has_crc = str_eq(http_field(r->x, "x-amz-checksum-algorithm"), "CRC64NVME");
	for (int alg = CHECKSUM_CRC32C; alg < CHECKSUM_ALGS; alg++)
		if (str_eq(http_field(r->x, "x-amz-checksum-algorithm"),
			    checksum_name((enum checksum_alg)alg)))
			u->sum_alg = (enum checksum_alg)alg;
	u->is_composite = u->sum_alg &&
			  !str_eq(http_field(r->x, "x-amz-checksum-type"), "FULL_OBJECT");
	if (u->has_crc || u->sum_alg) {
		request_header(r, "x-amz-checksum-algorithm",
			u->has_crc ? "CRC64NVME" : checksum_name(u->sum_alg));
		request_header(r, "x-amz-checksum-type",
			u->is_composite ? "COMPOSITE" : "FULL_OBJECT");
	}
	buf_puts(&b, XML_HEAD "<InitiateMultipartUploadResult " S3_NS ">");
	xml_element(&b, "Bucket", r->bucket->name);
	xml_element(&b, "Key", r->key);
	xml_element(&b, "UploadId", u->id);
	buf_puts(&b, "</InitiateMultipartUploadResult>");
	s3_xml(r, &b);
	buf_done(&b);
}

bool s3_read_part_number(struct request *r, unsigned *ret)
{
	const char *text = query_get(&r->query, "partNumber");
	uint64_t n;

	if (!text || str_to_uint(text, PARTS_MAX, &n) < 0 || n < 1) {
		s3_fail(r, 400, "InvalidArgument",
			"Part number must be an integer between 1 and 10000, inclusive",
			NULL);
		return false;
	}
	*ret = (unsigned)n;
	return true;
}

char *s3_etag_of(const uint8_t md5[16])
{
	char hex[33];

	str_to_hex(md5, 16, hex);
	return mem_printf("\"%s\"", hex);
}

static bool is_locking(const struct upload *u)
{
	for (size_t i = 0; i < u->meta.count; i++)
		if (strcmp(u->meta.headers[i].name, "x-amz-object-lock-mode") == 0)
			return true;
	return false;
}

/* What its upload keeps of it; false: it has to come with the part, and does not. */
static bool sum_up(struct request *r, const struct upload *u, struct part *part)
{
	struct checksum *c;

	if (r->body.sum_alg == u->sum_alg) {
		part->sum = r->body.sum_bytes;
	} else if (u->is_composite) {
		s3_fail(r, 400, "InvalidRequest",
			"Checksum Type mismatch occurred, expected checksum Type: null, "
			"actual checksum Type: composite",
			NULL);
		return false;
	} else if (part->blob) {
		c = checksum_new(u->sum_alg, 0);
		checksum_update(
			c, part->blob->data ? part->blob->data : "", part->blob->len);
		checksum_end_sum(c, &part->sum);
		checksum_free(c);
	}
	return true;
}

void s3_upload_part(struct request *r)
{
	struct part part = {.size = r->body.length, .modified_s = r->now_s};
	_cleanup_free_ char *etag = s3_etag_of(r->body.md5_sum);
	struct upload *u;

	if (!s3_read_part_number(r, &part.number))
		return;
	u = s3_find_upload(r);
	if (!u || !s3_check_crc(r, r->body.crc))
		return;
	if (is_locking(u) && !s3_has_digest(r)) {
		s3_fail(r, 400, "InvalidRequest",
			"Content-MD5 OR x-amz-checksum- HTTP header is required for Put "
			"Part requests with Object Lock parameters",
			NULL);
		return;
	}
	part.crc = r->body.crc;
	memcpy(part.md5, r->body.md5_sum, sizeof(part.md5));
	part.blob = r->body.blob;
	if (u->sum_alg && !sum_up(r, u, &part))
		return;
	part.blob = blob_ref(r->body.blob);
	upload_put_part(u, &part);
	request_header(r, "ETag", etag);
	if (u->has_crc)
		s3_answer_crc(r, part.crc);
	if (part.sum.len) {
		char text[CHECKSUM_TEXT_LEN];

		checksum_text(&part.sum, text);
		s3_answer_sum(r, u->sum_alg, text);
	}
	request_reply_empty(r, 200);
}

/* --- the rest of an upload's life --- */

static void put_crc(struct buf *b, uint64_t crc)
{
	char text[CRC64_BASE64_LEN];

	crc64nvme_base64(crc, text);
	xml_element(b, "ChecksumCRC64NVME", text);
}

static void put_sum(struct buf *b, enum checksum_alg alg, const char *text)
{
	buf_printf(b, "<Checksum%s>%s</Checksum%s>", checksum_name(alg), text,
		checksum_name(alg));
}

void s3_list_parts(struct request *r)
{
	const char *marker = query_get(&r->query, "part-number-marker");
	const char *most = query_get(&r->query, "max-parts");
	const struct upload *u = s3_find_upload(r);
	struct buf b = BUF_INIT(ANSWER_BYTES);
	uint64_t after = 0, max = 1000, told = 0;
	size_t i = 0;

	if (!u)
		return;
	if (marker)
		str_to_uint(marker, PARTS_MAX, &after);
	if (most)
		str_to_uint(most, 1000, &max);
	buf_puts(&b, XML_HEAD "<ListPartsResult " S3_NS ">");
	xml_element(&b, "Bucket", r->bucket->name);
	xml_element(&b, "Key", r->key);
	xml_element(&b, "UploadId", u->id);
	buf_printf(&b,
		"<PartNumberMarker>%llu</PartNumberMarker><MaxParts>%llu</MaxParts>",
		(unsigned long long)after, (unsigned long long)max);
	for (; i < u->part_count && told < max; i++) {
		const struct part *p = &u->parts[i];
		_cleanup_free_ char *etag = s3_etag_of(p->md5);
		char date[32], sum[CHECKSUM_TEXT_LEN];

		if (p->number <= after)
			continue;
		told++;
		buf_printf(&b, "<Part><PartNumber>%u</PartNumber>", p->number);
		xml_element(&b, "LastModified", iso_ms(p->modified_s, date));
		xml_element(&b, "ETag", etag);
		if (u->has_crc)
			put_crc(&b, p->crc);
		if (p->sum.len) {
			checksum_text(&p->sum, sum);
			put_sum(&b, u->sum_alg, sum);
		}
		buf_printf(&b, "<Size>%llu</Size></Part>", (unsigned long long)p->size);
	}
	if (i < u->part_count && i > 0)
		buf_printf(&b, "<NextPartNumberMarker>%u</NextPartNumberMarker>",
			u->parts[i - 1].number);
	buf_printf(&b, "<IsTruncated>%s</IsTruncated></ListPartsResult>",
		i < u->part_count ? "true" : "false");
	s3_xml(r, &b);
	buf_done(&b);
}

struct completion {
	const struct upload *upload;
	const struct part **parts;
	size_t count;
	unsigned number, sums;
	const char *bad; /* S3's code of the first mistake */
};

static void on_part_text(void *arg, const char *path, const char *text, size_t len)
{
	struct completion *c = arg;
	uint64_t n;

	if (strcmp(path, "CompleteMultipartUpload/Part/PartNumber") == 0) {
		const struct part *last = c->count ? c->parts[c->count - 1] : NULL;
		const struct part *p = NULL;

		if (str_to_uint(text, PARTS_MAX, &n) == 0)
			p = upload_find_part(c->upload, (unsigned)n);
		if (!p || c->count == PARTS_MAX)
			c->bad = c->bad ? c->bad : "InvalidPart";
		else if (last && last->number >= p->number)
			c->bad = c->bad ? c->bad : "InvalidPartOrder";
		else
			c->parts[c->count++] = p;
	}
}

/* The ETags, which may stand before or behind their part numbers. */
static void on_etag_text(void *arg, const char *path, const char *text, size_t len)
{
	struct completion *c = arg;
	_cleanup_free_ char *etag = NULL;

	if (strcmp(path, "CompleteMultipartUpload/Part/ETag") != 0 || c->bad)
		return;
	if (c->number >= c->count) {
		c->bad = "MalformedXML";
		return;
	}
	etag = s3_etag_of(c->parts[c->number++]->md5);
	if (!str_eq(text, etag) && !(len == 32 && strncmp(text, etag + 1, 32) == 0))
		c->bad = "InvalidPart";
}

/* A composite is of the sums that the request repeats. */
static void on_sum_text(void *arg, const char *path, const char *text, size_t len)
{
	static const char part[] = "CompleteMultipartUpload/Part/";
	struct completion *c = arg;
	char sum[CHECKSUM_TEXT_LEN];

	(void)len;
	if (c->bad || !c->upload->is_composite || !str_has_prefix(path, part) ||
		checksum_from_element(path + strlen(part)) != c->upload->sum_alg)
		return;
	if (c->sums >= c->count) {
		c->bad = "MalformedXML";
		return;
	}
	checksum_text(&c->parts[c->sums++]->sum, sum);
	if (!str_eq(text, sum))
		c->bad = "InvalidPart";
}

static bool parse_all(const struct blob *body, struct completion *c)
{
	const struct xml_handler handlers[] = {{NULL, on_part_text, NULL, c},
		{NULL, on_etag_text, NULL, c}, {NULL, on_sum_text, NULL, c}};

	for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
		struct xml *xml = xml_new(&handlers[i], BODY_TEXT_MAX);
		bool is_good = xml_feed(xml, body->data ? body->data : "", body->len) ==
				       0 &&
			       xml_finish(xml) == 0;

		xml_free(xml);
		if (!is_good)
			return false;
	}
	return true;
}

static void check_completion(const struct blob *body, struct completion *c)
{
	if (!parse_all(body, c) || (!c->bad && (c->count == 0 || c->number != c->count)))
		c->bad = "MalformedXML";
	for (size_t i = 0; !c->bad && i + 1 < c->count; i++)
		if (c->parts[i]->size < PART_MIN)
			c->bad = "EntityTooSmall";
	if (!c->bad && c->upload->is_composite && c->sums < c->count)
		c->bad = "InvalidRequest";
}

static void compose(const struct completion *c, struct object *o)
{
	struct checksum_sum *sums;

	if (!c->upload->sum_alg)
		return;
	o->sum_alg = c->upload->sum_alg;
	sums = mem_array(c->count, sizeof(*sums));
	for (size_t i = 0; i < c->count; i++)
		sums[i] = c->parts[i]->sum;
	if (c->upload->is_composite)
		checksum_compose(o->sum_alg, sums, c->count, o->sum);
	for (size_t i = 1; !c->upload->is_composite && i < c->count; i++)
		checksum_join(o->sum_alg, &sums[0], &sums[i], c->parts[i]->size);
	if (!c->upload->is_composite)
		checksum_text(&sums[0], o->sum);
	free(sums);
}

static struct object *assemble(struct request *r, const struct completion *c)
{
	struct object *o = object_new(r->key);
	struct crypto_hash *hash = crypto_hash_new(CRYPTO_MD5);
	uint8_t md5[16];
	char hex[33];

	for (size_t i = 0; i < c->count; i++) {
		crypto_hash_update(hash, c->parts[i]->md5, 16);
		o->size += c->parts[i]->size;
		o->crc = crc64nvme_append(o->crc, crc64nvme_shift(c->parts[i]->size),
			c->parts[i]->crc);
	}
	crypto_hash_final(hash, md5);
	crypto_hash_free(hash);
	o->has_crc = c->upload->has_crc;
	o->part_count = (unsigned)c->count;
	o->part_size = c->parts[0]->size;
	compose(c, o);
	if (!r->bucket->is_discard) {
		o->blob = blob_new((size_t)o->size);
		for (size_t i = 0; i < c->count; i++)
			blob_append(
				o->blob, c->parts[i]->blob->data, c->parts[i]->blob->len);
	}
	str_to_hex(md5, sizeof(md5), hex);
	o->etag = mem_printf("\"%s-%zu\"", hex, c->count);
	o->modified_s = r->now_s;
	meta_copy(&o->meta, &c->upload->meta);
	return o;
}

static void answer_completion(struct request *r, const struct object *o)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);

	buf_puts(&b, XML_HEAD "<CompleteMultipartUploadResult " S3_NS "><Location>");
	buf_printf(&b, "http://s3.localhost/%s/", r->bucket->name);
	str_uri_encode(&b, r->key, strlen(r->key), true);
	buf_puts(&b, "</Location>");
	xml_element(&b, "Bucket", r->bucket->name);
	xml_element(&b, "Key", r->key);
	xml_element(&b, "ETag", o->etag);
	if (o->has_crc)
		put_crc(&b, o->crc);
	if (o->sum[0])
		put_sum(&b, o->sum_alg, o->sum);
	buf_puts(&b, "</CompleteMultipartUploadResult>");
	s3_xml(r, &b);
	buf_done(&b);
}

static bool check_told(struct request *r, const struct object *o)
{
	char name[40];
	const char *told;

	snprintf(name, sizeof(name), "x-amz-checksum-%s", checksum_suffix(o->sum_alg));
	told = o->sum[0] ? http_field(r->x, name) : NULL;
	if (!told || str_eq(told, o->sum))
		return true;
	s3_fail(r, 400, "BadDigest",
		"The checksum you specified did not match the calculated checksum.",
		NULL);
	return false;
}

void s3_complete_upload(struct request *r)
{
	struct upload *u = s3_find_upload(r);
	struct completion c = {.upload = u};
	struct object *o;

	if (!u)
		return;
	if (r->fault && r->fault->error_in_200) {
		s3_xml(r, NULL);
		return;
	}
	if (!s3_may_replace(r))
		return;
	c.parts = mem_array(PARTS_MAX, sizeof(*c.parts));
	check_completion(r->body.blob, &c);
	if (c.bad) {
		s3_fail(r, 400, c.bad,
			str_eq(c.bad, "EntityTooSmall")
				? "Your proposed upload is smaller than the minimum "
				  "allowed size"
				: "One or more of the specified parts could not be "
				  "found, are "
				  "out of order, or are not well-formed.",
			NULL);
	} else {
		o = assemble(r, &c);
		if (!s3_check_crc(r, o->crc) || !check_told(r, o)) {
			object_unref(o);
			free(c.parts);
			return;
		}
		o->owner = mem_strdup(u->owner);
		s3_store(r, o);
		bucket_drop_upload(r->bucket, u);
		answer_completion(r, o);
		object_unref(o);
	}
	free(c.parts);
}

void s3_abort_upload(struct request *r)
{
	struct upload *u = s3_find_upload(r);

	if (!u)
		return;
	bucket_drop_upload(r->bucket, u);
	request_reply_empty(r, 204);
}
