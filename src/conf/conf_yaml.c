/* libyaml events to a bounded tree. Never the document API: it is quadratic. */
#include "config.h"

#include "conf/conf_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf_load.h"

#define DEPTH_MAX 32
#define NODES_MAX 100000
#define ROOM_MIN  2
#define FEW_KEYS  8

struct builder {
	const struct source *src;
	struct arena *arena; /* of all nodes */
	struct conf_messages *messages;
	struct node *root;
	struct node *stack[DEPTH_MAX];
	struct node *pending_key[DEPTH_MAX]; /* of the map at that depth */
	int depth;
	size_t nodes;
	/* libyaml counts characters: byte and character that go forward together. */
	size_t cursor_byte, cursor_char;
	bool is_broken;
};

/* "jobs.daily-report.source": the keys of all open maps. NULL at the top. */
static const char *path_of(const struct builder *b, char *out, size_t size)
{
	size_t n = 0;

	*out = '\0';
	for (int i = 0; i < b->depth && n < size; i++) {
		const struct node *map = b->stack[i], *key = b->pending_key[i];

		if (map->kind != NODE_MAP)
			continue;
		if (!key && i + 1 < b->depth && map->count)
			key = map->keys[map->count - 1];
		if (key)
			n += (size_t)snprintf(
				out + n, size - n, "%s%.100s", n ? "." : "", key->text);
	}
	return *out ? out : NULL;
}

/* Reading goes on, to find more. */
static void complain_of(
	struct builder *b, const struct node *at, const char *hint, const char *text)
{
	char path[400];
	struct conf_place place = {b->src, at, 0, path_of(b, path, sizeof(path))};

	conf_complain(b->messages, &place, hint, "%s", text);
}

static void complain_at(
	struct builder *b, const struct node *at, const char *hint, const char *text)
{
	complain_of(b, at, hint, text);
	b->is_broken = true;
}

static void complain(
	struct builder *b, const yaml_mark_t *mark, const char *hint, const char *text)
{
	struct node at = {.line = (int)mark->line + 1, .col = (int)mark->column + 1};

	complain_at(b, &at, hint, text);
}

static struct node *new_node(
	struct builder *b, enum node_kind kind, const yaml_mark_t *mark)
{
	struct node *n = arena_alloc(b->arena, sizeof(*n));

	n->kind = kind;
	n->line = (int)mark->line + 1;
	n->col = (int)mark->column + 1;
	n->width = 1;
	b->nodes++;
	return n;
}

/* Twice the room; the old one stays in the arena. */
static void widen(struct builder *b, struct node ***array, size_t count)
{
	struct node **wide = arena_alloc(
		b->arena, (count ? 2 * count : ROOM_MIN) * sizeof(struct node *));

	if (count)
		memcpy(wide, *array, count * sizeof(struct node *));
	*array = wide;
}

static void append(
	struct builder *b, struct node *parent, struct node *key, struct node *value)
{
	uint32_t n = parent->count;

	/* It is full at powers of two. */
	if (n == 0 || (n >= ROOM_MIN && (n & (n - 1)) == 0)) {
		widen(b, &parent->items, n);
		if (parent->kind == NODE_MAP)
			widen(b, &parent->keys, n);
	}
	parent->items[n] = value;
	if (parent->kind == NODE_MAP)
		parent->keys[n] = key;
	parent->count++;
}

static int by_text(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	int c = strcmp(x->text, y->text);

	if (c == 0)
		c = x->line != y->line ? x->line - y->line : x->col - y->col;
	return c;
}

static void complain_of_double(
	struct builder *b, const struct node *key, const struct node *first)
{
	char text[160];

	snprintf(text, sizeof(text), "the key '%.60s' stands already in line %d",
		key->text, first->line);
	complain_of(b, key, NULL, text);
}

/* Nearly every map: a few keys, none of them twice. */
static bool is_plain_map(const struct node *map)
{
	for (size_t i = 0; i < map->count && map->count <= FEW_KEYS; i++) {
		if (strcmp(map->keys[i]->text, "<<") == 0)
			return false;
		for (size_t k = 0; k < i; k++)
			if (strcmp(map->keys[k]->text, map->keys[i]->text) == 0)
				return false;
	}
	return map->count <= FEW_KEYS;
}

/* Those without a text go, and their values with them. */
static void drop_doubles(struct node *map)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < map->count; i++) {
		if (!map->keys[i]->text)
			continue;
		map->keys[n] = map->keys[i];
		map->items[n++] = map->items[i];
	}
	map->count = n;
}

/*
 * When the map ends, sorted: a search at each key would be quadratic. What stands twice
 * is told here; nobody behind us meets it.
 */
