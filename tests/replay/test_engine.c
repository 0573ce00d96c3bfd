/*
 * The real engine, S3 layer, signing and error classes over scripted HTTP and a clock
 * that a test moves by hand.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine_set.h"
#include "net/loop.h"
#include "tests/replay/http_replay.h"

#define BODY   70000 /* streamed: what is smaller goes when it is all there */
#define CHUNK  65536
#define SOURCE "GET https://source.s3.eu-west-1.amazonaws.com/dir/a%20b"
#define TARGET "PUT http://127.0.0.1:9/target/in/a%20b"
#define ASK    "HEAD http://127.0.0.1:9/target/in/a%20b"

struct fixture {
	struct replay net;
	struct engine_set *set;
	struct engine_result done;
	int dones, retries, needs, clocks;
	uint32_t need_id;
	uint64_t need_generation;
	char body[BODY], flipped[BODY], etag[36], wrong_etag[36], crc[CRC64_BASE64_LEN];
	int attempts;    /* of the job; 0: 3 */
	const char *key; /* of both sides; NULL: the usual ones */
};

static void on_ev(void *arg, const struct engine_ev *ev)
{
	struct fixture *f = arg;

	switch (ev->type) {
	case ENGINE_EV_PROGRESS:
	case ENGINE_EV_PART:
	case ENGINE_EV_RESTART:
	case ENGINE_EV_RATE:
		break;
	case ENGINE_EV_INTENT:
	case ENGINE_EV_ORPHAN:
	case ENGINE_EV_UPLOAD:
		free(ev->upload);
		break;
	case ENGINE_EV_CLOCK:
		assert_int_equal(ev->total, 600 * USEC_PER_SEC);
		f->clocks++;
		free(ev->endpoint_url);
		break;
	case ENGINE_EV_RETRY:
		f->retries++;
		f->done = *ev->result;
		free(ev->result);
		break;
	case ENGINE_EV_NEED_CREDS:
		f->needs++;
		f->need_id = ev->creds_id;
		f->need_generation = ev->generation;
		break;
	case ENGINE_EV_DONE:
		assert_int_equal(ev->tag, 7);
		f->dones++;
		f->done = *ev->result;
		free(ev->result);
		break;
	}
}

static void give_creds(
	struct fixture *f, uint32_t id, uint64_t generation, int64_t life_s)
{
	const struct engine_cmd cmd = {ENGINE_CMD_CREDS, .creds_id = id,
		.creds = replay_creds(
			id, generation, f->net.clock.wall + life_s * USEC_PER_SEC)};

	engine_set_send(f->set, &cmd);
}

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	uint8_t md5[CRYPTO_MD5_LEN];
	size_t i;

	replay_init(&f->net);
	for (i = 0; i < BODY; i++)
		f->body[i] = (char)(i * 13 + i / 256);
	memcpy(f->flipped, f->body, BODY);
	f->flipped[BODY / 2] ^= 1;
	crypto_md5(f->body, BODY, md5);
	f->etag[0] = '"';
	str_to_hex(md5, sizeof(md5), f->etag + 1);
	strcat(f->etag, "\"");
	strcpy(f->wrong_etag, f->etag);
	f->wrong_etag[5] = f->etag[5] == '0' ? '1' : '0';
	crc64nvme_base64(crc64nvme(0, f->body, BODY), f->crc);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	engine_set_free(f->set);
	replay_done(&f->net);
	free(f);
	return 0;
}

/* --- writing the script --- */

static struct replay_answer *add_get(struct fixture *f)
{
	struct replay_answer *a = replay_add(&f->net, SOURCE, 200);

	a->body = f->body;
	a->body_len = BODY;
	a->headers[0] = "content-length";
	a->headers[1] = "70000";
	a->headers[2] = "etag";
	a->headers[3] = f->etag;
	a->headers[4] = "content-type";
	a->headers[5] = "text/csv";
	a->headers[6] = "x-amz-meta-colour";
	a->headers[7] = "blue";
	return a;
}

static struct replay_answer *add_put(struct fixture *f)
{
	struct replay_answer *a = replay_add(&f->net, TARGET, 200);

