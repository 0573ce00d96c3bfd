/*
 * aws/creds*: chains, sharing, windows, single flight, errors, with scripted answers of
 * STS behind net/http.h and a clock moved by hand. Not the wire: tests/system does that.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/loop.h"
#include "tests/unit/unit.h"

#define WALL     (INT64_C(1764000000) * USEC_PER_SEC)
#define MINUTES  (60 * USEC_PER_SEC)
#define ROLE_A   "arn:aws:iam::111111111111:role/a"
#define ROLE_B   "arn:aws:iam::222222222222:role/team/b"
#define CALLS    128
#define GIVES_UP 3 /* attempts of one fetch */

/* --- a second net/http: each request takes the next answer --- */

struct answer {
	int status;
	char *body;
	const char *net_code;
};

struct http_call {
	struct http *http;
	struct http_request rq;
	char *form, *wire; /* body; URL and headers, one a line */
	bool is_cancelled, is_done;
};

struct http {
	struct loop *loop;
	struct answer answers[CALLS];
	struct http_call calls[CALLS];
	size_t answer_count, count;
	bool is_held; /* answers wait */
};

const char *http_header(const struct http_response *r, const char *name)
{
	return NULL;
}

static void complete(void *arg)
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
	call->form = mem_strndup(rq->body, rq->body_len);
	call->wire = mem_alloc(room);
	n = (size_t)snprintf(call->wire, room, "%s %s\n", rq->method, rq->url);
	for (size_t i = 0; rq->headers[i] && n < room; i++)
		n += (size_t)snprintf(call->wire + n, room - n, "%s\n", rq->headers[i]);
	loop_defer(http->loop, complete, call);
	return call;
}

void http_cancel(struct http_call *call)
{
	call->is_cancelled = true;
	loop_undefer(call->http->loop, call);
	loop_defer(call->http->loop, complete, call);
}

/* --- fixture --- */

struct got {
	struct fixture *fixture;
	int calls, order;
	struct err err;
	struct creds_set set;
};

struct fixture {
	struct clock_fake clock;
	struct loop *loop;
	struct http http;
	struct creds_env *env;
	struct creds_pool *pool;
	struct got got[4];
	int order, warnings, recoveries;
	struct err warning;
	char dir[64], config[96], credentials[96];
};

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

static void set_keys(const char *key, const char *secret)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE",
		"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL",
		"AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"};

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

static int set_up(void **state)
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

static int tear_down(void **state)
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

static void reopen_pool(struct fixture *f)
{
	creds_pool_free(f->pool);
	creds_env_free(f->env);
	open_pool(f);
}

static void turns(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		loop_turn(f->loop, false);
}

/* Also lets retries come due: full jitter is below a second for a broken connection. */
static void turns_and_retries(struct fixture *f)
{
	for (int i = 0; i < GIVES_UP; i++) {
		turns(f);
		clock_fake_advance(&f->clock, USEC_PER_SEC);
	}
	turns(f);
}

static void answer(struct fixture *f, int status, char *body)
{
	f->http.answers[f->http.answer_count++] = (struct answer){status, body, NULL};
}

static void answer_net(struct fixture *f, const char *code, int times)
{
	for (; times; times--)
		f->http.answers[f->http.answer_count++] = (struct answer){0, NULL, code};
}

static char *session_xml(
	struct fixture *f, const char *key, const char *arn, int64_t life_s)
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

static void answer_a(struct fixture *f, const char *key, int64_t life_s)
{
	answer(f, 200,
		session_xml(
			f, key, "arn:aws:sts::111111111111:assumed-role/a/s", life_s));
}

static void answer_b(struct fixture *f, const char *key, int64_t life_s)
{
	answer(f, 200,
		session_xml(
			f, key, "arn:aws:sts::222222222222:assumed-role/b/s", life_s));
}

static void answer_error(struct fixture *f, int status, const char *code)
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

static const struct creds_role roles[] = {
	{.role_arn = ROLE_A, .role_session_name = "s", .region = "eu-west-1"},
	{.role_arn = ROLE_B,
		.role_session_name = "s",
		.region = "eu-west-1",
		.external_id = "a b",
		.duration_s = 900},
};

