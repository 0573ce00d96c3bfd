/*
 * The files below a folder as a lister: a thread of the pool walks (file_tree.h), some
 * hundred entries ahead. No retries: what fails, fails the listing.
 */
#pragma once

#include "engine/lister.h"

struct pool;

/* root is copied. The pool outlives the lister; a job for one that was freed may go on.
 */
struct lister *lister_file_new(struct pool *pool, const char *root);
