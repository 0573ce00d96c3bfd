/*
 * The heap of next times, the timer that wakes us for the first, and the state of each
 * job between wakes. What is decided about a slot is in policy.c; nothing is started
 * here.
 */
#include "config.h"

#include "sched/sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/jitter.h"
#include "conf/conf.h"
#include "net/loop.h"
#include "sched/heap.h"
#include "sched/policy.h"

#define WAKE_MAX_S   INT64_C(3600) /* the longest a missed clock change can fool us */
#define WAKE_RETRY_S INT64_C(5)    /* when a decision could not be committed */
#define HOLD_LOOK_S  INT64_C(10)   /* nothing tells when the clock was synchronised */
#define HOLD_MAX_US  (600 * USEC_PER_SEC)
#define HOLD_SLACK_S INT64_C(60)

struct sched {
	struct loop *loop;
	const struct clock *clock;
	struct sched_ops ops;
	const struct conf *conf;
	struct entry *entries; /* by name */
	size_t count;
	struct heap heap;
	struct entry **due; /* of one tick; room for all */
	int timer_fd;       /* -1: the clock is a test's, and `timer` runs on it */
	struct loop_fd *timer_event;
	struct loop_timer *timer;
	uint8_t jitter_key[JITTER_KEY_LEN];
	int64_t last_wall_s; /* of the newest tick; 0: none yet */
	int64_t wake_at_s;   /* asked for by sched_wake_at(); 0: not */
	struct sched_hold hold;
	int64_t held_since_us; /* monotonic */
	bool is_held, is_stopped;
	bool is_refreshed; /* a job's state changed during this tick */
};

static int64_t now_seconds(const struct sched *s)
{
	return clock_wall_us(s->clock) / USEC_PER_SEC;
}

static bool is_paused(const struct entry *e, int64_t now_s)
{
	const struct sched_job_state *state = &e->state;

	return e->job->is_paused ||
	       (state->is_paused &&
		       (!state->paused_until_s || now_s < state->paused_until_s));
}

/* The store still says paused, and it is no longer so: the pause's slots are to be told.
 */
static bool is_resuming(const struct entry *e, int64_t now_s)
{
	return (e->state.is_paused || e->state.was_paused) && !is_paused(e, now_s);
}

static bool is_waiting(const struct entry *e)
{
	return e->waits_from_s && e->state.active != SCHED_IDLE;
}

/* Give the entry its place after its watermark, pause or job changed. */
static void place(struct sched *s, struct entry *e)
{
	int64_t now_s = now_seconds(s);
	bool paused = is_paused(e, now_s);

	heap_remove(&s->heap, e);
	if (e->is_unadopted)
		return;
	e->has_next = !paused && policy_next(e->job, e->state.watermark_s, e->jitter,
					 &e->next, &e->effective) == 0;
	if (paused) {
		if (e->job->is_paused || !e->state.paused_until_s)
			return;
		e->wake_s = e->state.paused_until_s;
	} else if (is_resuming(e, now_s)) {
		e->wake_s = now_s;
	} else if (!e->has_next || is_waiting(e)) {
		return;
	} else {
		e->wake_s = e->effective;
	}
	heap_add(&s->heap, e);
}

/* --- timer --- */

