/* What a reload changes: by job and profile name. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct conf;

enum conf_change {
	CONF_ADDED,
	CONF_REMOVED,
	CONF_CHANGED,
};

struct conf_diff_item {
	enum conf_change change;
	bool is_job; /* else a profile */
	bool is_schedule_changed;
	char *name;
	char *detail; /* "schedule, timeout": the keys that differ */
};

struct conf_diff {
	struct conf_diff_item *items;
	size_t count;
	char *top; /* keys of the top level that differ and work at once, or NULL */
};

void conf_diff_make(
	const struct conf *before, const struct conf *after, struct conf_diff *ret);
void conf_diff_done(struct conf_diff *d);