static struct creds *open_chain(struct fixture *f, int count)
{
	static const struct creds_base_spec base;

	return creds_open(f->pool, &base, roles, count, "test");
}

static void on_creds(void *arg, const struct err *e, const struct creds_set *set)
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

static struct creds_wait *ask(struct fixture *f, struct creds *c, int slot)
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
static const char *get_key(struct fixture *f, struct creds *c)
{
	int before = f->got[0].calls;

	ask(f, c, 0);
	turns_and_retries(f);
	assert_int_equal(f->got[0].calls, before + 1);
	return f->got[0].err.class == ERR_OK ? f->got[0].set.access_key_id : "";
}

#define assert_contains(text, part)                                 \
	do {                                                        \
		if (!strstr(text, part))                            \
			fail_msg("'%s' is not in: %s", part, text); \
	} while (0)

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static struct creds *open_profile(struct fixture *f, const char *name)
{
	struct creds_base_spec base = {name, f->config, f->credentials};

	return creds_open(f->pool, &base, NULL, 0, "test");
}

/* --- the base --- */

static void test_environment(void **state)
{
	struct fixture *f = *state;
	struct creds *c;
	char *seen;

	setenv("AWS_SECRET_ACCESS_KEY", "a-second-secret", 1);
	setenv("AWS_ACCESS_KEY_ID", "AKIDSECOND", 1);
	seen = getenv("AWS_SECRET_ACCESS_KEY");
	reopen_pool(f);
	assert_null(getenv("AWS_ACCESS_KEY_ID"));
	assert_null(getenv("AWS_SECRET_ACCESS_KEY"));
	assert_int_equal(seen[0], 0); /* overwritten, not only unset */
	c = open_chain(f, 0);
	assert_string_equal(get_key(f, c), "AKIDSECOND");
	assert_string_equal(f->got[0].set.secret_access_key, "a-second-secret");
	assert_true(f->got[0].set.expires_at_us == CREDS_NEVER);
	creds_release(c);
}

static void test_half_environment(void **state)
{
	struct fixture *f = *state;
	struct creds *c;

	set_keys("AKIDONLY", NULL);
	reopen_pool(f);
	c = open_chain(f, 1);
	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_CONFIG);
	assert_contains(f->got[0].err.text, "only one of AWS_ACCESS_KEY_ID");
	creds_release(c);
}

static void test_nothing_configured(void **state)
{
	struct fixture *f = *state;
	struct creds *c;

	set_keys(NULL, NULL);
	reopen_pool(f);
	c = open_profile(f, NULL);
	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_CONFIG);
	assert_int_equal(f->got[0].err.origin, ERR_FROM_CREDS);
	assert_contains(f->got[0].err.text, "AWS_ACCESS_KEY_ID");
	assert_contains(f->got[0].err.text, f->config);
	assert_contains(f->got[0].err.text, f->credentials);
	assert_contains(f->got[0].err.text, "AWS_EC2_METADATA_DISABLED");
	creds_release(c);
}

static void test_cli_chain(void **state)
{
	struct fixture *f = *state;
	struct creds *c;

	write_file(f->config,
		"[profile top]\nrole_arn = " ROLE_B "\nsource_profile = mid\n"
		"region = eu-west-1\nexternal_id = x/y\nrole_session_name = s\n"
		"[profile mid]\nrole_arn = " ROLE_A "\nsource_profile = keys\n"
		"region = eu-west-1\n");
	write_file(f->credentials,
		"[keys]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s3\n");
	answer(f, 200,
		session_xml(f, "ASIA1",
			"arn:aws:sts::111111111111:assumed-role/a/s3ferry-mid", 3600));
	answer_b(f, "ASIA2", 3600);
	c = open_profile(f, "top");
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_contains(f->http.calls[0].wire, "Credential=AKIDFILE/");
	assert_contains(f->http.calls[0].form, "RoleSessionName=s3ferry-mid");
	assert_contains(f->http.calls[1].wire, "Credential=ASIA1/");
	assert_contains(f->http.calls[1].form, "ExternalId=x%2Fy");
	creds_release(c);
}

