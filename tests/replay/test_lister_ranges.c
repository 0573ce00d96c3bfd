/*
 * engine/lister_ranges over a bucket that is made up as it is asked for:
 * whatever the keys are like, each comes once and in order; where they go on as
 * they did, many pages are on their way at once, and where they do not, few
 * requests are lost.
 */
#include "config.h"

#include "engine/lister_ranges.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/key_step.h"
#include "net/http.h"
#include "net/loop.h"

#define LATENCY 10 /* turns that each answer takes */
#define PAGE    100
#define MOST    2000000 /* turns: more is a hang */

/* --- a bucket behind net/http.h --- */

struct http {
	struct loop *loop;
	char **keys; /* in order */
	size_t count, requests, fails_at, expires_at;
	unsigned long long valid; /* the generation that is taken */
	unsigned in_flight, most_in_flight;
	struct list calls;
};

struct http_call {
	struct list link;
	struct http *http;
	struct http_request rq;
	struct http_response r;
	struct buf body;
	int turns_left, status;
	bool is_cancelled;
};

const char *http_header(const struct http_response *r, const char *name)
{
	(void)r;
	(void)name;
	return NULL;
}

bool http_header_at(const struct http_response *r, size_t i, const char **ret_name,
	const char **ret_value)
{
	(void)r;
	(void)i;
	(void)ret_name;
	(void)ret_value;
	return false;
}

void http_resume(struct http_call *call)
{
	(void)call;
}

static void parameter(const char *url, const char *name, char out[2048])
{
	_cleanup_free_ char *word = mem_printf("&%s=", name);
	const char *at = strstr(url, word);
	struct buf b = BUF_INIT(2047);

	out[0] = '\0';
	if (!at)
		return;
	at += strlen(word);
	assert_int_equal(str_uri_decode(&b, at, strcspn(at, "&")), 0);
	snprintf(out, 2048, "%s", buf_str(&b));
	buf_done(&b);
}

static void answer(struct http_call *call)
{
	const struct http *h = call->http;
	char url[8192], after[2048], token[2048];
	size_t i = 0, n = 0;

	snprintf(url, sizeof(url), "&%s", strchr(call->rq.url, '?') + 1);
	parameter(url, "start-after", after);
	parameter(url, "continuation-token", token);
	if (*token)
		snprintf(after, sizeof(after), "%s", token);
	while (i < h->count && strcmp(h->keys[i], after) <= 0)
		i++;
	call->status = 200;
	buf_init(&call->body, 1 << 20);
	buf_puts(&call->body, "<ListBucketResult>");
	for (; n < PAGE && i < h->count; n++, i++)
		buf_printf(&call->body,
			"<Contents><Key>%s</Key><Size>1</Size></Contents>", h->keys[i]);
	buf_printf(&call->body, "<IsTruncated>%s</IsTruncated>",
		i < h->count ? "true" : "false");
	if (i < h->count)
		buf_printf(&call->body,
			"<NextContinuationToken>%s</NextContinuationToken>",
			h->keys[i - 1]);
	buf_puts(&call->body, "</ListBucketResult>");
}

static void refuse(struct http_call *call, int status, const char *code)
{
	call->status = status;
	buf_init(&call->body, 1000);
	buf_printf(&call->body, "<Error><Code>%s</Code></Error>", code);
}

static unsigned long long generation_of(const struct http_request *request)
{
	unsigned long long n = 0;

	for (size_t i = 0; request->headers[i]; i++)
		sscanf(request->headers[i], "X-Amz-Security-Token: T%llu", &n);
	return n;
}

static void *call_free(void *arg)
{
	struct http_call *call = arg;

	buf_done(&call->body);
	free(call);
	return NULL;
}

