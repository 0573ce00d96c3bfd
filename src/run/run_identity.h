/* From a profile of the configuration to the chain of roles behind it. */
#pragma once

struct conf;
struct conf_job;
struct conf_profile;
struct creds;
struct creds_pool;
struct engine_side;

/* Where its requests go: all of a side but bucket, key and creds_id. */
void run_identity_place(struct creds_pool *pool, const struct conf *conf,
	const struct conf_profile *profile, struct engine_side *ret);
/*
 * Who a job is at its source (0) or destination (1), with what it asks for besides its
 * profile. Release with creds_release().
 */
struct creds *run_identity_open(struct creds_pool *pool, const struct conf *conf,
	const struct conf_job *job, int side);
