/*
 * What all operations that write an object share: conditions, the rights that single
 * headers need, what is kept of them. Not the bytes.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/accounts.h"
#include "sandbox/sandbox.h"

/* --- conditions --- */

bool s3_may_replace(struct request *r)
{
	const char *none = http_field(r->x, "if-none-match");
	const char *match = http_field(r->x, "if-match");
	struct object *o;
	bool is_good = true;

	if (!none && !match)
		return true;
	o = bucket_get(r->bucket, r->key);
	if (match && !o) {
		s3_fail(r, 404, "NoSuchKey", "The specified key does not exist.", NULL);
		return false;
	}
	if ((none && o) || (match && !s3_etag_is_in(match, o->etag)))
		is_good = false;
	object_unref(o);
	if (!is_good)
		s3_fail(r, 412, "PreconditionFailed",
			"At least one of the pre-conditions you specified did not hold",
			NULL);
	return is_good;
}

/* --- rights and values --- */

static bool is_one_of(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static bool check_acl(struct request *r)
{
	static const char full[] = "bucket-owner-full-control";
	const char *acl = http_field(r->x, "x-amz-acl");

	if (!acl || r->bucket->has_acls || strcmp(acl, full) == 0)
		return true;
	s3_fail(r, 400, "AccessControlListNotSupported", "The bucket does not allow ACLs",
		NULL);
	return false;
}

static bool check_class(struct request *r)
{
	static const char *const classes[] = {"STANDARD", "REDUCED_REDUNDANCY",
		"STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER",
		"DEEP_ARCHIVE", "GLACIER_IR", NULL};
	const char *class = http_field(r->x, "x-amz-storage-class");

	if (!class || is_one_of(classes, class))
		return true;
	s3_fail(r, 400, "InvalidStorageClass",
		"The storage class you specified is not valid", NULL);
	return false;
}

static bool check_encryption(struct request *r)
{
	static const char *const known[] = {"AES256", "aws:kms", "aws:kms:dsse", NULL};
	const char *sse = http_field(r->x, "x-amz-server-side-encryption");
	const char *key = http_field(r->x, "x-amz-server-side-encryption-aws-kms-key-id");

	if (sse ? is_one_of(known, sse) && (!key || str_has_prefix(sse, "aws:kms"))
		: !key)
		return true;
	s3_fail(r, 400, "InvalidArgument",
		"Server Side Encryption with AWS KMS managed key requires HTTP header "
		"x-amz-server-side-encryption : aws:kms",
		NULL);
	return false;
}

bool s3_has_digest(const struct request *r)
{
	for (size_t i = 0; i < r->x->field_count; i++)
		if (str_has_prefix(r->x->fields[i].name, "x-amz-checksum-") ||
			strcmp(r->x->fields[i].name, "content-md5") == 0 ||
			strcmp(r->x->fields[i].name, "x-amz-copy-source") == 0 ||
			strcmp(r->x->fields[i].name, "x-amz-trailer") == 0)
			return true;
	return false;
}

static bool check_lock(struct request *r)
{
	const char *why = NULL;

	if (!http_field(r->x, "x-amz-object-lock-mode") &&
		!http_field(r->x, "x-amz-object-lock-legal-hold"))
		return true;
	if (!r->bucket->has_lock)
		why = "Bucket is missing Object Lock Configuration";
	else if (!s3_has_digest(r))
		why = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put "
		      "Object requests with Object Lock parameters";
	if (why)
		s3_fail(r, 400, "InvalidRequest", why, NULL);
	return !why;
}

bool s3_may_write(struct request *r)
{
	static const struct {
		const char *header, *action;
	} rights[] = {
		{"x-amz-tagging", "s3:PutObjectTagging"},
		{"x-amz-acl", "s3:PutObjectAcl"},
		{"x-amz-object-lock-mode", "s3:PutObjectRetention"},
		{"x-amz-object-lock-legal-hold", "s3:PutObjectLegalHold"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
		if (!http_field(r->x, rights[i].header) ||
			s3_may(r, rights[i].action, r->bucket, r->key))
			continue;
		s3_deny(r, rights[i].action, r->bucket, r->key);
		return false;
	}
	return check_acl(r) && check_class(r) && check_encryption(r) && check_lock(r);
}

const char *s3_owner_of_new(const struct request *r)
{
	const char *acl = http_field(r->x, "x-amz-acl");

	return r->bucket->has_acls && !str_eq(acl, "bucket-owner-full-control")
		       ? r->who->account_id
		       : NULL;
}

/* --- what is kept --- */

void s3_read_written(const struct request *r, struct meta *meta)
{
	static const char *const kept[] = {"x-amz-storage-class",
		"x-amz-server-side-encryption",
		"x-amz-server-side-encryption-aws-kms-key-id",
		"x-amz-server-side-encryption-bucket-key-enabled",
		"x-amz-website-redirect-location", "x-amz-object-lock-mode",
		"x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold",
		NULL};

	for (size_t i = 0; i < r->x->field_count; i++) {
		const struct http_field *f = &r->x->fields[i];

		/* S3 does not tell the usual class. */
		if (is_one_of(kept, f->name) && !str_eq(f->value, "STANDARD"))
			meta_add(meta, f->name, f->value);
	}
}

/* aws-chunked is of the transfer, not of the object. */
static void add_encoding(struct meta *meta, const char *value)
{
	if (str_has_prefix(value, "aws-chunked"))
		value += strlen("aws-chunked");
	value += strspn(value, ", ");
	if (*value)
		meta_add(meta, "content-encoding", value);
}

void s3_read_meta(const struct request *r, struct meta *meta)
{
	static const char *const kept[] = {"content-type", "cache-control",
		"content-disposition", "content-language", "expires", NULL};

	for (size_t i = 0; i < r->x->field_count; i++) {
		const struct http_field *f = &r->x->fields[i];

		if (is_one_of(kept, f->name) || str_has_prefix(f->name, "x-amz-meta-"))
			meta_add(meta, f->name, f->value);
		if (strcmp(f->name, "content-encoding") == 0)
			add_encoding(meta, f->value);
	}
	s3_read_written(r, meta);
	mem_replace(&meta->tags, http_field(r->x, "x-amz-tagging"));
}

static const char *meta_get(const struct meta *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->headers[i].name, name) == 0)
			return m->headers[i].value;
	return NULL;
}

/* What KMS encrypts has an ETag that is no digest of the content. */
static void change_etag(struct object *o)
{
	uint8_t md5[CRYPTO_MD5_LEN];

	crypto_md5(o->etag, strlen(o->etag), md5);
	free(o->etag);
	o->etag = s3_etag_of(md5);
}

void s3_store(struct request *r, struct object *o)
{
	static const char sse[] = "x-amz-server-side-encryption";
	const char *how = meta_get(&o->meta, sse);

	if (!o->owner)
		o->owner = mem_strdup(s3_owner_of_new(r));
	if (how && str_has_prefix(how, "aws:kms"))
		change_etag(o);
	for (size_t i = 0; i < o->meta.count; i++)
		if (str_has_prefix(o->meta.headers[i].name, sse))
			request_header(
				r, o->meta.headers[i].name, o->meta.headers[i].value);
	o->refs++;
	bucket_put(r->bucket, o);
	if (o->version[0])
		request_header(r, "x-amz-version-id", o->version);
}
