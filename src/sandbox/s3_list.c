/* Listings of a bucket: objects (version 2 and the older form) and multipart uploads. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "sandbox/sandbox.h"

#define ANSWER_BYTES (16 << 20)

struct listing {
	const struct bucket *bucket;
	const char *prefix, *delimiter;
	char *after; /* the last key, or common prefix, already told */
	uint64_t max;
	uint64_t told;
	bool is_url, is_truncated, wants_restore;
	char *common; /* the last common prefix told */
	struct buf keys, prefixes;
};

static const char *param(const struct request *r, const char *name)
{
	const char *v = query_get(&r->query, name);

	return v ? v : "";
}

static void tell_object(struct listing *l, const struct object *o)
{
	char date[32];

	buf_puts(&l->keys, "<Contents>");
	xml_key(&l->keys, "Key", o->key, l->is_url);
	xml_element(&l->keys, "LastModified", iso_ms(o->modified_s, date));
	xml_element(&l->keys, "ETag", o->etag);
	buf_printf(&l->keys, "<Size>%llu</Size>", (unsigned long long)o->size);
	xml_element(&l->keys, "StorageClass", s3_class_of(o));
	if (l->wants_restore)
		s3_tell_restore(&l->keys, o);
	buf_puts(&l->keys, "</Contents>");
}

static void tell_prefix(struct listing *l, const char *prefix)
{
	buf_puts(&l->prefixes, "<CommonPrefixes>");
	xml_key(&l->prefixes, "Prefix", prefix, l->is_url);
	buf_puts(&l->prefixes, "</CommonPrefixes>");
	mem_replace(&l->common, prefix);
}

/* The common prefix that this key belongs to, or NULL. */
static char *group_of(const struct listing *l, const char *key)
{
	const char *at = *l->delimiter ? strstr(key + strlen(l->prefix), l->delimiter)
				       : NULL;

	return at ? mem_strndup(key, (size_t)(at - key) + strlen(l->delimiter)) : NULL;
}

static void collect(struct listing *l)
{
	const struct bucket *b = l->bucket;
	bool is_after = strcmp(l->after, l->prefix) > 0;

	for (size_t i = bucket_seek(b, is_after ? l->after : l->prefix); i < b->count;
		i++) {
		const struct object *o = b->objects[i];
		_cleanup_free_ char *group = NULL;

		if (!str_has_prefix(o->key, l->prefix))
			break;
		if (*l->after && strcmp(o->key, l->after) <= 0)
			continue;
		group = group_of(l, o->key);
		if (group && (str_eq(group, l->common) || strcmp(group, l->after) <= 0))
			continue;
		if (l->told == l->max) {
			l->is_truncated = l->max > 0;
			break;
		}
		l->told++;
		if (group)
			tell_prefix(l, group);
		else
			tell_object(l, o);
		if (l->told == l->max) {
			free(l->after);
			l->after = mem_strdup(group ? group : o->key);
		}
	}
}

/* An opaque token: hex of the last key. */
static char *token_of(const char *key)
{
	char *out = mem_alloc(2 * strlen(key) + 2);

	out[0] = '1';
	str_to_hex(key, strlen(key), out + 1);
	return out;
}

static char *key_of(const char *token)
{
	size_t len = strlen(token) / 2;
	char *out = mem_alloc(len + 1);

	if (token[0] == '1' && strlen(token) % 2 == 1 &&
		str_from_hex(token + 1, out, len) == 0)
		return out;
	free(out);
	return NULL;
}

static bool read_params(struct request *r, struct listing *l, bool is_v2)
{
	const char *token = query_get(&r->query, "continuation-token");
	const char *max = query_get(&r->query, "max-keys");
	const char *encoding = query_get(&r->query, "encoding-type");

	l->bucket = r->bucket;
	l->prefix = param(r, "prefix");
	l->delimiter = param(r, "delimiter");
	l->max = 1000;
	l->is_url = encoding && strcmp(encoding, "url") == 0;
	l->wants_restore = str_eq(
		http_field(r->x, "x-amz-optional-object-attributes"), "RestoreStatus");
	if (is_v2 && token)
		l->after = key_of(token);
	else
		l->after = mem_strdup(param(r, is_v2 ? "start-after" : "marker"));
	if (!l->after || (max && str_to_uint(max, INT32_MAX, &l->max) < 0)) {
		s3_fail(r, 400, "InvalidArgument",
			"max-keys or continuation-token is not valid", NULL);
		return false;
	}
	if (l->max > 1000)
		l->max = 1000;
	return true;
}

static void tell_v2(const struct request *r, const struct listing *l, struct buf *b)
{
	const char *token = query_get(&r->query, "continuation-token");
	const char *after = query_get(&r->query, "start-after");
	_cleanup_free_ char *next = l->is_truncated ? token_of(l->after) : NULL;

	buf_printf(b, "<KeyCount>%llu</KeyCount>", (unsigned long long)l->told);
	if (token)
		xml_element(b, "ContinuationToken", token);
	if (next)
		xml_element(b, "NextContinuationToken", next);
	if (after)
		xml_key(b, "StartAfter", after, l->is_url);
}

