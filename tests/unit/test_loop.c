/* net/loop and net/mailbox under a fake clock: order, deferral, burial, bounds. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "unit.h"

struct fixture {
	struct clock_fake fake;
	struct loop *loop;
	struct buf seen;
	struct loop_timer *timers[3];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	clock_fake_init(&f->fake, 0);
	f->loop = loop_new(&f->fake.clock);
	buf_init(&f->seen, 1000);
	*state = f;
	return f->loop ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		loop_timer_free(f->timers[i]);
	loop_free(f->loop);
	buf_done(&f->seen);
	free(f);
	return 0;
}

static void say_a(void *arg)
{
	buf_putc(&((struct fixture *)arg)->seen, 'a');
}

static void say_b(void *arg)
{
	buf_putc(&((struct fixture *)arg)->seen, 'b');
}

static void say_c_again(void *arg)
{
	struct fixture *f = arg;

	buf_putc(&f->seen, 'c');
	loop_timer_set(f->timers[2], 0);
	loop_defer(f->loop, say_b, f);
}

static void *bury(void *arg)
{
	buf_putc(&((struct fixture *)arg)->seen, '.');
	return NULL;
}

static void timers_fire_by_time_and_once(void **state)
{
	struct fixture *f = *state;

	f->timers[0] = loop_timer_new(f->loop, say_a, f);
	f->timers[1] = loop_timer_new(f->loop, say_b, f);
	loop_timer_set(f->timers[0], 200);
	loop_timer_set(f->timers[1], 100);
	loop_turn(f->loop, false);
	assert_string_equal(buf_str(&f->seen), "");
	clock_fake_advance(&f->fake, 99999);
	loop_turn(f->loop, false);
	assert_string_equal(buf_str(&f->seen), "");
	clock_fake_advance(&f->fake, 200000);
	loop_turn(f->loop, false);
	loop_turn(f->loop, false);
	assert_string_equal(buf_str(&f->seen), "ba");
	loop_timer_set(f->timers[0], 1);
	loop_timer_cancel(f->timers[0]);
	clock_fake_advance(&f->fake, 2000);
	loop_turn(f->loop, false);
	assert_string_equal(buf_str(&f->seen), "ba");
}

static void a_timer_that_sets_itself_yields(void **state)
{
	struct fixture *f = *state;

	f->timers[2] = loop_timer_new(f->loop, say_c_again, f);
	loop_timer_set(f->timers[2], 0);
	loop_bury(f->loop, bury, f);
	loop_turn(f->loop, false);
	assert_string_equal(buf_str(&f->seen), "cb.");
	loop_turn(f->loop, false);
	assert_string_equal(buf_str(&f->seen), "cb.cb");
}

static void undefer_forgets(void **state)
{
	struct fixture *f = *state;

	loop_defer(f->loop, say_a, f);
	loop_defer(f->loop, say_b, f);
	assert_string_equal(buf_str(&f->seen), ""); /* never at once */
	loop_undefer(f->loop, f);
	loop_turn(f->loop, false);
	assert_string_equal(buf_str(&f->seen), "");
}

static void many_timers_keep_order(void **state)
{
	struct fixture *f = *state;
	struct loop_timer *timers[500];

	for (int i = 0; i < 500; i++) {
		timers[i] = loop_timer_new(f->loop, i % 2 ? say_a : say_b, f);
		loop_timer_set(timers[i], i % 2 ? 10 + (i * 7919) % 400 : 1000 + i);
	}
	for (int i = 1; i < 500; i += 4)
		loop_timer_cancel(timers[i]);
	clock_fake_advance(&f->fake, 500000);
	loop_turn(f->loop, false);
	assert_int_equal(f->seen.len, 125);
	assert_null(strchr(buf_str(&f->seen), 'b'));
	for (int i = 0; i < 500; i++)
		loop_timer_free(timers[i]);
}

static void on_message(void *arg, const void *msg)
{
	buf_printf(&((struct fixture *)arg)->seen, "%d,", *(const int *)msg);
}

static void mailbox_is_ordered_and_bounded(void **state)
{
	struct fixture *f = *state;
	struct mailbox *m = mailbox_new(f->loop, sizeof(int), 20, on_message, f);

	for (int i = 0; i < 20; i++)
		assert_int_equal(mailbox_send(m, &i), 0);
	assert_int_equal(mailbox_send(m, &(int){99}), -ENOBUFS);
	assert_string_equal(buf_str(&f->seen), "");
	loop_turn(f->loop, false);
	assert_string_equal(
		buf_str(&f->seen), "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,");
	assert_int_equal(mailbox_send(m, &(int){7}), 0);
	mailbox_free(m);
}

static void *send_many(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		while (mailbox_send(arg, &i) < 0)
			sched_yield();
	}
	return NULL;
}

static void count_message(void *arg, const void *msg)
{
	int *next = arg;

	assert_int_equal(*(const int *)msg, *next);
	++*next;
}

