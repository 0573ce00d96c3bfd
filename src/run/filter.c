/* Names by two sets of patterns, numbers by their bounds. No listing, no clock. */
#include "config.h"

#include "run/filter.h"

#include <stdlib.h>

#include "base/glob.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/lister.h"

struct filter {
	struct filter_spec spec;            /* its classes are ours */
	struct glob_set *include, *exclude; /* include NULL: all */
	int64_t now_us;
};

struct filter *filter_new(const struct filter_spec *spec)
{
	struct filter *f = mem_alloc(sizeof(*f));
	char **classes = mem_array(spec->storage_class_count + 1, sizeof(*classes));

	f->spec = *spec;
	f->now_us = spec->slot_us;
	if (spec->include_count)
		f->include = glob_set_new(spec->include, spec->include_count);
	f->exclude = glob_set_new(spec->exclude, spec->exclude_count);
	for (size_t i = 0; i < spec->storage_class_count; i++)
		classes[i] = mem_strdup(spec->storage_classes[i]);
	f->spec.storage_classes = (const char *const *)classes;
	return f;
}

void *filter_free(struct filter *f)
{
	if (f) {
		for (size_t i = 0; i < f->spec.storage_class_count; i++)
			free((char *)f->spec.storage_classes[i]);
		free((void *)f->spec.storage_classes);
		glob_set_free(f->include);
		glob_set_free(f->exclude);
		free(f);
	}
	return NULL;
}

void filter_set_now(struct filter *f, int64_t now_us)
{
	f->now_us = now_us;
}

bool filter_takes_name(struct filter *f, const char *key, size_t len)
{
	return (!f->include || glob_set_match(f->include, key, len)) &&
	       !(f->spec.exclude_count && glob_set_match(f->exclude, key, len));
}

static bool has_class(const struct filter *f, const char *name)
{
	/* A listing may leave out the standard one. */
	if (!*name)
		name = "STANDARD";
	for (size_t i = 0; i < f->spec.storage_class_count; i++)
		if (str_eq(f->spec.storage_classes[i], name))
			return true;
	return !f->spec.storage_class_count;
}

enum reason filter_check(struct filter *f, const struct lister_entry *e)
{
	const struct filter_spec *s = &f->spec;
	int64_t age_us = s->slot_us - e->modified_us;

	if (!filter_takes_name(f, e->key, e->key_len))
		return REASON_FILTERED;
	if (s->min_size != FILTER_NONE && e->size < s->min_size)
		return REASON_TOO_SMALL;
	if (s->max_size != FILTER_NONE && e->size > s->max_size)
		return REASON_TOO_LARGE;
	if (s->newer_than_us != FILTER_NONE && age_us >= s->newer_than_us)
		return REASON_TOO_OLD;
	if (s->older_than_us != FILTER_NONE && age_us <= s->older_than_us)
		return REASON_TOO_NEW;
	if (!has_class(f, e->storage_class))
		return REASON_STORAGE_CLASS;
	if (s->stable_for_us != FILTER_NONE &&
		f->now_us - e->modified_us < s->stable_for_us)
		return REASON_UNSTABLE;
	return REASON_NONE;
}

static const struct glob *first_match(
	const struct glob *const *globs, size_t count, const char *key, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (glob_match(globs[i], key, len))
			return globs[i];
	return NULL;
}

void filter_explain(const struct filter *f, const char *key, size_t len,
	const struct glob **ret_exclude, const struct glob **ret_include)
{
	*ret_exclude = first_match(f->spec.exclude, f->spec.exclude_count, key, len);
	*ret_include = *ret_exclude ? NULL
				    : first_match(f->spec.include, f->spec.include_count,
					      key, len);
}
