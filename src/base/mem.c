/* Allocation that aborts when memory is out. Not for sizes a peer can choose. */
#include "config.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Noreturn void out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory: %zu bytes were refused\n", size);
	abort();
}

void *mem_array(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		out_of_memory(count * size);
	return p;
}

void *mem_alloc(size_t size)
{
	return mem_array(1, size);
}

void *mem_resize(void *p, size_t count, size_t size)
{
	void *q = reallocarray(p, count ? count : 1, size);

	if (!q)
		out_of_memory(count * size);
	return q;
}

void *mem_grow(void *p, size_t count, size_t size)
{
	/* It is full when the count is a power of two. */
	if (count & (count - 1))
		return p;
	return mem_resize(p, count ? 2 * count : 1, size);
}

char *mem_strndup(const char *s, size_t len)
{
	char *p = mem_alloc(len + 1);

	memcpy(p, s, len);
	return p;
}

char *mem_strdup(const char *s)
{
	return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(0);
	return s;
}

void mem_wipe(void *p, size_t len)
{
	if (p)
		explicit_bzero(p, len);
}

void *mem_wipe_free(char *secret)
{
	if (secret)
		mem_wipe(secret, strlen(secret));
	free(secret);
	return NULL;
}

/* --- pages of secrets --- */

/* In front of what is handed out; as wide as any alignment asks for. */
struct secret {
	size_t len; /* of the mapping */
	char unused[64 - sizeof(size_t)];
};

void *mem_secret_alloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (sizeof(struct secret) + size + page - 1) / page * page;
	struct secret *s = mmap(
		NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		out_of_memory(len);
	madvise(s, len, MADV_DONTDUMP); /* an old kernel may not know it */
	s->len = len;
	return s + 1;
}

char *mem_secret_strdup(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(mem_secret_alloc(size), text, size);
}

void *mem_secret_free(void *p)
{
	struct secret *s = p;
	size_t len;

	if (!p)
		return NULL;
	len = (--s)->len;
	mem_wipe(s, len);
	munmap(s, len);
	return NULL;
}

void mem_replace(char **field, const char *value)
{
	char *copy = mem_strdup(value);

	free(*field);
	*field = copy;
}

void mem_free_ptr(void *pp)
{
	free(*(void **)pp);
}