static void arm_at(struct sched *s, int64_t at_s, int64_t now_s)
{
	struct itimerspec when = {.it_value.tv_sec = at_s};

	if (s->timer_fd < 0) {
		loop_timer_set(s->timer, (at_s - now_s) * 1000);
		return;
	}
	if (at_s <= now_s)
		when.it_value.tv_sec = 1; /* zero would disarm it */
	/*
	 * ECANCELED after a step of the clock still arms the timer, and the next read
	 * reports the step.
	 */
	timerfd_settime(
		s->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

static void arm(struct sched *s, bool is_after_tick)
{
	int64_t now_s = now_seconds(s), at_s = now_s + WAKE_MAX_S;

	if (s->is_stopped)
		return;
	if (s->is_held) {
		arm_at(s, now_s + HOLD_LOOK_S, now_s);
		return;
	}
	if (s->heap.count && s->heap.items[0]->wake_s < at_s)
		at_s = s->heap.items[0]->wake_s;
	if (s->wake_at_s && s->wake_at_s < at_s)
		at_s = s->wake_at_s;
	if (is_after_tick && at_s <= now_s)
		at_s = now_s + WAKE_RETRY_S;
	arm_at(s, at_s, now_s);
}

void sched_wake_at(struct sched *s, int64_t at_s)
{
	if (s->wake_at_s && s->wake_at_s <= at_s)
		return;
	s->wake_at_s = at_s;
	arm(s, false);
}

static void on_timer(void *arg)
{
	sched_tick(arg);
}

static void on_timer_fd(void *arg, int events)
{
	struct sched *s = arg;
	uint64_t expirations;
	ssize_t n = read(s->timer_fd, &expirations, sizeof(expirations));

	/* Expired or cancelled by a step: both mean "look at the clock". */
	(void)n;
	sched_tick(s);
}

/* --- settling --- */

static void settle(struct sched *s, struct entry *e, int64_t watermark_s, bool is_new_gen)
{
	e->state.watermark_s = watermark_s;
	if (s->ops.settle)
		s->ops.settle(s->ops.arg, e->job->name, watermark_s, is_new_gen);
}

static void tell_clock(struct sched *s, enum sched_clock_event event, int64_t seconds)
{
	if (s->ops.clock)
		s->ops.clock(s->ops.arg, event, seconds);
}

/* The clock stands `back_s` before a moment at which this job was already settled. */
static void step_back(struct sched *s, struct entry *e, int64_t back_s, int64_t now_s)
{
	enum policy_step step = policy_classify_step(back_s);

	if (step == STEP_NONE)
		return;
	e->waits_from_s = 0;
	if (step == STEP_REPEAT && policy_keeps_local_slots(e->job, now_s))
		settle(s, e, e->state.watermark_s, true);
	else
		settle(s, e, now_s, true);
}

/* Returns whether this tick may decide: not while a small step is being waited out. */
static bool check_clock(struct sched *s, int64_t now_s)
{
	int64_t back_s = s->last_wall_s - now_s;

	if (s->last_wall_s && back_s > 0) {
		if (policy_classify_step(back_s) == STEP_NONE)
			return false;
		tell_clock(s, SCHED_CLOCK_SET_BACK, back_s);
		for (size_t i = 0; i < s->count; i++) {
			step_back(s, &s->entries[i], back_s, now_s);
			place(s, &s->entries[i]);
		}
	}
	s->last_wall_s = now_s;
	return true;
}

static void read_state(struct sched *s, struct entry *e)
{
	struct sched_job_state fresh = {0};

	if (s->ops.state(s->ops.arg, e->job->name, &fresh)) {
		e->state = fresh;
		return;
	}
	e->state.active = SCHED_IDLE;
	e->state.is_paused = e->state.was_paused = false;
}

/* Slots up to now that nobody will run: one row, and the watermark is now. */
static void drop(struct sched *s, struct entry *e, int64_t now_s, const char *reason)
{
	struct sched_decision d;

	e->waits_from_s = 0;
	if (e->state.watermark_s < now_s &&
		policy_drop(e->job, e->state.watermark_s, now_s, reason, &d))
		s->ops.decide(s->ops.arg, &d, 1);
}

static void resume(struct sched *s, struct entry *e, int64_t now_s)
{
	int64_t watermark_s = e->state.watermark_s;

	drop(s, e, now_s, "paused");
	/* Also where no slot passed: the store forgets the pause. */
	settle(s, e, watermark_s > now_s ? watermark_s : now_s, false);
	read_state(s, e);
}

static void decide(struct sched *s, struct entry *e, int64_t now_s)
{
	struct sched_decision d[POLICY_MAX_DECISIONS];
	struct policy_case c;
	bool waits = false;
	size_t n = 0;

	read_state(s, e);
	if (is_resuming(e, now_s)) {
		resume(s, e, now_s);
	} else if (!is_paused(e, now_s) && !is_waiting(e)) {
		c = (struct policy_case){
			e->job, &e->state, e->jitter, now_s, e->waits_from_s};
		n = policy_decide(&c, d, &waits);
		if (!waits)
			e->waits_from_s = 0;
		else if (!e->waits_from_s)
			e->waits_from_s = now_s;
	}
	if (n) {
		e->state.watermark_s = d[n - 1].watermark_s;
		s->ops.decide(s->ops.arg, d, n);
		read_state(s, e); /* what was committed counts, not what was meant */
	}
	place(s, e);
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
	int64_t now_s = now_seconds(s);

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

static void adopt(struct sched *s, struct entry *e, int64_t now_s);

/* Returns whether the tick may go on. */
static bool check_hold(struct sched *s, int64_t now_s)
{
	bool is_over = clock_mono_us(s->clock) - s->held_since_us >= HOLD_MAX_US;

	if (!s->is_held)
		return true;
	if (!is_over && must_hold(s, now_s))
		return false;
	s->is_held = false;
	tell_clock(s, SCHED_CLOCK_RELEASED, now_s);
	for (size_t i = 0; i < s->count; i++) {
		adopt(s, &s->entries[i], now_s);
		place(s, &s->entries[i]);
	}
	return true;
}

void sched_tick(struct sched *s)
{
	int64_t now_s = now_seconds(s);
	size_t due_count = 0;

	if (s->is_stopped)
		return;
	if (!check_hold(s, now_s)) {
		arm(s, true);
		return;
	}
	s->wake_at_s = 0;
	s->is_refreshed = false;
	if (check_clock(s, now_s)) {
		/* Each job once, so that a commit that fails cannot keep us here. */
		while (s->heap.count && s->heap.items[0]->wake_s <= now_s) {
			s->due[due_count++] = s->heap.items[0];
			heap_remove(&s->heap, s->heap.items[0]);
		}
		for (size_t i = 0; i < due_count && !s->is_stopped; i++)
			decide(s, s->due[i], now_s);
	}
	if (s->ops.tick)
		s->ops.tick(s->ops.arg, now_s);
	arm(s, !s->is_refreshed);
}

/* --- configuration --- */

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->job->name, y->job->name);
}

static struct entry *find(const struct sched *s, const char *name)
{
	const struct conf_job key_job = {.name = (char *)name};
	const struct entry key = {.job = &key_job};

	if (!s->count)
		return NULL;
	return bsearch(&key, s->entries, s->count, sizeof(key), compare_entries);
}

/* A pause that the configuration begins is noted, so that its end is seen after a
 * restart. */
static void note_pause(struct sched *s, struct entry *e)
{
	if (!e->job->is_paused || e->state.was_paused)
		return;
	settle(s, e, e->state.watermark_s, false);
	e->state.was_paused = true;
}

/* A job that this process does not know: from the store, or new altogether. */
static void adopt(struct sched *s, struct entry *e, int64_t now_s)
{
	e->is_unadopted = s->is_held;
	if (s->is_held)
		return;
	if (!s->ops.state(s->ops.arg, e->job->name, &e->state)) {
		e->state = (struct sched_job_state){0};
		settle(s, e, now_s, false);
	} else if (e->state.schedule_hash[0] &&
		   !str_eq(e->state.schedule_hash, e->job->schedule_hash)) {
		settle(s, e, now_s, false);
	} else if (e->state.watermark_s > now_s) {
		step_back(s, e, e->state.watermark_s - now_s, now_s);
	}
	note_pause(s, e);
}

static void carry_over(struct sched *s, struct entry *e, struct entry *old, int64_t now_s)
{
	e->waits_from_s =
		0; /* the policies may have changed: the next tick looks again */
	if (!str_eq(old->job->schedule_hash, e->job->schedule_hash)) {
		drop(s, old, now_s, is_paused(old, now_s) ? "paused" : "edited");
		settle(s, e, now_s, false);
	}
	read_state(s, e);
	note_pause(s, e);
}

static void drop_removed(struct sched *s, const struct conf *next, int64_t now_s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct entry *old = &s->entries[i];
		const struct conf_job *job = conf_find_job(next, old->job->name);

		if (old->is_unadopted || (job && job->schedule))
			continue;
		drop(s, old, now_s, is_paused(old, now_s) ? "paused" : "edited");
		settle(s, old, now_s, false);
	}
}

