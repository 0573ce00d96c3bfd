/*
 * The objects of the back door: written, deleted and told without a client's signature,
 * rights or request. Not S3: the operations that clients call are in s3_*.c.
 */
#include "config.h"

#include "sandbox/changes.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/objects.h"

char *change_read(struct change *c, const struct json *v, const struct objects *all)
{
	c->bucket = mem_strdup(json_get_str(v, "bucket"));
	c->key = mem_strdup(json_get_str(v, "key"));
	c->body = mem_strdup(json_get_str(v, "body"));
	if (!c->key || !*c->key)
		return mem_strdup("\"key\" is missing");
	if (!c->bucket || !objects_find_bucket(all, c->bucket))
		return mem_printf(
			"there is no bucket \"%s\"", c->bucket ? c->bucket : "");
	return NULL;
}

void change_done(struct change *c)
{
	free(c->bucket);
	free(c->key);
	free(c->body);
	*c = (struct change){0};
}

static struct object *new_object(const struct change *c, int64_t now_s)
{
	struct object *o = object_new(c->key);
	uint8_t md5[CRYPTO_MD5_LEN];
	char hex[2 * CRYPTO_MD5_LEN + 1];

	o->size = strlen(c->body);
	o->blob = blob_new(o->size);
	blob_append(o->blob, c->body, o->size);
	o->modified_s = now_s;
	crypto_md5(c->body, o->size, md5);
	str_to_hex(md5, sizeof(md5), hex);
	o->etag = mem_printf("\"%s\"", hex);
	o->crc = crc64nvme(0, c->body, o->size);
	o->has_crc = true;
	return o;
}

void change_apply(const struct change *c, struct objects *all, int64_t now_s)
{
	struct bucket *b = objects_find_bucket(all, c->bucket);

	if (!b) /* dropped since */
		return;
	if (c->body)
		bucket_put(b, new_object(c, now_s));
	else
		bucket_delete(b, c->key);
}

char *changes_make(const struct json *list, struct objects *all, int64_t now_s)
{
	size_t count = json_array_len(list);
	struct change *changes = mem_array(count + 1, sizeof(*changes));
	char *why = json_is_array(list) ? NULL
					: mem_strdup("a list of changes is missing");

	for (size_t i = 0; i < count && !why; i++)
		why = change_read(&changes[i], json_array_at(list, i), all);
	for (size_t i = 0; i < count && !why; i++)
		change_apply(&changes[i], all, now_s);
	for (size_t i = 0; i < count; i++)
		change_done(&changes[i]);
	free(changes);
	return why;
}

void changes_list(const struct objects *all, const char *bucket, const char *prefix,
	struct buf *out)
{
	const struct bucket *b = bucket ? objects_find_bucket(all, bucket) : NULL;
	struct json_writer w;

	json_writer_init(&w, out);
	json_object_begin(&w, NULL);
	json_array_begin(&w, "objects");
	for (size_t i = b ? bucket_seek(b, prefix) : 0; b && i < b->count; i++) {
		const struct object *o = b->objects[i];

		if (!str_has_prefix(o->key, prefix))
			break;
		json_object_begin(&w, NULL);
		json_put_str(&w, "key", o->key);
		json_put_str(&w, "etag", o->etag);
		json_put_int(&w, "size", (int64_t)o->size);
		json_put_int(&w, "modified", o->modified_s);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
}
