/* Groups about time between attempts and between clocks: retry, clock skew. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/errors.h"
#include "aws/retry.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "tests/vectors/vcase.h"

static enum err_class class_of(int status, const char *code)
{
	_cleanup_free_ char *body = mem_printf(
		"<Error><Code>%s</Code></Error>", code ? code : "");
	struct aws_answer a = {
		.origin = ERR_FROM_S3,
		.operation = "Test",
		.http_status = status,
		.body = code ? body : NULL,
		.body_len = code ? strlen(body) : 0,
	};
	struct err e;

	/* Without an <Error> in it a 2xx is none. */
	if (status / 100 == 2 && !(code && aws_body_is_error(body, strlen(body))))
		return ERR_OK;
	aws_error_from_answer(&a, &e);
	return e.class;
}

/* --- retry --- */

static enum verdict check_class(const struct vcase *c)
{
	struct err e = {.class = class_of((int)vcase_int(c, "/statusCode"),
				vcase_get(c, "/errorCode"))};

	if (vcase_get(c, "/expectThrottling"))
		return vcase_passed_if(
			(e.class == ERR_THROTTLE) == vcase_is(c, "/expectThrottling"));
	return vcase_passed_if(err_is_transient(&e) == vcase_is(c, "/expectTransient"));
}

/* One client: its policy and quota, the attempt and what its last retry had cost. */
struct client {
	struct retry_policy policy;
	struct retry_quota quota;
	double unit;
	int attempt, cost;
};

/* One answer; returns the outcome in the cases' words. */
static const char *take_answer(
	struct client *cl, enum err_class class, const char *hint, int64_t *ret_delay_ms)
{
	int cost;

	*ret_delay_ms = -1;
	cl->attempt++;
	if (class == ERR_OK) {
		retry_quota_give(&cl->quota, cl->cost);
		cl->attempt = cl->cost = 0;
		return "success";
	}
	if (!retry_may(&cl->policy, class, cl->attempt))
		return cl->attempt >= cl->policy.max_attempts ? "max_attempts_exceeded"
							      : "fail_request";
	cost = retry_quota_take(&cl->quota, class);
	if (!cost)
		return "retry_quota_exceeded";
	cl->cost = cost;
	*ret_delay_ms = retry_hinted_ms(
		retry_delay_ms(&cl->policy, class, cl->attempt, cl->unit), hint);
	return "retry_request";
}

static bool is_same_step(const struct vcase *c, size_t i, struct client *cl)
{
	const char *tokens = vcase_get(c, "/steps/%zu/expected/retryQuota", i);
	const char *delay = vcase_get(c, "/steps/%zu/expected/delayMs", i);
	const char *status = vcase_get(c, "/steps/%zu/response/statusCode", i);
	int64_t delay_ms;
	const char *outcome = take_answer(cl,
		class_of(atoi(status), vcase_get(c, "/steps/%zu/response/errorCode", i)),
		vcase_get(c, "/steps/%zu/response/headers/x-amz-retry-after", i),
		&delay_ms);

	return str_eq(outcome, vcase_get(c, "/steps/%zu/expected/outcome", i)) &&
	       (!tokens || !*tokens || atoi(tokens) == cl->quota.tokens) &&
	       (!delay || !*delay || atoll(delay) == delay_ms);
}

enum verdict check_retry(struct vcase *c)
{
	struct client cl = {.policy = RETRY_STANDARD};
	size_t n = vcase_count(c, "/steps");

	if (vcase_get(c, "/statusCode"))
		return check_class(c);
	if (strcmp(c->category, "cubic") == 0)
		return vcase_not_applicable(c, "no adaptive mode (section 11: later)");
	if (strcmp(c->category, "standard-2.0") == 0)
		return vcase_not_applicable(c, "version 2.1 is ours");
	if (vcase_is(c, "/given/longPolling"))
		return vcase_not_applicable(c, "no call of ours is a long poll");
	cl.policy.max_attempts = (int)vcase_int(c, "/given/maxAttempts");
	cl.policy.max_backoff_ms = vcase_int(c, "/given/maxBackoffMs");
	cl.quota.tokens = (int)vcase_int(c, "/given/initialTokens");
	cl.unit = strtod(vcase_get(c, "/given/jitter"), NULL);
	for (size_t i = 0; i < n; i++) {
		if (!is_same_step(c, i, &cl))
			return FAILED;
	}
	return vcase_passed_if(n > 0);
}

