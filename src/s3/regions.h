/*
 * Which region each bucket is in, as answers told. Names of buckets are unique within a
 * partition of AWS; endpoints of others are never asked. One thread; the owner outlives
 * the calls that were given it.
 */
#pragma once

struct s3_regions;

struct s3_regions *s3_regions_new(void);
void *s3_regions_free(struct s3_regions *r);

/* partition: that of the request. NULL: not known. Valid until the next learn. */
const char *s3_regions_find(
	const struct s3_regions *r, const char *partition, const char *bucket);
/* Beyond 256 buckets the oldest is forgotten. */
void s3_regions_learn(struct s3_regions *r, const char *partition, const char *bucket,
	const char *region);
