/* CopyObject and UploadPartCopy: the rights of both ends, and what comes along. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/sandbox.h"

#define ANSWER_BYTES 65536
#define COPY_PIECE   65536

static struct object *find_source(struct request *r, const struct bucket **ret_bucket)
{
	_cleanup_free_ char *text = mem_strdup(http_field(r->x, "x-amz-copy-source"));
	char *name = *text == '/' ? text + 1 : text;
	char *version = strstr(name, "?versionId=");
	struct bucket *bucket;
	struct object *o;
	char *key;

	if (version)
		*version = '\0';
	if (percent_decode(text, false) < 0 || !(key = strchr(name, '/')) || !key[1]) {
		s3_fail(r, 400, "InvalidArgument",
			"Copy Source must mention the source bucket and key: "
			"sourcebucket/sourcekey",
			NULL);
		return NULL;
	}
	*key++ = '\0';
	bucket = objects_find_bucket(r->sb->objects, name);
	if (!bucket) {
		s3_fail(r, 404, "NoSuchBucket", "The specified bucket does not exist",
			NULL);
		return NULL;
	}
	if (!s3_is_expected(r, bucket, "x-amz-source-expected-bucket-owner"))
		return NULL;
	if (!s3_may(r, "s3:GetObject", bucket, key)) {
		s3_deny(r, "s3:GetObject", bucket, key);
		return NULL;
	}
	if (ret_bucket)
		*ret_bucket = bucket;
	o = s3_find(r, bucket, key, version ? version + strlen("?versionId=") : NULL);
	if (o && (!s3_conditions(r, "x-amz-copy-source-", o) || !s3_is_readable(r, o)))
		return object_unref(o);
	return o;
}

/* Computed objects of gigabytes: nobody waits for their digests. */
static bool is_unread(const struct object *o)
{
	return o->is_virtual && o->size > (UINT64_C(1) << 30);
}

/* Content of [from, from + len) as a blob (shared when whole), with its MD5. */
static struct blob *copy_bytes(const struct object *o, uint64_t from, uint64_t len,
	bool is_dropped, uint8_t md5[16])
{
	bool is_shared = !is_dropped && o->blob && from == 0 && len == o->size;
	struct crypto_hash *hash = crypto_hash_new(CRYPTO_MD5);
	struct blob *out = is_dropped  ? NULL
			   : is_shared ? blob_ref(o->blob)
				       : blob_new(0);
	char *piece = mem_alloc(COPY_PIECE);

	for (uint64_t done = 0; done < len && !is_unread(o);) {
		size_t n = len - done < COPY_PIECE ? (size_t)(len - done) : COPY_PIECE;

		object_read(o, from + done, piece, n);
		crypto_hash_update(hash, piece, n);
		if (out && !is_shared)
			blob_append(out, piece, n);
		done += n;
	}
	if (is_unread(o))
		crypto_hash_update(hash, o->etag, strlen(o->etag));
	crypto_hash_final(hash, md5);
	crypto_hash_free(hash);
	free(piece);
	return out;
}

static void answer_copy(struct request *r, const char *root, const char *etag,
	const uint64_t *crc, const struct object *to)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);
	char date[32], text[CRC64_BASE64_LEN];

	buf_printf(&b, XML_HEAD "<%s " S3_NS ">", root);
	xml_element(&b, "LastModified", iso_ms(r->now_s, date));
	xml_element(&b, "ETag", etag ? etag : "");
	if (crc) {
		crc64nvme_base64(*crc, text);
		xml_element(&b, "ChecksumCRC64NVME", text);
	}
	if (to && to->sum[0])
		buf_printf(&b, "<Checksum%s>%s</Checksum%s>", checksum_name(to->sum_alg),
			to->sum, checksum_name(to->sum_alg));
	buf_printf(&b, "</%s>", root);
	s3_xml(r, &b);
	buf_done(&b);
}

/* Tags come along for who may read them there and write them here. */
static bool may_copy_tags(
	struct request *r, const struct bucket *b, const struct object *from)
{
	if (!from->meta.tags || !*from->meta.tags ||
		str_eq(http_field(r->x, "x-amz-tagging-directive"), "REPLACE"))
		return true;
	if (!s3_may(r, "s3:GetObjectTagging", b, from->key))
		s3_deny(r, "s3:GetObjectTagging", b, from->key);
	else if (!s3_may(r, "s3:PutObjectTagging", r->bucket, r->key))
		s3_deny(r, "s3:PutObjectTagging", r->bucket, r->key);
	else
		return true;
	return false;
}

static bool is_copyable(
	struct request *r, const struct bucket *b, const struct object *from)
{
	if (from->size <= UINT64_C(5368709120))
		return may_copy_tags(r, b, from) && s3_may_replace(r) && s3_may_write(r);
	s3_fail(r, 400, "InvalidRequest",
		"The specified copy source is larger than the maximum allowable size for "
		"a copy source: 5368709120",
		NULL);
	return false;
}

