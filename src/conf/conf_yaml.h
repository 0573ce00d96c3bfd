/*
 * A YAML file as a tree of marked nodes: libyaml's events, bounded in size, depth and
 * count; anchors, aliases, tags, merge keys and duplicate keys are errors. No types here:
 * every scalar is text, so "no" stays "no". The only file that includes yaml.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct conf_messages;

enum node_kind {
	NODE_SCALAR,
	NODE_MAP,
	NODE_LIST,
};

struct node {
	enum node_kind kind;
	int line, col; /* from 1 */
	int width;     /* columns it takes in its line, quotes too; >= 1 */
	bool is_plain; /* not quoted */
	bool is_exact; /* the file has the text as it is: no escapes, no folding */
	uint32_t count;
	char *text;          /* of a scalar */
	struct node **keys;  /* of a map; scalars */
	struct node **items; /* values of a map, or elements of a list */
};

/* A file that is read: kept for the source lines in messages. */
struct source {
	char *path;
	char *text;
	size_t len;
};

/*
 * Fills messages; NULL when there is no tree at all. An empty file gives an empty map.
 * The tree lies in the arena.
 */
struct node *yaml_parse(
	const struct source *src, struct arena *arena, struct conf_messages *messages);
/* Value of a key of a map, or NULL. */
const struct node *node_get(const struct node *map, const char *key);
const struct node *node_key(const struct node *map, const char *key);

/* One more message; where NULL: the file as a whole. key_path, hint may be NULL. */
struct conf_place {
	const struct source *src;
	const struct node *node;
	int shift; /* columns from the start of the node */
	const char *key_path;
};
void conf_complain(struct conf_messages *m, const struct conf_place *at, const char *hint,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_warn(struct conf_messages *m, const struct conf_place *at, const char *hint,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
