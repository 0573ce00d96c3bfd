/*
 * Texts with ${...}: compiled to parts, filled in for a slot. Dates are
 * template_date.c's. No clock, no host's name.
 */
#include "config.h"

#include "calendar/template.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/template_impl.h"

#define DAY_S      86400
#define OFFSET_MAX (INT64_C(200) * 366 * DAY_S)
#define NAMES      "date, job, run, host, match.N"

enum part_kind {
	PART_TEXT,
	PART_DATE,
	PART_JOB,
	PART_RUN,
	PART_HOST,
	PART_MATCH,
};

struct part {
	enum part_kind kind;
	char *text; /* of PART_TEXT; the format of PART_DATE */
	struct template_offset offset;
	unsigned match;
};

struct template
{
	char *text;
	struct part *parts;
	size_t count;
};

struct parser {
	const char *text;
	size_t at;
	unsigned max_match;
	struct template *t;
	struct template_error *e;
};

static int fail(struct parser *p, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(struct parser *p, size_t at, const char *fmt, ...)
{
	va_list ap;

	p->e->at = at;
	va_start(ap, fmt);
	vsnprintf(p->e->text, sizeof(p->e->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static struct part *add(struct template *t, enum part_kind kind)
{
	t->parts = mem_resize(t->parts, t->count + 1, sizeof(*t->parts));
	t->parts[t->count] = (struct part){.kind = kind};
	return &t->parts[t->count++];
}

static void add_text(struct template *t, const char *s, size_t len)
{
	if (len)
		add(t, PART_TEXT)->text = mem_strndup(s, len);
}

/* --- formats --- */

static char other_case(char c)
{
	if (c >= 'a' && c <= 'z')
		return (char)(c - 'a' + 'A');
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int check_format(struct parser *p, size_t at, size_t len)
{
	size_t end = at + len;

	if (!memchr(p->text + at, '%', len))
		return fail(p, at,
			"a format is made of %%Y, %%m, %%d and so on, such as "
			"%%Y/%%m/%%d");
	for (; at < end; at++) {
		char c;

		if (p->text[at] != '%')
			continue;
		c = ++at < end ? p->text[at] : '\0';
		if (c && strchr(TEMPLATE_FORMATS, c))
			continue;
		if (c && strchr(TEMPLATE_FORMATS, other_case(c)))
			return fail(p, at - 1, "%%%c is unknown; did you mean %%%c?", c,
				other_case(c));
		if (!c)
			return fail(p, at - 1, "nothing stands behind the '%%'");
		return fail(p, at - 1,
			"%%%c is unknown; known are %%Y %%m %%d %%H %%M "
			"%%S %%F %%j %%V and some more",
			c);
	}
	return 0;
}

/* "%F" of the colon at *at up to the brace. */
static int parse_format(struct parser *p, size_t end, struct part *part)
{
	size_t at = p->at + 1, len = end - at;
	int r;

	if (p->text[p->at] != ':') {
		if (p->at < end)
			return fail(p, p->at,
				"an offset such as -1d or +2h, a ':' with a "
				"format, or '}' is to follow");
		part->text = mem_strdup("%F");
		return 0;
	}
	r = check_format(p, at, len);
	if (r == 0)
		part->text = mem_strndup(p->text + at, len);
	return r;
}

/* "-1d" at p->at. */
static int parse_offset(struct parser *p, struct part *part)
{
	static const struct {
		char unit;
		int64_t days, seconds;
	} units[] = {{'m', 0, 60}, {'h', 0, 3600}, {'d', 1, 0}, {'w', 7, 0}};
	size_t from = p->at, digits = strspn(p->text + from + 1, "0123456789");
	int64_t sign = p->text[from] == '-' ? -1 : 1;
	uint64_t n;
	char unit = p->text[from + 1 + digits];

	if (!digits)
		return fail(p, from, "a number is to follow, as in -1d or +2h");
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t most = (uint64_t)(OFFSET_MAX /
					   (units[i].days * DAY_S + units[i].seconds));

		if (units[i].unit != unit)
			continue;
		if (str_to_uint_len(p->text + from + 1, digits, most, &n) < 0)
			return fail(p, from, "the offset is longer than 200 years");
		part->offset.days += sign * (int64_t)n * units[i].days;
		part->offset.seconds += sign * (int64_t)n * units[i].seconds;
		p->at += 2 + digits;
		return 0;
	}
	return fail(p, from + 1 + digits,
		"the unit is m (minutes), h, d or w (weeks), as in -1d");
}

static int parse_date(struct parser *p, size_t end)
{
	struct part *part = add(p->t, PART_DATE);
	int offsets = 0, r = 0;

	while (r == 0 && (p->text[p->at] == '+' || p->text[p->at] == '-')) {
		if (++offsets > 4)
			return fail(p, p->at, "more than four offsets");
		r = parse_offset(p, part);
	}
	return r < 0 ? r : parse_format(p, end, part);
}

/* --- names --- */

static int parse_match(struct parser *p, size_t end)
{
	struct part *part = add(p->t, PART_MATCH);
	uint64_t n = 0;

	if (p->text[p->at] != '.' ||
		str_to_uint_len(p->text + p->at + 1, end - p->at - 1, 1000, &n) < 0 || !n)
		return fail(p, p->at,
			"write ${match.1} for what the first wildcard of "
			"the source stands for");
	if (!p->max_match)
		return fail(p, p->at,
			"there is no pattern in the source's url that "
			"${match.%u} could be of",
			(unsigned)n);
	if (n > p->max_match)
		return fail(p, p->at, "the source's url has only %u wildcard%s",
			p->max_match, p->max_match == 1 ? "" : "s");
	part->match = (unsigned)n;
	p->at = end;
	return 0;
}

static int unknown(struct parser *p, size_t at, const char *name)
{
	static const char *const names[] = {"date", "job", "run", "host", "match", NULL};
	const char *near = str_nearest(name, names);

	if (str_eq(name, "env") || str_eq(name, "cred"))
		return fail(p, at,
			"${%s:...} is not for a key or a path; known are " NAMES, name);
	if (str_eq(name, "run_id"))
		near = "run";
	if (str_eq(name, "name"))
		near = "job";
	if (near)
		return fail(p, at, "${%s} is unknown; did you mean ${%s}?", name, near);
	return fail(p, at, "${%s} is unknown; known are " NAMES, name);
}

/* p->at stands behind the "${", end at its '}'. */
static int parse_name(struct parser *p, size_t end)
{
	static const struct {
		const char *name;
		enum part_kind kind;
	} plain[] = {{"job", PART_JOB}, {"run", PART_RUN}, {"host", PART_HOST}};
	size_t from = p->at, len = strcspn(p->text + from, ".:+-}");
	char name[24];

	snprintf(name, sizeof(name), "%.*s", (int)(len < 23 ? len : 23), p->text + from);
	p->at += len;
	if (str_eq(name, "date"))
		return parse_date(p, end);
	if (str_eq(name, "match"))
		return parse_match(p, end);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (!str_eq(name, plain[i].name))
			continue;
		if (p->at < end)
			return fail(p, p->at, "nothing is to stand behind ${%s", name);
		add(p->t, plain[i].kind);
		return 0;
	}
	return unknown(p, from, name);
}

static int parse_dollar(struct parser *p)
{
	size_t at = p->at, end;
	int r;

	if (p->text[at + 1] == '$') {
		add_text(p->t, "$", 1);
		p->at += 2;
		return 0;
	}
	if (p->text[at + 1] != '{')
		return fail(p, at, "a '$' that stands for itself is written $$");
	end = at + strcspn(p->text + at, "}");
	if (!p->text[end])
		return fail(p, at, "a '${' without its '}'");
	p->at = at + 2;
	r = parse_name(p, end);
	p->at = end + 1;
	return r;
}

int template_compile(const char *text, unsigned max_match, struct template **ret,
	struct template_error *e)
{
	struct parser p = {text, 0, max_match, mem_alloc(sizeof(*p.t)), e};
	int r = 0;

	p.t->text = mem_strdup(text);
	while (r == 0 && text[p.at]) {
		size_t len = strcspn(text + p.at, "$");

		add_text(p.t, text + p.at, len);
		p.at += len;
		if (text[p.at])
			r = parse_dollar(&p);
	}
	if (r < 0)
		template_free(p.t);
	else
		*ret = p.t;
	return r;
}

void *template_free(struct template *t)
{
	if (t) {
		for (size_t i = 0; i < t->count; i++)
			free(t->parts[i].text);
		free(t->parts);
		free(t->text);
		free(t);
	}
	return NULL;
}

const char *template_text(const struct template *t)
{
	return t->text;
}

bool template_is_constant(const struct template *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->parts[i].kind != PART_TEXT)
			return false;
	return true;
}

bool template_has_date(const struct template *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->parts[i].kind == PART_DATE)
			return true;
	return false;
}

unsigned template_matches(const struct template *t)
{
	unsigned most = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->parts[i].match > most)
			most = t->parts[i].match;
	return most;
}

static int put_part(
	struct buf *out, const struct part *p, const struct template_values *v)
{
	switch (p->kind) {
	case PART_TEXT:
		return buf_puts(out, p->text);
	case PART_DATE:
		return template_put_date(v->zone, v->slot_s, &p->offset, p->text, out);
	case PART_JOB:
		return buf_puts(out, v->job);
	case PART_RUN:
		return buf_puts(out, v->run);
	case PART_HOST:
		return buf_puts(out, v->host);
	case PART_MATCH:
		break;
	}
	if (p->match > v->match_count)
		return 0;
	return buf_append(
		out, v->matches[p->match - 1].text, v->matches[p->match - 1].len);
}

int template_expand(
	const struct template *t, const struct template_values *v, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->count; i++)
		r = put_part(out, &t->parts[i], v);
	return r;
}
