/*
 * Runs the schedule cases of $S3FERRY_VECTORS/cron/schedule.jsonl and prints
 * "cron/<syntax> passed/total". A missing folder is skipped by name.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/slot.h"

struct tally {
	const char *name;
	enum schedule_syntax syntax;
	int passed, total;
};

static struct tally tallies[] = {
	{"cron", SCHEDULE_CRON},
	{"eventbridge", SCHEDULE_EVENTBRIDGE},
	{"every", SCHEDULE_EVERY},
	{"oncalendar", SCHEDULE_CALENDAR},
};

static int choice(const struct json *opts, const char *key, const char *const *names)
{
	const char *text = json_get_str(opts, key);

	for (int i = 0; text && names[i]; i++) {
		if (strcmp(names[i], text) == 0)
			return i;
	}
	return 0;
}

/* A country changed its clocks since the case was made: the instants no longer exist. */
static bool is_of_other_tzdata(const struct json *v)
{
	struct schedule_spec spec = {SCHEDULE_EVERY, "1h", json_get_str(v, "tz")};
	const struct json *next = json_get(v, "next");
	struct schedule_error e;
	struct schedule *s;
	bool differs = false;

	if (schedule_new(&spec, &s, &e) < 0)
		return false;
	for (size_t i = 0; i < json_array_len(next); i++) {
		const char *text = json_as_str(json_array_at(next, i));
		int64_t at, local;
		char utc[32];

		snprintf(utc, sizeof(utc), "%.19sZ", text);
		if (clock_parse_iso(text, &at) == 0 &&
			clock_parse_iso(utc, &local) == 0 &&
			schedule_offset(s, at, NULL) != local - at)
			differs = true;
	}
	schedule_free(s);
	return differs;
}

static bool check_next(const struct json *v, const struct schedule *s)
{
	const struct json *next = json_get(v, "next");
	int64_t at, want;
	struct slot slot;

	if (clock_parse_iso(json_get_str(v, "from"), &at) < 0)
		return false;
	for (size_t i = 0; i < json_array_len(next); i++) {
		const char *text = json_as_str(json_array_at(next, i));

		if (clock_parse_iso(text, &want) < 0)
			return false;
		if (schedule_next(s, at, &slot) < 0 || slot.at_s != want) {
			char got[32] = "none";

			clock_format_iso(slot.at_s, got, sizeof(got));
			fprintf(stderr, "  wanted %s, got %s\n", text, got);
			return false;
		}
		/* prev() is next() backwards. */
		if (schedule_prev(s, want, &slot) < 0 || slot.at_s != want) {
			fprintf(stderr, "  prev of %s differs\n", text);
			return false;
		}
		at = want;
	}
	return !json_get_bool(v, "end", false) || schedule_next(s, at, &slot) < 0;
}

static bool check_case(const struct json *v, enum schedule_syntax syntax)
{
	static const char *const gaps[] = {"run", "skip", NULL};
	static const char *const overlaps[] = {"auto", "once", "both", NULL};
	static const char *const matches[] = {"auto", "and", "or", NULL};
	const struct json *opts = json_get(v, "opts");
	const char *start = json_get_str(opts, "start");
	struct schedule_spec spec = {
		.syntax = syntax,
		.expression = json_get_str(v, "expr"),
		.timezone = json_get_str(v, "tz"),
		.dst_gap = (enum dst_gap)choice(opts, "dst_gap", gaps),
		.dst_overlap = (enum dst_overlap)choice(opts, "dst_overlap", overlaps),
		.day_match = (enum day_match)choice(opts, "day_match", matches),
	};
	struct schedule_error e;
	struct schedule *s;
	bool ok;

	if (start && clock_parse_iso(start, &spec.start_s) < 0)
		return false;
	if (schedule_new(&spec, &s, &e) < 0) {
		if (json_get_bool(v, "error", false))
			return e.position <= strlen(spec.expression);
		fprintf(stderr, "  refused at %zu: %s\n", e.position, e.text);
		return false;
	}
	ok = !json_get_bool(v, "error", false) && check_next(v, s);
	schedule_free(s);
	return ok;
}

static void run_line(const char *line)
{
	struct json *v = json_parse(line, strlen(line), NULL);
	const char *syntax = json_get_str(v, "syntax");

	for (size_t i = 0; syntax && i < ARRAY_LEN(tallies); i++) {
		if (strcmp(tallies[i].name, syntax) != 0)
			continue;
		tallies[i].total++;
		if (is_of_other_tzdata(v)) {
			printf("cron/%s n/a %s: this host's tzdata has other rules for "
			       "%s\n",
				syntax, json_get_str(v, "id"), json_get_str(v, "tz"));
			tallies[i].total--;
		} else if (check_case(v, tallies[i].syntax))
			tallies[i].passed++;
		else
			fprintf(stderr, "FAILED %s: %s in %s\n", json_get_str(v, "id"),
				json_get_str(v, "expr"), json_get_str(v, "tz"));
	}
	json_free(v);
}

int main(void)
{
	const char *root = getenv("S3FERRY_VECTORS");
	_cleanup_free_ char *path = mem_printf(
		"%s/cron/schedule.jsonl", root ? root : "../shared/vectors");
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int failed = 0;

	if (!f) {
		printf("cron: skipped, %s is missing\n", path);
		return 77;
	}
	while (getline(&line, &size, f) > 0)
		run_line(line);
	free(line);
	fclose(f);
	for (size_t i = 0; i < ARRAY_LEN(tallies); i++) {
		printf("cron/%s %d/%d\n", tallies[i].name, tallies[i].passed,
			tallies[i].total);
		failed += tallies[i].total - tallies[i].passed;
	}
	return failed ? 1 : 0;
}