static void check_keys(struct builder *b, struct node *map)
{
	const struct node *first = NULL;
	struct node **keys;

	if (map->kind != NODE_MAP || is_plain_map(map))
		return;
	keys = mem_array(map->count, sizeof(struct node *));
	memcpy(keys, map->keys, map->count * sizeof(struct node *));
	qsort(keys, map->count, sizeof(struct node *), by_text);
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(keys[i]->text, "<<") == 0)
			complain_of(b, keys[i], "defaults: holds what jobs share",
				"merge keys are not accepted");
		if (!first || strcmp(first->text, keys[i]->text) != 0) {
			first = keys[i];
			continue;
		}
		complain_of_double(b, keys[i], first);
		keys[i]->text = NULL;
	}
	free(keys);
	drop_doubles(map);
}

/* Puts a finished value where it belongs. */
static void attach(struct builder *b, struct node *n)
{
	struct node *top = b->depth ? b->stack[b->depth - 1] : NULL;
	struct node **key = b->depth ? &b->pending_key[b->depth - 1] : NULL;

	if (!top) {
		b->root = n;
	} else if (top->kind == NODE_LIST) {
		append(b, top, NULL, n);
	} else if (*key) {
		append(b, top, *key, n);
		*key = NULL;
	} else if (n->kind == NODE_SCALAR) {
		*key = n;
	} else {
		complain_at(b, n, "quote a value that begins with { or [",
			"a key must be plain text");
	}
}

static void refuse_extras(struct builder *b, const yaml_char_t *anchor,
	const yaml_char_t *tag, const yaml_mark_t *mark)
{
	if (anchor)
		complain(b, mark, "defaults: holds what jobs share",
			"anchors and aliases are not accepted");
	if (tag)
		complain(b, mark, "quote the value if it begins with !",
			"tags are not accepted");
}

static void open_node(struct builder *b, enum node_kind kind, const yaml_mark_t *mark)
{
	struct node *n;

	if (b->depth == DEPTH_MAX) {
		complain(b, mark, NULL, "nested deeper than 32 levels");
		return;
	}
	n = new_node(b, kind, mark);
	attach(b, n);
	if (b->is_broken)
		return;
	b->pending_key[b->depth] = NULL;
	b->stack[b->depth++] = n;
}

/* The byte of a character; characters are asked for in rising order. */
static size_t byte_of(struct builder *b, size_t index)
{
	const char *text = b->src->text;

	while (b->cursor_char < index && b->cursor_byte < b->src->len) {
		b->cursor_byte++;
		b->cursor_char++;
		while (((unsigned char)text[b->cursor_byte] & 0xc0) == 0x80)
			b->cursor_byte++;
	}
	return b->cursor_byte;
}

/* "key: a #1.csv" has the value "a": seldom what was meant, where no blank follows. */
static void warn_of_comment(struct builder *b, const struct node *n, size_t end)
{
	const char *text = b->src->text + end, *mark = text + strspn(text, " \t");
	char path[400];

	if (!n->is_plain || !*n->text || mark == text || *mark != '#' ||
		strchr(" \t#\r\n!", mark[1]))
		return;
	conf_warn(b->messages,
		&(struct conf_place){b->src, n, 0, path_of(b, path, sizeof(path))},
		"quote the whole value, or put a blank behind #",
		"what follows ' #' is a comment and was dropped");
}

static void on_scalar(struct builder *b, const yaml_event_t *ev)
{
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	size_t start = byte_of(b, ev->start_mark.index),
	       end = byte_of(b, ev->end_mark.index);
	struct node *n = new_node(b, NODE_SCALAR, &ev->start_mark);
	size_t quote;

	n->text = arena_strndup(b->arena, text, len);
	n->is_plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	quote = n->is_plain ? 0 : 1;
	n->is_exact = end - start == len + 2 * quote &&
		      memcmp(b->src->text + start + quote, text, len) == 0;
	if (ev->end_mark.line == ev->start_mark.line &&
		ev->end_mark.column > ev->start_mark.column)
		n->width = (int)(ev->end_mark.column - ev->start_mark.column);
	if (strlen(n->text) != len)
		complain_at(b, n, NULL, "a NUL byte");
	warn_of_comment(b, n, end);
	attach(b, n);
}

static void on_event(struct builder *b, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		refuse_extras(
			b, ev->data.scalar.anchor, ev->data.scalar.tag, &ev->start_mark);
		on_scalar(b, ev);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse_extras(b, ev->data.sequence_start.anchor,
			ev->data.sequence_start.tag, &ev->start_mark);
		open_node(b, NODE_LIST, &ev->start_mark);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_extras(b, ev->data.mapping_start.anchor,
			ev->data.mapping_start.tag, &ev->start_mark);
		open_node(b, NODE_MAP, &ev->start_mark);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		check_keys(b, b->stack[b->depth - 1]);
		b->depth--;
		break;
	case YAML_ALIAS_EVENT:
		complain(b, &ev->start_mark, "a value that begins with * must be quoted",
			"anchors and aliases are not accepted");
		break;
	case YAML_DOCUMENT_START_EVENT:
		if (b->root)
			complain(b, &ev->start_mark, NULL,
				"a second document in one file");
		break;
	default:
		break;
	}
	if (b->nodes > NODES_MAX)
		complain(b, &ev->start_mark, NULL, "more than 100,000 values");
}