	a->headers[0] = "etag";
	a->headers[1] = f->etag;
	return a;
}

static void start(struct fixture *f)
{
	const struct engine_options options = {.max_transfers = 2};
	struct engine_xfer_spec *x = mem_alloc(sizeof(*x));
	struct engine_cmd cmd = {ENGINE_CMD_XFER, .id = 5, .xfer = x};

	replay_begin(&f->net);
	f->set = engine_set_new(f->net.loop, f->net.http, &options, on_ev, f);
	x->id = 5;
	x->tag = 7;
	x->max_attempts = f->attempts ? f->attempts : 3;
	x->backoff_ms = 1000;
	x->max_backoff_ms = 5000;
	x->backoff_factor = 2;
	strcpy(x->source.bucket, "source");
	strcpy(x->source.key, "dir/a b");
	strcpy(x->source.region, "eu-west-1");
	x->source.creds_id = 1;
	strcpy(x->destination.bucket, "target");
	strcpy(x->destination.key, "in/a b");
	strcpy(x->destination.region, "us-east-1");
	strcpy(x->destination.endpoint_url, "http://127.0.0.1:9");
	x->destination.creds_id = 2;
	if (f->key) {
		strcpy(x->source.key, f->key);
		strcpy(x->destination.key, f->key);
	}
	engine_set_send(f->set, &cmd);
}

static void run(struct fixture *f)
{
	start(f);
	give_creds(f, 1, 1, 3600);
	give_creds(f, 2, 1, 3600);
	replay_run_until(&f->net, &f->dones, 1);
}

/* --- tests --- */

static void test_happy(void **state)
{
	struct fixture *f = *state;
	char want[64];

	add_get(f);
	add_put(f);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.bytes, BODY);
	assert_int_equal(f->done.attempts, 1);
	assert_int_equal(f->done.proof, ENGINE_PROOF_MD5);
	assert_string_equal(f->done.source_etag, f->etag);
	snprintf(want, sizeof(want), "crc64nvme:%s", f->crc);
	assert_string_equal(f->done.checksum, want);
	assert_int_equal(replay_count(f->net.http), 2); /* no HEAD */
	assert_true(replay_has(f->net.http, 0, "token-1-1") &&
		    replay_has(f->net.http, 1, "token-2-1"));
	assert_true(replay_has(f->net.http, 0, "x-amz-checksum-mode: ENABLED"));
	assert_true(replay_has(f->net.http, 1, "content-type: text/csv"));
	assert_true(replay_has(f->net.http, 1, "x-amz-meta-colour: blue"));
	assert_true(replay_has(f->net.http, 1, "content-encoding: aws-chunked"));
	assert_true(replay_has(f->net.http, 1, "x-amz-decoded-content-length: 70000"));
	/* Signed chunks, the last one empty: 10000;chunk-signature=... */
	assert_int_equal(replay_seen(f->net.http, 1)->body_len,
		5 + 17 + 64 + 4 + 4 + 17 + 64 + 4 + BODY + 86);
	assert_memory_equal(
		replay_seen(f->net.http, 1)->body, "10000;chunk-signature=", 22);
	assert_memory_equal(replay_seen(f->net.http, 1)->body + 88, f->body, CHUNK);
}

static struct replay_answer *add_small_get(struct fixture *f)
{
	struct replay_answer *a = add_get(f);

	a->body_len = 1000;
	a->headers[1] = "1000";
	a->headers[3] = "\"small\"";
	return a;
}

/* In one piece, signed by one hash, and only when all of it is known good. */
static void test_small(void **state)
{
	struct fixture *f = *state;

	add_small_get(f);
	add_put(f)->headers[1] = "\"other\"";
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_false(replay_has(f->net.http, 1, "aws-chunked") ||
		     replay_has(f->net.http, 1, "STREAMING"));
	assert_int_equal(replay_seen(f->net.http, 1)->body_len, 1000);
	assert_memory_equal(replay_seen(f->net.http, 1)->body, f->body, 1000);
}

static void test_small_and_cut(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a = add_small_get(f);

	a->net_code = "reset";
	a->cut_at = 500;
	add_small_get(f);
	add_put(f)->headers[1] = "\"other\"";
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.attempts, 1);
	assert_int_equal(replay_count(f->net.http), 3); /* one PUT */
}

