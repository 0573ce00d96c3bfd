/* Text as people and AWS write it. Pure: no locale, no clock, no log. */
#include "config.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

void str_copy(char *out, size_t size, const char *s)
{
	size_t n = strnlen(s, size - 1);

	memcpy(out, s, n);
	out[n] = '\0';
}

int str_to_uint_len(const char *s, size_t len, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s[i] - '0'), &value) ||
			value > max)
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

int str_to_uint(const char *s, uint64_t max, uint64_t *ret)
{
	return str_to_uint_len(s, strlen(s), max, ret);
}

int str_to_duration_s(const char *s, int64_t *ret_seconds)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	uint64_t total = 0;
	size_t next = 0;

	if (!*s)
		return -EINVAL;
	while (*s) {
		size_t digits = strspn(s, "0123456789");
		uint64_t value;
		int r = str_to_uint_len(s, digits, UINT32_MAX, &value);

		if (r < 0)
			return r;
		while (next < ARRAY_LEN(units) && units[next].unit != s[digits])
			next++;
		if (next == ARRAY_LEN(units))
			return -EINVAL;
		total += value * units[next++].seconds;
		s += digits + 1;
	}
	*ret_seconds = (int64_t)total;
	return 0;
}

int str_to_size(const char *s, uint64_t *ret_bytes)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = {
		{"B", 1},
		{"kB", 1000},
		{"KB", 1000},
		{"MB", 1000000},
		{"GB", 1000000000},
		{"TB", 1000000000000},
		{"KiB", UINT64_C(1) << 10},
		{"MiB", UINT64_C(1) << 20},
		{"GiB", UINT64_C(1) << 30},
		{"TiB", UINT64_C(1) << 40},
	};
	size_t digits = strspn(s, "0123456789");
	uint64_t value;
	int r = str_to_uint_len(s, digits, UINT64_MAX, &value);

	if (r < 0)
		return r;
	s += digits;
	s += *s == ' ';
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(s, units[i].unit) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].bytes, ret_bytes))
			return -ERANGE;
		return 0;
	}
	return -EINVAL;
}

char *str_format_size(uint64_t bytes, char *out, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t i = 0;

	while (value >= 1024 && i + 1 < ARRAY_LEN(units)) {
		value /= 1024;
		i++;
	}
	snprintf(out, size, i && value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[i]);
	return out;
}

