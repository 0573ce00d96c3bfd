/*
 * What tells a machine its role: the instance metadata service, version 2, and the
 * endpoint of a container. Which machines there are is in the accounts' file.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/accounts.h"
#include "sandbox/sandbox.h"

#define ANSWER_BYTES (16 * 1024)
#define CREDENTIALS  "/latest/meta-data/iam/security-credentials"

static void reply(struct request *r, int status, const char *text)
{
	struct buf b = BUF_INIT(ANSWER_BYTES);

	buf_puts(&b, text);
	request_reply(r, status, "text/plain", &b);
	buf_done(&b);
}

/* true: a fault has answered. */
static bool has_failed(struct request *r, const char *operation)
{
	request_is(r, operation);
	if (!r->fault || !r->fault->status)
		return false;
	reply(r, r->fault->status, r->fault->message ? r->fault->message : "");
	return true;
}

static void reply_session(
	struct request *r, const struct machine *m, const char *session, bool is_imds)
{
	const struct principal *p = accounts_open_session(
		r->sb->accounts, m->role, session, r->now_s + m->life_s);
	struct buf b = BUF_INIT(ANSWER_BYTES);
	char until[24];
	struct json_writer w;

	json_writer_init(&w, &b);
	json_object_begin(&w, NULL);
	if (is_imds) {
		json_put_str(&w, "Code", "Success");
		json_put_str(&w, "Type", "AWS-HMAC");
	} else {
		json_put_str(&w, "RoleArn", m->role->arn);
	}
	json_put_str(&w, "AccessKeyId", p->access_key_id);
	json_put_str(&w, "SecretAccessKey", p->secret);
	json_put_str(&w, "Token", p->token);
	json_put_str(&w, "AccountId", p->account_id);
	json_put_str(&w, "Expiration",
		clock_format_iso(p->expires_at_s, until, sizeof(until)));
	json_object_end(&w);
	request_reply(r, 200, "application/json", &b);
	buf_done(&b);
}

/* --- the instance --- */

static void give_token(struct request *r)
{
	const char *ttl = http_field(r->x, "x-aws-ec2-metadata-token-ttl-seconds");
	uint8_t noise[20];
	uint64_t seconds;

	if (has_failed(r, "GetMetadataToken"))
		return;
	if (!ttl || str_to_uint(ttl, 21600, &seconds) < 0 || !seconds) {
		reply(r, 400, "Bad Request");
		return;
	}
	/* The service never answers what a proxy forwards. */
	if (http_field(r->x, "x-forwarded-for")) {
		reply(r, 403, "Forbidden");
		return;
	}
	crypto_random(noise, sizeof(noise));
	str_to_hex(noise, sizeof(noise), r->sb->imds_token);
	request_header(r, "x-aws-ec2-metadata-token-ttl-seconds", ttl);
	reply(r, 200, r->sb->imds_token);
}

static void give_metadata(struct request *r, const struct machine *m)
{
	const char *token = http_field(r->x, "x-aws-ec2-metadata-token");
	const char *path = r->x->path;

	if (has_failed(r, "GetMetadata"))
		return;
	if (!token || !*token || !str_eq(token, r->sb->imds_token)) {
		reply(r, 401, "Unauthorized");
		return;
	}
	if (str_eq(path, "/latest/meta-data/placement/region") && m->region) {
		reply(r, 200, m->region);
		return;
	}
	if (str_has_prefix(path, CREDENTIALS)) {
		path += strlen(CREDENTIALS);
		path += str_has_prefix(path, "-extended") ? strlen("-extended") : 0;
		if (str_eq(path, "/")) {
			reply(r, 200, m->role->name);
			return;
		}
		if (*path == '/' && str_eq(path + 1, m->role->name)) {
			reply_session(r, m, "i-0123456789abcdef0", true);
			return;
		}
	}
	reply(r, 404, "Not Found");
}

/* --- a container --- */

static void give_task_role(struct request *r, const struct machine *m)
{
	const char *token = http_field(r->x, "authorization");

	if (has_failed(r, "GetContainerCredentials"))
		return;
	if (m->token && !str_eq(token, m->token))
		reply(r, 403, "{\"code\": \"AccessDenied\"}");
	else
		reply_session(r, m, "task-0123456789abcdef", false);
}

void metadata_end(struct request *r)
{
	bool is_get = strcmp(r->x->method, "GET") == 0;

	if (is_get && strcmp(r->x->path, METADATA_CONTAINER) == 0)
		give_task_role(r, accounts_container(r->sb->accounts));
	else if (is_get)
		give_metadata(r, accounts_instance(r->sb->accounts));
	else if (strcmp(r->x->method, "PUT") == 0 &&
		 strcmp(r->x->path, "/latest/api/token") == 0)
		give_token(r);
	else
		reply(r, 405, "Method Not Allowed");
}
