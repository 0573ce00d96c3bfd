/*
 * Patterns matched: all states at once, byte by byte. A set keeps which states it was in
 * and where each byte led (an automaton made as it is used), so that a byte of a key
 * mostly costs one look-up, whatever and how many its patterns are. What it keeps is
 * bounded; when it is full it starts over.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/glob_impl.h"
#include "base/mem.h"

#define NODES_MAX 1024
#define HASH_SIZE 4096 /* a power of two, well above NODES_MAX */
#define UNKNOWN   (-1)
#define FEW_WORDS 8 /* of states: a pattern that needs no memory of its own */

/* --- states --- */

void glob_enter(const struct glob_state *states, size_t i, uint64_t *bits)
{
	while (!glob_has(bits, i)) {
		bits[i / 64] |= UINT64_C(1) << (i % 64);
		if (states[i].kind == GLOB_STAR || states[i].kind == GLOB_ANY)
			i += 1;
		else if (states[i].kind == GLOB_OUT)
			i += 2;
	}
}

static void step_one(const struct glob_state *states, const struct glob_bytes *sets,
	size_t i, uint8_t c, uint64_t *to)
{
	const struct glob_state *s = &states[i];

	switch ((enum glob_kind)s->kind) {
	case GLOB_BYTE:
		if (c == s->byte)
			glob_enter(states, i + 1, to);
		break;
	case GLOB_SET:
		if (glob_has_byte(&sets[s->set], c))
			glob_enter(states, i + 1, to);
		break;
	case GLOB_STAR:
		if (c != '/')
			glob_enter(states, i, to);
		break;
	case GLOB_ANY:
		glob_enter(states, i, to);
		break;
	case GLOB_OUT:
		glob_enter(states, c == '/' ? i : i + 1, to);
		break;
	case GLOB_IN:
		glob_enter(states, c == '/' ? i - 1 : i, to);
		break;
	case GLOB_ACCEPT:
		break;
	}
}

void glob_step(const struct glob_state *states, const struct glob_bytes *sets,
	size_t count, const uint64_t *from, uint8_t c, uint64_t *to)
{
	for (size_t w = 0; 64 * w < count; w++)
		for (uint64_t left = from[w]; left; left &= left - 1)
			step_one(states, sets, 64 * w + (size_t)__builtin_ctzll(left), c,
				to);
}

bool glob_accepts(const struct glob_state *states, size_t count, const uint64_t *bits)
{
	for (size_t i = 0; i < count; i++)
		if (states[i].kind == GLOB_ACCEPT && glob_has(bits, i))
			return true;
	return false;
}

bool glob_match(const struct glob *g, const char *key, size_t len)
{
	size_t words = g->state_count / 64 + 1;
	uint64_t few[2 * FEW_WORDS] = {0};
	uint64_t *bits = words > FEW_WORDS ? mem_array(2 * words, sizeof(*bits)) : few;
	uint64_t *now = bits, *next = bits + words;
	bool is_match;

	for (size_t i = 0; i < g->start_count; i++)
		glob_enter(g->states, g->starts[i], now);
	for (size_t i = 0; i < len; i++) {
		uint64_t *swap = now;

		memset(next, 0, words * sizeof(*next));
		glob_step(g->states, g->sets, g->state_count, now, (uint8_t)key[i], next);
		now = next;
		next = swap;
	}
	is_match = glob_accepts(g->states, g->state_count, now);
	if (bits != few)
		free(bits);
	return is_match;
}

/* --- the automaton --- */

struct glob_set {
	struct glob_state *states;
	struct glob_bytes *sets;
	size_t count, words;
	uint64_t *starts;     /* the states before the first byte */
	uint8_t classes[256]; /* bytes that no pattern tells apart */
	size_t class_count;

	/* nodes: sets of states that were met */
	size_t node_count, node_cap;
	int16_t start;  /* that of starts; UNKNOWN */
	uint64_t *bits; /* words each */
	int16_t *next;  /* class_count each; UNKNOWN */
	bool *accepts, *is_dead;
	int16_t hash[HASH_SIZE];
	uint64_t *scratch;
};

/* Bytes in b apart from those that are not. */
static void split_classes(struct glob_set *s, const struct glob_bytes *b)
{
	int renamed[256];
	size_t count = s->class_count;

	memset(renamed, -1, sizeof(renamed));
	for (size_t c = 0; c < 256; c++) {
		bool is_alone = true;

		if (!glob_has_byte(b, (uint8_t)c))
			continue;
		for (size_t d = 0; d < 256 && is_alone; d++)
			is_alone = s->classes[d] != s->classes[c] ||
				   glob_has_byte(b, (uint8_t)d);
		if (is_alone)
			continue; /* the whole class is inside */
		if (renamed[s->classes[c]] < 0)
			renamed[s->classes[c]] = (int)count++;
		s->classes[c] = (uint8_t)renamed[s->classes[c]];
	}
	s->class_count = count;
}

