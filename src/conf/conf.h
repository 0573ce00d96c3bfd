/*
 * The configuration as typed values: const after load, refcounted on the core's thread.
 * A run keeps the snapshot it began with. No behaviour here: conf_load() makes one,
 * conf_diff() compares two.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calendar/hours.h"

struct schedule;
struct template;
struct tz;
struct tz_set;

/* Where a value stands, for messages that come after loading. line, col count from 1. */
struct conf_mark {
	const char *file; /* owned by the conf */
	int line, col;
};

struct conf_texts {
	char **v;
	size_t count;
};

struct conf_tag {
	char *key, *value;
};

enum conf_flag {
	CONF_FLAG_UNSET, /* others may say: the environment, the AWS CLI's files */
	CONF_FLAG_TRUE,
	CONF_FLAG_FALSE,
};

enum conf_addressing {
	CONF_ADDRESSING_AUTO,
	CONF_ADDRESSING_VIRTUAL,
	CONF_ADDRESSING_PATH,
};

enum conf_payload_signing {
	CONF_PAYLOAD_AUTO,
	CONF_PAYLOAD_ALWAYS,
	CONF_PAYLOAD_NEVER,
};

/* AWS CLI words and meanings. NULL or 0: not given. */
struct conf_profile {
	char *name;
	char *role_arn;
	char *source_profile; /* another profile here, or one of the AWS CLI's files */
	char *credential_source;
	char *external_id;
	char *role_session_name;
	int64_t duration_s;
	char *region;
	char *endpoint_url; /* for S3 and STS alike */
	char *ca_bundle;
	char *credential_process; /* a command, split without a shell */
	char *web_identity_token_file;
	char *session_policy; /* JSON, or "auto": made for each job */
	struct conf_texts session_policy_arns;
	struct conf_tag *tags;
	size_t tag_count;
	struct conf_texts transitive_tag_keys;
	char *source_identity;
	int64_t addressing_style, payload_signing; /* enum conf_* above */
	enum conf_flag use_fips, use_dual_stack, use_accelerate, use_arn_region;
	bool allows_plaintext;
	struct conf_mark mark;
};

void conf_texts_done(struct conf_texts *t);
/* Leaves nothing behind. */
struct conf_texts conf_texts_take(struct conf_texts *t);

/* By conf_load alone, for those that never came into a conf. */
void conf_profile_free(struct conf_profile *p);

/* Values of S3's headers, as they are sent. NULL or 0: not given. */
struct conf_written {
	char *storage_class; /* "keep", a class, or "GLACIER=STANDARD,..." */
	const char *encryption;
	char *kms_key_id;
	const char *bucket_key; /* "true", "false" */
	const char *acl; /* canned; "auto": where the bucket's owner is another account */
	const char *object_lock; /* "none", "copy", or a mode ... */
	int64_t retain_s;        /* ... for this long */
};

/* The order of the words in the table of the language. */
enum conf_method {
	CONF_METHOD_AUTO,
	CONF_METHOD_STREAM,
	CONF_METHOD_SERVER_SIDE,
};

enum conf_overwrite {
	CONF_OVERWRITE_CHANGED,
	CONF_OVERWRITE_ALWAYS,
	CONF_OVERWRITE_NEVER,
};

/* What S3 is to keep of objects. */
enum conf_checksum {
	CONF_CHECKSUM_AUTO, /* as the source declares, else CRC64NVME */
	CONF_CHECKSUM_CRC64NVME,
	CONF_CHECKSUM_CRC32C,
	CONF_CHECKSUM_CRC32,
	CONF_CHECKSUM_SHA256,
};

enum conf_verify {
	CONF_VERIFY_OBJECT,
	CONF_VERIFY_TRANSFER,
	CONF_VERIFY_FULL,
};

enum conf_object_tags {
	CONF_TAGS_BEST_EFFORT,
	CONF_TAGS_REQUIRE,
	CONF_TAGS_DROP,
};

