/*
 * Headers of the object that is written, from the source's head and the job's wishes. The
 * bytes are xfer_io.c's, and what an answer means xfer.c's.
 */
#include "config.h"

#include "engine/xfer_headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/xfer_copy.h"
#include "engine/xfer_pair.h"
#include "engine/xfer_sums.h"
#include "net/loop.h"
#include "s3/tagging.h"

static struct xfer_pair *pair_of(const struct xfer *x)
{
	return x->env->pair(
		x->env->arg, x->spec->source.creds_id, x->spec->destination.creds_id);
}

static void lose(struct xfer *x, enum engine_loss what)
{
	x->losses |= 1u << what;
}

/* --- tags --- */

static bool are_tags_dropped(const struct xfer *x)
{
	return x->drops_tags || pair_of(x)->refuses_tags;
}

static bool are_tags_missing(const struct xfer *x)
{
	return x->spec->destination.scheme == ENGINE_S3 &&
	       x->heads[XFER_SOURCE].tag_count > 0 && !x->is_tags_asked &&
	       x->spec->fidelity.tags != ENGINE_TAGS_DROP && !are_tags_dropped(x) &&
	       !x->range.length;
}

static void on_tags(void *arg, const struct err *err, const char *tagging)
{
	struct xfer *x = arg;
	bool is_forbidden = err && err->class == ERR_DENIED;

	x->ask = NULL;
	if (is_forbidden && x->has_named_version) {
		pair_of(x)->refuses_version = true;
		xfer_run(x);
		return;
	}
	if (!err)
		mem_replace(&x->tagging, tagging);
	else if (!is_forbidden || x->spec->fidelity.tags == ENGINE_TAGS_REQUIRE)
		xfer_fail(x, XFER_SOURCE, err);
	else
		pair_of(x)->refuses_tags = true;
	x->is_tags_asked = !err || is_forbidden;
	xfer_run(x);
}

static void ask_tags(struct xfer *x)
{
	const char *version = xfer_copy_version(x);
	struct s3_place place;
	struct s3_env env;

	if (!xfer_io_env(x, XFER_SOURCE, &place, &env))
		return;
	x->has_named_version = version != NULL;
	x->ask = s3_get_tags(&env, x->spec->source.key, version, on_tags, x);
}

bool xfer_details_are_missing(const struct xfer *x)
{
	return are_tags_missing(x) || xfer_sums_is_due(x);
}

enum step_result xfer_details_step(struct xfer *x)
{
	if (x->is_failed || x->is_cancelled)
		return xfer_goto(x, XFER_STOP);
	if (x->ask)
		return STEP_WAIT;
	if (!xfer_details_are_missing(x)) /* a large object's upload is begun there */
		return xfer_goto(x, x->is_large ? XFER_GET : XFER_STREAM);
	if (are_tags_missing(x))
		ask_tags(x);
	else
		xfer_sums_ask(x);
	return x->is_failed ? STEP_AGAIN : STEP_WAIT;
}

static void put_tags(struct xfer *x, enum xfer_written by, struct s3_meta *ret)
{
	bool has_tags = x->heads[XFER_SOURCE].tag_count > 0;
	bool is_dropped = are_tags_dropped(x);

	if (has_tags && is_dropped && x->spec->fidelity.tags != ENGINE_TAGS_DROP)
		lose(x, ENGINE_LOSS_TAGS);
	is_dropped |= x->spec->fidelity.tags == ENGINE_TAGS_DROP;
	if (by == XFER_BY_COPY && has_tags && is_dropped)
		s3_meta_add(ret, "x-amz-tagging-directive", "REPLACE");
	else if (by == XFER_BY_PUT && x->tagging && *x->tagging && !is_dropped)
		s3_meta_add(ret, "x-amz-tagging", x->tagging);
}

/* --- storage class --- */

/* Classes that only other kinds of buckets have. */
static bool is_class_of_bucket(const char *class)
{
	static const char *const names[] = {
		"OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP", NULL};

	for (size_t i = 0; names[i]; i++)
		if (strcmp(class, names[i]) == 0)
			return true;
	return false;
}

/* "GLACIER=STANDARD,DEEP_ARCHIVE=STANDARD_IA": what is behind `class`; false: not there.
 */
static bool find_in_map(const char *map, const char *class, char *out, size_t size)
{
	size_t n = strlen(class);

	for (const char *p = map; *p; p += strcspn(p, ","), p += *p == ',') {
		if (strncmp(p, class, n) != 0 || p[n] != '=')
			continue;
		snprintf(out, size, "%.*s", (int)strcspn(p + n + 1, ","), p + n + 1);
		return true;
	}
	return false;
}

static void put_class(struct xfer *x, struct s3_meta *ret)
{
	const char *wanted = x->spec->fidelity.storage_class;
	const char *class = x->heads[XFER_SOURCE].storage_class;
	char mapped[32];

	if (!*class)
		class = "STANDARD";
	if (strchr(wanted, '=')) {
		if (find_in_map(wanted, class, mapped, sizeof(mapped))) {
			s3_meta_add(ret, "x-amz-storage-class", mapped);
			return;
		}
	} else if (*wanted && strcmp(wanted, "keep") != 0) {
		s3_meta_add(ret, "x-amz-storage-class", wanted);
		return;
	}
	if (strcmp(class, "STANDARD") == 0)
		return;
	if (is_class_of_bucket(class) || x->drops_class || pair_of(x)->refuses_class)
		lose(x, ENGINE_LOSS_CLASS);
	else
		s3_meta_add(ret, "x-amz-storage-class", class);
}

/* --- encryption, lock, ACL --- */