static void mailbox_crosses_threads(void **state)
{
	struct fixture *f = *state;
	int next = 0;
	struct mailbox *m = mailbox_new(f->loop, sizeof(int), 64, count_message, &next);
	pthread_t thread;

	pthread_create(&thread, NULL, send_many, m);
	while (next < 1000)
		loop_turn(f->loop, true);
	pthread_join(thread, NULL);
	mailbox_free(m);
}

struct ready {
	struct fixture *f;
	int fd;
	char name;
};

/* Says its name and takes longer than a turn may. */
static void on_ready(void *arg, int events)
{
	struct ready *r = arg;
	uint64_t count;

	(void)events;
	assert_int_equal(read(r->fd, &count, sizeof(count)), sizeof(count));
	buf_putc(&r->f->seen, r->name);
	clock_fake_advance(&r->f->fake, 50000);
}

static void ready_ones_share_turns_with_timers(void **state)
{
	struct fixture *f = *state;
	struct ready ready[3];
	struct loop_fd *fds[3];

	for (int i = 0; i < 3; i++) {
		ready[i] = (struct ready){f, eventfd(1, EFD_CLOEXEC), (char)('x' + i)};
		fds[i] = loop_fd_new(
			f->loop, ready[i].fd, LOOP_READ, on_ready, &ready[i]);
	}
	loop_fd_hurry(fds[2]);
	f->timers[0] = loop_timer_new(f->loop, say_a, f);
	loop_timer_set(f->timers[0], 1);
	for (int i = 0; i < 3; i++)
		loop_turn(f->loop, false);
	assert_string_equal(buf_str(&f->seen), "zaxy");
	for (int i = 0; i < 3; i++) {
		loop_fd_free(fds[i]);
		close(ready[i].fd);
	}
}

static void say_slowly(void *arg)
{
	struct fixture *f = arg;

	buf_putc(&f->seen, 's');
	clock_fake_advance(&f->fake, 50000);
}

static void deferred_calls_share_turns_with_timers(void **state)
{
	struct fixture *f = *state;

	loop_defer(f->loop, say_slowly, f);
	loop_defer(f->loop, say_slowly, f);
	loop_bury(f->loop, bury, f); /* the second call may still use it */
	f->timers[0] = loop_timer_new(f->loop, say_a, f);
	loop_timer_set(f->timers[0], 1);
	loop_turn(f->loop, true);
	assert_string_equal(buf_str(&f->seen), "s");
	loop_turn(f->loop, true);
	assert_string_equal(buf_str(&f->seen), "sas.");
}

static int64_t atomic_mono(const struct clock *c)
{
	return __atomic_load_n(
		&CONTAINER_OF(c, struct clock_fake, clock)->mono, __ATOMIC_RELAXED);
}

/* Time passes while the loop waits, too. */
static void *wake_late(void *arg)
{
	struct ready *r = arg;
	const uint64_t one = 1;

	__atomic_add_fetch(&r->f->fake.mono, 120 * USEC_PER_SEC, __ATOMIC_RELAXED);
	assert_int_equal(write(r->fd, &one, sizeof(one)), sizeof(one));
	return NULL;
}

static void the_longest_turn_is_known_for_a_while(void **state)
{
	struct fixture *f = *state;
	struct ready r = {f, eventfd(0, EFD_CLOEXEC), 'x'};
	struct loop_fd *fd = loop_fd_new(f->loop, r.fd, LOOP_READ, on_ready, &r);
	pthread_t thread;

	assert_int_equal(loop_longest_us(f->loop), 0);
	f->timers[0] = loop_timer_new(f->loop, say_slowly, f);
	loop_timer_set(f->timers[0], 0);
	loop_defer(f->loop, say_slowly, f);
	loop_turn(f->loop, false); /* all of one turn */
	loop_turn(f->loop, false);
	assert_int_equal(loop_longest_us(f->loop), 100000);
	clock_fake_advance(&f->fake, 60 * USEC_PER_SEC);
	loop_turn(f->loop, false);
	assert_int_equal(loop_longest_us(f->loop), 100000);
	clock_fake_advance(&f->fake, 60 * USEC_PER_SEC);
	assert_int_equal(loop_longest_us(f->loop), 0);

	loop_timer_set(f->timers[0], 0);
	loop_defer(f->loop, say_slowly, f);
	loop_turn(f->loop, false);
	f->fake.clock.mono_us = atomic_mono;
	pthread_create(&thread, NULL, wake_late, &r);
	loop_turn(f->loop, true); /* nothing but the descriptor */
	pthread_join(thread, NULL);
	assert_string_equal(buf_str(&f->seen), "ssssx");
	assert_int_equal(loop_longest_us(f->loop), 50000);
	loop_fd_free(fd);
	close(r.fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
UNIT_MAIN(T(timers_fire_by_time_and_once), T(a_timer_that_sets_itself_yields),
	T(undefer_forgets), T(many_timers_keep_order), T(mailbox_is_ordered_and_bounded),
	T(mailbox_crosses_threads), T(ready_ones_share_turns_with_timers),
	T(deferred_calls_share_turns_with_timers),
	T(the_longest_turn_is_known_for_a_while))
