/*
 * What an engine learned about two identities working together, so that it is not tried
 * once an object: may one of them copy for both, what does the destination refuse. As
 * credential sets belong to one run, so does this. Owned by the engine's list.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define XFER_COPY_WAYS 4 /* see xfer_copy.c; copy_way has this value: none works */

struct xfer_pair {
	struct list link;
	uint32_t source, destination; /* ids of credential sets */
	int copy_way; /* the first one that is not known to be refused */
	bool has_copied;
	bool refuses_version; /* reading by version id needs a right of its own */
	bool refuses_tags, refuses_class, refuses_acl;
};

/* Made when it is new. Gone when either set is forgotten: look it up at each use. */
struct xfer_pair *xfer_pair_get(
	struct list *pairs, uint32_t source, uint32_t destination);
void xfer_pair_forget(struct list *pairs, uint32_t creds_id);
void xfer_pair_forget_all(struct list *pairs);
