/*
 * aws/creds_base and creds_chain: which base is found, what a profile of the AWS CLI
 * says, and how bases other than keys are refreshed. Roles on top are test_creds's.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/creds.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/loop.h"
#include "tests/unit/creds_script.h"

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

/* --- other bases than keys --- */

static char *keys_json(struct fixture *f, const char *key, int64_t life_s)
{
	char until[24];

	clock_format_iso(f->clock.wall / USEC_PER_SEC + life_s, until, sizeof(until));
	return mem_printf(
		"{\"Code\": \"Success\", \"AccessKeyId\": \"%s\", \"SecretAccessKey\": "
		"\"s\", \"Token\": \"t\", \"Expiration\": \"%s\"}",
		key, until);
}

static void set_container(struct fixture *f)
{
	set_keys(NULL, NULL);
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", 1);
	reopen_pool(f);
}

/* A base that ends is renewed by the windows of roles, and may lapse as they do. */
static void test_base_refresh(void **state)
{
	struct fixture *f = *state;
	struct creds *c;

	set_container(f);
	c = open_chain(f, 0);
	answer(f, 200, keys_json(f, "BASE1", 3600));
	assert_string_equal(get_key(f, c), "BASE1");
	assert_contains(f->http.calls[0].wire, "GET http://169.254.170.2/c\n");
	clock_fake_advance(&f->clock, 46 * MINUTES);
	answer(f, 200, keys_json(f, "BASE2", 3600));
	assert_string_equal(get_key(f, c), "BASE1");
	assert_string_equal(get_key(f, c), "BASE2");
	assert_int_equal(f->http.count, 2);
	clock_fake_advance(&f->clock, 61 * MINUTES);
	for (int i = 0; i < GIVES_UP; i++)
		answer(f, 500, mem_strdup("{}"));
	assert_string_equal(
		get_key(f, c), "BASE2"); /* past its end: S3 has the last word */
	assert_int_equal(f->warnings, 1);
	assert_string_equal(get_key(f, c), "BASE2");
	assert_int_equal(f->http.count, 2 + GIVES_UP);
	clock_fake_advance(&f->clock, 10 * MINUTES + USEC_PER_SEC);
	answer(f, 200, keys_json(f, "BASE3", 3600));
	assert_string_equal(get_key(f, c), "BASE3");
	assert_int_equal(f->recoveries, 1);
	creds_release(c);
}

/* A run later, the session of the base is still there. */
static void test_base_is_kept(void **state)
{
	struct fixture *f = *state;
	struct creds *c;

	set_container(f);
	c = open_chain(f, 0);
	answer(f, 200, keys_json(f, "BASE1", 3600));
	get_key(f, c);
	creds_release(c);
	c = open_chain(f, 0);
	assert_string_equal(get_key(f, c), "BASE1");
	assert_int_equal(f->http.count, 1);
	creds_release(c);
}

/* On top of a session: one hour at most, told once. */
static void test_capped(void **state)
{
	static const struct creds_base_spec base;
	struct creds_role role = script_roles[0];
	struct fixture *f = *state;
	struct creds *c;

	set_container(f);
	role.duration_s = 7200;
	c = creds_open(f->pool, &base, &role, 1, "test");
	answer(f, 200, keys_json(f, "BASE1", 21600));
	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_contains(f->http.calls[1].form, "&DurationSeconds=3600");
	assert_int_equal(f->warnings, 1);
	assert_string_equal(f->warning.code, "duration-capped");
	creds_invalidate(c, f->got[0].set.generation);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->warnings, 1);
	creds_release(c);
}

/* Long-lived keys may ask for the whole 12 hours. */
static void test_not_capped(void **state)
{
	static const struct creds_base_spec base;
	struct creds_role role = script_roles[0];
	struct fixture *f = *state;
	struct creds *c;

	role.duration_s = 43200;
	c = creds_open(f->pool, &base, &role, 1, "test");
	answer_a(f, "ASIA1", 43200);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_contains(f->http.calls[0].form, "&DurationSeconds=43200");
	assert_int_equal(f->warnings, 0);
	creds_release(c);
}

