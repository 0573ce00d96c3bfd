/*
 * Who may have a checksum behind a body. AWS reads it; of others some refuse it, and some
 * store it with the bytes. One part of an upload finds out: it is nobody's but ours until
 * Complete, and sent once more, without, unless its answer holds the checksum of the
 * bytes: who took the frame for content has another one. Where it fails for what has to
 * do with no checksum, another part may find out; but who lets connections drop for it is
 * found out too.
 */
#include "config.h"

#include "engine/xfer_trail.h"

#include "base/log.h"
#include "base/str.h"
#include "engine/known.h"

static const char *url_of(const struct xfer *x)
{
	return x->spec->destination.endpoint_url;
}

/* Signed chunks need no proof, and nothing is behind them. */
static bool is_possible(const struct xfer *x)
{
	const struct engine_side *s = &x->spec->destination;
	const char *url = url_of(x);

	return s->scheme == ENGINE_S3 && s->options.payload != ENDPOINT_PAYLOAD_ALWAYS &&
	       (!*url || str_has_prefix(url, "https://"));
}

bool xfer_trail_may(const struct xfer *x)
{
	const char *url = url_of(x);

	return is_possible(x) &&
	       (!*url || known_trailers_of(x->env->known, url) == TRAILERS_READ);
}

bool xfer_trail_begin(struct xfer *x)
{
	const char *url = url_of(x);

	xfer_trail_drop(x); /* of an attempt that failed for the source */
	if (!is_possible(x))
		return false;
	if (xfer_trail_may(x))
		return true;
	/* An upload that keeps no checksum would not answer with one. */
	if (!x->range.kept || x->is_put_held || x->is_trailing_lost ||
		known_trailers_of(x->env->known, url) != TRAILERS_UNKNOWN)
		return false;
	known_note_trailers(x->env->known, url, TRAILERS_ASKED);
	x->is_trailing_probe = true;
	return true;
}

static void tell_refused(const struct xfer *x)
{
	log_info(NULL, "%s does not read checksums that follow the bytes: none are sent",
		url_of(x));
}

static void settle(struct xfer *x, enum known_trailers what)
{
	x->is_trailing_probe = false;
	known_note_trailers(x->env->known, url_of(x), what);
	if (what == TRAILERS_READ)
		log_info(NULL, "%s reads checksums that follow the bytes: they are sent",
			url_of(x));
	else if (what == TRAILERS_REFUSED)
		tell_refused(x);
}

/* Without it the bytes came through. */
static void settle_lost(struct xfer *x)
{
	x->is_trailing_lost = false;
	if (known_note_trailers_lost(x->env->known, url_of(x)))
		tell_refused(x);
}

void xfer_trail_judge(struct xfer *x, bool is_proven)
{
	if (x->is_trailing_lost)
		settle_lost(x);
	if (!x->is_trailing_probe)
		return;
	if (is_proven)
		settle(x, TRAILERS_READ);
	else
		xfer_io_fail(x, XFER_DESTINATION, ERR_INTEGRITY, "trailer",
			"the answer does not hold the checksum that followed the bytes");
}

/* Others are of the session, the upload, the load or the way there. */
static bool may_speak_of_it(const struct err *e)
{
	return e->origin == ERR_FROM_S3 &&
	       (e->class == ERR_FATAL || e->class == ERR_DENIED ||
		       e->class == ERR_INTEGRITY);
}

bool xfer_trail_gives_in(struct xfer *x)
{
	if (!x->is_trailing_probe || x->failed_side != XFER_DESTINATION)
		return false;
	if (!may_speak_of_it(&x->err)) {
		settle(x, TRAILERS_UNKNOWN);
		x->is_trailing_lost = true;
		return false;
	}
	settle(x, TRAILERS_REFUSED);
	return true;
}

void xfer_trail_drop(struct xfer *x)
{
	if (x->is_trailing_probe)
		settle(x, TRAILERS_UNKNOWN);
}
