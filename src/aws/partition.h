/*
 * AWS's partitions: groups of regions with host names of their own. Pure, one table.
 * Source: botocore/data/partitions.json; the newest dual-stack suffixes of the isolated
 * partitions are not public, so that there dual stack is refused.
 */
#pragma once

#include <stdbool.h>

struct partition {
	const char *name;   /* as in an ARN: "aws", "aws-cn" */
	const char *prefix; /* of its regions; "aws" has all that no other has */
	const char *dns_suffix;
	const char *dual_stack_suffix; /* NULL: no dual stack */
};
/* Never NULL: an unknown region counts to "aws". */
const struct partition *partition_of(const char *region);
