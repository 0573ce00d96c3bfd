/*
 * engine/lister_s3 over scripted pages: order, credit, retries, credentials, and every
 * way a listing can contradict itself.
 */
#include "config.h"

#include "engine/lister_s3.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/loop.h"
#include "tests/replay/http_replay.h"

#define TURNS 400 /* more is a hang */

struct fixture {
	struct replay net;
	struct lister *lister;
	struct buf bodies[24];
	struct lister_s3_options options;
	uint64_t generation, refused;
	int asked, changes, retries;
	bool is_late; /* credentials come a turn later */
	bool has_no_creds;
	struct buf keys; /* all that was popped, each with a blank behind it */
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	replay_init(&f->net);
	f->options.retry = (struct retry_policy){3, 10, 100, 2};
	f->options.prefix = "p/";
	f->options.cut = 2;
	f->generation = 1;
	buf_init(&f->keys, 65536);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->lister = lister_free(f->lister);
	replay_done(&f->net);
	for (size_t i = 0; i < f->net.count; i++)
		buf_done(&f->bodies[i]);
	buf_done(&f->keys);
	free(f);
	return 0;
}

static struct replay_answer *add(struct fixture *f, int status, const char *body)
{
	struct buf *b = &f->bodies[f->net.count];

	assert_true(f->net.count < ARRAY_LEN(f->bodies));
	buf_init(b, 65536);
	buf_puts(b, body);
	return replay_add_body(&f->net, "GET ", status, buf_str(b));
}

/* keys: words; token NULL: the last page. */
static struct replay_answer *add_page(
	struct fixture *f, const char *keys, const char *token)
{
	struct buf b = BUF_INIT(65536);
	struct replay_answer *a;

	buf_printf(&b, "<ListBucketResult><IsTruncated>%s</IsTruncated>",
		token ? "true" : "false");
	if (token)
		buf_printf(
			&b, "<NextContinuationToken>%s</NextContinuationToken>", token);
	while (*keys) {
		size_t len = strcspn(keys, " ");

		buf_printf(&b,
			"<Contents><Key>%.*s</Key><Size>%zu</Size><ETag>\"e\"</ETag>"
			"<StorageClass>GLACIER</StorageClass><RestoreStatus>"
			"<IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
			"</Contents>",
			(int)len, keys, len);
		keys += len + (keys[len] == ' ');
	}
	buf_puts(&b, "</ListBucketResult>");
	a = add(f, 200, buf_str(&b));
	buf_done(&b);
	return a;
}

static void give(void *arg)
{
	struct fixture *f = arg;
	struct creds_set set = {.access_key_id = "A",
		.secret_access_key = "B",
		.session_token = "T",
		.generation = f->generation,
		.expires_at_us = CREDS_NEVER};
	struct err e;

	if (f->has_no_creds)
		lister_s3_give_creds(f->lister,
			err_set(&e, ERR_DENIED, ERR_FROM_STS, "AccessDenied", "no"),
			NULL);
	else
		lister_s3_give_creds(f->lister, NULL, &set);
}

static void need_creds(void *arg, uint64_t refused)
{
	struct fixture *f = arg;

	f->asked++;
	if (refused) {
		f->refused = refused;
		f->generation = refused + 1;
	}
	if (f->is_late)
		loop_defer(f->net.loop, give, f);
	else
		give(f);
}

static void on_retry(void *arg, const struct err *err, int attempt, int64_t delay_ms)
{
	struct fixture *f = arg;

	f->retries++;
	assert_true(attempt >= 1 && delay_ms >= 0 && delay_ms <= 100);
	assert_int_not_equal(err->class, ERR_OK);
}

static void on_change(void *arg)
{
	((struct fixture *)arg)->changes++;
}

static void begin(struct fixture *f)
{
	static const struct s3_place place = {
		"b", "eu-west-1", "http://127.0.0.1:9", NULL};

	replay_begin(&f->net);
	f->options.loop = f->net.loop;
	f->options.http = f->net.http;
	f->options.place = &place;
	f->options.need_creds = need_creds;
	f->options.on_retry = on_retry;
	f->options.arg = f;
	f->lister = lister_s3_new(&f->options);
	lister_start(f->lister, on_change, f);
	assert_int_equal(f->changes, 0);
}

