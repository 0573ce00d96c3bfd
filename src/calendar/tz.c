/* TZif v2+ reader with its POSIX footer. Types by index; is_dst is never looked at. */
#include "config.h"

#include "calendar/tz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define FILE_MAX   (1024 * 1024)
#define HEADER_LEN 44
#define WEEK_DAYS  7
/* RFC 9636 asks no writer for more than -25 to +26 h, and for no instant before the Big
 * Bang. */
#define OFFSET_MAX_S (26 * 3600)
#define INSTANT_MAX  (INT64_C(1) << 60)

struct zone_type {
	int offset_s;
	char abbreviation[16];
};

enum rule_kind {
	RULE_JULIAN,  /* Jn: 1-365, February 29 is never counted */
	RULE_ORDINAL, /* n: 0-365 */
	RULE_MONTH,   /* Mm.w.d */
};

struct rule {
	enum rule_kind kind;
	int day, month, week;
	int time_s; /* local seconds from midnight, -167 h .. 167 h */
};

/* "CET-1CEST,M3.5.0,M10.5.0/3": for ever after the last transition. */
struct footer {
	struct zone_type std, dst;
	bool has_dst;
	struct rule start, end; /* of dst */
};

struct tz {
	int64_t *at; /* transitions, rising */
	uint8_t *type;
	size_t count;
	struct zone_type *types;
	size_t type_count;
	bool has_footer;
	struct footer footer;
};

/* --- the footer --- */

static bool parse_name(const char **s, char out[16])
{
	const char *p = *s, *end;
	size_t n;

	if (*p == '<') {
		end = strchr(++p, '>');
		n = end ? (size_t)(end - p) : 0;
		*s = end ? end + 1 : p;
	} else {
		n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
		*s = p + n;
	}
	if (n < 3 || n > 15)
		return false;
	memcpy(out, p, n);
	out[n] = '\0';
	return true;
}

