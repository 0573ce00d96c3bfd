/* Jobs that overwrite each other: the key that each one writes, compared. Warnings only.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf_build.h"

struct place {
	const struct conf_job *job;
	char *key; /* as the configuration has it, with its templates */
	const struct draft_job *draft;
};

static const char *endpoint_of(const struct conf_side *s)
{
	return s->profile && s->profile->endpoint_url ? s->profile->endpoint_url : "";
}

static int compare_store(const struct conf_side *a, const struct conf_side *b)
{
	int order = strcmp(endpoint_of(a), endpoint_of(b));

	return order ? order : strcmp(a->bucket, b->bucket);
}

static int compare(const void *x, const void *y)
{
	const struct place *a = x, *b = y;
	int order = compare_store(&a->job->destination, &b->job->destination);

	if (!order)
		order = strcmp(a->key, b->key);
	return order ? order : strcmp(a->job->name, b->job->name);
}

/* NULL: many keys. Many jobs may fill one prefix, each with names of its own. */
static char *key_of(const struct conf_job *job)
{
	const struct conf_side *from = &job->source, *to = &job->destination;
	const char *slash;

	if (!to->bucket || !to->key || !from->key || from->is_prefix)
		return NULL;
	slash = strrchr(from->key, '/');
	return mem_printf("%s%s", to->key,
		!to->is_prefix ? ""
		: slash        ? slash + 1
			       : from->key);
}

static void check_pair(struct draft *d, const struct place *a, const struct place *b)
{
	struct spot s = {d, b->draft->src, b->draft->name, b->draft->map, ""};
	char text[300];

	if (compare_store(&a->job->destination, &b->job->destination) != 0 ||
		!str_eq(a->key, b->key))
		return;
	conf_join_path(s.path, "jobs", b->job->name);
	snprintf(text, sizeof(text),
		"the job '%.200s' writes the same key: the later one of both overwrites "
		"it",
		a->job->name);
	spot_warn(&s, "destination", "a key of its own for each job", text);
}

void places_finish(struct draft *d)
{
	struct place *places;
	size_t count = 0;

	if (d->messages->errors) /* which come first; then names may stand twice */
		return;
	places = mem_array(d->job_count + 1, sizeof(*places));
	for (size_t i = 0; i < d->job_count; i++) {
		const struct conf_job *job = conf_find_job(
			d->conf, d->jobs[i].name->text);
		char *key = job ? key_of(job) : NULL;

		if (key)
			places[count++] = (struct place){job, key, &d->jobs[i]};
	}
	if (count)
		qsort(places, count, sizeof(*places), compare);
	for (size_t i = 1; i < count; i++)
		if (places[i - 1].job != places[i].job)
			check_pair(d, &places[i - 1], &places[i]);
	for (size_t i = 0; i < count; i++)
		free(places[i].key);
	free(places);
}
