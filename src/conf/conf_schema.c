/* The table of the language. Not how values are read (conf_build) or checked. */
#include "config.h"

#include "conf/conf_schema.h"

#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"

static const char *const priorities[] = {"low", "normal", "high", NULL};
static const char *const autos[] = {"auto", NULL};
static const char *const actions[] = {"copy", "sync", "move", NULL};
static const char *const compares[] = {
	"auto", "size", "mtime", "etag", "checksum", "version", NULL};
static const char *const missing_ends[] = {"fail", "skip", NULL};
static const char *const archived_ways[] = {"fail", "skip", "restore", NULL};
const char *const schema_tiers[] = {"Standard", "Bulk", "Expedited", NULL};
static const char *const overlaps[] = {"skip", "queue-one", "replace", NULL};
static const char *const catch_ups[] = {"none", "latest", "all", NULL};
static const char *const gaps[] = {"run", "skip", NULL};
static const char *const repeats[] = {"auto", "once", "both", NULL};
static const char *const window_ends[] = {"pause", "cancel", NULL};
static const char *const styles[] = {"auto", "virtual", "path", NULL};
static const char *const payloads[] = {"auto", "always", "never", NULL};
static const char *const methods[] = {"auto", "stream", "server_side", NULL};
static const char *const overwrites[] = {"changed", "always", "never", NULL};
static const char *const sums[] = {
	"auto", "crc64nvme", "crc32c", "crc32", "sha256", NULL};
static const char *const verifies[] = {"object", "transfer", "full", NULL};
static const char *const tag_rules[] = {"best_effort", "require", "drop", NULL};
static const char *const payers[] = {"owner", "requester", NULL};
static const char *const choices[] = {"default", "true", "false", NULL};
const char *const schema_encryptions[] = {
	"default", "AES256", "aws:kms", "aws:kms:dsse", NULL};
const char *const schema_acls[] = {"auto", "none", "private", "public-read",
	"public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read",
	"bucket-owner-full-control", NULL};
const char *const schema_locks[] = {"none", "copy", "GOVERNANCE", "COMPLIANCE", NULL};
static const char *const day_matches[] = {"auto", "and", "or", NULL};

#define DAY INT64_C(86400)
#define MIB (INT64_C(1) << 20)
#define TOP(key, type, def, field, ...)                                                  \
	{SCHEMA_TOP, key, type, def, offsetof(struct raw_top, field), __VA_ARGS__}
#define PROFILE(key, type, field, ...)                                                   \
	{SCHEMA_PROFILE, key, type, NULL, offsetof(struct conf_profile, field), __VA_ARGS__}
#define JOB(key, type, def, field, ...)                                                  \
	{SCHEMA_JOB, key, type, def, offsetof(struct raw_job, field), __VA_ARGS__}
#define SIDE(key, field) {SCHEMA_SIDE, key, SCHEMA_TEXT, NULL, offsetof(struct raw_side, field)}
#define OBJECT(key, type, def, field, ...)                                               \
	{SCHEMA_SIDE, key, type, def, offsetof(struct raw_side, field), __VA_ARGS__}
#define RETRY(key, type, def, field, ...)                                                \
	{SCHEMA_RETRY, key, type, def, offsetof(struct raw_retry, field), __VA_ARGS__}
#define LIMITS(key, type, def, field, ...)                                               \
	{SCHEMA_LIMITS, key, type, def, offsetof(struct raw_limits, field), __VA_ARGS__}
#define WINDOW(key, type, def, field, ...)                                               \
	{SCHEMA_WINDOW, key, type, def, offsetof(struct raw_window, field), __VA_ARGS__}
#define MAX_DELETE(key, field, ...)                                                      \
	{SCHEMA_MAX_DELETE, key, SCHEMA_INT, NULL,                                       \
		offsetof(struct raw_max_delete, field), __VA_ARGS__}
#define IF_MISSING(key, type, def, field, ...)                                           \
	{SCHEMA_IF_MISSING, key, type, def, offsetof(struct raw_if_missing, field),      \
		__VA_ARGS__}
#define RESTORE(key, type, def, field, ...)                                              \
	{SCHEMA_RESTORE, key, type, def, offsetof(struct raw_restore, field), __VA_ARGS__}
#define EXPECT(key, type, field, ...)                                                    \
	{SCHEMA_EXPECT, key, type, NULL, offsetof(struct raw_expect, field), __VA_ARGS__}
