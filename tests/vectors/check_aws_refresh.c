/*
 * The group credential-refresh: one role on scripted answers of STS, and a clock moved by
 * hand into the windows. Not where the first keys come from.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/creds_impl.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"
#include "tests/vectors/script_http.h"
#include "tests/vectors/vcase.h"

#define ROLE "arn:aws:iam::111111111111:role/a"

struct refresh {
	const struct vcase *c;
	struct rig rig;
	const char *response; /* of the step at hand */
	int64_t life_s;
	int issued; /* sets so far: AKID1, AKID2, ... */
	struct creds *creds;
};

static void answer_step(
	void *arg, const struct script_request *rq, struct script_answer *ret)
{
	struct refresh *f = arg;
	char until[24];
	int64_t life_s = f->life_s;

	ret->status = 200;
	if (str_eq(f->response, "error")) {
		ret->net_code = "reset";
		return;
	}
	if (str_eq(f->response, "nonRecoverableError")) {
		ret->status = 403;
		ret->body = mem_strdup("<ErrorResponse><Error><Code>AccessDenied</Code>"
				       "<Message>no</Message></Error></ErrorResponse>");
		return;
	}
	if (str_eq(f->response, "staleCredentials"))
		life_s = 0;
	else
		f->issued++;
	clock_format_iso(f->rig.clock.wall / USEC_PER_SEC + life_s, until, sizeof(until));
	ret->body = mem_printf(
		"<R><AssumedRoleUser><Arn>arn:aws:sts::111111111111:assumed-role/"
		"a/s</Arn></AssumedRoleUser><Credentials><AccessKeyId>AKID%d"
		"</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
		"<SessionToken>t</SessionToken><Expiration>%s</Expiration>"
		"</Credentials></R>",
		f->issued, until);
}

static bool is_at_work(const struct creds *c)
{
	return c->parent_wait || c->sts_call || loop_timer_is_set(c->retry_timer);
}

/* One question, and the end of the fetch behind it. */
static void get_once(struct refresh *f, struct rig_result *res)
{
	res->is_done = false;
	creds_get(f->creds, rig_note, res);
	rig_run(&f->rig, &res->is_done);
	for (int i = 0; i < 100 && is_at_work(f->creds); i++) {
		clock_fake_advance(&f->rig.clock, 100 * USEC_PER_MSEC);
		for (int k = 0; k < 10; k++)
			loop_turn(f->rig.loop, false);
	}
}

/* The window is where a question makes a request, and a second before it does not. */
static bool is_window(struct refresh *f, int64_t seconds, struct rig_result *res)
{
	int64_t from = f->creds->set.expires_at_us - seconds * USEC_PER_SEC;
	size_t before = f->rig.http.count;
	bool ok;

	f->response = "freshCredentials";
	clock_fake_advance(&f->rig.clock, from - USEC_PER_SEC - f->rig.clock.wall);
	get_once(f, res);
	ok = f->rig.http.count == before;
	clock_fake_advance(&f->rig.clock, from - f->rig.clock.wall);
	get_once(f, res);
	return ok && f->rig.http.count > before;
}

/* The case names what the jitter drew; ours has drawn from the same range. */
static bool set_backoff(struct refresh *f)
{
	const char *drawn = vcase_get(f->c, "/given/refreshBackoffSeconds");
	int64_t left = f->creds->hold_until_us - f->rig.clock.wall;

	if (!drawn || !str_eq(f->response, "error"))
		return true;
	f->creds->hold_until_us = f->rig.clock.wall + atoll(drawn) * USEC_PER_SEC;
	return left > 290 * USEC_PER_SEC && left <= 600 * USEC_PER_SEC;
}

