/* What needs more than one value: references, URLs, roles, schedules. Fills the conf. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/mem.h"
#include "base/s3name.h"
#include "base/str.h"
#include "calendar/template.h"
#include "conf/conf_build.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void put(const struct spot *s, const char *key, char *path, size_t size,
	const struct node **ret)
{
	snprintf(path, size, "%s%s%s", s->path, key ? "." : "", key ? key : "");
	*ret = key && s->map ? node_get(s->map, key) : NULL;
}

void spot_say(const struct spot *s, enum conf_severity severity,
	const struct spot_place *p, const char *hint, const char *text)
{
	const struct node *at = p->node;
	struct conf_place place = {s->src, at ? at : s->name};
	char path[400];

	snprintf(path, sizeof(path), "%s.%s", s->path, p->key);
	place.key_path = path;
	if (at && at->kind == NODE_SCALAR && at->is_exact) {
		place.shift = !at->is_plain;
		for (size_t i = 0; i < p->position && at->text[i]; i++)
			place.shift += ((unsigned char)at->text[i] & 0xc0) != 0x80;
	}
	if (severity == CONF_ERROR)
		conf_complain(s->d->messages, &place, hint, "%s", text);
	else
		conf_warn(s->d->messages, &place, hint, "%s", text);
}

void spot_complain_inside(const struct spot *s, const char *key, size_t position,
	const char *hint, const char *text)
{
	spot_say(s, CONF_ERROR,
		&(struct spot_place){
			key, s->map ? node_get(s->map, key) : NULL, position},
		hint, text);
}

void spot_complain(
	const struct spot *s, const char *key, const char *hint, const char *text)
{
	const struct node *at;
	char path[400];

	put(s, key, path, sizeof(path), &at);
	conf_complain(s->d->messages,
		&(struct conf_place){s->src, at ? at : s->name, 0, path}, hint, "%s",
		text);
}

void spot_warn(const struct spot *s, const char *key, const char *hint, const char *text)
{
	const struct node *at;
	char path[400];

	put(s, key, path, sizeof(path), &at);
	conf_warn(s->d->messages,
		&(struct conf_place){s->src, at ? at : s->name, 0, path}, hint, "%s",
		text);
}

static bool is_made_of(const char *s, const char *allowed, size_t min, size_t max)
{
	size_t n = strlen(s);

	return n >= min && n <= max && strspn(s, allowed) == n;
}

/* --- sides --- */

static bool parse_url(const struct spot *s, const char *url, struct conf_side *side)
{
	char why[S3NAME_WHY_SIZE];
	const char *rest = url + 5;
	size_t n;

	if (!str_has_prefix(url, "s3://") && !str_has_prefix(url, "file://")) {
		spot_complain(s, "url", "s3://bucket/key, or file:///path",
			"not an S3 URL, nor one of a local file");
		return false;
	}
	if (str_has_prefix(url, "file://"))
		return file_parse_url(s, url, side);
	n = s3name_bucket_len(rest);
	side->bucket = mem_strndup(rest, n);
	side->key = mem_strdup(rest[n] ? rest + n + 1 : "");
	side->is_prefix = !*side->key || str_has_suffix(side->key, "/");
	if (s3name_check_bucket(side->bucket, why) < 0) {
		spot_complain_inside(s, "url", 5, NULL, why);
		return false;
	}
	if (strlen(side->key) > 1024) {
		spot_complain(s, "url", NULL, "a key has 1,024 bytes at most");
		return false;
	}
	return true;
}

static void unknown_profile(
	const struct spot *s, const struct spot *job, const char *name)
{
	struct draft *d = s->d;
	const char **names = mem_array(d->profile_count + 1, sizeof(*names));
	char text[300], hint[300];

	for (size_t i = 0; i < d->profile_count; i++)
		names[i] = d->profiles[i].profile->name;
	hint_for_name(names, name, hint, sizeof(hint));
	snprintf(text, sizeof(text), "there is no profile '%.200s'", name);
	/* It may stand in the file that could not be read. */
	if (!d->is_partial)
		spot_complain(
			node_get(s->map, "profile") ? s : job, "profile", hint, text);
	free(names);
}

static void finish_side(const struct spot *job, const char *key, const char *job_profile,
	struct raw_side *raw, struct conf_side *side, unsigned max_match)
{
	bool is_destination = strcmp(key, "destination") == 0;
	struct spot s = {
		job->d, job->src, node_key(job->map, key), node_get(job->map, key), ""};
	bool is_file = raw->url && str_has_prefix(raw->url, "file:");
	const char *name = raw->profile || is_file ? raw->profile : job_profile;

