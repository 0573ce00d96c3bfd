/* One struct to the other, and what `acl: auto` comes to. No object is looked at here. */
#include "config.h"

#include "run/run_fidelity.h"

#include <stdio.h>
#include <string.h>

#include "base/s3name.h"
#include "base/str.h"
#include "conf/conf.h"
#include "engine/engine_fidelity.h"

static const enum engine_method methods[] = {
	[CONF_METHOD_AUTO] = ENGINE_METHOD_AUTO,
	[CONF_METHOD_STREAM] = ENGINE_METHOD_STREAM,
	[CONF_METHOD_SERVER_SIDE] = ENGINE_METHOD_SERVER_SIDE,
};
static const enum engine_overwrite overwrites[] = {
	[CONF_OVERWRITE_CHANGED] = ENGINE_OVERWRITE_CHANGED,
	[CONF_OVERWRITE_ALWAYS] = ENGINE_OVERWRITE_ALWAYS,
	[CONF_OVERWRITE_NEVER] = ENGINE_OVERWRITE_NEVER,
};
static const enum engine_verify verifies[] = {
	[CONF_VERIFY_OBJECT] = ENGINE_VERIFY_OBJECT,
	[CONF_VERIFY_TRANSFER] = ENGINE_VERIFY_TRANSFER,
	[CONF_VERIFY_FULL] = ENGINE_VERIFY_FULL,
};
static const enum checksum_alg sums[] = {
	[CONF_CHECKSUM_AUTO] = CHECKSUM_NONE,
	[CONF_CHECKSUM_CRC64NVME] = CHECKSUM_CRC64NVME,
	[CONF_CHECKSUM_CRC32C] = CHECKSUM_CRC32C,
	[CONF_CHECKSUM_CRC32] = CHECKSUM_CRC32,
	[CONF_CHECKSUM_SHA256] = CHECKSUM_SHA256,
};
static const enum engine_tags tag_rules[] = {
	[CONF_TAGS_BEST_EFFORT] = ENGINE_TAGS_BEST_EFFORT,
	[CONF_TAGS_REQUIRE] = ENGINE_TAGS_REQUIRE,
	[CONF_TAGS_DROP] = ENGINE_TAGS_DROP,
};

/*
 * Where ACLs are on, an object belongs to who wrote it: then the bucket's owner, when
 * that is another account, is to have it too. Where they are off, S3 takes this one ACL.
 */
static bool is_owner_another(const struct conf_side *to)
{
	const char *role = to->profile ? to->profile->role_arn : NULL;
	char why[S3NAME_WHY_SIZE];
	struct s3name_arn arn;

	return role && to->expected_owner && s3name_arn_parse(role, &arn, why) == 0 &&
	       !str_eq(arn.account, to->expected_owner);
}

static void fill_acl(const struct conf_side *to, struct engine_fidelity *ret)
{
	const char *acl = to->written.acl;

	if (str_eq(acl, "auto")) {
		ret->is_acl_optional = true;
		acl = is_owner_another(to) ? "bucket-owner-full-control" : "none";
	}
	if (acl && !str_eq(acl, "none"))
		str_copy(ret->acl, sizeof(ret->acl), acl);
}

static void put(char *out, size_t size, const char *text)
{
	str_copy(out, size, text ? text : "");
}

void run_fidelity_fill(const struct conf_job *job, struct engine_fidelity *ret)
{
	const struct conf_written *w = &job->destination.written;

	*ret = (struct engine_fidelity){
		.method = methods[job->method],
		.overwrite = overwrites[job->overwrite],
		.verify = verifies[job->verify],
		.checksum = sums[job->checksum],
		.tags = tag_rules[job->tags],
		.retain_s = w->retain_s,
	};
	put(ret->storage_class, sizeof(ret->storage_class), w->storage_class);
	put(ret->encryption, sizeof(ret->encryption), w->encryption);
	put(ret->kms_key_id, sizeof(ret->kms_key_id), w->kms_key_id);
	put(ret->object_lock, sizeof(ret->object_lock), w->object_lock);
	if (w->bucket_key)
		ret->bucket_key = str_eq(w->bucket_key, "true") ? ENGINE_YES : ENGINE_NO;
	fill_acl(&job->destination, ret);
}
