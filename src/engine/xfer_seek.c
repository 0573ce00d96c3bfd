/* The search for orphaned uploads. What is told of them the core keeps, and has ended. */
#include "config.h"

#include "engine/xfer_seek.h"

#include <stdio.h>
#include <stdlib.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "s3/uploads.h"

#define PAGES_MAX 10
#define MARGIN_US (5 * USEC_PER_SEC) /* Date and Initiated are told in whole seconds */

struct xfer_seek {
	char *key_marker, *id_marker;
	int pages, found;
	bool is_over;
};

bool xfer_seek_is_wanted(const struct xfer *x)
{
	return x->spec->is_abort && !x->spec->resume->upload_id[0];
}

/* Of a daemon that forgot what it did: only the name in the session tells. */
static bool is_forgotten(
	const struct xfer *x, const struct s3_pending *p, int64_t skew_us)
{
	const struct creds_set *set = x->env->creds(
		x->env->arg, x->spec->destination.creds_id);

	return p->initiated_us >= 0 && *p->key &&
	       p->initiated_us < x->spec->resume->until_us + skew_us + MARGIN_US && set &&
	       *set->arn && str_eq(p->initiator, set->arn);
}

static bool is_ours(const struct xfer *x, const struct s3_pending *p, int64_t skew_us)
{
	const struct engine_upload *intent = x->spec->resume;
	bool is_aws = !x->spec->destination.endpoint_url[0];

	if (intent->until_us)
		return is_forgotten(x, p, skew_us);
	if (p->initiated_us < intent->intended_us + skew_us - MARGIN_US)
		return false;
	if (is_aws || str_has_prefix(p->initiator, "arn:"))
		return intent->initiator[0] && str_eq(p->initiator, intent->initiator);
	return true;
}

static void tell(struct xfer *x, const struct s3_pending *p)
{
	struct engine_ev ev = {.type = ENGINE_EV_ORPHAN,
		.id = x->spec->id,
		.tag = x->spec->tag,
		.upload = mem_alloc(sizeof(*ev.upload))};

	snprintf(ev.upload->upload_id, sizeof(ev.upload->upload_id), "%s", p->upload_id);
	snprintf(ev.upload->key, sizeof(ev.upload->key), "%s", p->key);
	x->seek->found++;
	x->env->event(x->env->owner, &ev);
}

static void on_page(void *arg, const struct err *err, const struct s3_pending_page *page)
{
	struct xfer *x = arg;
	struct xfer_seek *s = x->seek;

	x->ask = NULL;
	if (err) {
		x->seek = xfer_seek_free(
			s); /* the next attempt begins at the first page */
		xfer_fail(x, XFER_DESTINATION, err);
		xfer_run(x);
		return;
	}
	for (size_t i = 0; i < page->count; i++)
		if (is_ours(x, &page->items[i], page->skew_us))
			tell(x, &page->items[i]);
	s->is_over = (!*page->key_marker && !*page->id_marker) || ++s->pages == PAGES_MAX;
	mem_replace(&s->key_marker, page->key_marker);
	mem_replace(&s->id_marker, page->id_marker);
	xfer_run(x);
}

void xfer_seek_next(struct xfer *x)
{
	struct s3_pending_query q = {.key = x->spec->destination.key,
		.is_prefix = x->spec->resume->until_us != 0};
	struct s3_place place;
	struct s3_env env;

	if (x->ask || xfer_seek_is_over(x))
		return;
	if (!x->seek)
		x->seek = mem_alloc(sizeof(*x->seek));
	q.key_marker = x->seek->key_marker ? x->seek->key_marker : "";
	q.id_marker = x->seek->id_marker ? x->seek->id_marker : "";
	if (xfer_io_env(x, XFER_DESTINATION, &place, &env))
		x->ask = s3_list_uploads(&env, &q, on_page, x);
}

bool xfer_seek_is_over(const struct xfer *x)
{
	return x->seek && x->seek->is_over;
}

int xfer_seek_count(const struct xfer *x)
{
	return x->seek ? x->seek->found : 0;
}

void *xfer_seek_free(struct xfer_seek *s)
{
	if (!s)
		return NULL;
	free(s->key_marker);
	free(s->id_marker);
	free(s);
	return NULL;
}