	conf_join_path(s.path, job->path, key);
	if (s.map && s.map->kind != NODE_MAP)
		return;
	if (!s.map) {
		char text[100];

		snprintf(text, sizeof(text), "the key '%s' is missing", key);
		spot_complain(job, NULL, NULL, text);
		return;
	}
	side->mark = (struct conf_mark){s.src->path, s.map->line, s.map->col};
	if (name) {
		struct draft_profile *dp = draft_profile_find(job->d, name);

		if (dp) {
			side->profile = dp->profile;
			dp->is_used = true;
		} else {
			unknown_profile(&s, job, name);
		}
	} else if (!is_file && !node_get(s.map, "profile") &&
		   !node_get(job->map, "profile")) {
		spot_complain(&s, NULL, "profile: NAME",
			"a profile is missing: it names the identity and the region");
	}
	if (!raw->url && node_get(s.map, "url"))
		return; /* something was said about it */
	if (!raw->url) {
		spot_complain(
			&s, NULL, "url: s3://bucket/key", "the key 'url' is missing");
		return;
	}
	side->url = MEM_STEAL(raw->url);
	if (!parse_url(&s, side->url, side))
		return;
	file_finish_side(&s, raw, is_destination, side);
	key_finish(&s, side, !is_destination, max_match);
}

/* --- jobs --- */

/* Names of buckets are unique in AWS; elsewhere each identity may have its own. */
bool side_is_same_bucket(const struct conf_side *a, const struct conf_side *b)
{
	const char *x = a->profile ? a->profile->endpoint_url : NULL;
	const char *y = b->profile ? b->profile->endpoint_url : NULL;

	return a->scheme == b->scheme && str_eq(a->bucket, b->bucket) && str_eq(x, y) &&
	       (!x || a->profile == b->profile);
}

/* A glob without two stars takes nothing from folders below. */
static bool is_flat_glob(const struct conf_side *side)
{
	return side->is_glob && !strstr(side->key, "**");
}

static void check_sides(const struct spot *s, const struct conf_job *job)
{
	const struct conf_side *from = &job->source, *to = &job->destination;
	const char *last;

	if (!from->name || !to->name)
		return;
	if (from->is_prefix && !to->is_prefix && !template_matches(to->name))
		spot_complain(s, NULL, "end the destination's url with /",
			"many objects cannot go to one key");
	if (from->scheme == CONF_FILE && to->scheme == CONF_FILE)
		spot_complain(s, NULL, NULL,
			"source and destination are both local: one side must be S3");
	if (!side_is_same_bucket(from, to) || is_flat_glob(from))
		return;
	last = strrchr(from->key, '/');
	last = last ? last + 1 : from->key;
	if (str_eq(from->key, to->key) ||
		(!from->is_prefix && to->is_prefix &&
			str_has_prefix(from->key, to->key) &&
			strcmp(from->key + strlen(to->key), last) == 0))
		spot_complain(s, NULL, NULL, "source and destination are the same");
	else if (from->is_prefix && str_has_prefix(to->key, from->key))
		spot_complain(s, NULL, NULL, "the destination lies inside the source");
}

static void finish_job(struct draft *d, const struct draft_job *dj, struct raw_job *raw,
	struct conf_job *job)
{
	struct spot s = {d, dj->src, dj->name, dj->map, ""};

	conf_join_path(s.path, "jobs", dj->name->text);
	job->name = mem_strdup(dj->name->text);
	job->mark = (struct conf_mark){dj->src->path, dj->name->line, dj->name->col};
	job->action = (enum conf_action)raw->action;
	job->overlap = (enum conf_overlap)raw->overlap;
	job->catch_up = (enum conf_catch_up)raw->catch_up;
	job->catch_up_limit = raw->catch_up_limit;
	job->starting_deadline_s = raw->starting_deadline_s;
	job->jitter_s = raw->jitter_s;
	job->timeout_s = raw->timeout_s;
	job->is_paused = raw->is_paused;
	job->retry = (struct conf_retry){raw->retry.attempts, raw->retry.backoff_s,
		raw->retry.factor, raw->retry.max_backoff_s};
	job->priority = (enum conf_priority)raw->priority;
	job->limits = (struct conf_limits){
		raw->limits.objects, raw->limits.parts, raw->limits.part_bytes};
	job->manifest = raw->manifest;
	job->bandwidth = raw->bandwidth;
	raw->bandwidth = (struct conf_bandwidth){0};
	bandwidth_finish(&job->bandwidth, raw->timezone);
	if (dj->map->kind != NODE_MAP)
		return;
	finish_side(&s, "source", raw->profile, &raw->source, &job->source, 0);
	finish_side(&s, "destination", raw->profile, &raw->destination, &job->destination,
		job->source.is_glob ? GLOB_SPANS : 0);
	fidelity_finish(&s, raw, job);
	schedule_finish(&s, raw, job);
	job->after = conf_texts_take(&raw->after);
	window_finish(&s, &raw->window, job);
	session_finish(&s, raw, job);
	select_finish(&s, raw, job);
	check_sides(&s, job);
	if (job->retry.backoff_s > job->retry.max_backoff_s)
		spot_complain(&s, "retry", NULL, "backoff is longer than max_backoff");
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct conf_job *const *)a)->name,
		(*(struct conf_job *const *)b)->name);
}