void sched_set_conf(struct sched *s, const struct conf *c)
{
	const struct conf *old_conf = s->conf;
	struct entry *fresh = mem_array(c->job_count + 1, sizeof(*fresh));
	int64_t now_s = now_seconds(s);
	size_t count = 0;

	conf_ref(c);
	drop_removed(s, c, now_s);
	for (size_t i = 0; i < c->job_count; i++) {
		const struct conf_job *job = c->jobs[i];
		struct entry *e = &fresh[count];
		struct entry *old = find(s, job->name);

		if (!job->schedule)
			continue;
		count++;
		e->job = job;
		e->heap_index = NOT_IN_HEAP;
		e->jitter = jitter_of(s->jitter_key, job->name, job->jitter_s);
		if (old && !old->is_unadopted)
			carry_over(s, e, old, now_s);
		else
			adopt(s, e, now_s);
	}
	qsort(fresh, count, sizeof(*fresh), compare_entries);
	free(s->entries);
	free(s->due);
	heap_done(&s->heap);
	s->entries = fresh;
	s->count = count;
	s->due = mem_array(count + 1, sizeof(struct entry *));
	heap_init(&s->heap, count);
	for (size_t i = 0; i < count; i++)
		place(s, &s->entries[i]);
	s->conf = c;
	conf_unref(old_conf);
	arm(s, false);
}

