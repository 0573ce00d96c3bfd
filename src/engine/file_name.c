/*
 * The escapes of file_name.h. An escape counts only where the encoder would have written
 * it, so that "a%2Fb.txt" and "100%25.txt" stay the names they are. No file is touched.
 */
#include "config.h"

#include "engine/file_name.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc.h"
#include "base/str.h"

#define TEMPORARY ".s3ferry-tmp-"
#define KEY_MAX   4096

/* A name, or what is left of it: as a key or as a path has it. */
struct rest {
	const char *s;
	size_t len;
	bool is_start; /* of its name */
	bool is_last;  /* name of its key */
};

static bool is_control(unsigned c)
{
	return (c > 0 && c < 0x20) || c == 0x7f;
}

/* What follows the first '.' of a name that needs its '.' escaped. */
static bool is_dotted(const char *s, size_t len)
{
	static const char tail[] = "s3ferry-tmp-";

	return len == 0 || (len == 1 && *s == '.') ||
	       (len >= sizeof(tail) - 1 && memcmp(s, tail, sizeof(tail) - 1) == 0);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int hex_byte(const char *s)
{
	int high = hex_digit(s[0]), low = high < 0 ? -1 : hex_digit(s[1]);

	return low < 0 ? -1 : high * 16 + low;
}

/* At a '%': would it be read as more than itself? %25 is, where a '%' in its place is. */
static bool is_escape(const struct rest *r)
{
	const char *s = r->s + 1;
	size_t len = r->len - 1;
	int code;

	for (; len >= 4 && s[0] == '2' && s[1] == '5'; len -= 2)
		s += 2;
	code = len >= 2 ? hex_byte(s) : -1;
	if (code == '/')
		return r->is_start || (r->is_last && len == 2);
	if (code == '.')
		return r->is_start && is_dotted(s + 2, len - 2);
	return code > 0 && is_control((unsigned)code);
}

/* Up to the '/' that parts it from the next one; a '/' at the key's end is its own. */
static struct rest rest_of_key(const char *s, bool is_start)
{
	const char *slash = strchr(s + 1, '/');

	if (slash && slash[1])
		return (struct rest){s, (size_t)(slash - s), is_start, false};
	return (struct rest){s, strlen(s), is_start, true};
}

static bool needs_escape(const char *s, bool is_start)
{
	struct rest r;

	if (is_control((unsigned char)*s))
		return true;
	if (*s != '.' && *s != '%')
		return false;
	r = rest_of_key(s, is_start);
	return *s == '%' ? is_escape(&r) : is_start && is_dotted(s + 1, r.len - 1);
}

int file_name_from_key(struct buf *out, const char *key)
{
	size_t start = out->len;
	int r = *key ? 0 : -EINVAL;

	for (; *key && r == 0; key++) {
		bool is_start = out->len == start;
		bool parts = *key == '/' && !is_start && key[1];

		if (parts)
			start = out->len + 1;
		if ((*key == '/' && !parts) || needs_escape(key, is_start))
			r = buf_printf(out, "%%%02X", (unsigned)(unsigned char)*key);
		else
			r = buf_putc(out, *key);
		if (out->len - start > FILE_NAME_LEN && !parts)
			return -ENAMETOOLONG;
	}
	return r;
}

static int decode(struct buf *out, struct rest r)
{
	int error = 0;

	while (r.len && error == 0) {
		bool is_escaped = *r.s == '%' && is_escape(&r);
		size_t n = is_escaped ? 3 : 1;

		if (is_control((unsigned char)*r.s))
			return -EINVAL;
		error = buf_putc(out, is_escaped ? (char)hex_byte(r.s + 1) : *r.s);
		r = (struct rest){r.s + n, r.len - n, false, r.is_last};
	}
	return error;
}

int file_name_to_key_part(struct buf *out, const char *name, bool is_folder)
{
	return decode(out, (struct rest){name, strlen(name), true, !is_folder});
}

int file_name_to_key(struct buf *out, const char *path)
{
	struct buf again = BUF_INIT(KEY_MAX);
	const char *name = path;
	size_t before = out->len;
	int r = 0;

	while (r == 0) {
		size_t len = strcspn(name, "/");

		r = decode(out, (struct rest){name, len, true, !name[len]});
		if (!name[len] || r < 0)
			break;
		r = buf_putc(out, '/');
		name += len + 1;
	}
	if (r == 0)
		r = file_name_from_key(&again, buf_str(out) + before);
	if (r == 0 && strcmp(buf_str(&again), path) != 0)
		r = -EINVAL;
	buf_done(&again);
	return r;
}

int file_name_temporary(struct buf *out, const char *name)
{
	return buf_printf(out, TEMPORARY "%016llx",
		(unsigned long long)crc64nvme(0, name, strlen(name)));
}

bool file_name_is_temporary(const char *name)
{
	return str_has_prefix(name, TEMPORARY);
}
