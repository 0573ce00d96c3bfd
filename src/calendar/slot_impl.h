/* Shared by the files of calendar/ that make, search and judge schedules. */
#pragma once

#include "calendar/cron.h"
#include "calendar/slot.h"

#define SCHEDULE_END_S INT64_C(7258118400) /* 2200-01-01T00:00:00Z */
#define DAY_S          86400

struct tz;

enum schedule_kind {
	KIND_CRON, /* sets of local seconds, OnCalendar too */
	KIND_GRID, /* every, rate(): start + k * interval */
	KIND_AT,   /* one local time */
	KIND_BOOT, /* @reboot: no slots */
	KIND_LIST, /* several schedules, merged */
};

struct schedule {
	enum schedule_kind kind;
	struct cron cron;
	int64_t interval_s, start_s;
	int64_t at_local_s;        /* of KIND_AT: local time, as if it were UTC */
	struct schedule **members; /* of KIND_LIST, owned; tz is NULL then */
	size_t member_count;
	struct tz *tz;
	bool is_tz_shared; /* it is of a tz_set */
	bool never_fires;  /* before 2200 */
	char *timezone;
	enum dst_gap dst_gap;
	enum dst_overlap dst_overlap;
};

/* The expression alone into s; zone: one that it names itself, else "". */
int schedule_parse(const struct schedule_spec *spec, struct schedule *s, char *zone,
	size_t *ret_zone_at, struct schedule_error *e);
