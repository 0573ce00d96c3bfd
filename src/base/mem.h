/*
 * Allocation that cannot fail, and cleanup attributes. Small requests abort with one
 * line when memory is out: systemd restarts the daemon and the store makes that safe.
 * Whatever a peer or a configuration can make large goes through base/buf instead.
 */
#pragma once

#include <stddef.h>

void *mem_alloc(size_t size); /* zeroed; free() releases it */
void *mem_array(size_t count, size_t size);
void *mem_resize(void *p, size_t count, size_t size); /* new bytes are not zeroed */
/* Room for one more behind `count` items: doubles. For arrays that grow no other way. */
void *mem_grow(void *p, size_t count, size_t size);
char *mem_strdup(const char *s);                      /* NULL stays NULL */
char *mem_strndup(const char *s, size_t len);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Overwrite in a way that no compiler removes; NULL is fine. */
void mem_wipe(void *p, size_t len);
/* Wipe, then free a NUL-terminated secret. Always returns NULL. */
void *mem_wipe_free(char *secret);

/*
 * Zeroed pages of their own for secrets: left out of core dumps, wiped when freed. A whole
 * page each: not for many. free is NULL-safe and returns NULL.
 */
void *mem_secret_alloc(size_t size);
char *mem_secret_strdup(const char *s);
void *mem_secret_free(void *p);

/* *field := a copy of value (or NULL); the old value is freed. */
void mem_replace(char **field, const char *value);

void mem_free_ptr(void *pp); /* for _cleanup_free_: pp is the variable's address */

#define _cleanup_(fn)     __attribute__((cleanup(fn)))
#define _cleanup_free_    _cleanup_(mem_free_ptr)
#define MEM_STEAL(var)    ({ __typeof__(var) stolen_ = (var); (var) = NULL; stolen_; })
#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
