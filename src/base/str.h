/*
 * Text: numbers, sizes and durations as people write them, encoders, and the distance
 * behind "did you mean". Pure; errors are negative errno, outputs only on success.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

bool str_eq(const char *a, const char *b); /* NULL equals NULL */
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);
/* As much as fits, with its NUL: snprintf "%s" for texts that each object has. */
void str_copy(char *out, size_t size, const char *s);

/* ASCII digits only, no sign, no space. -EINVAL, -ERANGE above max. */
int str_to_uint(const char *s, uint64_t max, uint64_t *ret);
int str_to_uint_len(const char *s, size_t len, uint64_t max, uint64_t *ret);

/* "90s" "15m" "4h" "7d" "1w" "1d12h": units in falling order, each once. -EINVAL. */
int str_to_duration_s(const char *s, int64_t *ret_seconds);
/* "64 MiB" "20 MB" "512B": decimal and binary units; a bare number is -EINVAL. */
int str_to_size(const char *s, uint64_t *ret_bytes);

/* "84.1 MiB", "512 B"; out holds at least 16 bytes. Returns out. */
char *str_format_size(uint64_t bytes, char *out, size_t size);
/* "3.2s", "4min 10s", "2h 3min", "5d 4h". Returns out. */
char *str_format_duration(int64_t usec, char *out, size_t size);

void str_to_hex(const void *data, size_t len, char *out); /* out: 2 * len + 1 bytes */
int str_from_hex(const char *hex, void *out, size_t len); /* exactly len bytes */

/* RFC 4648 base64 with padding; out: 4 * ((len + 2) / 3) + 1 bytes. */
void str_to_base64(const void *data, size_t len, char *out);
/* -EINVAL, or -ENOBUFS when more than max bytes would come out. */
int str_from_base64(const char *s, void *out, size_t max, size_t *ret_len);

/*
 * Percent-encode as SigV4 wants it: all but A-Z a-z 0-9 - . _ ~, upper-case hex; '/' is
 * kept when keep_slash. -ENOBUFS as buf_append().
 */
int str_uri_encode(struct buf *out, const char *s, size_t len, bool keep_slash);
/* Decodes %XX only ('+' stays). -EINVAL on a broken escape. */
int str_uri_decode(struct buf *out, const char *s, size_t len);

/* For logs and terminals: bytes below 0x20, 0x7f, and invalid UTF-8 become \xNN. */
int str_escape(struct buf *out, const char *s, size_t len);
bool str_is_utf8(const char *s, size_t len);

/* Damerau-Levenshtein (adjacent swap counts one); capped: returns limit + 1 when above. */
unsigned str_distance(const char *a, const char *b, unsigned limit);
/* The nearest of the NULL-terminated names within distance 2, else NULL. */
const char *str_nearest(const char *word, const char *const *names);
