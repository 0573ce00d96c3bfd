/*
 * What a run says of itself: one line at its start, one per retry, one at its end, and the
 * sentence that status shows. Wording only; what happened is decided in run.c.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "aws/skew.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "run/message_ids.h"
#include "run/run_impl.h"

static const char *side_name(int side)
{
	return side == RUN_SOURCE ? "source" : "destination";
}

static const char *reason_of(int side, const struct err *e)
{
	if (strcmp(e->code, "timeout") == 0)
		return "timeout";
	/* AWS denies a role that does not exist; others say so. It is the same. */
	if (e->origin == ERR_FROM_STS || e->origin == ERR_FROM_CREDS)
		return e->class == ERR_DENIED || e->class == ERR_NOTFOUND ? "denied"
									  : "credentials";
	switch (e->class) {
	case ERR_DENIED:
	case ERR_AUTH:
		return "denied";
	case ERR_NOTFOUND:
		if (strcmp(e->code, "NoSuchBucket") == 0)
			return "bucket_missing";
		return side == RUN_SOURCE ? "source_missing" : "not_found";
	case ERR_CONFLICT:
		return "changed";
	case ERR_INTEGRITY:
		return "integrity";
	case ERR_THROTTLE:
		return "throttled";
	case ERR_LOCAL:
		return "local";
	case ERR_CONFIG:
		return "config";
	case ERR_FATAL:
		if (strcmp(e->code, "InvalidObjectState") == 0)
			return "archived";
		/* fall through */
	default:
		if (e->origin == ERR_FROM_LOCAL)
			return "local";
		return e->origin == ERR_FROM_NET ? "network" : "service";
	}
}

/* What to look at; "" when the error says it all. */
static const char *advice(int side, const struct err *e)
{
	/* aws/creds wrote it, it knows the hop. Without a call it is of a metadata service. */
	if (e->origin == ERR_FROM_STS || e->origin == ERR_FROM_CREDS ||
		(e->origin == ERR_FROM_NET && !e->operation[0]) ||
		str_has_prefix(e->operation, "AssumeRole"))
		return "";
	if (e->class == ERR_DENIED && strcmp(e->code, "SignatureDoesNotMatch") == 0)
		return "; look at the secret key and at a proxy that changes requests";
	if (e->class == ERR_DENIED && strcmp(e->code, "InvalidAccessKeyId") == 0)
		return "; look at the access key: deleted, inactive, or of another endpoint";
	if (e->class == ERR_DENIED && strcmp(e->operation, "RestoreObject") == 0)
		return "; look at the role's policy and the bucket policy: they must allow "
		       "s3:RestoreObject on the source";
	if (e->class == ERR_DENIED && side == RUN_SOURCE)
		return "; look at the role's policy (s3:GetObject, s3:ListBucket on the "
		       "source), the bucket policy, and the object's KMS key";
	if (e->class == ERR_DENIED)
		return "; look at the role's policy (s3:PutObject on the destination), the "
		       "bucket policy, and the bucket's KMS key";
	if (strcmp(e->code, "NoSuchBucket") == 0)
		return "; look at the bucket's name and region";
	if (e->class == ERR_NOTFOUND && side == RUN_SOURCE)
		return "; look whether the producer has delivered it yet";
	if (strcmp(e->code, "InvalidObjectState") == 0)
		return "; archived: skip leaves such objects alone, archived: restore waits "
		       "for them";
	if (strcmp(e->code, "resolve") == 0)
		return "; look at endpoint_url, region and the host's DNS";
	if (strcmp(e->code, "connect") == 0)
		return "; look at endpoint_url, routes and firewalls";
	if (strcmp(e->code, "tls") == 0)
		return "; look at the certificate, the clock and ca_bundle";
	return "";
}

