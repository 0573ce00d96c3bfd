/*
 * engine/remove over scripted HTTP and a clock that a test moves by hand: what may still
 * be deleted, what stays and why, and which requests that takes.
 */
#include "config.h"

#include "engine/remove.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine_set.h"
#include "net/loop.h"
#include "tests/replay/http_replay.h"

#define SOURCE "HEAD http://127.0.0.1:9/source/a"
#define LOOK   "HEAD http://127.0.0.1:9/target/in/a"
#define DELETE "DELETE http://127.0.0.1:9/target/in/a"
#define ASK    "POST http://127.0.0.1:9/source/a?restore"
#define BUSY   "<Error><Code>InternalError</Code></Error>"
#define GONE   "<Error><Code>NoSuchKey</Code></Error>"

struct fixture {
	struct replay net;
	struct engine_set *set;
	struct engine_remove_spec spec;
	struct engine_result done;
	int dones, needs;
};

static void on_ev(void *arg, const struct engine_ev *ev)
{
	struct fixture *f = arg;

	if (ev->type == ENGINE_EV_NEED_CREDS)
		f->needs++;
	if (ev->type == ENGINE_EV_DONE) {
		assert_int_equal(ev->id, 5);
		assert_int_equal(ev->tag, 7);
		f->dones++;
		f->done = *ev->result;
	}
	free(ev->result);
	free(ev->endpoint_url);
}

static void set_side(struct engine_side *side, const char *bucket, const char *key)
{
	strcpy(side->bucket, bucket);
	strcpy(side->key, key);
	strcpy(side->region, "eu-west-1");
	strcpy(side->endpoint_url, "http://127.0.0.1:9");
}

/* A mirror's: the object "e" at in/a is to go, where the source has no a. */
static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	replay_init(&f->net);
	f->spec = (struct engine_remove_spec){.id = 5,
		.tag = 7,
		.has_absent = true,
		.max_attempts = 3,
		.backoff_ms = 1000,
		.max_backoff_ms = 5000,
		.backoff_factor = 2};
	set_side(&f->spec.absent, "source", "a");
	f->spec.absent.creds_id = 1;
	set_side(&f->spec.target, "target", "in/a");
	f->spec.target.creds_id = 2;
	strcpy(f->spec.etag, "\"e\"");
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

static void add_object(struct fixture *f, const char *expect, const char *etag)
{
	struct replay_answer *a = replay_add(&f->net, expect, 200);

	a->headers[0] = "etag";
	a->headers[1] = etag;
}

static void give_creds(struct fixture *f, uint32_t id, uint64_t generation)
{
	const struct engine_cmd cmd = {ENGINE_CMD_CREDS, .creds_id = id,
		.creds = replay_creds(id, generation, REPLAY_WALL + 3600 * USEC_PER_SEC)};

	engine_set_send(f->set, &cmd);
}

static void start(struct fixture *f)
{
	const struct engine_options options = {.max_transfers = 2};
	struct engine_remove_spec *spec = mem_alloc(sizeof(*spec));
	struct engine_cmd cmd = {ENGINE_CMD_REMOVE, .id = 5, .removal = spec};

	*spec = f->spec;
	replay_begin(&f->net);
	f->set = engine_set_new(f->net.loop, f->net.http, &options, on_ev, f);
	give_creds(f, 1, 1);
	give_creds(f, 2, 1);
	engine_set_send(f->set, &cmd);
}

/* Each request of the script was made, and no other. */
static void run(struct fixture *f)
{
	start(f);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(replay_count(f->net.http), f->net.count);
}

/* --- what goes --- */

static void it_is_looked_for_looked_at_and_deleted(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"e\"");
	replay_add(&f->net, DELETE, 204);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	/* Each side as its own identity. */
	assert_true(replay_has(f->net.http, 0, "token-1-1"));
	assert_true(replay_has(f->net.http, 1, "token-2-1") &&
		    replay_has(f->net.http, 2, "token-2-1"));
	assert_true(replay_has(f->net.http, 2, "if-match: \"e\""));
}

/* Nothing has to be absent where a source is moved. */
static void a_move_looks_at_its_source_alone(void **state)
{
	struct fixture *f = *state;

	f->spec.has_absent = false;
	add_object(f, LOOK, "e"); /* quotes are no difference */
	replay_add(&f->net, DELETE, 204);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_true(replay_has(f->net.http, 1, "if-match: \"e\""));
}

static void what_is_gone_counts_as_deleted(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	replay_add(&f->net, LOOK, 404);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
}

static void what_goes_meanwhile_counts_as_deleted(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"e\"");
	replay_add_body(&f->net, DELETE, 404, GONE);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
}

/* --- what stays --- */

static void assert_stays(struct fixture *f, enum err_class class, const char *code)
{
	run(f);
	assert_int_equal(f->done.err.class, class);
	assert_string_equal(f->done.err.code, code);
	for (size_t i = 0; i < f->net.count; i++)
		assert_false(str_has_prefix(replay_seen(f->net.http, i)->line, "DELETE"));
}

static void a_source_that_is_back_keeps_it(void **state)
{
	struct fixture *f = *state;

	add_object(f, SOURCE, "\"new\"");
	assert_stays(f, ERR_CONFLICT, "source-is-back");
	assert_true(f->done.is_source_error);
}

static void a_source_that_may_not_be_read_keeps_it(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 403);
	assert_stays(f, ERR_DENIED, "AccessDenied");
	assert_true(f->done.is_source_error);
}

static void another_object_stays(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"other\"");
	assert_stays(f, ERR_CONFLICT, "changed");
	assert_false(f->done.is_source_error);
}

