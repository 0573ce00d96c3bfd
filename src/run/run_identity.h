/* From a profile of the configuration to the chain of roles behind it. */
#pragma once

struct conf;
struct conf_profile;
struct creds;
struct creds_pool;
struct engine_side;

/* profile NULL: the default chain. Release with creds_release(). */
/* Where its requests go: all of a side but bucket, key and creds_id. */
void run_identity_place(struct creds_pool *pool, const struct conf *conf,
	const struct conf_profile *profile, struct engine_side *ret);
struct creds *run_identity_open(struct creds_pool *pool, const struct conf *conf,
	const struct conf_profile *profile);