static void test_cli_mistakes(void **state)
{
	static const struct {
		const char *profile, *config, *says;
	} cases[] = {
		{"a", "[profile b]\n", "does not exist"},
		{"a", "[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\n", "'b'"},
		{"a", "[profile a]\nrole_arn = " ROLE_A "\n", "exactly one"},
		{"a",
			"[profile a]\nrole_arn = " ROLE_A
			"\nsource_profile = b\n[profile b]\n"
			"role_arn = " ROLE_B "\nsource_profile = a\n",
			"loop"},
		{"a",
			"[profile a]\nrole_arn = " ROLE_A
			"\nsource_profile = b\nmfa_serial = 1\n"
			"[profile b]\n",
			"mfa_serial"},
		{"a",
			"[profile a]\nrole_arn = " ROLE_A "\ncredential_source = "
			"Ec2InstanceMetadata\n",
			"AWS_EC2_METADATA_DISABLED"},
		{"a",
			"[profile a]\nrole_arn = " ROLE_A "\ncredential_source = "
			"EcsContainer\n",
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
		{"a", "[profile a]\nrole_arn = " ROLE_A "\ncredential_source = Moon\n",
			"one of Environment"},
		{"a", "[profile a]\nweb_identity_token_file = /t\n",
			"role_arn is missing"},
		{"a", "[profile a]\nlogin_session = x\n", "instance role"},
		{"a", "[profile a]\nregion = x\n", "no source"},
		{"a",
			"[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\n"
			"duration_seconds = 4000\n[profile b]\nrole_arn = " ROLE_B
			"\nsource_profile = k\n[profile k]\naws_access_key_id = K\n"
			"aws_secret_access_key = S\n",
			"3600"},
		{"a", "[profile a]\naws_access_key_id = K\n", "half"},
		{"a", "[profile a]\nsso_session = x\n", "SSO"},
		{"a", "[profile a]\nkey\n", "config:2:"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct creds *c;

		write_file(f->config, cases[i].config);
		c = open_profile(f, cases[i].profile);
		assert_string_equal(get_key(f, c), "");
		assert_int_equal(f->got[0].err.class, ERR_CONFIG);
		assert_contains(f->got[0].err.text, cases[i].says);
		creds_release(c);
	}
}

static void test_odd_files(void **state)
{
	struct fixture *f = *state;
	struct creds_base_spec base = {"a", f->dir, NULL};
	struct creds *c;
	char *big = mem_alloc(1024 * 1024 + 2);

	c = creds_open(f->pool, &base, NULL, 0, "test");
	assert_string_equal(get_key(f, c), "");
	assert_contains(f->got[0].err.text, "not a regular file");
	creds_release(c);
	memset(big, '#', 1024 * 1024 + 1);
	write_file(f->config, big);
	free(big);
	c = open_profile(f, "a");
	assert_string_equal(get_key(f, c), "");
	assert_contains(f->got[0].err.text, "larger than 1 MiB");
	creds_release(c);
}

/* A profile with keys may name itself; through another one it may not. */
static void test_own_source(void **state)
{
	struct fixture *f = *state;
	struct creds *c;

	write_file(f->config, "[profile a]\nrole_arn = " ROLE_A "\nsource_profile = a\n"
			      "region = eu-west-1\nrole_session_name = s\n"
			      "aws_access_key_id = AKIDOWN\naws_secret_access_key = s\n");
	answer_a(f, "ASIA1", 3600);
	c = open_profile(f, "a");
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_contains(f->http.calls[0].wire, "Credential=AKIDOWN/");
	creds_release(c);
	write_file(f->config, "[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\n"
			      "aws_access_key_id = AKIDOWN\naws_secret_access_key = s\n"
			      "[profile b]\nrole_arn = " ROLE_B "\nsource_profile = a\n");
	c = open_profile(f, "a");
	assert_string_equal(get_key(f, c), "");
	assert_contains(f->got[0].err.text, "loop");
	creds_release(c);
}

/* --- chains --- */

static void test_one_hop(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	struct creds_stats stats;

	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_string_equal(f->got[0].set.secret_access_key, "secret-of-ASIA1");
	assert_string_equal(f->got[0].set.session_token, "token-of-ASIA1");
	assert_string_equal(f->got[0].set.account, "111111111111");
	assert_true(f->got[0].set.expires_at_us == WALL + 60 * MINUTES);
	assert_true(f->got[0].set.generation > 0);
	assert_string_equal(f->http.calls[0].form,
		"Action=AssumeRole&Version=2011-06-15&RoleArn="
		"arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2Fa"
		"&RoleSessionName=s");
	assert_contains(
		f->http.calls[0].wire, "POST https://sts.eu-west-1.amazonaws.com/\n");
	assert_contains(f->http.calls[0].wire, "/eu-west-1/sts/aws4_request, ");
	assert_null(strstr(f->http.calls[0].wire, "X-Amz-Security-Token"));
	assert_null(strstr(f->http.calls[0].wire, "base-secret"));
	creds_get_stats(c, &stats);
	assert_int_equal(stats.fetches, 1);
	assert_int_equal(stats.failures, 0);
	assert_true(stats.expires_at_us == f->got[0].set.expires_at_us);
	creds_release(c);
}

static void test_two_hops(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_a(f, "ASIA1", 3600);
	answer_b(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->http.count, 2);
	assert_contains(f->http.calls[0].wire, "Credential=AKIDBASE/");
	assert_contains(f->http.calls[1].wire, "Credential=ASIA1/");
	assert_contains(f->http.calls[1].wire, "X-Amz-Security-Token: token-of-ASIA1\n");
	assert_contains(f->http.calls[1].form, "&ExternalId=a%20b&DurationSeconds=900");
	assert_string_equal(f->got[0].set.account, "222222222222");
	creds_release(c);
}

/* RGW keeps the role's path in the session's ARN. */
static void test_rgw_arn(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_a(f, "ASIA1", 3600);
	answer(f, 200,
		session_xml(f, "ASIA2", "arn:aws:sts::222222222222:assumed-role/team/b/s",
			3600));
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_release(c);
}

static void test_another_identity(void **state)
{
	static const char *const arns[] = {"arn:aws:sts::999999999999:assumed-role/a/s",
		"arn:aws:sts::111111111111:assumed-role/aa/s",
		"arn:aws:sts::111111111111:assumed-role/a/other", "nonsense"};
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	for (size_t i = 0; i < ARRAY_LEN(arns); i++) {
		answer(f, 200, session_xml(f, "ASIA1", arns[i], 3600));
		clock_fake_advance(&f->clock, 10 * USEC_PER_SEC);
		assert_string_equal(get_key(f, c), "");
		assert_string_equal(f->got[0].err.code, "identity-mismatch");
		assert_int_equal(f->got[0].err.class, ERR_DENIED);
		assert_contains(f->got[0].err.text, arns[i]);
	}
	creds_release(c);
}

static void test_sharing(void **state)
{
	static const struct creds_base_spec base;
	struct fixture *f = *state;
	struct creds_role long_chain[70], other = roles[0], split = roles[0];
	struct creds *c = open_chain(f, 2), *same = open_chain(f, 2),
		     *head = open_chain(f, 1);
	struct creds *d, *e;

	assert_ptr_equal(c, same);
	answer_a(f, "ASIA1", 3600);
	answer_b(f, "ASIA2", 3600);
	get_key(f, c);
	assert_string_equal(
		get_key(f, head), "ASIA1"); /* the link below, without a call */
	assert_int_equal(f->http.count, 2);

	/* No value can pretend to be two. */
	other.external_id = "x|y";
	other.role_session_name = "z";
	split.external_id = "x";
	split.role_session_name = "y|z";
	d = creds_open(f->pool, &base, &other, 1, "test");
	e = creds_open(f->pool, &base, &split, 1, "test");
	assert_ptr_not_equal(d, e);
	creds_release(d);
	creds_release(e);

	for (size_t i = 0; i < ARRAY_LEN(long_chain); i++) {
		long_chain[i] = roles[0];
		long_chain[i].external_id = f->dir;
	}
	d = creds_open(f->pool, &base, long_chain, 70, "test");
	e = creds_open(f->pool, &base, long_chain, 69, "test");
	assert_ptr_not_equal(d, e);
	creds_release(d);
	creds_release(e);
	creds_release(c);
	creds_release(same);
	creds_release(head);
}

/* --- waiting --- */

static void test_single_flight(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	struct creds_wait *w;

	answer_a(f, "ASIA1", 3600);
	f->http.is_held = true;
	ask(f, c, 0);
	w = ask(f, c, 1);
	turns(f);
	ask(f, c, 2);
	turns(f);
	assert_int_equal(f->http.count, 1);
	creds_wait_cancel(w);
	f->http.is_held = false;
	loop_defer(f->loop, complete, &f->http.calls[0]);
	turns(f);
	assert_int_equal(f->got[0].calls, 1);
	assert_int_equal(f->got[1].calls, 0);
	assert_int_equal(f->got[2].calls, 1);
	assert_true(f->got[0].order < f->got[2].order);
	assert_int_equal(f->http.count, 1);
	creds_release(c);
}

/* Given up in the middle: the pool's end cancels what is under way, nobody is called. */
static void test_free_in_flight(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_a(f, "ASIA1", 3600);
	f->http.is_held = true;
	ask(f, c, 0);
	turns(f);
	assert_int_equal(f->http.count, 1);
	creds_release(c);
	f->pool = creds_pool_free(f->pool);
	turns(f);
	assert_int_equal(f->got[0].calls, 0);
}

/* --- windows --- */

static void test_advisory(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	uint64_t generation;

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	generation = f->got[0].set.generation;
	clock_fake_advance(&f->clock, 44 * MINUTES);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->http.count, 1);
	clock_fake_advance(&f->clock, 2 * MINUTES);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA1"); /* at once ... */
	assert_int_equal(f->http.count, 2);          /* ... and refreshed behind */
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_true(f->got[0].set.generation > generation);
	assert_int_equal(f->http.count, 2);
	creds_release(c);
}

static void test_mandatory(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 59 * MINUTES);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_release(c);
}

