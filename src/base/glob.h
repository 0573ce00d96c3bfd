/*
 * Patterns for keys: bytes, no locale, no normalisation. A pattern matches the whole key:
 *
 *   *      any bytes but '/'              ?      one byte but '/'
 *   **     any bytes; with a '/' after    [a-z]  one byte of these, never '/'; [!a-z]
 *          it and none or a '/' before:   {a,b}  either; may hold patterns
 *          no or any number of folders    \x     x itself
 *
 * "dir/" is short for all below it. "*.csv" is at the top only; two stars and a '/'
 * before it make it everywhere. A set of patterns costs a few nanoseconds a byte of the
 * key, however many and whatever patterns it has: nothing backtracks. Pure; a set belongs
 * to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define GLOB_MAX          1024 /* bytes of a pattern */
#define GLOB_ALTERNATIVES 64   /* that its braces may make */
#define GLOB_SPANS        32   /* wildcards of a pattern that glob_capture() tells */

struct glob_error {
	size_t at; /* bytes from the start of the pattern */
	char text[96];
};

/* One pattern. 0, or -EINVAL with *e filled (NULL-able). */
struct glob;
int glob_compile(const char *pattern, struct glob **ret, struct glob_error *e);
void *glob_free(struct glob *g);
const char *glob_text(const struct glob *g);
bool glob_match(const struct glob *g, const char *key, size_t len);
/* Bytes that each match begins with: what a listing may be narrowed to. Not terminated.
 */
size_t glob_prefix(const struct glob *g, char out[GLOB_MAX]);
bool glob_is_literal(const struct glob *g); /* no wildcard: glob_prefix() is all of it */

/*
 * What each wildcard stood for, in their order, the earlier ones as long as can be. Two
 * stars with their '/' count as one. Returns how many (at most GLOB_SPANS), 0 when
 * nothing matches or none is there.
 */
struct glob_span {
	size_t at, len;
};
size_t glob_capture(const struct glob *g, const char *key, size_t len,
	struct glob_span spans[GLOB_SPANS]);

/* Many at once. */
struct glob_set;
struct glob_set *glob_set_new(const struct glob *const *globs, size_t count);
void *glob_set_free(struct glob_set *s);
/* Whether one of them matches; an empty set matches nothing. */
bool glob_set_match(struct glob_set *s, const char *key, size_t len);