static void test_checksums(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a = add_get(f);

	a->headers[8] = "x-amz-checksum-crc64nvme";
	a->headers[9] = f->crc;
	a = add_put(f);
	a->headers[2] = "x-amz-checksum-crc64nvme";
	a->headers[3] = f->crc;
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.proof, ENGINE_PROOF_CHECKSUM);
	assert_true(replay_has(f->net.http, 1, "x-amz-checksum-crc64nvme: "));
}

static void test_no_digest(void **state)
{
	struct fixture *f = *state;

	add_get(f)->headers[3] = "\"0123456789abcdef0123456789abcdef-2\"";
	add_put(f)->headers[1] = "\"opaque\"";
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.proof, ENGINE_PROOF_TRANSIT);
}

static void test_empty(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a = add_get(f);

	a->body_len = 0;
	a->headers[1] = "0";
	a->headers[3] = "\"d41d8cd98f00b204e9800998ecf8427e\"";
	add_put(f)->headers[1] = "\"d41d8cd98f00b204e9800998ecf8427e\"";
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.proof, ENGINE_PROOF_MD5);
	assert_false(replay_has(f->net.http, 1, "aws-chunked"));
}

static void check_retried_source(struct fixture *f, int attempts)
{
	replay_add(&f->net, TARGET, 200)->hangs = true;
	add_get(f);
	add_put(f);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->retries, attempts - 1);
	assert_int_equal(f->done.attempts, attempts);
	assert_false(replay_seen(f->net.http, 1)->is_complete); /* never a short PUT */
	assert_true(replay_has(f->net.http, 2, "If-Match: ") &&
		    replay_has(f->net.http, 2, f->etag));
}

static void test_reset_mid_body(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a = add_get(f);

	a->net_code = "reset";
	a->cut_at = 7000;
	check_retried_source(f, 1); /* no attempt of the job: the request again */
	assert_int_equal(engine_set_sent_again(f->set), 1);
}

static void test_short_body(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a = add_get(f);

	a->body_len = 19000; /* a server that lies, and an http that did not see it */
	check_retried_source(f, 2);
	assert_int_equal(engine_set_sent_again(f->set), 0);
}

static void test_slow_down(void **state)
{
	struct fixture *f = *state;

	replay_add_body(&f->net, SOURCE, 503, "<Error><Code>SlowDown</Code></Error>");
	add_get(f);
	add_put(f);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->retries, 0);
}

/* Whatever our own delay is. */
static void test_retry_after(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a = replay_add_body(
		&f->net, SOURCE, 500, "<Error><Code>InternalError</Code></Error>");

	a->headers[0] = "retry-after";
	a->headers[1] = "40";
	add_get(f);
	add_put(f);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_true(f->done.duration_us >= 40 * USEC_PER_SEC);
	assert_true(f->done.duration_us <= 43 * USEC_PER_SEC);
}

/* Six requests an attempt, as the SDKs do. */
static void test_gives_up(void **state)
{
	struct fixture *f = *state;
	int i;

	for (i = 0; i < 18; i++)
		replay_add_body(&f->net, SOURCE, 500,
			"<Error><Code>InternalError</Code></Error>");
	run(f);
	assert_int_equal(f->done.err.class, ERR_RETRY);
	assert_int_equal(f->done.attempts, 3);
	assert_int_equal(replay_count(f->net.http), 18);
	assert_true(f->done.is_source_error);
	assert_null(strstr(f->done.err.text, "quota"));
}

/* 500 tokens are 35 retries: seven attempts, and from then on one request each. */
static void test_quota(void **state)
{
	struct fixture *f = *state;
	int i;

	f->attempts = 9;
	for (i = 0; i < 44; i++)
		replay_add_body(&f->net, SOURCE, 500,
			"<Error><Code>InternalError</Code></Error>");
	run(f);
	assert_int_equal(f->done.err.class, ERR_RETRY);
	assert_int_equal(f->done.attempts, 9);
	assert_int_equal(replay_count(f->net.http), 44);
	assert_non_null(strstr(f->done.err.text, "too many requests to source failed"));
}