static const char *line_at(const char *text, int line)
{
	for (; text && line > 1; line--) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return text;
}

/* What stands from a column to the end of its line, quoted, if that is one plain value.
 */
static void quoted_hint(const char *line, int col, char *hint, size_t size)
{
	const char *from = line;
	size_t len;

	for (int i = 1; i < col && *from; i++)
		from++;
	len = strcspn(from, "#\r\n");
	while (len && from[len - 1] == ' ')
		len--;
	if (!len || len > 60 || strcspn(from, "\"\\{}[]") < len ||
		strcspn(line, "{[") < len)
		snprintf(hint, size, "quote the whole value");
	else
		snprintf(hint, size, "quote it: \"%.*s\"", (int)len, from);
}

/* The reader gives a byte, not a line. */
static void on_reader_error(struct builder *b, const yaml_parser_t *p)
{
	const char *text = b->src->text;
	size_t end = p->problem_offset < b->src->len ? p->problem_offset : b->src->len;
	struct node at = {.line = 1, .col = 1};
	char why[160];

	for (size_t i = 0; i < end; i++) {
		at.col += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (text[i] == '\n') {
			at.line++;
			at.col = 1;
		}
	}
	snprintf(
		why, sizeof(why), "not UTF-8 text: %.100s", p->problem ? p->problem : "");
	complain_at(b, &at, "save the file as UTF-8", why);
}

static bool has_words(const char *text, const char *words)
{
	return text && strstr(text, words);
}

/* libyaml's own words are for parser writers; these are for people. */
static void on_syntax_error(struct builder *b, const yaml_parser_t *p)
{
	yaml_mark_t mark = p->problem_mark;
	const char *line = line_at(b->src->text, (int)mark.line + 1);
	char hint[160] = "", text[160];
	char bad;

	if (!line)
		line = "";
	if (has_words(p->context, "alias")) {
		if (mark.column)
			mark.column--; /* the star itself */
		quoted_hint(line, (int)mark.column + 1, hint, sizeof(hint));
		complain(b, &mark, hint, "a value that begins with * must be quoted");
		return;
	}
	bad = strlen(line) > mark.column ? line[mark.column] : '\0';
	if (has_words(p->problem, "cannot start any token") && bad == '\t') {
		complain(b, &mark, "indent with blanks", "a tab cannot indent YAML");
	} else if (has_words(p->problem, "cannot start any token")) {
		quoted_hint(line, (int)mark.column + 1, hint, sizeof(hint));
		snprintf(text, sizeof(text),
			"a value cannot begin with '%c' unless it is quoted", bad);
		complain(b, &mark, hint, text);
	} else if (has_words(p->problem, "end of stream") &&
		   has_words(p->context, "quoted scalar")) {
		complain(b, &p->context_mark, NULL,
			"the quote that opens here never closes");
	} else if (has_words(p->context, "flow ") && mark.index > p->context_mark.index &&
		   mark.line > p->context_mark.line) {
		complain(b, &p->context_mark, NULL,
			"the bracket that opens here never closes");
	} else {
		complain(b, &mark, p->context, p->problem ? p->problem : "not YAML");
	}
}

static bool begins_with_mark(const struct source *src)
{
	return str_has_prefix(src->text, "\xef\xbb\xbf") ||
	       str_has_prefix(src->text, "\xfe\xff") ||
	       str_has_prefix(src->text, "\xff\xfe");
}

struct node *yaml_parse(
	const struct source *src, struct arena *arena, struct conf_messages *messages)
{
	struct builder b = {.src = src, .arena = arena, .messages = messages};
	yaml_parser_t parser;
	bool is_end = false;

	if (begins_with_mark(src)) {
		complain(&b, &(yaml_mark_t){0}, "save the file as UTF-8 without a mark",
			"the file begins with a byte order mark");
		return NULL;
	}
	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)src->text, src->len);
	while (!is_end && !b.is_broken) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&parser, &ev)) {
			if (parser.error == YAML_READER_ERROR)
				on_reader_error(&b, &parser);
			else
				on_syntax_error(&b, &parser);
			break;
		}
		on_event(&b, &ev);
		is_end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&parser);
	if (b.is_broken)
		return NULL;
	if (!b.root || (b.root->kind == NODE_SCALAR && !*b.root->text))
		b.root = new_node(&b, NODE_MAP, &(yaml_mark_t){0});
	return b.root;
}

static size_t find(const struct node *map, const char *key)
{
	size_t i = 0;

	while (i < map->count && strcmp(map->keys[i]->text, key) != 0)
		i++;
	return i;
}

const struct node *node_get(const struct node *map, const char *key)
{
	size_t i = map && map->kind == NODE_MAP ? find(map, key) : SIZE_MAX;

	return i != SIZE_MAX && i < map->count ? map->items[i] : NULL;
}

const struct node *node_key(const struct node *map, const char *key)
{
	size_t i = find(map, key);

	return i < map->count ? map->keys[i] : NULL;
}
