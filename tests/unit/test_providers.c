/*
 * aws/provider_*: container and instance metadata over real sockets on loopback, and
 * credential_process with a real child. Chains and windows are test_creds's.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/creds_impl.h"
#include "aws/imds.h"
#include "aws/provider.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/child.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "sandbox/http_server.h"

#define KEYS                                                                         \
	"{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":"       \
	"\"secret\","                                                                \
	"\"Token\":\"token\",\"Expiration\":\"2099-01-01T00:00:00Z\",\"AccountId\":" \
	"\"111111111111\"}"

struct fixture {
	struct loop *loop;
	struct http *http;
	struct http_server *server;
	int port;
	char dir[40], file[80], url[80];

	/* what the server is to say, and what it saw */
	const char *(*serve)(struct fixture *f, struct http_exchange *x, int *ret_status);
	int requests, refusals;
	char last_token[100];

	/* what the provider said */
	int calls;
	struct err err;
	struct creds_set set;
};

static void on_end(void *arg, struct http_exchange *x)
{
	struct fixture *f = arg;
	int status = 200;
	const char *body = f->serve(f, x, &status);

	f->requests++;
	http_reply(x, &(struct http_answer){.status = status,
			      .headers = "",
			      .length = (int64_t)strlen(body),
			      .body = body});
}

static void on_nothing(void *arg, struct http_exchange *x)
{
}

static void on_data(void *arg, struct http_exchange *x, const char *data, size_t len)
{
}

static int listen_on_loopback(int *ret_port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*ret_port = ntohs(in.sin_port);
	return fd;
}

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	struct http_handler handler = {on_nothing, on_data, on_end, on_nothing, f};
	struct http_options options = {0};

	http_global_init();
	f->loop = loop_new(clock_system());
	f->http = http_new(f->loop, &options);
	f->server = http_server_new(
		f->loop, listen_on_loopback(&f->port), NULL, &handler);
	snprintf(f->dir, sizeof(f->dir), "/tmp/test_providers.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/file", f->dir);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", f->port);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		loop_turn(f->loop, false);
	http_server_free(f->server);
	http_free(f->http);
	loop_turn(f->loop, false);
	loop_free(f->loop);
	unlink(f->file);
	rmdir(f->dir);
	free(f);
	return 0;
}

#define assert_contains(text, part)                                 \
	do {                                                        \
		if (!strstr(text, part))                            \
			fail_msg("'%s' is not in: %s", part, text); \
	} while (0)

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void on_fetched(void *arg, const struct err *e, const struct creds_set *set)
{
	struct fixture *f = arg;

	f->calls++;
	f->err = (struct err){0};
	f->set = (struct creds_set){0};
	if (e)
		f->err = *e;
	else
		f->set = *set;
}

static void fetch(struct fixture *f, struct provider *p)
{
	int before = f->calls;

	provider_start(p, on_fetched, f);
	assert_int_equal(f->calls, before); /* never inside */
	while (f->calls == before)
		loop_turn(f->loop, true);
	assert_int_equal(f->calls, before + 1);
}

/* --- container --- */

static const char *serve_container(
	struct fixture *f, struct http_exchange *x, int *ret_status)
{
	const char *token = http_field(x, "authorization");

	snprintf(f->last_token, sizeof(f->last_token), "%s", token ? token : "");
	assert_string_equal(x->path, "/keys");
	assert_string_equal(x->query, "a=b");
	*ret_status = f->refusals-- > 0 ? 500 : 200;
	return *ret_status == 200 ? KEYS : "{\"secret\":\"do not quote me\"}";
}

static void test_container(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *uri = mem_printf("%s/keys?a=b", f->url);
	struct creds_env env = {
		.container_full_uri = uri, .container_token_file = f->file};
	struct provider *p = provider_container_new(f->loop, f->http, &env);

	f->serve = serve_container;
	write_file(f->file, "first", 0600);
	f->refusals = 2; /* of three attempts */
	fetch(f, p);
	assert_string_equal(f->set.access_key_id, "ASIA1");
	assert_string_equal(f->set.account, "111111111111");
	assert_true(f->set.expires_at_us > 0 && f->set.expires_at_us < CREDS_NEVER);
	assert_string_equal(f->last_token, "first");
	assert_int_equal(f->requests, 3);
	write_file(f->file, "second", 0600); /* rotated under us */
	fetch(f, p);
	assert_string_equal(f->last_token, "second");
	f->refusals = 9;
	fetch(f, p);
	assert_int_equal(f->err.class, ERR_RETRY);
	assert_null(strstr(f->err.text, "quote"));
	write_file(f->file, "with\nline", 0600);
	fetch(f, p);
	assert_contains(f->err.text, "line break");
	unlink(f->file);
	fetch(f, p);
	assert_contains(f->err.text, "No such file");
	provider_free(p);
}

