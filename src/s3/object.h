/*
 * Head, get, put and delete of one object as typed calls. Streams go through hooks that
 * may pause; see s3_call_resume(). Nothing is retried here, and no digest is compared.
 * done() comes exactly once, never inside the start; then the call is dead.
 */
#pragma once

#include "base/checksum.h"
#include "s3/op.h"

/* Headers of an object that travel with it from one bucket to the other. */
struct s3_meta {
	struct sigv4_pair *pairs; /* malloc'd, and so are their texts */
	size_t count, room;
};
void s3_meta_done(struct s3_meta *meta);
/* Copies both. A value that no header can hold is the caller's to refuse. */
void s3_meta_add(struct s3_meta *meta, const char *name, const char *value);

/* What an answer's headers say of the object. */
struct s3_head {
	int64_t length; /* HTTP_NO_LENGTH: not told */
	char etag[128];
	char version[128];
	int64_t modified_us; /* since 1970; 0: not told */
	char crc64nvme[16]; /* base64, of the whole object; "": not told */
	/* Where that is not told: another one, maybe a composite ("...-3"), or NONE. */
	enum checksum_alg sum_alg;
	char sum[CHECKSUM_TEXT_LEN];
	int part_count; /* asked for with a part_number; 0: not told */
	bool is_etag_md5;   /* a digest of the bytes: 32 hex digits, no KMS, no SSE-C */
	char storage_class[24]; /* "": STANDARD */
	enum s3_restore restore; /* of an archive class */
	char lock_mode[16], lock_until[40]; /* of its retention; "": none */
	bool has_legal_hold;
	int tag_count;
	int hidden_meta; /* user metadata that no header can hold */
	bool is_aws;
	int status;
};

/* What must be at the key where something is written. */
struct s3_condition {
	bool is_absent;   /* nothing */
	const char *etag; /* this object; NULL or "": not asked */
};

/* on_head gets what meta owns; take it (and zero it) to keep it. */
typedef enum http_flow (*s3_head_fn)(
	void *arg, const struct s3_head *head, struct s3_meta *meta);
typedef void (*s3_object_fn)(void *arg, const struct err *err, const struct s3_head *head);

struct s3_object {
	const char *key;

	/* get, delete */
	const char *if_match; /* NULL or "": any */
	/* get */
	const char *if_none_match; /* NULL or "": not asked. 304 is an error, "NotModified" */
	const char *version; /* NULL or "": the newest */
	int part_number; /* 1, of a head: of the first part alone; 0: of the whole */
	int64_t range_first, range_length; /* bytes; length 0: the whole object */
	s3_head_fn on_head;   /* NULL-able; of a 2xx */
	enum http_flow (*on_body)(void *arg, const char *data, size_t len);

	/* put: `length` bytes, a stream or, when `body` is not NULL, all there */
	int64_t length;
	const char *body; /* copied during the start */
	enum http_flow (*on_send)(void *arg, char *out, size_t max, size_t *ret_len);
	const struct s3_meta *meta; /* NULL-able */
	const char *crc64nvme;      /* NULL or "": not known ahead */
	enum checksum_alg sum_alg;  /* else another one; a composite is not sent */
	const char *sum;
	/* What the server is to keep; NONE: what is told here, else CRC64NVME. Of a part:
	 * what its upload keeps; NONE: nothing. */
	enum checksum_alg asked;
	const struct s3_condition *condition; /* NULL-able */

	s3_object_fn done;
	void *arg;
};

/* Of an answer that arrived; for the other files of s3. */
void s3_head_read(const struct s3_answer *answer, struct s3_head *ret);
/* A checksum that stands in a body, if that is what the element is. */
void s3_head_take_sum(struct s3_head *head, const char *element, const char *text);
/* The ETag that stands in a body; quotes are added where they lack. */
void s3_head_set_etag(
	const struct s3_answer *answer, struct s3_head *head, const char *etag);
/* 0 or 1 header into *ret; returns how many. */
size_t s3_condition_header(const struct s3_condition *c, struct sigv4_pair *ret);

struct s3_call *s3_head_object(const struct s3_env *env, const struct s3_object *o);
struct s3_call *s3_get_object(const struct s3_env *env, const struct s3_object *o);
struct s3_call *s3_put_object(const struct s3_env *env, const struct s3_object *o);
struct s3_call *s3_delete_object(const struct s3_env *env, const struct s3_object *o);
