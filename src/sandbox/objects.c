/*
 * The store of the sandbox: sorted arrays, nothing on disk, gone with the process. Not
 * built for millions of objects: an insert moves pointers.
 */
#include "config.h"

#include "sandbox/objects.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/policy.h"

struct objects {
	struct bucket **buckets; /* by name */
	size_t count;
};

/* --- blobs and metadata --- */

struct blob *blob_new(size_t expected)
{
	struct blob *b = mem_alloc(sizeof(*b));

	b->refs = 1;
	b->cap = expected;
	if (expected)
		b->data = mem_resize(NULL, expected, 1);
	return b;
}

struct blob *blob_ref(struct blob *b)
{
	if (b)
		b->refs++;
	return b;
}

void *blob_unref(struct blob *b)
{
	if (b && --b->refs == 0) {
		free(b->data);
		free(b);
	}
	return NULL;
}

void blob_append(struct blob *b, const void *data, size_t len)
{
	if (b->len + len > b->cap) {
		b->cap = b->cap * 2 > b->len + len ? b->cap * 2 : b->len + len;
		b->data = mem_resize(b->data, b->cap, 1);
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

void meta_add(struct meta *m, const char *name, const char *value)
{
	m->headers = mem_resize(m->headers, m->count + 1, sizeof(*m->headers));
	m->headers[m->count++] = (struct pair){mem_strdup(name), mem_strdup(value)};
}

void meta_copy(struct meta *to, const struct meta *from)
{
	for (size_t i = 0; i < from->count; i++)
		meta_add(to, from->headers[i].name, from->headers[i].value);
	mem_replace(&to->tags, from->tags);
}

void meta_done(struct meta *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->headers[i].name);
		free(m->headers[i].value);
	}
	free(m->headers);
	free(m->tags);
	*m = (struct meta){0};
}

size_t meta_tag_count(const struct meta *m)
{
	size_t n = 1;

	if (!m->tags || !*m->tags)
		return 0;
	for (const char *p = m->tags; *p; p++)
		n += *p == '&';
	return n;
}

/* --- objects --- */

struct object *object_new(const char *key)
{
	struct object *o = mem_alloc(sizeof(*o));

	o->refs = 1;
	o->key = mem_strdup(key);
	return o;
}

void *object_unref(struct object *o)
{
	if (o && --o->refs == 0) {
		free(o->key);
		free(o->etag);
		free(o->owner);
		blob_unref(o->blob);
		meta_done(&o->meta);
		free(o);
	}
	return NULL;
}