/* --- clock skew --- */

static int64_t instant(const char *iso)
{
	int64_t us = 0;

	if (iso)
		clock_parse_iso_us(iso, &us);
	return us;
}

static enum verdict check_midpoint(const struct vcase *c)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *server = vcase_get(c, "/serverTime");
	const char *want = vcase_get(c, "/expectSkewSeconds");
	struct skew_sample s = {NULL, vcase_is(c, "/hasAgeHeader") ? "1" : NULL,
		instant(vcase_get(c, "/sent")), instant(vcase_get(c, "/received"))};
	struct clock_utc u;
	char date[64];
	int64_t got;
	bool is_kept;

	if (server && *server) {
		clock_utc_from_seconds(instant(server) / USEC_PER_SEC, &u);
		snprintf(date, sizeof(date), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
			days + 3 * u.weekday, u.day, months + 3 * (u.month - 1),
			(int)u.year, u.hour, u.minute, u.second);
		s.date = date;
	}
	is_kept = skew_measure(&s, &got);
	if (!want || !*want)
		return vcase_passed_if(!is_kept);
	return vcase_passed_if(is_kept && got == atoll(want) * USEC_PER_SEC);
}

/* One attempt: signed with what was known, then learned from. */
static bool is_same_attempt(
	const struct vcase *c, const char *path, struct skew *skew, bool is_last)
{
	struct skew_sample s = {vcase_get(c, "%s/response/headers/Date", path),
		vcase_get(c, "%s/response/headers/Age", path),
		instant(vcase_get(c, "%s/clientTimeAtSend", path)),
		instant(vcase_get(c, "%s/clientTimeAtReceive", path))};
	const char *code = vcase_get(c, "%s/response/errorCode", path);
	int64_t used_us = skew->us, measured_us;

	if (s.sent_us + used_us != instant(vcase_get(c, "%s/expectedSigningTime", path)))
		return false;
	if (skew_measure(&s, &measured_us))
		skew->us = measured_us;
	return !code || skew_is_cause(code, skew->us - used_us) == !is_last;
}

static enum verdict check_operations(const struct vcase *c)
{
	struct skew skew = {0};
	char path[100];

	for (size_t i = 0; i < vcase_count(c, "/operations"); i++) {
		size_t n;

		snprintf(path, sizeof(path), "/operations/%zu/initialClientSkew", i);
		skew.us = vcase_int(c, path) * USEC_PER_SEC;
		snprintf(path, sizeof(path), "/operations/%zu/attempts", i);
		n = vcase_count(c, path);
		for (size_t k = 0; k < n; k++) {
			snprintf(
				path, sizeof(path), "/operations/%zu/attempts/%zu", i, k);
			if (!is_same_attempt(c, path, &skew, k + 1 == n))
				return FAILED;
		}
		snprintf(path, sizeof(path), "/operations/%zu/expectedClientSkew", i);
		if (n == 0 || skew.us != vcase_int(c, path) * USEC_PER_SEC)
			return FAILED;
	}
	return vcase_passed_if(vcase_count(c, "/operations") > 0);
}

enum verdict check_clock_skew(struct vcase *c)
{
	if (vcase_count(c, "/operations"))
		return check_operations(c);
	if (vcase_get(c, "/sent"))
		return check_midpoint(c);
	return vcase_passed_if(
		skew_is_cause(vcase_get(c, "/errorCode"),
			vcase_int(c, "/observedSkewSeconds") * USEC_PER_SEC) ==
		vcase_is(c, "/expectRetryable"));
}
