/*
 * The role of the EC2 instance: which role, then its keys; the extended path first, the
 * old one where that is unknown. Tokens and attempts are imds's.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "aws/fetch.h"
#include "aws/imds.h"
#include "aws/provider.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/loop.h"

#define PATH_NEW "/latest/meta-data/iam/security-credentials-extended/"
#define PATH_OLD "/latest/meta-data/iam/security-credentials/"

struct provider_imds {
	struct provider base;
	struct imds *imds;
	bool is_named;  /* role comes from the configuration */
	char *role;     /* NULL: not known yet */
	bool is_old;    /* the extended path is unknown there: the old one from then on */
	bool is_proven; /* the path in use has answered */
	bool is_relisted; /* in this fetch */
};

static void ask_role(struct provider_imds *p);
static void ask_keys(struct provider_imds *p);

static void fail(
	struct provider_imds *p, enum err_class class, const char *code, const char *text)
{
	struct err e;

	err_set(&e, class, ERR_FROM_CREDS, code, "instance metadata: %s", text);
	provider_done(&p->base, &e, NULL);
}

static void fail_by_status(struct provider_imds *p, int status)
{
	char text[80];

	snprintf(text, sizeof(text), "it answered with status %d", status);
	fail(p, ERR_CONFIG, "imds-status", text);
}

/* 404 on a path that has never answered: an older service, which has the old path only.
 */
static bool fall_back(struct provider_imds *p)
{
	if (p->is_old || p->is_proven)
		return false;
	p->is_old = true;
	return true;
}

/* --- which role --- */

/* The first line; it becomes part of a path. */
static char *first_line(const struct fetch_answer *a)
{
	size_t n = strcspn(a->body, "\r\n");
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789_+=,.@-";

	if (!n || n > 128 || strspn(a->body, allowed) < n)
		return NULL;
	return mem_strndup(a->body, n);
}

static void on_role(void *arg, const struct err *e, const struct fetch_answer *a)
{
	struct provider_imds *p = arg;

	if (e) {
		provider_done(&p->base, e, NULL);
	} else if (a->status == 404 && fall_back(p)) {
		ask_role(p);
	} else if (a->status == 404) {
		fail(p, ERR_CONFIG, "no-role", "no role is attached to this instance");
	} else if (a->status != 200) {
		fail_by_status(p, a->status);
	} else {
		p->is_proven = true;
		p->role = first_line(a);
		if (p->role)
			ask_keys(p);
		else if (!imds_get_again(p->imds))
			fail(p, ERR_RETRY, "bad-answer", "it names no role");
	}
}

static void ask_role(struct provider_imds *p)
{
	imds_get(p->imds, p->is_old ? PATH_OLD : PATH_NEW, on_role, p);
}

/* --- its keys --- */

static void take_keys(struct provider_imds *p, const struct fetch_answer *a)
{
	int64_t now = clock_wall_us(loop_clock(p->base.loop));
	struct creds_set set;
	struct err e;

	p->is_proven = true;
	if (provider_read_json(PROVIDER_METADATA, a->body, a->len, now, &set, &e)) {
		provider_done(&p->base, NULL, &set);
		creds_set_wipe(&set);
	} else if (!imds_get_again(p->imds)) {
		fail(p, e.class, e.code, e.text);
	}
}

static void on_keys(void *arg, const struct err *e, const struct fetch_answer *a)
{
	struct provider_imds *p = arg;

	if (e) {
		provider_done(&p->base, e, NULL);
	} else if (a->status == 200) {
		take_keys(p, a);
	} else if (a->status != 404) {
		fail_by_status(p, a->status);
	} else if (p->is_named) {
		if (fall_back(p))
			ask_keys(p);
		else
			fail(p, ERR_CONFIG, "no-role",
				"the role of AWS_EC2_INSTANCE_PROFILE_NAME is not there");
	} else if (!p->is_relisted) {
		/* Another role was attached meanwhile. */
		p->is_relisted = true;
		mem_replace(&p->role, NULL);
		ask_role(p);
	} else {
		mem_replace(&p->role, NULL);
		fail(p, ERR_RETRY, "no-role", "the role that it names is not there");
	}
}

static void ask_keys(struct provider_imds *p)
{
	_cleanup_free_ char *path = mem_printf(
		"%s%s", p->is_old ? PATH_OLD : PATH_NEW, p->role);

	imds_get(p->imds, path, on_keys, p);
}

/* --- the provider --- */

static void start(struct provider *base)
{
	struct provider_imds *p = CONTAINER_OF(base, struct provider_imds, base);

	p->is_relisted = false;
	if (p->role)
		ask_keys(p);
	else
		ask_role(p);
}

static void cancel(struct provider *base)
{
	imds_cancel(CONTAINER_OF(base, struct provider_imds, base)->imds);
}

static void *free_one(struct provider *base)
{
	struct provider_imds *p = CONTAINER_OF(base, struct provider_imds, base);

	imds_free(p->imds);
	free(p->role);
	free(p);
	return NULL;
}

static const struct provider_ops ops = {start, cancel, free_one, true, true};

struct provider *provider_imds_new(
	struct loop *loop, struct http *http, const struct imds_options *options)
{
	struct provider_imds *p = mem_alloc(sizeof(*p));

	p->base = (struct provider){.ops = &ops, .loop = loop, .http = http};
	p->imds = imds_new(loop, http, options);
	p->is_named = options->role != NULL;
	p->role = mem_strdup(options->role);
	return &p->base;
}
