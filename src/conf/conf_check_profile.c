/* Profiles: the shape of each, and the chains they make. Not what AWS thinks of them. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf_build.h"

#define LOWER   "abcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER DIGITS
/* run/run_identity.c walks no further. */
#define CHAIN_MAX     16
#define CHAINED_MAX_S 3600
/* Of STS: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
#define POLICY_MAX      2048
#define POLICY_ARNS_MAX 10
#define TAGS_MAX        50

static bool is_made_of(const char *s, const char *allowed, size_t min, size_t max)
{
	size_t n = strlen(s);

	return n >= min && n <= max && strspn(s, allowed) == n;
}

/* Others than AWS have accounts of any name, or none. */
static bool is_role_arn(const char *arn, bool is_aws)
{
	size_t partition, account;

	if (!str_has_prefix(arn, "arn:aws") || strlen(arn) > 2048 ||
		strpbrk(arn, " \t\n"))
		return false;
	partition = strspn(arn + 4, LOWER "-") + 4;
	if (!str_has_prefix(arn + partition, ":iam::"))
		return false;
	arn += partition + 6;
	account = strspn(arn, is_aws ? DIGITS : LETTERS "_-.");
	return (account == 12 || !is_aws) && str_has_prefix(arn + account, ":role/") &&
	       arn[account + 6];
}

/* eu-central-1, us-gov-west-1: words, then a number. */
static bool is_region(const char *region, bool is_aws)
{
	const char *dash = strrchr(region, '-');

	if (!is_made_of(region, LETTERS "-_.", 2, 40))
		return false;
	return !is_aws ||
	       (dash && dash != region && is_made_of(dash + 1, DIGITS, 1, 3) &&
		       strspn(region, LOWER "-") == (size_t)(dash + 1 - region) &&
		       strchr(region, '-') != dash);
}

static int compare(const void *a, const void *b)
{
	const struct draft_profile *x = a, *y = b;

	return strcmp(x->profile->name, y->profile->name);
}

/* check_profiles() has sorted them. */
struct draft_profile *draft_profile_find(const struct draft *d, const char *name)
{
	struct conf_profile wanted = {.name = (char *)name};
	struct draft_profile key = {.profile = &wanted};

	return d->profile_count ? bsearch(&key, d->profiles, d->profile_count,
					  sizeof(*d->profiles), compare)
				: NULL;
}

static bool is_loopback(const char *host)
{
	return str_has_prefix(host, "127.") || str_has_prefix(host, "localhost") ||
	       str_has_prefix(host, "[::1]");
}

static void check_endpoint(const struct spot *s, const struct conf_profile *p)
{
	const char *url = p->endpoint_url;
	const char *host = url ? strstr(url, "://") : NULL, *port;
	uint64_t number;
	size_t digits;

	if (!url)
		return;
	if (!host ||
		(!str_has_prefix(url, "https://") && !str_has_prefix(url, "http://"))) {
		spot_complain(s, "endpoint_url", NULL,
			"it must begin with https:// or http://");
		return;
	}
	host += 3;
	if (!*host || *host == '/' || *host == ':' || strpbrk(host, "@?# \\")) {
		spot_complain_inside(s, "endpoint_url", (size_t)(host - url), NULL,
			"a host, maybe a port and a path, and nothing else");
		return;
	}
	port = host + (*host == '[' ? strcspn(host, "]") : 0);
	port += strcspn(port, ":/");
	digits = strspn(port + (*port == ':'), DIGITS);
	if (*port == ':' &&
		(str_to_uint_len(port + 1, digits, 65535, &number) < 0 || !number ||
			(port[1 + digits] && port[1 + digits] != '/')))
		spot_complain_inside(s, "endpoint_url", (size_t)(port + 1 - url), NULL,
			"a port is a number from 1 to 65535");
	else if (str_has_prefix(url, "http://") && !is_loopback(host) &&
		 !p->allows_plaintext)
		spot_complain(s, "endpoint_url",
			"https://, or allow_plaintext: true where the network is trusted",
			"requests would travel unencrypted");
}

