/*
 * The front of S3: which operation, which bucket and key, who, may they. The operations
 * are in s3_bucket, s3_list, s3_object, s3_restore, s3_copy and s3_multipart.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "sandbox/accounts.h"
#include "sandbox/sandbox.h"

#define ANSWER_BYTES (16 * 1024)

/* clang-format off */
static const struct {
	const char *method;
	int level;          /* 0: service, 1: bucket, 2: object */
	const char *query;  /* must be there, or NULL */
	const char *query2; /* as well */
	const char *header; /* must be there, or NULL */
	struct s3_operation op;
} routes[] = {
	{"GET", 0, NULL, NULL, NULL,
		{"ListBuckets", NULL, BODY_NONE, s3_list_buckets}},
	{"POST", 1, "delete", NULL, NULL,
		{"DeleteObjects", NULL, BODY_TEXT, s3_delete_objects}},
	{"GET", 1, "location", NULL, NULL,
		{"GetBucketLocation", "s3:GetBucketLocation", BODY_NONE, s3_get_location}},
	{"GET", 1, "uploads", NULL, NULL,
		{"ListMultipartUploads", "s3:ListBucketMultipartUploads", BODY_NONE,
			s3_list_uploads}},
	{"GET", 1, NULL, NULL, NULL,
		{"ListObjectsV2", "s3:ListBucket", BODY_NONE, s3_list_objects}},
	{"HEAD", 1, NULL, NULL, NULL,
		{"HeadBucket", "s3:ListBucket", BODY_NONE, s3_head_bucket}},
	{"PUT", 1, NULL, NULL, NULL,
		{"CreateBucket", NULL, BODY_TEXT, s3_create_bucket}},
	{"DELETE", 1, NULL, NULL, NULL,
		{"DeleteBucket", "s3:DeleteBucket", BODY_NONE, s3_delete_bucket}},
	{"GET", 2, "tagging", NULL, NULL,
		{"GetObjectTagging", "s3:GetObjectTagging", BODY_NONE, s3_get_tags}},
	{"PUT", 2, "tagging", NULL, NULL,
		{"PutObjectTagging", "s3:PutObjectTagging", BODY_TEXT, s3_put_tags}},
	{"DELETE", 2, "tagging", NULL, NULL,
		{"DeleteObjectTagging", "s3:DeleteObjectTagging", BODY_NONE, s3_delete_tags}},
	{"GET", 2, "uploadId", NULL, NULL,
		{"ListParts", "s3:ListMultipartUploadParts", BODY_NONE, s3_list_parts}},
	{"POST", 2, "uploads", NULL, NULL,
		{"CreateMultipartUpload", "s3:PutObject", BODY_NONE, s3_create_upload}},
	{"POST", 2, "restore", NULL, NULL,
		{"RestoreObject", "s3:RestoreObject", BODY_TEXT, s3_restore_object}},
	{"PUT", 2, "partNumber", "uploadId", "x-amz-copy-source",
		{"UploadPartCopy", "s3:PutObject", BODY_NONE, s3_upload_part_copy}},
	{"PUT", 2, "partNumber", "uploadId", NULL,
		{"UploadPart", "s3:PutObject", BODY_OBJECT, s3_upload_part}},
	{"POST", 2, "uploadId", NULL, NULL,
		{"CompleteMultipartUpload", "s3:PutObject", BODY_TEXT, s3_complete_upload}},
	{"DELETE", 2, "uploadId", NULL, NULL,
		{"AbortMultipartUpload", "s3:AbortMultipartUpload", BODY_NONE,
			s3_abort_upload}},
	{"GET", 2, NULL, NULL, NULL,
		{"GetObject", "s3:GetObject", BODY_NONE, s3_get_object}},
	{"HEAD", 2, NULL, NULL, NULL,
		{"HeadObject", "s3:GetObject", BODY_NONE, s3_get_object}},
	{"PUT", 2, NULL, NULL, "x-amz-copy-source",
		{"CopyObject", "s3:PutObject", BODY_NONE, s3_copy_object}},
	{"PUT", 2, NULL, NULL, NULL,
		{"PutObject", "s3:PutObject", BODY_OBJECT, s3_put_object}},
	{"DELETE", 2, NULL, NULL, NULL,
		{"DeleteObject", "s3:DeleteObject", BODY_NONE, s3_delete_object}},
};

/* Asked for by name, and not there: better an error than the plain operation. */
static const char *const unsupported[] = {"acl", "attributes", "cors", "encryption",
	"lifecycle", "logging", "notification", "object-lock", "policy", "replication",
	"requestPayment", "retention", "select", "torrent", "versioning",
	 "versions", "website", NULL};
/* clang-format on */

void s3_fail(struct request *r, int status, const char *code, const char *message,
	const char *extra)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);

	buf_puts(&b, XML_HEAD "<Error>");
	xml_element(&b, "Code", code);
	xml_element(&b, "Message", message);
	if (extra)
		buf_puts(&b, extra);
	xml_element(&b, "Resource", r->x->path);
	xml_element(&b, "RequestId", r->request_id);
	xml_element(&b, "HostId", r->host_id);
	buf_puts(&b, "</Error>");
	request_reply(r, status, "application/xml", &b);
	buf_done(&b);
}