static void tell_v1(const struct request *r, const struct listing *l, struct buf *b)
{
	xml_key(b, "Marker", param(r, "marker"), l->is_url);
	if (l->is_truncated && *l->delimiter)
		xml_key(b, "NextMarker", l->after, l->is_url);
}

void s3_list_objects(struct request *r)
{
	bool is_v2 = str_eq(query_get(&r->query, "list-type"), "2");
	struct listing l = {0};
	struct buf b = BUF_INIT(ANSWER_BYTES);

	buf_init(&l.keys, ANSWER_BYTES / 2);
	buf_init(&l.prefixes, ANSWER_BYTES / 2);
	if (read_params(r, &l, is_v2)) {
		collect(&l);
		buf_puts(&b, XML_HEAD "<ListBucketResult " S3_NS ">");
		xml_element(&b, "Name", l.bucket->name);
		xml_key(&b, "Prefix", l.prefix, l.is_url);
		if (*l.delimiter)
			xml_key(&b, "Delimiter", l.delimiter, l.is_url);
		buf_printf(&b, "<MaxKeys>%llu</MaxKeys>", (unsigned long long)l.max);
		if (l.is_url)
			xml_element(&b, "EncodingType", "url");
		xml_element(&b, "IsTruncated", l.is_truncated ? "true" : "false");
		if (is_v2)
			tell_v2(r, &l, &b);
		else
			tell_v1(r, &l, &b);
		buf_append(&b, buf_str(&l.keys), l.keys.len);
		buf_append(&b, buf_str(&l.prefixes), l.prefixes.len);
		buf_puts(&b, "</ListBucketResult>");
		s3_xml(r, &b);
	}
	buf_done(&b);
	buf_done(&l.keys);
	buf_done(&l.prefixes);
	free(l.after);
	free(l.common);
}

static void tell_person(struct buf *b, const char *role, const char *id)
{
	buf_printf(b, "<%s>", role);
	xml_element(b, "ID", id);
	xml_element(b, "DisplayName", id);
	buf_printf(b, "</%s>", role);
}

void s3_list_uploads(struct request *r)
{
	const char *prefix = param(r, "prefix");
	const char *key_after = param(r, "key-marker"),
		   *id_after = param(r, "upload-id-marker");
	bool is_url = str_eq(query_get(&r->query, "encoding-type"), "url");
	const struct upload *u, *last = NULL;
	struct buf b = BUF_INIT(ANSWER_BYTES), list = BUF_INIT(ANSWER_BYTES / 2);
	bool is_truncated = false, is_past_id = !*id_after;
	uint64_t max = 1000, told = 0;
	char date[32];

	str_to_uint(param(r, "max-uploads"), 1000, &max);
	for (size_t i = 0; i < r->bucket->upload_count; i++) {
		int order;

		u = r->bucket->uploads[i];
		order = strcmp(u->key, key_after);
		if (!str_has_prefix(u->key, prefix) || order < 0 ||
			(order == 0 && *key_after && (is_past_id ? !*id_after : true))) {
			is_past_id |= order == 0 && str_eq(u->id, id_after);
			continue;
		}
		if (told == max) {
			is_truncated = true;
			break;
		}
		told++;
		last = u;
		buf_puts(&list, "<Upload>");
		xml_key(&list, "Key", u->key, is_url);
		xml_element(&list, "UploadId", u->id);
		xml_element(&list, "Initiated", iso_ms(u->started_s, date));
		tell_person(&list, "Initiator", u->initiator);
		tell_person(&list, "Owner", r->bucket->owner);
		buf_puts(&list, "<StorageClass>STANDARD</StorageClass></Upload>");
	}
	buf_puts(&b, XML_HEAD "<ListMultipartUploadsResult " S3_NS ">");
	xml_element(&b, "Bucket", r->bucket->name);
	xml_key(&b, "KeyMarker", key_after, is_url);
	xml_element(&b, "UploadIdMarker", id_after);
	if (is_truncated && last) {
		xml_key(&b, "NextKeyMarker", last->key, is_url);
		xml_element(&b, "NextUploadIdMarker", last->id);
	}
	xml_key(&b, "Prefix", prefix, is_url);
	buf_printf(&b, "<MaxUploads>%llu</MaxUploads><IsTruncated>%s</IsTruncated>",
		(unsigned long long)max, is_truncated ? "true" : "false");
	if (is_url)
		xml_element(&b, "EncodingType", "url");
	buf_append(&b, buf_str(&list), list.len);
	buf_puts(&b, "</ListMultipartUploadsResult>");
	s3_xml(r, &b);
	buf_done(&b);
	buf_done(&list);
}
