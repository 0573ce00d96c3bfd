/*
 * Runs the AWS cases of $S3FERRY_VECTORS/aws (the .flat twins) and prints
 * "group passed/total". Groups that nothing here covers yet are named as such.
 */
#include "config.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/sigv4.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "tests/vectors/vcase.h"

#define PAIRS_MAX  100

static void case_reset(struct vcase *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->paths[i]);
		free(c->values[i]);
	}
	c->count = 0;
	free(c->id);
	c->id = NULL;
	c->category[0] = '\0';
}

static void case_add(struct vcase *c, char *line)
{
	char *blank = strchr(line, ' ');
	struct buf value = BUF_INIT(1024 * 1024);

	if (!blank || strlen(blank) < 3 || c->count == VALUES_MAX || blank[1] == 'z')
		return;
	*blank = '\0';
	str_uri_decode(&value, blank + 3, strlen(blank + 3));
	c->paths[c->count] = mem_strdup(line);
	c->lens[c->count] = value.len;
	c->values[c->count++] = buf_take(&value);
}

const char *vcase_get(const struct vcase *c, const char *fmt, ...)
{
	char path[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->paths[i], path) == 0)
			return c->values[i];
	}
	return NULL;
}

size_t vcase_count(const struct vcase *c, const char *path)
{
	const char *text = vcase_get(c, "%s/#", path);

	return text ? strtoul(text, NULL, 10) : 0;
}

bool vcase_is(const struct vcase *c, const char *path)
{
	return str_eq(vcase_get(c, "%s", path), "1");
}

int64_t vcase_int(const struct vcase *c, const char *path)
{
	const char *text = vcase_get(c, "%s", path);

	return text ? strtoll(text, NULL, 10) : 0;
}

enum verdict vcase_passed_if(bool is_right)
{
	return is_right ? PASSED : FAILED;
}

enum verdict vcase_not_applicable(struct vcase *c, const char *reason)
{
	c->reason = reason;
	return NOT_APPLICABLE;
}

static bool same(const char *what, const char *want, const char *got)
{
	if (!want || str_eq(want, got))
		return true;
	fprintf(stderr, "  %s: wanted\n%s\n  got\n%s\n", what, want, got ? got : "(none)");
	return false;
}

static int64_t timestamp(const struct vcase *c)
{
	const char *t = vcase_get(c, "/context/timestamp");
	char iso[32];
	int64_t s = 0;

	snprintf(iso, sizeof(iso), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", t, t + 4, t + 6, t + 9,
		t + 11, t + 13);
	clock_parse_iso(iso, &s);
	return s;
}

/* "a=b&c" of a request target into pairs; text is cut up. */
static size_t split_query(char *text, struct sigv4_pair *out)
{
	size_t n = 0;

	for (char *p = strtok_r(text, "&", &text); p; p = strtok_r(NULL, "&", &text)) {
		char *equals = strchr(p, '=');
		struct buf name = BUF_INIT(65536), value = BUF_INIT(65536);

		if (equals)
			*equals++ = '\0';
		str_uri_decode(&name, p, strlen(p));
		if (equals)
			str_uri_decode(&value, equals, strlen(equals));
		out[n++] = (struct sigv4_pair){buf_take(&name), buf_take(&value)};
	}
	return n;
}

struct prepared {
	struct sigv4_request rq;
	struct sigv4_scope scope;
	struct sigv4_keys keys;
	struct sigv4_pair query[PAIRS_MAX], headers[PAIRS_MAX];
	char hash[65];
	char *path;
};

static bool is_ours(const char *name)
{
	return strcasecmp(name, "x-amz-date") == 0 ||
	       strcasecmp(name, "x-amz-content-sha256") == 0 ||
	       strcasecmp(name, "authorization") == 0 ||
	       strcasecmp(name, "x-amz-security-token") == 0;
}

static void prepare_headers(const struct vcase *c, struct prepared *p)
{
	size_t n = vcase_count(c, "/request/headers");

	for (size_t i = 0; i < n; i++) {
		const char *name = vcase_get(c, "/request/headers/%zu/0", i);

		if (!is_ours(name))
			p->headers[p->rq.header_count++] = (struct sigv4_pair){
				name, vcase_get(c, "/request/headers/%zu/1", i)};
	}
	p->rq.headers = p->headers;
}

