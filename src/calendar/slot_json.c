/* One slot's members of a JSON object. Not the object, nor what is done with it. */
#include "config.h"

#include "calendar/slot_json.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "calendar/slot.h"

static void put_local(
	struct json_writer *w, const char *key, int64_t local_s, struct clock_utc *ret)
{
	char text[64];

	clock_utc_from_seconds(local_s, ret);
	snprintf(text, sizeof(text),
		ret->second ? "%04lld-%02d-%02d %02d:%02d:%02d"
			    : "%04lld-%02d-%02d %02d:%02d",
		(long long)ret->year, ret->month, ret->day, ret->hour, ret->minute,
		ret->second);
	json_put_str(w, key, text);
}

void slot_put_json(struct json_writer *w, const struct slot *slot, int64_t effective_s)
{
	struct clock_utc local;
	char text[32];

	json_put_str(w, "at", clock_format_iso(slot->at_s, text, sizeof(text)));
	json_put_str(w, "effective", clock_format_iso(effective_s, text, sizeof(text)));
	put_local(w, "local_effective", effective_s + slot->offset_s, &local);
	put_local(w, "local", slot->at_s + slot->offset_s, &local);
	json_put_str(w, "zone", slot->zone);
	json_put_int(w, "weekday", local.weekday);
	if (slot->is_gap_moved)
		json_put_str(w, "mark", "gap-moved");
	else if (slot->is_first_of_two)
		json_put_str(w, "mark", "first-of-two");
}
