/*
 * One object removed, if it is still the one that was meant: HEAD of what must be absent,
 * HEAD of the object, DELETE with If-Match. Owned by its engine, like a transfer. An
 * object that is gone already counts as removed. Or, told so, one archived object whose
 * restore is asked for: as short, with the same credentials and retries.
 */
#pragma once

#include "base/list.h"
#include "engine/xfer.h"

struct removal;

/* Takes spec. Nothing happens before removal_start(). env->ended is not called. */
struct removal *removal_new(const struct xfer_env *env, struct engine_remove_spec *spec,
	void (*ended)(void *owner, struct removal *r));
/* After its end, or when its http is closed first; takes and returns void *. */
void *removal_free(void *r);
void removal_start(struct removal *r);
/* Its end comes later, with class CANCELLED. A DELETE that was sent is waited for. */
void removal_cancel(struct removal *r);
void removal_wake(struct removal *r, uint32_t creds_id);

uint64_t removal_id(const struct removal *r);
struct list *removal_link(struct removal *r);
struct removal *removal_from_link(struct list *link);
