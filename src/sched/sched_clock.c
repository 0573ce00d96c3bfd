/*
 * What changes under the scheduler's feet: a clock that is set back, one that is
 * evidently wrong at the start, and zones with new rules. Not the policies (policy.c).
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "calendar/tz_set.h"
#include "conf/conf.h"
#include "sched/policy.h"
#include "sched/sched_impl.h"

#define HOLD_MAX_US  (600 * USEC_PER_SEC)
#define HOLD_SLACK_S INT64_C(60)

void sched_settle(
	struct sched *s, struct entry *e, int64_t watermark_s, enum sched_settling why)
{
	if (why == SCHED_SETTLE_FRESH ||
		(why == SCHED_SETTLE_BACK && watermark_s != e->state.watermark_s))
		e->state.served_s = watermark_s;
	e->state.watermark_s = watermark_s;
	if (s->ops.settle)
		s->ops.settle(s->ops.arg, e->job->name, watermark_s, why);
}

static void tell_clock(struct sched *s, enum sched_clock_event event, int64_t seconds)
{
	if (s->ops.clock)
		s->ops.clock(s->ops.arg, event, seconds);
}

void sched_step_back(struct sched *s, struct entry *e, int64_t back_s, int64_t now_s)
{
	enum policy_step step = policy_classify_step(back_s);

	if (step == STEP_NONE)
		return;
	e->waits_from_s = 0;
	if (step == STEP_REPEAT && policy_keeps_local_slots(e->job, now_s))
		sched_settle(s, e, e->state.watermark_s, SCHED_SETTLE_BACK);
	else
		sched_settle(s, e, now_s, SCHED_SETTLE_BACK);
}

bool sched_check_clock(struct sched *s, int64_t now_s)
{
	int64_t back_s = s->last_wall_s - now_s;

	if (s->last_wall_s && back_s > 0) {
		if (policy_classify_step(back_s) == STEP_NONE)
			return false;
		tell_clock(s, SCHED_CLOCK_SET_BACK, back_s);
		for (size_t i = 0; i < s->count; i++) {
			sched_step_back(s, &s->entries[i], back_s, now_s);
			sched_place(s, &s->entries[i]);
		}
	}
	s->last_wall_s = now_s;
	return true;
}

/* --- a clock that is evidently wrong --- */

static bool must_hold(const struct sched *s, int64_t now_s)
{
	if (now_s < s->hold.not_before_s - HOLD_SLACK_S)
		return true;
	return s->hold.not_after_s && now_s > s->hold.not_after_s &&
	       !clock_is_synchronised(s->clock);
}

void sched_hold(struct sched *s, const struct sched_hold *hold)
{
	int64_t now_s = sched_now(s);

	s->hold = *hold;
	s->is_held = must_hold(s, now_s);
	s->held_since_us = clock_mono_us(s->clock);
	if (s->is_held)
		tell_clock(s, SCHED_CLOCK_HELD, now_s);
}

bool sched_is_held(const struct sched *s)
{
	return s->is_held;
}

bool sched_check_hold(struct sched *s, int64_t now_s)
{
	bool is_over = clock_mono_us(s->clock) - s->held_since_us >= HOLD_MAX_US;

	if (!s->is_held)
		return true;
	if (!is_over && must_hold(s, now_s))
		return false;
	s->is_held = false;
	tell_clock(s, SCHED_CLOCK_RELEASED, now_s);
	for (size_t i = 0; i < s->count; i++) {
		sched_adopt(s, &s->entries[i], now_s);
		sched_place(s, &s->entries[i]);
	}
	return true;
}

/* --- zones --- */

/* The newest settled slot of each job, by the rules that end. */
static struct slot *newest_settled(const struct sched *s)
{
	struct slot *newest = mem_array(s->count + 1, sizeof(*newest));

	for (size_t i = 0; i < s->count; i++) {
		const struct entry *e = &s->entries[i];

		if (e->is_unadopted || schedule_prev(e->job->schedule,
					       e->state.watermark_s, &newest[i]) < 0)
			newest[i] = (struct slot){0}; /* is_local: false */
	}
	return newest;
}

/*
 * A slot of a local time moves with its zone. What ran today is not to run again an hour
 * later, and what did not is not to be lost, so the watermark moves too.
 */
void sched_check_zones(struct sched *s)
{
	struct slot *newest;
	size_t changed;

	if (!s->conf || !s->conf->zones || !tz_set_is_stale(s->conf->zones))
		return;
	newest = newest_settled(s);
	changed = tz_set_reload(s->conf->zones);
	if (changed)
		tell_clock(s, SCHED_CLOCK_ZONES, (int64_t)changed);
	for (size_t i = 0; changed && i < s->count; i++) {
		struct entry *e = &s->entries[i];
		int64_t watermark_s;

		if (e->is_unadopted)
			continue;
		watermark_s = policy_rebase(e->job, e->state.watermark_s, &newest[i]);
		if (watermark_s != e->state.watermark_s)
			sched_settle(s, e, watermark_s, SCHED_SETTLE_ZONE);
		sched_place(s, e);
	}
	free(newest);
}