static void test_slow_down_asks_for_patience(void **state)
{
	struct fixture *f = *state;
	int i;

	for (i = 0; i < 8 * 6; i++)
		replay_add_body(
			&f->net, SOURCE, 503, "<Error><Code>SlowDown</Code></Error>");
	run(f);
	assert_int_equal(f->done.err.class, ERR_THROTTLE);
	assert_int_equal(f->done.attempts, 8);
	assert_int_equal(replay_count(f->net.http), 48);
}

/* 2025-11-24T16:00:00Z here, ten minutes later there. */
static void test_clock_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a = replay_add_body(
		&f->net, SOURCE, 403, "<Error><Code>RequestTimeTooSkewed</Code></Error>");

	a->headers[0] = "date";
	a->headers[1] = "Mon, 24 Nov 2025 16:10:00 GMT";
	add_get(f);
	add_put(f);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.attempts, 1);
	assert_true(replay_has(f->net.http, 0, "x-amz-date: 20251124T160"));
	assert_true(replay_has(f->net.http, 1, "x-amz-date: 20251124T161"));
	/* The destination has a clock of its own. */
	assert_true(replay_has(f->net.http, 2, "x-amz-date: 20251124T160"));
	assert_int_equal(f->clocks, 1);
}

/* The clock is right: a refusal of the signature stays one. */
static void test_clock_is_right(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a = replay_add_body(&f->net, SOURCE, 403,
		"<Error><Code>SignatureDoesNotMatch</Code></Error>");

	a->headers[0] = "date";
	a->headers[1] = "Mon, 24 Nov 2025 16:02:00 GMT";
	run(f);
	assert_int_equal(f->done.err.class, ERR_DENIED);
	assert_int_equal(f->done.attempts, 1);
}

/* Only once: the other region may point back. More of it: test_region.c. */
static void test_wrong_region(void **state)
{
	struct fixture *f = *state;
	static const char there[] = "GET https://source.s3.eu-central-1.amazonaws.com/";

	replay_add_body(&f->net, SOURCE, 301,
		"<Error><Code>PermanentRedirect</Code>"
		"<Region>eu-central-1</Region></Error>");
	replay_add_body(&f->net, there, 301,
		"<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message>"
		"<Region>eu-south-1</Region></Error>");
	run(f);
	assert_int_equal(f->done.err.class, ERR_FATAL);
	assert_int_equal(f->done.attempts, 1);
	assert_int_equal(replay_count(f->net.http), 2);
	assert_true(replay_has(f->net.http, 1, "/eu-central-1/s3/aws4_request"));
	assert_string_equal(f->done.err.text, "Elsewhere.; the bucket is in region "
					      "eu-south-1, the request went to "
					      "eu-central-1");
}

static void test_another_object_in_spite_of_if_match(void **state)
{
	struct fixture *f = *state;

	add_get(f)->body = f->flipped;
	add_put(f);
	add_get(f)->headers[3] = f->wrong_etag; /* a server that ignores If-Match */
	run(f);
	assert_int_equal(f->done.err.class, ERR_CONFLICT);
	assert_string_equal(f->done.err.code, "changed");
}

static void test_changed(void **state)
{
	struct fixture *f = *state;

	replay_add_body(
		&f->net, SOURCE, 412, "<Error><Code>PreconditionFailed</Code></Error>");
	run(f);
	assert_int_equal(f->done.err.class, ERR_CONFLICT);
	assert_int_equal(f->done.attempts, 1);
	assert_true(f->done.is_source_error);
}

static void test_flipped_at_source(void **state)
{
	struct fixture *f = *state;

	add_get(f)->body = f->flipped;
	add_put(f);
	add_get(f);
	add_put(f);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->retries, 1);
}

static void test_flipped_at_destination(void **state)
{
	struct fixture *f = *state;
	int i;

	for (i = 0; i < 3; i++) {
		add_get(f);
		add_put(f)->headers[1] = f->wrong_etag;
	}
	run(f);
	assert_int_equal(f->done.err.class, ERR_INTEGRITY);
	assert_int_equal(f->done.proof, ENGINE_PROOF_NONE);
	assert_false(f->done.is_source_error);
	assert_int_equal(f->done.attempts, 3);
}

