/*
 * TZif files: whatever is read as one, intervals cover all time without a hole, and none
 * is refused by reading behind its end.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar/tz.h"
#include "fuzz.h"

#define FROM      INT64_C(-5000000000) /* 1811 */
#define TO        INT64_C(7300000000)  /* 2201 */
#define INTERVALS 400

static void check_interval(const struct tz_interval *in, int64_t at)
{
	if (in->start_s > at || in->end_s <= at || abs(in->offset_s) > 200 * 3600 ||
		!memchr(in->abbreviation, 0, sizeof(in->abbreviation))) {
		fprintf(stderr, "at %lld: [%lld, %lld)\n", (long long)at,
			(long long)in->start_s, (long long)in->end_s);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tz_interval in, before;
	int64_t at = FROM;
	struct tz *tz;

	if (tz_parse(data, size, &tz) < 0)
		return 0;
	for (int i = 0; i < INTERVALS && at < TO; i++) {
		tz_interval_at(tz, at, &in);
		check_interval(&in, at);
		if (in.start_s > FROM) {
			tz_interval_at(tz, in.start_s - 1, &before);
			check_interval(&before, in.start_s - 1);
		}
		at = in.end_s;
	}
	tz_free(tz);
	return 0;
}
