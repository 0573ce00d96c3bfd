/*
 * What the parts of the sandbox share: the process-wide struct, one request, and the ways
 * to answer. Internal to src/sandbox. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sandbox/auth.h"
#include "sandbox/body.h"
#include "sandbox/faults.h"
#include "sandbox/http_server.h"
#include "sandbox/objects.h"
#include "sandbox/query.h"

struct accounts;
struct bucket;
struct clock;
struct loop;
struct principal;
struct request;
struct upload;

#define XML_HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define S3_NS    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

struct counter {
	char *operation, *access_key;
	uint64_t requests, errors;
};

struct sandbox {
	struct loop *loop;
	const struct clock *clock;
	struct http_server *http;
	struct accounts *accounts;
	struct objects *objects;
	struct faults *faults;   /* NULL: none */
	struct faults **retired; /* requests under way may still point into them */
	size_t retired_count;
	struct counter *counters;
	size_t counter_count;
	uint64_t requests;
	char imds_token[41]; /* "": none was asked for */
};

/* One operation of S3: how it is let in and who carries it out. */
struct s3_operation {
	const char *name;
	const char *action; /* of the policy; NULL: the handler asks itself */
	enum body_kind body;
	/* Must answer. Called when the whole request is in. */
	void (*run)(struct request *r);
};

struct request {
	struct sandbox *sb;
	struct http_exchange *x;
	struct query query;
	struct auth auth;
	struct principal *who;     /* NULL until the keys were found */
	const struct fault *fault; /* NULL: none */
	int64_t now_s;
	char request_id[17];
	char host_id[77];
	const char *operation;
	struct body body;
	struct buf headers; /* of the answer */

	/* S3 */
	const struct s3_operation *op;
	char *bucket_name, *key; /* decoded; NULL when the path has none */
	struct bucket *bucket;
	struct object *sending;
	uint64_t sending_from;
};

struct sandbox *sandbox_new(struct loop *loop, const struct clock *clock);
void *sandbox_free(struct sandbox *sb);
/* listen_fd becomes the sandbox's. */
void sandbox_serve(struct sandbox *sb, int listen_fd);
/* 0, or -1 and a malloc'd *ret_error. */
int sandbox_set_accounts(
	struct sandbox *sb, const char *text, size_t len, char **ret_error);
int sandbox_set_faults(
	struct sandbox *sb, const char *text, size_t len, char **ret_error);

/* --- one request --- */

/* Chooses the fault and counts, once the operation is known. */
void request_is(struct request *r, const char *operation);
bool request_is_head(const struct request *r);
void request_header(struct request *r, const char *name, const char *value);
void request_reply(
	struct request *r, int status, const char *type, const struct buf *body);
void request_reply_empty(struct request *r, int status);
/* Content from an object; takes the reference. */
void request_reply_object(
	struct request *r, int status, struct object *o, uint64_t from, uint64_t len);
void request_add_common(struct request *r);

/* S3's error XML. `extra` is further XML inside <Error>, or NULL. */
void s3_fail(struct request *r, int status, const char *code, const char *message,
	const char *extra);
void s3_fail_with(struct request *r, const struct api_error *e);
void s3_xml(struct request *r, const struct buf *body);
void xml_element(struct buf *out, const char *name, const char *value);
/* encoding-type=url when asked for, XML escapes otherwise. */
void xml_key(struct buf *out, const char *name, const char *key, bool is_url);
char *iso_ms(int64_t seconds, char out[32]);

/* --- S3 --- */

void s3_head(struct request *r);
void s3_end(struct request *r);
bool s3_is_expected(struct request *r, const struct bucket *b, const char *header);
bool s3_may(
	struct request *r, const char *action, const struct bucket *b, const char *key);
void s3_deny(
	struct request *r, const char *action, const struct bucket *b, const char *key);
/* Answers and returns false when the conditional headers (with a prefix, e.g.
 * "x-amz-copy-source-") forbid it. */
bool s3_conditions(struct request *r, const char *prefix, const struct object *o);
/* Of the request; NULL and false: answered. */
struct upload *s3_find_upload(struct request *r);
bool s3_read_part_number(struct request *r, unsigned *ret);
char *s3_etag_of(const uint8_t md5[16]); /* malloc'd */
bool s3_etag_is_in(const char *list, const char *etag);
/* Conditional writes; false: answered. */
bool s3_may_replace(struct request *r);
/* Tags, class, encryption, lock and ACL of this request are allowed; false: answered. */
bool s3_has_digest(const struct request *r);
bool s3_may_write(struct request *r);
/* Headers that belong to the object: all of them, or those that no copy brings along. */
void s3_read_meta(const struct request *r, struct meta *meta);
void s3_read_written(const struct request *r, struct meta *meta);
/* Account that will own it; NULL: the bucket's. */
const char *s3_owner_of_new(const struct request *r);
/* Stored as its headers say, with another ETag under KMS; the caller keeps a reference. */
void s3_store(struct request *r, struct object *o);
/* The object, by version too; allowed, or NULL: answered. */
struct object *s3_find(struct request *r, const struct bucket *b, const char *key,
	const char *version);
const char *s3_class_of(const struct object *o);
/* It is in no archive, or restored; false: answered. */
bool s3_is_readable(struct request *r, const struct object *o);
/* x-amz-restore, and RestoreStatus of a listing, where there is something to tell. */
void s3_answer_restore(struct request *r, const struct object *o);
void s3_tell_restore(struct buf *out, const struct object *o);
/* Every copy that was asked for is there. */
void s3_thaw(const struct objects *all, int64_t now_s);
/* CRC64NVME of a whole object or part: told, and compared with what the caller declares. */
void s3_answer_crc(struct request *r, uint64_t crc);
void s3_answer_sum(struct request *r, enum checksum_alg alg, const char *sum);
bool s3_check_crc(struct request *r, uint64_t crc); /* false: answered */

void s3_list_buckets(struct request *r);
void s3_create_bucket(struct request *r);
void s3_delete_bucket(struct request *r);
void s3_head_bucket(struct request *r);
void s3_get_location(struct request *r);
void s3_list_objects(struct request *r);
void s3_list_uploads(struct request *r);
void s3_get_object(struct request *r);
void s3_put_object(struct request *r);
void s3_copy_object(struct request *r);
void s3_delete_object(struct request *r);
void s3_delete_objects(struct request *r);
void s3_get_tags(struct request *r);
void s3_put_tags(struct request *r);
void s3_delete_tags(struct request *r);
void s3_restore_object(struct request *r);
void s3_create_upload(struct request *r);
void s3_upload_part(struct request *r);
void s3_upload_part_copy(struct request *r);
void s3_list_parts(struct request *r);
void s3_complete_upload(struct request *r);
void s3_abort_upload(struct request *r);

/* --- STS, metadata services and the back door --- */

void sts_end(struct request *r);
/* Paths below /latest/ are those of the instance metadata service, version 2 ... */
#define METADATA_CONTAINER "/container/credentials" /* ... and this is a container's */
void metadata_end(struct request *r);
void admin_end(struct request *r);
