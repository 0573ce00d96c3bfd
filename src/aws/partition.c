/* The table of partitions. Not endpoints: how a service builds its host is endpoint's. */
#include "config.h"

#include "aws/partition.h"

#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"

/* clang-format off */
static const struct partition partitions[] = {
	{"aws",        "",          "amazonaws.com",    "api.aws"},
	{"aws-cn",     "cn-",       "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
	{"aws-us-gov", "us-gov-",   "amazonaws.com",    "api.aws"},
	{"aws-iso",    "us-iso-",   "c2s.ic.gov",       NULL},
	{"aws-iso-b",  "us-isob-",  "sc2s.sgov.gov",    NULL},
	{"aws-iso-e",  "eu-isoe-",  "cloud.adc-e.uk",   NULL},
	{"aws-iso-f",  "us-isof-",  "csp.hci.ic.gov",   NULL},
	{"aws-eusc",   "eusc-",     "amazonaws.eu",     "api.amazonwebservices.eu"},
};
/* clang-format on */

const struct partition *partition_of(const char *region)
{
	for (size_t i = 1; i < ARRAY_LEN(partitions); i++) {
		if (str_has_prefix(region, partitions[i].prefix))
			return &partitions[i];
	}
	return &partitions[0];
}
