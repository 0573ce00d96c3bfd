/*
 * Buckets, objects and multipart uploads, in memory. Contents are counted blobs, so that
 * an answer under way survives an overwrite. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/checksum.h"

struct objects;
struct policy;

struct blob {
	unsigned refs;
	size_t len, cap;
	char *data;
};
struct blob *blob_new(size_t expected);
struct blob *blob_ref(struct blob *b);
void *blob_unref(struct blob *b); /* NULL-safe, returns NULL */
void blob_append(struct blob *b, const void *data, size_t len);

struct pair {
	char *name, *value;
};

/* What a PUT told about an object, as header name and value; tags as one query string. */
struct meta {
	struct pair *headers;
	size_t count;
	char *tags; /* "a=1&b=2", encoded, or NULL */
};
void meta_add(struct meta *m, const char *name, const char *value);
void meta_copy(struct meta *to, const struct meta *from);
void meta_done(struct meta *m);
size_t meta_tag_count(const struct meta *m);

struct object {
	char *key;
	struct blob *blob; /* NULL: dropped (discard) or computed (virtual) */
	bool is_virtual;
	uint64_t size;
	char *etag; /* quoted */
	uint64_t crc; /* CRC64NVME ... */
	bool has_crc; /* ... as today's S3 keeps of every object */
	enum checksum_alg sum_alg; /* or of another algorithm that was asked for */
	char sum[CHECKSUM_TEXT_LEN];
	uint64_t part_size; /* of the first part; 0: it was no multipart upload */
	unsigned part_count;
	int64_t modified_s;
	struct meta meta;
	char version[33]; /* "": the bucket keeps none */
	char *owner;      /* account id; NULL: the bucket's */
	/* of an archive class */
	int64_t restore_days;     /* 0: nobody asked for a copy that can be read */
	int64_t restored_until_s; /* 0: it is not there yet */
	unsigned refs;
};

struct part {
	unsigned number;
	struct blob *blob;
	uint64_t size;
	uint8_t md5[16];
	uint64_t crc;
	struct checksum_sum sum;
	int64_t modified_s;
};

struct upload {
	char id[33];
	char *key;
	char *initiator; /* ARN */
	int64_t started_s;
	struct meta meta;
	char *owner;
	bool has_crc; /* CRC64NVME was asked for */
	enum checksum_alg sum_alg; /* or another one, of the whole ... */
	bool is_composite;         /* ... or of the parts' sums */
	struct part *parts; /* by number */
	size_t part_count;
};

struct bucket {
	char *name, *owner; /* account id */
	char *region;       /* NULL: signed for any region */
	struct policy *policy;
	bool is_discard; /* bodies are hashed and dropped */
	bool is_versioned, has_lock, has_acls, is_requester_paid;
	struct object **older; /* versions that are not the newest, in no order */
	size_t older_count;
	int64_t created_s;
	struct object **objects; /* by key, bytewise */
	size_t count, cap;
	struct upload **uploads; /* by key, then by start */
	size_t upload_count;
};

struct objects *objects_new(void);
void *objects_free(struct objects *o);

/* NULL when the name is taken. */
struct bucket *objects_make_bucket(
	struct objects *o, const char *name, const char *owner);
struct bucket *objects_find_bucket(const struct objects *o, const char *name);
struct bucket *objects_bucket_at(const struct objects *o, size_t i); /* NULL at the end */
void objects_drop_bucket(struct objects *o, struct bucket *b);

/* Index of the first key not below `key`. */
size_t bucket_seek(const struct bucket *b, const char *key);
/* Also finds "virtual/<bytes>", made up on the spot. The caller unrefs; NULL: none. */
struct object *bucket_get(const struct bucket *b, const char *key);
/* That version, newest or not; "null" is one without an id. */
struct object *bucket_get_version(
	const struct bucket *b, const char *key, const char *version);
/* Takes the object over; gives it a version where the bucket keeps them. */
void bucket_put(struct bucket *b, struct object *obj);
bool bucket_delete(struct bucket *b, const char *key);

struct object *object_new(const char *key);
void *object_unref(struct object *o);
/* Bytes of any object; zeros where nothing was kept. */
void object_read(const struct object *o, uint64_t offset, char *out, size_t len);

struct upload *bucket_start_upload(
	struct bucket *b, const char *key, const char *initiator, int64_t now_s);
struct upload *bucket_find_upload(
	const struct bucket *b, const char *key, const char *id);
void bucket_drop_upload(struct bucket *b, struct upload *u);
/* Replaces a part of the same number; part->blob is taken over. */
void upload_put_part(struct upload *u, const struct part *part);
struct part *upload_find_part(const struct upload *u, unsigned number);
