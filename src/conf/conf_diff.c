/* Two configurations compared by name. Pure. */
#include "config.h"

#include "conf/conf_diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/template.h"
#include "conf/conf.h"

static void add(struct conf_diff *d, enum conf_change change, bool is_job, const char *name,
	char *detail)
{
	d->items = mem_grow(d->items, d->count, sizeof(*d->items));
	d->items[d->count++] =
		(struct conf_diff_item){change, is_job, false, mem_strdup(name), detail};
}

static void note(struct buf *out, bool differs, const char *key)
{
	if (differs)
		buf_printf(out, "%s%s", out->len ? ", " : "", key);
}

static bool same_texts(const struct conf_texts *a, const struct conf_texts *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = str_eq(a->v[i], b->v[i]);
	return same;
}

static bool same_tags(const struct conf_profile *a, const struct conf_profile *b)
{
	bool same = a->tag_count == b->tag_count;

	for (size_t i = 0; same && i < a->tag_count; i++)
		same = str_eq(a->tags[i].key, b->tags[i].key) &&
		       str_eq(a->tags[i].value, b->tags[i].value);
	return same;
}

static void compare_variants(
	const struct conf_profile *a, const struct conf_profile *b, struct buf *out)
{
	note(out, a->addressing_style != b->addressing_style, "addressing_style");
	note(out, a->payload_signing != b->payload_signing, "payload_signing");
	note(out, a->allows_plaintext != b->allows_plaintext, "allow_plaintext");
	note(out, a->use_fips != b->use_fips, "use_fips_endpoint");
	note(out, a->use_dual_stack != b->use_dual_stack, "use_dualstack_endpoint");
	note(out, a->use_accelerate != b->use_accelerate, "use_accelerate_endpoint");
	note(out, a->use_arn_region != b->use_arn_region, "s3_use_arn_region");
}

static void compare_profiles(
	const struct conf_profile *a, const struct conf_profile *b, struct buf *out)
{
	note(out, !str_eq(a->role_arn, b->role_arn), "role_arn");
	note(out, !str_eq(a->source_profile, b->source_profile), "source_profile");
	note(out, !str_eq(a->credential_source, b->credential_source), "credential_source");
	note(out, !str_eq(a->external_id, b->external_id), "external_id");
	note(out, !str_eq(a->role_session_name, b->role_session_name), "role_session_name");
	note(out, a->duration_s != b->duration_s, "duration_seconds");
	note(out, !str_eq(a->region, b->region), "region");
	note(out, !str_eq(a->endpoint_url, b->endpoint_url), "endpoint_url");
	note(out, !str_eq(a->ca_bundle, b->ca_bundle), "ca_bundle");
	note(out, !str_eq(a->credential_process, b->credential_process),
		"credential_process");
	note(out, !str_eq(a->web_identity_token_file, b->web_identity_token_file),
		"web_identity_token_file");
	note(out,
		!str_eq(a->session_policy, b->session_policy) ||
			!same_texts(&a->session_policy_arns, &b->session_policy_arns),
		"session_policy");
	note(out, !same_tags(a, b), "tags");
	note(out, !same_texts(&a->transitive_tag_keys, &b->transitive_tag_keys),
		"transitive_tag_keys");
	note(out, !str_eq(a->source_identity, b->source_identity), "source_identity");
	compare_variants(a, b, out);
}

static const char *profile_name(const struct conf_side *s)
{
	return s->profile ? s->profile->name : NULL;
}

static bool written_differs(const struct conf_written *a, const struct conf_written *b)
{
	return !str_eq(a->storage_class, b->storage_class) ||
	       !str_eq(a->encryption, b->encryption) ||
	       !str_eq(a->kms_key_id, b->kms_key_id) ||
	       !str_eq(a->bucket_key, b->bucket_key) || !str_eq(a->acl, b->acl) ||
	       !str_eq(a->object_lock, b->object_lock) || a->retain_s != b->retain_s;
}

