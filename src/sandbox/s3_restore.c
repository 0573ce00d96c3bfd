/*
 * Objects in an archive: what cannot be read, asking for a copy that can, and what
 * listings tell of it. Copies are there when the back door says so: no clock runs here.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/xml.h"
#include "sandbox/sandbox.h"

#define DAYS_MAX 36500
#define DAY_S    86400

const char *s3_class_of(const struct object *o)
{
	for (size_t i = 0; i < o->meta.count; i++)
		if (strcmp(o->meta.headers[i].name, "x-amz-storage-class") == 0)
			return o->meta.headers[i].value;
	return "STANDARD";
}

static bool is_archived(const struct object *o)
{
	return str_eq(s3_class_of(o), "GLACIER") ||
	       str_eq(s3_class_of(o), "DEEP_ARCHIVE");
}

bool s3_is_readable(struct request *r, const struct object *o)
{
	char extra[64];

	if (!is_archived(o) || o->restored_until_s > r->now_s)
		return true;
	snprintf(extra, sizeof(extra), "<StorageClass>%s</StorageClass>", s3_class_of(o));
	s3_fail(r, 403, "InvalidObjectState",
		"The operation is not valid for the object's storage class", extra);
	return false;
}

void s3_answer_restore(struct request *r, const struct object *o)
{
	if (o->restore_days)
		request_header(r, "x-amz-restore",
			o->restored_until_s ? "ongoing-request=\"false\""
					    : "ongoing-request=\"true\"");
}

void s3_tell_restore(struct buf *out, const struct object *o)
{
	char date[32];

	if (!o->restore_days)
		return;
	buf_printf(out, "<RestoreStatus><IsRestoreInProgress>%s</IsRestoreInProgress>",
		o->restored_until_s ? "false" : "true");
	if (o->restored_until_s)
		xml_element(out, "RestoreExpiryDate", iso_ms(o->restored_until_s, date));
	buf_puts(out, "</RestoreStatus>");
}

struct wish {
	uint64_t days;
	bool is_bad;
};

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	struct wish *w = arg;

	(void)len;
	if (strcmp(path, "RestoreRequest/Days") == 0)
		w->is_bad |= str_to_uint(text, DAYS_MAX, &w->days) < 0;
	else if (strcmp(path, "RestoreRequest/GlacierJobParameters/Tier") == 0)
		w->is_bad |= !str_eq(text, "Standard") && !str_eq(text, "Bulk") &&
			     !str_eq(text, "Expedited");
}

static bool read_wish(struct request *r, uint64_t *ret_days)
{
	struct wish w = {0};
	const struct xml_handler handler = {NULL, on_text, NULL, &w};
	const struct blob *body = r->body.blob;
	struct xml *xml = xml_new(&handler, BODY_TEXT_MAX);

	if (xml_feed(xml, body->data ? body->data : "", body->len) < 0 ||
		xml_finish(xml) < 0 || w.is_bad || !w.days)
		s3_fail(r, 400, "MalformedXML",
			"The XML you provided was not well-formed or did not validate "
			"against our published schema",
			NULL);
	else
		*ret_days = w.days;
	xml_free(xml);
	return *ret_days > 0;
}

static void restore(struct request *r, struct object *o, uint64_t days)
{
	if (!is_archived(o)) {
		s3_fail(r, 403, "InvalidObjectState",
			"Restore is not allowed for the object's current storage class",
			NULL);
	} else if (o->restore_days && !o->restored_until_s) {
		s3_fail(r, 409, "RestoreAlreadyInProgress",
			"Object restore is already in progress", NULL);
	} else if (o->restored_until_s > r->now_s) {
		o->restored_until_s = r->now_s + (int64_t)days * DAY_S;
		request_reply_empty(r, 200);
	} else {
		o->restore_days = (int64_t)days;
		o->restored_until_s = 0;
		request_reply_empty(r, 202);
	}
}

void s3_restore_object(struct request *r)
{
	struct object *o = s3_find(
		r, r->bucket, r->key, query_get(&r->query, "versionId"));
	uint64_t days = 0;

	if (o && read_wish(r, &days))
		restore(r, o, days);
	object_unref(o);
}

void s3_thaw(const struct objects *all, int64_t now_s)
{
	const struct bucket *b;

	for (size_t i = 0; (b = objects_bucket_at(all, i)); i++)
		for (size_t k = 0; k < b->count; k++)
			if (b->objects[k]->restore_days &&
				!b->objects[k]->restored_until_s)
				b->objects[k]->restored_until_s =
					now_s + b->objects[k]->restore_days * DAY_S;
}
