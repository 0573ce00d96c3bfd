/* engine/xfer_pipe: the bytes, the bound, and who is resumed when. */
#include "config.h"

#include "engine/xfer_pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LONG UINT64_MAX

struct counts {
	int writer, reader;
};

static void resume_writer(void *arg)
{
	((struct counts *)arg)->writer++;
}

static void resume_reader(void *arg)
{
	((struct counts *)arg)->reader++;
}

static struct xfer_pipe *make(size_t size, uint64_t length, struct counts *c)
{
	return xfer_pipe_new(size, length, resume_writer, resume_reader, c);
}

static void test_hysteresis(void **state)
{
	struct counts c = {0};
	struct xfer_pipe *p = make(100, LONG, &c);
	char piece[60] = {0}, out[100];
	size_t n = 0;

	assert_int_equal(xfer_pipe_read(p, out, 100, &n), HTTP_PAUSE);
	assert_int_equal(xfer_pipe_write(p, piece, 40), HTTP_GO);
	assert_int_equal(c.reader, 0); /* less than half: not worth it yet */
	assert_int_equal(xfer_pipe_write(p, piece, 20), HTTP_ENOUGH);
	assert_int_equal(c.reader, 1);
	assert_int_equal(xfer_pipe_write(p, piece, 60), HTTP_PAUSE);
	assert_int_equal(xfer_pipe_read(p, out, 5, &n), HTTP_GO);
	assert_int_equal(n, 5);
	assert_int_equal(c.writer, 0);
	assert_int_equal(xfer_pipe_read(p, out, 5, &n), HTTP_GO);
	assert_int_equal(c.writer, 1);
	assert_int_equal(xfer_pipe_write(p, piece, 101), HTTP_ABORT);
	assert_int_equal(xfer_pipe_bytes_out(p), 10);
	xfer_pipe_free(p);
}

/* A piece that does not fit above a ring less than half full: nobody may starve. */
static void test_no_deadlock(void **state)
{
	struct counts c = {0};
	struct xfer_pipe *p = make(100, LONG, &c);
	char piece[80] = {0}, out[100];
	size_t n = 0;

	assert_int_equal(xfer_pipe_read(p, out, 100, &n), HTTP_PAUSE);
	assert_int_equal(xfer_pipe_write(p, piece, 40), HTTP_GO);
	assert_int_equal(xfer_pipe_write(p, piece, 80), HTTP_PAUSE);
	assert_int_equal(c.reader, 1);
	assert_int_equal(xfer_pipe_read(p, out, 100, &n), HTTP_GO);
	assert_int_equal(n, 40);
	assert_int_equal(c.writer, 1);
	assert_int_equal(xfer_pipe_read(p, out, 100, &n), HTTP_PAUSE);
	xfer_pipe_end(p);
	assert_int_equal(c.reader, 2);
	assert_int_equal(xfer_pipe_read(p, out, 100, &n), HTTP_GO);
	assert_int_equal(n, 0);
	xfer_pipe_free(p);
}

static void test_last_byte_waits(void **state)
{
	struct counts c = {0};
	struct xfer_pipe *p = make(3, LONG, &c);
	char out[4];
	size_t n = 0;

	assert_int_equal(xfer_pipe_write(p, "abc", 3), HTTP_ENOUGH);
	assert_int_equal(xfer_pipe_read(p, out, 4, &n), HTTP_GO);
	assert_int_equal(n, 2);
	assert_int_equal(xfer_pipe_read(p, out, 4, &n), HTTP_PAUSE);
	/* Not when it stands in the way: then it is not the last. */
	assert_int_equal(xfer_pipe_write(p, "def", 3), HTTP_PAUSE);
	assert_int_equal(c.reader, 1);
	assert_int_equal(xfer_pipe_read(p, out, 4, &n), HTTP_GO);
	assert_int_equal(n, 1);
	assert_int_equal(c.writer, 2);
	assert_int_equal(xfer_pipe_write(p, "def", 3), HTTP_ENOUGH);
	assert_int_equal(xfer_pipe_read(p, out, 4, &n), HTTP_GO);
	assert_int_equal(n, 2);
	assert_int_equal(xfer_pipe_read(p, out, 4, &n), HTTP_PAUSE);
	xfer_pipe_end(p);
	assert_int_equal(c.reader, 2);
	assert_int_equal(xfer_pipe_read(p, out, 4, &n), HTTP_GO);
	assert_int_equal(n, 1);
	assert_int_equal(out[0], 'f');
	xfer_pipe_free(p);
}

/* Nothing has to wait for room, and nobody is resumed who was not paused. */
static void test_holds_all(void **state)
{
	struct counts c = {0};
	struct xfer_pipe *p = make(100, 90, &c);
	struct iovec iov[2];
	char piece[91] = {0}, out[90];
	size_t n = 0;

	assert_int_equal(xfer_pipe_room(p, 90, iov), 1);
	assert_int_equal(iov[0].iov_len, 90);
	assert_int_equal(xfer_pipe_write(p, piece, 91), HTTP_ABORT);
	assert_int_equal(xfer_pipe_write(p, piece, 60), HTTP_GO);
	assert_int_equal(xfer_pipe_write(p, piece, 30), HTTP_GO);
	assert_int_equal(xfer_pipe_read(p, out, 89, &n), HTTP_GO);
	assert_int_equal(n, 89);
	xfer_pipe_end(p);
	assert_int_equal(xfer_pipe_read(p, out, 90, &n), HTTP_GO);
	assert_int_equal(n, 1);
	assert_int_equal(c.writer, 0);
	xfer_pipe_free(p);
	p = make(60, 61, &c); /* a byte too few */
	assert_int_equal(xfer_pipe_write(p, piece, 60), HTTP_ENOUGH);
	xfer_pipe_free(p);
}

static void test_bytes(void **state)
{
	struct counts c = {0};
	struct xfer_pipe *p = make(64, LONG, &c);
	unsigned char in = 0, want = 0, piece[31];
	char out[23];
	size_t n, i, len, turn;

	for (turn = 1; turn < 2000; turn++) {
		len = turn * 7 % sizeof(piece);
		for (i = 0; i < len; i++)
			piece[i] = (unsigned char)(in + i);
		if (xfer_pipe_write(p, (char *)piece, len) != HTTP_PAUSE)
			in = (unsigned char)(in + len);
		if (xfer_pipe_read(p, out, 1 + turn % sizeof(out), &n) != HTTP_GO)
			continue;
		for (i = 0; i < n; i++)
			assert_int_equal((unsigned char)out[i], want++);
	}
	assert_true(xfer_pipe_bytes_out(p) > 10000);
	xfer_pipe_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hysteresis),
		cmocka_unit_test(test_no_deadlock),
		cmocka_unit_test(test_last_byte_waits),
		cmocka_unit_test(test_holds_all),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
