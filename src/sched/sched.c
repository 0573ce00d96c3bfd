/*
 * The heap of next times, the timer that wakes us for the first, and the state of each
 * job between wakes. What is decided about a slot is in policy.c; nothing is started
 * here.
 */
#include "config.h"

#include "sched/sched.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/loop.h"
#include "sched/policy.h"

#define WAKE_MAX_S   INT64_C(3600) /* the longest a missed clock change can fool us */
#define WAKE_RETRY_S INT64_C(5)    /* when a decision could not be committed */
#define NOT_IN_HEAP  SIZE_MAX
#define APP_ID       "s3ferry.jitter.1"

struct entry {
	const struct conf_job *job; /* of s->conf */
	struct sched_job_state state;
	int64_t jitter;
	bool has_next, is_resuming;
	struct slot next;
	int64_t effective;
	size_t heap_index;
};

struct sched {
	struct loop *loop;
	const struct clock *clock;
	struct sched_ops ops;
	const struct conf *conf;
	struct entry *entries; /* by name */
	size_t count;
	struct entry **heap;
	size_t heap_count;
	int timer_fd; /* -1: the clock is a test's, and `timer` runs on it */
	struct loop_fd *timer_event;
	struct loop_timer *timer;
	uint8_t jitter_key[CRYPTO_SHA256_LEN];
	int64_t last_wall_s; /* of the newest tick; 0: none yet */
	bool is_stopped;
};

/* --- heap, by start and then by name --- */

static bool is_before(const struct entry *a, const struct entry *b)
{
	if (a->effective != b->effective)
		return a->effective < b->effective;
	if (a->next.at_s != b->next.at_s)
		return a->next.at_s < b->next.at_s;
	return strcmp(a->job->name, b->job->name) < 0;
}

static void heap_set(struct sched *s, size_t i, struct entry *e)
{
	s->heap[i] = e;
	e->heap_index = i;
}