static bool parse_number(const char **s, int max, int *ret)
{
	int v = 0, digits = 0;

	for (; **s >= '0' && **s <= '9' && digits < 4; ++*s, digits++)
		v = v * 10 + (**s - '0');
	*ret = v;
	return digits > 0 && v <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool parse_time(const char **s, int *ret)
{
	int sign = **s == '-' ? -1 : 1, part, total;

	if (**s == '+' || **s == '-')
		++*s;
	if (!parse_number(s, 167, &part))
		return false;
	total = part * 3600;
	for (int unit = 60; unit && **s == ':'; unit /= 60) {
		++*s;
		if (!parse_number(s, 59, &part))
			return false;
		total += part * unit;
	}
	*ret = sign * total;
	return true;
}

static bool parse_rule(const char **s, struct rule *r)
{
	bool ok;

	if (**s == 'M') {
		++*s;
		r->kind = RULE_MONTH;
		ok = parse_number(s, 12, &r->month) && r->month >= 1 && *(*s)++ == '.' &&
		     parse_number(s, 5, &r->week) && r->week >= 1 && *(*s)++ == '.' &&
		     parse_number(s, 6, &r->day);
	} else if (**s == 'J') {
		++*s;
		r->kind = RULE_JULIAN;
		ok = parse_number(s, 365, &r->day) && r->day >= 1;
	} else {
		r->kind = RULE_ORDINAL;
		ok = parse_number(s, 365, &r->day);
	}
	r->time_s = 7200;
	if (ok && **s == '/') {
		++*s;
		ok = parse_time(s, &r->time_s);
	}
	return ok;
}

static bool parse_footer(const char *s, struct footer *f)
{
	int west;

	if (!parse_name(&s, f->std.abbreviation) || !parse_time(&s, &west))
		return false;
	f->std.offset_s = -west;
	f->has_dst = *s != '\0';
	if (!f->has_dst)
		return true;
	if (!parse_name(&s, f->dst.abbreviation))
		return false;
	f->dst.offset_s = f->std.offset_s + 3600;
	if (*s && *s != ',') {
		if (!parse_time(&s, &west))
			return false;
		f->dst.offset_s = -west;
	}
	return *s++ == ',' && parse_rule(&s, &f->start) && *s++ == ',' &&
	       parse_rule(&s, &f->end) && !*s;
}

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Local midnight of the rule's day, as if it were UTC. */
static int64_t rule_day_s(const struct rule *r, int64_t year)
{
	struct clock_utc u = {.year = year, .month = 1, .day = 1};
	int64_t first = clock_seconds_from_utc(&u), next;
	int day;

	switch (r->kind) {
	case RULE_JULIAN:
		day = r->day - 1 + (is_leap(year) && r->day >= 60);
		return first + (int64_t)day * 86400;
	case RULE_ORDINAL:
		return first + (int64_t)r->day * 86400;
	case RULE_MONTH:
		break;
	}
	u.month = r->month;
	first = clock_seconds_from_utc(&u);
	clock_utc_from_seconds(first, &u);
	day = (r->day - u.weekday + WEEK_DAYS) % WEEK_DAYS + (r->week - 1) * WEEK_DAYS;
	u.month++;
	if (u.month == 13) {
		u.month = 1;
		u.year++;
	}
	next = clock_seconds_from_utc(&u);
	while (first + (int64_t)day * 86400 >= next)
		day -= WEEK_DAYS;
	return first + (int64_t)day * 86400;
}

/* The interval that the footer's rules give around at_s. */
static void footer_interval(const struct footer *f, int64_t at_s, struct tz_interval *ret)
{
	struct clock_utc u;

	ret->start_s = INT64_MIN;
	ret->end_s = INT64_MAX;
	ret->offset_s = f->std.offset_s;
	memcpy(ret->abbreviation, f->std.abbreviation, sizeof(ret->abbreviation));
	if (!f->has_dst)
		return;
	clock_utc_from_seconds(at_s, &u);
	for (int64_t y = u.year - 1; y <= u.year + 1; y++) {
		for (int is_start = 0; is_start < 2; is_start++) {
			const struct rule *r = is_start ? &f->start : &f->end;
			const struct zone_type *to = is_start ? &f->dst : &f->std;
			const struct zone_type *from = is_start ? &f->std : &f->dst;
			int64_t t = rule_day_s(r, y) + r->time_s - from->offset_s;

			if (t <= at_s && t >= ret->start_s) {
				ret->start_s = t;
				ret->offset_s = to->offset_s;
				memcpy(ret->abbreviation, to->abbreviation,
					sizeof(ret->abbreviation));
			} else if (t > at_s && t < ret->end_s) {
				ret->end_s = t;
			}
		}
	}
}

/* --- the file --- */

static int64_t big_endian(const unsigned char *p, size_t n)
{
	uint64_t v = (p[0] & 0x80) ? UINT64_MAX : 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

struct header {
	size_t isut, isstd, leap, time, type, chars;
};

static bool read_header(const unsigned char *p, size_t len, struct header *h)
{
	int64_t counts[6];

	if (len < HEADER_LEN || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return false;
	for (int i = 0; i < 6; i++) {
		counts[i] = big_endian(p + 20 + 4 * i, 4);
		if (counts[i] < 0 || counts[i] > FILE_MAX)
			return false;
	}
	*h = (struct header){(size_t)counts[0], (size_t)counts[1], (size_t)counts[2],
		(size_t)counts[3], (size_t)counts[4], (size_t)counts[5]};
	return true;
}

static size_t body_len(const struct header *h, size_t time_size)
{
	return h->time * (time_size + 1) + h->type * 6 + h->chars +
	       h->leap * (time_size + 4) + h->isstd + h->isut;
}

static bool read_types(struct tz *tz, const struct header *h, const unsigned char *p)
{
	const unsigned char *chars = p + h->type * 6;

	tz->types = mem_array(h->type, sizeof(*tz->types));
	tz->type_count = h->type;
	for (size_t i = 0; i < h->type; i++) {
		size_t at = p[i * 6 + 5];
		size_t n = at < h->chars
				   ? strnlen((const char *)chars + at, h->chars - at)
				   : 0;

		tz->types[i].offset_s = (int)big_endian(p + i * 6, 4);
		if (at >= h->chars || n == h->chars - at || n > 15 ||
			tz->types[i].offset_s < -OFFSET_MAX_S ||
			tz->types[i].offset_s > OFFSET_MAX_S)
			return false;
		memcpy(tz->types[i].abbreviation, chars + at, n);
	}
	return true;
}

static bool read_body(struct tz *tz, const struct header *h, const unsigned char *p)
{
	if (h->leap || !h->type || !h->chars) /* leap seconds are not POSIX time */
		return false;
	tz->count = h->time;
	tz->at = mem_array(h->time, sizeof(*tz->at));
	tz->type = mem_array(h->time, 1);
	for (size_t i = 0; i < h->time; i++) {
		tz->at[i] = big_endian(p + i * 8, 8);
		tz->type[i] = p[h->time * 8 + i];
		if (tz->type[i] >= h->type || (i && tz->at[i] <= tz->at[i - 1]) ||
			tz->at[i] < -INSTANT_MAX || tz->at[i] > INSTANT_MAX)
			return false;
	}
	return read_types(tz, h, p + h->time * 9);
}

static bool read_footer(struct tz *tz, const unsigned char *p, size_t len)
{
	char text[128];

	if (len < 2 || len > sizeof(text) || p[0] != '\n' || p[len - 1] != '\n')
		return false;
	memcpy(text, p + 1, len - 2);
	text[len - 2] = '\0';
	tz->has_footer = text[0] != '\0';
	return !tz->has_footer || parse_footer(text, &tz->footer);
}

int tz_parse(const void *data, size_t len, struct tz **ret)
{
	const unsigned char *p = data;
	struct header h;
	struct tz *tz;
	size_t n;

	if (!read_header(p, len, &h))
		return -EBADMSG;
	n = HEADER_LEN + body_len(&h, 4); /* the 32-bit block is for older readers */
	if (n > len || !read_header(p + n, len - n, &h))
		return -EBADMSG;
	p += n + HEADER_LEN;
	len -= n + HEADER_LEN;
	n = body_len(&h, 8);
	if (n > len)
		return -EBADMSG;
	tz = mem_alloc(sizeof(*tz));
	if (!read_body(tz, &h, p) || !read_footer(tz, p + n, len - n)) {
		tz_free(tz);
		return -EBADMSG;
	}
	*ret = tz;
	return 0;
}

void *tz_free(struct tz *tz)
{
	if (tz) {
		free(tz->at);
		free(tz->type);
		free(tz->types);
		free(tz);
	}
	return NULL;
}

static bool is_zone_name(const char *name)
{
	return *name && *name != '/' && !strstr(name, "..") && strlen(name) < 128 &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789_+-/") == strlen(name);
}

/* As much of the file as FILE_MAX; its length, or -ENOENT. */
static ssize_t read_all(const char *path, char **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t len = 0, size;
	ssize_t n;

	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOENT;
	}
	size = st.st_size < FILE_MAX ? (size_t)st.st_size : FILE_MAX;
	*ret = mem_alloc(size + 1);
	while (len < size && (n = read(fd, *ret + len, size - len)) > 0)
		len += (size_t)n;
	close(fd);
	return (ssize_t)len;
}

int tz_read(const char *path, struct tz **ret)
{
	char *data;
	ssize_t len = read_all(path, &data);
	int r;

	if (len < 0)
		return (int)len;
	r = tz_parse(data, (size_t)len, ret);
	free(data);
	return r;
}

int tz_path(const char *dir, const char *name, char *out, size_t size)
{
	if (strcmp(name, "local") == 0 && !dir)
		snprintf(out, size, "/etc/localtime");
	else if (is_zone_name(name))
		snprintf(out, size, "%s/%s", dir ? dir : ZONEINFO_DIR, name);
	else
		return -EINVAL;
	return 0;
}

int tz_load(const char *name, struct tz **ret)
{
	char path[400];
	int r;

	if (strcmp(name, "UTC") == 0) {
		struct tz *tz = mem_alloc(sizeof(*tz));

		tz->has_footer = true;
		snprintf(tz->footer.std.abbreviation, 16, "UTC");
		*ret = tz;
		return 0;
	}
	r = tz_path(NULL, name, path, sizeof(path));
	return r < 0 ? r : tz_read(path, ret);
}

void tz_swap(struct tz *a, struct tz *b)
{
	struct tz t = *a;

	*a = *b;
	*b = t;
}

char *tz_version(char *out, size_t size)
{
	static const char head[] = "# version ";
	char *text;
	ssize_t len = read_all(ZONEINFO_DIR "/tzdata.zi", &text);

	*out = '\0';
	if (len < 0)
		return out;
	if (str_has_prefix(text, head))
		snprintf(out, size, "%.*s", (int)strcspn(text + strlen(head), "\n"),
			text + strlen(head));
	free(text);
	return out;
}

/* Index of the last transition at or before at_s, or count when there is none. */
static size_t find(const struct tz *tz, int64_t at_s)
{
	size_t lo = 0, hi = tz->count;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (tz->at[mid] <= at_s)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : tz->count;
}

void tz_interval_at(const struct tz *tz, int64_t at_s, struct tz_interval *ret)
{
	size_t i = find(tz, at_s);
	bool is_before = i == tz->count && tz->count;
	const struct zone_type *type;

	if (tz->has_footer && !is_before && (tz->count == 0 || i == tz->count - 1)) {
		footer_interval(&tz->footer, at_s, ret);
		if (tz->count && ret->start_s < tz->at[i])
			ret->start_s = tz->at[i];
		return;
	}
	type = &tz->types[is_before || !tz->count ? 0 : tz->type[i]];
	ret->start_s = is_before || !tz->count ? INT64_MIN : tz->at[i];
	ret->end_s = INT64_MAX;
	if (is_before)
		ret->end_s = tz->at[0];
	else if (tz->count && i + 1 < tz->count)
		ret->end_s = tz->at[i + 1];
	ret->offset_s = type->offset_s;
	memcpy(ret->abbreviation, type->abbreviation, sizeof(ret->abbreviation));
}
