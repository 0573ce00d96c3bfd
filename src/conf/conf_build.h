/* Shared by conf_build, conf_check and conf_load alone: one load in progress. */
#pragma once

#include "base/arena.h"
#include "conf/conf.h"
#include "conf/conf_load.h"
#include "conf/conf_schema.h"
#include "conf/conf_yaml.h"

struct draft_job {
	const struct source *src;
	const struct node *name, *map;
};

struct draft_profile {
	struct conf_profile *profile;
	const struct source *src;
	const struct node *name, *map;
	bool is_used; /* by a job, or by another profile */
	size_t walk;  /* check_chains: which walk came by */
};

struct draft {
	struct conf *conf;
	struct conf_messages *messages;
	struct arena arena; /* of all trees: messages point to nodes until the end */
	struct raw_top top;
	struct raw_job defaults;
	struct draft_job *jobs;
	size_t job_count;
	struct draft_profile *profiles;
	size_t profile_count;
	const struct source *main_src;
	const struct node *main_root;
	bool has_secret; /* source lines must not be shown */
	bool is_partial; /* some file gave no tree: names may be missing for that reason
			  */
};

/* One file's tree into the draft; is_main: the file that may hold more than jobs. */
void draft_read(
	struct draft *d, const struct source *src, const struct node *root, bool is_main);
void draft_init(struct draft *d, struct conf *conf, struct conf_messages *messages);
void draft_done(struct draft *d);
/* The keys of one job, on top of the defaults; raw_job_done() releases what is not taken.
 */
void draft_read_job(struct draft *d, const struct draft_job *dj, struct raw_job *ret);
void raw_job_done(struct raw_job *raw);

/* conf_secret.c: what must not stand in a file; keys and values of a whole tree. */
bool secret_is_key(const char *key);
bool secret_is_value(const char *text);
/* In a text that is no tree, maybe. */
bool secret_is_in_text(const char *text);
void secret_complain(struct draft *d, const struct source *src, const struct node *root);

/* conf_profile.c: session_policy, tags, transitive_tag_keys of one profile. */
struct profile_place {
	struct draft *d;
	const struct source *src;
	const char *path; /* "profiles.partner.tags" */
};
void profile_take_child(const struct profile_place *at, const char *key,
	const struct node *value, struct conf_profile *p);

/* conf_hint.c: what somebody may have meant; hint is "" where nothing is near. */
void hint_for_key(enum schema_section section, const char *key, char *hint, size_t size);
void hint_for_name(const char *const *names, const char *text, char *hint, size_t size);

/* conf_check_profile.c: each profile alone, and the chains they make. */
void check_profiles(struct draft *d);
/* By name among those of all files, or NULL. */
struct draft_profile *draft_profile_find(const struct draft *d, const char *name);

/* Where to point: the value of a key in a map, else the map's name. */
struct spot {
	struct draft *d;
	const struct source *src;
	const struct node *name, *map;
	char path[300];
};
/* "jobs.daily" and "source" to "jobs.daily.source", cut where it is too long. For each key
 * of each job: not snprintf(). */
void conf_join_path(char out[300], const char *path, const char *name);
void spot_complain(
	const struct spot *s, const char *key, const char *hint, const char *text);
/* Inside the value of a key. */
struct spot_place {
	const char *key;
	const struct node *node; /* of the value or one of its elements; NULL: the name */
	size_t position;         /* byte of it, where the file has it as it is */
};
void spot_say(const struct spot *s, enum conf_severity severity,
	const struct spot_place *p, const char *hint, const char *text);
void spot_complain_inside(const struct spot *s, const char *key, size_t position,
	const char *hint, const char *text);
void spot_warn(const struct spot *s, const char *key, const char *hint, const char *text);

/* conf_check_profile.c: what a job asks for besides its profiles; takes what raw holds. */
void session_finish(const struct spot *s, struct raw_job *raw, struct conf_job *job);

/* conf_schedule.c: schedule, every, calendar and the keys beside them. */
void schedule_finish(const struct spot *s, struct raw_job *raw, struct conf_job *job);

/* conf_after.c: the jobs that others follow, when all are known and sorted. */
void after_finish(struct draft *d);
/* conf_places.c: warnings where two jobs write one key. */
void places_finish(struct draft *d);
/* conf_file.c: local files. false: the url is wrong, and that was said. */
bool file_parse_url(const struct spot *s, const char *url, struct conf_side *side);
/* group, mode, and what a side must not have for its scheme. */
void file_finish_side(const struct spot *s, const struct raw_side *raw, bool is_destination,
	struct conf_side *side);
/* conf_fidelity.c: how objects are read and written; finish comes after both sides. */
void fidelity_take_class(
	const struct profile_place *at, const struct node *value, struct raw_side *raw);
void fidelity_finish(const struct spot *s, struct raw_job *raw, struct conf_job *job);
/* conf_key.c: templates and globs of keys. */
void key_finish(
	const struct spot *s, struct conf_side *side, bool is_source, unsigned max_match);
/* NULL after a complaint. */
struct template *key_compile(
	const struct spot *s, const char *key, const char *text, unsigned max_match);

/* conf_select.c: what a job takes, removes and expects; the sides are known. */
void select_finish(const struct spot *s, struct raw_job *raw, struct conf_job *job);
/* Jobs whose deletes reach what others write; before the jobs are sorted. */
void select_check_jobs(struct draft *d);
/* conf_bandwidth.c */
void bandwidth_take(const struct profile_place *at, const struct node *value,
	struct conf_bandwidth *ret);
void bandwidth_finish(struct conf_bandwidth *b, const char *timezone);
/* conf_window.c */
/* "20:00" as minutes of the day, or -1. */
int window_minutes(const char *text);
/* Each day at that time; where it does not exist, at the first instant after. */
struct schedule *window_daily(
	int minutes, const char *timezone, struct tz_set *zones);
void window_finish(const struct spot *s, struct raw_window *raw, struct conf_job *job);

/* conf_check.c */
bool side_is_same_bucket(const struct conf_side *a, const struct conf_side *b);
/* Everything that needs more than one value; fills d->conf. */
void draft_finish(struct draft *d);