/* What AWS has no endpoint for. */
static void check_variants(const struct spot *s, const struct conf_profile *p)
{
	bool is_fips = p->use_fips == CONF_FLAG_TRUE;
	bool is_accelerated = p->use_accelerate == CONF_FLAG_TRUE;

	if (p->endpoint_url && is_fips)
		spot_complain(s, "use_fips_endpoint", NULL,
			"with endpoint_url there is no other endpoint to choose");
	if (p->endpoint_url && p->use_dual_stack == CONF_FLAG_TRUE)
		spot_complain(s, "use_dualstack_endpoint", NULL,
			"with endpoint_url there is no other endpoint to choose");
	if (is_accelerated && (p->endpoint_url || is_fips ||
				      p->addressing_style == CONF_ADDRESSING_PATH))
		spot_complain(s, "use_accelerate_endpoint", NULL,
			"transfer acceleration excludes endpoint_url, FIPS and path style");
	if (p->region && is_fips && str_has_prefix(p->region, "cn-"))
		spot_complain(s, "use_fips_endpoint", NULL,
			"there are no FIPS endpoints of S3 in China");
}

static bool is_one_of(const char *const *names, const char *text)
{
	while (*names && strcmp(*names, text) != 0)
		names++;
	return *names != NULL;
}

static void check_credential_source(const struct spot *s, const struct conf_profile *p)
{
	static const char *const names[] = {
		"Environment", "Ec2InstanceMetadata", "EcsContainer", NULL};
	char hint[100];

	if (!p->credential_source)
		return;
	if (p->source_profile)
		spot_complain(s, "credential_source", NULL,
			"either source_profile or credential_source, not both");
	else if (!is_one_of(names, p->credential_source)) {
		hint_for_name(names, p->credential_source, hint, sizeof(hint));
		spot_complain(s, "credential_source",
			*hint ? hint : "Environment, Ec2InstanceMetadata, EcsContainer",
			"not one of the values of this key");
	}
}

/* A base stands alone; a web identity is a role's, and knows no tags of ours. */
static void check_base(const struct spot *s, const struct conf_profile *p)
{
	bool has_source = p->source_profile || p->credential_source;

	if (p->credential_process &&
		(p->role_arn || has_source || p->web_identity_token_file))
		spot_complain(s, "credential_process",
			"let a profile with role_arn name this one by source_profile",
			"it stands in a profile of its own");
	if (!p->web_identity_token_file)
		return;
	if (!p->role_arn && !node_get(s->map, "role_arn"))
		spot_complain(s, "web_identity_token_file", NULL,
			"role_arn is missing: the role that the token is good for");
	if (has_source)
		spot_complain(s, "web_identity_token_file", NULL,
			"the token is the source: no source_profile, no credential_source");
	if (p->tag_count || p->source_identity || p->external_id)
		spot_complain(s, "web_identity_token_file", NULL,
			"tags, source_identity and external_id are not sent with a token");
}

static void check_policy(const struct spot *s, const struct conf_profile *p)
{
	size_t n = p->session_policy ? strlen(p->session_policy) : 0;
	bool is_auto = str_eq(p->session_policy, "auto");
	struct json *v = n && !is_auto ? json_parse(p->session_policy, n, NULL) : NULL;

	if (n && !is_auto && !json_is_object(v))
		spot_complain(s, "session_policy", NULL, "not a policy: no JSON object, and not auto");
	json_free(v);
	if (n > POLICY_MAX)
		spot_complain(s, "session_policy", NULL, "STS takes 2,048 characters at most");
	if (p->session_policy_arns.count > POLICY_ARNS_MAX)
		spot_complain(s, "session_policy", NULL, "STS takes 10 ARNs at most");
	for (size_t i = 0; i < p->session_policy_arns.count; i++) {
		const char *arn = p->session_policy_arns.v[i];

		if (!str_has_prefix(arn, "arn:") || !strstr(arn, ":policy/") ||
			strlen(arn) > 2048)
			spot_complain(s, "session_policy",
				"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
				"not the ARN of a managed policy");
	}
}

static bool has_tag(const struct conf_profile *p, const char *key)
{
	for (size_t i = 0; i < p->tag_count; i++) {
		if (strcmp(p->tags[i].key, key) == 0)
			return true;
	}
	return false;
}

