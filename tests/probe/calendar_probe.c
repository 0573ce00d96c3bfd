/*
 * The calendar layer for tests in other languages: one question a line on stdin, fields
 * separated by tabs, one answer a line on stdout.
 *
 *   next SYNTAX ZONE FROM COUNT EXPRESSION   "ok T T T", or "error POSITION TEXT"
 *   zone NAME FROM TO                        "ok START:OFFSET START:OFFSET ...", or
 * "error"
 *
 * Times are UTC seconds; SYNTAX is auto, every or calendar; START is at least FROM.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "calendar/slot.h"
#include "calendar/tz.h"

#define FIELDS_MAX 6

static void answer_next(char *const *f)
{
	struct schedule_spec spec = {.expression = f[5], .timezone = f[2]};
	int64_t at = strtoll(f[3], NULL, 10);
	struct schedule_error e;
	struct schedule *s;
	struct slot slot;

	if (strcmp(f[1], "every") == 0)
		spec.syntax = SCHEDULE_EVERY;
	if (strcmp(f[1], "calendar") == 0)
		spec.syntax = SCHEDULE_CALENDAR;
	if (schedule_new(&spec, &s, &e) < 0) {
		printf("error %zu %s\n", e.position, e.text);
		return;
	}
	fputs("ok", stdout);
	for (long n = strtol(f[4], NULL, 10); n > 0; n--) {
		if (schedule_next(s, at, &slot) < 0)
			break;
		at = slot.at_s;
		printf(" %lld", (long long)at);
	}
	putchar('\n');
	schedule_free(s);
}

static void answer_zone(char *const *f)
{
	int64_t at = strtoll(f[2], NULL, 10), to = strtoll(f[3], NULL, 10);
	struct tz_interval in;
	struct tz *tz;

	if (tz_load(f[1], &tz) < 0) {
		puts("error");
		return;
	}
	fputs("ok", stdout);
	while (at < to) {
		tz_interval_at(tz, at, &in);
		printf(" %lld:%d", (long long)at, in.offset_s);
		at = in.end_s;
	}
	putchar('\n');
	tz_free(tz);
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) > 0) {
		char *f[FIELDS_MAX] = {line};
		int n = 1;

		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		for (char *p = line; *p && n < FIELDS_MAX; p++) {
			if (*p != '\t')
				continue;
			*p = '\0';
			f[n++] = p + 1;
		}
		if (n == 6 && strcmp(f[0], "next") == 0)
			answer_next(f);
		else if (n == 4 && strcmp(f[0], "zone") == 0)
			answer_zone(f);
		else
			puts("error");
		fflush(stdout);
	}
	free(line);
	return 0;
}
