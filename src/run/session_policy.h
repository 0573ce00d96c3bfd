/*
 * The narrowest session policy that lets a job do its work: its buckets, prefixes and
 * verbs. Pure. STS takes 2,048 characters from space to U+00FF; what is longer gets a
 * wider prefix.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SESSION_POLICY_MAX 2048

/* What one identity does below one prefix. */
struct session_grant {
	char partition[24]; /* "aws" */
	const char *bucket; /* a name, or an access point's ARN */
	/* Up to its first "${" or wildcard it is taken as it stands. */
	const char *key;
	bool is_prefix; /* else this one object */
	bool reads, writes, deletes, lists, restores;
	/* Is told when an object is not there, and not that it may not ask: a HEAD has no
	 * prefix that a condition could name, so that it takes listing the bucket. */
	bool misses;
	bool reads_locks, writes_locks; /* of objects: retention and legal hold */
};

/* malloc'd. *ret_widened: prefixes had to be shortened to fit. */
char *session_policy_make(
	const struct session_grant *grants, size_t count, bool *ret_widened);