static bool side_differs(const struct conf_side *a, const struct conf_side *b)
{
	return !str_eq(a->url, b->url) || !str_eq(profile_name(a), profile_name(b)) ||
	       a->mode != b->mode || a->gid != b->gid ||
	       !str_eq(a->expected_owner, b->expected_owner) ||
	       a->is_requester_paying != b->is_requester_paying ||
	       written_differs(&a->written, &b->written);
}

static bool same_session(const struct conf_profile *a, const struct conf_profile *b)
{
	if (!a || !b)
		return a == b;
	return str_eq(a->session_policy, b->session_policy) &&
	       str_eq(a->role_session_name, b->role_session_name) &&
	       same_texts(&a->session_policy_arns, &b->session_policy_arns) &&
	       same_tags(a, b);
}

static bool same_template(const struct template *a, const struct template *b)
{
	return str_eq(a ? template_text(a) : NULL, b ? template_text(b) : NULL);
}

static bool select_differs(const struct conf_select *a, const struct conf_select *b)
{
	return !same_texts(&a->include, &b->include) ||
	       !same_texts(&a->exclude, &b->exclude) ||
	       !same_texts(&a->storage_classes, &b->storage_classes) ||
	       a->newer_than_s != b->newer_than_s || a->older_than_s != b->older_than_s ||
	       a->min_size != b->min_size || a->max_size != b->max_size ||
	       a->stable_for_s != b->stable_for_s || a->archived != b->archived ||
	       a->restore.days != b->restore.days ||
	       a->restore.tier != b->restore.tier ||
	       a->restore.poll_s != b->restore.poll_s;
}

static bool delete_differs(const struct conf_delete *a, const struct conf_delete *b)
{
	return a->is_on != b->is_on || a->allows_empty != b->allows_empty ||
	       a->max_percent != b->max_percent || a->max_count != b->max_count ||
	       !same_template(a->trash, b->trash);
}

static bool expect_differs(const struct conf_expect *a, const struct conf_expect *b)
{
	return a->min_objects != b->min_objects || a->max_objects != b->max_objects ||
	       a->min_bytes != b->min_bytes || a->newer_than_s != b->newer_than_s ||
	       a->by_minutes != b->by_minutes;
}

static void compare_work(
	const struct conf_job *a, const struct conf_job *b, struct buf *out)
{
	note(out, a->action != b->action, "action");
	note(out, select_differs(&a->select, &b->select), "filters");
	note(out, a->compare != b->compare, "compare");
	note(out, a->is_flat != b->is_flat || !same_template(a->rename, b->rename), "names");
	note(out, delete_differs(&a->delete, &b->delete), "delete");
	note(out,
		a->missing.wait_s != b->missing.wait_s ||
			a->missing.poll_s != b->missing.poll_s ||
			a->missing.is_skipped != b->missing.is_skipped,
		"if_missing");
	note(out, expect_differs(&a->expect, &b->expect), "expect");
}

static bool same_bandwidth(const struct conf_bandwidth *a, const struct conf_bandwidth *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++) {
		const struct conf_bandwidth_rule *x = &a->rules[i], *y = &b->rules[i];

		same = x->bytes_s == y->bytes_s && x->is_always == y->is_always &&
		       x->hours.days == y->hours.days && x->hours.from == y->hours.from &&
		       x->hours.to == y->hours.to;
	}
	return same;
}

