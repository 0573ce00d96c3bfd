/*
 * Patterns compiled: braces spelled out, then one row of states an alternative. Also what
 * the wildcards stood for. Many patterns at once are glob_set.c's.
 */
#include "config.h"

#include "base/glob.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob_impl.h"
#include "base/mem.h"

/* A pattern without braces, and where each byte of it stood. */
struct flat {
	char text[GLOB_MAX + 1];
	uint16_t origin[GLOB_MAX + 1];
	size_t len;
};

struct compiler {
	struct glob *g;
	struct glob_error *e;
};

static int fail(struct compiler *c, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(struct compiler *c, size_t at, const char *fmt, ...)
{
	va_list ap;

	c->e->at = at;
	va_start(ap, fmt);
	vsnprintf(c->e->text, sizeof(c->e->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* --- states --- */

static void push(struct glob *g, enum glob_kind kind, uint8_t byte, size_t set)
{
	if (g->state_count == g->state_cap) {
		g->state_cap = g->state_cap ? 2 * g->state_cap : 64;
		g->states = mem_resize(g->states, g->state_cap, sizeof(*g->states));
	}
	g->states[g->state_count++] = (struct glob_state){
		(uint8_t)kind, byte, (uint32_t)set};
}

static void push_set(struct glob *g, const struct glob_bytes *b)
{
	size_t i = 0;

	while (i < g->set_count && memcmp(&g->sets[i], b, sizeof(*b)) != 0)
		i++;
	if (i == g->set_count) {
		g->sets = mem_resize(g->sets, i + 1, sizeof(*b));
		g->sets[g->set_count++] = *b;
	}
	push(g, GLOB_SET, 0, i);
}

static bool is_after_slash(const struct glob *g, size_t start)
{
	const struct glob_state *last;

	if (g->state_count == start)
		return true;
	last = &g->states[g->state_count - 1];
	return last->kind == GLOB_IN || (last->kind == GLOB_BYTE && last->byte == '/');
}

/* Stars at *at; behind them on return. */
static void push_stars(struct glob *g, const struct flat *f, size_t start, size_t *at)
{
	size_t n = strspn(f->text + *at, "*");

	*at += n;
	if (n == 1) {
		push(g, GLOB_STAR, 0, 0);
	} else if (f->text[*at] == '/' && is_after_slash(g, start)) {
		push(g, GLOB_OUT, 0, 0);
		push(g, GLOB_IN, 0, 0);
		++*at;
	} else {
		push(g, GLOB_ANY, 0, 0);
	}
}

static void set_range(struct glob_bytes *b, uint8_t from, uint8_t to)
{
	for (unsigned c = from; c <= to; c++)
		b->bits[c / 32] |= UINT32_C(1) << (c % 32);
}

/* One byte of a class, perhaps behind a backslash; on to the next. */
static uint8_t class_byte(const struct flat *f, size_t *at)
{
	if (f->text[*at] == '\\' && f->text[*at + 1])
		++*at;
	return (uint8_t)f->text[(*at)++];
}

/* "[...]" at *at; behind it on return. */
static int push_class(struct compiler *c, const struct flat *f, size_t *at)
{
	size_t open = *at, i = open + 1, first;
	bool is_negated = f->text[i] == '!' || f->text[i] == '^';
	struct glob_bytes b = {{0}};

	i += is_negated;
	for (first = i; f->text[i] && (f->text[i] != ']' || i == first);) {
		size_t here = i;
		uint8_t from, to;

		if (f->text[i] == '[' && f->text[i + 1] == ':')
			return fail(c, f->origin[i],
				"classes have no names such as "
				"[:alpha:] here; write a-z");
		from = to = class_byte(f, &i);
		if (f->text[i] == '-' && f->text[i + 1] && f->text[i + 1] != ']') {
			i++;
			to = class_byte(f, &i);
		}
		if (to < from)
			return fail(c, f->origin[here], "the range runs backwards");
		set_range(&b, from, to);
	}
	if (!f->text[i])
		return fail(c, f->origin[open],
			"a '[' without its ']'; write \\[ for the character");
	for (size_t k = 0; is_negated && k < 8; k++)
		b.bits[k] = ~b.bits[k];
	b.bits['/' / 32] &= ~(UINT32_C(1) << ('/' % 32));
	push_set(c->g, &b);
	*at = i + 1;
	return 0;
}

static void push_any_byte(struct glob *g)
{
	struct glob_bytes b;

	memset(&b, 0xff, sizeof(b));
	b.bits['/' / 32] &= ~(UINT32_C(1) << ('/' % 32));
	push_set(g, &b);
}

static int compile_flat(struct compiler *c, const struct flat *f)
{
	struct glob *g = c->g;
	size_t start = g->state_count, at = 0;
	int r = 0;

	if (g->start_count == GLOB_ALTERNATIVES)
		return fail(
			c, 0, "its braces make more than %d patterns", GLOB_ALTERNATIVES);
	g->starts[g->start_count++] = start;
	while (r == 0 && at < f->len) {
		char ch = f->text[at];

		if (ch == '*') {
			push_stars(g, f, start, &at);
		} else if (ch == '?') {
			at++;
			push_any_byte(g);
		} else if (ch == '[') {
			r = push_class(c, f, &at);
		} else if (ch == '\\' && !f->text[at + 1]) {
			r = fail(c, f->origin[at], "nothing stands behind the last '\\'");
		} else {
			at += ch == '\\';
			push(g, GLOB_BYTE, (uint8_t)f->text[at++], 0);
		}
	}
	/* "dir/": all below it */
	if (r == 0 && f->len && f->text[f->len - 1] == '/')
		push(g, GLOB_ANY, 0, 0);
	push(g, GLOB_ACCEPT, 0, 0);
	return r;
}

/* --- braces --- */

/* Behind the byte, escape or class at i. */
static size_t skip_one(const struct flat *f, size_t i)
{
	size_t k = i + 1;

	if (f->text[i] == '\\' && f->text[k])
		return k + 1;
	if (f->text[i] != '[')
		return k;
	k += f->text[k] == '!' || f->text[k] == '^';
	k += f->text[k] == ']';
	while (f->text[k] && f->text[k] != ']')
		k += f->text[k] == '\\' && f->text[k + 1] ? 2 : 1;
	return f->text[k] ? k + 1 : i + 1;
}

/* The ',' of this brace, or its '}', from i on; f->len: there is none. */
static size_t branch_end(const struct flat *f, size_t i)
{
	for (int depth = 0; i < f->len; i = skip_one(f, i)) {
		if (depth == 0 && (f->text[i] == ',' || f->text[i] == '}'))
			return i;
		depth += f->text[i] == '{';
		depth -= f->text[i] == '}';
	}
	return f->len;
}

static void append(struct flat *to, const struct flat *from, size_t first, size_t end)
{
	memcpy(to->text + to->len, from->text + first, end - first);
	memcpy(to->origin + to->len, from->origin + first,
		(end - first) * sizeof(*from->origin));
	to->len += end - first;
	to->text[to->len] = '\0';
}

/* The first brace spelled out, the others by those that come of it. */
static int expand(struct compiler *c, const struct flat *f)
{
	size_t open = 0, close, from, end;
	int r = 0;

	while (open < f->len && f->text[open] != '{')
		open = skip_one(f, open);
	if (open == f->len)
		return compile_flat(c, f);
	for (close = open; close < f->len && f->text[close] != '}';)
		close = branch_end(f, close + 1);
	if (close == f->len)
		return fail(c, f->origin[open],
			"a '{' without its '}'; write \\{ for the character");
	for (from = open + 1; r == 0 && from <= close; from = end + 1) {
		struct flat *branch = mem_alloc(sizeof(*branch));

		end = branch_end(f, from);
		append(branch, f, 0, open);
		append(branch, f, from, end);
		append(branch, f, close + 1, f->len);
		r = expand(c, branch);
		free(branch);
	}
	return r;
}

int glob_compile(const char *pattern, struct glob **ret, struct glob_error *e)
{
	struct glob_error ignored;
	struct compiler c = {mem_alloc(sizeof(*c.g)), e ? e : &ignored};
	struct flat *f = mem_alloc(sizeof(*f));
	int r;

	f->len = strlen(pattern);
	c.g->text = mem_strdup(pattern);
	if (f->len > GLOB_MAX) {
		r = fail(&c, GLOB_MAX, "longer than %d bytes", GLOB_MAX);
	} else if (!f->len) {
		r = fail(&c, 0, "empty; ** is all keys");
	} else {
		memcpy(f->text, pattern, f->len + 1);
		for (size_t i = 0; i < f->len; i++)
			f->origin[i] = (uint16_t)i;
		r = expand(&c, f);
	}
	free(f);
	if (r < 0)
		glob_free(c.g);
	else
		*ret = c.g;
	return r;
}

void *glob_free(struct glob *g)
{
	if (g) {
		free(g->text);
		free(g->states);
		free(g->sets);
		free(g);
	}
	return NULL;
}

const char *glob_text(const struct glob *g)
{
	return g->text;
}

/* --- what is fixed of it --- */

size_t glob_prefix(const struct glob *g, char out[GLOB_MAX])
{
	size_t len = SIZE_MAX;

	for (size_t k = 0; k < g->start_count; k++) {
		const struct glob_state *s = g->states + g->starts[k];
		size_t n = 0;

		for (; n < len && s[n].kind == GLOB_BYTE; n++) {
			if (k == 0)
				out[n] = (char)s[n].byte;
			else if (out[n] != (char)s[n].byte)
				break;
		}
		len = n;
	}
	return len;
}

bool glob_is_literal(const struct glob *g)
{
	char ignored[GLOB_MAX];

	return g->start_count == 1 && glob_prefix(g, ignored) + 1 == g->state_count;
}

/* --- what wildcards stood for --- */

/* rows[i * width + j]: state i can take the rest of the key from j on. */
struct table {
	const struct glob *g;
	const struct glob_state *s;
	const char *key;
	size_t len, count;
	uint8_t *bits;
};

static bool can(const struct table *t, size_t i, size_t j)
{
	size_t n = i * (t->len + 1) + j;

	return t->bits[n / 8] >> (n % 8) & 1;
}

/* Where state i goes with the byte at j; SIZE_MAX: nowhere. */
static size_t after_byte(const struct table *t, size_t i, size_t j)
{
	const struct glob_state *s = &t->s[i];
	uint8_t c = (uint8_t)t->key[j];

	switch ((enum glob_kind)s->kind) {
	case GLOB_BYTE:
		return c == s->byte ? i + 1 : SIZE_MAX;
	case GLOB_SET:
		return glob_has_byte(&t->g->sets[s->set], c) ? i + 1 : SIZE_MAX;
	case GLOB_STAR:
		return c != '/' ? i : SIZE_MAX;
	case GLOB_ANY:
		return i;
	case GLOB_OUT:
		return c == '/' ? i : i + 1;
	case GLOB_IN:
		return c == '/' ? i - 1 : i;
	case GLOB_ACCEPT:
		break;
	}
	return SIZE_MAX;
}

/* Where it goes for nothing; SIZE_MAX: nowhere. */
static size_t for_nothing(const struct glob_state *s, size_t i)
{
	if (s->kind == GLOB_STAR || s->kind == GLOB_ANY)
		return i + 1;
	return s->kind == GLOB_OUT ? i + 2 : SIZE_MAX;
}

static void fill_at(struct table *t, size_t j)
{
	for (size_t i = t->count; i-- > 0;) {
		size_t next = j < t->len ? after_byte(t, i, j) : SIZE_MAX;
		size_t left = for_nothing(&t->s[i], i), n = i * (t->len + 1) + j;
		bool is_good = t->s[i].kind == GLOB_ACCEPT && j == t->len;

		is_good |= next != SIZE_MAX && can(t, next, j + 1);
		is_good |= left != SIZE_MAX && can(t, left, j);
		t->bits[n / 8] |= (uint8_t)(is_good << (n % 8));
	}
}

/* Along the way that takes as many bytes as can be. */
static size_t walk(const struct table *t, struct glob_span spans[GLOB_SPANS])
{
	size_t i = 0, j = 0, count = 0;

	while (t->s[i].kind != GLOB_ACCEPT) {
		bool is_wild = t->s[i].kind != GLOB_BYTE;
		size_t first = i, from = j;

		do {
			size_t next = j < t->len ? after_byte(t, i, j) : SIZE_MAX;

			if (next != SIZE_MAX && can(t, next, j + 1)) {
				i = next;
				j++;
			} else {
				i = for_nothing(&t->s[i], i);
			}
		} while (i == first || (t->s[first].kind == GLOB_OUT && i == first + 1));
		if (is_wild && count < GLOB_SPANS)
			spans[count++] = (struct glob_span){from, j - from};
	}
	return count;
}

static bool capture(const struct glob *g, size_t which, const char *key, size_t len,
	struct glob_span spans[GLOB_SPANS], size_t *ret)
{
	size_t end = which + 1 < g->start_count ? g->starts[which + 1] : g->state_count;
	struct table t = {
		g, g->states + g->starts[which], key, len, end - g->starts[which], NULL};
	bool is_match;

	t.bits = mem_alloc(t.count * (len + 1) / 8 + 1);
	for (size_t j = len + 1; j-- > 0;)
		fill_at(&t, j);
	is_match = can(&t, 0, 0);
	if (is_match)
		*ret = walk(&t, spans);
	free(t.bits);
	return is_match;
}

size_t glob_capture(const struct glob *g, const char *key, size_t len,
	struct glob_span spans[GLOB_SPANS])
{
	size_t count = 0;

	for (size_t i = 0; i < g->start_count; i++)
		if (capture(g, i, key, len, spans, &count))
			break;
	return count;
}
