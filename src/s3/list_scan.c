/*
 * A listing read in one pass over its bytes: what S3 and its like write, in any order of
 * elements, with unknown ones skipped. Not an XML parser: comments, CDATA, a DOCTYPE,
 * carriage returns, bytes outside ASCII and all else that expat is right about end it.
 */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "s3/list.h"
#include "s3/list_parse.h"

#define DEPTH_MAX  8
#define NAME_BYTES 60    /* bytes; expat's reader takes more, nobody writes it */
#define TEXT_MAX   60000 /* bytes of one text, likewise */

struct span {
	const char *s;
	size_t len;
};

struct scan {
	const char *p, *end;
	struct s3_page *page;
	unsigned told; /* bits of what the root or the entry has told */
	bool is_encoded;
};

enum {
	IN_TEXT = 1, /* stands for itself between two tags */
	IN_NAME = 2,
	BLANK = 4,
	STARTS_NAME = 8,
};

#define LETTER (IN_TEXT | IN_NAME | STARTS_NAME)

/* clang-format off */
static const uint8_t kinds[256] = {
	['\t'] = IN_TEXT | BLANK, ['\n'] = IN_TEXT | BLANK, [' '] = IN_TEXT | BLANK,
	['!' ... '%'] = IN_TEXT, ['\'' ... ','] = IN_TEXT, ['-' ... '.'] = IN_TEXT | IN_NAME,
	['/'] = IN_TEXT, ['0' ... ':'] = IN_TEXT | IN_NAME, [';'] = IN_TEXT,
	['='] = IN_TEXT, ['>' ... '@'] = IN_TEXT, ['A' ... 'Z'] = LETTER,
	['[' ... '\\'] = IN_TEXT, ['^'] = IN_TEXT, ['_'] = LETTER,
	['`'] = IN_TEXT, ['a' ... 'z'] = LETTER, ['{' ... '~'] = IN_TEXT,
};
/* clang-format on */

static bool is_kind(const struct scan *s, uint8_t kind)
{
	return s->p < s->end && (kinds[(uint8_t)*s->p] & kind);
}

/* In a local pointer: the compiler cannot know that the table is not what s->p is in. */
static void skip_kind(struct scan *s, uint8_t kind)
{
	const char *p = s->p, *end = s->end;

	while (p < end && (kinds[(uint8_t)*p] & kind))
		p++;
	s->p = p;
}

static void skip_blanks(struct scan *s)
{
	skip_kind(s, BLANK);
}

static bool take(struct scan *s, const char *literal)
{
	size_t len = strlen(literal);

	if ((size_t)(s->end - s->p) < len || memcmp(s->p, literal, len) != 0)
		return false;
	s->p += len;
	return true;
}

static bool is_span(const struct span *a, const char *literal)
{
	return a->len == strlen(literal) && memcmp(a->s, literal, a->len) == 0;
}

/* --- tags --- */

static bool read_name(struct scan *s, struct span *ret)
{
	const char *colon;

	ret->s = s->p;
	skip_kind(s, IN_NAME);
	ret->len = (size_t)(s->p - ret->s);
	if (!ret->len || ret->len > NAME_BYTES ||
		!(kinds[(uint8_t)*ret->s] & STARTS_NAME))
		return false;
	colon = memchr(ret->s, ':', ret->len);
	return !colon ||
	       (colon + 1 < s->p && !memchr(colon + 1, ':', (size_t)(s->p - colon - 1)));
}

/* One attribute: a namespace, mostly. Two could be the same one, which is no XML. */
static bool skip_attribute(struct scan *s)
{
	struct span ignored;
	char quote;

	if (!is_kind(s, IN_NAME))
		return true;
	if (!read_name(s, &ignored) || !take(s, "=") || s->p == s->end ||
		(*s->p != '"' && *s->p != '\''))
		return false;
	quote = *s->p++;
	while (is_kind(s, IN_TEXT) && *s->p != quote)
		s->p++;
	if (s->p == s->end || *s->p != quote)
		return false;
	s->p++;
	skip_blanks(s);
	return true;
}

