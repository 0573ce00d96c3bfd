/*
 * The control socket's server, in-process: half requests, oversize ones, clients that
 * leave, streams of replies, and whose socket file it is. Time is a fake clock's.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "daemon/control.h"
#include "daemon/ctl_proto.h"
#include "net/loop.h"
#include "unit.h"

#define TURNS       40 /* more than any exchange here takes */
#define CLIENTS_MAX 32 /* control.c's */

struct fixture {
	struct clock_fake fake;
	struct loop *loop;
	struct control *control;
	char dir[32], path[64];
	struct control_call *kept; /* of the verb that answers later */
	bool wanted_more;
	int echoes, gone;
	uintptr_t lowest, highest; /* of the stack under the echoes */
};

static void on_echo(void *arg, struct control_call *call, const struct json *params)
{
	struct fixture *f = arg;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	char reply[64];

	f->lowest = !f->lowest || here < f->lowest ? here : f->lowest;
	f->highest = here > f->highest ? here : f->highest;
	f->echoes++;
	snprintf(reply, sizeof(reply), "{\"n\":%d}", (int)json_get_int(params, "n", -1));
	control_reply(call, reply, false);
}

static void on_gone(void *arg)
{
	struct fixture *f = arg;

	f->kept = NULL;
	f->gone++;
}

static void on_later(void *arg, struct control_call *call, const struct json *params)
{
	struct fixture *f = arg;

	f->kept = call;
	f->wanted_more = control_wants_more(call);
	control_on_gone(call, on_gone, f);
}

static const struct control_verb verbs[] = {
	{"test.Echo", on_echo, false},
	{"test.Later", on_later, true},
	{NULL, NULL, false},
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char why[128];

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_control.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
	clock_fake_init(&f->fake, 0);
	f->loop = loop_new(&f->fake.clock);
	f->control = control_new(f->loop, f->path, verbs, f, why, sizeof(why));
	*state = f;
	return f->control ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	control_free(f->control);
	loop_turn(f->loop, false);
	loop_free(f->loop);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void turns(struct fixture *f)
{
	for (int i = 0; i < TURNS; i++)
		loop_turn(f->loop, false);
}

static int dial(struct fixture *f)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, f->path, strlen(f->path) + 1);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void put(int fd, const void *data, size_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT), len);
}

static void call(int fd, const char *method, const char *params, bool more)
{
	struct buf b = BUF_INIT(CTL_REQUEST_MAX);

	assert_int_equal(ctl_put_call(&b, method, params, more), 0);
	put(fd, b.data, b.len);
	buf_done(&b);
}

/* What lies ready for the client, each frame's end shown as '|'. */
static void expect(struct fixture *f, int fd, const char *want)
{
	char got[4096];
	ssize_t n;

	turns(f);
	n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	if (n < 0)
		n = 0;
	got[n] = '\0';
	for (ssize_t i = 0; i < n; i++) {
		if (!got[i])
			got[i] = '|';
	}
	assert_string_equal(got, want);
}

