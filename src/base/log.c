/* Journal or stderr. Holds the only mutable process state: level, target, name. */
#include "config.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#define HAS_JOURNAL true
#else
#define HAS_JOURNAL false
#define sd_journal_sendv(iov, n) ((void)(iov), (void)(n))
#endif

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#define LINE_MAX_BYTES 8192
#define FIELDS_MAX     24

static struct {
	const char *identifier;
	int level;
	bool to_journal;
} state = {"s3ferry", LOG_INFO, false};

/* systemd sets JOURNAL_STREAM to device:inode of the stderr it connected. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	unsigned long long dev, ino;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_open(const char *identifier, enum log_target target, int max_level)
{
	state.identifier = identifier;
	log_set_level(max_level);
	state.to_journal = HAS_JOURNAL && (target == LOG_TARGET_JOURNAL ||
		(target == LOG_TARGET_AUTO && stderr_is_journal()));
}

void log_set_level(int max_level)
{
	__atomic_store_n(&state.level, max_level, __ATOMIC_RELAXED);
}

bool log_enabled(int level)
{
	return level <= __atomic_load_n(&state.level, __ATOMIC_RELAXED);
}

static const char *level_name(int level)
{
	static const char *const names[] = {"emerg", "alert", "crit", "error", "warning",
		"notice", "info", "debug"};

	return names[level & 7];
}

static void to_stderr(int level, const struct log_field *fields, const char *text)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES + 64);
	struct timespec ts;
	struct tm tm;
	char when[32];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(&line, "%s.%03ldZ %-7s %s", when, ts.tv_nsec / 1000000,
		level_name(level), text);
	for (; fields && fields->name; fields++) {
		if (!fields->value || !*fields->value ||
			strcmp(fields->name, "MESSAGE_ID") == 0)
			continue;
		buf_printf(&line, " %s=", fields->name);
		str_escape(&line, fields->value, strlen(fields->value));
	}
	buf_putc(&line, '\n');
	/* One write: lines of several threads do not mix. A full pipe loses the line. */
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		line.len = 0;
	buf_done(&line);
}

static void to_journal(int level, const struct log_field *fields, const char *text)
{
	struct iovec iov[FIELDS_MAX];
	char *parts[FIELDS_MAX];
	int n = 0;

	parts[n++] = mem_printf("MESSAGE=%s", text);
	parts[n++] = mem_printf("PRIORITY=%d", level);
	parts[n++] = mem_printf("SYSLOG_IDENTIFIER=%s", state.identifier);
	for (; fields && fields->name && n < FIELDS_MAX; fields++) {
		bool own = strcmp(fields->name, "MESSAGE_ID") != 0;

		if (fields->value && *fields->value)
			parts[n++] = mem_printf("%s%s=%s", own ? "S3FERRY_" : "",
				fields->name, fields->value);
	}
	for (int i = 0; i < n; i++)
		iov[i] = (struct iovec){parts[i], strlen(parts[i])};
	sd_journal_sendv(iov, n);
	for (int i = 0; i < n; i++)
		free(parts[i]);
}

void log_write(int level, const struct log_field *fields, const char *fmt, ...)
{
	struct buf text = BUF_INIT(LINE_MAX_BYTES);
	char raw[LINE_MAX_BYTES / 2];
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	str_escape(&text, raw, strlen(raw));
	if (state.to_journal)
		to_journal(level, fields, buf_str(&text));
	else
		to_stderr(level, fields, buf_str(&text));
	buf_done(&text);
}
