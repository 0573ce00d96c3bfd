/* What a date or a time means in a zone. Local times become instants by an at(), so that
 * gaps and repeated hours are treated as those of slots are. */
#include "config.h"

#include "calendar/period.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "calendar/cron.h"
#include "calendar/slot.h"

#define DAY_S    86400
#define FAR_PAST (-INT64_C(4) * 366 * DAY_S * 100)

/* The instant of a local time, given as if it were UTC. */
static int instant_of(
	int64_t local_s, const char *timezone, int64_t *ret, struct schedule_error *e)
{
	struct schedule_spec spec = {
		.syntax = SCHEDULE_EVENTBRIDGE, .timezone = timezone};
	char iso[32], at[48];
	struct schedule *s;
	struct slot slot;
	int r;

	clock_format_iso(local_s, iso, sizeof(iso));
	snprintf(at, sizeof(at), "at(%.19s)", iso);
	spec.expression = at;
	r = schedule_new(&spec, &s, e);
	if (r < 0)
		return r;
	r = schedule_next(s, FAR_PAST, &slot);
	schedule_free(s);
	if (r < 0)
		return schedule_fail(e, 0, "", "not before the year 2200");
	*ret = slot.at_s;
	return 0;
}

static int local_period(const char *text, const char *timezone, int64_t *ret_from_s,
	int64_t *ret_until_s, struct schedule_error *e)
{
	static const struct {
		size_t len;
		const char *rest;
		int64_t span_s;
	} forms[] = {{10, "T00:00:00Z", DAY_S}, {16, ":00Z", 60}, {19, "Z", 1}};
	size_t len = strlen(text);
	char iso[32] = "", back[32];
	int64_t local, span = 0;
	int r;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (len != forms[i].len)
			continue;
		snprintf(iso, sizeof(iso), "%s%s", text, forms[i].rest);
		span = forms[i].span_s;
	}
	if (len > 10 && span && iso[10] == ' ')
		iso[10] = 'T';
	/* Written back it is the same: February 30 would have become March. */
	if (!span || clock_parse_iso(iso, &local) < 0 ||
		strcmp(clock_format_iso(local, back, sizeof(back)), iso) != 0)
		return schedule_fail(e, 0,
			"such as 2026-11-01, 2026-11-01T07:00 or 2026-11-01T06:00:00Z",
			"'%.40s' is no date and no time", text);
	r = instant_of(local, timezone, ret_from_s, e);
	if (r == 0)
		r = instant_of(local + span, timezone, ret_until_s, e);
	/* A minute that does not exist is the instant after the gap. */
	if (r == 0 && *ret_until_s <= *ret_from_s)
		*ret_until_s = *ret_from_s + 1;
	return r;
}

int period_parse(const char *text, const char *timezone, int64_t *ret_from_s,
	int64_t *ret_until_s, struct schedule_error *e)
{
	size_t len = strlen(text);
	int64_t at;

	*e = (struct schedule_error){0};
	if (len > 19 && clock_parse_iso(text, &at) == 0) {
		*ret_from_s = at;
		*ret_until_s = at + 1;
		return 0;
	}
	return local_period(text, timezone, ret_from_s, ret_until_s, e);
}