/* A name is looked up, checked, and then asked by its address. */
static void test_container_by_name(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *uri = mem_printf("http://localhost:%d/keys?a=b", f->port);
	struct creds_env env = {.container_full_uri = uri};
	struct provider *p = provider_container_new(f->loop, f->http, &env);

	f->serve = serve_container;
	fetch(f, p);
	assert_string_equal(f->set.access_key_id, "ASIA1");
	provider_free(p);
}

static void test_container_hosts(void **state)
{
	static const char *const wrong[] = {"http://192.168.1.1/keys",
		"http://10.0.0.1:80/", "http://169.254.169.254/",
		"http://[fd00:ec2::254]/", "http://0x7f.1.2.3.4/", "/keys",
		"ftp://127.0.0.1/", "http:///keys", "http://u@127.0.0.1/",
		"http://127.0.0.1:99999/", "http://[::1/"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct creds_env env = {.container_full_uri = (char *)wrong[i]};
		struct provider *p = provider_container_new(f->loop, f->http, &env);

		fetch(f, p);
		if (f->err.class == ERR_OK)
			fail_msg("%s was asked", wrong[i]);
		provider_free(p);
	}
	assert_true(container_is_allowed("127.255.0.1"));
	assert_true(container_is_allowed("::1"));
	assert_true(container_is_allowed("fd00:ec2::23"));
	assert_true(container_is_allowed("169.254.170.2"));
	assert_false(container_is_allowed("::ffff:127.0.0.1"));
	assert_false(container_is_allowed("128.0.0.1"));
}

static void test_container_cancel(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *uri = mem_printf("http://localhost:%d/keys?a=b", f->port);
	struct creds_env env = {.container_full_uri = uri};
	struct provider *p = provider_container_new(f->loop, f->http, &env);

	f->serve = serve_container;
	for (int turns = 0; turns < 4; turns++) {
		provider_start(p, on_fetched, f);
		for (int i = 0; i < turns; i++)
			loop_turn(f->loop, false);
		provider_cancel(p);
	}
	assert_int_equal(f->calls, 0);
	provider_start(p, on_fetched, f);
	provider_free(p); /* cancels, too */
	for (int i = 0; i < 20; i++)
		loop_turn(f->loop, false);
	assert_int_equal(f->calls, 0);
}

/* --- instance metadata --- */

static const char *serve_imds(struct fixture *f, struct http_exchange *x, int *ret_status)
{
	const char *token = http_field(x, "x-aws-ec2-metadata-token");

	if (strcmp(x->method, "PUT") == 0) {
		assert_string_equal(x->path, "/latest/api/token");
		assert_string_equal(
			http_field(x, "x-aws-ec2-metadata-token-ttl-seconds"), "21600");
		snprintf(f->last_token, sizeof(f->last_token), "t%d", f->requests);
		return f->last_token;
	}
	if (!str_eq(token, f->last_token) || f->refusals-- > 0) {
		*ret_status = 401;
		return "";
	}
	if (str_has_suffix(x->path, "/security-credentials-extended/"))
		return "role-1\n";
	return str_has_suffix(x->path, "/role-1") ? KEYS : "";
}

static struct provider *open_imds(struct fixture *f)
{
	struct imds_options options = {.endpoint = f->url};

	return provider_imds_new(f->loop, f->http, &options);
}

static void test_imds(void **state)
{
	struct fixture *f = *state;
	struct provider *p = open_imds(f);

	f->serve = serve_imds;
	fetch(f, p);
	assert_string_equal(f->set.access_key_id, "ASIA1");
	assert_string_equal(f->set.session_token, "token");
	assert_int_equal(f->requests, 3); /* token, role, keys */
	fetch(f, p);
	assert_int_equal(f->requests, 4); /* the other two are known */
	f->refusals = 1;                  /* the token ended early: another one */
	fetch(f, p);
	assert_string_equal(f->set.access_key_id, "ASIA1");
	assert_int_equal(f->requests, 7);
	provider_free(p);
}