void run_explain(struct run *r, int side, const char *key, const struct err *e)
{
	const struct conf_side *where = r->sides[side].conf;
	const struct conf_profile *p = where->profile;
	struct run_report *report = &r->report;
	struct buf text = BUF_INIT(sizeof(report->message) - 1);

	report->err = *e;
	r->failed_side = side;
	snprintf(r->failed_key, sizeof(r->failed_key), "%s", key);
	snprintf(report->reason, sizeof(report->reason), "%s", reason_of(side, e));
	if (strcmp(e->code, "timeout") == 0) {
		snprintf(report->message, sizeof(report->message), "%s", e->text);
		return;
	}
	buf_printf(&text, "%s %s%s/%.200s", side_name(side),
		where->scheme == CONF_FILE ? "file://" : "s3://", where->bucket, key);
	if (where->scheme == CONF_S3)
		buf_printf(&text, " (profile %s)", p ? p->name : "default");
	buf_puts(&text, ": ");
	if (e->operation[0])
		buf_printf(&text, "%s: ", e->operation);
	if (e->http_status)
		buf_printf(&text, "%d %s", e->http_status, e->code);
	else
		buf_puts(&text, e->code);
	if (e->text[0])
		buf_printf(&text, ": %s", e->text);
	if (e->request_id[0] && !strstr(e->text, e->request_id))
		buf_printf(&text, " (request id %s)", e->request_id);
	buf_puts(&text, advice(side, e));
	snprintf(report->message, sizeof(report->message), "%s", buf_str(&text));
	buf_done(&text);
}

/* Account of a role: fifth field of arn:aws:iam::123456789012:role/x. */
static void account_of(const char *arn, char out[16])
{
	const char *p = arn;

	out[0] = '\0';
	for (int i = 0; p && i < 4; i++) {
		p = strchr(p, ':');
		p = p ? p + 1 : NULL;
	}
	if (p)
		snprintf(out, 16, "%.*s", (int)strcspn(p, ":"), p);
}

static const char *profile_of(const struct conf_side *side)
{
	if (side->scheme == CONF_FILE)
		return NULL;
	return side->profile ? side->profile->name : "default";
}

/* Everything that a filter in journalctl may ask for about an error. */
static void log_with_error(const struct run *r, int level, const char *message_id, int side,
	const struct err *e, const char *text)
{
	const struct conf_side *where = r->sides[side].conf;
	const struct conf_profile *p = where->profile;
	const char *role = p && p->role_arn ? p->role_arn : "";
	char account[16], status[16] = "", attempt[16];

	account_of(role, account);
	if (e->http_status)
		snprintf(status, sizeof(status), "%d", e->http_status);
	snprintf(attempt, sizeof(attempt), "%d", r->attempt);
	log_write(level,
		LOG_FIELDS({"MESSAGE_ID", message_id}, {"JOB", r->job->name},
			{"RUN_ID", r->id}, {"SIDE", side_name(side)},
			{"PROFILE", profile_of(where)}, {"ROLE_ARN", role},
			{"ACCOUNT", account}, {"BUCKET", where->bucket},
			{"KEY", r->failed_key}, {"REGION", p ? p->region : NULL},
			{"OPERATION", e->operation}, {"HTTP_STATUS", status},
			{"AWS_CODE", e->code}, {"AWS_REQUEST_ID", e->request_id},
			{"AWS_HOST_ID", e->host_id}, {"ATTEMPT", attempt},
			{"RESULT", r->report.reason}),
		"%s", text);
}

void run_log_started(const struct run *r)
{
	log_info(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_STARTED}, {"JOB", r->job->name},
			 {"RUN_ID", r->id}),
		"%s started: %s -> %s", r->job->name, r->job->source.url,
		r->job->destination.url);
}

void run_log_retry(const struct run *r, int side, const struct err *e, int attempt,
	int64_t delay_ms)
{
	_cleanup_free_ char *text = mem_printf("%s: %s: %s %s: %s; trying again in %.1f s "
					       "(attempt %d of %d)",
		r->job->name, side_name(side), e->operation, e->code, e->text,
		(double)delay_ms / 1000, attempt, (int)r->job->retry.attempts);

	log_with_error(r, LOG_WARNING, MSG_RUN_RETRYING, side, e, text);
}

void run_log_missing(const struct run *r, int64_t delay_ms)
{
	_cleanup_free_ char *url = run_side_url(&r->sides[RUN_SOURCE]);
	char text[32];

	log_info(LOG_FIELDS({"JOB", r->job->name}, {"RUN_ID", r->id}),
		"%s: the source %s has nothing yet; looking again in %s", r->job->name, url,
		str_format_duration(delay_ms * 1000, text, sizeof(text)));
}

void run_log_resumed(const struct run *r, const struct engine_ev *ev)
{
	char key[ENGINE_KEY_LEN];

	run_object_key(r, ev->id, RUN_DESTINATION, key);
	log_info(LOG_FIELDS({"MESSAGE_ID", MSG_UPLOAD_RESUMED}, {"JOB", r->job->name},
			 {"RUN_ID", r->id}, {"KEY", key}),
		"%s: the upload of %s went on: %d of %d parts were there already",
		r->job->name, key, ev->result->parts_resumed, ev->result->parts);
}