static void step(void *arg)
{
	struct http_call *call = arg;
	struct err e;

	if (call->turns_left-- > 0 && !call->is_cancelled) {
		loop_defer(call->http->loop, step, call);
		return;
	}
	call->http->in_flight--;
	call->r.status = call->is_cancelled ? 0 : call->status;
	if (call->r.status) {
		call->rq.on_head(call->rq.arg, &call->r);
		call->rq.on_body(call->rq.arg, call->body.data, call->body.len);
	}
	err_set(&e, ERR_CANCELLED, ERR_FROM_NET, "cancelled", "cancelled");
	call->rq.done(call->rq.arg, call->is_cancelled ? &e : NULL, &call->r);
	loop_bury(call->http->loop, call_free, call);
}

struct http_call *http_send(struct http *http, const struct http_request *request)
{
	struct http_call *call = mem_alloc(sizeof(*call));

	call->http = http;
	call->rq = *request;
	call->turns_left = LATENCY;
	if (++http->requests == http->expires_at)
		http->valid++;
	if (++http->in_flight > http->most_in_flight)
		http->most_in_flight = http->in_flight;
	if (http->requests == http->fails_at)
		refuse(call, 403, "AccessDenied");
	else if (generation_of(request) < http->valid)
		refuse(call, 400, "ExpiredToken");
	else
		answer(call);
	loop_defer(http->loop, step, call);
	return call;
}

void http_cancel(struct http_call *call)
{
	call->is_cancelled = true;
}

/* --- the reader --- */

struct fixture {
	struct clock_fake clock;
	struct loop *loop;
	struct http http;
	struct lister *lister;
	int asked;
	bool is_changed, is_asked;
	uint64_t generation;
	int refusals, slowness, give_in;
	uint64_t turns;
};

static void give(void *arg)
{
	struct fixture *f = arg;
	struct creds_set set = {.access_key_id = "A",
		.secret_access_key = "B",
		.expires_at_us = CREDS_NEVER,
		.generation = f->generation};

	snprintf(set.session_token, sizeof(set.session_token), "T%llu",
		(unsigned long long)f->generation);
	f->is_asked = false;
	if (f->lister)
		lister_s3_give_creds(f->lister, NULL, &set);
}

static void give_later(void *arg)
{
	struct fixture *f = arg;

	if (--f->give_in)
		loop_defer(f->loop, give_later, f);
	else
		give(f);
}

static void need_creds(void *arg, uint64_t refused)
{
	struct fixture *f = arg;

	assert_false(f->is_asked); /* one question at a time */
	f->is_asked = true;
	if (refused) {
		f->refusals++;
		assert_true(refused <= f->generation);
		if (refused == f->generation)
			f->generation++;
	}
	f->give_in = f->asked++ % 2 * f->slowness;
	if (f->give_in)
		loop_defer(f->loop, give_later, f);
	else
		give(f);
}

static void on_change(void *arg)
{
	((struct fixture *)arg)->is_changed = true;
}

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	clock_fake_init(&f->clock, INT64_C(1764000000) * USEC_PER_SEC);
	f->loop = loop_new(&f->clock.clock);
	f->http.loop = f->loop;
	f->generation = f->http.valid = 1;
	f->slowness = 1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->lister = lister_free(f->lister);
	for (int i = 0; i < 50; i++)
		loop_turn(f->loop, false);
	loop_free(f->loop);
	for (size_t i = 0; i < f->http.count; i++)
		free(f->http.keys[i]);
	free(f->http.keys);
	free(f);
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The bucket's keys from here on; equal ones once. */
static void fill(struct fixture *f, size_t count, char *(*make)(size_t i))
{
	size_t n = 0;

	f->http.keys = mem_array(count, sizeof(*f->http.keys));
	for (size_t i = 0; i < count; i++)
		f->http.keys[i] = make(i);
	qsort(f->http.keys, count, sizeof(*f->http.keys), by_bytes);
	for (size_t i = 0; i < count; i++) {
		if (n && strcmp(f->http.keys[n - 1], f->http.keys[i]) == 0)
			free(f->http.keys[i]);
		else
			f->http.keys[n++] = f->http.keys[i];
	}
	f->http.count = n;
}

