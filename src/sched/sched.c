/*
 * The heap of next times, the timer that wakes us for the first, and the state of each
 * job between wakes. What is decided about a slot is in policy.c, what a clock or a zone
 * that changed asks for in sched_clock.c; nothing is started here.
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
#include "sched/sched_impl.h"

#define WAKE_MAX_S   INT64_C(3600) /* the longest a missed clock change can fool us */
#define WAKE_RETRY_S INT64_C(5)    /* when a decision could not be committed */
#define HOLD_LOOK_S  INT64_C(10)   /* nothing tells when the clock was synchronised */

int64_t sched_now(const struct sched *s)
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

/* What the job owes: see policy_overdue(). */
static void expect_success(struct entry *e, int64_t now_s)
{
	const struct policy_case c = {e->job, &e->state, e->jitter, now_s, 0};

	e->unserved.at_s = e->overdue_at_s = INT64_MAX;
	if (is_paused(e, now_s) || policy_overdue(&c, &e->unserved, &e->overdue_at_s) < 0)
		e->unserved.at_s = e->overdue_at_s = INT64_MAX;
}

/* When an entry has to be looked at; INT64_MAX: when somebody says so. */
static int64_t wake_of(const struct entry *e, int64_t now_s)
{
	int64_t at = INT64_MAX;

	if (e->is_overdue != (now_s >= e->overdue_at_s) || is_resuming(e, now_s))
		return now_s;
	if (is_paused(e, now_s))
		return e->job->is_paused || !e->state.paused_until_s
			       ? INT64_MAX
			       : e->state.paused_until_s;
	if (e->has_next && !is_waiting(e))
		at = e->effective;
	return !e->is_overdue && e->overdue_at_s < at ? e->overdue_at_s : at;
}

/* Give the entry its place after its watermark, pause or job changed. */
void sched_place(struct sched *s, struct entry *e)
{
	int64_t now_s = sched_now(s);

	heap_remove(&s->heap, e);
	if (e->is_unadopted)
		return;
	e->has_next = !is_paused(e, now_s) &&
		      policy_next(e->job, e->state.watermark_s, e->jitter, &e->next,
			      &e->effective) == 0;
	expect_success(e, now_s);
	e->wake_s = wake_of(e, now_s);
	if (e->wake_s != INT64_MAX)
		heap_add(&s->heap, e);
}

/* --- timer --- */