static int profile_by_name(const void *a, const void *b)
{
	return strcmp((*(struct conf_profile *const *)a)->name,
		(*(struct conf_profile *const *)b)->name);
}

/* "${cred:NAME}" is a file that systemd made for us. */
static char *credential_path(struct draft *d, const char *text, const char *key)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct conf_place at = {d->main_src, node_get(d->main_root, key), 0, key};
	size_t n = text ? strlen(text) : 0;
	char *name, *path = NULL;

	if (!text || !strstr(text, "${"))
		return mem_strdup(text);
	if (!str_has_prefix(text, "${cred:") || text[n - 1] != '}') {
		conf_complain(d->messages, &at, NULL, "not ${cred:NAME}");
		return NULL;
	}
	name = mem_strndup(text + 7, n - 8);
	if (!is_made_of(name, LETTERS "-_.", 1, 255) || *name == '.')
		conf_complain(d->messages, &at, NULL, "not ${cred:NAME}");
	else if (dir)
		path = mem_printf("%s/%s", dir, name);
	else
		path = mem_strdup(text);
	/* s3ferryctl check runs outside the unit; the daemon's failed look-up names it.
	 */
	if (path && !dir)
		conf_warn(d->messages, &at, "LoadCredential=NAME:FILE in the unit",
			"no systemd credentials were passed to this process");
	free(name);
	return path;
}

static int draft_job_by_name(const void *a, const void *b)
{
	const struct draft_job *x = *(struct draft_job *const *)a;
	const struct draft_job *y = *(struct draft_job *const *)b;
	int c = strcmp(x->name->text, y->name->text);

	/* The order of reading decides which is the second. */
	return c ? c : (x > y) - (x < y);
}

/* Two in one file are a duplicate key, and were said to be. */
static void check_double_jobs(struct draft *d)
{
	struct draft_job **all = mem_array(d->job_count, sizeof(struct draft_job *));

	for (size_t i = 0; i < d->job_count; i++)
		all[i] = &d->jobs[i];
	qsort(all, d->job_count, sizeof(struct draft_job *), draft_job_by_name);
	for (size_t i = 1; i < d->job_count; i++) {
		struct spot s = {d, all[i]->src, all[i]->name, all[i]->map, ""};
		char text[400];

		if (strcmp(all[i - 1]->name->text, all[i]->name->text) != 0 ||
			all[i - 1]->src == all[i]->src)
			continue;
		snprintf(s.path, sizeof(s.path), "jobs.%.250s", all[i]->name->text);
		snprintf(text, sizeof(text), "the job stands already in %.200s:%d",
			all[i - 1]->src->path, all[i - 1]->name->line);
		spot_complain(&s, NULL, NULL, text);
	}
	free(all);
}

void draft_finish(struct draft *d)
{
	struct conf *c = d->conf;
	struct raw_job raw;

	c->max_parallel_runs = d->top.max_parallel_runs;
	c->engines = d->top.engines;
	c->memory_bytes = d->top.memory_bytes;
	c->bandwidth = d->top.bandwidth;
	d->top.bandwidth = (struct conf_bandwidth){0};
	bandwidth_finish(&c->bandwidth, d->defaults.timezone);
	c->aws_config_file = credential_path(
		d, d->top.aws_config_file, "aws_config_file");
	c->aws_credentials_file = credential_path(
		d, d->top.aws_credentials_file, "aws_credentials_file");
	check_profiles(d);
	c->profile_count = d->profile_count;
	c->profiles = mem_array(d->profile_count, sizeof(*c->profiles));
	c->job_count = d->job_count;
	c->jobs = mem_array(d->job_count, sizeof(*c->jobs));
	check_double_jobs(d);
	for (size_t i = 0; i < d->job_count; i++) {
		c->jobs[i] = mem_alloc(sizeof(*c->jobs[i]));
		draft_read_job(d, &d->jobs[i], &raw);
		finish_job(d, &d->jobs[i], &raw, c->jobs[i]);
		raw_job_done(&raw);
	}
	select_check_jobs(d);
	for (size_t i = 0; i < d->profile_count; i++) {
		const struct draft_profile *dp = &d->profiles[i];
		struct spot s = {d, dp->src, dp->name, dp->map, ""};

		c->profiles[i] = dp->profile;
		snprintf(s.path, sizeof(s.path), "profiles.%.250s", dp->profile->name);
		if (!dp->is_used && d->job_count && !d->is_partial)
			spot_warn(&s, NULL, NULL, "no job uses this profile");
	}
	qsort(c->jobs, c->job_count, sizeof(*c->jobs), by_name);
	qsort(c->profiles, c->profile_count, sizeof(*c->profiles), profile_by_name);
	after_finish(d);
	places_finish(d);
}