/* A fixed mix of the word's index (splitmix64): every offset can be told alone. */
static uint64_t virtual_word(uint64_t index)
{
	uint64_t z = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void virtual_read(uint64_t offset, char *out, size_t len)
{
	while (len) {
		uint64_t word = virtual_word(offset / 8);
		size_t skip = offset % 8;
		size_t n = len < 8 - skip ? len : 8 - skip;

		memcpy(out, (char *)&word + skip, n);
		out += n;
		offset += n;
		len -= n;
	}
}

void object_read(const struct object *o, uint64_t offset, char *out, size_t len)
{
	if (o->is_virtual)
		virtual_read(offset, out, len);
	else if (o->blob)
		memcpy(out, o->blob->data + offset, len);
	else
		memset(out, 0, len);
}

static struct object *make_virtual(const char *key)
{
	uint8_t md5[CRYPTO_MD5_LEN];
	char hex[2 * sizeof(md5) + 1];
	struct object *o;
	uint64_t size;

	if (!str_has_prefix(key, "virtual/") ||
		str_to_uint(key + 8, INT64_C(64) << 40, &size) < 0)
		return NULL;
	o = object_new(key);
	o->is_virtual = true;
	o->size = size;
	o->modified_s = 1767225600; /* 2026-01-01: the same in every run */
	crypto_md5(key, strlen(key), md5);
	str_to_hex(md5, sizeof(md5), hex);
	/* The "-1" says that it is no digest of the content. */
	o->etag = mem_printf("\"%s-1\"", hex);
	return o;
}

size_t bucket_seek(const struct bucket *b, const char *key)
{
	size_t low = 0, high = b->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(b->objects[mid]->key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct object *bucket_get(const struct bucket *b, const char *key)
{
	size_t i = bucket_seek(b, key);

	if (i == b->count || strcmp(b->objects[i]->key, key) != 0)
		return make_virtual(key);
	b->objects[i]->refs++;
	return b->objects[i];
}

static bool is_version(const struct object *o, const char *key, const char *version)
{
	return strcmp(o->key, key) == 0 &&
	       strcmp(o->version[0] ? o->version : "null", version) == 0;
}

struct object *bucket_get_version(
	const struct bucket *b, const char *key, const char *version)
{
	struct object *o = bucket_get(b, key);

	if (o && is_version(o, key, version))
		return o;
	object_unref(o);
	for (size_t i = 0; i < b->older_count; i++) {
		o = b->older[i];
		if (!is_version(o, key, version))
			continue;
		o->refs++;
		return o;
	}
	return NULL;
}

/* Takes the reference. */
static void retire(struct bucket *b, struct object *o)
{
	if (!b->is_versioned) {
		object_unref(o);
		return;
	}
	b->older = mem_resize(b->older, b->older_count + 1, sizeof(*b->older));
	b->older[b->older_count++] = o;
}

void bucket_put(struct bucket *b, struct object *obj)
{
	size_t i = bucket_seek(b, obj->key);
	uint8_t noise[16];

	if (b->is_versioned) {
		crypto_random(noise, sizeof(noise));
		str_to_hex(noise, sizeof(noise), obj->version);
	}
	if (i < b->count && strcmp(b->objects[i]->key, obj->key) == 0) {
		retire(b, b->objects[i]);
		b->objects[i] = obj;
		return;
	}
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 16;
		b->objects = mem_resize(b->objects, b->cap, sizeof(*b->objects));
	}
	memmove(b->objects + i + 1, b->objects + i, (b->count - i) * sizeof(*b->objects));
	b->objects[i] = obj;
	b->count++;
}

bool bucket_delete(struct bucket *b, const char *key)
{
	size_t i = bucket_seek(b, key);

	if (i == b->count || strcmp(b->objects[i]->key, key) != 0)
		return false;
	retire(b, b->objects[i]);
	b->count--;
	memmove(b->objects + i, b->objects + i + 1, (b->count - i) * sizeof(*b->objects));
	return true;
}

/* --- uploads --- */

static void upload_free(struct upload *u)
{
	for (size_t i = 0; i < u->part_count; i++)
		blob_unref(u->parts[i].blob);
	free(u->parts);
	free(u->key);
	free(u->initiator);
	free(u->owner);
	meta_done(&u->meta);
	free(u);
}

struct upload *bucket_start_upload(
	struct bucket *b, const char *key, const char *initiator, int64_t now_s)
{
	struct upload *u = mem_alloc(sizeof(*u));
	uint8_t noise[16];
	size_t i = b->upload_count;

	crypto_random(noise, sizeof(noise));
	str_to_hex(noise, sizeof(noise), u->id);
	u->key = mem_strdup(key);
	u->initiator = mem_strdup(initiator);
	u->started_s = now_s;
	b->uploads = mem_resize(b->uploads, b->upload_count + 1, sizeof(*b->uploads));
	for (; i > 0 && strcmp(b->uploads[i - 1]->key, key) > 0; i--)
		b->uploads[i] = b->uploads[i - 1];
	b->uploads[i] = u;
	b->upload_count++;
	return u;
}

struct upload *bucket_find_upload(const struct bucket *b, const char *key, const char *id)
{
	for (size_t i = 0; i < b->upload_count; i++)
		if (strcmp(b->uploads[i]->id, id) == 0)
			return strcmp(b->uploads[i]->key, key) == 0 ? b->uploads[i]
								    : NULL;
	return NULL;
}

void bucket_drop_upload(struct bucket *b, struct upload *u)
{
	size_t i = 0;

	while (b->uploads[i] != u)
		i++;
	b->upload_count--;
	memmove(b->uploads + i, b->uploads + i + 1,
		(b->upload_count - i) * sizeof(*b->uploads));
	upload_free(u);
}

struct part *upload_find_part(const struct upload *u, unsigned number)
{
	for (size_t i = 0; i < u->part_count; i++)
		if (u->parts[i].number == number)
			return &u->parts[i];
	return NULL;
}

void upload_put_part(struct upload *u, const struct part *part)
{
	struct part *old = upload_find_part(u, part->number);
	size_t i = u->part_count;

	if (old) {
		blob_unref(old->blob);
		*old = *part;
		return;
	}
	u->parts = mem_resize(u->parts, u->part_count + 1, sizeof(*u->parts));
	for (; i > 0 && u->parts[i - 1].number > part->number; i--)
		u->parts[i] = u->parts[i - 1];
	u->parts[i] = *part;
	u->part_count++;
}

/* --- buckets --- */

static void bucket_free(struct bucket *b)
{
	for (size_t i = 0; i < b->count; i++)
		object_unref(b->objects[i]);
	for (size_t i = 0; i < b->older_count; i++)
		object_unref(b->older[i]);
	free(b->older);
	for (size_t i = 0; i < b->upload_count; i++)
		upload_free(b->uploads[i]);
	free(b->objects);
	free(b->uploads);
	policy_free(b->policy);
	free(b->name);
	free(b->owner);
	free(b->region);
	free(b);
}

struct objects *objects_new(void)
{
	return mem_alloc(sizeof(struct objects));
}

void *objects_free(struct objects *o)
{
	if (!o)
		return NULL;
	for (size_t i = 0; i < o->count; i++)
		bucket_free(o->buckets[i]);
	free(o->buckets);
	free(o);
	return NULL;
}

struct bucket *objects_find_bucket(const struct objects *o, const char *name)
{
	for (size_t i = 0; i < o->count; i++)
		if (strcmp(o->buckets[i]->name, name) == 0)
			return o->buckets[i];
	return NULL;
}

struct bucket *objects_bucket_at(const struct objects *o, size_t i)
{
	return i < o->count ? o->buckets[i] : NULL;
}

struct bucket *objects_make_bucket(struct objects *o, const char *name, const char *owner)
{
	size_t i = o->count;
	struct bucket *b;

	if (objects_find_bucket(o, name))
		return NULL;
	b = mem_alloc(sizeof(*b));
	b->name = mem_strdup(name);
	b->owner = mem_strdup(owner);
	o->buckets = mem_resize(o->buckets, o->count + 1, sizeof(*o->buckets));
	for (; i > 0 && strcmp(o->buckets[i - 1]->name, name) > 0; i--)
		o->buckets[i] = o->buckets[i - 1];
	o->buckets[i] = b;
	o->count++;
	return b;
}

void objects_drop_bucket(struct objects *o, struct bucket *b)
{
	size_t i = 0;

	while (o->buckets[i] != b)
		i++;
	o->count--;
	memmove(o->buckets + i, o->buckets + i + 1, (o->count - i) * sizeof(*o->buckets));
	bucket_free(b);
}
