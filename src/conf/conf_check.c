/* What needs more than one value: references, URLs, roles, schedules. Fills the conf. */
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

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* Where to point: the value of a key in a map, else the map's name. */
struct spot {
	struct draft *d;
	const struct source *src;
	const struct node *name, *map;
	char path[300];
};

static void complain(const struct spot *s, const char *key, int shift, const char *hint,
	const char *text)
{
	const struct node *at = key ? node_get(s->map, key) : NULL;
	char path[400];

	snprintf(path, sizeof(path), "%s%s%s", s->path, key ? "." : "", key ? key : "");
	/* A quoted scalar begins one column before its text. */
	if (at && shift)
		shift += at->kind == NODE_SCALAR && !at->is_plain;
	conf_complain(s->d->messages,
		&(struct conf_place){s->src, at ? at : s->name, at ? shift : 0, path}, hint,
		"%s", text);
}

/* --- profiles --- */

static bool is_role_arn(const char *arn)
{
	const char *account = strstr(arn, ":iam::");

	if (!str_has_prefix(arn, "arn:aws") || !account)
		return false;
	account += 6;
	return strspn(account, "0123456789") == 12 && strncmp(account + 12, ":role/", 6) == 0 &&
	       account[18] && strlen(arn) <= 2048 && !strpbrk(arn, " \t\n");
}

static bool is_made_of(const char *s, const char *allowed, size_t min, size_t max)
{
	size_t n = strlen(s);

	return n >= min && n <= max && strspn(s, allowed) == n;
}

static struct conf_profile *find_profile(const struct draft *d, const char *name)
{
	for (size_t i = 0; i < d->profile_count; i++) {
		if (strcmp(d->profiles[i].profile->name, name) == 0)
			return d->profiles[i].profile;
	}
	return NULL;
}

static void check_chain(const struct spot *s, const struct conf_profile *p)
{
	const struct conf_profile *step = p;
	size_t steps = 0;

	while (step && step->source_profile) {
		step = find_profile(s->d, step->source_profile);
		if (step == p || ++steps > s->d->profile_count) {
			complain(s, "source_profile", 0, NULL, "the chain of profiles is a loop");
			return;
		}
	}
	step = p->source_profile ? find_profile(s->d, p->source_profile) : NULL;
	if (step && step->role_arn && p->duration_s > 3600)
		complain(s, "duration_seconds", 0, "3600 at most",
			"a role assumed from another role lives one hour at most");
}

static void check_endpoint(const struct spot *s, const struct conf_profile *p)
{
	const char *url = p->endpoint_url, *host = url ? strstr(url, "://") : NULL;

	if (!url)
		return;
	if (!host || (!str_has_prefix(url, "https://") && !str_has_prefix(url, "http://")))
		complain(s, "endpoint_url", 0, NULL, "it must begin with https:// or http://");
	else if (!host[3] || strpbrk(host + 3, "@?# "))
		complain(s, "endpoint_url", 0, NULL,
			"a host, maybe a port and a path, and nothing else");
}

static void check_profile(struct draft *d, const struct draft_profile *dp)
{
	const struct conf_profile *p = dp->profile;
	struct spot s = {d, dp->src, dp->name, dp->map, ""};

	snprintf(s.path, sizeof(s.path), "profiles.%.250s", p->name);
	if (p->role_arn && !is_role_arn(p->role_arn))
		complain(&s, "role_arn", 0, "arn:aws:iam::123456789012:role/NAME",
			"not the ARN of a role");
	if (!p->role_arn && (p->source_profile || p->external_id || p->duration_s))
		complain(&s, NULL, 0, NULL, "role_arn is missing, so nothing is assumed");
	if (p->external_id && !is_made_of(p->external_id, LETTERS "_+=,.@:/-", 2, 1224))
		complain(&s, "external_id", 0, NULL,
			"2 to 1,224 letters, digits and _+=,.@:/-");
	if (p->role_session_name &&
		!is_made_of(p->role_session_name, LETTERS "_+=,.@-", 2, 64))
		complain(&s, "role_session_name", 0, NULL,
			"2 to 64 letters, digits and _+=,.@-");
	if (p->duration_s && p->duration_s < 900 && !p->endpoint_url)
		complain(&s, "duration_seconds", 0, "900 to 43200",
			"AWS gives sessions of 900 seconds and more");
	if (p->region && !is_made_of(p->region, LETTERS "-", 2, 40))
		complain(&s, "region", 0, NULL, "not a region");
	if (!p->region && !p->endpoint_url)
		complain(&s, NULL, 0, "region: eu-central-1", "region is missing");
	check_endpoint(&s, p);
	check_chain(&s, p);
}

