/* ListMultipartUploads of one key, or of a prefix. Not the next page, not their end. */
#include "config.h"

#include "s3/uploads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/skew.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "s3/answer.h"

#define PAGE      1000
#define PAGE_TEXT "1000"
#define BODY_MAX  (4 << 20)
#define KEY_MAX   1024

struct pending_list {
	s3_pending_fn fn;
	void *arg;
	char *key; /* the one that is asked for */
	struct s3_pending *items;
	size_t count, room, seen;
	char *key_marker, *id_marker;
	bool is_truncated, is_broken, is_wanted; /* is_wanted: of this key */
	bool is_prefix, is_encoded;
	struct s3_pending now; /* the one being read */
};

/*
 * As it is, or with encoding-type=url, which not every server says it followed. The
 * prefix that was asked for leaves nothing in doubt: a key whose encoding is ours lacks
 * it.
 */
static bool is_key(const char *text, size_t len, const char *key)
{
	_cleanup_free_ char *plain = mem_strndup(text, len);
	struct buf out = BUF_INIT(KEY_MAX);
	bool ret = str_eq(plain, key);

	for (char *p = plain; *p; p++)
		if (*p == '+')
			*p = ' ';
	if (!ret && str_uri_decode(&out, plain, len) == 0)
		ret = str_eq(buf_str(&out), key);
	buf_done(&out);
	return ret;
}

static void on_upload_text(
	struct pending_list *l, const char *name, const char *text, size_t len)
{
	struct s3_pending *p = &l->now;

	if (str_eq(name, "Key")) {
		l->is_wanted = l->is_prefix || is_key(text, len, l->key);
		if (l->is_prefix && len < sizeof(p->key))
			memcpy(p->key, text, len + 1);
	} else if (str_eq(name, "UploadId")) {
		snprintf(p->upload_id, sizeof(p->upload_id), "%s", text);
	} else if (str_eq(name, "Initiator/ID")) {
		snprintf(p->initiator, sizeof(p->initiator), "%s", text);
	} else if (str_eq(name, "Initiated")) {
		if (clock_parse_iso_us(text, &p->initiated_us) < 0)
			p->initiated_us = -1;
	}
}

static void on_open(void *arg, const char *path)
{
	struct pending_list *l = arg;

	if (!str_eq(path, "ListMultipartUploadsResult/Upload"))
		return;
	l->is_broken |= l->seen++ == PAGE;
	l->now = (struct s3_pending){.initiated_us = -1};
	l->is_wanted = false;
}

static void on_close(void *arg, const char *path)
{
	struct pending_list *l = arg;

	if (!str_eq(path, "ListMultipartUploadsResult/Upload") || l->is_broken)
		return;
	l->is_broken = !l->now.upload_id[0];
	if (!l->is_wanted)
		return;
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 4;
		l->items = mem_resize(l->items, l->room, sizeof(*l->items));
	}
	l->items[l->count++] = l->now;
}

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	static const char root[] = "ListMultipartUploadsResult/", upload[] = "Upload/";
	struct pending_list *l = arg;

	if (!str_has_prefix(path, root))
		return;
	path += strlen(root);
	if (str_has_prefix(path, upload)) {
		on_upload_text(l, path + strlen(upload), text, len);
	} else if (str_eq(path, "EncodingType")) {
		l->is_encoded = str_eq(text, "url");
	} else if (str_eq(path, "IsTruncated")) {
		l->is_truncated = str_eq(text, "true");
	} else if (str_eq(path, "NextKeyMarker")) {
		mem_replace(&l->key_marker, text);
	} else if (str_eq(path, "NextUploadIdMarker")) {
		mem_replace(&l->id_marker, text);
	}
}

static int decode_key(char key[S3_UPLOAD_KEY_LEN])
{
	struct buf out = BUF_INIT(S3_UPLOAD_KEY_LEN - 1);
	int r;

	for (char *p = key; *p; p++)
		if (*p == '+')
			*p = ' ';
	r = str_uri_decode(&out, key, strlen(key));
	if (r == 0)
		snprintf(key, S3_UPLOAD_KEY_LEN, "%s", buf_str(&out));
	buf_done(&out);
	return r;
}

static int decode_keys(struct pending_list *l)
{
	int r = 0;

	for (size_t i = 0; l->is_encoded && r == 0 && i < l->count; i++)
		r = decode_key(l->items[i].key);
	return r;
}

static int parse(struct pending_list *l, const struct buf *body)
{
	const struct xml_handler handler = {
		.on_open = on_open, .on_text = on_text, .on_close = on_close, .arg = l};
	int r = s3_answer_parse(body, BODY_MAX, "ListMultipartUploadsResult", &handler);

	return r < 0 || l->is_broken || decode_keys(l) < 0 ? -1 : 0;
}

static int64_t read_skew(const struct http_response *r)
{
	const struct skew_sample sample = {http_header(r, "date"), http_header(r, "age"),
		r->sent_at_us, r->received_at_us};
	int64_t us;

	return skew_measure(&sample, &us) ? us : 0;
}

static void on_done(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct pending_list *l = arg;
	struct s3_pending_page page = {0};
	struct err e;

	if (!err && parse(l, answer->body) < 0) {
		err_set(&e, ERR_RETRY, ERR_FROM_S3, "no-result",
			"the answer is not what ListMultipartUploads tells");
		snprintf(e.operation, sizeof(e.operation), "ListMultipartUploads");
		e.http_status = answer->http->status;
		err = &e;
	}
	page.items = l->items;
	page.count = l->count;
	page.key_marker = l->is_truncated && l->key_marker ? l->key_marker : "";
	page.id_marker = l->is_truncated && l->id_marker ? l->id_marker : "";
	page.skew_us = err ? 0 : read_skew(answer->http);
	l->fn(l->arg, err, err ? NULL : &page);
	free(l->items);
	free(l->key);
	free(l->key_marker);
	free(l->id_marker);
	free(l);
}

struct s3_call *s3_list_uploads(const struct s3_env *env,
	const struct s3_pending_query *q, s3_pending_fn fn, void *arg)
{
	struct sigv4_pair query[6] = {{"uploads", ""}, {"encoding-type", "url"},
		{"max-uploads", PAGE_TEXT}, {"prefix", q->key}};
	struct pending_list *l = mem_alloc(sizeof(*l));
	struct s3_op op = {.operation = "ListMultipartUploads",
		.method = "GET",
		.query = query,
		.query_count = 4,
		.body_max = BODY_MAX,
		.done = on_done,
		.arg = l};

	if (*q->key_marker)
		query[op.query_count++] = (struct sigv4_pair){
			"key-marker", q->key_marker};
	if (*q->id_marker)
		query[op.query_count++] = (struct sigv4_pair){
			"upload-id-marker", q->id_marker};
	l->fn = fn;
	l->arg = arg;
	l->key = mem_strdup(q->key);
	l->is_prefix = q->is_prefix;
	return s3_op_start(env, &op);
}
