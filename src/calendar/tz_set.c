/* Zones by name, and what their files looked like when they were read. Not TZif (tz.c).
 */
#include "config.h"

#include "calendar/tz_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "calendar/tz.h"

struct zone {
	char *name, *path; /* path NULL: UTC, which has no file */
	struct tz *tz;
	struct stat seen;
};

struct tz_set {
	char *dir;
	struct zone *zones;
	size_t count;
};

struct tz_set *tz_set_new(const char *dir)
{
	struct tz_set *set = mem_alloc(sizeof(*set));

	set->dir = dir ? mem_strdup(dir) : NULL;
	return set;
}

void *tz_set_free(struct tz_set *set)
{
	if (!set)
		return NULL;
	for (size_t i = 0; i < set->count; i++) {
		tz_free(set->zones[i].tz);
		free(set->zones[i].name);
		free(set->zones[i].path);
	}
	free(set->zones);
	free(set->dir);
	free(set);
	return NULL;
}

/* Looked at before it is read: a change in between is seen the next time. */
static int load(const struct tz_set *set, const char *name, struct zone *ret)
{
	char path[500];
	int r;

	if (strcmp(name, "UTC") == 0)
		return tz_load(name, &ret->tz);
	r = tz_path(set->dir, name, path, sizeof(path));
	if (r < 0)
		return r;
	if (stat(path, &ret->seen) < 0)
		return -ENOENT;
	r = tz_read(path, &ret->tz);
	if (r == 0)
		ret->path = mem_strdup(path);
	return r;
}

int tz_set_get(struct tz_set *set, const char *name, struct tz **ret)
{
	struct zone fresh = {0};
	int r;

	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->zones[i].name, name) != 0)
			continue;
		*ret = set->zones[i].tz;
		return 0;
	}
	r = load(set, name, &fresh);
	if (r < 0)
		return r;
	fresh.name = mem_strdup(name);
	set->zones = mem_resize(set->zones, set->count + 1, sizeof(*set->zones));
	set->zones[set->count++] = fresh;
	*ret = fresh.tz;
	return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool is_stale(const struct zone *z)
{
	struct stat st;

	return z->path && stat(z->path, &st) == 0 && !is_same(&st, &z->seen);
}

bool tz_set_is_stale(const struct tz_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (is_stale(&set->zones[i]))
			return true;
	}
	return false;
}

size_t tz_set_reload(struct tz_set *set)
{
	size_t n = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct zone *z = &set->zones[i], fresh = {0};

		if (!is_stale(z) || load(set, z->name, &fresh) < 0)
			continue;
		tz_swap(z->tz, fresh.tz);
		tz_free(fresh.tz);
		free(fresh.path);
		z->seen = fresh.seen;
		n++;
	}
	return n;
}
