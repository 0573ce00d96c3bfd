/* Profiles to role chains. Pure translation: the words are AWS's on both sides. */
#include "config.h"

#include "run/run_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/settings.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/template.h"
#include "conf/conf.h"
#include "engine/engine_msg.h"
#include "run/session_policy.h"

#define CHAIN_MAX   16
#define SESSION_LEN 65 /* STS takes 2 to 64 characters */

/* Characters outside [\w+=,.@-] become '-'. */
static void default_session_name(const char *profile, char out[SESSION_LEN])
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789_+=,.@-";

	snprintf(out, SESSION_LEN, "s3ferry-%s", profile);
	for (char *p = out; *p; p++) {
		if (!strchr(allowed, *p))
			*p = '-';
	}
}

/* A role as aws/creds wants it; what it points to stays the profile's, but these. */
struct identity {
	struct creds_role role;
	struct settings settings;
	char session_name[SESSION_LEN];
	struct creds_tag *tags;
	char *policy; /* made for a job */
};

static bool is_transitive(const struct conf_profile *c, const char *key)
{
	for (size_t i = 0; i < c->transitive_tag_keys.count; i++) {
		if (strcmp(c->transitive_tag_keys.v[i], key) == 0)
			return true;
	}
	return false;
}

/* outer_region: of the profile that names this one, where it has none itself. */
static struct settings_own own_settings(
	const struct conf_profile *c, const char *outer_region)
{
	static const enum setting_flag flags[] = {[CONF_FLAG_UNSET] = SETTING_UNSET,
		[CONF_FLAG_TRUE] = SETTING_YES,
		[CONF_FLAG_FALSE] = SETTING_NO};
	static const enum endpoint_style styles[] = {
		[CONF_ADDRESSING_AUTO] = ENDPOINT_STYLE_AUTO,
		[CONF_ADDRESSING_VIRTUAL] = ENDPOINT_STYLE_VIRTUAL,
		[CONF_ADDRESSING_PATH] = ENDPOINT_STYLE_PATH};
	static const enum endpoint_payload payloads[] = {
		[CONF_PAYLOAD_AUTO] = ENDPOINT_PAYLOAD_AUTO,
		[CONF_PAYLOAD_ALWAYS] = ENDPOINT_PAYLOAD_ALWAYS,
		[CONF_PAYLOAD_NEVER] = ENDPOINT_PAYLOAD_NEVER};

	return (struct settings_own){
		.region = c->region ? c->region : outer_region,
		.endpoint_url = c->endpoint_url,
		.ca_bundle = c->ca_bundle,
		.use_fips = flags[c->use_fips],
		.use_dual_stack = flags[c->use_dual_stack],
		.use_accelerate = flags[c->use_accelerate],
		.use_arn_region = flags[c->use_arn_region],
		.style = styles[c->addressing_style],
		.payload = payloads[c->payload_signing],
	};
}

static void identity_done(struct identity *id)
{
	settings_done(&id->settings);
	free(id->tags);
	free(id->policy);
}

/* With the settings that it has already. */
static void identity_init(struct identity *id, const struct conf_profile *c)
{
	default_session_name(c->name, id->session_name);
	id->tags = mem_array(c->tag_count, sizeof(*id->tags));
	for (size_t i = 0; i < c->tag_count; i++)
		id->tags[i] = (struct creds_tag){c->tags[i].key, c->tags[i].value,
			is_transitive(c, c->tags[i].key)};
	id->role = (struct creds_role){
		.role_arn = c->role_arn,
		.external_id = c->external_id,
		.role_session_name = c->role_session_name ? c->role_session_name
							  : id->session_name,
		.duration_s = c->duration_s,
		.region = id->settings.region,
		.endpoint_url = id->settings.sts_endpoint_url,
		.ca_bundle = id->settings.ca_bundle,
		.use_fips = id->settings.options.use_fips,
		.use_dual_stack = id->settings.options.use_dual_stack,
		.policy = c->session_policy,
		.policy_arns = (const char *const *)c->session_policy_arns.v,
		.policy_arn_count = c->session_policy_arns.count,
		.tags = id->tags,
		.tag_count = c->tag_count,
		.source_identity = c->source_identity,
	};
}

/* The profiles of a chain, outermost first, and what is under them. */
struct chain {
	const struct conf_profile *roles[CHAIN_MAX];
	int count;
	const struct conf_profile *web; /* the last one, where a token is its source */
	struct creds_base_spec base;
};

/*
 * From the profile down to its base. The configuration check refused loops; a chain ends
 * within CHAIN_MAX links.
 */
static void walk(const struct conf *conf, const struct conf_profile *p, struct chain *ret)
{
	*ret = (struct chain){.base = {
				      .aws_config_file = conf->aws_config_file,
				      .aws_credentials_file = conf->aws_credentials_file,
			      }};
	while (p && p->role_arn && !p->web_identity_token_file &&
		ret->count < CHAIN_MAX) {
		ret->roles[ret->count++] = p;
		ret->base.credential_source = p->credential_source;
		ret->base.profile = p->source_profile;
		p = p->source_profile ? conf_find_profile(conf, p->source_profile) : NULL;
		if (p)
			ret->base.profile = NULL;
	}
	if (p && p->web_identity_token_file)
		ret->web = p;
	else if (p)
		ret->base.credential_process = p->credential_process;
}

static void take_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

