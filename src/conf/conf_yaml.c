/* libyaml events to a bounded tree. Never the document API: it is quadratic. */
#include "config.h"

#include "conf/conf_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf_load.h"

#define DEPTH_MAX 32
#define NODES_MAX 100000

struct builder {
	const struct source *src;
	struct conf_messages *messages;
	struct node *root;
	struct node *stack[DEPTH_MAX];
	struct node *pending_key[DEPTH_MAX]; /* of the map at that depth */
	int depth;
	size_t nodes;
	bool is_broken;
};

static void complain(struct builder *b, const yaml_mark_t *mark, const char *hint,
	const char *text)
{
	struct node at = {.line = (int)mark->line + 1, .col = (int)mark->column + 1};

	conf_complain(b->messages, &(struct conf_place){b->src, &at, 0, NULL}, hint, "%s", text);
	b->is_broken = true;
}

static struct node *new_node(struct builder *b, enum node_kind kind, const yaml_mark_t *mark)
{
	struct node *n = mem_alloc(sizeof(*n));

	n->kind = kind;
	n->line = (int)mark->line + 1;
	n->col = (int)mark->column + 1;
	b->nodes++;
	return n;
}

static void append(struct node *parent, struct node *key, struct node *value)
{
	size_t n = parent->count;

	/* Room doubles at powers of two. */
	if ((n & (n - 1)) == 0) {
		size_t cap = n ? n * 2 : 1;

		parent->items = mem_resize(parent->items, cap, sizeof(*parent->items));
		if (parent->kind == NODE_MAP)
			parent->keys = mem_resize(parent->keys, cap, sizeof(*parent->keys));
	}
	parent->items[n] = value;
	if (parent->kind == NODE_MAP)
		parent->keys[n] = key;
	parent->count++;
}

static void check_key(struct builder *b, const struct node *map, const struct node *key)
{
	const struct node *first = node_key(map, key->text);
	struct conf_place at = {b->src, key, 0, NULL};

	if (strcmp(key->text, "<<") == 0)
		conf_complain(b->messages, &at, "defaults: holds what jobs share",
			"merge keys are not accepted");
	else if (first)
		conf_complain(b->messages, &at, NULL, "the key '%.60s' stands already in line %d",
			key->text, first->line);
}

/* Puts a finished value where it belongs. */
static void attach(struct builder *b, struct node *n)
{
	struct node *top = b->depth ? b->stack[b->depth - 1] : NULL;
	struct node **key = b->depth ? &b->pending_key[b->depth - 1] : NULL;

	if (!top) {
		b->root = n;
	} else if (top->kind == NODE_LIST) {
		append(top, NULL, n);
	} else if (*key) {
		append(top, *key, n);
		*key = NULL;
	} else if (n->kind == NODE_SCALAR) {
		check_key(b, top, n);
		*key = n;
	} else {
		conf_complain(b->messages, &(struct conf_place){b->src, n, 0, NULL}, NULL,
			"a key must be plain text");
		b->is_broken = true;
		node_free(n);
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

static void on_scalar(struct builder *b, const yaml_event_t *ev)
{
	struct node *n = new_node(b, NODE_SCALAR, &ev->start_mark);
	const char *text = (const char *)ev->data.scalar.value;

	n->text = mem_strndup(text, ev->data.scalar.length);
	n->is_plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (strlen(n->text) != ev->data.scalar.length)
		complain(b, &ev->start_mark, NULL, "a NUL byte");
	attach(b, n);
}

static void on_event(struct builder *b, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		refuse_extras(b, ev->data.scalar.anchor, ev->data.scalar.tag, &ev->start_mark);
		on_scalar(b, ev);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse_extras(b, ev->data.sequence_start.anchor, ev->data.sequence_start.tag,
			&ev->start_mark);
		open_node(b, NODE_LIST, &ev->start_mark);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_extras(b, ev->data.mapping_start.anchor, ev->data.mapping_start.tag,
			&ev->start_mark);
		open_node(b, NODE_MAP, &ev->start_mark);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		break;
	case YAML_ALIAS_EVENT:
		complain(b, &ev->start_mark, "a value that begins with * must be quoted",
			"anchors and aliases are not accepted");
		break;
	case YAML_DOCUMENT_START_EVENT:
		if (b->root)
			complain(b, &ev->start_mark, NULL, "a second document in one file");
		break;
	default:
		break;
	}
	if (b->nodes > NODES_MAX)
		complain(b, &ev->start_mark, NULL, "more than 100,000 values");
}

/* libyaml's own words are for parser writers; these are for people. */
static void on_syntax_error(struct builder *b, const yaml_parser_t *p)
{
	struct node at = {
		.line = (int)p->problem_mark.line + 1, .col = (int)p->problem_mark.column + 1};
	struct conf_place place = {b->src, &at, 0, NULL};
	const char *line = b->src->text, *problem = p->problem ? p->problem : "";
	char bad;

	b->is_broken = true;
	if (p->error == YAML_READER_ERROR) {
		conf_complain(b->messages, &(struct conf_place){b->src, NULL, 0, NULL}, NULL,
			"byte %zu: not UTF-8 text: %s", p->problem_offset, problem);
		return;
	}
	for (int i = 1; line && i < at.line; i++) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (p->context && strstr(p->context, "alias")) {
		if (at.col > 1)
			at.col--; /* the star itself */
		conf_complain(b->messages, &place,
			"quote it: schedule: \"*/15 * * * *\" (or every: 15m)",
			"a value that begins with * must be quoted");
		return;
	}
	bad = line && strlen(line) >= (size_t)at.col ? line[at.col - 1] : '\0';
	if (strstr(problem, "cannot start any token"))
		conf_complain(b->messages, &place,
			bad == '\t' ? "indent with blanks" : "quote the whole value",
			bad == '\t' ? "a tab cannot indent YAML"
				    : "a value cannot begin with '%c' unless it is quoted",
			bad);
	else
		conf_complain(b->messages, &place, p->context, "%s", problem);
}

struct node *yaml_parse(const struct source *src, struct conf_messages *messages)
{
	struct builder b = {.src = src, .messages = messages};
	yaml_parser_t parser;
	bool is_end = false;

	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_input_string(&parser, (const unsigned char *)src->text, src->len);
	while (!is_end && !b.is_broken) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&parser, &ev)) {
			on_syntax_error(&b, &parser);
			break;
		}
		on_event(&b, &ev);
		is_end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&parser);
	for (int i = 0; b.is_broken && i < b.depth; i++)
		node_free(b.pending_key[i]);
	if (b.is_broken)
		return node_free(b.root);
	if (!b.root || (b.root->kind == NODE_SCALAR && !*b.root->text)) {
		node_free(b.root);
		b.root = mem_alloc(sizeof(*b.root));
		*b.root = (struct node){.kind = NODE_MAP, .line = 1, .col = 1};
	}
	return b.root;
}

void *node_free(struct node *n)
{
	if (!n)
		return NULL;
	for (size_t i = 0; i < n->count; i++) {
		if (n->kind == NODE_MAP)
			node_free(n->keys[i]);
		node_free(n->items[i]);
	}
	free(n->keys);
	free(n->items);
	free(n->text);
	free(n);
	return NULL;
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