static void test_session_policy(void **state)
{
	static const struct creds_base_spec base;
	static const char *const arns[] = {
		"arn:aws:iam::aws:policy/A", "arn:aws:iam::1:policy/B"};
	static const struct creds_tag tags[] = {
		{"a b", "c&d", false}, {"team", "", true}};
	struct creds_role role = script_roles[0];
	struct fixture *f = *state;
	struct creds *plain = open_chain(f, 1), *c;

	role.policy = "{\"Version\":1}";
	role.policy_arns = arns;
	role.policy_arn_count = 2;
	role.tags = tags;
	role.tag_count = 2;
	role.source_identity = "me@x";
	c = creds_open(f->pool, &base, &role, 1, "test");
	assert_ptr_not_equal(c, plain); /* never shared with a wider session */
	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_string_equal(strstr(f->http.calls[0].form, "&Policy="),
		"&Policy=%7B%22Version%22%3A1%7D"
		"&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FA"
		"&PolicyArns.member.2.arn=arn%3Aaws%3Aiam%3A%3A1%3Apolicy%2FB"
		"&Tags.member.1.Key=a%20b&Tags.member.1.Value=c%26d"
		"&Tags.member.2.Key=team&Tags.member.2.Value="
		"&TransitiveTagKeys.member.1=team&SourceIdentity=me%40x");
	creds_release(c);
	creds_release(plain);
}

static void set_web_identity(struct fixture *f)
{
	set_keys(NULL, NULL);
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f->config, 1);
	setenv("AWS_ROLE_ARN", ROLE_A, 1);
	setenv("AWS_REGION", "eu-west-1", 1);
	reopen_pool(f);
}

static void test_web_identity(void **state)
{
	struct creds_base_spec base = {.aws_config_file = "/nonexistent/s3ferry"};
	struct fixture *f = *state;
	struct creds *c;

	set_web_identity(f);
	c = creds_open(f->pool, &base, NULL, 0, "test");
	assert_string_equal(get_key(f, c), "");
	assert_contains(f->got[0].err.text, "No such file");
	write_file(f->config, "jwt-1\n");
	answer_error(f, 400, "IDPCommunicationError");
	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_string_equal(strstr(f->http.calls[1].form, "&RoleSessionName"),
		"&RoleSessionName=s3ferry&WebIdentityToken=jwt-1");
	assert_contains(f->http.calls[1].form, "Action=AssumeRoleWithWebIdentity&");
	assert_contains(
		f->http.calls[1].wire, "POST https://sts.eu-west-1.amazonaws.com/\n");
	assert_null(strstr(f->http.calls[1].wire, "Authorization"));
	write_file(f->config, "jwt-2");
	clock_fake_advance(&f->clock, 61 * MINUTES);
	answer_a(f, "ASIA2", 3600);
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_contains(f->http.calls[2].form, "WebIdentityToken=jwt-2");
	clock_fake_advance(&f->clock, 61 * MINUTES);
	answer_error(f, 403, "AccessDenied");
	assert_string_equal(get_key(f, c), "");
	assert_int_equal(f->got[0].err.class, ERR_DENIED);
	assert_contains(f->got[0].err.text, "issuer");
	creds_release(c);
}

/* Its end is told in the service's time, which is ten minutes ahead. */
static void test_web_identity_in_another_time(void **state)
{
	struct creds_base_spec base = {.aws_config_file = "/nonexistent/s3ferry"};
	struct skews *skews = skews_new();
	struct fixture *f = *state;
	int64_t begun_us = f->clock.wall / USEC_PER_SEC * USEC_PER_SEC;
	struct creds *c;

	set_web_identity(f);
	creds_pool_use_clocks(f->pool, skews);
	skews_of(skews, NULL)->us = 10 * MINUTES;
	write_file(f->config, "jwt-1");
	c = creds_open(f->pool, &base, NULL, 0, "test");
	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_int_equal(f->got[0].set.expires_at_us, begun_us + 50 * MINUTES);
	creds_release(c);
	f->pool = creds_pool_free(f->pool);
	skews_free(skews);
}