static void begin_alone(struct fixture *f, unsigned ranges, unsigned alone)
{
	const struct s3_place place = {
		.bucket = "b", .region = "r", .endpoint_url = "http://127.0.0.1:9"};
	const struct lister_s3_options o = {.loop = f->loop,
		.http = &f->http,
		.place = &place,
		.prefix = "k",
		.cut = 1,
		.page_keys = PAGE,
		.need_creds = need_creds,
		.arg = f};

	f->lister = lister_ranges_new(&o, ranges, alone);
	lister_start(f->lister, on_change, f);
}

static void begin(struct fixture *f, unsigned ranges)
{
	begin_alone(f, ranges, 0);
}

/* Each key once and in order, then the end. */
static void read_all(struct fixture *f)
{
	const struct lister_entry *e;
	enum lister_state state = LISTER_WAITING;
	struct lister_stats s;
	size_t n = 0;

	while (state != LISTER_ENDED && f->turns < MOST) {
		loop_turn(f->loop, false);
		f->turns++;
		if (!f->is_changed)
			continue;
		f->is_changed = false;
		while ((state = lister_peek(f->lister, &e)) == LISTER_READY) {
			assert_true(n < f->http.count);
			assert_string_equal(e->key, f->http.keys[n++] + 1);
			lister_pop(f->lister);
		}
		assert_int_not_equal(state, LISTER_FAILED);
	}
	assert_int_equal(state, LISTER_ENDED);
	assert_int_equal(n, f->http.count);
	lister_get_stats(f->lister, &s);
	assert_int_equal(s.entries, n);
	assert_int_equal(s.requests, f->http.requests);
}

static size_t pages(const struct fixture *f)
{
	return f->http.count / PAGE + 1;
}

static char *numbered(size_t i)
{
	return mem_printf("k/run/%08zu.csv", i);
}

static char *hashed(size_t i)
{
	char hex[2 * CRYPTO_SHA256_LEN + 1];

	crypto_sha256_hex(&i, sizeof(i), hex);
	return mem_printf("k%s", hex);
}

static char *dated(size_t i)
{
	return mem_printf("k/year=20%02zu/month=%02zu/day=%02zu/part-%03zu",
		20 + i / 4800, i / 400 % 12 + 1, i / 20 % 20 + 1, i % 20);
}

/* Lengths, depths and letters without a plan. */
static char *wild(size_t i)
{
	static const char letters[] = "ab/-_.09AZ~\x01\x7f";
	char hex[2 * CRYPTO_SHA256_LEN + 1], out[40];
	size_t n;

	crypto_sha256_hex(&i, sizeof(i), hex);
	n = 1 + (size_t)hex[0] % 12;
	for (size_t k = 0; k < n; k++)
		out[k] = letters[(size_t)(hex[k + 1] + hex[k + 20]) % (i % 3 ? 6 : 11)];
	out[n] = '\0';
	return mem_printf("k%s", out);
}

static void numbers_come_many_pages_at_once(void **state)
{
	struct fixture *f = *state;

	fill(f, 20000, numbered);
	begin(f, 8);
	read_all(f);
	assert_in_range(f->http.most_in_flight, 8, 16);
	assert_true(f->turns < pages(f) * (LATENCY + 2) / 4);
	assert_true(f->http.requests < pages(f) * 5 / 4);
}

static void few_pages_come_one_after_the_other(void **state)
{
	struct fixture *f = *state;

	fill(f, 60 * PAGE, numbered);
	begin_alone(f, 8, 60);
	read_all(f);
	assert_in_range(f->http.most_in_flight, 1, 2);
	assert_int_equal(f->http.requests, 60);
}

static void many_pages_begin_one_after_the_other(void **state)
{
	struct fixture *f = *state;

	fill(f, 200 * PAGE, numbered);
	begin_alone(f, 8, 60);
	read_all(f);
	assert_in_range(f->http.most_in_flight, 8, 16);
	assert_true(f->turns > 60 * LATENCY);
	assert_true(f->turns < 100 * (LATENCY + 2));
}

static void hashes_come_many_pages_at_once(void **state)
{
	struct fixture *f = *state;

	fill(f, 20000, hashed);
	begin(f, 8);
	read_all(f);
	assert_true(f->turns < pages(f) * (LATENCY + 2) / 3);
	assert_true(f->http.requests < pages(f) * 3 / 2);
}

