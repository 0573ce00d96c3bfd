/* From a profile of the configuration to the chain of roles behind it. */
#pragma once

struct conf;
struct conf_profile;
struct creds;
struct creds_pool;

/* profile NULL: the default chain. Release with creds_release(). */
struct creds *run_identity_open(struct creds_pool *pool, const struct conf *conf,
	const struct conf_profile *profile);
