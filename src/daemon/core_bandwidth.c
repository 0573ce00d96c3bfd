/*
 * The limits of bandwidth in force: by the configuration that is loaded now, the hour,
 * and the runs under way. How bytes are held back is the engines'.
 */
#include "config.h"

#include "base/clock.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"
#include "engine/bandwidth.h"
#include "engine/engine_set.h"
#include "net/loop.h"

/* A job that is no longer in the configuration keeps what its run began with. */
static const struct conf_bandwidth *limit_of(
	const struct core *c, const struct core_run *cr)
{
	const struct conf_job *job = conf_find_job(c->conf, cr->row.job);

	return &(job ? job : run_job(cr->run))->bandwidth;
}

/* Hours begin with minutes; zones that are off by seconds are of the past. */
static int64_t ms_to_next_minute(const struct core *c)
{
	int64_t us = clock_wall_us(c->clock) % (60 * USEC_PER_SEC);

	return (60 * USEC_PER_SEC - us) / USEC_PER_MSEC + 1;
}

void core_bandwidth_update(void *arg)
{
	struct core *c = arg;
	bool changes = conf_bandwidth_changes(&c->conf->bandwidth);
	int64_t now_s = core_now_s(c);
	struct core_run *cr;

	engine_set_limit(
		c->engines, BANDWIDTH_ALL, conf_bandwidth_at(&c->conf->bandwidth, now_s));
	LIST_FOREACH (cr, &c->active, link) {
		const struct conf_bandwidth *b = limit_of(c, cr);

		changes = changes || conf_bandwidth_changes(b);
		engine_set_limit(
			c->engines, run_serial(cr->run), conf_bandwidth_at(b, now_s));
	}
	if (changes && !list_is_empty(&c->active))
		loop_timer_set(c->bandwidth_timer, ms_to_next_minute(c));
	else
		loop_timer_cancel(c->bandwidth_timer);
}

void core_bandwidth_end(struct core_run *cr)
{
	engine_set_limit(cr->core->engines, run_serial(cr->run), 0);
}