/* Behind the '<' of an opening tag. raw: with its prefix, as the end tag repeats it. */
static bool open_tag(struct scan *s, struct span *raw, bool *is_empty)
{
	*is_empty = false;
	if (!read_name(s, raw))
		return false;
	if (s->p < s->end && *s->p == '>') {
		s->p++;
		return true;
	}
	if (is_kind(s, BLANK)) {
		skip_blanks(s);
		if (!skip_attribute(s))
			return false;
	}
	*is_empty = take(s, "/");
	return take(s, ">");
}

static struct span local_name(const struct span *raw)
{
	const char *colon = memchr(raw->s, ':', raw->len);

	return colon ? (struct span){colon + 1, raw->len - (size_t)(colon + 1 - raw->s)}
		     : *raw;
}

/* Behind "</". */
static bool close_tag(struct scan *s, const struct span *raw)
{
	if ((size_t)(s->end - s->p) <= raw->len || memcmp(s->p, raw->s, raw->len) != 0)
		return false;
	s->p += raw->len;
	skip_blanks(s);
	return take(s, ">");
}

enum next {
	NEXT_CHILD,
	NEXT_END, /* the parent's end tag was read */
	NEXT_BAD,
};

/* The next child of an element that holds elements alone. */
static enum next next_child(
	struct scan *s, const struct span *parent, struct span *raw, bool *is_empty)
{
	skip_blanks(s);
	if (!take(s, "<"))
		return NEXT_BAD;
	if (take(s, "/"))
		return close_tag(s, parent) ? NEXT_END : NEXT_BAD;
	return open_tag(s, raw, is_empty) ? NEXT_CHILD : NEXT_BAD;
}

/* --- texts --- */

/* Behind '&': the one byte that a reference stands for, or '\0'. */
static char reference(struct scan *s)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {{"quot;", '"'}, {"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'},
		{"apos;", '\''}, {"#34;", '"'}, {"#38;", '&'}, {"#39;", '\''},
		{"#x27;", '\''}, {"#x22;", '"'}};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (take(s, known[i].name))
			return known[i].c;
	return '\0';
}

/* Text up to the next '<', into the page when it has references; *ret_at 0: it has not.
 */
static bool text(struct scan *s, struct span *ret, unsigned *ret_at)
{
	struct buf *b = &s->page->text;
	size_t start = 0;

	*ret_at = 0;
	ret->s = s->p;
	skip_kind(s, IN_TEXT);
	ret->len = (size_t)(s->p - ret->s);
	if (s->p < s->end && *s->p == '&') {
		start = list_put(s->page, ret->s, ret->len);
		if (!start)
			return false;
		*ret_at = (unsigned)start;
	}
	while (s->p < s->end && *s->p == '&') {
		const char *from;
		char c;

		s->p++;
		c = reference(s);
		b->len--; /* the NUL of list_put() */
		from = s->p;
		skip_kind(s, IN_TEXT);
		if (!c || buf_putc(b, c) < 0 ||
			!list_put(s->page, from, (size_t)(s->p - from)))
			return false;
	}
	if (start)
		*ret = (struct span){b->data + start, b->len - 1 - start};
	return ret->len <= TEXT_MAX && s->p < s->end && *s->p == '<';
}

/* The text of a leaf whose opening tag was read, and its end tag. */
static bool leaf(struct scan *s, const struct span *raw, bool is_empty, struct span *ret,
	unsigned *ret_at)
{
	if (is_empty) {
		*ret = (struct span){"", 0};
		*ret_at = 0;
		return true;
	}
	return text(s, ret, ret_at) && take(s, "</") && close_tag(s, raw);
}

/* An element that nobody asked for, whatever it holds. */
static bool skip(struct scan *s, const struct span *raw, bool is_empty, int depth)
{
	struct span child, ignored;
	bool is_child_empty;
	unsigned at;

	if (is_empty)
		return true;
	while (depth < DEPTH_MAX && text(s, &ignored, &at)) {
		if (take(s, "</"))
			return close_tag(s, raw);
		s->p++;
		if (!open_tag(s, &child, &is_child_empty) ||
			!skip(s, &child, is_child_empty, depth + 1))
			return false;
	}
	return false;
}

