/* The set itself, for those who hold a copy. It knows nothing of where sets come from. */
#include "config.h"

#include "aws/creds.h"

#include "base/mem.h"

void creds_set_wipe(struct creds_set *set)
{
	mem_wipe(set, sizeof(*set));
}