static void put_encryption(const struct engine_fidelity *f, struct s3_meta *ret)
{
	static const char sse[] = "x-amz-server-side-encryption";
	char name[80];

	if (f->encryption[0])
		s3_meta_add(ret, sse, f->encryption);
	if (f->kms_key_id[0]) {
		snprintf(name, sizeof(name), "%s-aws-kms-key-id", sse);
		s3_meta_add(ret, name, f->kms_key_id);
	}
	if (f->bucket_key != ENGINE_UNSET) {
		snprintf(name, sizeof(name), "%s-bucket-key-enabled", sse);
		s3_meta_add(ret, name, f->bucket_key == ENGINE_YES ? "true" : "false");
	}
}

static void put_lock(struct xfer *x, struct s3_meta *ret)
{
	const struct engine_fidelity *f = &x->spec->fidelity;
	const struct s3_head *s = &x->heads[XFER_SOURCE];
	int64_t now_s = clock_wall_us(loop_clock(x->env->loop)) / USEC_PER_SEC;
	char until[32];

	if (!f->object_lock[0] && (s->lock_mode[0] || s->has_legal_hold))
		lose(x, ENGINE_LOSS_LOCK);
	if (!f->object_lock[0] || strcmp(f->object_lock, "none") == 0)
		return;
	if (strcmp(f->object_lock, "copy") != 0) {
		clock_format_iso(now_s + f->retain_s, until, sizeof(until));
		s3_meta_add(ret, "x-amz-object-lock-mode", f->object_lock);
		s3_meta_add(ret, "x-amz-object-lock-retain-until-date", until);
		return;
	}
	if (s->lock_mode[0] && s->lock_until[0]) {
		s3_meta_add(ret, "x-amz-object-lock-mode", s->lock_mode);
		s3_meta_add(ret, "x-amz-object-lock-retain-until-date", s->lock_until);
	}
	if (s->has_legal_hold)
		s3_meta_add(ret, "x-amz-object-lock-legal-hold", "ON");
}

static void put_acl(struct xfer *x, struct s3_meta *ret)
{
	const struct engine_fidelity *f = &x->spec->fidelity;

	if (!f->acl[0])
		return;
	if (x->drops_acl || pair_of(x)->refuses_acl)
		lose(x, ENGINE_LOSS_ACL);
	else
		s3_meta_add(ret, "x-amz-acl", f->acl);
}

/* --- all of it --- */

/* CopyObject brings all along but this. */
static bool is_left_behind(const char *name)
{
	return strcmp(name, "x-amz-website-redirect-location") == 0;
}

void xfer_headers_make(struct xfer *x, enum xfer_written by, struct s3_meta *ret)
{
	*ret = (struct s3_meta){0};
	x->losses = 0;
	for (size_t i = 0; i < x->meta.count; i++)
		if (by == XFER_BY_PUT || is_left_behind(x->meta.pairs[i].name))
			s3_meta_add(ret, x->meta.pairs[i].name, x->meta.pairs[i].value);
	if (by == XFER_BY_PUT && x->heads[XFER_SOURCE].hidden_meta > 0)
		lose(x, ENGINE_LOSS_METADATA);
	if (by == XFER_BY_COPY && x->spec->fidelity.checksum)
		s3_meta_add(ret, "x-amz-checksum-algorithm",
			checksum_name(x->spec->fidelity.checksum));
	put_tags(x, by, ret);
	put_class(x, ret);
	put_encryption(&x->spec->fidelity, ret);
	put_lock(x, ret);
	put_acl(x, ret);
}

/* --- a refusal --- */

static bool gives_class(struct xfer *x)
{
	const char *wanted = x->spec->fidelity.storage_class;
	bool is_kept = !*wanted || strcmp(wanted, "keep") == 0 || strchr(wanted, '=');

	if (x->drops_class || !is_kept || strcmp(x->err.code, "InvalidStorageClass") != 0)
		return false;
	x->drops_class = pair_of(x)->refuses_class = true;
	return true;
}

static bool gives_acl(struct xfer *x, bool is_forbidden)
{
	const struct engine_fidelity *f = &x->spec->fidelity;
	bool is_named = strcmp(x->err.code, "AccessControlListNotSupported") == 0;

	if (!f->acl[0] || !f->is_acl_optional || x->drops_acl ||
		!(is_named || is_forbidden))
		return false;
	x->drops_acl = true;
	pair_of(x)->refuses_acl = is_named;
	return true;
}

static bool gives_tags(struct xfer *x)
{
	if (x->heads[XFER_SOURCE].tag_count == 0 || are_tags_dropped(x) ||
		x->spec->fidelity.tags != ENGINE_TAGS_BEST_EFFORT)
		return false;
	x->drops_tags = true;
	return true;
}

bool xfer_headers_give_in(struct xfer *x)
{
	if (x->failed_side == XFER_SOURCE && x->err.class == ERR_DENIED &&
		x->has_named_version) {
		x->has_named_version = false;
		pair_of(x)->refuses_version = true; /* then pinned by its ETag alone */
		return true;
	}
	if (x->failed_side == XFER_SOURCE || !x->is_head_in || x->range.length)
		return false;
	return gives_class(x) || gives_acl(x, false);
}

/* Rights to write tags and ACLs are rights of their own: then without them. */
bool xfer_headers_give_up_rights(struct xfer *x)
{
	bool is_forbidden = x->err.class == ERR_DENIED;

	if (x->failed_side == XFER_SOURCE || !x->is_head_in || x->range.length ||
		!(is_forbidden || x->err.http_status == 501))
		return false;
	return gives_tags(x) || gives_acl(x, is_forbidden);
}
