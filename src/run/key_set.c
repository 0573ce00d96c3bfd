/* A hash table of digests. What the keys are of is not known here. */
#include "config.h"

#include "run/key_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"

#define SIZE_MIN 1024 /* a power of two, as all sizes are */

static uint64_t digest(const char *key)
{
	uint8_t sha[CRYPTO_SHA256_LEN];
	uint64_t ret;

	crypto_sha256(key, strlen(key), sha);
	memcpy(&ret, sha, sizeof(ret));
	return ret ? ret : 1;
}

static bool put(struct key_set *set, uint64_t value)
{
	size_t at = value & (set->size - 1);

	while (set->slots[at] && set->slots[at] != value)
		at = (at + 1) & (set->size - 1);
	if (set->slots[at])
		return false;
	set->slots[at] = value;
	set->count++;
	return true;
}

static void grow(struct key_set *set)
{
	struct key_set old = *set;

	set->size = old.size ? 2 * old.size : SIZE_MIN;
	set->slots = mem_array(set->size, sizeof(*set->slots));
	set->count = 0;
	for (size_t i = 0; i < old.size; i++)
		if (old.slots[i])
			put(set, old.slots[i]);
	free(old.slots);
}

bool key_set_add(struct key_set *set, const char *key)
{
	if (2 * set->count >= set->size)
		grow(set);
	return put(set, digest(key));
}

void key_set_done(struct key_set *set)
{
	free(set->slots);
	*set = (struct key_set){0};
}
