/* S3 calls that went to the wrong region of AWS, over scripted HTTP. */
#include "config.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/loop.h"
#include "s3/object.h"
#include "s3/regions.h"
#include "tests/replay/http_replay.h"

#define ELSEWHERE \
	"<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message></Error>"

struct fixture {
	struct replay net;
	struct s3_regions *regions;
	struct s3_place place;
	struct creds_set creds;
	struct s3_env env;
	struct err err;
	int dones;
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	replay_init(&f->net);
	f->regions = s3_regions_new();
	f->place = (struct s3_place){.bucket = "bkt", .region = "eu-west-1"};
	f->creds = (struct creds_set){.access_key_id = "A", .secret_access_key = "B"};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	replay_done(&f->net);
	s3_regions_free(f->regions);
	free(f);
	return 0;
}

static void in_region(struct replay_answer *a, const char *region)
{
	a->headers[0] = "x-amz-bucket-region";
	a->headers[1] = region;
}

static void on_done(void *arg, const struct err *err, const struct s3_head *head)
{
	struct fixture *f = arg;

	(void)head;
	f->err = (struct err){0};
	if (err)
		f->err = *err;
	f->dones++;
}

static const struct s3_env *env_of(struct fixture *f)
{
	if (!f->net.http)
		replay_begin(&f->net);
	f->env = (struct s3_env){
		f->net.http, &f->place, &f->creds, REPLAY_WALL, 0, NULL, f->regions};
	return &f->env;
}

static void get(struct fixture *f)
{
	const struct s3_object o = {.key = "k y", .done = on_done, .arg = f};

	s3_get_object(env_of(f), &o);
	replay_run_until(&f->net, &f->dones, f->dones + 1);
}

static bool is_signed_for(struct fixture *f, size_t i, const char *region)
{
	char scope[100];

	snprintf(scope, sizeof(scope), "/%s/s3/aws4_request", region);
	return strstr(replay_seen(f->net.http, i)->headers, scope) != NULL;
}

/* The header tells; the next request goes there at once. */
static void followed_and_remembered(void **state)
{
	struct fixture *f = *state;

	in_region(replay_add_body(&f->net,
			  "GET https://bkt.s3.eu-west-1.amazonaws.com/k%20y", 301,
			  ELSEWHERE),
		"eu-central-1");
	replay_add_body(
		&f->net, "GET https://bkt.s3.eu-central-1.amazonaws.com/k%20y", 200, "x");
	replay_add_body(
		&f->net, "GET https://bkt.s3.eu-central-1.amazonaws.com/k%20y", 200, "x");
	get(f);
	assert_int_equal(f->err.class, ERR_OK);
	assert_true(is_signed_for(f, 0, "eu-west-1"));
	assert_true(is_signed_for(f, 1, "eu-central-1"));
	get(f);
	assert_int_equal(f->err.class, ERR_OK);
	assert_int_equal(replay_count(f->net.http), 3);
}

/* A request at the right host with the wrong signing region; the body tells. */
static void malformed_header(void **state)
{
	struct fixture *f = *state;

	replay_add_body(&f->net, "GET https://bkt.s3.eu-west-1", 400,
		"<Error><Code>AuthorizationHeaderMalformed</Code>"
		"<Region>ap-south-1</Region></Error>");
	replay_add_body(
		&f->net, "GET https://bkt.s3.ap-south-1.amazonaws.com/", 200, "x");
	get(f);
	assert_int_equal(f->err.class, ERR_OK);
}

/* 307 right after a bucket's birth, and no word of the region: HeadBucket knows. */
static void asked_of_the_bucket(void **state)
{
	struct fixture *f = *state;

	replay_add_body(&f->net, "GET https://bkt.s3.eu-west-1", 307, ELSEWHERE);
	in_region(replay_add_body(&f->net, "HEAD https://bkt.s3.eu-west-1.amazonaws.com/",
			  403, ""),
		"eu-north-1");
	replay_add_body(
		&f->net, "GET https://bkt.s3.eu-north-1.amazonaws.com/k%20y", 200, "x");
	get(f);
	assert_int_equal(f->err.class, ERR_OK);
	assert_int_equal(replay_count(f->net.http), 3);
}

static void nobody_knows(void **state)
{
	struct fixture *f = *state;

	replay_add_body(&f->net, "GET https://bkt.s3.eu-west-1", 301, ELSEWHERE);
	replay_add_body(&f->net, "HEAD https://bkt.s3.eu-west-1", 403, "");
	get(f);
	assert_string_equal(f->err.code, "PermanentRedirect");
	assert_string_equal(f->err.operation, "GetObject");
	assert_string_equal(f->err.text, "Elsewhere.");
}

/* A host name out of a header is none of ours to sign for. */
static void other_places_are_not_gone_to(void **state)
{
	static const char *const regions[] = {
		"evil.example/", "cn-north-1", "us-gov-west-1", "eu-west-1"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(regions); i++)
		in_region(replay_add_body(&f->net, "GET https://bkt.s3.eu-west-1", 301,
				  ELSEWHERE),
			regions[i]);
	for (size_t i = 0; i < ARRAY_LEN(regions); i++)
		get(f);
	assert_int_equal(replay_count(f->net.http), 4);
	assert_int_equal(f->err.class, ERR_FATAL);
}

/* The last answer of f's names another region, and is the end of it. */
static void stays(struct fixture *f)
{
	f->net.http = f->net.http ? http_free(f->net.http) : NULL;
	f->net.count = 0;
	in_region(replay_add_body(&f->net, "GET http", 301, ELSEWHERE), "eu-central-1");
	get(f);
	assert_int_equal(replay_count(f->net.http), 1);
	assert_int_equal(f->err.class, ERR_FATAL);
}