static const char *serve_403(struct fixture *f, struct http_exchange *x, int *ret_status)
{
	*ret_status = 403;
	return "";
}

static void test_imds_refuses(void **state)
{
	struct fixture *f = *state;
	struct provider *p = open_imds(f);

	f->serve = serve_403;
	fetch(f, p);
	assert_int_equal(f->err.class, ERR_CONFIG);
	assert_contains(f->err.text, "disabled");
	assert_int_equal(f->requests, 1);
	provider_free(p);
}

/* Accepts, and says nothing: a hop limit of 1 looks like that. */
static void test_imds_is_silent(void **state)
{
	struct fixture *f = *state;
	int port, fd = listen_on_loopback(&port);
	_cleanup_free_ char *url = mem_printf("http://127.0.0.1:%d", port);
	struct imds_options options = {.endpoint = url};
	struct provider *p = provider_imds_new(f->loop, f->http, &options);
	int64_t began = clock_mono_us(clock_system());

	fetch(f, p);
	assert_true(clock_mono_us(clock_system()) - began < 5 * USEC_PER_SEC);
	assert_contains(f->err.text, "hop limit 2");
	provider_free(p);
	close(fd);
}

/* --- credential_process --- */

static struct provider *open_process(struct fixture *f, const char *script)
{
	struct creds_env env = {.region = (char[]){"eu-west-1"}}; /* copied */
	_cleanup_free_ char *command = mem_printf("'%s' \"a b\" c\\ d", f->file);

	write_file(f->file, script, 0700);
	return provider_process_new(f->loop, &env, command, "222222222222");
}

static void test_process(void **state)
{
	struct fixture *f = *state;
	struct provider *p;

	UNIT_NEEDS_PIDFD();
	setenv("LEAKED_SECRET", "leaked", 1);
	p = open_process(f,
		"#!/bin/sh\n"
		"echo warned >&2\n"
		"ls -l /proc/$$/fd | grep -q -e socket -e event && exit 9\n"
		"printf '{\"Version\": 1, \"AccessKeyId\": \"%s|%s|%s|%s|%s\", "
		"\"SecretAccessKey\": \"s\"}' \"$1\" \"$2\" \"$LEAKED_SECRET\" "
		"\"$AWS_REGION\" \"$(cat | wc -c)\"\n");
	fetch(f, p);
	assert_string_equal(f->err.text, "");
	assert_string_equal(f->set.access_key_id, "a b|c d||eu-west-1|0");
	assert_string_equal(f->set.account, "222222222222");
	assert_true(f->set.expires_at_us == CREDS_NEVER);
	provider_free(p);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
	assert_int_equal(errno, ECHILD);
}

/* Every child ends in the loop that watches it. */
static void reap(struct fixture *f)
{
	while (waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0)
		loop_turn(f->loop, true);
	loop_turn(f->loop, false);
}

static void test_process_fails(void **state)
{
	static const struct {
		const char *script, *says;
		bool is_transient; /* what it asks may be away for a while */
	} cases[] = {
		{"#!/bin/sh\necho my-secret >&2\nexit 3\n", "code 3", true},
		{"#!/bin/sh\nkill -9 $$\n", "signal 9", true},
		{"#!/bin/sh\necho my-secret\n", "JSON"},
		{"#!/bin/sh\necho '{\"AccessKeyId\": \"my-secret\"}'\n", "Version"},
		{"#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"my-secret\"}'\n",
			"lacks"},
		{"#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"k\", "
		 "\"SecretAccessKey\": "
		 "\"s\", \"Expiration\": \"my-secret\"}'\n",
			"Expiration"},
		{"#!/bin/sh\nhead -c 70000 /dev/zero\nsleep 60\n", "more than it may"},
		{"#!/no/such/interpreter\n", "No such file"},
	};
	struct fixture *f = *state;

	UNIT_NEEDS_PIDFD();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct provider *p = open_process(f, cases[i].script);

		fetch(f, p);
		assert_int_equal(
			f->err.class, cases[i].is_transient ? ERR_RETRY : ERR_CONFIG);
		assert_contains(f->err.text, cases[i].says);
		assert_contains(f->err.text, f->file); /* which program it is */
		assert_null(strstr(f->err.text, "my-secret"));
		assert_null(strstr(f->err.text, "a b")); /* nor its arguments */
		provider_free(p);
	}
	reap(f); /* whoever waits is told of too much output before the child is gone */
}

