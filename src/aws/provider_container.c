/*
 * ECS tasks and EKS Pod Identity: one GET to a URI of the environment, with a token.
 * Plain http goes to loopback and to AWS's own link-local addresses only, whatever a name
 * says.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds_impl.h"
#include "aws/fetch.h"
#include "aws/provider.h"
#include "aws/secret_file.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"
#include "net/resolve.h"

#define ECS_ORIGIN "http://169.254.170.2"
#define CONNECT_MS 2000
#define READ_MS    5000
#define ATTEMPTS   3
#define BACKOFF_MS 100
#define ANSWER_MAX 65535
#define TOKEN_MAX  (16 * 1024)

struct provider_container {
	struct provider base;
	const struct creds_env *env;
	struct container_uri uri;
	struct err bad_uri; /* class OK: uri can be used */

	/* the fetch under way */
	int attempt;
	struct resolve *resolve;
	struct resolve_result addresses; /* of a name; all are allowed */
	struct fetch *fetch;
	struct loop_timer *timer;
};

/* --- the URI --- */

static bool refuse_uri(struct err *e, const char *text)
{
	err_set(e, ERR_CONFIG, ERR_FROM_CREDS, "container-uri", "%s", text);
	return false;
}

/* The authority of url and what follows; false: not a host, maybe with a port. */
static bool take_host(const char *url, struct container_uri *ret)
{
	const char *host = strstr(url, "://") + 3;
	size_t n = strcspn(host, "/?#"), name = strcspn(host, ":/?#");
	bool is_literal = *host == '[';
	const char *end = is_literal ? memchr(host, ']', n) : NULL;
	uint64_t port = ret->is_tls ? 443 : 80;

	if (is_literal)
		name = end ? (size_t)(end - host) + 1 : 0;
	if (!name || n >= sizeof(ret->authority) || memchr(host, '@', n))
		return false;
	if (name < n && (host[name] != ':' || str_to_uint_len(host + name + 1,
						      n - name - 1, 65535, &port) < 0))
		return false;
	memcpy(ret->authority, host, n);
	memcpy(ret->host, host + is_literal, name - (is_literal ? 2 : 0));
	ret->port = (unsigned)port;
	ret->target = mem_strdup(host[n] ? host + n : "/");
	return true;
}

bool container_uri_parse(
	const char *relative, const char *full, struct container_uri *ret, struct err *e)
{
	_cleanup_free_ char *url = relative ? mem_printf("%s%s", ECS_ORIGIN, relative)
					    : mem_strdup(full);

	*ret = (struct container_uri){.is_tls = str_has_prefix(url, "https://")};
	if (relative && *relative != '/')
		return refuse_uri(e,
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin "
			"with /");
	if (!ret->is_tls && !str_has_prefix(url, "http://"))
		return refuse_uri(e,
			"AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL with "
			"http or https and a host");
	if (strpbrk(url, " \t\r\n\"<>\\^`{|}#") || !take_host(url, ret))
		return refuse_uri(e,
			"the URI of the container's credentials has no proper "
			"host");
	return true;
}

/*
 * Loopback, the ECS agent, the agent of EKS Pod Identity on IPv4 and IPv6; nothing else
 * may be asked without TLS.
 */
bool container_is_allowed(const char *address)
{
	struct in6_addr six, eks;
	struct in_addr four;

	if (inet_pton(AF_INET, address, &four) == 1)
		return (ntohl(four.s_addr) >> 24) == 127 ||
		       strcmp(address, "169.254.170.2") == 0 ||
		       strcmp(address, "169.254.170.23") == 0;
	inet_pton(AF_INET6, "fd00:ec2::23", &eks);
	return inet_pton(AF_INET6, address, &six) == 1 &&
	       (IN6_IS_ADDR_LOOPBACK(&six) || memcmp(&six, &eks, sizeof(six)) == 0);
}

static bool is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 ||
	       inet_pton(AF_INET6, host, &any) == 1;
}

/* --- the fetch --- */

static void fail(struct provider_container *p, enum err_class class, const char *code,
	const char *text)
{
	struct err e;

	err_set(&e, class, ERR_FROM_CREDS, code, "container credentials: %s", text);
	provider_done(&p->base, &e, NULL);
}

/* Read anew each time: it is rotated under us. NULL after fail(). */
static char *read_token(struct provider_container *p)
{
	const char *path = p->env->container_token_file, *why;
	char *token = path ? secret_file_read(path, TOKEN_MAX, NULL, &why)
			   : mem_strdup(p->env->container_token);
	char text[400];

	if (path && !token) {
		snprintf(text, sizeof(text),
			"failed to read the authorization token from '%.200s': %.100s",
			path, why);
		fail(p, ERR_CONFIG, "token-file", text);
		return NULL;
	}
	if (token && strpbrk(token, "\r\n")) {
		fail(p, ERR_CONFIG, "token",
			"the authorization token has a line break, which would be a "
			"header");
		return mem_wipe_free(token);
	}
	return token ? token : mem_strdup("");
}

static void on_answer(void *arg, const struct err *e, const struct fetch_answer *a);

