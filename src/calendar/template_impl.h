/* Shared by the files of calendar/ that fill in templates. */
#pragma once

#include <stdint.h>

struct buf;
struct tz;

/* Calendar days, then real seconds. */
struct template_offset {
	int64_t days, seconds;
};

/* What may stand behind a '%'. */
#define TEMPLATE_FORMATS "YymdeHIMSpjGgVuwaAbBFTRDszZ%"

/* format is made of these alone. 0, or -ENOBUFS. */
int template_put_date(const struct tz *zone, int64_t slot_s,
	const struct template_offset *offset, const char *format, struct buf *out);