static void test_split(void **state)
{
	static const struct {
		const char *command;
		int count;
		const char *second;
	} cases[] = {{"a b", 2, "b"}, {" a\t'b  c' ", 2, "b  c"},
		{"a \"b \\\"c\\\"\"", 2, "b \"c\""}, {"a 'b'\"c\"d", 2, "bcd"},
		{"a ''", 2, ""}, {"a b\\'c", 2, "b'c"}, {"a '\\'", 2, "\\"},
		{"a 'b", -1, NULL}, {"", -1, NULL}, {"  ", -1, NULL}, {"a | b", 3, "|"},
		{"a \\", 2, "\\"}};
	char text[64], *words[8];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(creds_split_command(cases[i].command, text, words, 8),
			cases[i].count);
		if (cases[i].second)
			assert_string_equal(words[1], cases[i].second);
	}
	assert_int_equal(creds_split_command("a b c d e f g h", text, words, 8), -1);
}

static void on_child(void *arg, const struct err *e, const struct child_result *r)
{
	struct fixture *f = arg;

	f->calls++;
	if (e)
		f->err = *e;
}

/* The deadline kills the whole group, and whoever waits is told at once. */
static void test_child_deadline(void **state)
{
	struct fixture *f = *state;
	char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"},
		(char[]){"sleep 60 & sleep 60"}, NULL};
	char *envp[] = {NULL};
	struct child_spec spec = {argv, envp, 100, 50};

	UNIT_NEEDS_PIDFD();
	child_start(f->loop, &spec, on_child, f);
	while (!f->calls)
		loop_turn(f->loop, true);
	assert_string_equal(f->err.code, "timeout");
	reap(f);
	assert_int_equal(f->calls, 1);
	spec.timeout_ms = 60000;
	child_cancel(child_start(f->loop, &spec, on_child, f));
	reap(f);
	argv[0] = (char[]){"/no/such/program"};
	child_cancel(child_start(f->loop, &spec, on_child, f));
	reap(f);
	assert_int_equal(f->calls, 1);
}

static void on_names(void *arg, const struct err *e, const struct resolve_result *r)
{
	struct fixture *f = arg;

	f->calls++;
	f->err = e ? *e : (struct err){0};
	if (!e)
		assert_true(r->count > 0);
}

static void test_resolve(void **state)
{
	struct fixture *f = *state;

	resolve_cancel(resolve_start(f->loop, "localhost", on_names, f));
	resolve_start(f->loop, "localhost", on_names, f);
	while (!f->calls)
		loop_turn(f->loop, true);
	assert_int_equal(f->err.class, ERR_OK);
	resolve_start(f->loop, "a..b", on_names, f);
	while (f->calls < 2)
		loop_turn(f->loop, true);
	assert_string_equal(f->err.code, "resolve");
}

/* --- the environment's keys --- */

static void test_environment_ends(void **state)
{
	struct fixture *f = *state;
	struct creds_env env = {.access_key_id = (char[]){"AKID"},
		.secret_access_key = (char[]){"s"},
		.account = (char[]){"1"},
		.expiration = (char[]){"2099-01-01T00:00:00Z"}};
	struct provider *p = provider_env_new(f->loop, &env);

	fetch(f, p);
	assert_string_equal(f->set.access_key_id, "AKID");
	assert_string_equal(f->set.account, "1");
	assert_true(f->set.expires_at_us < CREDS_NEVER);
	env.expiration = (char[]){"2001-01-01T00:00:00Z"};
	fetch(f, p);
	assert_contains(f->err.text, "expired");
	env.expiration = (char[]){"soon"};
	fetch(f, p);
	assert_contains(f->err.text, "AWS_CREDENTIAL_EXPIRATION");
	provider_start(p, on_fetched, f);
	provider_free(p);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

UNIT_MAIN(TEST(test_container), TEST(test_container_by_name), TEST(test_container_hosts),
	TEST(test_container_cancel), TEST(test_imds), TEST(test_imds_refuses),
	TEST(test_imds_is_silent), TEST(test_process), TEST(test_process_fails),
	TEST(test_split), TEST(test_child_deadline), TEST(test_resolve),
	TEST(test_environment_ends))
