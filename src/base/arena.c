/* Blocks that double up to a limit. Not for what is freed piece by piece. */
#include "config.h"

#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK_MIN ((size_t)16 * 1024)
#define BLOCK_MAX ((size_t)1024 * 1024)

struct arena_block {
	struct arena_block *older;
	size_t size; /* of data */
	alignas(max_align_t) char data[];
};

static void add_block(struct arena *a, size_t least)
{
	size_t size = a->block ? a->block->size * 2 : BLOCK_MIN;
	struct arena_block *b;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < least)
		size = least;
	b = mem_alloc(sizeof(*b) + size);
	b->older = a->block;
	b->size = size;
	a->block = b;
	a->used = 0;
}

static void *take(struct arena *a, size_t size, size_t alignment)
{
	size_t at = (a->used + alignment - 1) / alignment * alignment;

	if (!a->block || at > a->block->size || size > a->block->size - at) {
		add_block(a, size);
		at = 0;
	}
	a->used = at + size;
	return a->block->data + at;
}

void *arena_alloc(struct arena *a, size_t size)
{
	return take(a, size, alignof(max_align_t));
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = take(a, len + 1, 1);

	memcpy(p, s, len);
	return p;
}

void arena_done(struct arena *a)
{
	while (a->block) {
		struct arena_block *b = a->block;

		a->block = b->older;
		free(b);
	}
	a->used = 0;
}
