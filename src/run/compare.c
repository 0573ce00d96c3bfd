/* The decision tables of compare.h. Nothing is fetched here and nothing is copied. */
#include "config.h"

#include "run/compare.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/lister.h"

/* What one fact says of the matter. */
enum tells {
	TELLS_NOTHING,
	TELLS_SAME,
	TELLS_DIFFERS,
};

static enum tells tells(bool is_same)
{
	return is_same ? TELLS_SAME : TELLS_DIFFERS;
}

/* ETags with and without quotes are the same one. */
static bool etag_eq(const char *a, const char *b)
{
	size_t a_len, b_len;

	a += *a == '"';
	b += *b == '"';
	a_len = strcspn(a, "\"");
	b_len = strcspn(b, "\"");
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

static bool is_both(const char *a, const char *b)
{
	return *a && *b;
}

/*
 * Whether a side is now what the record has of it. A version names one content, and so
 * does an ETag of S3; the time alone is good for what has neither.
 */
static enum tells against_mark(
	const struct lister_entry *e, const char *version, const struct compare_mark *m)
{
	if (is_both(version, m->version))
		return tells(str_eq(version, m->version));
	if (is_both(e->etag, m->etag))
		return tells(etag_eq(e->etag, m->etag));
	if (*e->etag || *m->etag || m->modified_us < 0)
		return TELLS_NOTHING;
	return tells(e->modified_us == m->modified_us);
}

static const char *version_of(const struct lister_entry *e, const struct compare_head *h)
{
	return !*e->version && h ? h->version : e->version;
}

/* The record: when the destination is as we left it, the source decides. */
static enum tells by_record(const struct compare_case *c)
{
	if (!c->delivered || against_mark(c->destination,
				     version_of(c->destination, c->destination_head),
				     &c->delivered->destination) != TELLS_SAME)
		return TELLS_NOTHING;
	return against_mark(
		c->source, version_of(c->source, c->source_head), &c->delivered->source);
}

static enum tells by_etag(const struct compare_case *c)
{
	if (!is_both(c->source->etag, c->destination->etag))
		return TELLS_NOTHING;
	return tells(etag_eq(c->source->etag, c->destination->etag));
}

/*
 * A file that we wrote has the time of its source; nobody else gives it that. S3 has the
 * time of the upload, which says nothing of a file that was written in that very second.
 */
static enum tells by_file_time(const struct compare_case *c)
{
	int64_t apart = c->source->modified_us - c->destination->modified_us;

	if (*c->destination->etag)
		return TELLS_NOTHING;
	return apart > -USEC_PER_SEC && apart < USEC_PER_SEC ? TELLS_SAME : TELLS_NOTHING;
}

static enum tells by_digest(const struct compare_case *c)
{
	const struct compare_head *s = c->source_head, *d = c->destination_head;

	if (!s || !d)
		return TELLS_NOTHING;
	for (size_t i = 0; i < s->digest_count; i++)
		for (size_t k = 0; k < d->digest_count; k++)
			if (str_eq(s->digests[i].algorithm, d->digests[k].algorithm))
				return tells(
					str_eq(s->digests[i].value, d->digests[k].value));
	return s->is_etag_md5 && d->is_etag_md5 ? by_etag(c) : TELLS_NOTHING;
}

static enum compare_verdict ask(
	const struct compare_case *c, unsigned sides, unsigned *ret)
{
	*ret = 0;
	if ((sides & COMPARE_ASK_SOURCE) && !c->source_head)
		*ret |= COMPARE_ASK_SOURCE;
	if ((sides & COMPARE_ASK_DESTINATION) && !c->destination_head)
		*ret |= COMPARE_ASK_DESTINATION;
	return *ret ? COMPARE_ASK : COMPARE_UNPROVEN;
}

static enum compare_verdict verdict(enum tells t)
{
	return t == TELLS_SAME ? COMPARE_SAME : COMPARE_DIFFERS;
}

/* Files give no checksum to a HEAD: there is nothing to ask. */
static bool can_ask(const struct compare_case *c)
{
	return is_both(c->source->etag, c->destination->etag);
}

static enum compare_verdict by_proof(const struct compare_case *c, unsigned *ret_asks)
{
	enum tells t = by_record(c);

	if (t != TELLS_NOTHING)
		return verdict(t);
	if (by_etag(c) == TELLS_SAME)
		return COMPARE_SAME;
	if (c->source->modified_us > c->destination->modified_us)
		return COMPARE_DIFFERS;
	t = by_digest(c);
	if (t != TELLS_NOTHING)
		return verdict(t);
	return can_ask(c) ? ask(c, COMPARE_ASK_SOURCE | COMPARE_ASK_DESTINATION, ret_asks)
			  : COMPARE_UNPROVEN;
}

static enum compare_verdict by_auto(const struct compare_case *c, unsigned *ret_asks)
{
	if (by_record(c) == TELLS_NOTHING && by_file_time(c) == TELLS_SAME)
		return COMPARE_SAME;
	return by_proof(c, ret_asks);
}

static enum compare_verdict by_checksum(const struct compare_case *c, unsigned *ret_asks)
{
	enum tells t = by_digest(c);

	if (t != TELLS_NOTHING)
		return verdict(t);
	if (can_ask(c) && (!c->source_head || !c->destination_head))
		return ask(c, COMPARE_ASK_SOURCE | COMPARE_ASK_DESTINATION, ret_asks);
	/* What we delivered was proven then. */
	t = by_record(c);
	return t != TELLS_NOTHING ? verdict(t) : COMPARE_UNPROVEN;
}

static enum compare_verdict by_version(const struct compare_case *c, unsigned *ret_asks)
{
	const char *version = version_of(c->source, c->source_head);
	const struct compare_delivered *r = c->delivered;
	bool has_etags = can_ask(c);

	/* Another content for certain, without a question. */
	if (by_record(c) == TELLS_DIFFERS)
		return COMPARE_DIFFERS;
	if (!*version && has_etags && !c->source_head)
		return ask(c, COMPARE_ASK_SOURCE, ret_asks);
	if (*version && r && is_both(version, r->source.version) &&
		against_mark(c->destination,
			version_of(c->destination, c->destination_head),
			&r->destination) != TELLS_DIFFERS)
		return verdict(tells(str_eq(version, r->source.version)));
	if (*version && has_etags && !c->destination_head)
		return ask(c, COMPARE_ASK_DESTINATION, ret_asks);
	if (c->destination_head && is_both(version, c->destination_head->source_version))
		return verdict(
			tells(str_eq(version, c->destination_head->source_version)));
	return COMPARE_UNPROVEN;
}

enum compare_verdict compare(
	enum compare_mode mode, const struct compare_case *c, unsigned *ret_asks)
{
	enum tells t;

	*ret_asks = 0;
	if (c->source->size != c->destination->size)
		return COMPARE_DIFFERS;
	switch (mode) {
	case COMPARE_SIZE:
		return COMPARE_SAME;
	case COMPARE_MTIME:
		return verdict(tells(c->source->modified_us / USEC_PER_SEC <=
				     c->destination->modified_us / USEC_PER_SEC));
	case COMPARE_ETAG:
		t = by_record(c);
		return verdict(t != TELLS_NOTHING ? t : by_etag(c));
	case COMPARE_CHECKSUM:
		return by_checksum(c, ret_asks);
	case COMPARE_VERSION:
		return by_version(c, ret_asks);
	case COMPARE_PROOF:
		return by_proof(c, ret_asks);
	case COMPARE_AUTO:
		break;
	}
	return by_auto(c, ret_asks);
}
