/* Tables for people; the only file that includes libsmartcols. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;
struct table;
struct table *table_new(const char *const *columns); /* NULL-terminated */
void table_row(struct table *t, const char *const *cells); /* as many as columns */
/* Where a terminal is too narrow: the last column, rather than a second line. */
void table_cut_last(struct table *t);
void table_print(struct table *t); /* to stdout, and frees */

bool render_has_color(void);
/* "Tue 2026-11-24 07:00 CET" of an ISO instant, "-" for NULL. Returns out (>= 48). */
char *render_time(const char *iso, char *out, size_t size);
/* "17h", "13min 2s" until (or since) an ISO instant. Returns out. */
char *render_left(const char *iso, char *out, size_t size);
/* "Thu 2026-11-26 07:00" of a slot's member "local" or "local_effective". Returns out. */
char *render_local(const struct json *slot, const char *key, char *out, size_t size);