/* Turns until there is something to see. */
static enum lister_state settle(struct fixture *f, const struct lister_entry **ret)
{
	enum lister_state state;

	for (int i = 0; i < TURNS; i++) {
		state = lister_peek(f->lister, ret);
		if (state != LISTER_WAITING)
			return state;
		clock_fake_advance(&f->net.clock, 100 * USEC_PER_MSEC);
		loop_turn(f->net.loop, false);
	}
	fail_msg("it hangs");
	return LISTER_WAITING;
}

static void turns(struct fixture *f, int n)
{
	while (n-- > 0)
		loop_turn(f->net.loop, false);
}

static enum lister_state read_all(struct fixture *f)
{
	const struct lister_entry *e;
	enum lister_state state;

	begin(f);
	while ((state = settle(f, &e)) == LISTER_READY) {
		assert_int_equal(strlen(e->key), e->key_len);
		buf_printf(&f->keys, "%s ", e->key);
		lister_pop(f->lister);
	}
	return state;
}

static void lists_all_pages_in_order(void **state)
{
	struct fixture *f = *state;
	struct lister_stats s;

	f->options.wants_restore = true;
	add_page(f, "p/ p/a p/b", "t1");
	add_page(f, "p/b/c", "t2");
	add_page(f, "", "t3");
	add_page(f, "p/c p/d", NULL);
	assert_int_equal(read_all(f), LISTER_ENDED);
	assert_string_equal(buf_str(&f->keys), " a b b/c c d ");
	assert_null(lister_error(f->lister));
	lister_get_stats(f->lister, &s);
	assert_int_equal(s.entries, 6);
	assert_int_equal(s.bytes, 2 + 3 + 3 + 5 + 3 + 3);
	assert_int_equal(s.requests, 4);
	assert_int_equal(s.retries, 0);
	assert_non_null(strstr(replay_seen(f->net.http, 0)->line, "prefix=p%2F"));
	assert_null(strstr(replay_seen(f->net.http, 0)->line, "token"));
	assert_non_null(
		strstr(replay_seen(f->net.http, 2)->line, "continuation-token=t2"));
	assert_non_null(strstr(replay_seen(f->net.http, 0)->headers,
		"x-amz-optional-object-attributes: RestoreStatus"));
}

static void tells_what_an_entry_is(void **state)
{
	struct fixture *f = *state;
	const struct lister_entry *e;

	add_page(f, "p/a", NULL);
	begin(f);
	assert_int_equal(settle(f, &e), LISTER_READY);
	assert_string_equal(e->etag, "\"e\"");
	assert_string_equal(e->storage_class, "GLACIER");
	assert_string_equal(e->version, "");
	assert_int_equal(e->restore, LISTER_RESTORE_RUNNING);
	assert_int_equal(e->size, 3);
	assert_null(strstr(replay_seen(f->net.http, 0)->headers, "optional"));
}

static void fetches_one_page_ahead_and_no_more(void **state)
{
	struct fixture *f = *state;
	const struct lister_entry *e;

	f->is_late = true;
	add_page(f, "p/a p/b", "t1");
	add_page(f, "p/c", "t2");
	add_page(f, "p/d", NULL);
	begin(f);
	turns(f, 20);
	assert_int_equal(f->changes, 1);
	assert_int_equal(lister_peek(f->lister, &e), LISTER_READY);
	assert_int_equal(replay_count(f->net.http), 2);
	lister_pop(f->lister);
	turns(f, 20);
	assert_int_equal(replay_count(f->net.http), 2);
	lister_peek(f->lister, &e);
	lister_pop(f->lister);
	assert_int_equal(lister_peek(f->lister, &e), LISTER_READY);
	turns(f, 20);
	assert_int_equal(replay_count(f->net.http), 3);
	assert_int_equal(f->changes, 1);
}

