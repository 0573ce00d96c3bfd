/*
 * Several engines in threads: every transfer ends once, credentials reach all of them,
 * and an end in the middle of everything is clean. Every call of theirs is reset at once.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_set.h"
#include "net/loop.h"
#include "tests/replay/http_replay.h"

#define ENGINES   3
#define TRANSFERS 30

struct fixture {
	struct loop *loop;
	struct engine_set *set;
	int ends[TRANSFERS + 1], ended, needs;
	enum err_class class;
};

static void on_ev(void *arg, const struct engine_ev *ev)
{
	struct fixture *f = arg;

	if (ev->type == ENGINE_EV_NEED_CREDS)
		f->needs++;
	if (ev->type == ENGINE_EV_DONE) {
		f->ends[ev->id]++;
		f->ended++;
		f->class = ev->result->err.class;
	}
	free(ev->result);
	free(ev->upload);
	free(ev->endpoint_url);
}

static int set_up(void **state)
{
	const struct engine_options options = {.engines = ENGINES};
	struct fixture *f = mem_alloc(sizeof(*f));

	f->loop = loop_new(clock_system());
	f->set = engine_set_new(f->loop, NULL, &options, on_ev, f);
	assert_non_null(f->set);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	engine_set_free(f->set);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void give_creds(struct fixture *f, uint32_t id)
{
	const struct engine_cmd cmd = {ENGINE_CMD_CREDS, .creds_id = id,
		.creds = replay_creds(id, 1, CREDS_NEVER)};

	engine_set_send(f->set, &cmd);
}

static void start(struct fixture *f, uint64_t id)
{
	struct engine_xfer_spec *x = mem_alloc(sizeof(*x));
	struct engine_cmd cmd = {ENGINE_CMD_XFER, .id = id, .xfer = x};

	*x = (struct engine_xfer_spec){.id = id,
		.tag = 7,
		.source_size = -1,
		.max_attempts = 1,
		.source.creds_id = 1,
		.destination.creds_id = 2};
	strcpy(x->source.bucket, "source");
	strcpy(x->source.key, "key");
	strcpy(x->source.region, "eu-west-1");
	x->destination = x->source;
	x->destination.creds_id = 2;
	engine_set_send(f->set, &cmd);
}

static void run_until(struct fixture *f, const int *what, int until)
{
	while (*what < until)
		loop_turn(f->loop, true);
	assert_int_equal(*what, until);
}

static void test_each_ends_once(void **state)
{
	struct fixture *f = *state;

	give_creds(f, 1);
	give_creds(f, 2);
	for (uint64_t id = 1; id <= TRANSFERS; id++)
		start(f, id);
	run_until(f, &f->ended, TRANSFERS);
	for (int id = 1; id <= TRANSFERS; id++)
		assert_int_equal(f->ends[id], 1);
	assert_int_equal(f->class, ERR_RETRY);
}

/* Each of them asks, and one set for all of them is enough. */
static void test_creds_reach_all(void **state)
{
	struct fixture *f = *state;

	give_creds(f, 1);
	for (uint64_t id = 1; id <= ENGINES; id++)
		start(f, id);
	run_until(f, &f->needs, ENGINES);
	assert_int_equal(f->ended, 0);
	give_creds(f, 2);
	run_until(f, &f->ended, ENGINES);
}

static void test_cancel_finds_its_engine(void **state)
{
	struct fixture *f = *state;
	struct engine_cmd cmd = {ENGINE_CMD_CANCEL};

	for (uint64_t id = 1; id <= ENGINES; id++)
		start(f, id);
	for (uint64_t id = 1; id <= ENGINES; id++) {
		cmd.id = id;
		engine_set_send(f->set, &cmd);
	}
	run_until(f, &f->ended, ENGINES);
	assert_int_equal(f->class, ERR_CANCELLED);
}

static void test_end_amid_everything(void **state)
{
	struct fixture *f = *state;

	give_creds(f, 1);
	give_creds(f, 2);
	for (uint64_t id = 1; id <= TRANSFERS; id++)
		start(f, id);
	loop_turn(f->loop, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_ends_once),
		TEST(test_creds_reach_all),
		TEST(test_cancel_finds_its_engine),
		TEST(test_end_amid_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
