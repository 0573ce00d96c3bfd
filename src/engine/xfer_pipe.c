/* The ring between two streams of one transfer. No digest, no knowledge of S3. */
#include "config.h"

#include "engine/xfer_pipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct xfer_pipe {
	char *data;
	size_t size, head, len;
	uint64_t bytes_out;
	bool holds_all, is_ended, is_writer_paused, is_reader_paused;
	bool is_piece_refused; /* so what is here is not the end */
	void (*resume_writer)(void *arg);
	void (*resume_reader)(void *arg);
	void *arg;
};

struct xfer_pipe *xfer_pipe_new(size_t size, uint64_t length,
	void (*resume_writer)(void *arg), void (*resume_reader)(void *arg), void *arg)
{
	struct xfer_pipe *p = mem_alloc(sizeof(*p));

	p->holds_all = length <= size;
	p->size = p->holds_all ? (size_t)length : size;
	p->size = p->size ? p->size : 1;
	p->data = mem_resize(NULL, p->size, 1); /* nothing is read that was not written */
	p->resume_writer = resume_writer;
	p->resume_reader = resume_reader;
	p->arg = arg;
	return p;
}

void *xfer_pipe_free(struct xfer_pipe *p)
{
	if (!p)
		return NULL;
	free(p->data);
	free(p);
	return NULL;
}

static void wake_reader(struct xfer_pipe *p)
{
	if (!p->is_reader_paused)
		return;
	p->is_reader_paused = false;
	p->resume_reader(p->arg);
}

enum http_flow xfer_pipe_write(struct xfer_pipe *p, const char *data, size_t len)
{
	size_t tail, first;

	if (len > p->size)
		return HTTP_ABORT;
	if (len > p->size - p->len) {
		p->is_writer_paused = p->is_piece_refused = true;
		wake_reader(p); /* else both would wait */
		return HTTP_PAUSE;
	}
	tail = (p->head + p->len) % p->size;
	first = len < p->size - tail ? len : p->size - tail;
	memcpy(p->data + tail, data, first);
	memcpy(p->data, data + first, len - first);
	p->len += len;
	p->is_piece_refused = false;
	p->is_writer_paused = !p->holds_all && p->size - p->len < p->size / 2;
	if (p->len >= p->size / 2)
		wake_reader(p);
	return p->is_writer_paused ? HTTP_ENOUGH : HTTP_GO;
}

void xfer_pipe_end(struct xfer_pipe *p)
{
	p->is_ended = true;
	wake_reader(p);
}

enum http_flow xfer_pipe_read(struct xfer_pipe *p, char *out, size_t max, size_t *ret_len)
{
	/* Of what may be the object's end, a byte stays until the end is known good. */
	size_t kept = p->is_ended || p->is_piece_refused || !p->len ? 0 : 1;
	size_t n = p->len - kept < max ? p->len - kept : max, first;

	if (!n && !p->is_ended) {
		p->is_reader_paused = true;
		return HTTP_PAUSE;
	}
	first = n < p->size - p->head ? n : p->size - p->head;
	memcpy(out, p->data + p->head, first);
	memcpy(out + first, p->data, n - first);
	*ret_len = n;
	xfer_pipe_drop(p, n);
	return HTTP_GO;
}

/* len bytes from at on, in as many pieces as the ring's end makes of them. */
static int cut(struct xfer_pipe *p, size_t at, size_t len, struct iovec iov[2])
{
	size_t first = len < p->size - at ? len : p->size - at;

	iov[0] = (struct iovec){p->data + at, first};
	iov[1] = (struct iovec){p->data, len - first};
	if (len == 0)
		return 0;
	return len == first ? 1 : 2;
}

int xfer_pipe_room(struct xfer_pipe *p, size_t max, struct iovec iov[2])
{
	size_t room = p->size - p->len, least = p->size / 2 < max ? p->size / 2 : max;

	p->is_writer_paused = room < least;
	if (p->is_writer_paused) {
		wake_reader(p);
		return 0;
	}
	return cut(p, (p->head + p->len) % p->size, room < max ? room : max, iov);
}

void xfer_pipe_fill(struct xfer_pipe *p, size_t len)
{
	p->len += len;
	if (p->len >= p->size / 2)
		wake_reader(p);
}

int xfer_pipe_content(struct xfer_pipe *p, size_t max, struct iovec iov[2])
{
	if (!p->is_ended && !p->is_writer_paused && p->len < (p->size + 1) / 2) {
		p->is_reader_paused = true;
		return 0;
	}
	return cut(p, p->head, p->len < max ? p->len : max, iov);
}

void xfer_pipe_drop(struct xfer_pipe *p, size_t len)
{
	p->head = (p->head + len) % p->size;
	p->len -= len;
	p->bytes_out += len;
	if (p->is_writer_paused && p->len <= p->size / 2) {
		p->is_writer_paused = false;
		p->resume_writer(p->arg);
	}
}

bool xfer_pipe_is_ended(const struct xfer_pipe *p)
{
	return p->is_ended;
}

const char *xfer_pipe_take(struct xfer_pipe *p)
{
	p->bytes_out += p->len;
	p->len = 0;
	return p->data + p->head;
}

uint64_t xfer_pipe_bytes_out(const struct xfer_pipe *p)
{
	return p->bytes_out;
}