/* A name's address stands in the URL, its name in the header: no second look-up. */
static void send_request(struct provider_container *p, const char *token)
{
	const struct container_uri *u = &p->uri;
	const char *address = p->addresses.count
				      ? p->addresses.addresses[(size_t)(p->attempt - 1) %
							       p->addresses.count]
				      : NULL;
	_cleanup_free_ char *url =
		address ? mem_printf(strchr(address, ':') ? "http://[%s]:%u%s"
							  : "http://%s:%u%s",
				  address, u->port, u->target)
			: mem_printf("%s://%s%s", u->is_tls ? "https" : "http",
				  u->authority, u->target);
	_cleanup_free_ char *host = mem_printf("Host: %s", u->authority);
	char *auth = mem_printf("Authorization: %s", token);
	const char *headers[] = {
		host, "Accept: application/json", *token ? auth : NULL, NULL};
	struct fetch_request rq = {"GET", url, headers, CONNECT_MS, READ_MS, ANSWER_MAX};

	p->fetch = fetch_start(p->base.loop, p->base.http, &rq, on_answer, p);
	mem_wipe_free(auth);
}

static void ask(struct provider_container *p)
{
	char *token = read_token(p);

	if (token)
		send_request(p, token);
	mem_wipe_free(token);
}

static void on_timer(void *arg)
{
	ask(arg);
}

static bool try_later(struct provider_container *p)
{
	if (p->attempt >= ATTEMPTS)
		return false;
	loop_timer_set(
		p->timer, (int64_t)(crypto_random_unit() * (BACKOFF_MS << p->attempt)));
	p->attempt++;
	return true;
}

static void on_answer(void *arg, const struct err *e, const struct fetch_answer *a)
{
	struct provider_container *p = arg;
	int64_t now = clock_wall_us(loop_clock(p->base.loop));
	struct creds_set set;
	struct err bad;
	char text[400];

	p->fetch = NULL;
	if (!e && a->status / 100 == 2 &&
		provider_read_json(PROVIDER_METADATA, a->body, a->len, now, &set, &bad)) {
		provider_done(&p->base, NULL, &set);
		creds_set_wipe(&set);
		return;
	}
	if ((!e || err_is_transient(e)) && try_later(p))
		return;
	if (e) {
		snprintf(text, sizeof(text), "%.300s", e->text);
		fail(p, e->class, e->code, text);
	} else if (a->status / 100 == 2) {
		fail(p, bad.class, bad.code, bad.text);
	} else {
		snprintf(text, sizeof(text), "%.200s answered with status %d",
			p->uri.authority, a->status);
		fail(p, a->status >= 500 || a->status == 429 ? ERR_RETRY : ERR_CONFIG,
			"container-status", text);
	}
}

static void refuse_host(struct provider_container *p, const char *address)
{
	char text[400];

	snprintf(text, sizeof(text),
		"'%.200s' (%.46s) is not an allowed host: without TLS only loopback, "
		"169.254.170.2, 169.254.170.23 and fd00:ec2::23 are asked",
		p->uri.host, address);
	fail(p, ERR_CONFIG, "container-host", text);
}

/* Every address must be allowed: which one a connection takes is not ours to say. */
static void on_resolved(void *arg, const struct err *e, const struct resolve_result *r)
{
	struct provider_container *p = arg;

	p->resolve = NULL;
	if (e) {
		fail(p, e->class, e->code, e->text);
		return;
	}
	p->addresses = *r;
	for (size_t i = 0; i < r->count; i++) {
		if (!container_is_allowed(r->addresses[i])) {
			refuse_host(p, r->addresses[i]);
			return;
		}
	}
	ask(p);
}

static void begin(void *arg)
{
	struct provider_container *p = arg;

	p->addresses.count = 0;
	if (p->bad_uri.class != ERR_OK)
		fail(p, ERR_CONFIG, p->bad_uri.code, p->bad_uri.text);
	else if (p->uri.is_tls || container_is_allowed(p->uri.host))
		ask(p);
	else if (is_address(p->uri.host))
		refuse_host(p, p->uri.host);
	else
		p->resolve = resolve_start(p->base.loop, p->uri.host, on_resolved, p);
}

/* --- the provider --- */

static void start(struct provider *base)
{
	struct provider_container *p = CONTAINER_OF(
		base, struct provider_container, base);

	p->attempt = 1;
	loop_defer(base->loop, begin, p);
}

static void cancel(struct provider *base)
{
	struct provider_container *p = CONTAINER_OF(
		base, struct provider_container, base);

	loop_undefer(base->loop, p);
	loop_timer_cancel(p->timer);
	if (p->resolve)
		resolve_cancel(p->resolve);
	if (p->fetch)
		fetch_cancel(p->fetch);
	p->resolve = NULL;
	p->fetch = NULL;
}

static void *free_one(struct provider *base)
{
	struct provider_container *p = CONTAINER_OF(
		base, struct provider_container, base);

	loop_timer_free(p->timer);
	free(p->uri.target);
	free(p);
	return NULL;
}

static const struct provider_ops ops = {start, cancel, free_one, true, true};

struct provider *provider_container_new(
	struct loop *loop, struct http *http, const struct creds_env *env)
{
	struct provider_container *p = mem_alloc(sizeof(*p));

	p->base = (struct provider){.ops = &ops, .loop = loop, .http = http};
	p->env = env;
	container_uri_parse(env->container_relative_uri, env->container_full_uri, &p->uri,
		&p->bad_uri);
	p->timer = loop_timer_new(loop, on_timer, p);
	return &p->base;
}