static void dates_cost_few_requests_more(void **state)
{
	struct fixture *f = *state;

	fill(f, 20000, dated);
	begin(f, 8);
	read_all(f);
	assert_true(f->http.requests < pages(f) * 3 / 2);
}

static void keys_without_a_plan(void **state)
{
	struct fixture *f = *state;

	fill(f, 20000, wild);
	begin(f, 8);
	read_all(f);
	assert_true(f->http.requests < pages(f) * 2);
}

static void one_range_is_a_plain_listing(void **state)
{
	struct fixture *f = *state;

	fill(f, 1234, numbered);
	begin(f, 1);
	read_all(f);
	assert_int_equal(f->http.requests, pages(f));
	assert_in_range(f->http.most_in_flight, 1, 2);
}

static void small_and_empty_ones(void **state)
{
	struct fixture *f = *state;
	static const size_t counts[] = {0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE};

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		fill(f, counts[i], numbered);
		f->http.requests = 0;
		f->turns = 0;
		begin(f, 8);
		read_all(f);
		f->lister = lister_free(f->lister);
		for (size_t k = 0; k < f->http.count; k++)
			free(f->http.keys[k]);
		free(f->http.keys);
	}
	f->http.keys = NULL;
	f->http.count = 0;
}

static void a_failed_range_fails_it(void **state)
{
	struct fixture *f = *state;
	const struct lister_entry *e;
	enum lister_state s = LISTER_WAITING;
	size_t n = 0;

	fill(f, 5000, numbered);
	f->http.fails_at = 17;
	begin(f, 8);
	for (int i = 0; i < 5000 && s != LISTER_FAILED; i++) {
		loop_turn(f->loop, false);
		while ((s = lister_peek(f->lister, &e)) == LISTER_READY) {
			assert_string_equal(e->key, f->http.keys[n++] + 1);
			lister_pop(f->lister);
		}
	}
	assert_int_equal(s, LISTER_FAILED);
	assert_int_equal(lister_error(f->lister)->class, ERR_DENIED);
	assert_true(n < 5000);
	assert_int_equal(lister_peek(f->lister, &e), LISTER_FAILED);
}

/* In order, from the n-th on, until `most` were read or none is at hand. */
static enum lister_state read_on(struct fixture *f, size_t *n, size_t most)
{
	enum lister_state s = LISTER_WAITING;
	const struct lister_entry *e;

	while (*n < most && (s = lister_peek(f->lister, &e)) == LISTER_READY) {
		assert_string_equal(e->key, f->http.keys[(*n)++] + 1);
		lister_pop(f->lister);
	}
	return s;
}

/* The reader is slow: what comes before the failure is shown, and never an end. */
static void a_range_fails_far_behind_the_reader(void **state)
{
	struct fixture *f = *state;
	enum lister_state s = LISTER_WAITING;
	size_t n = 0, read_by_then;

	fill(f, 20000, numbered);
	f->http.fails_at = 60;
	begin(f, 8);
	while (f->http.requests < f->http.fails_at) {
		for (int i = 0; i < 10 * LATENCY; i++)
			loop_turn(f->loop, false);
		assert_int_equal(read_on(f, &n, n + PAGE), LISTER_READY);
	}
	read_by_then = n;
	while (s != LISTER_FAILED && f->turns++ < 2000) {
		loop_turn(f->loop, false);
		s = read_on(f, &n, SIZE_MAX);
		assert_int_not_equal(s, LISTER_ENDED);
	}
	assert_int_equal(s, LISTER_FAILED);
	assert_int_equal(lister_error(f->lister)->class, ERR_DENIED);
	assert_in_range(n - read_by_then, 4 * PAGE, 16 * PAGE);
}

/* Several ranges are refused at once: one new set is asked for, and goes to them all. */
static void a_session_ends_under_way(void **state)
{
	struct fixture *f = *state;

	fill(f, 20000, hashed);
	for (f->slowness = 0; f->slowness < 25; f->slowness++) {
		f->generation = f->http.valid = 1;
		f->http.requests = f->turns = 0;
		f->http.expires_at = 60 + (size_t)f->slowness;
		begin(f, 8);
		read_all(f);
		assert_int_equal(f->generation, 2);
		f->lister = lister_free(f->lister);
	}
}