static void prepare_target(const struct vcase *c, struct prepared *p)
{
	const char *target = vcase_get(c, "/request/target"), *path = vcase_get(c, "/request/path");
	struct buf encoded = BUF_INIT(65536);

	p->rq.query = p->query;
	if (target) {
		size_t n = strcspn(target, "?");
		char *query = mem_strdup(target[n] ? target + n + 1 : "");

		p->path = mem_strndup(target, n);
		p->rq.query_count = split_query(query, p->query);
		free(query);
		return;
	}
	str_uri_encode(&encoded, path, strlen(path), true);
	p->path = buf_take(&encoded);
	for (size_t i = 0; i < vcase_count(c, "/request/query"); i++) {
		/* A presigned case lists what the signer itself adds, too. */
		if (str_has_prefix(vcase_get(c, "/request/query/%zu/0", i), "X-Amz-"))
			continue;
		p->query[p->rq.query_count++] = (struct sigv4_pair){
			mem_strdup(vcase_get(c, "/request/query/%zu/0", i)),
			mem_strdup(vcase_get(c, "/request/query/%zu/1", i))};
	}
}

static void prepare(const struct vcase *c, struct prepared *p)
{
	const char *body = vcase_get(c, "/request/body"), *hash = vcase_get(c, "/payloadHash");

	*p = (struct prepared){0};
	p->rq.method = vcase_get(c, "/request/method");
	prepare_target(c, p);
	p->rq.path = p->path;
	prepare_headers(c, p);
	crypto_sha256_hex(body ? body : "", body ? strlen(body) : 0, p->hash);
	p->rq.payload_hash = hash ? hash : p->hash;
	p->scope = (struct sigv4_scope){
		.region = vcase_get(c, "/context/region"),
		.service = vcase_get(c, "/context/service"),
		.at_s = timestamp(c),
		.is_s3 = str_eq(vcase_get(c, "/context/service"), "s3"),
		.is_not_normalized = !vcase_is(c, "/context/normalizePath"),
		.omits_token = vcase_is(c, "/context/omitSessionToken"),
		.adds_payload_hash = vcase_is(c, "/context/signBody"),
	};
	p->keys = (struct sigv4_keys){vcase_get(c, "/context/accessKeyId"),
		vcase_get(c, "/context/secretAccessKey"), vcase_get(c, "/context/sessionToken")};
}

static void prepared_done(struct prepared *p)
{
	for (size_t i = 0; i < p->rq.query_count; i++) {
		free((char *)p->query[i].name);
		free((char *)p->query[i].value);
	}
	free(p->path);
}

static bool compare(const struct vcase *c, const char *prefix, const struct sigv4_result *r)
{
	return same("canonical request", vcase_get(c, "%s/canonicalRequest", prefix),
		       r->canonical_request) &&
	       same("string to sign", vcase_get(c, "%s/stringToSign", prefix), r->string_to_sign) &&
	       str_eq(vcase_get(c, "%s/signature", prefix), r->signature);
}

static bool sign_by_header(const struct vcase *c, const char *prefix)
{
	struct sigv4_result r;
	struct prepared p;
	bool ok;

	prepare(c, &p);
	ok = sigv4_sign(&p.rq, &p.scope, &p.keys, &r) == 0 && compare(c, prefix, &r);
	sigv4_result_done(&r);
	prepared_done(&p);
	return ok;
}

static bool sign_by_query(const struct vcase *c, const char *prefix)
{
	const char *expires = vcase_get(c, "/context/expiresSeconds");
	struct sigv4_result r;
	struct prepared p;
	bool ok;

	prepare(c, &p);
	ok = sigv4_presign(&p.rq, &p.scope, &p.keys, expires ? atoll(expires) : 86400, &r) == 0 &&
	     compare(c, prefix, &r);
	sigv4_result_done(&r);
	prepared_done(&p);
	return ok;
}

static bool check_chain(const struct vcase *c)
{
	struct sigv4_scope scope = {vcase_get(c, "/context/region"), vcase_get(c, "/context/service"),
		timestamp(c), .is_s3 = true};
	struct sigv4_keys keys = {
		vcase_get(c, "/context/accessKeyId"), vcase_get(c, "/context/secretAccessKey"), NULL};
	struct sigv4_chain chain;
	char sig[SIGV4_SIGNATURE_LEN + 1], hash[65];
	bool ok = true;

	sigv4_chain_init(&chain, &scope, &keys, vcase_get(c, "/seedSignature"));
	for (size_t i = 0; ok && i < vcase_count(c, "/chunks"); i++) {
		size_t n = strtoul(vcase_get(c, "/chunks/%zu/dataLength", i), NULL, 10);
		const char *byte = vcase_get(c, "/chunks/%zu/dataByte", i);
		char *data = mem_alloc(n + 1);

		memset(data, byte ? *byte : 0, n);
		crypto_sha256_hex(data, n, hash);
		free(data);
		sigv4_chain_next(&chain, hash, sig);
		ok = same("chunk", vcase_get(c, "/chunks/%zu/signature", i), sig);
	}
	if (ok && vcase_get(c, "/trailerSignature")) {
		struct buf text = BUF_INIT(65536);

		for (size_t i = 0; i < vcase_count(c, "/trailers"); i++)
			buf_printf(&text, "%s:%s\n", vcase_get(c, "/trailers/%zu/0", i),
				vcase_get(c, "/trailers/%zu/1", i));
		sigv4_chain_trailer(&chain, buf_str(&text), sig);
		ok = same("trailer", vcase_get(c, "/trailerSignature"), sig);
		buf_done(&text);
	}
	/* A case that compared nothing has not passed. */
	return ok && (vcase_count(c, "/chunks") || vcase_get(c, "/trailerSignature"));
}

