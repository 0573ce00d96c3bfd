/* Operations on buckets themselves. Not their listings: s3_list. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "sandbox/accounts.h"
#include "sandbox/sandbox.h"

#define ANSWER_BYTES (1 << 20)

void s3_list_buckets(struct request *r)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);
	const struct bucket *bucket;
	char date[32];

	if (principal_check(r->who, "s3:ListAllMyBuckets", "*") != POLICY_ALLOW) {
		s3_fail(r, 403, "AccessDenied", "Access Denied", NULL);
		return;
	}
	buf_puts(&b, XML_HEAD "<ListAllMyBucketsResult " S3_NS "><Owner>");
	xml_element(&b, "ID", r->who->account_id);
	buf_puts(&b, "</Owner><Buckets>");
	for (size_t i = 0; (bucket = objects_bucket_at(r->sb->objects, i)); i++) {
		if (!str_eq(bucket->owner, r->who->account_id))
			continue;
		buf_puts(&b, "<Bucket>");
		xml_element(&b, "Name", bucket->name);
		xml_element(&b, "CreationDate", iso_ms(bucket->created_s, date));
		buf_puts(&b, "</Bucket>");
	}
	buf_puts(&b, "</Buckets></ListAllMyBucketsResult>");
	s3_xml(r, &b);
	buf_done(&b);
}

static bool is_bucket_name(const char *s)
{
	size_t len = strlen(s);

	return len >= 3 && len <= 63 && s[0] != '.' && s[0] != '-' && s[len - 1] != '.' &&
	       s[len - 1] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

void s3_create_bucket(struct request *r)
{
	_cleanup_free_ char *arn = mem_printf("arn:aws:s3:::%s", r->bucket_name);
	_cleanup_free_ char *location = mem_printf("/%s", r->bucket_name);

	if (!is_bucket_name(r->bucket_name)) {
		s3_fail(r, 400, "InvalidBucketName", "The specified bucket is not valid.",
			NULL);
		return;
	}
	if (principal_check(r->who, "s3:CreateBucket", arn) != POLICY_ALLOW) {
		s3_fail(r, 403, "AccessDenied", "Access Denied", NULL);
		return;
	}
	r->bucket = objects_find_bucket(r->sb->objects, r->bucket_name);
	if (r->bucket && str_eq(r->bucket->owner, r->who->account_id)) {
		s3_fail(r, 409, "BucketAlreadyOwnedByYou",
			"Your previous request to create the named bucket succeeded and "
			"you "
			"already own it.",
			NULL);
		return;
	}
	if (r->bucket) {
		s3_fail(r, 409, "BucketAlreadyExists",
			"The requested bucket name is not available.", NULL);
		return;
	}
	r->bucket = objects_make_bucket(
		r->sb->objects, r->bucket_name, r->who->account_id);
	r->bucket->created_s = r->now_s;
	request_header(r, "Location", location);
	request_reply_empty(r, 200);
}

void s3_delete_bucket(struct request *r)
{
	if (r->bucket->count || r->bucket->upload_count) {
		s3_fail(r, 409, "BucketNotEmpty",
			"The bucket you tried to delete is not empty", NULL);
		return;
	}
	objects_drop_bucket(r->sb->objects, r->bucket);
	r->bucket = NULL;
	request_reply_empty(r, 204);
}

void s3_head_bucket(struct request *r)
{
	request_header(r, "x-amz-bucket-region",
		r->bucket->region ? r->bucket->region : "us-east-1");
	request_reply_empty(r, 200);
}

void s3_get_location(struct request *r)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);

	buf_puts(&b, XML_HEAD "<LocationConstraint " S3_NS ">");
	buf_puts(&b, r->bucket->region ? r->bucket->region : "");
	buf_puts(&b, "</LocationConstraint>");
	s3_xml(r, &b);
	buf_done(&b);
}
