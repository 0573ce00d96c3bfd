/*
 * A growing byte buffer with a maximum: whatever comes from outside lands in one, so that
 * no peer decides how much memory we use. Always NUL-terminated behind `len`.
 * Owner: whoever holds the struct; buf_done() frees. One thread.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL until the first byte */
	size_t len; /* bytes, without the terminating NUL */
	size_t cap;
	size_t max; /* len never exceeds it */
};

#define BUF_INIT(max_bytes) ((struct buf){.max = (max_bytes)})

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b); /* also fine on a zeroed struct */
void buf_wipe(struct buf *b); /* overwrite, then buf_done() */
void buf_reset(struct buf *b); /* len := 0, memory kept */

/* 0, or -ENOBUFS when max would be passed; then the buffer is unchanged. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* Drop the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* The content as a C string; "" when empty. Valid until the next change. */
const char *buf_str(const struct buf *b);
/* Hand the content over as a malloc'd C string; the buffer is empty afterwards. */
char *buf_take(struct buf *b);