static bool get_step(struct refresh *f, size_t i)
{
	const char *want = vcase_get(f->c, "/steps/%zu/expected/result", i);
	const char *life = vcase_get(f->c, "/steps/%zu/lifetimeSeconds", i);
	const char *window = vcase_get(
		f->c, "/steps/%zu/expected/advisoryWindowSeconds", i);
	bool contacts = str_eq(
		vcase_get(f->c, "/steps/%zu/expected/sourceContacted", i), "1");
	bool is_limited = str_eq(
		vcase_get(f->c, "/steps/%zu/expected/rateLimited", i), "1");
	size_t before = f->rig.http.count;
	int issued = f->issued;
	struct rig_result res = {.err = mem_alloc(sizeof(struct err)),
		.set = mem_alloc(sizeof(struct creds_set))};
	bool ok = !is_limited || f->rig.clock.wall < f->creds->hold_until_us;

	f->response = vcase_get(f->c, "/steps/%zu/response", i);
	f->life_s = life ? atoll(life) : 3600;
	get_once(f, &res);
	/* Nobody waits in the advisory window: what the flight brought, the next one has.
	 */
	if (f->rig.http.count > before && res.has_set)
		get_once(f, &res);
	ok = ok && contacts == (f->rig.http.count > before) && set_backoff(f);
	if (str_eq(want, "cachedCredentials"))
		ok = ok && res.has_set && f->issued == issued;
	else if (str_eq(want, "newCredentials"))
		ok = ok && res.has_set && f->issued == issued + 1;
	else
		ok = ok && !res.has_set &&
		     (res.err->class == ERR_DENIED) ==
			     str_eq(want, "nonRecoverableError");
	if (ok && window)
		ok = is_window(f, atoll(window), &res);
	/* A refusal is remembered for up to 5 s, so that a storm asks once (section 6).
	 */
	if (str_eq(f->response, "nonRecoverableError"))
		clock_fake_advance(&f->rig.clock, 5 * USEC_PER_SEC);
	rig_result_done(&res);
	return ok;
}

/* A set that arrived so long ago as the case says. */
static void prepare(struct refresh *f)
{
	const char *given = vcase_get(f->c, "/given/cachedCredentials");
	struct rig_result res = {.err = mem_alloc(sizeof(struct err)),
		.set = mem_alloc(sizeof(struct creds_set))};
	int64_t age_s = 0;

	f->response = "freshCredentials";
	f->life_s = 3600;
	if (str_eq(given, "advisory"))
		age_s = 3000;
	else if (str_eq(given, "mandatory"))
		age_s = 3570;
	else if (str_eq(given, "expired"))
		age_s = 3660;
	if (!str_eq(given, "none"))
		get_once(f, &res);
	clock_fake_advance(&f->rig.clock, age_s * USEC_PER_SEC);
	rig_result_done(&res);
}

static bool take_step(struct refresh *f, size_t i)
{
	const char *type = vcase_get(f->c, "/steps/%zu/type", i);
	const char *seconds = vcase_get(f->c, "/steps/%zu/seconds", i);
	const char *rejected = vcase_get(f->c, "/steps/%zu/rejectedAccessKeyId", i);
	uint64_t generation = f->creds->set.generation;

	if (str_eq(type, "getCredentials"))
		return get_step(f, i);
	if (str_eq(type, "advanceTime"))
		clock_fake_advance(&f->rig.clock, atoll(seconds) * USEC_PER_SEC);
	else if (str_eq(rejected, vcase_get(f->c, "/given/accessKeyId")))
		creds_invalidate(f->creds, generation);
	else
		creds_invalidate(f->creds, generation - 1);
	return true;
}

static bool is_short(const struct vcase *c)
{
	for (size_t i = 0; i < vcase_count(c, "/steps"); i++) {
		const char *life = vcase_get(c, "/steps/%zu/lifetimeSeconds", i);

		if (life && atoll(life) < 600)
			return true;
	}
	return false;
}

enum verdict check_credential_refresh(struct vcase *c)
{
	static const struct creds_base_spec base;
	struct creds_env env = {.access_key_id = (char[]){"AKIDBASE"},
		.secret_access_key = (char[]){"s"}};
	struct creds_role role = {
		.role_arn = ROLE, .role_session_name = "s", .region = "eu-west-1"};
	struct refresh f = {.c = c};
	struct creds_pool *pool;
	bool ok = true;

	if (vcase_get(c, "/given/configuredAdvisoryWindowSeconds")) {
		c->reason =
			"the windows are the table's; no key sets one (section 20, 3)";
		return NOT_APPLICABLE;
	}
	if (is_short(c)) {
		c->reason = "sessions below 10 minutes have windows of their own "
			    "(decision 3)";
		return NOT_APPLICABLE;
	}
	rig_init(&f.rig, answer_step, &f);
	pool = creds_pool_new(f.rig.loop, &f.rig.http, &env);
	f.creds = creds_open(pool, &base, &role, 1, "vector");
	prepare(&f);
	for (size_t i = 0; ok && i < vcase_count(c, "/steps"); i++)
		ok = take_step(&f, i);
	creds_release(f.creds);
	creds_pool_free(pool);
	rig_done(&f.rig);
	return ok ? PASSED : FAILED;
}
