/* The hours in which a job may work: two daily schedules, one that opens and one that
 * closes. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "calendar/slot.h"
#include "conf/conf_build.h"

#define DIGITS "0123456789"

int window_minutes(const char *text)
{
	int minutes;

	if (strlen(text) != 5 || text[2] != ':' || strspn(text, DIGITS) != 2 ||
		strspn(text + 3, DIGITS) != 2)
		return -1;
	minutes = ((text[0] - '0') * 10 + text[1] - '0') * 60 + (text[3] - '0') * 10 +
		  text[4] - '0';
	return text[3] <= '5' && minutes < 24 * 60 ? minutes : -1;
}

struct schedule *window_daily(int minutes, const char *timezone, struct tz_set *zones)
{
	struct schedule_spec at = {
		.syntax = SCHEDULE_CRON, .timezone = timezone, .zones = zones};
	struct schedule_error error; /* of the zone: the schedule has told it */
	struct schedule *s;
	char text[32];

	snprintf(text, sizeof(text), "%d %d * * *", minutes % 60, minutes / 60);
	at.expression = text;
	return schedule_new(&at, &s, &error) == 0 ? s : NULL;
}

void window_finish(
	const struct spot *job_spot, struct raw_window *raw, struct conf_job *job)
{
	struct spot s = {job_spot->d, job_spot->src, node_key(job_spot->map, "window"),
		node_get(job_spot->map, "window"), ""};
	const struct {
		const char *key, *text;
	} ends[] = {{"start", raw->start}, {"end", raw->end}};
	int minutes[2] = {-1, -1};

	if (!s.map || s.map->kind != NODE_MAP)
		return;
	snprintf(s.path, sizeof(s.path), "%.250s.window", job_spot->path);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		minutes[i] = ends[i].text ? window_minutes(ends[i].text) : -1;
		if (minutes[i] < 0)
			spot_complain(&s, ends[i].key, "such as \"20:00\"",
				ends[i].text ? "not a time of the day"
					     : "a window has a start and an end");
	}
	if (minutes[0] < 0 || minutes[1] < 0)
		return;
	if (minutes[0] == minutes[1]) {
		spot_complain(&s, "end", "leave the window out for the whole day",
			"a window that ends when it starts");
		return;
	}
	job->window.opens = window_daily(minutes[0], job->timezone, s.d->conf->zones);
	job->window.closes = window_daily(minutes[1], job->timezone, s.d->conf->zones);
	job->window.is_cancelling = raw->at_end != 0;
	snprintf(job->window_text, sizeof(job->window_text), "%s-%s", raw->start,
		raw->end);
	if (job->window.opens && job->window.closes)
		return;
	job->window.opens = schedule_free(job->window.opens);
	job->window.closes = schedule_free(job->window.closes);
	if (!job->schedule_text && !node_get(job_spot->map, "schedule") &&
		!node_get(job_spot->map, "every") && !node_get(job_spot->map, "calendar"))
		spot_complain(job_spot, "timezone",
			"an IANA name such as Europe/Berlin, UTC or local",
			"the zone does not exist");
}
