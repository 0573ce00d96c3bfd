/*
 * One line per thing worth knowing: to the journal with fields, or readable on stderr.
 * Levels are syslog's: err = a run failed, warning = retrying or overdue, notice = run
 * finished or configuration changed, info = lifecycle, debug = per object.
 * Only engine, run and daemon log; leaves return errors. Never a key, token or signature.
 * Text and values are escaped; a line is capped at 8 KiB. Any thread may call.
 */
#pragma once

#include <stdbool.h>
#include <syslog.h>

enum log_target {
	LOG_TARGET_AUTO,    /* the journal when stderr is connected to it, else stderr */
	LOG_TARGET_STDERR,  /* "<time> <level> text [JOB=x ...]" */
	LOG_TARGET_JOURNAL, /* fields become S3FERRY_<name> */
};

/* A field without value (NULL or "") is left out. */
struct log_field {
	const char *name; /* "JOB"; "MESSAGE_ID" alone is sent without our prefix */
	const char *value;
};
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {NULL, NULL}})

/* identifier is a string literal ("s3ferryd"). */
void log_open(const char *identifier, enum log_target target, int max_level);
void log_set_level(int max_level); /* LOG_ERR .. LOG_DEBUG */
bool log_enabled(int level);

/* fields ends with a NULL name, or is NULL. */
void log_write(int level, const struct log_field *fields, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_err(fields, ...)     log_write(LOG_ERR, fields, __VA_ARGS__)
#define log_warning(fields, ...) log_write(LOG_WARNING, fields, __VA_ARGS__)
#define log_notice(fields, ...)  log_write(LOG_NOTICE, fields, __VA_ARGS__)
#define log_info(fields, ...)    log_write(LOG_INFO, fields, __VA_ARGS__)
#define log_debug(fields, ...)                                                           \
	do {                                                                             \
		if (log_enabled(LOG_DEBUG))                                              \
			log_write(LOG_DEBUG, fields, __VA_ARGS__);                       \
	} while (0)
