/* zlib on file descriptors. The only file that includes zlib.h. */
#include "config.h"

#include "base/gzip.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"

#define PIECE       16384
#define WINDOW_BITS (14 + 16) /* + 16: gzip's frame */
#define MEMORY      7         /* with the window: 128 KiB a writer */

/* --- writing --- */

struct gzip_writer {
	z_stream z;
	int fd;
	int error;
	unsigned char out[PIECE];
};

struct gzip_writer *gzip_writer_new(int fd)
{
	struct gzip_writer *w = mem_alloc(sizeof(*w));

	w->fd = fd;
	if (deflateInit2(&w->z, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS, MEMORY,
		    Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	return w;
}

static int write_all(int fd, const unsigned char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int deflate_all(struct gzip_writer *w, int how)
{
	do {
		w->z.next_out = w->out;
		w->z.avail_out = sizeof(w->out);
		deflate(&w->z, how);
		if (!w->error)
			w->error = write_all(
				w->fd, w->out, sizeof(w->out) - w->z.avail_out);
	} while (!w->z.avail_out);
	return w->error;
}

int gzip_write(struct gzip_writer *w, const void *data, size_t len)
{
	w->z.next_in = (unsigned char *)data;
	w->z.avail_in = (unsigned)len;
	return deflate_all(w, Z_NO_FLUSH);
}

int gzip_flush(struct gzip_writer *w)
{
	return deflate_all(w, Z_SYNC_FLUSH);
}

int gzip_finish(struct gzip_writer *w)
{
	return deflate_all(w, Z_FINISH);
}

void *gzip_writer_free(struct gzip_writer *w)
{
	if (w) {
		deflateEnd(&w->z);
		free(w);
	}
	return NULL;
}

/* --- reading --- */

struct gzip_reader {
	z_stream z;
	int fd;
	bool is_whole; /* a stream has ended, none has begun behind it */
	unsigned char in[PIECE], out[PIECE];
	size_t at, len; /* of out */
};

struct gzip_reader *gzip_reader_new(int fd)
{
	struct gzip_reader *r = mem_alloc(sizeof(*r));

	r->fd = fd;
	if (inflateInit2(&r->z, 15 + 16) != Z_OK)
		abort();
	return r;
}

void *gzip_reader_free(struct gzip_reader *r)
{
	if (r) {
		inflateEnd(&r->z);
		free(r);
	}
	return NULL;
}

/* More input: 1, 0 at the end of the file, -errno. */
static int refill(struct gzip_reader *r)
{
	ssize_t n;

	do
		n = read(r->fd, r->in, sizeof(r->in));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r->z.next_in = r->in;
	r->z.avail_in = (unsigned)n;
	return n > 0;
}

/* More output: 1, 0 at the end, negative errno. */
static int inflate_more(struct gzip_reader *r)
{
	int z, n = 1;

	r->at = r->len = 0;
	while (!r->len) {
		if (!r->z.avail_in)
			n = refill(r);
		if (n < 0)
			return n;
		if (n == 0)
			return r->is_whole ? 0 : -EBADMSG;
		r->is_whole = false;
		r->z.next_out = r->out;
		r->z.avail_out = sizeof(r->out);
		z = inflate(&r->z, Z_NO_FLUSH);
		r->len = sizeof(r->out) - r->z.avail_out;
		if (z == Z_STREAM_END) {
			inflateReset(&r->z);
			r->is_whole = true;
		} else if (z != Z_OK && z != Z_BUF_ERROR) {
			return -EBADMSG;
		}
	}
	return 1;
}

int gzip_read_line(struct gzip_reader *r, struct buf *line)
{
	buf_reset(line);
	for (;;) {
		const unsigned char *end;
		size_t len;
		int n;

		n = r->at < r->len ? 1 : inflate_more(r);
		if (n <= 0)
			return n == 0 && line->len ? -EBADMSG : n;
		end = memchr(r->out + r->at, '\n', r->len - r->at);
		len = end ? (size_t)(end - r->out) - r->at : r->len - r->at;
		if (buf_append(line, r->out + r->at, len) < 0)
			return -ENOBUFS;
		r->at += len + (end != NULL);
		if (end)
			return 1;
	}
}