static void test_instance_role(void **state)
{
	struct fixture *f = *state;
	struct creds_base_spec base = {.aws_config_file = f->config};
	struct creds_role role = {.role_arn = ROLE_A, .role_session_name = "s"};
	struct creds *c;

	set_keys(NULL, NULL);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	reopen_pool(f);
	c = creds_open(f->pool, &base, &role, 1, "test");
	answer_net(f, "connect", 1); /* nobody there: not tried again */
	assert_string_equal(get_key(f, c), "");
	assert_contains(
		f->got[0].err.text, "no credentials were found. Looked at: AWS_ACCESS_");
	assert_contains(f->got[0].err.text, "hop limit");
	answer(f, 200, mem_strdup("imds-token"));
	answer(f, 200, mem_strdup("role-1"));
	answer(f, 200, keys_json(f, "BASE1", 21600));
	answer(f, 200, mem_strdup("imds-token"));
	answer(f, 200, mem_strdup("eu-north-1"));
	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	assert_contains(f->http.calls[5].wire, "/latest/meta-data/placement/region");
	assert_contains(
		f->http.calls[6].wire, "POST https://sts.eu-north-1.amazonaws.com/\n");
	assert_contains(f->http.calls[6].wire, "Credential=BASE1/");
	creds_release(c);
}

/* Keys of a program are not used past their end, unlike AWS's own. */
static void test_process_ends(void **state)
{
	struct fixture *f = *state;
	char command[4096], until[24], text[200];
	struct creds_base_spec base = {.credential_process = command};
	struct creds *c;

	UNIT_NEEDS_PIDFD();
	snprintf(command, sizeof(command), "cat %s", f->config);
	clock_format_iso(f->clock.wall / USEC_PER_SEC + 3600, until, sizeof(until));
	snprintf(text, sizeof(text),
		"{\"Version\": 1, \"AccessKeyId\": \"P1\", \"SecretAccessKey\": \"s\", "
		"\"Expiration\": \"%s\"}",
		until);
	write_file(f->config, text);
	c = creds_open(f->pool, &base, NULL, 0, "test");
	ask(f, c, 0);
	while (!f->got[0].calls)
		loop_turn(f->loop, true);
	assert_string_equal(f->got[0].set.access_key_id, "P1");
	clock_fake_advance(&f->clock, 61 * MINUTES);
	ask(f, c, 0);
	while (f->got[0].calls < 2)
		loop_turn(f->loop, true);
	assert_string_equal(f->got[0].err.code, "expired-answer");
	assert_int_equal(f->warnings, 1);
	creds_release(c);
}

/* A base that lapses under a role: one warning, one recovery, and the role goes on. */
static void test_told_once(void **state)
{
	struct fixture *f = *state;
	struct creds *c;

	set_container(f);
	c = open_chain(f, 1);
	answer(f, 200, keys_json(f, "BASE1", 3600));
	answer_a(f, "ASIA1", 3600);
	assert_string_equal(get_key(f, c), "ASIA1");
	clock_fake_advance(&f->clock, 61 * MINUTES);
	for (int i = 0; i < GIVES_UP; i++)
		answer(f, 500, mem_strdup("{}"));
	answer_a(f, "ASIA2", 3600); /* the old keys are good enough for STS */
	assert_string_equal(get_key(f, c), "ASIA2");
	assert_int_equal(f->warnings, 1);
	assert_contains(f->warning.text, "169.254.170.2 answered with status 500");
	clock_fake_advance(&f->clock, 61 * MINUTES);
	answer(f, 200, keys_json(f, "BASE2", 3600));
	answer_a(f, "ASIA3", 3600);
	assert_string_equal(get_key(f, c), "ASIA3");
	assert_int_equal(f->warnings, 1);
	assert_int_equal(f->recoveries, 1);
	creds_release(c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

UNIT_MAIN(TEST(test_environment), TEST(test_half_environment),
	TEST(test_nothing_configured), TEST(test_cli_chain), TEST(test_cli_mistakes),
	TEST(test_odd_files), TEST(test_own_source), TEST(test_base_refresh),
	TEST(test_base_is_kept), TEST(test_capped), TEST(test_not_capped),
	TEST(test_session_policy), TEST(test_web_identity),
	TEST(test_web_identity_in_another_time), TEST(test_instance_role),
	TEST(test_process_ends), TEST(test_told_once))