void run_log_object_retry(const struct run *r, const struct engine_result *result)
{
	int side = result->is_source_error ? RUN_SOURCE : RUN_DESTINATION;
	const struct err *e = &result->err;
	_cleanup_free_ char *text = mem_printf(
		"%s: %s: %s %s: %s; attempt %d of %d failed, trying again", r->job->name,
		side_name(side), e->operation, e->code, e->text, result->attempts,
		(int)r->job->retry.attempts);

	log_with_error(r, LOG_WARNING, MSG_RUN_RETRYING, side, e, text);
}

/* Of many objects the sentence ends with what became of them. */
static void add_counts(struct run *r)
{
	struct run_report *rep = &r->report;
	size_t n = strlen(rep->message);
	char counts[300];

	run_counts_text(rep, counts, sizeof(counts));
	if (!r->is_single && counts[0])
		snprintf(rep->message + n, sizeof(rep->message) - n, "; %s", counts);
}

/* A prefix that was mistyped succeeds as well; whoever looks shall see why it is quick. */
static void add_emptiness(struct run *r)
{
	struct run_report *rep = &r->report;
	size_t n = strlen(rep->message);

	if (r->is_source_empty)
		snprintf(rep->message + n, sizeof(rep->message) - n,
			"; nothing is at the source");
}

static void log_success(struct run *r)
{
	struct run_report *rep = &r->report;
	char size[32], took[32], objects[24], bytes[24], usec[24], besides[400], how[80] = "verified";

	str_format_size(rep->bytes, size, sizeof(size));
	str_format_duration(rep->duration_us, took, sizeof(took));
	run_describe_delivered(rep, besides, sizeof(besides));
	snprintf(rep->message, sizeof(rep->message), "%llu object%s, %s in %s%s",
		(unsigned long long)rep->objects, rep->objects == 1 ? "" : "s", size, took,
		besides);
	add_counts(r);
	add_emptiness(r);
	if (rep->objects_undigested)
		snprintf(how, sizeof(how), "verified (%llu without a digest from both sides)",
			(unsigned long long)rep->objects_undigested);
	snprintf(objects, sizeof(objects), "%llu", (unsigned long long)rep->objects);
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)rep->bytes);
	snprintf(usec, sizeof(usec), "%lld", (long long)rep->duration_us);
	log_notice(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_SUCCEEDED}, {"JOB", r->job->name},
			   {"RUN_ID", r->id}, {"OBJECTS", objects}, {"BYTES", bytes},
			   {"DURATION_USEC", usec}, {"RESULT", "succeeded"}),
		"%s succeeded: %s, %s: %s -> %s", r->job->name, rep->message, how,
		r->job->source.url, r->job->destination.url);
}

void run_log_ended(struct run *r)
{
	_cleanup_free_ char *text = NULL;
	struct run_report *rep = &r->report;
	bool is_partial = rep->verdict == RUN_ENDED_PARTIAL;

	switch (rep->verdict) {
	case RUN_ENDED_SUCCEEDED:
		log_success(r);
		return;
	case RUN_ENDED_SKIPPED:
	case RUN_ENDED_CANCELLED:
	case RUN_ENDED_INTERRUPTED:
	case RUN_ENDED_PARKED:
		log_notice(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_INTERRUPTED},
				   {"JOB", r->job->name}, {"RUN_ID", r->id},
				   {"RESULT", rep->reason}),
			"%s: %s", r->job->name, rep->message);
		return;
	case RUN_ENDED_PARTIAL:
	case RUN_ENDED_FAILED:
		break;
	}
	add_counts(r);
	if (rep->objects_failed > 1 || is_partial)
		text = mem_printf("%s %s: %llu of %llu objects failed; the first: %s",
			r->job->name, is_partial ? "is partial" : "failed",
			(unsigned long long)rep->objects_failed,
			(unsigned long long)(rep->objects + rep->objects_failed),
			rep->message);
	else
		text = mem_printf("%s failed: %s", r->job->name, rep->message);
	log_with_error(r, LOG_ERR, is_partial ? MSG_RUN_PARTIAL : MSG_RUN_FAILED,
		r->failed_side, &rep->err, text);
}

void run_log_clock(const struct run *r, const char *endpoint_url)
{
	struct skew *skew = skews_of(r->env.skews, endpoint_url);
	char text[500];

	if (!skew || !skew_is_news(skew))
		return;
	skew_say(endpoint_url, skew->us, text, sizeof(text));
	log_warning(NULL, "%s", text);
}
