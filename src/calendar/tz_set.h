/*
 * The zones of one configuration: each file is read once, and again when it was replaced,
 * as an update of tzdata or timedatectl(1) do. Zones that were given out stay valid and
 * know the new rules. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct tz;
struct tz_set;

/* dir: of the TZif files; NULL: the system's. */
struct tz_set *tz_set_new(const char *dir);
void *tz_set_free(struct tz_set *set);
/* As tz_load(); the set owns the zone. */
int tz_set_get(struct tz_set *set, const char *name, struct tz **ret);

/* Whether a file is another one than when it was read: one stat() a zone. */
bool tz_set_is_stale(const struct tz_set *set);
/*
 * Read those files. What cannot be read keeps its rules, and stays stale. Returns how
 * many zones were read anew.
 */
size_t tz_set_reload(struct tz_set *set);
