/* Profiles to role chains. Pure translation: the words are AWS's on both sides. */
#include "config.h"

#include "run/run_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"

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

/* A role as aws/creds wants it; what it points to stays the profile's, but these two. */
struct identity {
	struct creds_role role;
	char session_name[SESSION_LEN];
	struct creds_tag *tags;
};

static bool is_transitive(const struct conf_profile *c, const char *key)
{
	for (size_t i = 0; i < c->transitive_tag_keys.count; i++) {
		if (strcmp(c->transitive_tag_keys.v[i], key) == 0)
			return true;
	}
	return false;
}

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
		.region = c->region,
		.endpoint_url = c->endpoint_url,
		.ca_bundle = c->ca_bundle,
		.policy = c->session_policy,
		.policy_arns = (const char *const *)c->session_policy_arns.v,
		.policy_arn_count = c->session_policy_arns.count,
		.tags = id->tags,
		.tag_count = c->tag_count,
		.source_identity = c->source_identity,
	};
}

/*
 * From the profile down to its base; returns how many roles stand on it. The
 * configuration check refused loops; a chain ends within CHAIN_MAX links.
 */
static int walk(const struct conf *conf, const struct conf_profile *p,
	const struct conf_profile *chain[CHAIN_MAX], struct creds_base_spec *base,
	struct identity *web)
{
	int count = 0;

	while (p && p->role_arn && !p->web_identity_token_file && count < CHAIN_MAX) {
		chain[count++] = p;
		base->credential_source = p->credential_source;
		base->profile = p->source_profile;
		p = p->source_profile ? conf_find_profile(conf, p->source_profile) : NULL;
		if (p)
			base->profile = NULL;
	}
	if (p && p->web_identity_token_file) {
		identity_init(web, p);
		base->web_token_file = p->web_identity_token_file;
		base->web_role = &web->role;
	} else if (p) {
		base->credential_process = p->credential_process;
	}
	return count;
}

struct creds *run_identity_open(struct creds_pool *pool, const struct conf *conf,
	const struct conf_profile *profile)
{
	struct creds_base_spec base = {
		.aws_config_file = conf->aws_config_file,
		.aws_credentials_file = conf->aws_credentials_file,
	};
	const struct conf_profile *chain[CHAIN_MAX];
	struct identity links[CHAIN_MAX], web = {0};
	struct creds_role roles[CHAIN_MAX];
	struct creds *creds;
	char label[300];
	int count = walk(conf, profile, chain, &base, &web);

	snprintf(label, sizeof(label), profile ? "profile %s" : "default credentials",
		profile ? profile->name : "");
	for (int i = 0; i < count; i++) {
		identity_init(&links[i], chain[count - 1 - i]);
		roles[i] = links[i].role;
	}
	creds = creds_open(pool, &base, roles, count, label);
	for (int i = 0; i < count; i++)
		free(links[i].tags);
	free(web.tags);
	return creds;
}
