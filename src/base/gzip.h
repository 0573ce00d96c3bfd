/*
 * gzip files: written in pieces, read by the line. The only file behind it that includes
 * zlib.h. Calls block on the file; one thread at a time. The descriptor stays the
 * caller's.
 */
#pragma once

#include <stddef.h>

struct buf;
struct gzip_writer;
struct gzip_reader;

struct gzip_writer *gzip_writer_new(int fd);
/* Each 0 or -errno; after an error all that follows fails alike. */
int gzip_write(struct gzip_writer *w, const void *data, size_t len);
/* Whatever was written so far can be read from the file. */
int gzip_flush(struct gzip_writer *w);
/* Ends the stream; nothing may follow. */
int gzip_finish(struct gzip_writer *w);
void *gzip_writer_free(struct gzip_writer *w);

struct gzip_reader *gzip_reader_new(int fd);
/*
 * The next line without its end, *line overwritten: 1. 0 at the end of a whole file.
 * -EBADMSG: damaged or cut off; -ENOBUFS: longer than line->max; or -errno.
 */
int gzip_read_line(struct gzip_reader *r, struct buf *line);
void *gzip_reader_free(struct gzip_reader *r);