static void test_early_denial(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a;

	add_get(f);
	a = replay_add_body(
		&f->net, TARGET, 403, "<Error><Code>AccessDenied</Code></Error>");
	a->is_early = true;
	a->early_at = 1;
	run(f);
	assert_int_equal(f->done.err.class, ERR_DENIED);
	assert_string_equal(f->done.err.code, "AccessDenied");
	assert_false(f->done.is_source_error);
	assert_int_equal(replay_count(f->net.http), 2);
}

static void test_expired_then_renewed(void **state)
{
	struct fixture *f = *state;

	add_get(f);
	replay_add_body(&f->net, TARGET, 400, "<Error><Code>ExpiredToken</Code></Error>");
	add_get(f);
	add_put(f);
	start(f);
	give_creds(f, 1, 1, 3600);
	give_creds(f, 2, 4, 3600);
	replay_run_until(&f->net, &f->needs, 1);
	assert_int_equal(f->need_id, 2);
	assert_int_equal(f->need_generation, 4);
	assert_int_equal(f->dones, 0);
	give_creds(f, 2, 5, 3600);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.attempts, 1);
	assert_true(replay_has(f->net.http, 3, "token-2-5"));
}

static void test_refused_twice(void **state)
{
	struct fixture *f = *state;

	replay_add_body(&f->net, SOURCE, 400, "<Error><Code>ExpiredToken</Code></Error>");
	replay_add_body(&f->net, SOURCE, 400, "<Error><Code>ExpiredToken</Code></Error>");
	start(f);
	give_creds(f, 1, 1, 3600);
	give_creds(f, 2, 1, 3600);
	replay_run_until(&f->net, &f->needs, 1);
	give_creds(f, 1, 2, 3600);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(f->done.err.class, ERR_AUTH);
	assert_int_equal(replay_count(f->net.http), 2);
}

static void test_waits_for_first_creds(void **state)
{
	struct fixture *f = *state;

	add_get(f);
	add_put(f);
	start(f);
	replay_run_until(&f->net, &f->needs, 2);
	give_creds(f, 1, 1, -5); /* over already */
	replay_run_until(&f->net, &f->needs, 3);
	assert_int_equal(replay_count(f->net.http), 0);
	give_creds(f, 1, 2, 60);
	give_creds(f, 2, 1, 60);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(f->done.err.class, ERR_OK);
}

static void add_ask(struct fixture *f)
{
	struct replay_answer *a = replay_add(&f->net, ASK, 200);

	a->headers[0] = "etag";
	a->headers[1] = f->etag;
	a->headers[2] = "content-length";
	a->headers[3] = "70000";
}

/* The PUT went through, its answer was lost: one HEAD instead of a second transfer. */
static void test_lost_answer(void **state)
{
	struct fixture *f = *state;

	add_get(f);
	replay_add(&f->net, TARGET, 0)->net_code = "reset";
	add_ask(f);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.proof, ENGINE_PROOF_MD5);
	assert_int_equal(f->done.attempts, 1);
	assert_int_equal(replay_count(f->net.http), 3);
}

/* A HEAD that could not tell is asked again, alone. */
static void test_lost_answer_and_head(void **state)
{
	struct fixture *f = *state;

	add_get(f);
	replay_add(&f->net, TARGET, 0)->net_code = "reset";
	replay_add(&f->net, ASK, 503);
	replay_add(&f->net, ASK, 0)->net_code = "reset";
	add_ask(f);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.proof, ENGINE_PROOF_MD5);
	assert_int_equal(f->done.attempts, 1);
	assert_int_equal(f->done.sent_again, 2);
	assert_int_equal(replay_count(f->net.http), 5);
}

/* Nor is it said that the object is not there while nobody knows. */
static void test_lost_answer_and_all_heads(void **state)
{
	struct fixture *f = *state;

	f->attempts = 1;
	add_get(f);
	replay_add(&f->net, TARGET, 0)->net_code = "reset";
	for (int i = 0; i < 6; i++)
		replay_add(&f->net, ASK, 500);
	run(f);
	assert_int_equal(f->done.err.class, ERR_RETRY);
	assert_string_equal(f->done.err.operation, "HeadObject");
	assert_int_equal(replay_count(f->net.http), 8);
}