/* What describes the bytes; storage, encryption, lock and redirect do not come along. */
static void copy_description(struct meta *to, const struct meta *from)
{
	static const char *const kept[] = {"content-type", "cache-control",
		"content-disposition", "content-language", "content-encoding", "expires",
		NULL};

	for (size_t i = 0; i < from->count; i++) {
		const char *name = from->headers[i].name;
		bool is_kept = str_has_prefix(name, "x-amz-meta-");

		for (size_t k = 0; kept[k]; k++)
			is_kept |= strcmp(kept[k], name) == 0;
		if (is_kept)
			meta_add(to, name, from->headers[i].value);
	}
}

/* Another checksum than the source has, if the request wants one. */
static void take_asked(const struct request *r, struct object *to)
{
	const char *asked = http_field(r->x, "x-amz-checksum-algorithm");

	for (int alg = CHECKSUM_CRC32C; asked && alg < CHECKSUM_ALGS; alg++) {
		if (!str_eq(asked, checksum_name((enum checksum_alg)alg)) || !to->blob)
			continue;
		to->has_crc = false;
		to->sum_alg = (enum checksum_alg)alg;
		checksum_of(to->sum_alg, to->blob->data ? to->blob->data : "",
			to->blob->len, to->sum);
	}
}

static struct object *make_copy(struct request *r, const struct object *from)
{
	bool is_replaced = str_eq(
		http_field(r->x, "x-amz-metadata-directive"), "REPLACE");
	bool has_new_tags = str_eq(
		http_field(r->x, "x-amz-tagging-directive"), "REPLACE");
	struct object *to = object_new(r->key);
	uint8_t md5[16];

	to->size = from->size;
	to->modified_s = r->now_s;
	to->blob = copy_bytes(from, 0, from->size, r->bucket->is_discard, md5);
	to->etag = s3_etag_of(md5);
	to->crc = from->crc;
	to->has_crc = from->has_crc;
	/* A composite is of parts that the copy does not have. */
	if (from->sum[0] && !checksum_part_count(from->sum)) {
		to->sum_alg = from->sum_alg;
		memcpy(to->sum, from->sum, sizeof(to->sum));
	}
	take_asked(r, to);
	to->owner = mem_strdup(s3_owner_of_new(r));
	if (is_replaced) {
		s3_read_meta(r, &to->meta);
	} else {
		copy_description(&to->meta, &from->meta);
		s3_read_written(r, &to->meta);
	}
	mem_replace(&to->meta.tags,
		has_new_tags ? http_field(r->x, "x-amz-tagging") : from->meta.tags);
	return to;
}

void s3_copy_object(struct request *r)
{
	const struct bucket *b = NULL;
	struct object *from, *to;

	if (r->fault && r->fault->error_in_200) {
		answer_copy(r, "CopyObjectResult", NULL, NULL, NULL);
		return;
	}
	from = find_source(r, &b);
	if (!from)
		return;
	if (is_copyable(r, b, from)) {
		to = make_copy(r, from);
		s3_store(r, to);
		answer_copy(r, "CopyObjectResult", to->etag,
			to->has_crc ? &to->crc : NULL, to);
		object_unref(to);
	}
	object_unref(from);
}

static uint64_t range_crc(const struct object *o, uint64_t from, uint64_t len)
{
	char *piece = mem_alloc(COPY_PIECE);
	uint64_t crc = 0;

	for (uint64_t done = 0; done < len && !is_unread(o);) {
		size_t n = len - done < COPY_PIECE ? (size_t)(len - done) : COPY_PIECE;

		object_read(o, from + done, piece, n);
		crc = crc64nvme(crc, piece, n);
		done += n;
	}
	free(piece);
	return crc;
}

/* "bytes=a-b", both told and inside the source. */
static bool read_copy_range(
	struct request *r, const struct object *o, uint64_t *from, uint64_t *len)
{
	const char *text = http_field(r->x, "x-amz-copy-source-range");
	const char *dash = text ? strchr(text, '-') : NULL;
	uint64_t last;

	*from = 0;
	*len = o->size;
	if (!text)
		return true;
	if (str_has_prefix(text, "bytes=") && dash &&
		str_to_uint_len(text + 6, (size_t)(dash - text) - 6, INT64_MAX, from) ==
			0 &&
		str_to_uint(dash + 1, INT64_MAX, &last) == 0 && *from <= last &&
		last < o->size) {
		*len = last - *from + 1;
		return true;
	}
	s3_fail(r, 400, "InvalidArgument",
		"The x-amz-copy-source-range value must be of the form bytes=first-last "
		"where "
		"first and last are the zero-based offsets of the first and last bytes "
		"to copy",
		NULL);
	return false;
}

void s3_upload_part_copy(struct request *r)
{
	struct part part = {.modified_s = r->now_s};
	_cleanup_free_ char *etag = NULL;
	struct upload *u;
	struct object *o;
	uint64_t from;

	if (!s3_read_part_number(r, &part.number))
		return;
	u = s3_find_upload(r);
	o = u ? find_source(r, NULL) : NULL;
	if (!o)
		return;
	if (read_copy_range(r, o, &from, &part.size)) {
		part.blob = copy_bytes(
			o, from, part.size, r->bucket->is_discard, part.md5);
		part.crc = range_crc(o, from, part.size);
		etag = s3_etag_of(part.md5);
		upload_put_part(u, &part);
		answer_copy(
			r, "CopyPartResult", etag, u->has_crc ? &part.crc : NULL, NULL);
	}
	object_unref(o);
}
