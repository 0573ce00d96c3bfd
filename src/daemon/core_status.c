/* The one line that systemctl status shows, and the wall clock of the core. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "calendar/slot.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"
#include "daemon/sdnotify.h"
#include "net/loop.h"

int64_t core_now_s(const struct core *c)
{
	return clock_wall_us(c->clock) / USEC_PER_SEC;
}

void core_job_facts(
	struct core *c, const struct conf_job *job, struct core_job_facts *ret)
{
	const struct core_run *cr = core_find_run(c, job->name);
	struct store_job state = {0};
	struct slot slot;

	*ret = (struct core_job_facts){0};
	store_job_get(c->store, job->name, &state);
	ret->last_success_at = state.last_success_at;
	ret->last_run_at = state.last_run_at;
	ret->consecutive_failures = state.consecutive_failures;
	ret->is_paused = core_is_paused(job, &state, core_now_s(c));
	ret->is_running = cr && cr->run;
	sched_next(c->sched, job->name, &slot, &ret->next_run_at);
	if (sched_is_overdue(c->sched, job->name, &slot))
		ret->overdue_slot_at = slot.at_s;
}

static void put_running(struct core *c, struct buf *out)
{
	struct core_run *cr = LIST_FIRST(&c->active, struct core_run, link);
	struct run_progress p;

	run_get_progress(cr->run, &p);
	buf_printf(out, ", %zu running (%s", c->active_count, cr->row.job);
	if (p.bytes_total > 0)
		buf_printf(out, " %d %%",
			(int)(p.bytes_done * 100 / (uint64_t)p.bytes_total));
	buf_puts(out, c->active_count > 1 ? ", ...)" : ")");
}

static void put_next(struct core *c, struct buf *out)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	const struct conf_job *job;
	struct clock_utc local;
	char zone[16] = "UTC";
	const char *name;
	int64_t at;
	int offset;

	if (!c->sched || sched_next_any(c->sched, &name, &at) < 0)
		return;
	job = conf_find_job(c->conf, name);
	offset = job && job->schedule ? schedule_offset(job->schedule, at, zone) : 0;
	clock_utc_from_seconds(at + offset, &local);
	buf_printf(out, "; next %s %s %04lld-%02d-%02d %02d:%02d %s", name,
		days[local.weekday], (long long)local.year, local.month, local.day,
		local.hour, local.minute, zone);
}

void core_update_status(struct core *c)
{
	struct buf text = BUF_INIT(1024);

	buf_printf(&text, "%zu job%s", c->conf->job_count,
		c->conf->job_count == 1 ? "" : "s");
	if (!list_is_empty(&c->active))
		put_running(c, &text);
	if (c->sched && sched_overdue_count(c->sched))
		buf_printf(&text, ", %zu overdue", sched_overdue_count(c->sched));
	put_next(c, &text);
	if (c->config_error)
		buf_printf(&text, "; configuration rejected: %.300s", c->config_error);
	if (c->is_stopping)
		sdnotify_stopping(buf_str(&text));
	else
		sdnotify_status(buf_str(&text));
	buf_done(&text);
	/* Progress is worth a wake-up only while something moves. */
	if (list_is_empty(&c->active))
		loop_timer_cancel(c->status_timer);
	else if (!loop_timer_is_set(c->status_timer))
		loop_timer_set(c->status_timer, 1000);
}