#define MANIFEST(key, type, def, field, ...)                                             \
	{SCHEMA_MANIFEST, key, type, def, offsetof(struct conf_manifest, field), __VA_ARGS__}
#define CHILD(section, key) {section, key, SCHEMA_CHILD}
#define PLANNED(section, key) {section, key, SCHEMA_PLANNED}

/* clang-format off */
const struct schema_row schema_rows[] = {
	TOP("version",              SCHEMA_INT,  NULL, version, 1, 1),
	TOP("aws_config_file",      SCHEMA_TEXT, NULL, aws_config_file),
	TOP("aws_credentials_file", SCHEMA_TEXT, NULL, aws_credentials_file),
	TOP("max_parallel_runs",    SCHEMA_INT,  "8",  max_parallel_runs, 1, 1000),
	TOP("engines",              SCHEMA_INT,  "1",  engines, 1, 64, .names = autos),
	TOP("memory_limit",         SCHEMA_SIZE, "32 MiB", memory_bytes, 4 * MIB, 65536 * MIB),
	CHILD(SCHEMA_TOP, "bandwidth"),
	CHILD(SCHEMA_TOP, "profiles"),
	CHILD(SCHEMA_TOP, "defaults"),
	CHILD(SCHEMA_TOP, "jobs"),
	PLANNED(SCHEMA_TOP, "notify"),
	PLANNED(SCHEMA_TOP, "http"),
	PLANNED(SCHEMA_TOP, "drain_timeout"),

	PROFILE("role_arn",          SCHEMA_TEXT, role_arn),
	PROFILE("source_profile",    SCHEMA_TEXT, source_profile),
	PROFILE("credential_source", SCHEMA_TEXT, credential_source),
	PROFILE("external_id",       SCHEMA_TEXT, external_id),
	PROFILE("role_session_name", SCHEMA_TEXT, role_session_name),
	PROFILE("duration_seconds",  SCHEMA_INT,  duration_s, 1, 43200),
	PROFILE("region",            SCHEMA_TEXT, region),
	PROFILE("endpoint_url",      SCHEMA_TEXT, endpoint_url),
	PROFILE("ca_bundle",         SCHEMA_TEXT, ca_bundle),
	PROFILE("credential_process",      SCHEMA_TEXT, credential_process),
	PROFILE("web_identity_token_file", SCHEMA_TEXT, web_identity_token_file),
	PROFILE("source_identity",         SCHEMA_TEXT, source_identity),
	CHILD(SCHEMA_PROFILE, "session_policy"),
	CHILD(SCHEMA_PROFILE, "tags"),
	CHILD(SCHEMA_PROFILE, "transitive_tag_keys"),
	PROFILE("addressing_style",        SCHEMA_ENUM, addressing_style, .names = styles),
	PROFILE("payload_signing",         SCHEMA_ENUM, payload_signing, .names = payloads),
	PROFILE("allow_plaintext",         SCHEMA_BOOL, allows_plaintext),
	PROFILE("use_fips_endpoint",       SCHEMA_FLAG, use_fips),
	PROFILE("use_dualstack_endpoint",  SCHEMA_FLAG, use_dual_stack),
	PROFILE("use_accelerate_endpoint", SCHEMA_FLAG, use_accelerate),
	PROFILE("s3_use_arn_region",       SCHEMA_FLAG, use_arn_region),

	JOB("schedule",          SCHEMA_TEXTS,    NULL,     schedule),
	JOB("calendar",          SCHEMA_TEXTS,    NULL,     calendar),
	JOB("every",             SCHEMA_TEXT,     NULL,     every),
	JOB("start",             SCHEMA_TIME,     NULL,     start_s),
	JOB("timezone",          SCHEMA_TEXT,     "UTC",    timezone, .is_default_too = true),
	JOB("profile",           SCHEMA_TEXT,     NULL,     profile),
	CHILD(SCHEMA_JOB, "source"),
	CHILD(SCHEMA_JOB, "destination"),
	JOB("method",            SCHEMA_ENUM,     "auto",        method, .names = methods, .is_default_too = true),
	JOB("overwrite",         SCHEMA_ENUM,     "changed",     overwrite, .names = overwrites, .is_default_too = true),
	JOB("verify",            SCHEMA_ENUM,     "object",      verify, .names = verifies, .is_default_too = true),
	JOB("checksum_algorithm", SCHEMA_ENUM,    "auto",        checksum, .names = sums, .is_default_too = true),
	JOB("tags",              SCHEMA_ENUM,     "best_effort", tags, .names = tag_rules, .is_default_too = true),
	JOB("action",            SCHEMA_ENUM,     "copy",   action, .names = actions),
	JOB("include",           SCHEMA_TEXTS,    NULL,     include),
	JOB("exclude",           SCHEMA_TEXTS,    NULL,     exclude),
	JOB("newer_than",        SCHEMA_DURATION, NULL,     newer_than_s, 1, 36600 * DAY),
	JOB("older_than",        SCHEMA_DURATION, NULL,     older_than_s, 1, 36600 * DAY),
	JOB("min_size",          SCHEMA_SIZE,     NULL,     min_size, 0, INT64_MAX),
	JOB("max_size",          SCHEMA_SIZE,     NULL,     max_size, 0, INT64_MAX),
	JOB("only_storage_class", SCHEMA_TEXTS,   NULL,     only_storage_class),
	JOB("archived",          SCHEMA_ENUM,     "fail",   archived, .names = archived_ways),
	CHILD(SCHEMA_JOB, "restore"),
	JOB("flatten",           SCHEMA_BOOL,     "false",  is_flat),
	JOB("rename",            SCHEMA_TEXT,     NULL,     rename),
	JOB("compare",           SCHEMA_ENUM,     "auto",   compare, .names = compares),
	JOB("delete",            SCHEMA_BOOL,     "false",  is_deleting),
	CHILD(SCHEMA_JOB, "max_delete"),
	JOB("allow_empty",       SCHEMA_BOOL,     "false",  allows_empty),
	JOB("trash_prefix",      SCHEMA_TEXT,     NULL,     trash_prefix),
	CHILD(SCHEMA_JOB, "if_missing"),
	CHILD(SCHEMA_JOB, "expect"),
	JOB("overlap",           SCHEMA_ENUM,     "skip",   overlap, .names = overlaps, .is_default_too = true),
	JOB("catch_up",          SCHEMA_ENUM,     "latest", catch_up, .names = catch_ups, .is_default_too = true),
	JOB("catch_up_limit",    SCHEMA_INT,      "10",     catch_up_limit, 1, 1000, .is_default_too = true),
	JOB("starting_deadline", SCHEMA_DURATION, NULL,     starting_deadline_s, 1, 3660 * DAY, .is_default_too = true),
	JOB("jitter",            SCHEMA_DURATION, NULL,     jitter_s, 0, DAY, .is_default_too = true),
	JOB("timeout",           SCHEMA_DURATION, "24h",    timeout_s, 1, 366 * DAY, .is_default_too = true),
	{SCHEMA_JOB, "retry",    SCHEMA_CHILD, .is_default_too = true},
	JOB("paused",            SCHEMA_BOOL,     "false",  is_paused),
	JOB("dst_gap",           SCHEMA_ENUM,     "run",    dst_gap, .names = gaps),
	JOB("dst_overlap",       SCHEMA_ENUM,     "auto",   dst_overlap, .names = repeats),
	JOB("day_match",         SCHEMA_ENUM,     "auto",   day_match, .names = day_matches),
	JOB("after",             SCHEMA_TEXTS,    NULL,     after),
	CHILD(SCHEMA_JOB, "window"),
	JOB("priority",          SCHEMA_ENUM,     "normal", priority, .names = priorities, .is_default_too = true),
	{SCHEMA_JOB, "limits",   SCHEMA_CHILD, .is_default_too = true},
	CHILD(SCHEMA_JOB, "bandwidth"),
	CHILD(SCHEMA_JOB, "session_policy"),
	CHILD(SCHEMA_JOB, "session_tags"),
	JOB("role_session_name", SCHEMA_TEXT,     NULL,     role_session_name),
	{SCHEMA_JOB, "manifest", SCHEMA_CHILD, .is_default_too = true},
	JOB("manifest_prefix",   SCHEMA_TEXT,     NULL,     manifest_prefix),
	PLANNED(SCHEMA_JOB, "notify"),

	SIDE("profile", profile),
	SIDE("url",     url),
	SIDE("group",   group),
	SIDE("mode",    mode),
	SIDE("expected_bucket_owner", expected_owner),
	OBJECT("request_payer",          SCHEMA_ENUM, "owner",   request_payer, .names = payers),
	CHILD(SCHEMA_SIDE, "storage_class"),
	OBJECT("server_side_encryption", SCHEMA_ENUM, "default", encryption, .names = schema_encryptions),
	SIDE("kms_key_id", kms_key_id),
	OBJECT("bucket_key_enabled",     SCHEMA_ENUM, "default", bucket_key, .names = choices),
	OBJECT("acl",                    SCHEMA_ENUM, "auto",    acl, .names = schema_acls),
	OBJECT("object_lock",            SCHEMA_ENUM, "none",    object_lock, .names = schema_locks),
	OBJECT("retain_for",             SCHEMA_DURATION, NULL,  retain_s, 1, 36500 * DAY),
	{SCHEMA_SIDE, "stable_for", SCHEMA_DURATION, NULL, offsetof(struct raw_side, stable_for_s), 1, 366 * DAY},

	RETRY("attempts",    SCHEMA_INT,      "3",   attempts, 1, 100),
	RETRY("backoff",     SCHEMA_DURATION, "30s", backoff_s, 1, DAY),
	RETRY("factor",      SCHEMA_REAL,     "2",   factor, 1, 10),
	RETRY("max_backoff", SCHEMA_DURATION, "10m", max_backoff_s, 1, DAY),

	LIMITS("objects",   SCHEMA_INT,  "32",    objects, 1, 256),
	LIMITS("parts",     SCHEMA_INT,  NULL,    parts, 1, 64),
	LIMITS("part_size", SCHEMA_SIZE, "16MiB", part_bytes, 5 * MIB, 5120 * MIB),
	MAX_DELETE("percent", percent, 0, 100),
	MAX_DELETE("count",   count,   0, INT64_MAX),

	IF_MISSING("wait", SCHEMA_DURATION, "0s",   wait_s, 0, 366 * DAY),
	IF_MISSING("poll", SCHEMA_DURATION, "5m",   poll_s, 1, DAY),
	IF_MISSING("then", SCHEMA_ENUM,     "fail", then, .names = missing_ends),

	RESTORE("days", SCHEMA_INT,      "3",        days, 1, 36500),
	RESTORE("tier", SCHEMA_ENUM,     "Standard", tier, .names = schema_tiers),
	RESTORE("poll", SCHEMA_DURATION, "15m",      poll_s, 1, DAY),

	EXPECT("min_objects", SCHEMA_INT,      min_objects, 0, INT64_MAX),
	EXPECT("max_objects", SCHEMA_INT,      max_objects, 0, INT64_MAX),
	EXPECT("min_bytes",   SCHEMA_SIZE,     min_bytes, 0, INT64_MAX),
	EXPECT("newer_than",  SCHEMA_DURATION, newer_than_s, 1, 36600 * DAY),
	EXPECT("by",          SCHEMA_TEXT,     by),

	MANIFEST("keep",    SCHEMA_INT,      "30",  keep, 0, 100000),
	MANIFEST("max_age", SCHEMA_DURATION, "90d", max_age_s, 1, 36600 * DAY),

	WINDOW("start",  SCHEMA_TEXT, NULL,    start),
	WINDOW("end",    SCHEMA_TEXT, NULL,    end),
	WINDOW("at_end", SCHEMA_ENUM, "pause", at_end, .names = window_ends),
};
/* clang-format on */
const size_t schema_row_count = ARRAY_LEN(schema_rows);

const struct schema_row *schema_find(enum schema_section section, const char *key)
{
	for (size_t i = 0; i < schema_row_count; i++) {
		if (schema_rows[i].section == section &&
			strcmp(schema_rows[i].key, key) == 0)
			return &schema_rows[i];
	}
	return NULL;
}

const char *schema_section_name(enum schema_section section)
{
	static const char *const names[] = {[SCHEMA_TOP] = "the top level",
		[SCHEMA_PROFILE] = "a profile",
		[SCHEMA_JOB] = "a job",
		[SCHEMA_SIDE] = "source and destination",
		[SCHEMA_RETRY] = "retry",
		[SCHEMA_LIMITS] = "limits",
		[SCHEMA_WINDOW] = "window",
		[SCHEMA_MAX_DELETE] = "max_delete",
		[SCHEMA_IF_MISSING] = "if_missing",
		[SCHEMA_RESTORE] = "restore",
		[SCHEMA_EXPECT] = "expect",
		[SCHEMA_MANIFEST] = "manifest"};

	return names[section];
}
