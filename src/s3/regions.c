/* A small table of buckets and regions. Which answers tell one: aws/redirect. */
#include "config.h"

#include "s3/regions.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PLACES 256

struct place {
	char *name; /* "aws/bucket"; NULL: free */
	char region[64];
};

struct s3_regions {
	struct place places[PLACES];
	size_t next; /* to be overwritten */
};

struct s3_regions *s3_regions_new(void)
{
	return mem_alloc(sizeof(struct s3_regions));
}

void *s3_regions_free(struct s3_regions *r)
{
	for (size_t i = 0; r && i < PLACES; i++)
		free(r->places[i].name);
	free(r);
	return NULL;
}

static bool is_same(const char *name, const char *partition, const char *bucket)
{
	size_t n = strlen(partition);

	return strncmp(name, partition, n) == 0 && name[n] == '/' &&
	       strcmp(name + n + 1, bucket) == 0;
}

const char *s3_regions_find(
	const struct s3_regions *r, const char *partition, const char *bucket)
{
	for (size_t i = 0; i < PLACES && r->places[i].name; i++) {
		if (is_same(r->places[i].name, partition, bucket))
			return r->places[i].region;
	}
	return NULL;
}

void s3_regions_learn(struct s3_regions *r, const char *partition, const char *bucket,
	const char *region)
{
	struct place *p = r->places;

	while (p < r->places + PLACES && p->name && !is_same(p->name, partition, bucket))
		p++;
	if (p == r->places + PLACES) {
		p = &r->places[r->next];
		r->next = (r->next + 1) % PLACES;
	}
	free(p->name);
	p->name = mem_printf("%s/%s", partition, bucket);
	snprintf(p->region, sizeof(p->region), "%s", region);
}
