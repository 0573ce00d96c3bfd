/*
 * The files below a folder as a lister: a thread of the pool walks (file_tree.h), some
 * hundred entries ahead. No retries: what fails, fails the listing.
 */
#pragma once

#include "engine/lister.h"

struct pool;

/*
 * folder: the key of a folder below root, with its '/', or ""; keys come without it. One
 * that is missing has no files, but root has to be there. Both are copied. The pool
 * outlives the lister; a job for one that was freed may go on.
 */
struct lister *lister_file_new(struct pool *pool, const char *root, const char *folder);