/* A session that ends once more is renewed once more, when it was of use between. */
static void test_expired_twice(void **state)
{
	struct fixture *f = *state;
	struct replay_answer *a;

	replay_add_body(&f->net, SOURCE, 400, "<Error><Code>ExpiredToken</Code></Error>");
	a = add_get(f);
	a->cut_at = CHUNK;
	a->net_code = "reset";
	replay_add(&f->net, TARGET, 200)->hangs = true;
	replay_add_body(&f->net, SOURCE, 400, "<Error><Code>ExpiredToken</Code></Error>");
	add_get(f);
	add_put(f);
	start(f);
	give_creds(f, 1, 1, 3600);
	give_creds(f, 2, 1, 3600);
	replay_run_until(&f->net, &f->needs, 1);
	give_creds(f, 1, 2, 3600);
	replay_run_until(&f->net, &f->needs, 2);
	give_creds(f, 1, 3, 3600);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_true(replay_has(f->net.http, 4, "token-1-3"));
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct engine_cmd cmd = {ENGINE_CMD_CANCEL, .id = 5};
	int i;

	add_get(f);
	replay_add(&f->net, TARGET, 200)->hangs = true;
	start(f);
	give_creds(f, 1, 1, 3600);
	give_creds(f, 2, 1, 3600);
	for (i = 0; i < 60; i++)
		loop_turn(f->net.loop, false);
	assert_int_equal(replay_count(f->net.http), 2);
	engine_set_send(f->set, &cmd);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(f->done.err.class, ERR_CANCELLED);
	assert_false(replay_seen(f->net.http, 1)->is_complete);
}

/* Freed in the middle: no event, no leak (the sanitizer looks). */
static void test_free_in_flight(void **state)
{
	struct fixture *f = *state;
	int i;

	add_get(f);
	replay_add(&f->net, TARGET, 200)->hangs = true;
	start(f);
	give_creds(f, 1, 1, 3600);
	give_creds(f, 2, 1, 3600);
	for (i = 0; i < 60; i++)
		loop_turn(f->net.loop, false);
	f->set = engine_set_free(f->set);
	f->net.http = http_free(f->net.http);
	loop_turn(f->net.loop, false);
	assert_int_equal(f->dones, 0);
}

static void test_hostile_keys(void **state)
{
	struct fixture *f = *state;
	char key[1025] = "/a b+%41//../\xc3\xbc?#&;", url[4096];
	size_t len = strlen(key);

	memset(key + len, 'x', 1024 - len);
	f->key = key;
	add_get(f)->expect = NULL;
	add_put(f)->expect = NULL;
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	snprintf(url, sizeof(url), "PUT http://127.0.0.1:9/target/%s%s",
		"/a%20b%2B%2541//../%C3%BC%3F%23%26%3B", key + len);
	assert_string_equal(replay_seen(f->net.http, 1)->line, url);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_happy),
		TEST(test_small),
		TEST(test_small_and_cut),
		TEST(test_checksums),
		TEST(test_no_digest),
		TEST(test_empty),
		TEST(test_reset_mid_body),
		TEST(test_short_body),
		TEST(test_slow_down),
		TEST(test_retry_after),
		TEST(test_gives_up),
		TEST(test_quota),
		TEST(test_slow_down_asks_for_patience),
		TEST(test_clock_is_wrong),
		TEST(test_clock_is_right),
		TEST(test_wrong_region),
		TEST(test_another_object_in_spite_of_if_match),
		TEST(test_changed),
		TEST(test_flipped_at_source),
		TEST(test_flipped_at_destination),
		TEST(test_early_denial),
		TEST(test_expired_then_renewed),
		TEST(test_refused_twice),
		TEST(test_waits_for_first_creds),
		TEST(test_lost_answer),
		TEST(test_lost_answer_and_head),
		TEST(test_lost_answer_and_all_heads),
		TEST(test_expired_twice),
		TEST(test_cancel),
		TEST(test_free_in_flight),
		TEST(test_hostile_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