enum conf_scheme {
	CONF_S3,
	CONF_FILE,
};

struct conf_side {
	const struct conf_profile *profile; /* NULL: the default chain */
	char *url;
	enum conf_scheme scheme;
	char *bucket;   /* of files: the folder, absolute, without a '/' at its end */
	char *key;      /* without the leading '/'; "" for the whole bucket */
	bool is_prefix; /* key is empty or ends in '/', or is a glob */
	bool is_glob;   /* of a source: which keys below its last plain '/' */
	struct template *name; /* of key, to be filled in for each slot */
	int mode;       /* of files that are made; 0: the umask's */
	int64_t gid;    /* of the same; -1: as the kernel chooses */
	char *expected_owner; /* account id of the bucket; NULL: not asked */
	bool is_requester_paying;
	struct conf_written written; /* of the destination */
	struct conf_mark mark;
};

enum conf_action {
	CONF_COPY,
	CONF_SYNC,
	CONF_MOVE,
};

/* When an object counts as being there already. */
enum conf_compare {
	CONF_COMPARE_AUTO,
	CONF_COMPARE_SIZE,
	CONF_COMPARE_MTIME,
	CONF_COMPARE_ETAG,
	CONF_COMPARE_CHECKSUM,
	CONF_COMPARE_VERSION,
};

enum conf_archived {
	CONF_ARCHIVED_FAIL,
	CONF_ARCHIVED_SKIP,
	CONF_ARCHIVED_RESTORE,
};

/* How archived objects are asked for. */
struct conf_restore {
	int64_t days;     /* that the copy is there for */
	const char *tier; /* as S3 writes it; static */
	int64_t poll_s;   /* how often the run looks whether it is there */
};

/* Which objects of the source a job takes. */
struct conf_select {
	struct conf_texts include, exclude, storage_classes; /* empty: all, none, all */
	int64_t newer_than_s, older_than_s; /* before the slot; 0: any age */
	int64_t min_size, max_size;         /* bytes; -1: any */
	int64_t stable_for_s;               /* 0: also what is being written */
	enum conf_archived archived;
	struct conf_restore restore; /* of CONF_ARCHIVED_RESTORE */
};

/* What a sync may remove at the destination. */
struct conf_delete {
	bool is_on, allows_empty;
	int64_t max_percent, max_count; /* -1: no such limit; the smaller one holds */
	struct template *trash; /* a prefix in the destination's bucket; NULL: none */
};

/* When the source has nothing. */
struct conf_missing {
	int64_t wait_s, poll_s;
	bool is_skipped; /* at the end of the wait; else the run fails */
	bool is_set;
};

/* What a run must have brought to count as a success; -1 or 0: anything. */
struct conf_expect {
	int64_t min_objects, max_objects, min_bytes; /* -1: not given */
	int64_t newer_than_s; /* the newest object, before the slot; 0: not given */
	int by_minutes;       /* of the day, in the job's zone; -1: not given */
	struct schedule *by;  /* each day then; NULL: not given */
};

enum conf_overlap {
	CONF_OVERLAP_SKIP,
	CONF_OVERLAP_QUEUE_ONE,
	CONF_OVERLAP_REPLACE,
};

enum conf_catch_up {
	CONF_CATCH_UP_NONE,
	CONF_CATCH_UP_LATEST,
	CONF_CATCH_UP_ALL,
};

struct conf_retry {
	int64_t attempts;
	int64_t backoff_s;
	double factor;
	int64_t max_backoff_s;
};

/* Of one job's transfers. */
struct conf_limits {
	int64_t objects;    /* at once */
	int64_t parts;      /* of one object at once */
	int64_t part_bytes; /* of a multipart upload */
};

/* Of what became of each object, run by run. */
struct conf_manifest {
	int64_t keep;      /* of the job's newest; 0: none is written */
	int64_t max_age_s; /* older ones go */
};

