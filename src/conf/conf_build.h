/* Shared by conf_build, conf_check and conf_load alone: one load in progress. */
#pragma once

#include "conf/conf.h"
#include "conf/conf_load.h"
#include "conf/conf_schema.h"
#include "conf/conf_yaml.h"

struct draft_job {
	struct raw_job raw;
	const struct source *src;
	const struct node *name, *map; /* for positions */
};

struct draft_profile {
	struct conf_profile *profile;
	const struct source *src;
	const struct node *name, *map;
};

struct draft {
	struct conf *conf;
	struct conf_messages *messages;
	struct raw_top top;
	struct raw_job defaults;
	struct draft_job *jobs;
	size_t job_count;
	struct draft_profile *profiles;
	size_t profile_count;
	bool has_secret; /* source lines must not be shown */
};

/* One file's tree into the draft; is_main: the file that may hold more than jobs. */
void draft_read(struct draft *d, const struct source *src, const struct node *root,
	bool is_main);
void draft_init(struct draft *d, struct conf *conf, struct conf_messages *messages);
void draft_done(struct draft *d);

/* conf_check.c: everything that needs more than one value; fills d->conf. */
void draft_finish(struct draft *d);