/* --- sides --- */

static bool parse_url(const struct spot *s, const char *url, struct conf_side *side)
{
	const char *bucket = url + 5, *slash;

	if (str_has_prefix(url, "file://")) {
		complain(s, "url", 0, NULL, "local files are not supported by this version");
		return false;
	}
	if (!str_has_prefix(url, "s3://")) {
		complain(s, "url", 0, "s3://bucket/key", "not an S3 URL");
		return false;
	}
	if (strstr(url, "${")) {
		complain(s, "url", 0, NULL,
			"templates such as ${date} are not supported by this version");
		return false;
	}
	slash = strchr(bucket, '/');
	side->bucket = slash ? mem_strndup(bucket, (size_t)(slash - bucket))
			     : mem_strdup(bucket);
	side->key = mem_strdup(slash ? slash + 1 : "");
	side->is_prefix = !*side->key || str_has_suffix(side->key, "/");
	if (!is_made_of(side->bucket, LETTERS "-_.", 3, 255)) {
		complain(s, "url", 5, NULL, "not the name of a bucket");
		return false;
	}
	if (strlen(side->key) > 1024) {
		complain(s, "url", 0, NULL, "a key has 1,024 bytes at most");
		return false;
	}
	return true;
}

static void unknown_profile(const struct spot *s, const struct spot *job, const char *name)
{
	struct draft *d = s->d;
	const char **names = mem_array(d->profile_count + 1, sizeof(*names));
	const char *near;
	char text[300], hint[300] = "";

	for (size_t i = 0; i < d->profile_count; i++)
		names[i] = d->profiles[i].profile->name;
	near = str_nearest(name, names);
	if (near)
		snprintf(hint, sizeof(hint), "did you mean '%.200s'?", near);
	snprintf(text, sizeof(text), "there is no profile '%.200s'", name);
	complain(node_get(s->map, "profile") ? s : job, "profile", 0, hint, text);
	free(names);
}

static void finish_side(const struct spot *job, const char *key, const char *job_profile,
	struct raw_side *raw, struct conf_side *side)
{
	struct spot s = {job->d, job->src, node_key(job->map, key), node_get(job->map, key), ""};
	const char *name = raw->profile ? raw->profile : job_profile;

	snprintf(s.path, sizeof(s.path), "%.250s.%s", job->path, key);
	if (!s.map) {
		char text[100];

		snprintf(text, sizeof(text), "the key '%s' is missing", key);
		complain(job, NULL, 0, NULL, text);
		return;
	}
	side->mark = (struct conf_mark){s.src->path, s.map->line, s.map->col};
	if (name) {
		side->profile = find_profile(job->d, name);
		if (!side->profile)
			unknown_profile(&s, job, name);
	} else {
		complain(&s, NULL, 0, "profile: NAME",
			"a profile is missing: it names the identity and the region");
	}
	if (!raw->url) {
		complain(&s, NULL, 0, "url: s3://bucket/key", "the key 'url' is missing");
		return;
	}
	side->url = MEM_STEAL(raw->url);
	parse_url(&s, side->url, side);
}

/* --- schedules --- */

static void hash_schedule(struct conf_job *job, const struct raw_job *raw)
{
	struct buf text = BUF_INIT(8192);

	buf_printf(&text, "%s\n%s\n%lld\n%lld\n%lld\n%lld", job->schedule_text, job->timezone,
		(long long)raw->start_s, (long long)raw->dst_gap, (long long)raw->dst_overlap,
		(long long)raw->day_match);
	crypto_sha256_hex(text.data, text.len, job->schedule_hash);
	buf_done(&text);
}

static void finish_schedule(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	const char *key = raw->every ? "every" : "schedule";
	struct schedule_spec spec = {
		.syntax = raw->every ? SCHEDULE_EVERY : SCHEDULE_AUTO,
		.expression = raw->every ? raw->every : raw->schedule,
		.timezone = raw->timezone,
		.start_s = raw->start_s,
		.dst_gap = (enum dst_gap)raw->dst_gap,
		.dst_overlap = (enum dst_overlap)raw->dst_overlap,
		.day_match = (enum day_match)raw->day_match,
	};
	struct schedule_error e;

	job->timezone = MEM_STEAL(raw->timezone);
	spec.timezone = job->timezone;
	if (raw->every && raw->schedule) {
		complain(s, "every", 0, NULL, "either schedule or every, not both");
		return;
	}
	if (!spec.expression)
		return; /* manual runs only */
	job->is_every = raw->every != NULL;
	job->schedule_text = mem_strdup(spec.expression);
	if (schedule_new(&spec, &job->schedule, &e) == 0) {
		hash_schedule(job, raw);
		return;
	}
	if (e.is_timezone)
		complain(s, node_get(s->map, "timezone") ? "timezone" : key, 0, e.hint, e.text);
	else
		complain(s, key, (int)e.position, e.hint, e.text);
}

