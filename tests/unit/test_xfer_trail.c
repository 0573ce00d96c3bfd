/* engine/xfer_trail: what the answer to the part that finds out says, and what says
 * nothing. */
#include "config.h"

#include "engine/xfer_trail.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "engine/known.h"

#define URL "https://127.0.0.1:9"

struct fixture {
	struct known *known;
	struct xfer_env env;
	struct engine_xfer_spec spec;
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	f->known = known_new();
	f->env.known = f->known;
	f->spec.destination.scheme = ENGINE_S3;
	strcpy(f->spec.destination.endpoint_url, URL);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	known_free(f->known);
	free(f);
	return 0;
}

static struct xfer part_of(struct fixture *f)
{
	return (struct xfer){
		.env = &f->env, .spec = &f->spec, .range.kept = CHECKSUM_CRC64NVME};
}

static void fails(
	struct xfer *x, enum err_origin origin, enum err_class class, int status)
{
	x->is_failed = true;
	x->failed_side = XFER_DESTINATION;
	err_set(&x->err, class, origin, "Code", "why");
	x->err.http_status = status;
}

static void begins_again(struct xfer *x)
{
	x->is_failed = false;
	x->err = (struct err){0};
}

static enum known_trailers known_now(struct fixture *f)
{
	return known_trailers_of(f->known, URL);
}

static void one_part_at_a_time_finds_out(void **state)
{
	struct fixture *f = *state;
	struct xfer x = part_of(f), other = part_of(f), next = part_of(f);

	assert_false(xfer_trail_may(&x));
	assert_true(xfer_trail_begin(&x));
	assert_false(xfer_trail_begin(&other));
	xfer_trail_judge(&other, true); /* it had none */
	assert_int_equal(known_now(f), TRAILERS_ASKED);
	xfer_trail_judge(&x, true);
	assert_int_equal(known_now(f), TRAILERS_READ);
	assert_true(xfer_trail_begin(&next));
	assert_false(next.is_trailing_probe);
}

static void an_answer_without_the_checksum_refuses(void **state)
{
	struct fixture *f = *state;
	struct xfer x = part_of(f), next = part_of(f);

	assert_true(xfer_trail_begin(&x));
	xfer_trail_judge(&x, false);
	assert_true(x.is_failed);
	assert_int_equal(x.err.class, ERR_INTEGRITY);
	assert_true(xfer_trail_gives_in(&x));
	assert_int_equal(known_now(f), TRAILERS_REFUSED);
	assert_false(xfer_trail_begin(&next));
}

static void answers_that_may_speak_of_it_refuse(void **state)
{
	static const struct {
		enum err_class class;
		int status;
	} answers[] = {{ERR_FATAL, 400}, {ERR_DENIED, 403}, {ERR_INTEGRITY, 400},
		{ERR_FATAL, 501}};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct fixture *f;
		struct xfer x;

		set_up((void **)&f);
		x = part_of(f);
		assert_true(xfer_trail_begin(&x));
		fails(&x, ERR_FROM_S3, answers[i].class, answers[i].status);
		assert_true(xfer_trail_gives_in(&x));
		assert_int_equal(known_now(f), TRAILERS_REFUSED);
		tear_down((void **)&f);
	}
	(void)state;
}

static void what_may_pass_leaves_it_open(void **state)
{
	static const struct {
		enum err_origin origin;
		enum err_class class;
		int status;
	} failures[] = {{ERR_FROM_S3, ERR_THROTTLE, 503}, {ERR_FROM_S3, ERR_RETRY, 500},
		{ERR_FROM_NET, ERR_RETRY, 0}, {ERR_FROM_NET, ERR_FATAL, 0},
		{ERR_FROM_S3, ERR_AUTH, 400}, {ERR_FROM_S3, ERR_NOTFOUND, 404}};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		struct xfer x = part_of(f);

		assert_true(xfer_trail_begin(&x));
		fails(&x, failures[i].origin, failures[i].class, failures[i].status);
		assert_false(xfer_trail_gives_in(&x));
		assert_int_equal(known_now(f), TRAILERS_UNKNOWN);
		begins_again(&x);
		assert_false(xfer_trail_begin(&x)); /* itself goes without */
	}
}

/* Who reads from there and has its trouble with the source is asked again. */
static void a_source_that_fails_leaves_it_open(void **state)
{
	struct fixture *f = *state;
	struct xfer x = part_of(f);

	assert_true(xfer_trail_begin(&x));
	fails(&x, ERR_FROM_S3, ERR_FATAL, 400);
	x.failed_side = XFER_SOURCE;
	assert_false(xfer_trail_gives_in(&x));
	begins_again(&x);
	assert_true(xfer_trail_begin(&x));
	xfer_trail_drop(&x);
	assert_int_equal(known_now(f), TRAILERS_UNKNOWN);
}

/* Each time the same bytes come through without: that is no chance. */
static void who_drops_the_connection_for_it_is_found_out(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		struct xfer x = part_of(f);

		assert_int_equal(known_now(f), TRAILERS_UNKNOWN);
		assert_true(xfer_trail_begin(&x));
		fails(&x, ERR_FROM_NET, ERR_RETRY, 0);
		assert_false(xfer_trail_gives_in(&x));
		begins_again(&x);
		assert_false(xfer_trail_begin(&x));
		xfer_trail_judge(&x, true);
		assert_false(x.is_failed);
	}
	assert_int_equal(known_now(f), TRAILERS_REFUSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN(TEST(one_part_at_a_time_finds_out),
	TEST(an_answer_without_the_checksum_refuses),
	TEST(answers_that_may_speak_of_it_refuse), TEST(what_may_pass_leaves_it_open),
	TEST(a_source_that_fails_leaves_it_open),
	TEST(who_drops_the_connection_for_it_is_found_out))
