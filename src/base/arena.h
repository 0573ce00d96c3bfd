/*
 * Many small pieces that live and go together: one after another in a few large blocks,
 * never freed singly. Aborts when memory is out, as base/mem does: who fills it from a
 * file or a peer bounds that.
 */
#pragma once

#include <stddef.h>

struct arena {
	struct arena_block *block; /* the newest; NULL: empty */
	size_t used;               /* of it */
};

/* Zeroed, aligned for anything; lives until arena_done(). */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t len); /* packed */
void arena_done(struct arena *a); /* to empty again; fine with {0} */