static void retries_and_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct lister_stats s;

	add_page(f, "p/a", "t1");
	add(f, 503, "<Error><Code>SlowDown</Code></Error>");
	add(f, 200, "<html>");
	add_page(f, "p/b", NULL);
	assert_int_equal(read_all(f), LISTER_ENDED);
	assert_string_equal(buf_str(&f->keys), "a b ");
	assert_int_equal(f->retries, 0); /* no attempt of the job's */
	lister_get_stats(f->lister, &s);
	assert_int_equal(s.requests, 4);
	assert_int_equal(s.retries, 2);
	assert_non_null(
		strstr(replay_seen(f->net.http, 3)->line, "continuation-token=t1"));
}

static void gives_up_after_its_attempts(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3 * 6; i++)
		add(f, 200, "<ListBucketResult><IsTruncated>");
	assert_int_equal(read_all(f), LISTER_FAILED);
	assert_string_equal(lister_error(f->lister)->code, LISTER_LIE_GARBLED);
	assert_true(lister_is_lie(lister_error(f->lister)));
	assert_int_equal(replay_count(f->net.http), 3 * 6);
	assert_int_equal(f->retries, 2);
}

static void replays_once_with_new_credentials(void **state)
{
	struct fixture *f = *state;

	f->is_late = true;
	add_page(f, "p/a", "t1");
	add(f, 400, "<Error><Code>ExpiredToken</Code></Error>");
	add_page(f, "p/b", NULL);
	assert_int_equal(read_all(f), LISTER_ENDED);
	assert_int_equal(f->refused, 1);
	assert_int_equal(f->asked, 3);
	assert_int_equal(f->retries, 0);
}

static void fails_when_new_credentials_are_refused_too(void **state)
{
	struct fixture *f = *state;

	add(f, 400, "<Error><Code>ExpiredToken</Code></Error>");
	add(f, 400, "<Error><Code>ExpiredToken</Code></Error>");
	assert_int_equal(read_all(f), LISTER_FAILED);
	assert_int_equal(lister_error(f->lister)->class, ERR_AUTH);
	assert_false(lister_is_lie(lister_error(f->lister)));
}

static void fails_without_credentials(void **state)
{
	struct fixture *f = *state;
	const struct lister_entry *e;

	f->has_no_creds = true;
	begin(f);
	turns(f, 20);
	assert_int_equal(lister_peek(f->lister, &e), LISTER_FAILED);
	assert_int_equal(lister_error(f->lister)->class, ERR_DENIED);
	assert_int_equal(f->changes, 1);
}

static void a_range_begins_and_ends_within(void **state)
{
	struct fixture *f = *state;

	f->options.start_after = "p/b";
	f->options.until = "p/d";
	add_page(f, "p/c", "t1");
	add_page(f, "p/d p/e", "t2");
	assert_int_equal(read_all(f), LISTER_ENDED);
	assert_string_equal(buf_str(&f->keys), "c d ");
	assert_int_equal(replay_count(f->net.http), 2);
	assert_non_null(strstr(replay_seen(f->net.http, 0)->line, "start-after=p%2Fb"));
	assert_null(strstr(replay_seen(f->net.http, 1)->line, "start-after"));
}

static void assert_lie(struct fixture *f, const char *code)
{
	assert_int_equal(read_all(f), LISTER_FAILED);
	assert_string_equal(lister_error(f->lister)->code, code);
	assert_int_equal(lister_error(f->lister)->class, ERR_FATAL);
	assert_true(lister_is_lie(lister_error(f->lister)));
	assert_int_equal(f->retries, 0);
}

static void keys_out_of_order(void **state)
{
	add_page(*state, "p/b p/a", NULL);
	assert_lie(*state, LISTER_LIE_ORDER);
}

static void a_key_twice(void **state)
{
	add_page(*state, "p/a p/a", NULL);
	assert_lie(*state, LISTER_LIE_ORDER);
}

static void a_page_that_does_not_follow(void **state)
{
	add_page(*state, "p/a p/b", "t1");
	add_page(*state, "p/b p/c", NULL);
	assert_lie(*state, LISTER_LIE_ORDER);
}

