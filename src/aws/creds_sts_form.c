/*
 * What is asked of STS, as a form. Not how it is sent (creds_sts).
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "base/buf.h"
#include "base/str.h"

#define EXTRA_MAX (256 * 1024) /* more than all limits of STS taken together */

static int put(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return 0;
	if (buf_printf(out, "&%s=", name) < 0)
		return -1;
	return str_uri_encode(out, value, strlen(value), false);
}

static int put_at(struct buf *out, const char *list, size_t i, const char *member,
	const char *value)
{
	char name[80];

	snprintf(name, sizeof(name), "%s.member.%zu%s", list, i, member);
	return put(out, name, value);
}

char *creds_sts_extra(const struct creds_role *role)
{
	struct buf out = BUF_INIT(EXTRA_MAX);
	size_t transitive = 0;

	put(&out, "Policy", role->policy);
	for (size_t i = 0; i < role->policy_arn_count; i++)
		put_at(&out, "PolicyArns", i + 1, ".arn", role->policy_arns[i]);
	for (size_t i = 0; i < role->tag_count; i++) {
		put_at(&out, "Tags", i + 1, ".Key", role->tags[i].key);
		put_at(&out, "Tags", i + 1, ".Value", role->tags[i].value);
	}
	for (size_t i = 0; i < role->tag_count; i++) {
		if (role->tags[i].is_transitive)
			put_at(&out, "TransitiveTagKeys", ++transitive, "",
				role->tags[i].key);
	}
	put(&out, "SourceIdentity", role->source_identity);
	return out.len ? buf_take(&out) : NULL;
}

int creds_sts_form(const struct creds_sts_request *rq, struct buf *out)
{
	const struct creds_link *role = rq->role;
	int64_t duration_s = role->duration_s;
	char seconds[24];
	int r;

	if (rq->duration_max_s && duration_s > rq->duration_max_s)
		duration_s = rq->duration_max_s;
	snprintf(seconds, sizeof(seconds), "%lld", (long long)duration_s);
	r = buf_printf(out, "Action=%s&Version=2011-06-15",
		rq->signer ? "AssumeRole" : "AssumeRoleWithWebIdentity");
	r |= put(out, "RoleArn", role->role_arn);
	r |= put(out, "RoleSessionName", role->session_name);
	r |= put(out, "ExternalId", role->external_id);
	r |= put(out, "DurationSeconds", duration_s ? seconds : NULL);
	r |= put(out, "WebIdentityToken", rq->web_token);
	if (role->extra)
		r |= buf_puts(out, role->extra);
	return r;
}