void sched_refresh(struct sched *s, const char *job)
{
	struct entry *e = find(s, job);

	if (!e || e->is_unadopted)
		return;
	read_state(s, e);
	place(s, e);
	s->is_refreshed = true;
	arm(s, false);
}

/* --- life and queries --- */

struct sched *sched_new(
	struct loop *loop, const struct clock *clock, const struct sched_ops *ops)
{
	struct sched *s = mem_alloc(sizeof(*s));

	s->loop = loop;
	s->clock = clock;
	s->ops = *ops;
	s->timer_fd = -1;
	jitter_read_key(s->jitter_key);
	if (clock != clock_system()) {
		s->timer = loop_timer_new(loop, on_timer, s);
		return s;
	}
	s->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->timer_fd < 0)
		return sched_free(s);
	s->timer_event = loop_fd_new(loop, s->timer_fd, LOOP_READ, on_timer_fd, s);
	return s->timer_event ? s : sched_free(s);
}

void *sched_free(struct sched *s)
{
	if (!s)
		return NULL;
	loop_fd_free(s->timer_event);
	loop_timer_free(s->timer);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	free(s->entries);
	free(s->due);
	heap_done(&s->heap);
	conf_unref(s->conf);
	free(s);
	return NULL;
}

void sched_stop(struct sched *s)
{
	const struct itimerspec never = {0};

	s->is_stopped = true;
	if (s->timer_fd >= 0)
		timerfd_settime(s->timer_fd, 0, &never, NULL);
	else
		loop_timer_cancel(s->timer);
}

int sched_next(
	struct sched *s, const char *job, struct slot *ret, int64_t *ret_effective_s)
{
	const struct entry *e = find(s, job);

	if (!e || !e->has_next)
		return -ENOENT;
	*ret = e->next;
	*ret_effective_s = e->effective;
	return 0;
}

int64_t sched_start_of(struct sched *s, const char *job, int64_t nominal_s)
{
	const struct entry *e = find(s, job);
	const struct slot slot = {.at_s = nominal_s};

	return e ? jitter_effective(e->job->schedule, &slot, e->jitter) : nominal_s;
}

int sched_next_any(struct sched *s, const char **ret_job, int64_t *ret_effective_s)
{
	const struct entry *first = NULL;

	/* The root, unless that one only wakes for the end of its pause. */
	for (size_t i = 0; i < s->heap.count; i++) {
		const struct entry *e = s->heap.items[i];

		if (e->has_next && (!first || e->wake_s < first->wake_s))
			first = e;
		if (first == s->heap.items[0])
			break;
	}
	if (!first)
		return -ENOENT;
	*ret_job = first->job->name;
	*ret_effective_s = first->effective;
	return 0;
}

uint64_t sched_heap_steps(const struct sched *s)
{
	return s->heap.steps;
}