char *str_format_duration(int64_t usec, char *out, size_t size)
{
	int64_t s = usec / 1000000;

	if (usec < 0)
		snprintf(out, size, "0s");
	else if (s < 60)
		snprintf(out, size, "%.1fs", (double)usec / 1e6);
	else if (s < 3600)
		snprintf(out, size, "%dmin %ds", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		snprintf(out, size, "%dh %dmin", (int)(s / 3600), (int)(s / 60 % 60));
	else
		snprintf(out, size, "%lldd %dh", (long long)(s / 86400),
			(int)(s / 3600 % 24));
	return out;
}

void str_to_hex(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int str_from_hex(const char *hex, void *out, size_t len)
{
	unsigned char *p = out;

	if (strlen(hex) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		p[i] = (unsigned char)(hi << 4 | lo);
	}
	return 0;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void str_to_base64(const void *data, size_t len, char *out)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i += 3) {
		unsigned b = (unsigned)p[i] << 16;

		if (i + 1 < len)
			b |= (unsigned)p[i + 1] << 8;
		if (i + 2 < len)
			b |= p[i + 2];
		*out++ = base64_digits[b >> 18];
		*out++ = base64_digits[b >> 12 & 63];
		*out++ = i + 1 < len ? base64_digits[b >> 6 & 63] : '=';
		*out++ = i + 2 < len ? base64_digits[b & 63] : '=';
	}
	*out = '\0';
}

int str_from_base64(const char *s, void *out, size_t max, size_t *ret_len)
{
	size_t n = strlen(s), pad = 0, len = 0;
	unsigned char *p = out;

	if (n % 4 != 0)
		return -EINVAL;
	while (pad < 2 && pad < n && s[n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < n; i += 4) {
		unsigned b = 0;

		for (size_t j = i; j < i + 4; j++) {
			const char *d = strchr(base64_digits, s[j]);

			if (j >= n - pad)
				d = base64_digits;
			if (!d || !s[j])
				return -EINVAL;
			b = b << 6 | (unsigned)(d - base64_digits);
		}
		for (int shift = 16; shift >= 0; shift -= 8) {
			if (i + 4 == n && shift < (int)(8 * pad))
				break;
			if (len == max)
				return -ENOBUFS;
			p[len++] = (unsigned char)(b >> shift);
		}
	}
	*ret_len = len;
	return 0;
}

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

int str_uri_encode(struct buf *out, const char *s, size_t len, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
		bool plain = is_unreserved(s[i]) || (keep_slash && s[i] == '/');
		int r = plain ? buf_putc(out, s[i]) : buf_append(out, escaped, 3);

		if (r < 0)
			return r;
	}
	return 0;
}

int str_uri_decode(struct buf *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		int r;

		if (c == '%') {
			int hi = i + 2 < len ? hex_digit(s[i + 1]) : -1;
			int lo = i + 2 < len ? hex_digit(s[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -EINVAL;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		r = buf_putc(out, c);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Length of the valid UTF-8 sequence at s, 0 if there is none. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800},
		{0xf8, 0xf0, 0x10000}};

	for (size_t n = 1; n <= 4 && n <= len; n++) {
		uint32_t cp = s[0] & (unsigned char)~forms[n - 1].mask;

		if ((s[0] & forms[n - 1].mask) != forms[n - 1].lead)
			continue;
		for (size_t i = 1; i < n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			cp = cp << 6 | (s[i] & 0x3f);
		}
		if (cp < forms[n - 1].least || cp > 0x10ffff ||
			(cp >= 0xd800 && cp <= 0xdfff))
			return 0;
		return n;
	}
	return 0;
}

bool str_is_utf8(const char *s, size_t len)
{
	size_t n;

	for (; len; s += n, len -= n) {
		n = (unsigned char)*s < 0x80 ? 1 : utf8_length((const unsigned char *)s, len);
		if (n == 0)
			return false;
	}
	return true;
}

int str_escape(struct buf *out, const char *s, size_t len)
{
	while (len) {
		size_t n = utf8_length((const unsigned char *)s, len);
		unsigned char c = (unsigned char)*s;
		int r;

		if (n == 0 || c < 0x20 || c == 0x7f) {
			n = 1;
			r = buf_printf(out, "\\x%02x", c);
		} else {
			r = buf_append(out, s, n);
		}
		if (r < 0)
			return r;
		s += n;
		len -= n;
	}
	return 0;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

#define DISTANCE_MAX 64

unsigned str_distance(const char *a, const char *b, unsigned limit)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned rows[3][DISTANCE_MAX + 1];
	unsigned *before = rows[0], *prev = rows[1], *cur = rows[2];

	if (n > DISTANCE_MAX || m > DISTANCE_MAX)
		return limit + 1;
	for (size_t j = 0; j <= m; j++)
		prev[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *recycled = before;

		cur[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			cur[j] = min3(prev[j] + 1, cur[j - 1] + 1,
				prev[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
				a[i - 2] == b[j - 1] && before[j - 2] + 1 < cur[j])
				cur[j] = before[j - 2] + 1;
		}
		before = prev;
		prev = cur;
		cur = recycled;
	}
	return prev[m] <= limit ? prev[m] : limit + 1;
}

const char *str_nearest(const char *word, const char *const *names)
{
	const char *best = NULL;
	unsigned best_distance = 3;

	for (; *names; names++) {
		unsigned d = str_distance(word, *names, 2);

		if (d < best_distance && d < strlen(*names)) {
			best = *names;
			best_distance = d;
		}
	}
	return best;
}