static void keys_before_start_after(void **state)
{
	struct fixture *f = *state;

	f->options.start_after = "p/b";
	add_page(f, "p/b", NULL);
	assert_lie(f, LISTER_LIE_ORDER);
}

static void a_key_outside_the_prefix(void **state)
{
	add_page(*state, "p/a q", NULL);
	assert_lie(*state, LISTER_LIE_PREFIX);
}

static void a_repeated_token(void **state)
{
	add_page(*state, "p/a", "t1");
	add_page(*state, "p/b", "t1");
	assert_lie(*state, LISTER_LIE_TOKEN);
}

static void a_loop_of_tokens(void **state)
{
	add_page(*state, "p/a", "t1");
	add_page(*state, "p/b", "t2");
	add_page(*state, "p/a", "t1");
	assert_lie(*state, LISTER_LIE_ORDER);
}

static void more_without_a_token(void **state)
{
	add(*state, 200,
		"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>");
	assert_lie(*state, LISTER_LIE_TOKEN);
}

static void empty_pages_without_end(void **state)
{
	char token[8];

	for (int i = 0; i < 17; i++) {
		snprintf(token, sizeof(token), "t%d", i);
		add_page(*state, "", token);
	}
	assert_lie(*state, LISTER_LIE_STUCK);
}

static void a_lie_hides_what_is_at_hand(void **state)
{
	struct fixture *f = *state;
	const struct lister_entry *e, *held;

	add_page(f, "p/a p/b", "t1");
	add_page(f, "p/a", NULL);
	begin(f);
	assert_int_equal(settle(f, &held), LISTER_READY);
	turns(f, 20);
	assert_string_equal(held->key, "a");
	lister_pop(f->lister);
	assert_int_equal(lister_peek(f->lister, &e), LISTER_FAILED);
	assert_string_equal(lister_error(f->lister)->code, LISTER_LIE_ORDER);
}

static void an_empty_listing_ends(void **state)
{
	struct fixture *f = *state;
	const struct lister_entry *e;

	add_page(f, "", NULL);
	begin(f);
	turns(f, 20);
	assert_int_equal(f->changes, 1);
	assert_int_equal(lister_peek(f->lister, &e), LISTER_ENDED);
}

static void can_be_freed_at_any_time(void **state)
{
	struct fixture *f = *state;

	for (int n = 0; n < 12; n++) {
		if (n == 0)
			for (int i = 0; i < 12; i++)
				add_page(f, "p/a", "t1");
		else
			f->net.http = http_free(f->net.http);
		begin(f);
		turns(f, n);
		f->lister = lister_free(f->lister);
		turns(f, 10);
		f->changes = 0;
	}
}

static void free_on_change(void *arg)
{
	struct fixture *f = arg;

	f->lister = lister_free(f->lister);
	f->changes++;
}

static void can_be_freed_in_its_callback(void **state)
{
	struct fixture *f = *state;

	add_page(f, "p/a", "t1");
	add_page(f, "p/b", NULL);
	begin(f);
	f->lister->on_change = free_on_change;
	turns(f, 20);
	assert_int_equal(f->changes, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN(TEST(lists_all_pages_in_order), TEST(tells_what_an_entry_is),
	TEST(fetches_one_page_ahead_and_no_more), TEST(retries_and_goes_on_where_it_was),
	TEST(gives_up_after_its_attempts), TEST(replays_once_with_new_credentials),
	TEST(fails_when_new_credentials_are_refused_too), TEST(fails_without_credentials),
	TEST(a_range_begins_and_ends_within), TEST(keys_out_of_order), TEST(a_key_twice),
	TEST(a_page_that_does_not_follow), TEST(keys_before_start_after),
	TEST(a_key_outside_the_prefix), TEST(a_repeated_token), TEST(a_loop_of_tokens),
	TEST(more_without_a_token), TEST(empty_pages_without_end),
	TEST(a_lie_hides_what_is_at_hand), TEST(an_empty_listing_ends),
	TEST(can_be_freed_at_any_time), TEST(can_be_freed_in_its_callback))
