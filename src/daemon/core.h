/*
 * The daemon: owns loop, http, configuration, credentials, store, scheduler, engines, runs
 * and control socket; builds them in order and tears them down in reverse.
 */
#pragma once

struct core;

/* Exit codes of s3ferryd, sysexits' names; systemd prints them. */
enum {
	CORE_EXIT_OK = 0,
	CORE_EXIT_USAGE = 64,
	CORE_EXIT_STATE = 65, /* the state directory cannot be used */
	CORE_EXIT_INTERNAL = 70,
	CORE_EXIT_OS = 71, /* a resource of the system was refused at start */
	CORE_EXIT_IO = 74,
	CORE_EXIT_TEMPFAIL = 75, /* another daemon holds the state directory */
	CORE_EXIT_PERM = 77,
	CORE_EXIT_CONFIG = 78,
};

struct core_options {
	const char *config_path;
	const char *state_dir;
	const char *socket_path;
};

/* NULL with *ret_exit set; what is wrong was logged. */
struct core *core_new(const struct core_options *options, int *ret_exit);
/* Until SIGTERM; returns the exit code. */
int core_run(struct core *core);
void *core_free(struct core *core);