void s3_fail_with(struct request *r, const struct api_error *e)
{
	s3_fail(r, e->status, e->code, e->message, NULL);
}

void s3_xml(struct request *r, const struct buf *body)
{
	if (r->fault && r->fault->error_in_200) {
		s3_fail(r, 200, r->fault->error_in_200,
			r->fault->message
				? r->fault->message
				: "We encountered an internal error. Please try again.",
			NULL);
		return;
	}
	request_reply(r, 200, "application/xml", body);
}

static const struct s3_operation *find_operation(const struct request *r)
{
	int level = r->key ? 2 : r->bucket_name ? 1 : 0;

	for (size_t i = 0; unsupported[i]; i++)
		if (query_get(&r->query, unsupported[i]))
			return NULL;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		if (routes[i].level == level && str_eq(routes[i].method, r->x->method) &&
			(!routes[i].query || query_get(&r->query, routes[i].query)) &&
			(!routes[i].query2 || query_get(&r->query, routes[i].query2)) &&
			(!routes[i].header || http_field(r->x, routes[i].header)))
			return &routes[i].op;
	return NULL;
}

/* "bucket.s3.eu-west-1.amazonaws.com", which a proxy of the tests brings here. */
static const char *region_of_host(
	const char *host, size_t *ret_len, size_t *ret_bucket_len)
{
	const char *s3 = host && str_has_prefix(host, "s3.") ? host
			 : host                              ? strstr(host, ".s3.")
							     : NULL;
	const char *end = s3 ? strstr(s3, ".amazonaws.com") : NULL;

	if (!end)
		return NULL;
	*ret_bucket_len = (size_t)(s3 - host);
	s3 += *s3 == '.' ? 4 : 3;
	s3 += str_has_prefix(s3, "dualstack.") ? strlen("dualstack.") : 0;
	*ret_len = (size_t)(end - s3);
	return end > s3 ? s3 : NULL;
}

/* "bucket.s3.localhost:9000" and "bucket.localhost" name the bucket; others do not. */
static char *bucket_of_host(const struct request *r)
{
	const char *host = http_field(r->x, "host");
	const char *dot = host ? strchr(host, '.') : NULL;
	const char *rest;
	size_t len, region_len;

	if (region_of_host(host, &region_len, &len))
		return len ? mem_strndup(host, len) : NULL;
	if (!dot || str_has_prefix(host, "s3.") || str_has_prefix(host, "sts."))
		return NULL;
	rest = strstr(dot, ".localhost");
	if (!rest)
		return NULL;
	if (rest - host > 3 && strncmp(rest - 3, ".s3", 3) == 0)
		rest -= 3;
	return mem_strndup(host, (size_t)(rest - host));
}

static bool split_path(struct request *r)
{
	_cleanup_free_ char *path = mem_strdup(r->x->path);
	char *at = path + 1;
	char *slash;

	r->bucket_name = bucket_of_host(r);
	if (!r->bucket_name && *at) {
		slash = strchr(at, '/');
		if (slash)
			*slash++ = '\0';
		r->bucket_name = mem_strdup(at);
		at = slash ? slash : at + strlen(at);
	}
	if (*at)
		r->key = mem_strdup(at);
	if (r->key && percent_decode(r->key, false) < 0)
		return false;
	return !r->bucket_name || percent_decode(r->bucket_name, false) == 0;
}

/* --- may they? --- */

bool s3_may(
	struct request *r, const char *action, const struct bucket *b, const char *key)
{
	const struct policy_asker asker = principal_asker(r->who);
	_cleanup_free_ char *arn = mem_printf(
		"arn:aws:s3:::%s%s%s", b->name, key ? "/" : "", key ? key : "");

	const char *prefix = query_get(&r->query, "prefix");

	return policy_decide(
		principal_check_listing(r->who, action, arn, prefix ? prefix : ""),
		policy_check(b->policy, &asker, action, arn),
		str_eq(r->who->account_id, b->owner));
}

void s3_deny(
	struct request *r, const char *action, const struct bucket *b, const char *key)
{
	_cleanup_free_ char *text = mem_printf(
		"User: %s is not authorized to perform: %s on "
		"resource: \"arn:aws:s3:::%s%s%s\"",
		r->who->arn, action, b->name, key ? "/" : "", key ? key : "");

	s3_fail(r, 403, "AccessDenied", text, NULL);
}