static unsigned keep(struct scan *s, const struct span *v, unsigned at)
{
	return at ? at : list_put(s->page, v->s, v->len);
}

static bool number(const struct span *v, int64_t *ret)
{
	uint64_t n;

	if (str_to_uint_len(v->s, v->len, INT64_MAX, &n) < 0)
		return false;
	*ret = (int64_t)n;
	return true;
}

static bool digits(const char *s, size_t len, int *ret)
{
	int n = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		n = 10 * n + (s[i] - '0');
	}
	*ret = n;
	return true;
}

/* "2026-11-26T07:00:00.000Z"; other forms of the same are clock.c's. */
static bool instant(const struct span *v, int64_t *ret)
{
	static const int sure_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct clock_utc u = {0};
	int year, ms = 0;
	const char *s = v->s;

	if ((v->len != 24 && v->len != 20) || s[4] != '-' || s[7] != '-' ||
		s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[v->len - 1] != 'Z')
		return false;
	if (!digits(s, 4, &year) || !digits(s + 5, 2, &u.month) ||
		!digits(s + 8, 2, &u.day) || !digits(s + 11, 2, &u.hour) ||
		!digits(s + 14, 2, &u.minute) || !digits(s + 17, 2, &u.second))
		return false;
	if (v->len == 24 && (s[19] != '.' || !digits(s + 20, 3, &ms)))
		return false;
	if (!year || u.month < 1 || u.month > 12 || u.day < 1 ||
		u.day > sure_days[u.month - 1] || u.hour > 23 || u.minute > 59 ||
		u.second > 59)
		return false;
	u.year = year;
	*ret = clock_seconds_from_utc(&u) * USEC_PER_SEC + ms * USEC_PER_MSEC;
	return true;
}

static bool late_instant(const struct span *v, int64_t *ret)
{
	char copy[40];

	if (instant(v, ret))
		return true;
	if (v->len >= sizeof(copy))
		return false;
	memcpy(copy, v->s, v->len);
	copy[v->len] = '\0';
	return clock_parse_iso_us(copy, ret) == 0;
}

/* --- elements --- */

enum element {
	E_OTHER = 0,
	E_KEY = 1,
	E_SIZE = 2,
	E_ETAG = 4,
	E_MODIFIED = 8,
	E_CLASS = 16,
	E_RESTORE = 32,
	E_IS_RUNNING = 64,
	E_EXPIRY = 128,
	E_TRUNCATED = 256,
	E_TOKEN = 512,
	E_ENCODING = 1024,
	E_CONTENTS = 2048,
};

struct row {
	struct span name;
	enum element element;
};
#define ROW(literal, element)                               \
	{                                                   \
		{(literal), sizeof(literal) - 1}, (element) \
	}

static enum element find(const struct row *rows, size_t count, const struct span *raw)
{
	const struct span name = local_name(raw);

	for (size_t i = 0; i < count; i++)
		if (rows[i].name.len == name.len &&
			memcmp(rows[i].name.s, name.s, name.len) == 0)
			return rows[i].element;
	return E_OTHER;
}

/* What comes twice is expat's: there the last one counts. */
static bool tell_once(unsigned *told, enum element e)
{
	bool is_first = !(*told & e);

	*told |= e;
	return is_first;
}

static bool boolean(const struct span *v, bool *ret)
{
	*ret = is_span(v, "true");
	return *ret || is_span(v, "false");
}

static bool restore_status(struct scan *s, const struct span *parent, struct s3_entry *e)
{
	static const struct row rows[] = {ROW("IsRestoreInProgress", E_IS_RUNNING),
		ROW("RestoreExpiryDate", E_EXPIRY)};
	struct span raw, v;
	bool is_empty, is_running;
	unsigned told = 0, at;
	enum next next;

	while ((next = next_child(s, parent, &raw, &is_empty)) == NEXT_CHILD) {
		enum element element = find(rows, ARRAY_LEN(rows), &raw);

		if (element == E_OTHER || !tell_once(&told, element) ||
			!leaf(s, &raw, is_empty, &v, &at))
			return false;
		if (element == E_EXPIRY && !late_instant(&v, &e->restored_until_us))
			return false;
		if (element == E_IS_RUNNING) {
			if (!boolean(&v, &is_running))
				return false;
			e->restore = is_running ? S3_RESTORE_RUNNING : S3_RESTORE_DONE;
		}
	}
	return next == NEXT_END;
}

