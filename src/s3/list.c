/* ListObjectsV2: the query of one page, and its XML as entries. Not the next page. */
#include "config.h"

#include "s3/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "s3/op.h"

#define PAGE_MAX    (8 * 1024 * 1024)
#define ENTRIES_MAX 10000
#define KEY_MAX     1024

struct listing {
	s3_list_fn fn;
	void *arg;
	struct s3_page page;
	size_t cap;
	char *token;
	bool is_encoded, is_broken;
};

static void listing_free(struct listing *l)
{
	size_t i;

	for (i = 0; i < l->page.count; i++) {
		free(l->page.entries[i].key);
		free(l->page.entries[i].etag);
		free(l->page.entries[i].storage_class);
	}
	free(l->page.entries);
	free(l->token);
	free(l);
}

static void on_open(void *arg, const char *path)
{
	struct listing *l = arg;

	if (!str_eq(path, "ListBucketResult/Contents"))
		return;
	if (l->page.count == ENTRIES_MAX) {
		l->is_broken = true;
		return;
	}
	if (l->page.count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->page.entries =
			mem_resize(l->page.entries, l->cap, sizeof(*l->page.entries));
	}
	l->page.entries[l->page.count++] = (struct s3_entry){.size = -1};
}

static void on_entry_text(struct listing *l, const char *name, const char *text, size_t len)
{
	struct s3_entry *e;
	uint64_t n;

	if (!l->page.count || l->is_broken)
		return;
	e = &l->page.entries[l->page.count - 1];
	if (str_eq(name, "Key")) {
		free(e->key);
		e->key = mem_strndup(text, len);
	} else if (str_eq(name, "ETag")) {
		mem_replace(&e->etag, text);
	} else if (str_eq(name, "StorageClass")) {
		mem_replace(&e->storage_class, text);
	} else if (str_eq(name, "Size")) {
		if (str_to_uint(text, INT64_MAX, &n) < 0)
			l->is_broken = true;
		else
			e->size = (int64_t)n;
	} else if (str_eq(name, "LastModified")) {
		clock_parse_iso(text, &e->modified_s);
	}
}

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	struct listing *l = arg;

	if (str_has_prefix(path, "ListBucketResult/Contents/"))
		on_entry_text(l, path + strlen("ListBucketResult/Contents/"), text, len);
	else if (str_eq(path, "ListBucketResult/IsTruncated"))
		l->page.is_truncated = str_eq(text, "true");
	else if (str_eq(path, "ListBucketResult/NextContinuationToken"))
		mem_replace(&l->token, text);
	else if (str_eq(path, "ListBucketResult/EncodingType"))
		l->is_encoded = str_eq(text, "url");
}

/* S3 writes a space as '+' and a plus as %2B; others write %20. */
static int decode_key(struct s3_entry *e)
{
	struct buf out = BUF_INIT(KEY_MAX);
	char *p;
	int r;

	for (p = e->key; *p; p++)
		if (*p == '+')
			*p = ' ';
	r = str_uri_decode(&out, e->key, strlen(e->key));
	if (r < 0 || strlen(buf_str(&out)) != out.len) {
		buf_done(&out);
		return -1;
	}
	mem_replace(&e->key, buf_str(&out));
	buf_done(&out);
	return 0;
}

static int check_page(struct listing *l)
{
	size_t i;

	for (i = 0; i < l->page.count; i++) {
		struct s3_entry *e = &l->page.entries[i];

		if (!e->key || e->size < 0 || (l->is_encoded && decode_key(e) < 0))
			return -1;
	}
	l->page.next_token = l->page.is_truncated ? l->token : NULL;
	return l->is_broken || (l->page.is_truncated && !l->token) ? -1 : 0;
}

static int parse(struct listing *l, const struct buf *body)
{
	const struct xml_handler handler = {.on_open = on_open, .on_text = on_text, .arg = l};
	struct xml *x = xml_new(&handler, PAGE_MAX);
	int r = xml_feed(x, buf_str(body), body->len);

	if (r == 0)
		r = xml_finish(x);
	if (r == 0 && !str_eq(xml_root(x), "ListBucketResult"))
		r = -1;
	xml_free(x);
	return r < 0 ? r : check_page(l);
}

static void on_done(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct listing *l = arg;
	struct err e;

	if (!err && parse(l, answer->body) < 0) {
		err_set(&e, ERR_RETRY, ERR_FROM_S3, "bad-listing",
			"the listing is not what ListObjectsV2 answers");
		snprintf(e.operation, sizeof(e.operation), "ListObjectsV2");
		e.http_status = answer->http->status;
		err = &e;
	}
	l->fn(l->arg, err, err ? NULL : &l->page);
	listing_free(l);
}

struct s3_call *s3_list_page(struct http *http, const struct s3_place *place,
	const struct creds_set *creds, const char *prefix, const char *token, int max_keys,
	int64_t now_us, s3_list_fn fn, void *arg)
{
	struct listing *l = mem_alloc(sizeof(*l));
	const struct s3_env env = {http, place, creds, now_us, 0, NULL, NULL};
	struct sigv4_pair query[5] = {{"list-type", "2"}, {"encoding-type", "url"}};
	size_t n = 2;
	char keys[16];
	struct s3_op op = {
		.operation = "ListObjectsV2",
		.method = "GET",
		.query = query,
		.body_max = PAGE_MAX,
		.done = on_done,
		.arg = l,
	};

	l->fn = fn;
	l->arg = arg;
	snprintf(keys, sizeof(keys), "%d", max_keys);
	if (prefix && *prefix)
		query[n++] = (struct sigv4_pair){"prefix", prefix};
	if (token)
		query[n++] = (struct sigv4_pair){"continuation-token", token};
	if (max_keys > 0)
		query[n++] = (struct sigv4_pair){"max-keys", keys};
	op.query_count = n;
	return s3_op_start(&env, &op);
}