static int check_region(struct request *r)
{
	const char *region = r->bucket ? r->bucket->region : NULL;
	size_t len, bucket_len;
	const char *host = region_of_host(http_field(r->x, "host"), &len, &bucket_len);
	char extra[128];
	_cleanup_free_ char *text = NULL;

	if (region && host && (strlen(region) != len || memcmp(region, host, len) != 0)) {
		request_header(r, "x-amz-bucket-region", region);
		s3_fail(r, 301, "PermanentRedirect",
			"The bucket you are attempting to access must be addressed using "
			"the specified endpoint. Please send all future requests to this "
			"endpoint.",
			NULL);
		return -1;
	}
	if (!region || str_eq(region, r->auth.region))
		return 0;
	text = mem_printf(
		"The authorization header is malformed; the region '%s' is wrong; "
		"expecting '%s'",
		r->auth.region, region);
	snprintf(extra, sizeof(extra), "<Region>%s</Region>", region);
	request_header(r, "x-amz-bucket-region", region);
	s3_fail(r, 400, "AuthorizationHeaderMalformed", text, extra);
	return -1;
}

/* Of this request's bucket, and of a copy's source: as the headers expect them. */
bool s3_is_expected(struct request *r, const struct bucket *b, const char *header)
{
	const char *owner = http_field(r->x, header);
	bool is_paid = str_eq(http_field(r->x, "x-amz-request-payer"), "requester") ||
		       str_eq(r->who->account_id, b->owner);

	if ((!owner || str_eq(owner, b->owner)) && (is_paid || !b->is_requester_paid))
		return true;
	s3_fail(r, 403, "AccessDenied", "Access Denied", NULL);
	return false;
}

/* Answers and returns -1 when the request goes no further. */
static int authorize(struct request *r)
{
	const struct s3_operation *op = r->op;

	r->bucket = r->bucket_name ? objects_find_bucket(r->sb->objects, r->bucket_name)
				   : NULL;
	if (check_region(r) < 0)
		return -1;
	if (r->bucket_name && !r->bucket && op->run != s3_create_bucket) {
		_cleanup_free_ char *extra = mem_printf(
			"<BucketName>%s</BucketName>", r->bucket_name);

		s3_fail(r, 404, "NoSuchBucket", "The specified bucket does not exist",
			strpbrk(r->bucket_name, "<>&") ? NULL : extra);
		return -1;
	}
	if (r->bucket && !s3_is_expected(r, r->bucket, "x-amz-expected-bucket-owner"))
		return -1;
	if (op->action && !s3_may(r, op->action, r->bucket, r->key)) {
		s3_deny(r, op->action, r->bucket, r->key);
		return -1;
	}
	if (r->key && strlen(r->key) > 1024) {
		s3_fail(r, 400, "KeyTooLongError", "Your key is too long", NULL);
		return -1;
	}
	return 0;
}

/* Signature and fault. Answers and returns -1 when the request goes no further. */
static int let_in(struct request *r)
{
	const char *declared = http_field(r->x, "x-amz-content-sha256");
	const struct fault *f;
	struct api_error e;
	int is_bad = auth_read(r, &e);

	request_is(r, r->op ? r->op->name : "UnknownS3");
	f = r->fault;
	if (f && f->status) {
		s3_fail(r, f->status, f->code ? f->code : "SlowDown",
			f->message ? f->message : "Please reduce your request rate.",
			NULL);
		return -1;
	}
	if (!is_bad && !declared && !r->auth.is_presigned)
		is_bad = api_error_set(&e, 400, "MissingSecurityHeader",
			"Your request was missing a required header: "
			"x-amz-content-sha256");
	if (!declared)
		declared = "UNSIGNED-PAYLOAD";
	if (is_bad < 0 || auth_identify(r, &e) < 0 || auth_verify(r, declared, &e) < 0 ||
		(r->op && r->op->body == BODY_OBJECT && r->bucket_name &&
			r->x->content_length == 0 &&
			!http_field(r->x, "content-length") &&
			api_error_set(&e, 411, "MissingContentLength",
				"You must provide the Content-Length HTTP header."))) {
		s3_fail_with(r, &e);
		return -1;
	}
	return 0;
}

void s3_head(struct request *r)
{
	const char *declared = http_field(r->x, "x-amz-content-sha256");
	struct api_error e;
	bool is_path_good = split_path(r);

	r->op = find_operation(r);
	if (let_in(r) < 0)
		return;
	if (!is_path_good) {
		s3_fail(r, 400, "InvalidURI", "Couldn't parse the specified URI.", NULL);
		return;
	}
	if (!r->op) {
		s3_fail(r, 501, "NotImplemented",
			"A header or query you provided implies functionality that is "
			"not "
			"implemented",
			NULL);
		return;
	}
	if (authorize(r) < 0)
		return;
	if (body_begin(r, r->op->body,
		    r->bucket && r->bucket->is_discard && r->op->body == BODY_OBJECT,
		    declared ? declared : "UNSIGNED-PAYLOAD", &e) < 0)
		s3_fail_with(r, &e);
}

void s3_end(struct request *r)
{
	struct api_error e;

	if (body_finish(r, &e) < 0)
		s3_fail_with(r, &e);
	else if (r->bucket_name && r->op->run != s3_create_bucket &&
		 objects_find_bucket(r->sb->objects, r->bucket_name) != r->bucket)
		s3_fail(r, 404, "NoSuchBucket", "The specified bucket does not exist",
			NULL);
	else
		r->op->run(r);
}