/* Nobody asks: nobody refreshes. */
static void test_lapse(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	for (int i = 0; i < 10; i++) {
		clock_fake_advance(&f->clock, 10 * MINUTES);
		turns(f);
	}
	assert_int_equal(f->http.count, 1);
	creds_release(c);
}

/* RGW gives sessions of seconds: advisory half of the life, mandatory a tenth. */
static void test_short_session(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 10);
	ask(f, c, 0);
	turns(f);
	clock_fake_advance(&f->clock, 4 * USEC_PER_SEC);
	ask(f, c, 0);
	turns(f);
	assert_int_equal(f->http.count, 1);
	clock_fake_advance(&f->clock, 2 * USEC_PER_SEC);
	answer_a(f, "ASIA2", 1);
	ask(f, c, 0);
	turns(f);
	assert_string_equal(f->got[0].set.access_key_id, "ASIA1");
	assert_int_equal(f->http.count, 2);
	clock_fake_advance(&f->clock, USEC_PER_SEC - 1);
	answer_a(f, "ASIA3", 1);
	ask(f, c, 0);
	turns(f);
	assert_string_equal(f->got[0].set.access_key_id, "ASIA3");
	creds_release(c);
}

static void test_failed_refresh(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 46 * MINUTES);
	answer_net(f, "connect", GIVES_UP);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->http.count, 1 + GIVES_UP);
	assert_int_equal(f->warnings, 1);
	assert_contains(f->warning.text, "hop 1 of 1 (" ROLE_A ")");
	/* For 300 to 600 s the source is left alone. */
	clock_fake_advance(&f->clock, 4 * MINUTES);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->http.count, 1 + GIVES_UP);
	clock_fake_advance(&f->clock, 6 * MINUTES + USEC_PER_SEC);
	answer_a(f, "ASIA2", 3600);
	get_key(f, c);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->warnings, 1);
	assert_int_equal(f->recoveries, 1);
	creds_release(c);
}