static bool is_signed_right(const struct vcase *c)
{
	bool has_header = vcase_get(c, "/header/signature") != NULL;
	bool has_query = vcase_get(c, "/query/signature") != NULL;

	if (vcase_get(c, "/seedSignature"))
		return check_chain(c);
	if (has_header || has_query)
		return (!has_header || sign_by_header(c, "/header")) &&
		       (!has_query || sign_by_query(c, "/query"));
	return strstr(c->id, "presign") ? sign_by_query(c, "") : sign_by_header(c, "");
}

static enum verdict check_sigv4(struct vcase *c)
{
	return is_signed_right(c) ? PASSED : FAILED;
}

struct group {
	const char *name;
	enum verdict (*check)(struct vcase *c);
};
static const struct group groups[] = {
	{"assume-role", check_assume_role},
	{"checksums", check_checksum},
	{"clock-skew", check_clock_skew},
	{"container", check_container},
	{"credential-chain", check_credential_chain},
	{"credential-refresh", check_credential_refresh},
	{"endpoint-url-config", check_endpoint_url},
	{"endpoints-s3", check_endpoint_s3},
	{"endpoints-sts", check_endpoint_sts},
	{"imds", check_imds},
	{"profile-parser", check_profile},
	{"retry", check_retry},
	{"s3-names", check_name},
	{"s3-responses", check_response},
	{"sigv4", check_sigv4},
	{"sigv4-s3", check_sigv4},
	{"timestamps", check_timestamp},
};

static void run_file(const char *path, const struct group *g, int counts[VERDICTS])
{
	FILE *f = fopen(path, "re");
	struct vcase *c = mem_alloc(sizeof(*c));
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (str_has_prefix(line, "case ")) {
			case_reset(c);
			c->id = mem_strdup(line + 5);
		} else if (str_has_prefix(line, "category ")) {
			snprintf(c->category, sizeof(c->category), "%s", line + 9);
		} else if (strcmp(line, "end") == 0) {
			enum verdict v = g ? g->check(c) : NOT_BUILT;

			counts[v]++;
			if (v == FAILED)
				fprintf(stderr, "FAILED %s\n", c->id);
			else if (v == NOT_APPLICABLE)
				printf("n/a %s: %s\n", c->id, c->reason);
		} else if (*line == '/') {
			case_add(c, line);
		}
	}
	case_reset(c);
	free(c);
	free(line);
	if (f)
		fclose(f);
}

static int run_group(const char *root, const char *name)
{
	_cleanup_free_ char *dir = mem_printf("%s/aws/%s", root, name);
	const struct group *g = NULL;
	int counts[VERDICTS] = {0};
	DIR *d = opendir(dir);
	struct dirent *e;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (strcmp(groups[i].name, name) == 0)
			g = &groups[i];
	}
	while (d && (e = readdir(d))) {
		_cleanup_free_ char *path = mem_printf("%s/%s", dir, e->d_name);

		if (str_has_suffix(path, ".flat"))
			run_file(path, g, counts);
	}
	if (d)
		closedir(d);
	if (!g)
		printf("%s -/%d (not built yet)\n", name, counts[NOT_BUILT]);
	else if (counts[NOT_BUILT])
		printf("%s %d/%d (%d more: not built yet)\n", name, counts[PASSED],
			counts[PASSED] + counts[FAILED], counts[NOT_BUILT]);
	else
		printf("%s %d/%d\n", name, counts[PASSED], counts[PASSED] + counts[FAILED]);
	return counts[FAILED];
}

int main(void)
{
	const char *root = getenv("S3FERRY_VECTORS");
	struct dirent **names;
	_cleanup_free_ char *dir = mem_printf("%s/aws", root ? root : "../shared/vectors");
	int n = scandir(dir, &names, NULL, alphasort), failed = 0;

	if (n < 0) {
		printf("aws: skipped, %s is missing\n", dir);
		return 77;
	}
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			failed += run_group(root ? root : "../shared/vectors", names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return failed ? 1 : 0;
}
