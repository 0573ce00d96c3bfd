/* The schedule of a job: one expression or a list, its zone, and what is odd about it. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/slot.h"
#include "conf/conf_build.h"

/* One job's schedule while it is read. */
struct reader {
	const struct spot *spot;
	const struct raw_job *raw;
	struct conf_job *job;
	const char *key; /* "schedule", "every" or "calendar" */
	const struct node *node;
	enum schedule_syntax syntax;
	struct conf_texts texts; /* borrowed */
};

static const struct node *node_of(const struct reader *r, size_t i)
{
	return r->node && r->node->kind == NODE_LIST ? r->node->items[i] : r->node;
}

static bool choose_key(struct reader *r, struct raw_job *raw)
{
	const struct {
		const char *key;
		enum schedule_syntax syntax;
		struct conf_texts texts;
	} keys[] = {{"schedule", SCHEDULE_AUTO, raw->schedule},
		{"every", SCHEDULE_EVERY, {&raw->every, raw->every != NULL}},
		{"calendar", SCHEDULE_CALENDAR, raw->calendar}};
	int found = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!keys[i].texts.count)
			continue;
		found++;
		r->key = keys[i].key;
		r->syntax = keys[i].syntax;
		r->texts = keys[i].texts;
	}
	if (found > 1)
		spot_complain(r->spot, r->key, NULL,
			"one of schedule, every and calendar, not more");
	else if (found && raw->after.count)
		spot_complain(r->spot, "after", NULL,
			"after stands in place of a schedule, not beside one");
	r->node = found ? node_get(r->spot->map, r->key) : NULL;
	return found == 1;
}

/* The phase belongs to a grid: every and rate(). */
static void check_start(const struct reader *r, const struct raw_job *raw)
{
	bool is_grid = raw->every != NULL;

	for (size_t i = 0; i < raw->schedule.count; i++)
		is_grid |= str_has_prefix(raw->schedule.v[i], "rate(");
	if (node_get(r->spot->map, "start") && !is_grid)
		spot_complain(
			r->spot, "start", NULL, "start goes with every or rate() only");
}

static void tell(const struct reader *r, size_t i, const struct schedule_note *n)
{
	const struct schedule_error *e = &n->what;
	bool is_zone = e->is_timezone && node_get(r->spot->map, "timezone");

	if (n->silenced_by && node_get(r->spot->map, n->silenced_by))
		return;
	spot_say(r->spot, n->is_error ? CONF_ERROR : CONF_WARNING,
		&(struct spot_place){is_zone ? "timezone" : r->key,
			is_zone ? node_get(r->spot->map, "timezone") : node_of(r, i),
			e->is_timezone ? 0 : e->position},
		e->hint, e->text);
}

static struct schedule *read_one(const struct reader *r, size_t i)
{
	const struct schedule_spec spec = {
		.syntax = r->syntax,
		.expression = r->texts.v[i],
		.timezone = r->job->timezone,
		.zones = r->spot->d->conf->zones,
		.start_s = r->raw->start_s,
		.dst_gap = (enum dst_gap)r->raw->dst_gap,
		.dst_overlap = (enum dst_overlap)r->raw->dst_overlap,
		.day_match = (enum day_match)r->raw->day_match,
	};
	struct schedule_note notes[SCHEDULE_NOTES_MAX] = {{.is_error = true}};
	struct schedule *s = NULL;
	size_t n = 1;

	if (schedule_new(&spec, &s, &notes[0].what) == 0)
		n = schedule_lint(s, r->spot->d->conf->loaded_at_s, notes);
	for (size_t k = 0; k < n; k++)
		tell(r, i, &notes[k]);
	return s;
}

static void hash_schedule(struct conf_job *job, const struct reader *r)
{
	struct buf text = BUF_INIT(256 * 1024);

	for (size_t i = 0; i < r->texts.count; i++)
		buf_printf(&text, "%s\n", r->texts.v[i]);
	buf_printf(&text, "%s\n%lld\n%lld\n%lld\n%lld", job->timezone,
		(long long)r->raw->start_s, (long long)r->raw->dst_gap,
		(long long)r->raw->dst_overlap, (long long)r->raw->day_match);
	crypto_sha256_hex(text.data, text.len, job->schedule_hash);
	buf_done(&text);
}

static char *join(const struct conf_texts *texts)
{
	struct buf out = BUF_INIT(256 * 1024);

	for (size_t i = 0; i < texts->count; i++)
		buf_printf(&out, "%s%s", i ? "; " : "", texts->v[i]);
	return buf_take(&out);
}

void schedule_finish(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	struct reader r = {s, raw, job};
	struct schedule **members;
	struct schedule_note note;
	size_t n = 0, errors;

	job->timezone = MEM_STEAL(raw->timezone);
	check_start(&r, raw);
	if (!choose_key(&r, raw))
		return; /* none: manual runs only */
	errors = s->d->messages->errors;
	members = mem_array(r.texts.count, sizeof(struct schedule *));
	for (size_t i = 0; i < r.texts.count; i++) {
		struct schedule *one = read_one(&r, i);

		if (one)
			members[n++] = one;
	}
	if (n == r.texts.count) {
		job->schedule = schedule_merge(members, n);
		job->schedule_text = join(&r.texts);
		hash_schedule(job, &r);
		if (s->d->messages->errors == errors &&
			schedule_lint_future(
				job->schedule, s->d->conf->loaded_at_s, &note))
			tell(&r, 0, &note);
	} else {
		while (n)
			schedule_free(members[--n]);
	}
	free(members);
}