static void heap_up(struct sched *s, size_t i)
{
	struct entry *e = s->heap[i];

	for (; i > 0 && is_before(e, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_set(s, i, s->heap[(i - 1) / 2]);
	heap_set(s, i, e);
}

static void heap_down(struct sched *s, size_t i)
{
	struct entry *e = s->heap[i];
	size_t child;

	while ((child = 2 * i + 1) < s->heap_count) {
		if (child + 1 < s->heap_count &&
			is_before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!is_before(s->heap[child], e))
			break;
		heap_set(s, i, s->heap[child]);
		i = child;
	}
	heap_set(s, i, e);
}

static void heap_remove(struct sched *s, struct entry *e)
{
	size_t i = e->heap_index;

	if (i == NOT_IN_HEAP)
		return;
	e->heap_index = NOT_IN_HEAP;
	if (i == --s->heap_count)
		return;
	heap_set(s, i, s->heap[s->heap_count]);
	heap_up(s, i);
	heap_down(s, s->heap[i]->heap_index);
}

static bool is_paused(const struct entry *e)
{
	return e->state.is_paused || e->job->is_paused;
}

/* Give the entry its place after its watermark, pause or job changed. */
static void place(struct sched *s, struct entry *e)
{
	heap_remove(s, e);
	e->has_next = !is_paused(e) && policy_next(e->job, e->state.watermark_s,
					       e->jitter, &e->next, &e->effective) == 0;
	if (!e->has_next)
		return;
	heap_set(s, s->heap_count++, e);
	heap_up(s, e->heap_index);
}

/* --- timer --- */

static int64_t now_seconds(const struct sched *s)
{
	return clock_wall_us(s->clock) / USEC_PER_SEC;
}

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

static bool has_resuming(const struct sched *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->entries[i].is_resuming)
			return true;
	return false;
}

static void arm(struct sched *s, bool is_after_tick)
{
	int64_t now_s = now_seconds(s), at_s = now_s + WAKE_MAX_S;

	if (s->is_stopped)
		return;
	if (s->heap_count && s->heap[0]->effective < at_s)
		at_s = s->heap[0]->effective;
	if (!is_after_tick && has_resuming(s))
		at_s = now_s;
	if (is_after_tick && at_s <= now_s)
		at_s = now_s + WAKE_RETRY_S;
	arm_at(s, at_s, now_s);
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

/* The clock stands `back_s` before a moment at which this job was already settled. */
static void step_back(struct sched *s, struct entry *e, int64_t back_s, int64_t now_s)
{
	enum policy_step step = policy_classify_step(back_s);

	if (step == STEP_NONE)
		return;
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
	e->state.is_running = false;
	e->state.is_paused = false;
}

static void resume(struct sched *s, struct entry *e, int64_t now_s)
{
	struct sched_decision d;

	e->is_resuming = false;
	if (is_paused(e))
		return;
	if (e->state.watermark_s < now_s) {
		if (policy_resume(e->job, e->state.watermark_s, now_s, &d))
			s->ops.decide(s->ops.arg, &d, 1);
		else
			settle(s, e, now_s, false);
		e->state.watermark_s = now_s;
	}
	place(s, e);
}

static void decide(struct sched *s, struct entry *e, int64_t now_s)
{
	struct sched_decision d[POLICY_MAX_DECISIONS];
	size_t n;

	read_state(s, e);
	n = is_paused(e) || e->is_resuming
		    ? 0
		    : policy_decide(e->job, &e->state, e->jitter, now_s, d);
	if (n) {
		e->state.watermark_s = d[n - 1].watermark_s;
		s->ops.decide(s->ops.arg, d, n);
		read_state(s, e); /* what was committed counts, not what was meant */
	}
	place(s, e);
}

void sched_tick(struct sched *s)
{
	_cleanup_free_ struct entry **due = NULL;
	int64_t now_s = now_seconds(s);
	size_t due_count = 0;

	if (s->is_stopped)
		return;
	if (check_clock(s, now_s)) {
		for (size_t i = 0; i < s->count; i++)
			if (s->entries[i].is_resuming)
				resume(s, &s->entries[i], now_s);
		/* Each job once, so that a commit that fails cannot keep us here. */
		due = mem_array(s->count + 1, sizeof(struct entry *));
		while (s->heap_count && s->heap[0]->effective <= now_s) {
			due[due_count++] = s->heap[0];
			heap_remove(s, s->heap[0]);
		}
		for (size_t i = 0; i < due_count && !s->is_stopped; i++)
			decide(s, due[i], now_s);
	}
	if (s->ops.tick)
		s->ops.tick(s->ops.arg, now_s);
	arm(s, true);
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

/* A job that this process does not know: from the store, or new altogether. */
static void adopt(struct sched *s, struct entry *e, int64_t now_s)
{
	if (!s->ops.state(s->ops.arg, e->job->name, &e->state)) {
		e->state = (struct sched_job_state){0};
		settle(s, e, now_s, false);
	} else if (e->state.schedule_hash[0] &&
		   !str_eq(e->state.schedule_hash, e->job->schedule_hash)) {
		settle(s, e, now_s, false);
	} else if (e->state.watermark_s > now_s) {
		step_back(s, e, e->state.watermark_s - now_s, now_s);
	}
}

static void carry_over(
	struct sched *s, struct entry *e, const struct entry *old, int64_t now_s)
{
	e->state = old->state;
	read_state(s, e);
	e->is_resuming = old->is_resuming || (is_paused(old) && !is_paused(e));
	if (str_eq(old->job->schedule_hash, e->job->schedule_hash))
		return;
	e->is_resuming = false;
	settle(s, e, now_s, false);
}

void sched_set_conf(struct sched *s, const struct conf *c)
{
	const struct conf *old_conf = s->conf;
	struct entry *fresh = mem_array(c->job_count + 1, sizeof(*fresh));
	int64_t now_s = now_seconds(s);
	size_t count = 0;

	conf_ref(c);
	for (size_t i = 0; i < c->job_count; i++) {
		const struct conf_job *job = c->jobs[i];
		struct entry *e = &fresh[count];
		const struct entry *old = find(s, job->name);

		if (!job->schedule)
			continue;
		count++;
		e->job = job;
		e->heap_index = NOT_IN_HEAP;
		e->jitter = policy_jitter(s->jitter_key, job->name, job->jitter_s);
		if (old)
			carry_over(s, e, old, now_s);
		else
			adopt(s, e, now_s);
	}
	qsort(fresh, count, sizeof(*fresh), compare_entries);
	free(s->entries);
	free(s->heap);
	s->entries = fresh;
	s->count = count;
	s->heap = mem_array(count + 1, sizeof(struct entry *));
	s->heap_count = 0;
	for (size_t i = 0; i < count; i++)
		place(s, &s->entries[i]);
	s->conf = c;
	conf_unref(old_conf);
	arm(s, false);
}

void sched_refresh(struct sched *s, const char *job)
{
	struct entry *e = find(s, job);
	bool was_paused;

	if (!e)
		return;
	was_paused = is_paused(e);
	read_state(s, e);
	if (was_paused && !is_paused(e))
		e->is_resuming = true;
	place(s, e);
	arm(s, false);
}

/* --- life and queries --- */

/* The machine's id keys the jitter and goes nowhere else: neither log nor error text. */
static void read_jitter_key(uint8_t key[CRYPTO_SHA256_LEN])
{
	char id[64] = "";
	ssize_t n = 0;
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, id, sizeof(id));
		close(fd);
	}
	crypto_hmac_sha256(id, n > 0 ? (size_t)n : 0, APP_ID, strlen(APP_ID), key);
	mem_wipe(id, sizeof(id));
}

struct sched *sched_new(
	struct loop *loop, const struct clock *clock, const struct sched_ops *ops)
{
	struct sched *s = mem_alloc(sizeof(*s));

	s->loop = loop;
	s->clock = clock;
	s->ops = *ops;
	s->timer_fd = -1;
	read_jitter_key(s->jitter_key);
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
	free(s->heap);
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

int sched_next_any(struct sched *s, const char **ret_job, int64_t *ret_effective_s)
{
	if (!s->heap_count)
		return -ENOENT;
	*ret_job = s->heap[0]->job->name;
	*ret_effective_s = s->heap[0]->effective;
	return 0;
}
