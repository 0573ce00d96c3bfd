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
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+=,.@-";

	snprintf(out, SESSION_LEN, "s3ferry-%s", profile);
	for (char *p = out; *p; p++) {
		if (!strchr(allowed, *p))
			*p = '-';
	}
}

struct creds *run_identity_open(struct creds_pool *pool, const struct conf *conf,
	const struct conf_profile *profile)
{
	struct creds_base_spec base = {
		.aws_config_file = conf->aws_config_file,
		.aws_credentials_file = conf->aws_credentials_file,
	};
	struct creds_role roles[CHAIN_MAX];
	char names[CHAIN_MAX][SESSION_LEN];
	const struct conf_profile *chain[CHAIN_MAX], *p = profile;
	char label[300];
	int count = 0;

	snprintf(label, sizeof(label), profile ? "profile %s" : "default credentials",
		profile ? profile->name : "");
	/* The configuration check refused loops; a chain ends within CHAIN_MAX links. */
	while (p && p->role_arn && count < CHAIN_MAX) {
		chain[count++] = p;
		base.profile = p->source_profile;
		p = p->source_profile ? conf_find_profile(conf, p->source_profile) : NULL;
		if (p)
			base.profile = NULL;
	}
	for (int i = 0; i < count; i++) {
		const struct conf_profile *c = chain[count - 1 - i];

		default_session_name(c->name, names[i]);
		roles[i] = (struct creds_role){
			.role_arn = c->role_arn,
			.external_id = c->external_id,
			.role_session_name =
				c->role_session_name ? c->role_session_name : names[i],
			.duration_s = c->duration_s,
			.region = c->region,
			.endpoint_url = c->endpoint_url,
			.ca_bundle = c->ca_bundle,
		};
	}
	return creds_open(pool, &base, roles, count, label);
}
