/* A slot as programs read it: in the answers of the daemon and of s3ferryctl alike. */
#pragma once

#include <stdint.h>

struct json_writer;
struct slot;

/*
 * Members at, effective, local, local_effective, zone, weekday, and mark ("gap-moved",
 * "first-of-two") where there is one, into an object that is open.
 */
void slot_put_json(struct json_writer *w, const struct slot *slot, int64_t effective_s);