static void check_tags(
	const struct spot *s, const struct conf_profile *p, const char *place)
{
	if (p->tag_count > TAGS_MAX)
		spot_complain(s, place, NULL, "STS takes 50 tags at most");
	for (size_t i = 0; i < p->tag_count; i++) {
		size_t key = strlen(p->tags[i].key), value = strlen(p->tags[i].value);

		if (!key || key > 128 || value > 256 ||
			str_has_prefix(p->tags[i].key, "aws:"))
			spot_complain(s, place, NULL,
				"a key has 1 to 128 characters and does not begin with aws:, "
				"a value has 256 at most");
	}
	for (size_t i = 0; i < p->transitive_tag_keys.count; i++) {
		if (!has_tag(p, p->transitive_tag_keys.v[i]))
			spot_complain(s, "transitive_tag_keys", NULL,
				"each stands in tags, too");
	}
}

static void check_names(const struct spot *s, const struct conf_profile *p)
{
	if (p->external_id && !is_made_of(p->external_id, LETTERS "_+=,.@:/-", 2, 1224))
		spot_complain(s, "external_id", NULL,
			"2 to 1,224 letters, digits and _+=,.@:/-");
	if (p->role_session_name &&
		!is_made_of(p->role_session_name, LETTERS "_+=,.@-", 2, 64))
		spot_complain(s, "role_session_name", NULL,
			"2 to 64 letters, digits and _+=,.@-");
	if (p->source_identity &&
		!is_made_of(p->source_identity, LETTERS "_+=,.@-", 2, 64))
		spot_complain(s, "source_identity", NULL,
			"2 to 64 letters, digits and _+=,.@-");
}

static bool has_role(const struct conf_side *side)
{
	return side->profile && side->profile->role_arn;
}

/* AssumeRoleWithWebIdentity takes none: those of such a session are in its token. */
static void check_tags_reach(const struct spot *s, const struct conf_profile *session,
	const struct conf_job *job)
{
	const struct conf_side *sides[] = {&job->source, &job->destination};
	char text[300];

	for (int i = 0; session->tag_count && i < 2; i++) {
		const struct conf_profile *p = sides[i]->profile;

		if (!p || !p->web_identity_token_file)
			continue;
		snprintf(text, sizeof(text),
			"the %s's profile '%.100s' begins with web_identity_token_file, and "
			"such a session takes no tags",
			i ? "destination" : "source", p->name);
		spot_complain(s, "session_tags",
			"use a role on top of it (source_profile), or let the token carry "
			"the tags",
			text);
	}
}

void session_finish(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	struct conf_profile *p = MEM_STEAL(raw->session);

	if (!p && raw->role_session_name)
		p = mem_alloc(sizeof(*p));
	if (!p)
		return;
	p->role_session_name = MEM_STEAL(raw->role_session_name);
	job->session = p;
	check_names(s, p);
	check_policy(s, p);
	check_tags(s, p, "session_tags");
	check_tags_reach(s, p, job);
	if (job->source.url && job->destination.url && !has_role(&job->source) &&
		!has_role(&job->destination))
		spot_complain(s, NULL, NULL,
			"session_policy, session_tags and role_session_name are sent with a "
			"role, and neither side has one");
}

/* Only a hint: who checks may be another than who runs, on another host. */
static void warn_of_bundle(const struct spot *s, const char *path)
{
	char text[400];

	if (access(path, R_OK) == 0)
		return;
	snprintf(text, sizeof(text), "%.250s cannot be read here: %s", path,
		strerror(errno));
	spot_warn(s, "ca_bundle", "a file of PEM certificates that the daemon can read",
		text);
}

static void check_profile(const struct spot *s, const struct conf_profile *p)
{
	bool is_aws = !p->endpoint_url;

	if (p->role_arn && !is_role_arn(p->role_arn, is_aws))
		spot_complain(s, "role_arn", "arn:aws:iam::123456789012:role/NAME",
			"not the ARN of a role");
	if (!p->role_arn && !node_get(s->map, "role_arn") &&
		(p->source_profile || p->credential_source || p->external_id ||
			p->role_session_name || p->duration_s ||
			p->session_policy || p->session_policy_arns.count ||
			p->tag_count || p->source_identity))
		spot_complain(
			s, NULL, NULL, "role_arn is missing, so nothing is assumed");
	check_names(s, p);
	check_base(s, p);
	check_policy(s, p);
	check_tags(s, p, "tags");
	if (p->duration_s && p->duration_s < 900 && is_aws)
		spot_complain(s, "duration_seconds", "900 to 43200",
			"AWS gives sessions of 900 seconds and more");
	if (p->region && !is_region(p->region, is_aws))
		spot_complain(s, "region", "eu-central-1", "not a region");
	if (!p->region && p->role_arn && is_aws && !node_get(s->map, "region") &&
		!getenv("AWS_REGION") && !getenv("AWS_DEFAULT_REGION"))
		spot_warn(s, NULL, "region: eu-central-1",
			"region is missing: AWS_REGION, the AWS CLI's files or the "
			"instance must name it");
	if (p->ca_bundle)
		warn_of_bundle(s, p->ca_bundle);
	check_endpoint(s, p);
	check_variants(s, p);
	check_credential_source(s, p);
}

