/* From the text of an expression to a schedule without a zone. Not when it fires. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/oncalendar.h"
#include "calendar/slot_impl.h"

#define EXPRESSION_MAX 1000

/* What stands inside the brackets, without blanks around it; at: where it begins. */
struct body {
	const char *text;
	size_t len, at;
};

static int parse_rate(const struct body *b, struct schedule *s, struct schedule_error *e)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = {{"minute", 60}, {"minutes", 60}, {"hour", 3600}, {"hours", 3600},
		{"day", DAY_S}, {"days", DAY_S}};
	size_t digits = strspn(b->text, "0123456789"), blanks;
	uint64_t n;

	if (digits == 0 || str_to_uint_len(b->text, digits, 999999, &n) < 0 || n == 0)
		return schedule_fail(
			e, b->at, "", "rate() takes a number from 1 to 999999");
	blanks = strspn(b->text + digits, " \t");
	if (blanks == 0)
		return schedule_fail(
			e, b->at + digits, "rate(5 minutes)", "a blank is missing");
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t ulen = strlen(units[i].unit);

		if (b->len != digits + blanks + ulen ||
			strncmp(b->text + digits + blanks, units[i].unit, ulen) != 0)
			continue;
		s->kind = KIND_GRID;
		s->interval_s = (int64_t)n * units[i].seconds;
		return 0;
	}
	return schedule_fail(e, b->at + digits + blanks, "minutes, hours or days",
		"the unit is not known");
}

static int parse_at(const struct body *b, struct schedule *s, struct schedule_error *e)
{
	char iso[24] = "";
	struct clock_utc u;
	int64_t t;

	if (b->len == 19)
		snprintf(iso, sizeof(iso), "%.19sZ", b->text);
	if (clock_parse_iso(iso, &t) < 0)
		return schedule_fail(
			e, b->at, "at(2026-11-20T13:00:00)", "not a local time");
	clock_utc_from_seconds(t, &u);
	/* February 30 would have become March. */
	if ((iso[8] - '0') * 10 + iso[9] - '0' != u.day || iso[17] == '6')
		return schedule_fail(e, b->at, "", "no such day or second");
	s->kind = KIND_AT;
	s->at_local_s = t;
	return 0;
}

static int parse_eventbridge(
	const char *expr, struct schedule *s, struct schedule_error *e)
{
	_cleanup_free_ char *cron = NULL;
	size_t lead = strspn(expr, " \t"), len = strlen(expr), name;
	struct body b;

	while (len > lead && strchr(" \t", expr[len - 1]))
		len--;
	if (len == lead || expr[len - 1] != ')')
		return schedule_fail(e, len, "", "')' is missing at the end");
	name = strcspn(expr + lead, "(");
	if (!expr[lead + name])
		return schedule_fail(e, len, "", "'(' is missing");
	b.at = lead + name + 1;
	b.at += strspn(expr + b.at, " \t");
	for (len--; len > b.at && strchr(" \t", expr[len - 1]); len--)
		;
	b.text = expr + b.at;
	b.len = len > b.at ? len - b.at : 0;
	expr += lead;
	if (name == 4 && strncmp(expr, "rate", 4) == 0)
		return parse_rate(&b, s, e);
	if (name == 2 && strncmp(expr, "at", 2) == 0)
		return parse_at(&b, s, e);
	if (name != 4 || strncmp(expr, "cron", 4) != 0)
		return schedule_fail(
			e, lead, "cron(...), rate(...) or at(...)", "not an expression");
	s->kind = KIND_CRON;
	cron = mem_strndup(b.text, b.len);
	return cron_parse_eventbridge(cron, b.at, &s->cron, e);
}

static int parse_every(const char *expr, struct schedule *s, struct schedule_error *e)
{
	s->kind = KIND_GRID;
	if (str_to_duration_s(expr, &s->interval_s) < 0)
		return schedule_fail(e, 0, "15m, 4h, 1d12h", "not a duration");
	if (s->interval_s < 60)
		return schedule_fail(e, 0, "", "at least 60s");
	return 0;
}

static int parse_by_syntax(const struct schedule_spec *spec, struct schedule *s,
	char *zone, size_t *ret_zone_at, struct schedule_error *e)
{
	const char *expr = spec->expression;

	if (strlen(expr) > EXPRESSION_MAX)
		return schedule_fail(e, EXPRESSION_MAX, "", "longer than %d characters",
			EXPRESSION_MAX);
	switch (spec->syntax) {
	case SCHEDULE_EVERY:
		return parse_every(expr, s, e);
	case SCHEDULE_CALENDAR:
		return oncalendar_parse(expr, &s->cron, zone, ret_zone_at, e);
	case SCHEDULE_EVENTBRIDGE:
		return parse_eventbridge(expr, s, e);
	case SCHEDULE_AUTO:
		if (strchr(expr, '('))
			return parse_eventbridge(expr, s, e);
		break;
	case SCHEDULE_CRON:
		break;
	}
	if (strcasecmp(expr, "@reboot") == 0) {
		s->kind = KIND_BOOT;
		return 0;
	}
	return cron_parse_fields(expr, &s->cron, e);
}

int schedule_parse(const struct schedule_spec *spec, struct schedule *s, char *zone,
	size_t *ret_zone_at, struct schedule_error *e)
{
	int r;

	zone[0] = '\0';
	s->kind = KIND_CRON;
	r = parse_by_syntax(spec, s, zone, ret_zone_at, e);
	/* OnCalendar knows one rule only. */
	if (spec->syntax != SCHEDULE_CALENDAR)
		s->cron.day_match = spec->day_match;
	return r;
}
