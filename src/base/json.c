/* jansson as reader, own writer. The only file that includes jansson.h. */
#include "config.h"

#include "base/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#define DEPTH_MAX 32

static const json_t *as_jansson(const struct json *v)
{
	return (const json_t *)v;
}

/* jansson recurses up to 2,048 levels; we need a handful. */
static bool is_too_deep(const char *text, size_t len)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				in_string = false;
		} else if (text[i] == '"') {
			in_string = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if (text[i] == '}' || text[i] == ']') {
			depth--;
		}
	}
	return false;
}

struct json *json_parse(const char *text, size_t len, char **ret_error)
{
	json_error_t error = {.line = 1, .column = 1};
	json_t *v = NULL;

	if (is_too_deep(text, len))
		snprintf(error.text, sizeof(error.text), "nested deeper than %d levels",
			DEPTH_MAX);
	else
		v = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!v && ret_error)
		*ret_error = mem_printf(
			"line %d column %d: %s", error.line, error.column, error.text);
	return (struct json *)v;
}

void *json_free(struct json *root)
{
	json_decref((json_t *)root);
	return NULL;
}

void json_free_ptr(struct json **root)
{
	json_free(*root);
}

const struct json *json_get(const struct json *v, const char *key)
{
	return v ? (const struct json *)json_object_get(as_jansson(v), key) : NULL;
}

const char *json_as_str(const struct json *v)
{
	return v ? json_string_value(as_jansson(v)) : NULL;
}

const char *json_get_str(const struct json *v, const char *key)
{
	return json_as_str(json_get(v, key));
}

int64_t json_get_int(const struct json *v, const char *key, int64_t fallback)
{
	const json_t *m = as_jansson(json_get(v, key));

	return m && json_is_integer(m) ? json_integer_value(m) : fallback;
}

bool json_get_bool(const struct json *v, const char *key, bool fallback)
{
	const json_t *m = as_jansson(json_get(v, key));

	return m && json_is_boolean(m) ? json_is_true(m) : fallback;
}

double json_get_real(const struct json *v, const char *key, double fallback)
{
	const json_t *m = as_jansson(json_get(v, key));

	return m && json_is_number(m) ? json_number_value(m) : fallback;
}

#undef json_is_object
#undef json_is_array

bool json_is_object(const struct json *v)
{
	return v && json_typeof(as_jansson(v)) == JSON_OBJECT;
}

bool json_is_array(const struct json *v)
{
	return v && json_typeof(as_jansson(v)) == JSON_ARRAY;
}

size_t json_array_len(const struct json *v)
{
	return json_is_array(v) ? json_array_size(as_jansson(v)) : 0;
}

const struct json *json_array_at(const struct json *v, size_t i)
{
	return (const struct json *)json_array_get(as_jansson(v), i);
}

bool json_object_next(const struct json *v, void **iter, const char **ret_key,
	const struct json **ret_value)
{
	json_t *o = (json_t *)as_jansson(v);

	if (!json_is_object(v))
		return false;
	*iter = *iter ? json_object_iter_next(o, *iter) : json_object_iter(o);
	if (!*iter)
		return false;
	*ret_key = json_object_iter_key(*iter);
	*ret_value = (const struct json *)json_object_iter_value(*iter);
	return true;
}

static int dump_chunk(const char *data, size_t len, void *out)
{
	return buf_append(out, data, len) < 0 ? -1 : 0;
}

int json_dump(const struct json *v, struct buf *out)
{
	int r = json_dump_callback(
		as_jansson(v), dump_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY);

	return r < 0 ? -ENOBUFS : 0;
}

void json_writer_init(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){.out = out};
}

static void put(struct json_writer *w, const char *data, size_t len)
{
	if (buf_append(w->out, data, len) < 0)
		w->failed = true;
}

static void put_text(struct json_writer *w, const char *s)
{
	put(w, s, strlen(s));
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != 0x7f && c != '"' && c != '\\';
}

/* Runs of plain bytes go out at once: a manifest has a row for each object. */
static void put_quoted(struct json_writer *w, const char *s, size_t len)
{
	const char *end = s + len, *run;
	char escape[8];

	put(w, "\"", 1);
	while (s < end) {
		for (run = s; s < end && is_plain((unsigned char)*s); s++)
			;
		put(w, run, (size_t)(s - run));
		if (s == end)
			break;
		snprintf(escape, sizeof(escape), *s == '"' || *s == '\\' ? "\\%c" : "\\u%04x",
			(unsigned char)*s);
		put_text(w, escape);
		s++;
	}
	put(w, "\"", 1);
}

static void put_string(struct json_writer *w, const char *s)
{
	struct buf safe = BUF_INIT(strlen(s) * 4);

	if (str_is_utf8(s, strlen(s))) {
		put_quoted(w, s, strlen(s));
		return;
	}
	str_escape(&safe, s, strlen(s));
	put_quoted(w, buf_str(&safe), safe.len);
	buf_done(&safe);
}

static void begin_value(struct json_writer *w, const char *key)
{
	if (w->needs_comma)
		put(w, ",", 1);
	w->needs_comma = true;
	if (!key)
		return;
	put_string(w, key);
	put(w, ":", 1);
}

static void open_with(struct json_writer *w, const char *key, const char *bracket)
{
	begin_value(w, key);
	put_text(w, bracket);
	w->needs_comma = false;
}

static void close_with(struct json_writer *w, const char *bracket)
{
	put_text(w, bracket);
	w->needs_comma = true;
}

void json_object_begin(struct json_writer *w, const char *key)
{
	open_with(w, key, "{");
}

void json_object_end(struct json_writer *w)
{
	close_with(w, "}");
}

void json_array_begin(struct json_writer *w, const char *key)
{
	open_with(w, key, "[");
}

void json_array_end(struct json_writer *w)
{
	close_with(w, "]");
}

void json_put_str(struct json_writer *w, const char *key, const char *value)
{
	if (!value) {
		json_put_null(w, key);
		return;
	}
	begin_value(w, key);
	put_string(w, value);
}

void json_put_raw(struct json_writer *w, const char *key, const char *text)
{
	begin_value(w, key);
	put_text(w, text);
}

void json_put_int(struct json_writer *w, const char *key, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", (long long)value);
	json_put_raw(w, key, digits);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
	json_put_raw(w, key, value ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
	json_put_raw(w, key, "null");
}