static bool entry_leaf(struct scan *s, enum element element, const struct span *v,
	unsigned at, struct s3_entry *e)
{
	switch (element) {
	case E_KEY:
		e->key_at = keep(s, v, at);
		e->key_len = (uint32_t)v->len;
		return e->key_at;
	case E_ETAG:
		return (e->etag_at = keep(s, v, at));
	case E_CLASS:
		return (e->storage_class_at = keep(s, v, at));
	case E_SIZE:
		return number(v, &e->size);
	default:
		return late_instant(v, &e->modified_us);
	}
}

static bool contents(struct scan *s, const struct span *parent, bool is_empty)
{
	static const struct row rows[] = {ROW("Key", E_KEY),
		ROW("LastModified", E_MODIFIED), ROW("ETag", E_ETAG), ROW("Size", E_SIZE),
		ROW("StorageClass", E_CLASS), ROW("RestoreStatus", E_RESTORE)};
	struct s3_entry *e = list_add(s->page);
	struct span raw, v;
	unsigned told = 0, at;
	enum next next;

	if (!e || is_empty)
		return false;
	while ((next = next_child(s, parent, &raw, &is_empty)) == NEXT_CHILD) {
		enum element element = find(rows, ARRAY_LEN(rows), &raw);
		bool is_good;

		if (element == E_OTHER)
			is_good = skip(s, &raw, is_empty, 2);
		else if (!tell_once(&told, element))
			is_good = false;
		else if (element == E_RESTORE)
			is_good = is_empty || restore_status(s, &raw, e);
		else
			is_good = leaf(s, &raw, is_empty, &v, &at) &&
				  entry_leaf(s, element, &v, at, e);
		if (!is_good)
			return false;
	}
	return next == NEXT_END;
}

static bool root_child(struct scan *s, const struct span *raw, bool is_empty)
{
	static const struct row rows[] = {ROW("Contents", E_CONTENTS),
		ROW("IsTruncated", E_TRUNCATED), ROW("NextContinuationToken", E_TOKEN),
		ROW("EncodingType", E_ENCODING)};
	enum element element = find(rows, ARRAY_LEN(rows), raw);
	struct span v;
	unsigned at;

	if (element == E_CONTENTS)
		return contents(s, raw, is_empty);
	if (element == E_OTHER)
		return skip(s, raw, is_empty, 1);
	if (!tell_once(&s->told, element) || !leaf(s, raw, is_empty, &v, &at))
		return false;
	if (element == E_TRUNCATED)
		return boolean(&v, &s->page->is_truncated);
	if (element == E_TOKEN)
		return (s->page->token_at = keep(s, &v, at));
	s->is_encoded = is_span(&v, "url");
	return true;
}

static bool prolog(struct scan *s)
{
	skip_blanks(s);
	if (take(s, "<?xml version=\"1.0\"")) {
		if (!take(s, "?>") && !take(s, " encoding=\"UTF-8\"?>"))
			return false;
		skip_blanks(s);
	}
	return take(s, "<");
}

bool list_scan(const char *data, size_t len, struct s3_page *ret)
{
	struct scan s = {data, data + len, ret, 0, false};
	struct span root, raw, name;
	bool is_empty;
	enum next next;

	if (!prolog(&s) || !open_tag(&s, &root, &is_empty) || is_empty)
		return false;
	name = local_name(&root);
	if (!is_span(&name, "ListBucketResult"))
		return false;
	while ((next = next_child(&s, &root, &raw, &is_empty)) == NEXT_CHILD)
		if (!root_child(&s, &raw, is_empty))
			return false;
	skip_blanks(&s);
	return next == NEXT_END && s.p == s.end &&
	       list_finish(ret, s.is_encoded, s.told & E_TRUNCATED);
}
