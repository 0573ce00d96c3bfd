/*
 * One child process on the loop: its own argv and environment, no shell, stdin from
 * /dev/null, no other descriptor of ours, a process group of its own, a deadline, and
 * outputs that are capped. Linux: the end is told by a pidfd. One thread.
 * done() is never called inside child_start(), comes once, and not after child_cancel(),
 * which kills the whole group. The child is reaped without blocking.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct child;
struct err;
struct loop;

struct child_spec {
	char *const *argv; /* argv[0] is looked up in our PATH */
	char *const *envp;
	size_t out_max; /* bytes of stdout; more is an error */
	int64_t timeout_ms;
};

/* Borrowed; valid until done() returns, and wiped then. */
struct child_result {
	int status; /* of waitpid() */
	const char *out;
	size_t out_len;
	const char *errors; /* the first 4 KiB of stderr */
};

/* err: class LOCAL, codes "spawn" "timeout" "too-long"; result is NULL then. */
typedef void (*child_fn)(
	void *arg, const struct err *err, const struct child_result *result);
struct child *child_start(
	struct loop *loop, const struct child_spec *spec, child_fn fn, void *arg);
void child_cancel(struct child *c);
