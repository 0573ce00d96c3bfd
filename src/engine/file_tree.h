/*
 * The files below a root, one after the other, in the byte order of the keys that their
 * paths are (file_name.h): a folder "a" comes where "a/" does, behind "a-b" and before
 * "a0". No symbolic link is followed. Memory: some MiB of names for each folder on the way
 * to where it is, whatever the tree holds: a folder of more names is read several times.
 * May block: for threads of a pool. What cannot be seen whole is an error, never less; but
 * a folder that may not be read is an entry that is unfit.
 */
#pragma once

#include <stddef.h>

#include "engine/file.h"

struct file_tree;

/* Texts are valid until the next call. */
struct file_tree_entry {
	const char *key;
	const struct file_stat *stat;
	const char *unfit; /* NULL, or why it is no object: "a symbolic link" */
};

/* folder: below root, a path; "" the root itself. One that is missing is empty. */
struct file_tree *file_tree_new(const char *root, const char *folder);
void *file_tree_free(struct file_tree *t);
/* Before the first entry: how many bytes of one folder's names are kept. */
void file_tree_lend(struct file_tree *t, size_t bytes);
/* 1: an entry; 0: there are no more; -1 with *err: final. */
int file_tree_next(struct file_tree *t, struct file_tree_entry *ret, struct err *err);
