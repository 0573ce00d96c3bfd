/*
 * Time zones from TZif files (RFC 9636), as constant-offset intervals of UTC. Immutable
 * once loaded; no global zone, no local-to-UTC conversion. Pure but for reading the file.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tz;

struct tz_interval {
	int64_t start_s, end_s; /* [start, end): INT64_MIN and INT64_MAX at the edges */
	int offset_s;           /* local time minus UTC inside it */
	char abbreviation[16];
};

/*
 * name: "UTC", "local" (/etc/localtime), or an IANA name. 0, -EINVAL for a bad name,
 * -ENOENT when there is no such zone, -EBADMSG for a file that is no good TZif.
 */
int tz_load(const char *name, struct tz **ret);
/* The same from memory, for tests and fuzzing. */
int tz_parse(const void *data, size_t len, struct tz **ret);
void *tz_free(struct tz *tz);

/* The path of a zone's file; dir NULL: the system's. -EINVAL for a bad name. */
int tz_path(const char *dir, const char *name, char *out, size_t size);
int tz_read(const char *path, struct tz **ret);
/* What the two know is exchanged; the objects stay where they are. */
void tz_swap(struct tz *a, struct tz *b);
/* "2025b", or "" where the system does not tell. Returns out. */
char *tz_version(char *out, size_t size);

void tz_interval_at(const struct tz *tz, int64_t at_s, struct tz_interval *ret);