/* STS away beyond the end: the old set is handed out, S3 has the last word. */
static void test_outage_past_expiry(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 61 * MINUTES);
	answer_net(f, "connect", GIVES_UP);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->warnings, 1);
	creds_release(c);
}

/* No retry mends it: raised, though the session lives on; a storm of callers asks once.
 */
static void test_denied_refresh(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 46 * MINUTES);
	answer_error(f, 403, "AccessDenied");
	ask(f, c, 0);
	turns(f);
	assert_string_equal(f->got[0].set.access_key_id, "ASIA1"); /* nobody waits */
	assert_int_equal(f->warnings, 1);
	for (int i = 0; i < 3; i++) {
		ask(f, c, 0);
		turns(f);
		assert_int_equal(f->got[0].err.class, ERR_DENIED);
	}
	assert_int_equal(f->http.count, 2);
	clock_fake_advance(&f->clock, 5 * USEC_PER_SEC);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->warnings, 1);
	assert_int_equal(f->recoveries, 1);
	creds_release(c);
}

static void test_invalidate(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	uint64_t generation;

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	generation = f->got[0].set.generation;
	creds_invalidate(c, generation - 1);
	assert_string_equal(get_key(f, c), "ASIA1");
	answer_a(f, "ASIA2", 3600);
	creds_invalidate(c, generation);
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_invalidate(c, generation); /* the others who saw the old one */
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->http.count, 2);
	creds_release(c);
}