/* --- jobs --- */

static void finish_job(struct draft *d, struct draft_job *dj, struct conf_job *job)
{
	struct raw_job *raw = &dj->raw;
	struct spot s = {d, dj->src, dj->name, dj->map, ""};

	snprintf(s.path, sizeof(s.path), "jobs.%.250s", dj->name->text);
	job->name = mem_strdup(dj->name->text);
	job->mark = (struct conf_mark){dj->src->path, dj->name->line, dj->name->col};
	job->action = (enum conf_action)raw->action;
	job->overlap = (enum conf_overlap)raw->overlap;
	job->catch_up = (enum conf_catch_up)raw->catch_up;
	job->starting_deadline_s = raw->starting_deadline_s;
	job->jitter_s = raw->jitter_s;
	job->timeout_s = raw->timeout_s;
	job->is_paused = raw->is_paused;
	job->retry = (struct conf_retry){raw->retry.attempts, raw->retry.backoff_s,
		raw->retry.factor, raw->retry.max_backoff_s};
	if (dj->map->kind != NODE_MAP)
		return;
	finish_side(&s, "source", raw->profile, &raw->source, &job->source);
	finish_side(&s, "destination", raw->profile, &raw->destination, &job->destination);
	finish_schedule(&s, raw, job);
	if (job->source.is_prefix && job->destination.key && !job->destination.is_prefix)
		complain(&s, NULL, 0, "end the destination's url with /",
			"many objects cannot go to one key");
	if (job->source.url && str_eq(job->source.url, job->destination.url) &&
		job->source.profile && job->destination.profile &&
		str_eq(job->source.profile->endpoint_url,
			job->destination.profile->endpoint_url))
		complain(&s, NULL, 0, NULL, "source and destination are the same");
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct conf_job *const *)a)->name, (*(struct conf_job *const *)b)->name);
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
	size_t n = text ? strlen(text) : 0;

	if (!text || !str_has_prefix(text, "${cred:"))
		return mem_strdup(text);
	if (n > 8 && text[n - 1] == '}' && !strchr(text, '/') && dir)
		return mem_printf("%s/%.*s", dir, (int)n - 8, text + 7);
	conf_complain(d->messages,
		&(struct conf_place){d->job_count ? d->jobs[0].src : &(struct source){d->conf->path},
			NULL, 0, key},
		"LoadCredential=NAME:FILE in the unit",
		dir ? "'%.100s' is not ${cred:NAME}"
		    : "'%.100s' needs a systemd credential, and none was passed",
		text);
	return NULL;
}

void draft_finish(struct draft *d)
{
	struct conf *c = d->conf;

	c->max_parallel_runs = d->top.max_parallel_runs;
	c->aws_config_file = credential_path(d, d->top.aws_config_file, "aws_config_file");
	c->aws_credentials_file =
		credential_path(d, d->top.aws_credentials_file, "aws_credentials_file");
	c->profile_count = d->profile_count;
	c->profiles = mem_array(d->profile_count, sizeof(*c->profiles));
	for (size_t i = 0; i < d->profile_count; i++) {
		const struct draft_profile *dp = &d->profiles[i];

		c->profiles[i] = dp->profile;
		dp->profile->mark =
			(struct conf_mark){dp->src->path, dp->name->line, dp->name->col};
		check_profile(d, dp);
	}
	c->job_count = d->job_count;
	c->jobs = mem_array(d->job_count, sizeof(*c->jobs));
	for (size_t i = 0; i < d->job_count; i++) {
		c->jobs[i] = mem_alloc(sizeof(*c->jobs[i]));
		finish_job(d, &d->jobs[i], c->jobs[i]);
	}
	qsort(c->jobs, c->job_count, sizeof(*c->jobs), by_name);
	qsort(c->profiles, c->profile_count, sizeof(*c->profiles), profile_by_name);
}