/* Each day's hours in which runs of a job may work; those by hand work at any time. */
struct conf_window {
	struct schedule *opens, *closes; /* in the job's zone; NULL: no window */
	bool is_cancelling;              /* at its end; else runs go on in the next one */
};

enum conf_priority {
	CONF_LOW,
	CONF_NORMAL,
	CONF_HIGH,
};

struct conf_bandwidth_rule {
	int64_t bytes_s;
	struct hours hours;
	bool is_always; /* has no hours */
};

/* The first rule that holds wins. */
struct conf_bandwidth {
	struct conf_bandwidth_rule *rules;
	size_t count;
	struct tz *zone; /* NULL: UTC */
};

struct conf_job {
	char *name;
	/* As written, of `every` and `calendar` too, a list with "; ". NULL: manual runs
	 * only. */
	char *schedule_text;
	char *timezone;
	struct schedule *schedule; /* NULL: manual runs only */
	/* Equal for equal expression, zone and options: an edit changes it. */
	char schedule_hash[65];
	struct conf_side source, destination;
	enum conf_action action;
	enum conf_method method;
	enum conf_overwrite overwrite;
	enum conf_verify verify;
	enum conf_checksum checksum;
	enum conf_object_tags tags;
	struct conf_select select;
	enum conf_compare compare;
	bool is_flat;  /* the destination's keys have no folders of the source */
	struct template *rename; /* NULL: keys stay what they are */
	struct conf_delete delete;
	struct conf_missing missing;
	struct conf_expect expect;
	enum conf_overlap overlap;
	enum conf_catch_up catch_up;
	int64_t catch_up_limit;      /* of `all` */
	int64_t starting_deadline_s; /* 0: none */
	int64_t jitter_s;
	int64_t timeout_s;
	struct conf_retry retry;
	enum conf_priority priority;
	struct conf_limits limits;
	struct conf_manifest manifest;
	struct template *manifest_prefix; /* in the destination's bucket; NULL: not put there */
	struct conf_bandwidth bandwidth;
	struct conf_texts after; /* the jobs that it follows; then it has no schedule */
	struct conf_window window;
	char window_text[16]; /* "20:00-06:00", or "" */
	/* What it asks for besides its profiles: session_policy*, tags, role_session_name. */
	struct conf_profile *session; /* NULL: nothing */
	bool is_paused;
	struct conf_mark mark;
};

struct conf {
	char *path; /* of the main file */
	char **files;
	size_t file_count;
	char *aws_config_file, *aws_credentials_file; /* NULL: from the environment */
	int64_t max_parallel_runs;
	int64_t engines; /* 0: auto, one per CPU */
	int64_t memory_bytes; /* of all buffers */
	struct conf_bandwidth bandwidth; /* of all jobs together */
	struct conf_profile **profiles; /* by name */
	size_t profile_count;
	struct conf_job **jobs; /* by name */
	size_t job_count;
	struct tz_set *zones; /* of all schedules and windows */
	int64_t loaded_at_s;
	unsigned refs;
};

/* Bytes before the first wildcard of a glob, which a key without a star is not. */
size_t conf_glob_at(const char *key);

const struct conf *conf_ref(const struct conf *c);
/* NULL-safe; returns NULL; the last one frees. */
void *conf_unref(const struct conf *c);

/* Whether one of its runs may work now; *ret_next_s: when that changes, INT64_MAX: never.
 */
bool conf_window_is_open(const struct conf_window *w, int64_t now_s, int64_t *ret_next_s);

/* Bytes a second; 0: no limit. */
int64_t conf_bandwidth_at(const struct conf_bandwidth *b, int64_t now_s);
/* Whether it depends on the hour. */
bool conf_bandwidth_changes(const struct conf_bandwidth *b);
void conf_bandwidth_done(struct conf_bandwidth *b);

const struct conf_job *conf_find_job(const struct conf *c, const char *name);
const struct conf_profile *conf_find_profile(const struct conf *c, const char *name);
