/*
 * One case of a .flat file, and the checks by group. A check tells honestly what it could
 * not try: NOT_BUILT when no code of ours answers the question yet, NOT_APPLICABLE when a
 * decision says otherwise (then c->reason is set by it).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUES_MAX 4000

struct vcase {
	char *id;
	char category[64];
	char *paths[VALUES_MAX], *values[VALUES_MAX]; /* values unescaped */
	size_t lens[VALUES_MAX], count;
	const char *reason;
};

enum verdict {
	PASSED,
	FAILED,
	NOT_BUILT,
	NOT_APPLICABLE,
	VERDICTS,
};

/* The value at a path, or NULL. */
const char *vcase_get(const struct vcase *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
size_t vcase_count(const struct vcase *c, const char *path);
bool vcase_is(const struct vcase *c, const char *path);
int64_t vcase_int(const struct vcase *c, const char *path); /* 0: none */

enum verdict vcase_passed_if(bool is_right);
/* reason: a string that stays. */
enum verdict vcase_not_applicable(struct vcase *c, const char *reason);

enum verdict check_assume_role(struct vcase *c);
enum verdict check_checksum(struct vcase *c);
enum verdict check_clock_skew(struct vcase *c);
enum verdict check_container(struct vcase *c);
enum verdict check_credential_chain(struct vcase *c);
enum verdict check_credential_refresh(struct vcase *c);
enum verdict check_endpoint_s3(struct vcase *c);
enum verdict check_endpoint_sts(struct vcase *c);
enum verdict check_endpoint_url(struct vcase *c);
enum verdict check_imds(struct vcase *c);
enum verdict check_name(struct vcase *c);
enum verdict check_profile(struct vcase *c);
enum verdict check_response(struct vcase *c);
enum verdict check_retry(struct vcase *c);
enum verdict check_timestamp(struct vcase *c);
