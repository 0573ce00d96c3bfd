/* The scripted STS behind net/http.h, and the fixture of the tests of chains. */
#include "config.h"

#include "tests/unit/creds_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- a second net/http: each request takes the next answer --- */

const char *http_header(const struct http_response *r, const char *name)
{
	return NULL;
}

void script_complete(void *arg)
{
	struct http_call *call = arg;
	size_t i = (size_t)(call - call->http->calls);
	struct answer *a = &call->http->answers[i];
	struct http_response r = {.status = a->status};
	const char *code = call->is_cancelled ? "cancelled" : a->net_code;
	struct err e;

	if (call->is_done || (call->http->is_held && !call->is_cancelled))
		return;
	call->is_done = true;
	if (!code && a->body &&
		call->rq.on_body(call->rq.arg, a->body, strlen(a->body)) == HTTP_ABORT)
		code = "aborted";
	if (code)
		err_set(&e, call->is_cancelled ? ERR_CANCELLED : ERR_RETRY, ERR_FROM_NET,
			code, "scripted");
	call->rq.done(call->rq.arg, code ? &e : NULL, &r);
}

struct http_call *http_send(struct http *http, const struct http_request *rq)
{
	struct http_call *call = &http->calls[http->count++];
	size_t room = 20000, n = 0;

	if (http->count > http->answer_count)
		fail_msg("request %zu has no answer in the script", http->count);
	call->http = http;
	call->rq = *rq;
	call->form = mem_strndup(rq->body_len ? rq->body : "", rq->body_len);
	call->wire = mem_alloc(room);
	n = (size_t)snprintf(call->wire, room, "%s %s\n", rq->method, rq->url);
	for (size_t i = 0; rq->headers[i] && n < room; i++)
		n += (size_t)snprintf(call->wire + n, room - n, "%s\n", rq->headers[i]);
	loop_defer(http->loop, script_complete, call);
	return call;
}

void http_cancel(struct http_call *call)
{
	call->is_cancelled = true;
	loop_undefer(call->http->loop, call);
	loop_defer(call->http->loop, script_complete, call);
}

/* --- fixture --- */

static void on_warning(
	void *arg, enum creds_event event, const char *label, const struct err *e)
{
	struct fixture *f = arg;

	assert_string_equal(label, "test");
	if (event == CREDS_RECOVERED) {
		f->recoveries++;
		return;
	}
	f->warnings++;
	f->warning = *e;
}

void set_keys(const char *key, const char *secret)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE",
		"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_ENDPOINT_URL_STS",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"};

	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
	if (key)
		setenv("AWS_ACCESS_KEY_ID", key, 1);
	if (secret)
		setenv("AWS_SECRET_ACCESS_KEY", secret, 1);
}

static void open_pool(struct fixture *f)
{
	f->env = creds_env_take();
	f->pool = creds_pool_new(f->loop, &f->http, f->env);
	creds_pool_on_warning(f->pool, on_warning, f);
}

int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	clock_fake_init(&f->clock, WALL);
	f->loop = loop_new(&f->clock.clock);
	f->http.loop = f->loop;
	set_keys("AKIDBASE", "base-secret");
	open_pool(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/test_creds.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->config, sizeof(f->config), "%s/config", f->dir);
	snprintf(f->credentials, sizeof(f->credentials), "%s/credentials", f->dir);
	*state = f;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *f = *state;

	creds_pool_free(f->pool);
	loop_turn(f->loop, false);
	loop_turn(f->loop, false);
	creds_env_free(f->env);
	loop_free(f->loop);
	for (size_t i = 0; i < CALLS; i++) {
		free(f->http.answers[i].body);
		free(f->http.calls[i].form);
		free(f->http.calls[i].wire);
	}
	unlink(f->config);
	unlink(f->credentials);
	rmdir(f->dir);
	free(f);
	return 0;
}

void reopen_pool(struct fixture *f)
{
	creds_pool_free(f->pool);
	creds_env_free(f->env);
	open_pool(f);
}

