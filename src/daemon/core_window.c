/*
 * The hours in which runs may work: who waits for them, and who has to leave at their
 * end. Runs asked for by hand come and go at any time.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"

/* Whether it may work now; the scheduler wakes us when that changes. */
static bool is_open(struct core *c, const struct core_run *cr, const struct conf_job *job)
{
	int64_t next_s;
	bool open;

	if (!job || !job->window.opens || cr->row.trigger == TRIGGER_MANUAL)
		return true;
	open = conf_window_is_open(&job->window, core_now_s(c), &next_s);
	if (next_s != INT64_MAX)
		sched_wake_at(c->sched, next_s);
	return open;
}

bool core_window_admits(struct core *c, struct core_run *cr, const struct conf_job *job)
{
	if (is_open(c, cr, job))
		return true;
	if (cr->row.state == RUN_PARKED)
		return false;
	cr->row.state = RUN_PARKED;
	snprintf(cr->row.reason, sizeof(cr->row.reason), "window");
	core_save_row(c, &cr->row);
	log_info(LOG_FIELDS({"JOB", cr->row.job}, {"RUN_ID", cr->row.id}),
		"%s waits for its window %s", cr->row.job, job->window_text);
	return false;
}

void core_window_enforce(struct core *c)
{
	struct core_run *cr, *tmp;

	LIST_FOREACH_SAFE (cr, tmp, &c->active, link) {
		const struct conf_job *job = conf_find_job(c->conf, cr->row.job);

		if (is_open(c, cr, job) || cr->is_parking)
			continue;
		cr->is_parking = !job->window.is_cancelling;
		core_run_cancel(
			cr, cr->is_parking ? RUN_CANCEL_PARKING : RUN_CANCEL_WINDOW);
	}
}
