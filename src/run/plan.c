/*
 * The merge of two listings, and the order in which questions are asked of one key. What
 * the answers mean is in filter.c and compare.c; nothing is done here.
 */
#include "config.h"

#include "run/plan.h"

#include <string.h>

#include "base/str.h"
#include "engine/lister.h"
#include "run/filter.h"

static void set(struct plan_step *step, enum plan_action action, enum reason reason)
{
	step->action = action;
	step->reason = reason;
}

/* An empty object that a console made for a folder: nothing to carry. */
static bool is_folder(const struct lister_entry *e)
{
	return e->size == 0 && (!e->key_len || e->key[e->key_len - 1] == '/');
}

bool plan_is_archived(const struct lister_entry *e, int64_t now_us, enum reason *ret)
{
	bool is_over = e->restored_until_us && e->restored_until_us <= now_us;

	if (!str_eq(e->storage_class, "GLACIER") &&
		!str_eq(e->storage_class, "DEEP_ARCHIVE"))
		return false;
	if (e->restore == LISTER_RESTORE_DONE && !is_over)
		return false;
	*ret = e->restore == LISTER_RESTORE_RUNNING ? REASON_RESTORING : REASON_ARCHIVED;
	return true;
}

static void copy(const struct plan *p, struct plan_step *step, enum reason why)
{
	enum reason archived;

	if (plan_is_archived(step->source, p->now_us, &archived))
		set(step, PLAN_ARCHIVED, archived);
	else
		set(step, PLAN_COPY, why);
}

static void weigh(
	const struct plan *p, const struct compare_case *c, struct plan_step *step)
{
	switch (compare(p->compare, c, &step->asks)) {
	case COMPARE_SAME:
		set(step, PLAN_KEEP, REASON_SAME);
		break;
	case COMPARE_DIFFERS:
		copy(p, step, REASON_CHANGED);
		break;
	case COMPARE_UNPROVEN:
		copy(p, step, REASON_UNPROVEN);
		break;
	case COMPARE_ASK:
		set(step, PLAN_ASK, REASON_NONE);
		break;
	}
}

static const struct compare_delivered *record(
	const struct plan *p, const struct lister_entry *e)
{
	if (!p->delivered || p->compare == COMPARE_SIZE || p->compare == COMPARE_MTIME)
		return NULL;
	return p->delivered(p->arg, e->key, e->key_len);
}

/* What both sides have, and the filter lets pass. */
static void decide_both(const struct plan *p, struct plan_step *step)
{
	struct compare_case c = {
		.source = step->source, .destination = step->destination};

	if (step->destination->unfit) {
		set(step, PLAN_SKIP, REASON_OBSTRUCTED);
	} else if (p->overwrite == PLAN_OVERWRITE_ALWAYS) {
		copy(p, step, REASON_FORCED);
	} else if (p->overwrite == PLAN_OVERWRITE_NEVER) {
		set(step, PLAN_KEEP, REASON_EXISTS);
	} else {
		step->delivered = record(p, step->source);
		c.delivered = step->delivered;
		weigh(p, &c, step);
	}
}

void plan_decide(const struct plan *p, const struct lister_entry *source,
	const struct lister_entry *destination, struct plan_step *ret)
{
	enum reason why = REASON_NONE;

	*ret = (struct plan_step){.source = source, .destination = destination};
	if (source->unfit)
		why = REASON_UNFIT;
	else if (is_folder(source))
		why = REASON_FOLDER;
	else if (p->filter)
		why = filter_check(p->filter, source);
	if (why != REASON_NONE)
		set(ret, PLAN_SKIP, why);
	else if (!destination)
		copy(p, ret, REASON_NEW);
	else
		decide_both(p, ret);
}

void plan_settle(
	const struct plan *p, const struct compare_case *c, struct plan_step *ret)
{
	*ret = (struct plan_step){.source = c->source,
		.destination = c->destination,
		.delivered = c->delivered};
	if (!c->source)
		set(ret, PLAN_SKIP, REASON_VANISHED);
	else if (!c->destination)
		copy(p, ret, REASON_NEW);
	else
		weigh(p, c, ret);
}

/* --- the merge --- */

/* A folder of the source that could not be listed: what is below it is not known. */
static void hold(struct plan *p, const struct lister_entry *e)
{
	if (!e->unfit || !e->key_len || e->key[e->key_len - 1] != '/' ||
		e->key_len > sizeof(p->held))
		return;
	memcpy(p->held, e->key, e->key_len);
	p->held_len = e->key_len;
}

static bool is_held(const struct plan *p, const struct lister_entry *e)
{
	return p->held_len && e->key_len >= p->held_len &&
	       memcmp(e->key, p->held, p->held_len) == 0;
}

static void decide_extra(
	const struct plan *p, const struct lister_entry *e, struct plan_step *ret)
{
	*ret = (struct plan_step){.destination = e};
	if (e->unfit || is_held(p, e))
		set(ret, PLAN_SKIP, REASON_UNFIT);
	else if (is_folder(e))
		set(ret, PLAN_SKIP, REASON_FOLDER);
	else if (p->filter && !filter_takes_name(p->filter, e->key, e->key_len))
		set(ret, PLAN_SKIP, REASON_FILTERED);
	else if (p->deletes)
		set(ret, PLAN_DELETE, REASON_GONE);
	else
		set(ret, PLAN_SKIP, REASON_EXTRA);
}

/* < 0: a comes first, also when there is no b. */
static int order(const struct lister_entry *a, const struct lister_entry *b)
{
	size_t len;
	int r;

	if (!a || !b)
		return a ? -1 : 1;
	len = a->key_len < b->key_len ? a->key_len : b->key_len;
	r = memcmp(a->key, b->key, len);
	return r ? r : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

enum plan_result plan_next(struct plan *p, const struct plan_head *source,
	const struct plan_head *destination, struct plan_step *ret)
{
	const struct lister_entry *s = source->entry, *d = destination->entry;
	int first;

	if (!s && !source->has_ended)
		return PLAN_NEED_SOURCE;
	if (!d && !destination->has_ended)
		return PLAN_NEED_DESTINATION;
	if (!s && !d)
		return PLAN_END;
	first = order(s, d);
	if (first <= 0)
		hold(p, s);
	if (first > 0)
		decide_extra(p, d, ret);
	else
		plan_decide(p, s, first == 0 ? d : NULL, ret);
	return PLAN_STEP;
}