static void never_off_an_endpoint_or_an_access_point(void **state)
{
	struct fixture *f = *state;

	f->place.endpoint_url = "http://127.0.0.1:9";
	stays(f);
	f->place.endpoint_url = NULL;
	f->place.bucket = "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap";
	stays(f);
	f->place.bucket = "bkt";
	s3_regions_free(f->regions);
	f->regions = NULL; /* nobody would remember */
	stays(f);
	assert_non_null(strstr(f->err.text, "the bucket is in region eu-central-1, the "
					    "request went to eu-west-1"));
}

/* No region: the first answer of AWS tells. */
static void found_without_any(void **state)
{
	struct fixture *f = *state;

	f->place.region = "";
	in_region(replay_add_body(&f->net, "GET https://bkt.s3.us-east-1.amazonaws.com/",
			  301, ELSEWHERE),
		"sa-east-1");
	replay_add_body(&f->net, "GET https://bkt.s3.sa-east-1.amazonaws.com/", 200, "x");
	get(f);
	assert_int_equal(f->err.class, ERR_OK);
}

static enum http_flow on_send(void *arg, char *out, size_t max, size_t *ret_len)
{
	(void)arg;
	*ret_len = max < 3 ? max : 3;
	memset(out, 'x', *ret_len);
	return HTTP_GO;
}

/* Its bytes are gone: told as transient, and right the next time. */
static void a_stream_begins_anew(void **state)
{
	const struct s3_object o = {.key = "k",
		.length = 3,
		.on_send = on_send,
		.done = on_done,
		.arg = *state};
	struct fixture *f = *state;

	in_region(replay_add_body(&f->net, "PUT https://bkt.s3.eu-west-1.amazonaws.com/k",
			  301, ELSEWHERE),
		"eu-central-1");
	replay_add_body(
		&f->net, "PUT https://bkt.s3.eu-central-1.amazonaws.com/k", 200, "");
	s3_put_object(env_of(f), &o);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(f->err.class, ERR_RETRY);
	assert_string_equal(f->err.code, S3_WRONG_REGION);
	assert_string_equal(f->err.operation, "PutObject");
	s3_put_object(env_of(f), &o);
	replay_run_until(&f->net, &f->dones, 2);
	assert_int_equal(f->err.class, ERR_OK);
}

static void cancelled_in_the_middle(void **state)
{
	struct fixture *f = *state;
	const struct s3_object o = {.key = "k", .done = on_done, .arg = f};
	struct s3_call *call;

	replay_add_body(&f->net, "GET https://bkt.s3.eu-west-1", 307, ELSEWHERE);
	replay_add_body(&f->net, "HEAD https://bkt.s3.eu-west-1", 0, "")->hangs = true;
	call = s3_get_object(env_of(f), &o);
	for (int i = 0; i < 100; i++)
		loop_turn(f->net.loop, false);
	assert_int_equal(replay_count(f->net.http), 2);
	s3_call_cancel(call);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(f->err.class, ERR_CANCELLED);
}

static void styles_and_variants(void **state)
{
	struct fixture *f = *state;

	replay_add_body(
		&f->net, "GET https://s3.eu-west-1.amazonaws.com/bkt/k%20y", 200, "x");
	replay_add_body(&f->net,
		"GET https://bkt.s3-fips.dualstack.eu-west-1.amazonaws.com/k%20y", 200,
		"x");
	replay_add_body(
		&f->net, "GET https://bkt.s3-accelerate.amazonaws.com/k%20y", 200, "x");
	replay_add_body(&f->net, "GET https://bkt.host:9/k%20y", 200, "x");
	f->place.options.style = ENDPOINT_STYLE_PATH;
	get(f);
	f->place.options = (struct endpoint_options){
		.use_fips = true, .use_dual_stack = true};
	get(f);
	f->place.options = (struct endpoint_options){.use_accelerate = true};
	get(f);
	f->place.options = (struct endpoint_options){.style = ENDPOINT_STYLE_VIRTUAL};
	f->place.endpoint_url = "https://host:9";
	get(f);
	assert_int_equal(f->err.class, ERR_OK);
	assert_int_equal(replay_count(f->net.http), 4);
}

static void payloads(void **state)
{
	const struct s3_object o = {.key = "k",
		.length = 3,
		.on_send = on_send,
		.done = on_done,
		.arg = *state};
	static const struct {
		const char *url;
		enum endpoint_payload payload;
		bool is_signed;
	} cases[] = {
		{"https://h", ENDPOINT_PAYLOAD_AUTO, false},
		{"https://h", ENDPOINT_PAYLOAD_ALWAYS, true},
		{"http://h", ENDPOINT_PAYLOAD_AUTO, true},
		{"http://h", ENDPOINT_PAYLOAD_NEVER, false},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		replay_add_body(&f->net, "PUT http", 200, "");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		f->place.endpoint_url = cases[i].url;
		f->place.options.payload = cases[i].payload;
		s3_put_object(env_of(f), &o);
		replay_run_until(&f->net, &f->dones, (int)i + 1);
		assert_int_equal(f->err.class, ERR_OK);
		assert_int_equal(cases[i].is_signed,
			!!strstr(replay_seen(f->net.http, i)->headers,
				"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN(TEST(followed_and_remembered), TEST(malformed_header),
	TEST(asked_of_the_bucket), TEST(nobody_knows), TEST(other_places_are_not_gone_to),
	TEST(never_off_an_endpoint_or_an_access_point), TEST(found_without_any),
	TEST(a_stream_begins_anew), TEST(cancelled_in_the_middle),
	TEST(styles_and_variants), TEST(payloads))