static void an_object_without_a_mark_stays(void **state)
{
	struct fixture *f = *state;

	f->spec.etag[0] = '\0';
	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"e\"");
	assert_stays(f, ERR_CONFLICT, "unknown");
}

/* Changed between the look and the DELETE: the service sees to it. */
static void a_change_at_the_last_moment_keeps_it(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"e\"");
	replay_add_body(
		&f->net, DELETE, 412, "<Error><Code>PreconditionFailed</Code></Error>");
	run(f);
	assert_int_equal(f->done.err.class, ERR_CONFLICT);
	assert_string_equal(f->done.err.code, "PreconditionFailed");
}

/* --- what fails on the way --- */

static void a_lost_answer_is_followed_by_a_look(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"e\"");
	replay_add(&f->net, DELETE, 0)->net_code = "reset";
	replay_add(&f->net, LOOK, 404); /* it had arrived */
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
}

/* Whoever writes between a lost answer and the look has written another object. */
static void a_lost_answer_does_not_delete_what_came_later(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"e\"");
	replay_add(&f->net, DELETE, 0)->net_code = "reset";
	add_object(f, LOOK, "\"later\"");
	run(f);
	assert_int_equal(f->done.err.class, ERR_CONFLICT);
	assert_string_equal(f->done.err.code, "changed");
}

static void a_busy_service_is_asked_again(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 503);
	replay_add(&f->net, SOURCE, 404);
	replay_add(&f->net, LOOK, 500);
	add_object(f, LOOK, "\"e\"");
	replay_add_body(&f->net, DELETE, 500, BUSY);
	add_object(f, LOOK, "\"e\"");
	replay_add(&f->net, DELETE, 204);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(f->done.attempts, 1);
}

static void a_refused_session_is_renewed_once(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"e\"");
	replay_add_body(&f->net, DELETE, 400, "<Error><Code>ExpiredToken</Code></Error>");
	replay_add(&f->net, DELETE, 204);
	start(f);
	replay_run_until(&f->net, &f->needs, 1);
	assert_int_equal(f->dones, 0);
	give_creds(f, 2, 2);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_int_equal(replay_count(f->net.http), 4);
	assert_true(replay_has(f->net.http, 3, "token-2-2"));
}

/* --- cancelled --- */

static void cancel_after(struct fixture *f, size_t requests)
{
	struct engine_cmd cmd = {ENGINE_CMD_CANCEL, .id = 5};

	start(f);
	for (int i = 0; i < 1000 && replay_count(f->net.http) < requests; i++)
		loop_turn(f->net.loop, false);
	assert_int_equal(replay_count(f->net.http), requests);
	engine_set_send(f->set, &cmd);
	replay_run_until(&f->net, &f->dones, 1);
	assert_int_equal(replay_count(f->net.http), requests);
}

static void a_cancel_before_the_delete_deletes_nothing(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	replay_add(&f->net, LOOK, 200)->hangs = true;
	cancel_after(f, 2);
	assert_int_equal(f->done.err.class, ERR_CANCELLED);
	assert_true(replay_seen(f->net.http, 1)->is_cancelled);
}

/* It may be done by now, and the manifest is to say so. */
static void a_delete_that_was_sent_is_waited_for(void **state)
{
	struct fixture *f = *state;

	replay_add(&f->net, SOURCE, 404);
	add_object(f, LOOK, "\"e\"");
	replay_add(&f->net, DELETE, 204);
	cancel_after(f, 3);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_true(replay_seen(f->net.http, 2)->is_complete);
}

/* --- instead of it: a restore --- */

static void ask_restore(struct fixture *f)
{
	f->spec.has_absent = false;
	set_side(&f->spec.target, "source", "a");
	strcpy(f->spec.restore_tier, "Bulk");
	f->spec.restore_days = 2;
}

static void a_restore_deletes_nothing(void **state)
{
	struct fixture *f = *state;

	ask_restore(f);
	replay_add(&f->net, ASK, 202);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_false(f->done.is_readable);
	assert_non_null(strstr(replay_seen(f->net.http, 0)->body, "<Days>2</Days>"));
	assert_non_null(strstr(replay_seen(f->net.http, 0)->body, "<Tier>Bulk</Tier>"));
}

static void a_restore_under_way_is_one(void **state)
{
	struct fixture *f = *state;

	ask_restore(f);
	replay_add_body(&f->net, ASK, 409,
		"<Error><Code>RestoreAlreadyInProgress</Code></Error>");
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_false(f->done.is_readable);
}

static void a_restored_copy_is_there_already(void **state)
{
	struct fixture *f = *state;

	ask_restore(f);
	replay_add(&f->net, ASK, 200);
	run(f);
	assert_int_equal(f->done.err.class, ERR_OK);
	assert_true(f->done.is_readable);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN(TEST(it_is_looked_for_looked_at_and_deleted),
	TEST(a_move_looks_at_its_source_alone), TEST(what_is_gone_counts_as_deleted),
	TEST(what_goes_meanwhile_counts_as_deleted), TEST(a_source_that_is_back_keeps_it),
	TEST(a_source_that_may_not_be_read_keeps_it), TEST(another_object_stays),
	TEST(an_object_without_a_mark_stays), TEST(a_change_at_the_last_moment_keeps_it),
	TEST(a_lost_answer_is_followed_by_a_look),
	TEST(a_lost_answer_does_not_delete_what_came_later),
	TEST(a_busy_service_is_asked_again), TEST(a_refused_session_is_renewed_once),
	TEST(a_cancel_before_the_delete_deletes_nothing),
	TEST(a_delete_that_was_sent_is_waited_for), TEST(a_restore_deletes_nothing),
	TEST(a_restore_under_way_is_one), TEST(a_restored_copy_is_there_already))
