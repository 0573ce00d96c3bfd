/* What somebody may have meant by a word that the language does not have. Pure. */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf_build.h"

/* Words of cron tools, Kubernetes and EventBridge, and ours. */
static const struct {
	const char *theirs, *ours;
} synonyms[] = {
	{"cron", "schedule"},
	{"schedule_expression", "schedule"},
	{"schedule_expression_timezone", "timezone"},
	{"interval", "every"},
	{"enabled", "paused"},
	{"disabled", "paused"},
	{"suspend", "paused"},
	{"retries", "retry"},
	{"start_deadline", "starting_deadline"},
	{"starting_deadline_seconds", "starting_deadline"},
	{"concurrency_policy", "overlap"},
	{"src", "source"},
	{"from", "source"},
	{"dst", "destination"},
	{"dest", "destination"},
	{"target", "destination"},
	{"to", "destination"},
	{"arn", "role_arn"},
	{"endpoint", "endpoint_url"},
	{"bucket", "url"},
	{"path", "url"},
	{"uri", "url"},
};

/* "RoleArn", "roleArn", "role-arn" -> "role_arn" */
static void to_snake(const char *key, char *out, size_t size)
{
	size_t n = 0;

	for (const char *p = key; *p && n + 2 < size; p++) {
		if (isupper((unsigned char)*p) && p > key &&
			islower((unsigned char)p[-1]))
			out[n++] = '_';
		out[n++] = *p == '-' ? '_' : (char)tolower((unsigned char)*p);
	}
	out[n] = '\0';
}

static const char *nearest_in(enum schema_section section, const char *key)
{
	const char *names[128];
	size_t n = 0;

	for (size_t i = 0; i < schema_row_count && n + 1 < ARRAY_LEN(names); i++) {
		if (schema_rows[i].section == section &&
			schema_rows[i].type != SCHEMA_PLANNED)
			names[n++] = schema_rows[i].key;
	}
	names[n] = NULL;
	return str_nearest(key, names);
}

/* Cost: one distance a row; keys are cut so that a long one costs nothing. */
void hint_for_key(enum schema_section section, const char *key, char *hint, size_t size)
{
	char word[48];
	const char *near;

	*hint = '\0';
	if (strlen(key) >= sizeof(word) - 2)
		return;
	to_snake(key, word, sizeof(word));
	for (int s = 0; s < SCHEMA_SECTIONS; s++) {
		enum schema_section other = (enum schema_section)s;

		if (other == section || !schema_find(other, word) ||
			schema_find(section, word))
			continue;
		snprintf(hint, size, "'%s' belongs in %s", word,
			schema_section_name(other));
		return;
	}
	near = nearest_in(section, word);
	for (size_t i = 0; !near && i < ARRAY_LEN(synonyms); i++) {
		if (strcmp(synonyms[i].theirs, word) == 0 &&
			schema_find(section, synonyms[i].ours))
			near = synonyms[i].ours;
	}
	if (near) {
		snprintf(hint, size, "did you mean '%s'?", near);
		return;
	}
	for (int s = 0; s < SCHEMA_SECTIONS && !near; s++) {
		near = nearest_in((enum schema_section)s, word);
		if (near)
			snprintf(hint, size, "did you mean '%s'? It belongs in %s", near,
				schema_section_name((enum schema_section)s));
	}
}

void hint_for_name(const char *const *names, const char *text, char *hint, size_t size)
{
	const char *near = strlen(text) <= 200 ? str_nearest(text, names) : NULL;

	*hint = '\0';
	if (near)
		snprintf(hint, size, "did you mean '%.200s'?", near);
}