void run_identity_place(struct creds_pool *pool, const struct conf *conf,
	const struct conf_profile *profile, struct engine_side *ret)
{
	const struct conf_profile none = {0};
	const struct settings_own own = own_settings(profile ? profile : &none, NULL);
	struct settings settings;
	struct chain chain;

	walk(conf, profile, &chain);
	settings_of_base(pool, &chain.base, &own, &settings);
	take_text(ret->region, sizeof(ret->region), settings.region);
	take_text(ret->endpoint_url, sizeof(ret->endpoint_url), settings.s3_endpoint_url);
	take_text(ret->ca_bundle, sizeof(ret->ca_bundle), settings.ca_bundle);
	ret->options = settings.options;
	settings_done(&settings);
}

/* links[i] is roles[i] of the chain; each falls back on the region of the one before. */
static void find_settings(
	const struct creds_pool *pool, const struct chain *chain, struct identity *links)
{
	const char *region = NULL;

	for (int i = 0; i < chain->count + (chain->web != NULL); i++) {
		const struct conf_profile *p = i < chain->count ? chain->roles[i]
								: chain->web;
		const struct settings_own own = own_settings(p, region);

		settings_of_base(pool, &chain->base, &own, &links[i].settings);
		region = links[i].settings.region;
		identity_init(&links[i], p);
	}
}

/* The role is of the bucket's partition: "arn:aws-cn:iam::..." */
static struct session_grant grant_of(const struct conf_side *side, const char *role_arn)
{
	struct session_grant g = {
		.bucket = side->bucket, .key = side->key, .is_prefix = side->is_prefix};

	if (sscanf(role_arn, "arn:%23[^:]", g.partition) != 1)
		strcpy(g.partition, "aws");
	return g;
}

/* Beside the destination's prefix; the object there is proven by a HEAD. */
static struct session_grant beside_grant(
	const struct conf_job *job, const struct template *prefix, const char *role_arn)
{
	struct session_grant g = grant_of(&job->destination, role_arn);

	g.key = template_text(prefix);
	g.is_prefix = g.reads = g.writes = g.deletes = true;
	return g;
}

/* The destination may read the source, too: so that S3 can copy by itself. */
static char *make_policy(const struct conf_job *job, int side, const char *role_arn)
{
	const char *lock = job->destination.written.object_lock;
	struct session_grant grants[4];
	size_t count = 0;
	bool is_widened;
	char *policy;

	if (job->source.scheme == CONF_S3) {
		grants[count] = grant_of(&job->source, role_arn);
		grants[count].reads = true;
		grants[count].reads_locks = str_eq(lock, "copy");
		grants[count].lists = side == 0 && job->source.is_prefix;
		grants[count].deletes = side == 0 && job->action == CONF_MOVE;
		grants[count].restores =
			side == 0 && job->select.archived == CONF_ARCHIVED_RESTORE;
		grants[count].misses =
			side == 0 && (job->delete.is_on || job->missing.is_set);
		count++;
	}
	if (job->destination.scheme == CONF_S3 && side == 1) {
		grants[count] = grant_of(&job->destination, role_arn);
		grants[count].is_prefix |= job->source.is_prefix;
		grants[count].reads = grants[count].writes = grants[count].deletes = true;
		grants[count].writes_locks = lock && !str_eq(lock, "none");
		grants[count++].lists = true;
	}
	if (job->delete.trash && side == 1)
		grants[count++] = beside_grant(job, job->delete.trash, role_arn);
	if (job->manifest_prefix && side == 1)
		grants[count++] = beside_grant(job, job->manifest_prefix, role_arn);
	policy = session_policy_make(grants, count, &is_widened);
	if (is_widened)
		log_warning(LOG_FIELDS({"JOB", job->name}),
			"%s: the session policy of its %s would be longer than %d "
			"characters: it allows a wider prefix",
			job->name, side ? "destination" : "source", SESSION_POLICY_MAX);
	return policy;
}

/* What the job asks for stands in place of what the profile says. */
static void take_session(struct identity *id, const struct conf_job *job, int side)
{
	const struct conf_profile *own = job->session;

	if (own && own->role_session_name)
		id->role.role_session_name = own->role_session_name;
	if (own && own->tag_count) {
		free(id->tags);
		id->tags = mem_array(own->tag_count, sizeof(*id->tags));
		for (size_t i = 0; i < own->tag_count; i++)
			id->tags[i] = (struct creds_tag){
				own->tags[i].key, own->tags[i].value, false};
		id->role.tags = id->tags;
		id->role.tag_count = own->tag_count;
	}
	if (own && (own->session_policy || own->session_policy_arns.count)) {
		id->role.policy = own->session_policy;
		id->role.policy_arns = (const char *const *)own->session_policy_arns.v;
		id->role.policy_arn_count = own->session_policy_arns.count;
	}
	if (str_eq(id->role.policy, "auto"))
		id->role.policy = id->policy = make_policy(job, side, id->role.role_arn);
}

struct creds *run_identity_open(struct creds_pool *pool, const struct conf *conf,
	const struct conf_job *job, int side)
{
	const struct conf_profile *profile = side ? job->destination.profile
						  : job->source.profile;
	struct identity links[CHAIN_MAX + 1] = {0};
	struct creds_role roles[CHAIN_MAX];
	struct creds *creds;
	struct chain chain;
	char label[300];

	walk(conf, profile, &chain);
	find_settings(pool, &chain, links);
	if (chain.count || chain.web)
		take_session(&links[0], job, side);
	if (chain.web) {
		chain.base.web_token_file = chain.web->web_identity_token_file;
		chain.base.web_role = &links[chain.count].role;
	}
	for (int i = 0; i < chain.count; i++)
		roles[i] = links[chain.count - 1 - i].role;
	snprintf(label, sizeof(label), profile ? "profile %s" : "default credentials",
		profile ? profile->name : "");
	creds = creds_open(pool, &chain.base, roles, chain.count, label);
	for (int i = 0; i <= CHAIN_MAX; i++)
		identity_done(&links[i]);
	return creds;
}
