/* Shared by the files of base/ that make patterns into automata. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/glob.h"

/*
 * A pattern is a row of states; each but the last leads to the one behind it. That of two
 * stars and a '/' takes two: between folders, and inside the name of one.
 */
enum glob_kind {
	GLOB_BYTE,
	GLOB_SET,  /* one byte of a set */
	GLOB_STAR, /* stays for all but '/'; may be left for nothing */
	GLOB_ANY,  /* stays for all; may be left for nothing */
	GLOB_OUT,  /* before a folder's name; may be left for nothing, over the next */
	GLOB_IN,   /* inside a folder's name */
	GLOB_ACCEPT,
};

struct glob_state {
	uint8_t kind;
	uint8_t byte;
	uint32_t set; /* which of the pattern's sets */
};

struct glob_bytes {
	uint32_t bits[8];
};
static inline bool glob_has_byte(const struct glob_bytes *b, uint8_t c)
{
	return b->bits[c / 32] >> (c % 32) & 1;
}

struct glob {
	char *text;
	struct glob_state *states; /* of all alternatives, each ends in GLOB_ACCEPT */
	size_t state_count, state_cap;
	struct glob_bytes *sets;
	size_t set_count;
	size_t starts[GLOB_ALTERNATIVES];
	size_t start_count;
};

/* Sets of states, as bits. */
static inline bool glob_has(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

/* Add state i and those that it may be left to for nothing. */
void glob_enter(const struct glob_state *states, size_t i, uint64_t *bits);
/* From the states of `from` with byte c to those of `to`, which is empty before. */
void glob_step(const struct glob_state *states, const struct glob_bytes *sets,
	size_t count, const uint64_t *from, uint8_t c, uint64_t *to);
/* Whether one of them is GLOB_ACCEPT. */
bool glob_accepts(const struct glob_state *states, size_t count, const uint64_t *bits);