static void expect_closed(struct fixture *f, int fd)
{
	char c;
	ssize_t n;

	turns(f);
	n = recv(fd, &c, 1, MSG_DONTWAIT);
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

static void test_answers(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	call(fd, "test.Echo", "{\"n\":7}", false);
	expect(f, fd, "{\"parameters\":{\"n\":7}}|");
	call(fd, "test.Echo", "{\"n\":8}", false); /* the connection serves on */
	expect(f, fd, "{\"parameters\":{\"n\":8}}|");
	close(fd);
}

static void test_refuses_nonsense(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	call(fd, "test.Nothing", NULL, false);
	expect(f, fd,
		"{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{}}|");
	put(fd, "no JSON", 8);
	expect(f, fd,
		"{\"error\":\"org.varlink.service.InvalidParameter\","
		"\"parameters\":{\"parameter\":\"method\"}}|");
	put(fd, "[1]", 4);
	expect(f, fd,
		"{\"error\":\"org.varlink.service.InvalidParameter\","
		"\"parameters\":{\"parameter\":\"method\"}}|");
	call(fd, "test.Echo", NULL, false);
	expect(f, fd, "{\"parameters\":{\"n\":-1}}|");
	close(fd);
}

static void test_half_request_waits(void **state)
{
	static const char text[] = "{\"method\":\"test.Echo\",\"parameters\":{\"n\":1}}";
	struct fixture *f = *state;
	int fd = dial(f);

	put(fd, text, 10);
	expect(f, fd, "");
	clock_fake_advance(&f->fake, 4 * USEC_PER_SEC);
	put(fd, text + 10, sizeof(text) - 10 - 1);
	expect(f, fd, "");
	assert_int_equal(f->echoes, 0);
	put(fd, "", 1);
	expect(f, fd, "{\"parameters\":{\"n\":1}}|");
	clock_fake_advance(&f->fake, 3600 * USEC_PER_SEC); /* idle is no offence */
	call(fd, "test.Echo", "{\"n\":2}", false);
	expect(f, fd, "{\"parameters\":{\"n\":2}}|");
	close(fd);
}

static void test_half_request_times_out(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	put(fd, "{\"method\"", 9);
	expect(f, fd, "");
	clock_fake_advance(&f->fake, 5 * USEC_PER_SEC + 1000);
	expect_closed(f, fd);
}

/* Closed as soon as it cannot become a request any more; the others notice nothing. */
static void test_oversize_request(void **state)
{
	struct fixture *f = *state;
	char *big = malloc(CTL_REQUEST_MAX);
	int fd = dial(f), other = dial(f);

	memset(big, ' ', CTL_REQUEST_MAX);
	put(fd, big, CTL_REQUEST_MAX);
	expect_closed(f, fd);
	call(other, "test.Echo", "{\"n\":3}", false);
	expect(f, other, "{\"parameters\":{\"n\":3}}|");
	close(other);
	free(big);
}

static void test_streams(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	call(fd, "test.Later", NULL, true);
	expect(f, fd, "");
	assert_non_null(f->kept);
	assert_true(f->wanted_more);
	control_reply(f->kept, "{\"a\":1}", true);
	control_reply(f->kept, "{\"a\":2}", true);
	expect(f, fd,
		"{\"parameters\":{\"a\":1},\"continues\":true}|"
		"{\"parameters\":{\"a\":2},\"continues\":true}|");
	control_reply(f->kept, "{\"a\":3}", false);
	expect(f, fd, "{\"parameters\":{\"a\":3}}|");
	close(fd);
	turns(f);
	assert_int_equal(f->gone, 0); /* the call had ended */
}

static void test_requests_wait_their_turn(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	call(fd, "test.Later", NULL, false);
	call(fd, "test.Echo", "{\"n\":1}", false);
	call(fd, "test.Echo", "{\"n\":2}", false);
	expect(f, fd, "");
	assert_false(f->wanted_more);
	assert_int_equal(f->echoes, 0);
	control_error(f->kept, "test.No", NULL);
	expect(f, fd,
		"{\"error\":\"test.No\",\"parameters\":{}}|"
		"{\"parameters\":{\"n\":1}}|{\"parameters\":{\"n\":2}}|");
	close(fd);
}

/* However many wait: a peer must not choose how deep the stack is. */
static void test_requests_that_wait_take_no_stack(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	call(fd, "test.Later", NULL, false);
	for (int i = 0; i < 100; i++)
		call(fd, "test.Echo", NULL, false);
	turns(f);
	assert_int_equal(f->echoes, 0);
	control_error(f->kept, "test.No", NULL);
	turns(f);
	assert_int_equal(f->echoes, 100);
	assert_in_range(f->highest - f->lowest, 0, 2048);
	close(fd);
}

static void test_client_gone(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f), other = dial(f);

	call(fd, "test.Later", NULL, true);
	expect(f, fd, "");
	assert_non_null(f->kept);
	close(fd);
	turns(f);
	assert_int_equal(f->gone, 1);
	assert_null(f->kept);
	call(other, "test.Echo", "{\"n\":4}", false);
	expect(f, other, "{\"parameters\":{\"n\":4}}|");
	close(other);
}

/* One that never reads is let go, and costs no more than the cap. */
static void test_client_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	size_t len = 1024 * 1024;
	char *big = malloc(len + 32);
	int fd = dial(f), n = 0;

	memset(big, 'x', len + 32);
	memcpy(big, "{\"t\":\"", 6);
	memcpy(big + len, "\"}", 3);
	call(fd, "test.Later", NULL, true);
	turns(f);
	assert_non_null(f->kept);
	while (f->kept && n < 20) {
		control_reply(f->kept, big, true);
		n++;
	}
	assert_int_equal(f->gone, 1);
	assert_in_range(n, 8, 10);
	close(fd);
	free(big);
}

static void test_one_too_many(void **state)
{
	struct fixture *f = *state;
	int fds[CLIENTS_MAX], last;

	for (int i = 0; i < CLIENTS_MAX; i++)
		fds[i] = dial(f);
	turns(f);
	last = dial(f);
	call(last, "test.Echo", "{\"n\":5}", false);
	expect(f, last, "");
	assert_int_equal(f->echoes, 0);
	close(fds[0]);
	expect(f, last, "{\"parameters\":{\"n\":5}}|");
	for (int i = 1; i < CLIENTS_MAX; i++)
		close(fds[i]);
	close(last);
}

static void test_socket_file(void **state)
{
	struct fixture *f = *state;
	char why[128] = "", path[200];
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_null(control_new(f->loop, f->path, verbs, f, why, sizeof(why)));
	assert_string_equal(why, "another daemon listens there");
	assert_int_equal(stat(f->path, &st), 0); /* and the living one keeps its file */
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_null(control_new(f->loop, path, verbs, f, why, sizeof(why)));
	assert_string_equal(why, "its path is longer than 107 bytes");
	f->control = control_free(f->control);
	assert_int_equal(stat(f->path, &st), -1);
}

static void test_stale_socket(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char why[128];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	f->control = control_free(f->control);
	memcpy(addr.sun_path, f->path, strlen(f->path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd); /* a crashed daemon leaves just this: a file, nobody behind it */
	f->control = control_new(f->loop, f->path, verbs, f, why, sizeof(why));
	assert_non_null(f->control);
	fd = dial(f);
	call(fd, "test.Echo", "{\"n\":6}", false);
	expect(f, fd, "{\"parameters\":{\"n\":6}}|");
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

UNIT_MAIN(TEST(test_answers), TEST(test_refuses_nonsense), TEST(test_half_request_waits),
	TEST(test_half_request_times_out), TEST(test_oversize_request), TEST(test_streams),
	TEST(test_requests_wait_their_turn),
	TEST(test_requests_that_wait_take_no_stack), TEST(test_client_gone),
	TEST(test_client_that_does_not_read), TEST(test_one_too_many),
	TEST(test_socket_file), TEST(test_stale_socket))