static void find_classes(struct glob_set *s, size_t set_count)
{
	struct glob_bytes b = {{0}};

	s->class_count = 1;
	b.bits['/' / 32] |= UINT32_C(1) << ('/' % 32);
	split_classes(s, &b);
	for (size_t i = 0; i < set_count; i++)
		split_classes(s, &s->sets[i]);
	for (size_t i = 0; i < s->count; i++) {
		if (s->states[i].kind != GLOB_BYTE)
			continue;
		memset(&b, 0, sizeof(b));
		b.bits[s->states[i].byte / 32] |= UINT32_C(1) << (s->states[i].byte % 32);
		split_classes(s, &b);
	}
}

static void forget(struct glob_set *s)
{
	s->node_count = 0;
	s->start = UNKNOWN;
	memset(s->hash, 0xff, sizeof(s->hash));
}

struct glob_set *glob_set_new(const struct glob *const *globs, size_t count)
{
	struct glob_set *s = mem_alloc(sizeof(*s));
	size_t states = 0, sets = 0, at = 0, set_at = 0;

	for (size_t i = 0; i < count; i++) {
		states += globs[i]->state_count;
		sets += globs[i]->set_count;
	}
	s->count = states;
	s->words = states / 64 + 1;
	s->states = mem_array(states + 1, sizeof(*s->states));
	s->sets = mem_array(sets + 1, sizeof(*s->sets));
	s->starts = mem_array(s->words, sizeof(*s->starts));
	s->scratch = mem_array(s->words, sizeof(*s->scratch));
	for (size_t i = 0; i < count; i++) {
		const struct glob *g = globs[i];

		for (size_t k = 0; k < g->state_count; k++) {
			s->states[at + k] = g->states[k];
			s->states[at + k].set += (uint32_t)set_at;
		}
		for (size_t k = 0; k < g->set_count; k++)
			s->sets[set_at + k] = g->sets[k];
		for (size_t k = 0; k < g->start_count; k++)
			glob_enter(s->states, at + g->starts[k], s->starts);
		at += g->state_count;
		set_at += g->set_count;
	}
	find_classes(s, sets);
	forget(s);
	return s;
}

void *glob_set_free(struct glob_set *s)
{
	if (s) {
		free(s->states);
		free(s->sets);
		free(s->starts);
		free(s->scratch);
		free(s->bits);
		free(s->next);
		free(s->accepts);
		free(s->is_dead);
		free(s);
	}
	return NULL;
}

static size_t hash_of(const struct glob_set *s, const uint64_t *bits)
{
	uint64_t h = 0;

	for (size_t i = 0; i < s->words; i++)
		h = (h ^ bits[i]) * UINT64_C(0x9e3779b97f4a7c15) ^ (h >> 29);
	return (size_t)(h ^ (h >> 32)) & (HASH_SIZE - 1);
}

static void grow(struct glob_set *s)
{
	if (s->node_count < s->node_cap)
		return;
	s->node_cap = s->node_cap ? 2 * s->node_cap : 16;
	s->bits = mem_resize(s->bits, s->node_cap * s->words, sizeof(*s->bits));
	s->next = mem_resize(s->next, s->node_cap * s->class_count, sizeof(*s->next));
	s->accepts = mem_resize(s->accepts, s->node_cap, sizeof(*s->accepts));
	s->is_dead = mem_resize(s->is_dead, s->node_cap, sizeof(*s->is_dead));
}

static int16_t add(struct glob_set *s, const uint64_t *bits, size_t slot)
{
	size_t n = s->node_count;

	grow(s);
	s->node_count++;
	s->hash[slot] = (int16_t)n;
	memcpy(s->bits + n * s->words, bits, s->words * sizeof(*bits));
	for (size_t i = 0; i < s->class_count; i++)
		s->next[n * s->class_count + i] = UNKNOWN;
	s->accepts[n] = glob_accepts(s->states, s->count, bits);
	s->is_dead[n] = true;
	for (size_t i = 0; i < s->words; i++)
		s->is_dead[n] &= !bits[i];
	return (int16_t)n;
}

/* The node of this set of states, made when it is new. */
static int16_t find(struct glob_set *s, const uint64_t *bits)
{
	size_t slot = hash_of(s, bits);

	for (; s->hash[slot] != UNKNOWN; slot = (slot + 1) & (HASH_SIZE - 1))
		if (memcmp(s->bits + (size_t)s->hash[slot] * s->words, bits,
			    s->words * sizeof(*bits)) == 0)
			return s->hash[slot];
	return add(s, bits, slot);
}

static int16_t learn(struct glob_set *s, int16_t node, uint8_t c)
{
	int16_t next;

	memset(s->scratch, 0, s->words * sizeof(*s->scratch));
	glob_step(s->states, s->sets, s->count, s->bits + (size_t)node * s->words, c,
		s->scratch);
	if (s->node_count == NODES_MAX) {
		forget(s);
		return find(s, s->scratch);
	}
	next = find(s, s->scratch);
	s->next[(size_t)node * s->class_count + s->classes[c]] = next;
	return next;
}

bool glob_set_match(struct glob_set *s, const char *key, size_t len)
{
	int16_t node;

	if (s->start == UNKNOWN)
		s->start = find(s, s->starts);
	node = s->start;
	for (size_t i = 0; i < len && !s->is_dead[node]; i++) {
		uint8_t c = (uint8_t)key[i];
		int16_t next = s->next[(size_t)node * s->class_count + s->classes[c]];

		node = next != UNKNOWN ? next : learn(s, node, c);
	}
	return s->accepts[node];
}