static void test_invalidate_in_backoff(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer_a(f, "ASIA1", 3600);
	get_key(f, c);
	clock_fake_advance(&f->clock, 61 * MINUTES);
	answer_net(f, "connect", GIVES_UP);
	get_key(f, c);
	clock_fake_advance(&f->clock, MINUTES);
	creds_invalidate(c, f->got[0].set.generation);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->http.count, 1 + GIVES_UP);
	clock_fake_advance(&f->clock, 10 * MINUTES);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	creds_release(c);
}

/* --- errors --- */

static void test_denied(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_error(f, 403, "AccessDenied");
	ask(f, c, 0);
	turns(f);
	assert_int_equal(f->got[0].err.class, ERR_DENIED);
	assert_int_equal(f->got[0].err.origin, ERR_FROM_STS);
	assert_string_equal(f->got[0].err.code, "AccessDenied");
	assert_string_equal(
		f->got[0].err.request_id, "c6104cbe-af31-11e0-8154-cbc7ccf896c7");
	assert_contains(f->got[0].err.text, "hop 1 of 2 (" ROLE_A "): User: ");
	assert_contains(f->got[0].err.text, "trust policy");
	assert_contains(f->got[0].err.text, "external_id");
	assert_contains(
		f->got[0].err.text, "(request c6104cbe-af31-11e0-8154-cbc7ccf896c7)");
	/* Remembered a moment: a storm of callers asks once. */
	ask(f, c, 0);
	turns(f);
	assert_int_equal(f->got[0].calls, 2);
	assert_int_equal(f->http.count, 1);
	clock_fake_advance(&f->clock, 6 * USEC_PER_SEC);
	answer_a(f, "ASIA1", 3600);
	answer_error(f, 403, "AccessDenied");
	assert_string_equal(get_key(f, c), "");
	assert_contains(f->got[0].err.text, "hop 2 of 2 (" ROLE_B "): User: ");
	creds_release(c);
}

static void test_advice(void **state)
{
	static const struct {
		int status;
		const char *code, *says;
	} cases[] = {
		{403, "SignatureDoesNotMatch", "secret key"},
		{403, "InvalidClientTokenId", "base credentials"},
		{400, "ExpiredToken", "base credentials"},
		{403, "RequestTimeTooSkewed", "clock"},
		{404, "NoSuchEntity", "no such role"},
	};
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		answer_error(f, cases[i].status, cases[i].code);
		clock_fake_advance(&f->clock, 6 * USEC_PER_SEC);
		assert_string_equal(get_key(f, c), "");
		assert_string_equal(f->got[0].err.code, cases[i].code);
		assert_contains(f->got[0].err.text, cases[i].says);
		assert_int_equal(f->http.count, i + 1);
	}
	answer_net(f, "connect", GIVES_UP);
	clock_fake_advance(&f->clock, 6 * USEC_PER_SEC);
	assert_string_equal(get_key(f, c), "");
	assert_contains(f->got[0].err.text, "endpoint_url");
	assert_int_equal(f->got[0].err.class, ERR_RETRY);
	creds_release(c);
}

