/* ListObjectsV2: the query of one page, and its answer handed on. Not the next page. */
#include "config.h"

#include "s3/list.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "s3/list_parse.h"
#include "s3/op.h"

struct listing {
	s3_list_fn fn;
	void *arg;
};

static int read_page(const struct buf *body, struct s3_page *page)
{
	if (list_scan(buf_str(body), body->len, page))
		return 0;
	s3_page_done(page);
	return list_xml(buf_str(body), body->len, page);
}

static void on_done(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct listing *l = arg;
	struct s3_page page = {0};
	struct err e;

	if (!err && read_page(answer->body, &page) < 0) {
		err_set(&e, ERR_RETRY, ERR_FROM_S3, S3_LISTING_GARBLED,
			"the listing is not what ListObjectsV2 answers");
		snprintf(e.operation, sizeof(e.operation), "ListObjectsV2");
		e.http_status = answer->http->status;
		err = &e;
	}
	l->fn(l->arg, err, err ? NULL : &page);
	s3_page_done(&page);
	free(l);
}

struct s3_call *s3_list_page(
	const struct s3_env *env, const struct s3_list *list, s3_list_fn fn, void *arg)
{
	static const struct sigv4_pair restore = {
		"x-amz-optional-object-attributes", "RestoreStatus"};
	struct listing *l = mem_alloc(sizeof(*l));
	struct sigv4_pair query[6] = {{"list-type", "2"}, {"encoding-type", "url"}};
	size_t n = 2;
	char keys[16];
	struct s3_op op = {
		.operation = "ListObjectsV2",
		.method = "GET",
		.query = query,
		.headers = &restore,
		.header_count = list->wants_restore,
		.body_max = LIST_PAGE_MAX,
		.done = on_done,
		.arg = l,
	};

	l->fn = fn;
	l->arg = arg;
	snprintf(keys, sizeof(keys), "%d", list->max_keys);
	if (list->prefix && *list->prefix)
		query[n++] = (struct sigv4_pair){"prefix", list->prefix};
	if (list->start_after)
		query[n++] = (struct sigv4_pair){"start-after", list->start_after};
	if (list->token)
		query[n++] = (struct sigv4_pair){"continuation-token", list->token};
	if (list->max_keys > 0)
		query[n++] = (struct sigv4_pair){"max-keys", keys};
	op.query_count = n;
	return s3_op_start(env, &op);
}
