/* A listing read with expat: slow, and right by definition. Not the fast reader. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/xml.h"
#include "s3/list.h"
#include "s3/list_parse.h"

struct reader {
	struct s3_page *page;
	struct s3_entry *entry; /* NULL: outside Contents */
	bool is_encoded, is_broken, has_truncated;
};

static void on_open(void *arg, const char *path)
{
	struct reader *r = arg;

	if (!str_eq(path, "ListBucketResult/Contents"))
		return;
	r->entry = list_add(r->page);
	r->is_broken |= !r->entry;
}

static void on_close(void *arg, const char *path)
{
	struct reader *r = arg;

	if (str_eq(path, "ListBucketResult/Contents"))
		r->entry = NULL;
}

static uint32_t put(struct reader *r, const char *text, size_t len)
{
	uint32_t at = list_put(r->page, text, len);

	r->is_broken |= !at;
	return at;
}

static bool read_bool(struct reader *r, const char *text)
{
	bool is_true = str_eq(text, "true");

	r->is_broken |= !is_true && !str_eq(text, "false");
	return is_true;
}

static void on_entry_text(
	struct reader *r, const char *name, const char *text, size_t len)
{
	struct s3_entry *e = r->entry;
	uint64_t n = 0;

	if (str_eq(name, "Key")) {
		e->key_at = put(r, text, len);
		e->key_len = (uint32_t)len;
	} else if (str_eq(name, "ETag")) {
		e->etag_at = put(r, text, len);
	} else if (str_eq(name, "StorageClass")) {
		e->storage_class_at = put(r, text, len);
	} else if (str_eq(name, "Size")) {
		r->is_broken |= str_to_uint(text, INT64_MAX, &n) < 0;
		e->size = (int64_t)n;
	} else if (str_eq(name, "LastModified")) {
		r->is_broken |= clock_parse_iso_us(text, &e->modified_us) < 0;
	} else if (str_eq(name, "RestoreStatus/IsRestoreInProgress")) {
		e->restore = read_bool(r, text) ? S3_RESTORE_RUNNING : S3_RESTORE_DONE;
	} else if (str_eq(name, "RestoreStatus/RestoreExpiryDate")) {
		r->is_broken |= clock_parse_iso_us(text, &e->restored_until_us) < 0;
	}
}

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	struct reader *r = arg;

	if (r->entry && str_has_prefix(path, "ListBucketResult/Contents/")) {
		on_entry_text(r, path + strlen("ListBucketResult/Contents/"), text, len);
	} else if (str_eq(path, "ListBucketResult/IsTruncated")) {
		r->page->is_truncated = read_bool(r, text);
		r->has_truncated = true;
	} else if (str_eq(path, "ListBucketResult/NextContinuationToken")) {
		r->page->token_at = put(r, text, len);
	} else if (str_eq(path, "ListBucketResult/EncodingType")) {
		r->is_encoded = str_eq(text, "url");
	}
}

int list_xml(const char *data, size_t len, struct s3_page *ret)
{
	struct reader r = {.page = ret};
	const struct xml_handler handler = {on_open, on_text, on_close, &r};
	struct xml *x = xml_new(&handler, LIST_PAGE_MAX);
	bool is_good = xml_feed(x, data, len) == 0 && xml_finish(x) == 0 &&
		       str_eq(xml_root(x), "ListBucketResult");

	xml_free(x);
	is_good &= !r.is_broken && list_finish(ret, r.is_encoded, r.has_truncated);
	return is_good ? 0 : -EBADMSG;
}
