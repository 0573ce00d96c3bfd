/*
 * The event loop of one thread. The only file behind it that includes libevent. Timers run
 * on the injected clock, so a test moves them by hand.
 * Nothing is freed inside its own callback: loop_bury() frees at the end of the turn.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct loop;
struct loop_timer;
struct loop_fd;

typedef void (*loop_fn)(void *arg);

/* clock must outlive the loop. NULL when the kernel refuses an epoll descriptor. */
struct loop *loop_new(const struct clock *clock);
void *loop_free(struct loop *loop);
const struct clock *loop_clock(const struct loop *loop);

/* Returns after loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/*
 * One turn: due timers, ready descriptors (waits only if may_wait), deferred calls. Of
 * those that want longer than a few milliseconds the rest waits for the next turn.
 */
void loop_turn(struct loop *loop, bool may_wait);
/* Turns so far: the watchdog is fed only when this moved. */
uint64_t loop_turns(const struct loop *loop);
/*
 * The longest turn that ended in this minute or the one before, without its waiting, in
 * us: so long may somebody have waited for the loop.
 */
int64_t loop_longest_us(struct loop *loop);

/* Call fn(arg) later in this turn or in the next one, in order; never at once. */
void loop_defer(struct loop *loop, loop_fn fn, void *arg);
/* Forget all deferred calls with this arg, whose owner goes away. */
void loop_undefer(struct loop *loop, void *arg);
/* Call free_fn(arg) at the very end of the turn. */
void loop_bury(struct loop *loop, void *(*free_fn)(void *), void *arg);

/* One-shot timers; set again to repeat. Freeing cancels. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg);
void *loop_timer_free(struct loop_timer *t);
void loop_timer_set(struct loop_timer *t, int64_t delay_ms); /* < 0 counts as 0 */
void loop_timer_cancel(struct loop_timer *t);
bool loop_timer_is_set(const struct loop_timer *t);

enum {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
};
/* fn gets the ready events. Level-triggered. The descriptor stays the caller's. */
typedef void (*loop_fd_fn)(void *arg, int events);
struct loop_fd *loop_fd_new(
	struct loop *loop, int fd, int events, loop_fd_fn fn, void *arg);
void loop_fd_set(struct loop_fd *f, int events); /* 0: sleep */
/* It comes before others that are ready: for people, who wait, not for bulk. */
void loop_fd_hurry(struct loop_fd *f);
void *loop_fd_free(struct loop_fd *f);

/* Signals are delivered between turns of the loop, never in signal context. */
int loop_on_signal(struct loop *loop, int signo, loop_fn fn, void *arg);