/* Only a hint: the daemon may have files that this process does not see. */
static void warn_of_source(const struct spot *s, const char *name)
{
	struct draft *d = s->d;
	const char **names = mem_array(d->profile_count + 1, sizeof(*names));
	bool has_file = d->top.aws_config_file || d->top.aws_credentials_file ||
			getenv("AWS_CONFIG_FILE") ||
			getenv("AWS_SHARED_CREDENTIALS_FILE");
	char hint[300], text[400];

	for (size_t i = 0; i < d->profile_count; i++)
		names[i] = d->profiles[i].profile->name;
	hint_for_name(names, name, hint, sizeof(hint));
	free(names);
	if (d->is_partial || (has_file && !*hint))
		return;
	snprintf(text, sizeof(text),
		"'%.200s' is no profile here; it must stand in one of the AWS CLI's "
		"files%s",
		name, has_file ? "" : ", and none is named");
	spot_warn(s, "source_profile", *hint ? hint : "aws_config_file: FILE", text);
}

static void spot_of(struct draft *d, const struct draft_profile *dp, struct spot *ret)
{
	*ret = (struct spot){d, dp->src, dp->name, dp->map, ""};
	snprintf(ret->path, sizeof(ret->path), "profiles.%.250s", dp->profile->name);
}

/* Each profile is walked over once: linear, and one message a loop. */
static void check_loop(struct draft *d, size_t start)
{
	struct draft_profile *dp = &d->profiles[start];
	size_t walk = start + 1;
	struct spot s;

	while (dp && !dp->walk) {
		dp->walk = walk;
		dp = dp->profile->source_profile
			     ? draft_profile_find(d, dp->profile->source_profile)
			     : NULL;
	}
	if (!dp || dp->walk != walk)
		return;
	spot_of(d, dp, &s);
	spot_complain(&s, "source_profile", NULL, "the chain of profiles is a loop");
}

static void check_chain(struct draft *d, struct draft_profile *dp)
{
	const struct conf_profile *p = dp->profile;
	struct draft_profile *source;
	struct spot s;
	int hops = 1;

	if (!p->source_profile)
		return;
	spot_of(d, dp, &s);
	source = draft_profile_find(d, p->source_profile);
	if (!source) {
		warn_of_source(&s, p->source_profile);
		return;
	}
	source->is_used = true;
	if (source->profile->role_arn && p->duration_s > CHAINED_MAX_S)
		spot_complain(&s, "duration_seconds", "3600 at most",
			"a role assumed from another role lives one hour at most");
	while (source && hops <= CHAIN_MAX + 1) {
		hops++;
		source = source->profile->source_profile
				 ? draft_profile_find(d, source->profile->source_profile)
				 : NULL;
	}
	/* Said once, where it becomes too long; a loop was said before. */
	if (hops == CHAIN_MAX + 1)
		spot_complain(&s, "source_profile", NULL, "a chain has 16 roles at most");
}

void check_profiles(struct draft *d)
{
	if (d->profile_count)
		qsort(d->profiles, d->profile_count, sizeof(*d->profiles), compare);
	for (size_t i = 0; i < d->profile_count; i++) {
		struct draft_profile *dp = &d->profiles[i], *before = dp - 1;
		struct spot s;
		char text[400];

		dp->profile->mark = (struct conf_mark){
			dp->src->path, dp->name->line, dp->name->col};
		spot_of(d, dp, &s);
		if (dp->map->kind == NODE_MAP)
			check_profile(&s, dp->profile);
		if (i && compare(before, dp) == 0 && before->src != dp->src) {
			snprintf(text, sizeof(text),
				"the profile stands already in %.200s:%d",
				before->src->path, before->name->line);
			spot_complain(&s, NULL, NULL, text);
		}
		check_loop(d, i);
	}
	for (size_t i = 0; i < d->profile_count; i++)
		check_chain(d, &d->profiles[i]);
}
