/*
 * Keys as paths below a root, and back. Each key has one path, and no two keys share one.
 * A '/' parts names as in a path. What no path can carry is written %XX (upper-case hex):
 * control characters; a '/' at the start or end of a key, or behind another one; the
 * first
 * '.' of a name that is "." or "..". A '%' is written %25 where it would be read as one
 * of these. All other bytes stay as they are: a name is bytes, in whatever encoding.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf;

#define FILE_NAME_LEN 255 /* bytes of one name, as Linux file systems have it */

/*
 * The path, relative, without empty, "." or ".." names. -EINVAL: an empty key;
 * -ENAMETOOLONG: one of its names is longer than a file's may be.
 */
int file_name_from_key(struct buf *out, const char *key);
/*
 * The key whose path this is; -EINVAL when there is none: a name with control characters,
 * for instance, is the path of no key.
 */
int file_name_to_key(struct buf *out, const char *path);
/* One name of a path, as the keys below or at it have it. Of a file, or of a folder. */
int file_name_to_key_part(struct buf *out, const char *name, bool is_folder);

/* Where a file waits for its bytes to be whole; no key's file is called so. */
int file_name_temporary(struct buf *out, const char *name);
bool file_name_is_temporary(const char *name);