void turns(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		loop_turn(f->loop, false);
}

/* Also lets retries come due: full jitter is below a second for a broken connection. */
void turns_and_retries(struct fixture *f)
{
	for (int i = 0; i < GIVES_UP; i++) {
		turns(f);
		clock_fake_advance(&f->clock, USEC_PER_SEC);
	}
	turns(f);
}

void answer(struct fixture *f, int status, char *body)
{
	f->http.answers[f->http.answer_count++] = (struct answer){status, body, NULL};
}

void answer_net(struct fixture *f, const char *code, int times)
{
	for (; times; times--)
		f->http.answers[f->http.answer_count++] = (struct answer){0, NULL, code};
}

char *session_xml(struct fixture *f, const char *key, const char *arn, int64_t life_s)
{
	char until[24];

	clock_format_iso(f->clock.wall / USEC_PER_SEC + life_s, until, sizeof(until));
	return mem_printf(
		"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/"
		"\"><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>X:s"
		"</AssumedRoleId><Arn>%s</Arn></AssumedRoleUser><Credentials>"
		"<AccessKeyId>%s</AccessKeyId><SecretAccessKey>secret-of-%s"
		"</SecretAccessKey><SessionToken>token-of-%s</SessionToken>"
		"<Expiration>%s</Expiration></Credentials></AssumeRoleResult>"
		"</AssumeRoleResponse>",
		arn, key, key, key, until);
}

void answer_a(struct fixture *f, const char *key, int64_t life_s)
{
	answer(f, 200,
		session_xml(
			f, key, "arn:aws:sts::111111111111:assumed-role/a/s", life_s));
}

void answer_b(struct fixture *f, const char *key, int64_t life_s)
{
	answer(f, 200,
		session_xml(
			f, key, "arn:aws:sts::222222222222:assumed-role/b/s", life_s));
}

void answer_error(struct fixture *f, int status, const char *code)
{
	answer(f, status,
		mem_printf("<ErrorResponse><Error><Type>Sender</Type><Code>%s</"
			   "Code><Message>"
			   "User: arn:aws:iam::111111111111:user/u is not authorized to "
			   "perform: sts:AssumeRole on resource: " ROLE_A
			   "</Message></Error>"
			   "<RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>"
			   "</ErrorResponse>",
			code));
}

const struct creds_role script_roles[] = {
	{.role_arn = ROLE_A, .role_session_name = "s", .region = "eu-west-1"},
	{.role_arn = ROLE_B,
		.role_session_name = "s",
		.region = "eu-west-1",
		.external_id = "a b",
		.duration_s = 900},
};

struct creds *open_chain(struct fixture *f, int count)
{
	static const struct creds_base_spec base;

	return creds_open(f->pool, &base, script_roles, count, "test");
}

void on_creds(void *arg, const struct err *e, const struct creds_set *set)
{
	struct got *g = arg;

	g->calls++;
	g->order = ++g->fixture->order;
	g->err = (struct err){0};
	if (e)
		g->err = *e;
	else
		g->set = *set;
}

struct creds_wait *ask(struct fixture *f, struct creds *c, int slot)
{
	struct got *g = &f->got[slot];
	int before = g->calls;
	struct creds_wait *w;

	g->fixture = f;
	w = creds_get(c, on_creds, g);
	assert_int_equal(g->calls, before); /* never inside */
	return w;
}

/* Ask, let it happen, and say which key came ("" for an error). */
const char *get_key(struct fixture *f, struct creds *c)
{
	int before = f->got[0].calls;

	ask(f, c, 0);
	turns_and_retries(f);
	assert_int_equal(f->got[0].calls, before + 1);
	return f->got[0].err.class == ERR_OK ? f->got[0].set.access_key_id : "";
}

void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

struct creds *open_profile(struct fixture *f, const char *name)
{
	struct creds_base_spec base = {name, f->config, f->credentials};

	return creds_open(f->pool, &base, NULL, 0, "test");
}