/* RGW answers STS in S3's way, without a message. */
static void test_rgw_error(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);

	answer(f, 404,
		mem_strdup("<?xml version=\"1.0\"?><Error><Code>NoSuchEntity</Code>"
			   "<Message></Message><RequestId>tx01</RequestId></Error>"));
	assert_string_equal(get_key(f, c), "");
	assert_string_equal(f->got[0].err.code, "NoSuchEntity");
	assert_string_equal(f->got[0].err.request_id, "tx01");
	assert_contains(f->got[0].err.text, "NoSuchEntity; look at role_arn");
	creds_release(c);
}

/* The session below ended under us: refreshed and tried again, once. */
static void test_parent_expired(void **state)
{
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 2);

	answer_a(f, "ASIA1", 3600);
	answer_error(f, 400, "ExpiredToken");
	answer_a(f, "ASIA3", 3600);
	answer_b(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_contains(f->http.calls[3].wire, "Credential=ASIA3/");
	creds_invalidate(c, f->got[0].set.generation);
	answer_error(f, 400, "ExpiredToken");
	answer_a(f, "ASIA4", 3600);
	answer_error(f, 400, "ExpiredToken");
	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_DENIED);
	assert_int_equal(f->http.count, 7);
	creds_release(c);
}

static void test_hostile_answers(void **state)
{
	static const char *const bodies[] = {"", "<AssumeRoleResponse>", "not xml",
		"<!DOCTYPE x [<!ENTITY a \"b\">]><AssumeRoleResponse/>",
		"<AssumeRoleResponse><Credentials><AccessKeyId>A</AccessKeyId></"
		"Credentials>"
		"</AssumeRoleResponse>"};
	struct fixture *f = *state;
	struct creds *c = open_chain(f, 1);
	char *big = mem_alloc(70000);

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		for (int k = 0; k < GIVES_UP; k++)
			answer(f, 200, mem_strdup(bodies[i]));
		assert_string_equal(get_key(f, c), "");
		assert_string_equal(f->got[0].err.code, "bad-answer");
	}
	for (int k = 0; k < GIVES_UP; k++)
		answer_a(f, "ASIAOLD", -1);
	assert_string_equal(get_key(f, c), "");
	assert_string_equal(f->got[0].err.code, "expired-answer");
	memset(big, ' ', 69999);
	answer(f, 200, big);
	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_FATAL);
	creds_release(c);
}

static void test_no_region(void **state)
{
	static const struct creds_base_spec base;
	struct fixture *f = *state;
	struct creds_role role = {.role_arn = ROLE_A, .role_session_name = "s"};
	struct creds *c = creds_open(f->pool, &base, &role, 1, "test");

	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_CONFIG);
	assert_contains(f->got[0].err.text, "region");
	creds_release(c);
	set_keys("AKIDBASE", "s");
	setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 1);
	setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:2/sts", 1);
	reopen_pool(f);
	c = creds_open(f->pool, &base, &role, 1, "test");
	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_contains(f->http.calls[0].wire, "POST http://127.0.0.1:2/sts/\n");
	creds_release(c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

UNIT_MAIN(TEST(test_environment), TEST(test_half_environment),
	TEST(test_nothing_configured), TEST(test_cli_chain), TEST(test_cli_mistakes),
	TEST(test_odd_files), TEST(test_own_source), TEST(test_one_hop),
	TEST(test_two_hops), TEST(test_rgw_arn), TEST(test_another_identity),
	TEST(test_sharing), TEST(test_single_flight), TEST(test_free_in_flight),
	TEST(test_advisory), TEST(test_mandatory), TEST(test_lapse),
	TEST(test_short_session), TEST(test_failed_refresh),
	TEST(test_outage_past_expiry), TEST(test_denied_refresh), TEST(test_invalidate),
	TEST(test_invalidate_in_backoff), TEST(test_denied), TEST(test_advice),
	TEST(test_rgw_error), TEST(test_parent_expired), TEST(test_hostile_answers),
	TEST(test_no_region))