static void holds_a_bounded_number_of_pages(void **state)
{
	struct fixture *f = *state;
	const struct lister_entry *e;
	size_t popped = 0, at_rest;

	fill(f, 20000, numbered);
	begin(f, 8);
	while (popped < 5000) { /* until guesses are made */
		loop_turn(f->loop, false);
		while (popped < 5000 && lister_peek(f->lister, &e) == LISTER_READY) {
			lister_pop(f->lister);
			popped++;
		}
	}
	for (int i = 0; i < 2000; i++)
		loop_turn(f->loop, false);
	at_rest = f->http.requests;
	assert_int_equal(f->http.in_flight, 0);
	assert_true(at_rest <= popped / PAGE + 2 * 8 + 4);
}

static void can_be_freed_at_any_time(void **state)
{
	struct fixture *f = *state;
	const struct lister_entry *e;

	fill(f, 3000, numbered);
	for (int turns = 0; turns < 60; turns++) {
		begin(f, 8);
		for (int i = 0; i < 5 * turns; i++) {
			loop_turn(f->loop, false);
			while (lister_peek(f->lister, &e) == LISTER_READY)
				lister_pop(f->lister);
		}
		f->lister = lister_free(f->lister);
		for (int i = 0; i < 3; i++)
			loop_turn(f->loop, false);
	}
}

static void free_on_change(void *arg)
{
	struct fixture *f = arg;

	f->lister = lister_free(f->lister);
}

static void can_be_freed_in_its_callback(void **state)
{
	struct fixture *f = *state;

	fill(f, 3000, numbered);
	begin(f, 8);
	f->lister->on_change = free_on_change;
	for (int i = 0; i < 60; i++)
		loop_turn(f->loop, false);
	assert_null(f->lister);
}

/* --- key_step alone --- */

static void steps_by_example(void **state)
{
	static const struct {
		const char *first, *last, *from;
		unsigned percent;
		const char *guess; /* NULL: none */
	} cases[] = {
		{"a/00001000", "a/00002000", "a/00002000", 95, "a/00002950"},
		{"a/00001000", "a/00002000", "a/00002000", 190, "a/00003900"},
		{"a/00008000", "a/00009000", "a/00009000", 95, "a/00009950"},
		{"a/00008000", "a/00009000", "a/00009000", 190, NULL},
		{"00ff00aa", "0100ff00", "0100ff00", 100, "0102fd56"},
		{"a/000010", "a/000020", "a/000020", 5, NULL},
		{"a", "a", "a", 100, NULL},
		{"a", "b", "b", 100, "c"},
		{"x/a", "x/b", "x", 100, NULL},
		{"abc", "abcd", "abcd", 100, NULL},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct key_step s;
		bool has_guess;

		key_step_learn(&s, cases[i].first, cases[i].last);
		has_guess = key_step_add(&s, cases[i].from, cases[i].percent, out);
		if (has_guess != (cases[i].guess != NULL) ||
			(has_guess && strcmp(out, cases[i].guess) != 0))
			fail_msg("%s: %s", cases[i].from, has_guess ? out : "no guess");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN(TEST(numbers_come_many_pages_at_once), TEST(few_pages_come_one_after_the_other),
	TEST(many_pages_begin_one_after_the_other), TEST(hashes_come_many_pages_at_once),
	TEST(dates_cost_few_requests_more), TEST(keys_without_a_plan),
	TEST(one_range_is_a_plain_listing), TEST(small_and_empty_ones),
	TEST(a_failed_range_fails_it), TEST(a_range_fails_far_behind_the_reader),
	TEST(a_session_ends_under_way), TEST(holds_a_bounded_number_of_pages),
	TEST(can_be_freed_at_any_time), TEST(can_be_freed_in_its_callback),
	cmocka_unit_test(steps_by_example))