static void compare_jobs(const struct conf_job *a, const struct conf_job *b, struct buf *out)
{
	note(out, strcmp(a->schedule_hash, b->schedule_hash) != 0, "schedule");
	note(out, side_differs(&a->source, &b->source), "source");
	note(out, side_differs(&a->destination, &b->destination), "destination");
	note(out, !same_session(a->session, b->session), "session");
	note(out, a->method != b->method, "method");
	note(out, a->overwrite != b->overwrite, "overwrite");
	note(out, a->verify != b->verify, "verify");
	note(out, a->checksum != b->checksum, "checksum_algorithm");
	note(out, a->tags != b->tags, "tags");
	compare_work(a, b, out);
	note(out, a->overlap != b->overlap, "overlap");
	note(out, a->catch_up != b->catch_up, "catch_up");
	note(out, a->catch_up_limit != b->catch_up_limit, "catch_up_limit");
	note(out, a->starting_deadline_s != b->starting_deadline_s, "starting_deadline");
	note(out, a->jitter_s != b->jitter_s, "jitter");
	note(out, a->timeout_s != b->timeout_s, "timeout");
	note(out, a->is_paused != b->is_paused, "paused");
	note(out, a->priority != b->priority, "priority");
	note(out, !same_bandwidth(&a->bandwidth, &b->bandwidth), "bandwidth");
	note(out, !same_texts(&a->after, &b->after), "after");
	note(out,
		!str_eq(a->window_text, b->window_text) ||
			a->window.is_cancelling != b->window.is_cancelling,
		"window");
	note(out,
		a->retry.attempts != b->retry.attempts ||
			a->retry.backoff_s != b->retry.backoff_s ||
			a->retry.factor != b->retry.factor ||
			a->retry.max_backoff_s != b->retry.max_backoff_s,
		"retry");
	note(out,
		a->limits.objects != b->limits.objects ||
			a->limits.parts != b->limits.parts ||
			a->limits.part_bytes != b->limits.part_bytes,
		"limits");
	note(out,
		a->manifest.keep != b->manifest.keep ||
			a->manifest.max_age_s != b->manifest.max_age_s ||
			!same_template(a->manifest_prefix, b->manifest_prefix),
		"manifest");
}

static void diff_profiles(
	const struct conf *before, const struct conf *after, struct conf_diff *ret)
{
	for (size_t i = 0; i < before->profile_count; i++) {
		const struct conf_profile *a = before->profiles[i];
		const struct conf_profile *b = conf_find_profile(after, a->name);
		struct buf detail = BUF_INIT(1024);

		if (!b) {
			add(ret, CONF_REMOVED, false, a->name, NULL);
			continue;
		}
		compare_profiles(a, b, &detail);
		if (detail.len)
			add(ret, CONF_CHANGED, false, a->name, buf_take(&detail));
	}
	for (size_t i = 0; i < after->profile_count; i++) {
		if (!conf_find_profile(before, after->profiles[i]->name))
			add(ret, CONF_ADDED, false, after->profiles[i]->name, NULL);
	}
}

/* Not what takes effect at the next start: the core knows what it began with. */
static void diff_top(
	const struct conf *before, const struct conf *after, struct conf_diff *ret)
{
	struct buf keys = BUF_INIT(1024);

	note(&keys, !str_eq(before->aws_config_file, after->aws_config_file),
		"aws_config_file");
	note(&keys, !str_eq(before->aws_credentials_file, after->aws_credentials_file),
		"aws_credentials_file");
	note(&keys, before->max_parallel_runs != after->max_parallel_runs,
		"max_parallel_runs");
	note(&keys, !same_bandwidth(&before->bandwidth, &after->bandwidth), "bandwidth");
	if (keys.len)
		ret->top = buf_take(&keys);
}

void conf_diff_make(
	const struct conf *before, const struct conf *after, struct conf_diff *ret)
{
	*ret = (struct conf_diff){0};
	diff_top(before, after, ret);
	for (size_t i = 0; i < before->job_count; i++) {
		const struct conf_job *a = before->jobs[i];
		const struct conf_job *b = conf_find_job(after, a->name);
		struct buf detail = BUF_INIT(1024);

		if (!b) {
			add(ret, CONF_REMOVED, true, a->name, NULL);
			continue;
		}
		compare_jobs(a, b, &detail);
		if (!detail.len)
			continue;
		add(ret, CONF_CHANGED, true, a->name, buf_take(&detail));
		ret->items[ret->count - 1].is_schedule_changed =
			strcmp(a->schedule_hash, b->schedule_hash) != 0;
	}
	for (size_t i = 0; i < after->job_count; i++) {
		if (!conf_find_job(before, after->jobs[i]->name))
			add(ret, CONF_ADDED, true, after->jobs[i]->name, NULL);
	}
	diff_profiles(before, after, ret);
}

void conf_diff_done(struct conf_diff *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->items[i].name);
		free(d->items[i].detail);
	}
	free(d->items);
	free(d->top);
	*d = (struct conf_diff){0};
}
