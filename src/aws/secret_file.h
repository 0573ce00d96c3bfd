/*
 * Small local files that may hold secrets: keys, tokens. Read in one block, so that no
 * copy of a secret stays behind on the heap.
 */
#pragma once

#include <stddef.h>

/*
 * NUL-terminated content, to be released with mem_wipe_free(); *ret_len (may be NULL)
 * counts its bytes. NULL with *ret_why (a phrase, valid until the next call of
 * strerror()) set, errno ENOENT where there is no such file. Only regular files up to max
 * bytes: nothing here can block on a FIFO.
 */
char *secret_file_read(
	const char *path, size_t max, size_t *ret_len, const char **ret_why);
