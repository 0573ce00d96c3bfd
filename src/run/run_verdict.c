/*
 * How a run ends: what was counted against what the job asks for. Nothing is done here.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/loop.h"
#include "run/run_impl.h"

static bool is_missing(const struct run *r)
{
	return r->is_single ? r->is_missing : !r->sides[RUN_SOURCE].taken;
}

int64_t run_wait_ms(struct run *r)
{
	const struct conf_missing *m = &r->job->missing;
	int64_t now_us = clock_mono_us(loop_clock(r->env.loop)), left_us;

	if (r->options.is_dry || r->is_given_up || r->report.objects_failed)
		return -1;
	if (!m->is_set || !is_missing(r))
		return -1;
	if (!r->waited_since_us)
		r->waited_since_us = now_us;
	left_us = r->waited_since_us + m->wait_s * USEC_PER_SEC - now_us;
	if (left_us <= 0)
		return -1;
	return left_us < m->poll_s * USEC_PER_SEC ? left_us / 1000 : m->poll_s * 1000;
}

bool run_is_restoring(const struct run *r)
{
	return r->restoring && !r->options.is_dry && !r->is_given_up;
}

enum run_verdict run_park(struct run *r)
{
	struct run_report *rep = &r->report;
	char counts[300], text[32];

	rep->again_s = r->job->select.restore.poll_s;
	run_counts_text(rep, counts, sizeof(counts));
	snprintf(rep->reason, sizeof(rep->reason), "%s", reason_code(REASON_RUN_RESTORING));
	snprintf(rep->message, sizeof(rep->message),
		"%llu object%s being restored from an archive; the run is parked and looks "
		"again in %s (%s)",
		(unsigned long long)r->restoring, r->restoring == 1 ? " is" : "s are",
		str_format_duration(rep->again_s * USEC_PER_SEC, text, sizeof(text)),
		counts);
	return RUN_ENDED_PARKED;
}

static enum run_verdict judge_missing(struct run *r)
{
	struct run_report *rep = &r->report;
	_cleanup_free_ char *url = run_side_url(&r->sides[RUN_SOURCE]);

	snprintf(rep->reason, sizeof(rep->reason), "%s",
		reason_code(REASON_RUN_SOURCE_MISSING));
	snprintf(rep->message, sizeof(rep->message),
		"source %.400s: nothing came within if_missing.wait", url);
	return r->job->missing.is_skipped ? RUN_ENDED_SKIPPED : RUN_ENDED_FAILED;
}

/* NULL, or what was expected and did not come. */
static const char *disappointment(const struct run *r, char *out, size_t size)
{
	const struct conf_expect *x = &r->job->expect;
	uint64_t objects = r->sides[RUN_SOURCE].taken;
	int64_t oldest_us = (r->options.nominal_s - x->newer_than_s) * USEC_PER_SEC;

	if (x->min_objects >= 0 && objects < (uint64_t)x->min_objects)
		snprintf(out, size, "%llu objects, and min_objects is %lld",
			(unsigned long long)objects, (long long)x->min_objects);
	else if (x->max_objects >= 0 && objects > (uint64_t)x->max_objects)
		snprintf(out, size, "%llu objects, and max_objects is %lld",
			(unsigned long long)objects, (long long)x->max_objects);
	else if (x->min_bytes >= 0 && r->taken_bytes < (uint64_t)x->min_bytes)
		snprintf(out, size, "%llu bytes, and min_bytes is %lld",
			(unsigned long long)r->taken_bytes, (long long)x->min_bytes);
	else if (x->newer_than_s && r->is_single && !r->newest_us)
		snprintf(out, size, "the server does not tell whether the object is newer than "
				    "newer_than");
	else if (x->newer_than_s && r->newest_us < oldest_us)
		snprintf(out, size, "no object is newer than newer_than");
	else
		return NULL;
	return out;
}

static bool has_succeeded_partly(const struct run_report *rep)
{
	return rep->objects || rep->counts[REASON_SAME] || rep->counts[REASON_DELETED] ||
	       rep->counts[REASON_TRASHED] || rep->counts[REASON_MOVED];
}

enum run_verdict run_judge(struct run *r)
{
	struct run_report *rep = &r->report;
	char text[200];

	if (r->is_listing_failed)
		return RUN_ENDED_FAILED;
	if (rep->objects_failed)
		return has_succeeded_partly(rep) ? RUN_ENDED_PARTIAL : RUN_ENDED_FAILED;
	if (r->is_braked)
		return RUN_ENDED_FAILED;
	if (r->job->missing.is_set && is_missing(r) && !r->options.is_dry)
		return judge_missing(r);
	if (!disappointment(r, text, sizeof(text)))
		return RUN_ENDED_SUCCEEDED;
	snprintf(rep->reason, sizeof(rep->reason), "%s",
		reason_code(REASON_RUN_EXPECTATION));
	snprintf(rep->message, sizeof(rep->message), "not what was expected: %s", text);
	return RUN_ENDED_FAILED;
}
