/*
 * The language as a table: section, key, type, default, range. The parser, the man page's
 * check and "did you mean" all read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

enum schema_section {
	SCHEMA_TOP,
	SCHEMA_PROFILE,
	SCHEMA_JOB,
	SCHEMA_SIDE,
	SCHEMA_RETRY,
	SCHEMA_WINDOW,
	SCHEMA_LIMITS,
	SCHEMA_MAX_DELETE,
	SCHEMA_IF_MISSING,
	SCHEMA_RESTORE,
	SCHEMA_EXPECT,
	SCHEMA_MANIFEST,
	SCHEMA_SECTIONS,
};

enum schema_type {
	SCHEMA_TEXT,
	SCHEMA_DURATION, /* int64_t seconds */
	SCHEMA_INT,      /* int64_t */
	SCHEMA_SIZE,     /* int64_t bytes */
	SCHEMA_REAL,     /* double */
	SCHEMA_BOOL,     /* bool */
	SCHEMA_FLAG,     /* enum conf_flag: whether it was said is known */
	SCHEMA_ENUM,     /* int64_t: index into names */
	SCHEMA_TIME,     /* int64_t UTC seconds */
	SCHEMA_TEXTS,    /* struct conf_texts: one text, or a list of them */
	SCHEMA_CHILD,    /* a map that the builder reads itself */
	SCHEMA_PLANNED,  /* a word of the language that this version does not do yet */
};

struct schema_row {
	enum schema_section section;
	const char *key;
	enum schema_type type;
	const char *fallback; /* as written in YAML; NULL: none */
	size_t offset;        /* into struct raw_* below */
	int64_t min, max;     /* of numbers and durations */
	const char *const *names; /* of an ENUM; of an INT: the word that stands for 0 */
	bool is_default_too;      /* also accepted in `defaults` */
};

extern const char *const schema_encryptions[], *const schema_acls[];
extern const char *const schema_locks[], *const schema_tiers[];
extern const struct schema_row schema_rows[];
extern const size_t schema_row_count;
const struct schema_row *schema_find(enum schema_section section, const char *key);
const char *schema_section_name(enum schema_section section);

/* What the table's offsets point into: values as written, before they are checked. */
struct raw_top {
	int64_t version;
	char *aws_config_file, *aws_credentials_file;
	int64_t max_parallel_runs, engines, memory_bytes;
	struct conf_bandwidth bandwidth;
};

struct raw_side {
	char *profile, *url, *group, *mode;
	char *expected_owner, *storage_class, *kms_key_id;
	int64_t request_payer, encryption, bucket_key, acl, object_lock; /* of the names */
	int64_t retain_s;
	int64_t stable_for_s;
};

struct raw_retry {
	int64_t attempts, backoff_s, max_backoff_s;
	double factor;
};

struct raw_window {
	char *start, *end;
	int64_t at_end; /* 0: pause, 1: cancel */
};

struct raw_limits {
	int64_t objects, parts, part_bytes;
};

/* -1: not given. */
struct raw_max_delete {
	int64_t percent, count;
};

struct raw_if_missing {
	int64_t wait_s, poll_s;
	int64_t then; /* 0: fail, 1: skip */
};

struct raw_restore {
	int64_t days, tier; /* tier: of schema_tiers */
	int64_t poll_s;
};

struct raw_expect {
	int64_t min_objects, max_objects, min_bytes; /* -1: not given */
	int64_t newer_than_s;
	char *by;
};

struct raw_job {
	struct conf_texts schedule, calendar, after;
	struct conf_texts include, exclude, only_storage_class;
	int64_t newer_than_s, older_than_s;
	int64_t min_size, max_size; /* -1: not given */
	int64_t archived, compare;
	bool is_flat, is_deleting, allows_empty;
	char *rename, *trash_prefix, *manifest_prefix;
	struct raw_max_delete max_delete;
	struct raw_if_missing if_missing;
	struct raw_restore restore;
	struct raw_expect expect;
	char *every, *timezone, *profile;
	int64_t start_s, starting_deadline_s, jitter_s, timeout_s;
	int64_t method, overwrite, verify, checksum, tags;
	int64_t action, overlap, catch_up, catch_up_limit, dst_gap, dst_overlap, day_match;
	bool is_paused;
	struct conf_profile *session; /* NULL: none of its keys was written */
	char *role_session_name;
	struct raw_side source, destination;
	int64_t priority;
	struct raw_retry retry;
	struct conf_bandwidth bandwidth;
	struct raw_window window;
	struct raw_limits limits;
	struct conf_manifest manifest;
};
