/* `after`: each name is a job, and nobody waits for himself, through others either. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf_build.h"

#define SHOWN_MAX 200 /* of a long circle */

enum mark {
	UNSEEN,
	SETTLED, /* in no circle, or its circle was told */
	ON_WALK,
};

/* Of one check; the arrays go by the place of a job in conf->jobs. */
struct circles {
	struct draft *d;
	struct draft_job **drafts;
	enum mark *marks;
	size_t *next; /* of a job on the walk: the first of its `after` not yet followed
		       */
	size_t *walk;
	size_t depth;
};

static size_t place_of(const struct conf *c, const char *name)
{
	size_t low = 0, high = c->job_count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(c->jobs[mid]->name, name);

		if (order == 0)
			return mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return SIZE_MAX;
}

static struct spot spot_of(const struct circles *w, size_t job)
{
	const struct draft_job *dj = w->drafts[job];
	struct spot s = {w->d, dj->src, dj->name, dj->map, ""};

	conf_join_path(s.path, "jobs", dj->name->text);
	return s;
}

static void tell_circle(const struct circles *w, size_t from)
{
	struct buf text = BUF_INIT(SHOWN_MAX + 600);
	struct spot s = spot_of(w, w->walk[from]);

	buf_printf(&text, "it waits for itself: %s", s.name->text);
	for (size_t i = from + 1; i < w->depth && text.len < SHOWN_MAX; i++)
		buf_printf(&text, ", after %s", w->d->conf->jobs[w->walk[i]]->name);
	buf_printf(&text, ", after %s", s.name->text);
	spot_complain(&s, "after", NULL, buf_str(&text));
	buf_done(&text);
}

static void enter(struct circles *w, size_t job)
{
	if (w->marks[job] == ON_WALK) {
		size_t from = w->depth;

		while (w->walk[--from] != job)
			;
		tell_circle(w, from);
	} else if (w->marks[job] == UNSEEN) {
		w->marks[job] = ON_WALK;
		w->walk[w->depth++] = job;
	}
}

/* Depth first, without recursion: a chain may have as many jobs as fit into a file. */
static void follow(struct circles *w, size_t first)
{
	const struct conf *c = w->d->conf;

	enter(w, first);
	while (w->depth) {
		size_t job = w->walk[w->depth - 1];
		const struct conf_texts *after = &c->jobs[job]->after;

		if (w->next[job] < after->count) {
			size_t up = place_of(c, after->v[w->next[job]++]);

			if (up != SIZE_MAX)
				enter(w, up);
		} else {
			w->marks[job] = SETTLED;
			w->depth--;
		}
	}
}

static void check_names(const struct circles *w, size_t job, const char *const *names)
{
	const struct conf *c = w->d->conf;
	const struct conf_texts *after = &c->jobs[job]->after;
	struct spot s = spot_of(w, job);
	const struct node *value = node_get(s.map, "after");
	char text[300], hint[300];

	for (size_t i = 0; i < after->count; i++) {
		bool is_known = place_of(c, after->v[i]) != SIZE_MAX || w->d->is_partial;
		size_t first = 0;

		while (!str_eq(after->v[first], after->v[i]))
			first++;
		if (is_known && first == i)
			continue;
		*hint = '\0';
		if (!is_known)
			hint_for_name(names, after->v[i], hint, sizeof(hint));
		snprintf(text, sizeof(text),
			is_known ? "the job '%.200s' stands twice"
				 : "there is no job '%.200s'",
			after->v[i]);
		spot_say(&s, CONF_ERROR,
			&(struct spot_place){"after",
				value->kind == NODE_LIST ? value->items[i] : value, 0},
			hint, text);
	}
}

void after_finish(struct draft *d)
{
	struct conf *c = d->conf;
	struct circles w = {d, mem_array(c->job_count + 1, sizeof(struct draft_job *)),
		mem_array(c->job_count + 1, sizeof(*w.marks)),
		mem_array(c->job_count + 1, sizeof(*w.next)),
		mem_array(c->job_count + 1, sizeof(*w.walk)), 0};
	const char **names = mem_array(c->job_count + 1, sizeof(*names));
	bool *is_known = mem_array(c->job_count + 1, sizeof(*is_known));

	for (size_t i = 0; i < c->job_count; i++)
		names[i] = c->jobs[i]->name;
	for (size_t i = 0; i < d->job_count; i++) {
		size_t at = place_of(c, d->jobs[i].name->text);

		if (w.drafts[at])
			w.marks[at] = SETTLED; /* it stands twice, and that was told */
		w.drafts[at] = &d->jobs[i];
	}
	for (size_t i = 0; i < c->job_count; i++)
		is_known[i] = w.drafts[i] && w.marks[i] == UNSEEN;
	for (size_t i = 0; i < c->job_count; i++) {
		if (c->jobs[i]->after.count && is_known[i]) {
			check_names(&w, i, names);
			follow(&w, i);
		}
	}
	free(names);
	free(is_known);
	free(w.drafts);
	free(w.marks);
	free(w.next);
	free(w.walk);
}
