/*
 * Keys that were seen, as 64 bits of a digest of each: 16 to 32 bytes a key. Two keys
 * that agree in these are taken for one, about once in ten million runs of a million.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: empty. */
struct key_set {
	uint64_t *slots; /* open addressing; 0: free */
	size_t size, count;
};

/* False: it was there. */
bool key_set_add(struct key_set *set, const char *key);
/* Empty again. */
void key_set_done(struct key_set *set);
