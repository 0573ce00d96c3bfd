/* What next and calendar are asked about: jobs of a file, or one expression. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct ctl_options;
struct schedule;

struct preview_item {
	const char *name; /* of the job; the expression itself */
	const struct schedule *schedule;
	const char *timezone;
	int64_t jitter; /* seconds, the job's own */
};

struct preview {
	const struct conf *conf;
	struct schedule *own; /* of an expression */
	struct preview_item *items;
	size_t count;
};

/* Something that is no job's name, by its characters: blanks, brackets, @, a digit first.
 */
bool preview_is_expression(const char *text);
/*
 * what: an expression, a job's name, or NULL for all jobs. 0, or an exit code after the
 * reason was told.
 */
int preview_open(const struct ctl_options *o, const char *what, struct preview *ret);
void preview_done(struct preview *p);
