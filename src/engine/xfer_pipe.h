/*
 * A bounded ring between the GET that fills it and the PUT that empties it. Each side may
 * be told to pause; it is resumed, through the hooks, once the ring is half empty or half
 * full: few pauses. The last byte stays until xfer_pipe_end(), so that bytes which turn
 * out to be wrong never make a whole object. The hooks only ask (s3_call_resume()); they
 * never re-enter.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/http.h"

struct xfer_pipe;

/* For `length` bytes in all; a ring that can hold them is no larger than they are. */
struct xfer_pipe *xfer_pipe_new(size_t size, uint64_t length,
	void (*resume_writer)(void *arg), void (*resume_reader)(void *arg), void *arg);
void *xfer_pipe_free(struct xfer_pipe *p);

/*
 * All of data, or HTTP_PAUSE and nothing. HTTP_ENOUGH: all, less than half the ring is
 * free now, and it does not hold all there is. A piece larger than the ring is
 * HTTP_ABORT.
 */
enum http_flow xfer_pipe_write(struct xfer_pipe *p, const char *data, size_t len);
/* No more will come, and all is right: what is there goes out, to the last byte. */
void xfer_pipe_end(struct xfer_pipe *p);
/* HTTP_PAUSE when there is too little to be worth it; *ret_len 0 only at the end. */
enum http_flow xfer_pipe_read(
	struct xfer_pipe *p, char *out, size_t max, size_t *ret_len);

/*
 * For who moves bytes right in the ring: up to max of the room, or of the content, in
 * iov; returns how many of the two are filled, or 0 when there is too little to be worth
 * it. Theirs until xfer_pipe_fill() or xfer_pipe_drop(), of as many bytes as were moved;
 * the other side goes on meanwhile. Nothing is kept back of the content.
 */
int xfer_pipe_room(struct xfer_pipe *p, size_t max, struct iovec iov[2]);
void xfer_pipe_fill(struct xfer_pipe *p, size_t len);
int xfer_pipe_content(struct xfer_pipe *p, size_t max, struct iovec iov[2]);
void xfer_pipe_drop(struct xfer_pipe *p, size_t len);
bool xfer_pipe_is_ended(const struct xfer_pipe *p);

/* All of it, when it holds the whole object and its end is known: read, as by _read(). */
const char *xfer_pipe_take(struct xfer_pipe *p);
uint64_t xfer_pipe_bytes_out(const struct xfer_pipe *p);
