/*
 * Pages of a listing as S3 writes them, over scripted HTTP: what is asked for and what is
 * read. What becomes of the pages is test_lister.c's.
 */
#include "config.h"

#include "s3/op.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "tests/replay/http_replay.h"

struct fixture {
	struct replay net;
	int pages;
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	replay_init(&f->net);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	replay_done(&f->net);
	free(f);
	return 0;
}

static void on_page(void *arg, const struct err *err, struct s3_page *page)
{
	struct fixture *f = arg;

	f->pages++;
	if (f->pages == 2) {
		assert_non_null(err);
		assert_string_equal(err->code, "InternalError");
		return;
	}
	assert_null(err);
	assert_int_equal(page->count, 2);
	assert_string_equal(s3_page_text(page, page->entries[0].key_at), "a b+c/%");
	assert_int_equal(page->entries[0].key_len, 7);
	assert_int_equal(page->entries[0].size, 12);
	assert_string_equal(s3_page_text(page, page->entries[0].etag_at), "\"e\"");
	assert_int_equal(page->entries[1].modified_us, 1764000000 * USEC_PER_SEC);
	assert_true(page->is_truncated);
	assert_string_equal(s3_page_text(page, page->token_at), "t/=");
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	const struct s3_place place = {"b", "eu-west-1", "http://127.0.0.1:9", NULL};
	struct creds_set creds = {.access_key_id = "A", .secret_access_key = "B"};
	struct s3_env env = {.place = &place, .creds = &creds, .now_us = REPLAY_WALL};
	struct s3_list list = {.prefix = "a b", .max_keys = 2};

	replay_add_body(&f->net, "GET http://127.0.0.1:9/b?", 200,
		"<?xml version=\"1.0\"?>"
		"<ListBucketResult><EncodingType>url</EncodingType>"
		"<IsTruncated>true</IsTruncated>"
		"<NextContinuationToken>t/=</NextContinuationToken>"
		"<Contents><Key>a+b%2Bc/%25</Key><ETag>&quot;e&quot;</ETag>"
		"<Size>12</Size></Contents><Contents><Key>d</Key><Size>0</Size>"
		"<LastModified>2025-11-24T16:00:00.000Z</LastModified></Contents>"
		"</ListBucketResult>");
	replay_add_body(&f->net, "GET", 200, "<Error><Code>InternalError</Code></Error>");
	replay_begin(&f->net);
	env.http = f->net.http;
	s3_list_page(&env, &list, on_page, f);
	assert_int_equal(f->pages, 0);
	replay_run_until(&f->net, &f->pages, 1);
	assert_non_null(strstr(replay_seen(f->net.http, 0)->line, "prefix=a%20b"));
	list.token = "t/=";
	s3_list_page(&env, &list, on_page, f);
	replay_run_until(&f->net, &f->pages, 2);
	assert_non_null(
		strstr(replay_seen(f->net.http, 1)->line, "continuation-token=t%2F%3D"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