static void arm_at(struct sched *s, int64_t at_s, int64_t now_s)
{
	struct itimerspec when = {.it_value.tv_sec = at_s};

	if (s->timer_fd < 0) {
		loop_timer_set(s->timer,
			(at_s * USEC_PER_SEC - clock_wall_us(s->clock)) / USEC_PER_MSEC);
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
	int64_t now_s = sched_now(s), at_s = now_s + WAKE_MAX_S;

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
	sched_settle(s, e, watermark_s > now_s ? watermark_s : now_s, SCHED_SETTLE_FRESH);
	read_state(s, e);
}

static void check_overdue(struct sched *s, struct entry *e, int64_t now_s)
{
	bool is_overdue;

	expect_success(e, now_s);
	is_overdue = now_s >= e->overdue_at_s;
	if (is_overdue == e->is_overdue)
		return;
	e->is_overdue = is_overdue;
	s->overdue_count += is_overdue ? 1 : -1;
	if (s->ops.overdue)
		s->ops.overdue(
			s->ops.arg, e->job->name, is_overdue ? &e->unserved : NULL);
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
	check_overdue(s, e, now_s);
	sched_place(s, e);
}

void sched_tick(struct sched *s)
{
	int64_t now_s = sched_now(s);
	size_t due_count = 0;

	if (s->is_stopped)
		return;
	if (!sched_check_hold(s, now_s)) {
		arm(s, true);
		return;
	}
	s->wake_at_s = 0;
	s->is_refreshed = false;
	sched_check_zones(s);
	if (sched_check_clock(s, now_s)) {
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
	sched_settle(s, e, e->state.watermark_s, SCHED_SETTLE_PAUSE);
	e->state.was_paused = true;
}

/* A job that this process does not know: from the store, or new altogether. */
void sched_adopt(struct sched *s, struct entry *e, int64_t now_s)
{
	e->is_unadopted = s->is_held;
	if (s->is_held)
		return;
	if (!s->ops.state(s->ops.arg, e->job->name, &e->state)) {
		e->state = (struct sched_job_state){0};
		sched_settle(s, e, now_s, SCHED_SETTLE_FRESH);
	} else if (e->state.schedule_hash[0] &&
		   !str_eq(e->state.schedule_hash, e->job->schedule_hash)) {
		/* The clock may have been set back while it was not in the file. */
		sched_settle(s, e, now_s,
			policy_classify_step(e->state.watermark_s - now_s) == STEP_NONE
				? SCHED_SETTLE_FRESH
				: SCHED_SETTLE_BACK);
	} else if (e->state.watermark_s > now_s) {
		sched_step_back(s, e, e->state.watermark_s - now_s, now_s);
	}
	note_pause(s, e);
}

static void carry_over(struct sched *s, struct entry *e, struct entry *old, int64_t now_s)
{
	/* The policies may have changed: the next tick looks again. */
	e->waits_from_s = 0;
	e->is_overdue = old->is_overdue;
	s->overdue_count += e->is_overdue;
	e->state = old->state; /* who changes it says so: sched_refresh() */
	if (!str_eq(old->job->schedule_hash, e->job->schedule_hash)) {
		drop(s, old, now_s, is_paused(old, now_s) ? "paused" : "edited");
		sched_settle(s, e, now_s, SCHED_SETTLE_FRESH);
		read_state(s, e);
	}
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
		sched_settle(s, old, now_s, SCHED_SETTLE_FRESH);
	}
}

void sched_set_conf(struct sched *s, const struct conf *c)
{
	const struct conf *old_conf = s->conf;
	struct entry *fresh = mem_array(c->job_count + 1, sizeof(*fresh));
	int64_t now_s = sched_now(s);
	size_t count = 0;

	conf_ref(c);
	drop_removed(s, c, now_s);
	s->overdue_count = 0;
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
			sched_adopt(s, e, now_s);
	}
	free(s->entries);
	free(s->due);
	heap_done(&s->heap);
	s->entries = fresh;
	s->count = count;
	s->due = mem_array(count + 1, sizeof(struct entry *));
	heap_init(&s->heap, count);
	for (size_t i = 0; i < count; i++)
		sched_place(s, &s->entries[i]);
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
	sched_place(s, e);
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
	loop_fd_hurry(s->timer_event);
	return s;
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

/* An item starts no sooner than it wakes: most branches are not looked into. */
static void find_soonest(const struct heap *h, size_t i, const struct entry **best)
{
	const struct entry *e;

	if (i >= h->count || (*best && h->items[i]->wake_s >= (*best)->effective))
		return;
	e = h->items[i];
	if (e->has_next && !is_waiting(e) &&
		(!*best || e->effective < (*best)->effective))
		*best = e;
	find_soonest(h, 2 * i + 1, best);
	find_soonest(h, 2 * i + 2, best);
}

int sched_next_any(struct sched *s, const char **ret_job, int64_t *ret_effective_s)
{
	const struct entry *first = NULL;

	find_soonest(&s->heap, 0, &first);
	if (!first)
		return -ENOENT;
	*ret_job = first->job->name;
	*ret_effective_s = first->effective;
	return 0;
}

bool sched_is_overdue(const struct sched *s, const char *job, struct slot *ret)
{
	const struct entry *e = find(s, job);

	if (e && e->is_overdue)
		*ret = e->unserved;
	return e && e->is_overdue;
}

size_t sched_overdue_count(const struct sched *s)
{
	return s->overdue_count;
}

uint64_t sched_heap_steps(const struct sched *s)
{
	return s->heap.steps;
}
