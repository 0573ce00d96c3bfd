/*
 * Texts with ${...} in keys and paths, filled in for one run:
 *
 *   ${date}            the day of the slot, 2026-11-26     ${job}      the job's name
 *   ${date-1d}         a calendar day before               ${run}      the run's id
 *   ${date:%Y/%m/%d}   in a form of your own               ${host}     this host's name
 *   ${date+2h:%H}      offsets in m, h, d, w               ${match.1}  what the first
 *   $$                 a '$'                                           wildcard stood for
 *
 * The date is that of the scheduled slot in the job's zone, never of now. Days and weeks
 * are calendar days: the same wall time, whatever DST did in between; minutes and hours
 * are real time. Pure, without locale.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct template;
struct tz;

struct template_error {
	size_t at;      /* bytes from the start of the text */
	char text[160]; /* what is wrong, and what was meant perhaps */
};

struct template_span {
	const char *text;
	size_t len;
};

struct template_values {
	int64_t slot_s; /* UTC seconds of the scheduled time */
	const struct tz *zone;
	const char *job, *run, *host;
	const struct template_span *matches; /* of ${match.1} on */
	size_t match_count;
};

/* max_match: highest N of ${match.N} that there will be, 0: none. 0 or -EINVAL. */
int template_compile(const char *text, unsigned max_match, struct template **ret,
	struct template_error *e);
void *template_free(struct template *t);
/* Appended. 0, or -ENOBUFS when out is full. */
int template_expand(
	const struct template *t, const struct template_values *v, struct buf *out);

const char *template_text(const struct template *t); /* as written */
/* Nothing to fill in: the same for each run. */
bool template_is_constant(const struct template *t);
bool template_has_date(const struct template *t);
/* Highest N of ${match.N}; 0: none. */
unsigned template_matches(const struct template *t);
