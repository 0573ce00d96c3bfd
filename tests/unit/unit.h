/* What every unit test includes: cmocka and its prerequisites, and a one-line main. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Children are watched by pidfd, which valgrind 3.19 does not know: first line of a test. */
#define UNIT_NEEDS_PIDFD()                                                               \
	do {                                                                             \
		int unit_fd_ = (int)syscall(SYS_pidfd_open, getpid(), 0);                \
		if (unit_fd_ < 0)                                                        \
			skip();                                                          \
		close(unit_fd_);                                                         \
	} while (0)

/* Local files are opened by openat2, which valgrind 3.19 does not know either. */
static inline int unit_lacks_openat2(void)
{
	uint64_t how[3] = {0};
	int fd = (int)syscall(SYS_openat2, -100 /* AT_FDCWD */, "/", how, sizeof(how));

	if (fd < 0)
		puts("1..0 # SKIP openat2 is not known here");
	else
		close(fd);
	return fd < 0;
}

#define UNIT_MAIN_OPENAT2(...)                                                           \
	int main(void)                                                                   \
	{                                                                                \
		const struct CMUnitTest tests[] = {__VA_ARGS__};                         \
		return unit_lacks_openat2()                                              \
			       ? 0                                                       \
			       : cmocka_run_group_tests(tests, NULL, NULL);              \
	}

#define UNIT_MAIN(...)                                                                   \
	int main(void)                                                                   \
	{                                                                                \
		const struct CMUnitTest tests[] = {__VA_ARGS__};                         \
		return cmocka_run_group_tests(tests, NULL, NULL);                        \
	}
