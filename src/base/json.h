/*
 * JSON: jansson behind a narrow reader (objects by key, depth <= 32, duplicate keys
 * refused), and a small writer of our own. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct json; /* a value; only json_parse()'s result is owned */

/* NULL on any error; then *ret_error (may be NULL) is a malloc'd sentence. */
struct json *json_parse(const char *text, size_t len, char **ret_error);
void *json_free(struct json *root);
void json_free_ptr(struct json **root);
#define _cleanup_json_ _cleanup_(json_free_ptr)

/* Of an object: NULL when v is no object or has no such member. Borrowed. */
const struct json *json_get(const struct json *v, const char *key);
/* NULL, or fallback, when the member is missing or of another type. Borrowed. */
const char *json_get_str(const struct json *v, const char *key);
int64_t json_get_int(const struct json *v, const char *key, int64_t fallback);
bool json_get_bool(const struct json *v, const char *key, bool fallback);
double json_get_real(const struct json *v, const char *key, double fallback);

bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);
size_t json_array_len(const struct json *v); /* 0 for anything else */
const struct json *json_array_at(const struct json *v, size_t i);
const char *json_as_str(const struct json *v); /* NULL when it is no string */
/* Walk an object: pass *iter = NULL first; false at the end. */
bool json_object_next(const struct json *v, void **iter, const char **ret_key,
	const struct json **ret_value);
/* Compact text of a value, appended. -ENOBUFS. */
int json_dump(const struct json *v, struct buf *out);

/*
 * Writer: key is NULL inside arrays and at the top. Strings that are not UTF-8 are
 * escaped as str_escape() does. `failed` is set once the buffer is full.
 */
struct json_writer {
	struct buf *out;
	bool needs_comma;
	bool failed;
};
void json_writer_init(struct json_writer *w, struct buf *out);
void json_object_begin(struct json_writer *w, const char *key);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w, const char *key);
void json_array_end(struct json_writer *w);
void json_put_str(struct json_writer *w, const char *key, const char *value); /* or null */
void json_put_int(struct json_writer *w, const char *key, int64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
/* text is already JSON. */
void json_put_raw(struct json_writer *w, const char *key, const char *text);
