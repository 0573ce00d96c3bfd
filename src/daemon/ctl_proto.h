/*
 * The wire between s3ferryctl and the daemon: Varlink, that is JSON objects each ended by
 * a NUL byte, over a Unix stream socket (https://varlink.org). Shared by both sides.
 *   call:  {"method": "io.s3ferry.Status", "parameters": {}, "more": true?}
 *   reply: {"parameters": {...}, "continues": true?}   or
 *          {"error": "io.s3ferry.NoSuchJob", "parameters": {...}}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct json;

#define CTL_REQUEST_MAX (64 * 1024)
#define CTL_REPLY_MAX   (4 * 1024 * 1024)
#define CTL_SOCKET      "/run/s3ferry/io.s3ferry"

/* Appends one frame. params: JSON of an object, NULL for {}. 0 or -ENOBUFS. */
int ctl_put_call(struct buf *out, const char *method, const char *params, bool more);
int ctl_put_reply(struct buf *out, const char *params, bool continues);
int ctl_put_error(struct buf *out, const char *error, const char *params);

/*
 * Takes the first whole frame off the front of in. *ret_text is malloc'd. 1: taken, 0: not
 * whole yet, -EMSGSIZE: in is longer than max without an end.
 */
int ctl_take_frame(struct buf *in, size_t max, char **ret_text);
