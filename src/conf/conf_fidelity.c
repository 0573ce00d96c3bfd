/*
 * How objects are read and written: the keys of both sides that become headers, and what
 * contradicts itself among them. What each means for a transfer is the engine's.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/s3name.h"
#include "base/str.h"
#include "conf/conf_build.h"

#define MAP_MAX 255 /* bytes of a map of classes, as the engine takes it */

static const char *const classes[] = {"STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING",
	"ONEZONE_IA", "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE", "REDUCED_REDUNDANCY",
	NULL};

/* --- storage_class, while the file is read --- */

static bool is_class(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && n < 24 &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

static bool take_one(
	const struct profile_place *at, const struct node *n, const char *text)
{
	struct conf_place place = {at->src, n, 0, at->path};
	char hint[200] = "";

	if (n->kind == NODE_SCALAR && is_class(text))
		return true;
	if (n->kind == NODE_SCALAR)
		hint_for_name(classes, text, hint, sizeof(hint));
	conf_complain(at->d->messages, &place, hint[0] ? hint : "such as STANDARD_IA",
		"%s", "not a storage class");
	return false;
}

void fidelity_take_class(
	const struct profile_place *at, const struct node *value, struct raw_side *raw)
{
	struct buf map = BUF_INIT(MAP_MAX);
	struct conf_place place = {at->src, value, 0, at->path};
	bool is_good = value->kind == NODE_MAP;
	int r = 0;

	if (value->kind == NODE_SCALAR) {
		if (str_eq(value->text, "keep") || take_one(at, value, value->text))
			mem_replace(&raw->storage_class, value->text);
		return;
	}
	for (size_t i = 0; is_good && i < value->count; i++) {
		const struct node *from = value->keys[i], *to = value->items[i];

		is_good = take_one(at, from, from->text) && take_one(at, to, to->text);
		if (is_good && r == 0)
			r = buf_printf(
				&map, "%s%s=%s", i ? "," : "", from->text, to->text);
	}
	if (value->kind != NODE_MAP || !value->count)
		conf_complain(at->d->messages, &place, "{ GLACIER: STANDARD_IA }", "%s",
			"keep, a storage class, or a map of them is expected");
	else if (r < 0)
		conf_complain(at->d->messages, &place, NULL, "%s", "the map is too long");
	else if (is_good)
		mem_replace(&raw->storage_class, buf_str(&map));
	buf_done(&map);
}

/* --- one side --- */

static struct spot side_spot(const struct spot *job, const char *key)
{
	struct spot s = {
		job->d, job->src, node_key(job->map, key), node_get(job->map, key), ""};

	snprintf(s.path, sizeof(s.path), "%.250s.%s", job->path, key);
	return s;
}

static bool is_account(const char *text)
{
	return strlen(text) == 12 && strspn(text, "0123456789") == 12;
}

/* As written, or the account in the url's ARN. */
static void finish_owner(
	const struct spot *s, struct raw_side *raw, struct conf_side *side)
{
	char why[S3NAME_WHY_SIZE];
	struct s3name_access_point ap;

	if (raw->expected_owner && !is_account(raw->expected_owner))
		spot_complain(s, "expected_bucket_owner", "\"123456789012\"",
			"an account id has 12 digits");
	else if (raw->expected_owner)
		side->expected_owner = MEM_STEAL(raw->expected_owner);
	else if (side->bucket && str_has_prefix(side->bucket, "arn:") &&
		 s3name_access_point_parse(side->bucket, &ap, why) == 0)
		side->expected_owner = mem_strdup(ap.account);
	side->is_requester_paying = raw->request_payer;
}

static void refuse_at_source(const struct spot *s)
{
	static const char *const keys[] = {"storage_class", "server_side_encryption",
		"kms_key_id", "bucket_key_enabled", "acl", "object_lock", "retain_for",
		NULL};

	for (size_t i = 0; keys[i]; i++)
		if (node_get(s->map, keys[i]))
			spot_complain(s, keys[i], "move it to destination",
				"this says how objects are written");
}

/* AWS has these classes; others may have more. */
static void check_class(const struct spot *s, const struct conf_side *side)
{
	const char *class = side->written.storage_class;
	char hint[200];

	if (!class || str_eq(class, "keep") || strchr(class, '=') ||
		(side->profile && side->profile->endpoint_url))
		return;
	for (size_t i = 0; classes[i]; i++)
		if (str_eq(classes[i], class))
			return;
	hint_for_name(classes, class, hint, sizeof(hint));
	spot_complain(s, "storage_class", hint[0] ? hint : "such as STANDARD_IA",
		"AWS has no such storage class");
}

static void check_key(const struct spot *s, const struct conf_side *side)
{
	const struct conf_written *w = &side->written;
	bool is_kms = w->encryption && str_has_prefix(w->encryption, "aws:kms");
	const char *region = side->profile ? side->profile->region : NULL;
	char why[S3NAME_WHY_SIZE];
	struct s3name_arn arn;

	if (w->kms_key_id && !is_kms)
		spot_complain(s, "kms_key_id", "server_side_encryption: aws:kms",
			"a key of KMS encrypts with aws:kms or aws:kms:dsse only");
	if (w->kms_key_id && strlen(w->kms_key_id) > 255)
		spot_complain(s, "kms_key_id", NULL, "255 characters at most");
	if (w->bucket_key && w->encryption && !str_eq(w->encryption, "aws:kms"))
		spot_complain(s, "bucket_key_enabled", NULL,
			"bucket keys are for aws:kms only");
	if (w->kms_key_id && region && s3name_arn_parse(w->kms_key_id, &arn, why) == 0 &&
		!str_eq(arn.region, region))
		spot_complain(s, "kms_key_id", NULL,
			"the key is in another region than the profile; S3 takes keys of "
			"the bucket's region");
}

static void check_lock(const struct spot *s, const struct conf_written *w)
{
	bool is_mode = w->object_lock && strcmp(w->object_lock, "none") != 0 &&
		       strcmp(w->object_lock, "copy") != 0;

	if (is_mode && !w->retain_s)
		spot_complain(s, "object_lock", "retain_for: 365d",
			"a mode needs to know for how long");
	if (!is_mode && w->retain_s)
		spot_complain(s, "retain_for", "object_lock: GOVERNANCE",
			"how long belongs to a mode of object_lock");
}

static const char *name_of(const char *const *names, int64_t i)
{
	return i ? names[i] : NULL;
}

static void finish_written(
	const struct spot *s, struct raw_side *raw, struct conf_side *side)
{
	struct conf_written *w = &side->written;

	w->storage_class = MEM_STEAL(raw->storage_class);
	w->encryption = name_of(schema_encryptions, raw->encryption);
	w->kms_key_id = MEM_STEAL(raw->kms_key_id);
	w->bucket_key = raw->bucket_key ? raw->bucket_key == 1 ? "true" : "false" : NULL;
	w->acl = schema_acls[raw->acl];
	w->object_lock = name_of(schema_locks, raw->object_lock);
	w->retain_s = raw->retain_s;
	check_class(s, side);
	check_key(s, side);
	check_lock(s, w);
}

/* --- both --- */

static const char *endpoint_of(const struct conf_side *side)
{
	return side->profile ? side->profile->endpoint_url : NULL;
}

void fidelity_finish(const struct spot *s, struct raw_job *raw, struct conf_job *job)
{
	struct spot source = side_spot(s, "source");
	struct spot destination = side_spot(s, "destination");

	job->method = (enum conf_method)raw->method;
	job->overwrite = (enum conf_overwrite)raw->overwrite;
	job->verify = (enum conf_verify)raw->verify;
	job->checksum = (enum conf_checksum)raw->checksum;
	job->tags = (enum conf_object_tags)raw->tags;
	if (!source.map || source.map->kind != NODE_MAP || !destination.map ||
		destination.map->kind != NODE_MAP)
		return;
	finish_owner(&source, &raw->source, &job->source);
	finish_owner(&destination, &raw->destination, &job->destination);
	refuse_at_source(&source);
	finish_written(&destination, &raw->destination, &job->destination);
	if (job->method == CONF_METHOD_SERVER_SIDE &&
		(job->source.scheme == CONF_FILE || job->destination.scheme == CONF_FILE))
		spot_complain(s, "method", "method: auto",
			"S3 does not copy from and to local files");
	if (job->method == CONF_METHOD_SERVER_SIDE &&
		!str_eq(endpoint_of(&job->source), endpoint_of(&job->destination)))
		spot_complain(s, "method", "method: stream",
			"no server copies from another endpoint");
}
