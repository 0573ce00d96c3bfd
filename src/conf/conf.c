/* A configuration's life: counted references, look-up, release. */
#include "config.h"

#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "calendar/slot.h"
#include "calendar/template.h"
#include "calendar/tz.h"
#include "calendar/tz_set.h"

const struct conf *conf_ref(const struct conf *c)
{
	((struct conf *)c)->refs++;
	return c;
}

void conf_texts_done(struct conf_texts *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->v[i]);
	free(t->v);
}

struct conf_texts conf_texts_take(struct conf_texts *t)
{
	struct conf_texts ret = *t;

	*t = (struct conf_texts){0};
	return ret;
}

void conf_profile_free(struct conf_profile *p)
{
	for (size_t i = 0; i < p->tag_count; i++) {
		free(p->tags[i].key);
		free(p->tags[i].value);
	}
	free(p->tags);
	conf_texts_done(&p->session_policy_arns);
	conf_texts_done(&p->transitive_tag_keys);
	free(p->session_policy);
	free(p->source_identity);
	free(p->credential_process);
	free(p->web_identity_token_file);
	free(p->name);
	free(p->role_arn);
	free(p->source_profile);
	free(p->credential_source);
	free(p->external_id);
	free(p->role_session_name);
	free(p->region);
	free(p->endpoint_url);
	free(p->ca_bundle);
	free(p);
}

static void side_done(struct conf_side *s)
{
	free(s->url);
	free(s->bucket);
	free(s->key);
	free(s->expected_owner);
	free(s->written.storage_class);
	free(s->written.kms_key_id);
	template_free(s->name);
}

static void job_free(struct conf_job *job)
{
	free(job->name);
	free(job->schedule_text);
	free(job->timezone);
	schedule_free(job->schedule);
	schedule_free(job->window.opens);
	schedule_free(job->window.closes);
	schedule_free(job->expect.by);
	conf_texts_done(&job->after);
	conf_bandwidth_done(&job->bandwidth);
	if (job->session)
		conf_profile_free(job->session);
	conf_texts_done(&job->select.include);
	conf_texts_done(&job->select.exclude);
	conf_texts_done(&job->select.storage_classes);
	template_free(job->rename);
	template_free(job->delete.trash);
	template_free(job->manifest_prefix);
	side_done(&job->source);
	side_done(&job->destination);
	free(job);
}

void *conf_unref(const struct conf *constant)
{
	struct conf *c = (struct conf *)constant;

	if (!c || --c->refs)
		return NULL;
	for (size_t i = 0; i < c->job_count; i++)
		job_free(c->jobs[i]);
	for (size_t i = 0; i < c->profile_count; i++)
		conf_profile_free(c->profiles[i]);
	for (size_t i = 0; i < c->file_count; i++)
		free(c->files[i]);
	tz_set_free(c->zones);
	conf_bandwidth_done(&c->bandwidth);
	free(c->jobs);
	free(c->profiles);
	free(c->files);
	free(c->path);
	free(c->aws_config_file);
	free(c->aws_credentials_file);
	free(c);
	return NULL;
}

bool conf_window_is_open(const struct conf_window *w, int64_t now_s, int64_t *ret_next_s)
{
	struct slot opened, closed, next;
	bool is_open;

	*ret_next_s = INT64_MAX;
	if (!w->opens)
		return true;
	is_open = schedule_prev(w->opens, now_s, &opened) == 0 &&
		  (schedule_prev(w->closes, now_s, &closed) < 0 ||
			  closed.at_s < opened.at_s);
	if (schedule_next(is_open ? w->closes : w->opens, now_s, &next) == 0)
		*ret_next_s = next.at_s;
	return is_open;
}

int64_t conf_bandwidth_at(const struct conf_bandwidth *b, int64_t now_s)
{
	struct tz_interval interval = {.offset_s = 0};
	struct clock_utc local;

	if (b->zone)
		tz_interval_at(b->zone, now_s, &interval);
	clock_utc_from_seconds(now_s + interval.offset_s, &local);
	for (size_t i = 0; i < b->count; i++) {
		const struct conf_bandwidth_rule *r = &b->rules[i];

		if (r->is_always || hours_hold(&r->hours, local.weekday,
					    local.hour * 60 + local.minute))
			return r->bytes_s;
	}
	return 0;
}

bool conf_bandwidth_changes(const struct conf_bandwidth *b)
{
	return b->count && !b->rules[0].is_always;
}

void conf_bandwidth_done(struct conf_bandwidth *b)
{
	free(b->rules);
	tz_free(b->zone);
	*b = (struct conf_bandwidth){0};
}

static int compare_name(const void *name, const void *job)
{
	return strcmp(name, (*(struct conf_job *const *)job)->name);
}

const struct conf_job *conf_find_job(const struct conf *c, const char *name)
{
	struct conf_job **found = NULL;

	if (c->job_count)
		found = bsearch(name, c->jobs, c->job_count, sizeof(struct conf_job *),
			compare_name);
	return found ? *found : NULL;
}

const struct conf_profile *conf_find_profile(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->profile_count; i++) {
		if (strcmp(c->profiles[i]->name, name) == 0)
			return c->profiles[i];
	}
	return NULL;
}
