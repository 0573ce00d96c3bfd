/*
 * A stand-in for the calendar and for conf's reference count, so that the scheduler is
 * tested alone: "* * * * *", "0 * * * *", "M H * * *" and at(), in UTC only.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "calendar/slot.h"
#include "conf/conf.h"

struct schedule {
	int64_t period_s, phase_s; /* period 0: the one instant phase_s */
};

int schedule_new(const struct schedule_spec *spec, struct schedule **ret,
	struct schedule_error *ret_error)
{
	struct schedule s = {60, 0};
	char text[32];
	int minute, hour;

	*ret_error = (struct schedule_error){.text = "not known to the stand-in"};
	if (spec->timezone && strcmp(spec->timezone, "UTC") != 0)
		return -EINVAL;
	if (sscanf(spec->expression, "at(%19[0-9T:-])", text) == 1) {
		strcat(text, "Z");
		s.period_s = 0;
		if (clock_parse_iso(text, &s.phase_s) < 0)
			return -EINVAL;
	} else if (strcmp(spec->expression, "0 * * * *") == 0) {
		s.period_s = 3600;
	} else if (sscanf(spec->expression, "%d %d * * *", &minute, &hour) == 2) {
		s.period_s = 86400;
		s.phase_s = hour * 3600 + minute * 60;
	} else if (strcmp(spec->expression, "* * * * *") != 0) {
		return -EINVAL;
	}
	*ret = mem_alloc(sizeof(s));
	**ret = s;
	return 0;
}

void *schedule_free(struct schedule *s)
{
	free(s);
	return NULL;
}

static int fill(const struct schedule *s, int64_t at_s, struct slot *ret)
{
	char iso[32];

	*ret = (struct slot){.at_s = at_s};
	clock_format_iso(at_s, iso, sizeof(iso));
	if (s->period_s == 86400)
		snprintf(ret->key, sizeof(ret->key), "%.16s/0", iso);
	else
		snprintf(ret->key, sizeof(ret->key), "%s", iso);
	return 0;
}

int schedule_prev(const struct schedule *s, int64_t at_or_before_s, struct slot *ret)
{
	int64_t n;

	if (!s->period_s)
		return s->phase_s <= at_or_before_s ? fill(s, s->phase_s, ret) : -ENOENT;
	n = (at_or_before_s - s->phase_s) / s->period_s;
	return fill(s, n * s->period_s + s->phase_s, ret);
}

int schedule_next(const struct schedule *s, int64_t after_s, struct slot *ret)
{
	if (!s->period_s)
		return s->phase_s > after_s ? fill(s, s->phase_s, ret) : -ENOENT;
	schedule_prev(s, after_s, ret);
	return fill(s, ret->at_s + s->period_s, ret);
}

uint64_t schedule_count(
	const struct schedule *s, int64_t after_s, int64_t until_s, uint64_t max)
{
	struct slot slot;
	uint64_t n = 0;

	while (n < max && schedule_next(s, after_s, &slot) == 0 && slot.at_s <= until_s) {
		after_s = slot.at_s;
		n++;
	}
	return n;
}

struct conf *conf_ref(const struct conf *c)
{
	struct conf *own = (struct conf *)c;

	own->refs++;
	return own;
}

void *conf_unref(const struct conf *c)
{
	if (c)
		((struct conf *)c)->refs--;
	return NULL;
}
