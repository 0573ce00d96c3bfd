/*
 * @reboot: one slot a start of the kernel, whenever the daemon first sees it. The
 * kernel's boot id is the slot's key, so that a restart of the daemon repeats nothing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/str.h"
#include "calendar/slot.h"
#include "conf/conf.h"
#include "daemon/core_impl.h"
#include "run/message_ids.h"

static bool read_boot_id(char out[64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, 63);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return *out != '\0';
}

static int insert(
	struct core *c, struct store_run *row, enum run_state state, const char *reason)
{
	row->state = state;
	row->ended_at = run_state_is_open(state) ? 0 : row->claimed_at;
	snprintf(row->reason, sizeof(row->reason), "%s", reason);
	return store_run_insert(c->store, row);
}

/* One that only boots start is settled up to now; another has slots of its own to settle.
 */
static int settle(struct core *c, const struct conf_job *job, struct store_job *state)
{
	struct slot slot;

	if (schedule_next(job->schedule, state->watermark, &slot) == 0)
		return 0;
	state->watermark = state->served = core_now_s(c);
	return store_job_put(c->store, state);
}

static int try_one(struct core *c, const struct conf_job *job, const char *boot_id)
{
	int64_t now_s = core_now_s(c);
	struct store_run row = {.trigger = TRIGGER_SCHEDULE,
		.nominal_at = now_s,
		.claimed_at = now_s,
		.first_at = now_s,
		.last_at = now_s,
		.count = 1};
	struct store_job state;
	int r = store_job_get(c->store, job->name, &state);

	/* New, edited or resumed since: the next boot is its first. */
	if (r < 0 || state.watermark >= now_s - clock_mono_us(c->clock) / USEC_PER_SEC)
		return r == -ENOENT ? 0 : r;
	crypto_uuid(row.id);
	snprintf(row.job, sizeof(row.job), "%s", job->name);
	snprintf(row.slot, sizeof(row.slot), "boot/%s", boot_id);
	if (core_is_paused(job, &state, now_s))
		r = insert(c, &row, RUN_SKIPPED, "paused");
	else
		r = insert(c, &row, RUN_CLAIMED, "");
	if (r == -EEXIST) /* a run is open, or this boot has had its own */
		r = insert(c, &row, RUN_SKIPPED, "overlap");
	if (r == -EEXIST)
		return 0;
	if (r == 0)
		r = settle(c, job, &state);
	if (r == 0 && row.state == RUN_CLAIMED)
		core_enqueue(c, &row);
	return r;
}

void core_boot_try(struct core *c)
{
	char boot_id[64];
	int r;

	if (!c->is_boot_due || c->is_stopping || c->exit_code ||
		sched_is_held(c->sched) || !read_boot_id(boot_id))
		return;
	c->is_boot_due = false;
	r = store_begin(c->store);
	for (size_t i = 0; r == 0 && i < c->conf->job_count; i++) {
		const struct conf_job *job = c->conf->jobs[i];

		if (job->schedule && schedule_is_boot(job->schedule))
			r = try_one(c, job, boot_id);
	}
	if (r == 0)
		r = store_commit(c->store);
	else
		store_rollback(c->store);
	if (r < 0)
		core_store_failed(c, r, "boot");
}
