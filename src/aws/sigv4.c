/*
 * Signature Version 4 in three stages: canonical request, string to sign, signature. Not
 * which payload word to use, and not how the headers reach the wire: s3/op decides.
 */
#include "config.h"

#include "aws/sigv4.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"

#define CANONICAL_MAX (256 * 1024)
#define ALGORITHM     "AWS4-HMAC-SHA256"
#define ITEMS         16 /* that the lists grow by */

/* Hop-by-hop, or changed by proxies; everything else is signed. */
static const char *const never_signed[] = {"connection", "expect", "keep-alive",
	"proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
	"upgrade", "user-agent", "x-amzn-trace-id", NULL};
/* The signer's own: a request that brings one along is a mistake. */
static const char *const ours[] = {"authorization", "x-amz-date", "x-amz-content-sha256",
	"x-amz-security-token", NULL};

static bool is_in(const char *const *names, const char *name)
{
	for (; *names; names++) {
		if (strcasecmp(*names, name) == 0)
			return true;
	}
	return false;
}

/* Encoded query parameter, or lower-cased header; `order` keeps sorting stable. */
struct item {
	char *name, *value;
	size_t order;
};

struct items {
	struct item *v;
	size_t count;
};

static void items_add(struct items *items, char *name, char *value)
{
	if (items->count % ITEMS == 0)
		items->v = mem_resize(items->v, items->count + ITEMS, sizeof(*items->v));
	items->v[items->count] = (struct item){name, value, items->count};
	items->count++;
}

static void items_done(struct items *items)
{
	for (size_t i = 0; i < items->count; i++) {
		free(items->v[i].name);
		free(items->v[i].value);
	}
	free(items->v);
}

static int by_name_then_order(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static int by_name_then_value(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->value, y->value);
}

/* --- the four parts of the canonical request --- */

static char *encoded(const char *s)
{
	struct buf b = BUF_INIT(strlen(s) * 3 + 1);

	str_uri_encode(&b, s, strlen(s), false);
	return buf_take(&b);
}

static void add_query(struct items *query, const char *name, const char *value)
{
	items_add(query, encoded(name), encoded(value));
}

/* Requests are many and their texts are short: printf would be a tenth of all cost. */
static int put_all(struct buf *out, const char *const *texts)
{
	int r = 0;

	for (; r == 0 && *texts; texts++)
		r = buf_puts(out, *texts);
	return r;
}

static int put_query(struct buf *out, struct items *query)
{
	int r = 0;

	if (query->count)
		qsort(query->v, query->count, sizeof(*query->v), by_name_then_value);
	for (size_t i = 0; r == 0 && i < query->count; i++)
		r = put_all(out, (const char *[]){i ? "&" : "", query->v[i].name, "=",
				      query->v[i].value, NULL});
	return r;
}

/* Ends trimmed, inner runs of blanks to one; a folded header counts as blanks. */
static char *squeezed(const char *value)
{
	char *out = mem_alloc(strlen(value) + 1), *p = out;
	bool is_blank = true;

	for (; *value; value++) {
		bool blank = *value == ' ' || *value == '\t' || *value == '\r' ||
			     *value == '\n';

		if (!blank)
			*p++ = *value;
		else if (!is_blank)
			*p++ = ' ';
		is_blank = blank;
	}
	if (p > out && p[-1] == ' ')
		p--;
	*p = '\0';
	return out;
}

static void add_header(struct items *headers, const char *name, const char *value)
{
	char *lower = mem_strdup(name);

	for (char *p = lower; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	items_add(headers, lower, squeezed(value));
}

static int put_headers(struct buf *out, struct buf *names, struct items *headers)
{
	int r = 0;

	qsort(headers->v, headers->count, sizeof(*headers->v), by_name_then_order);
	for (size_t i = 0; r == 0 && i < headers->count; i++) {
		bool is_same = i && strcmp(headers->v[i].name, headers->v[i - 1].name) == 0;

		if (is_same) {
			r = put_all(out, (const char *[]){",", headers->v[i].value, NULL});
			continue;
		}
		r = put_all(out, (const char *[]){i ? "\n" : "", headers->v[i].name, ":",
				      headers->v[i].value, NULL});
		if (r == 0)
			r = put_all(names, (const char *[]){i ? ";" : "",
						   headers->v[i].name, NULL});
	}
	return r < 0 ? r : buf_puts(out, headers->count ? "\n" : "");
}

/* RFC 3986 5.2.4 on an absolute path, and "//" to "/". */
static char *normalized(const char *path)
{
	char *out = mem_alloc(strlen(path) + 2);
	size_t len = 0;

	while (*path) {
		size_t n = strcspn(path += *path == '/', "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (len && out[--len] != '/')
				;
		} else if (n && !(n == 1 && path[0] == '.')) {
			out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n;
		/* A trailing slash, "." or ".." names a directory. */
		if ((*path == '/' && !path[1]) ||
			(!*path && n && n <= 2 && path[-1] == '.' && path[-(long)n] == '.'))
			out[len++] = '/';
		if (*path == '/' && !path[1])
			break;
	}
	if (len == 0)
		out[len++] = '/';
	out[len] = '\0';
	return out;
}

static int put_path(struct buf *out, const char *path, const struct sigv4_scope *scope)
{
	_cleanup_free_ char *clean = NULL;

	if (scope->is_s3)
		return buf_puts(out, *path ? path : "/");
	clean = scope->is_not_normalized ? mem_strdup(*path ? path : "/") : normalized(path);
	return str_uri_encode(out, clean, strlen(clean), true);
}

/* --- the stages --- */

static void scope_text(
	const struct sigv4_scope *scope, const char *amz_date, char *out, size_t size)
{
	snprintf(out, size, "%.8s/%s/%s/aws4_request", amz_date, scope->region,
		scope->service);
}

static void derive_key(const struct sigv4_scope *scope, const char *secret,
	const char *amz_date, uint8_t out[CRYPTO_SHA256_LEN])
{
	struct buf first = BUF_INIT(4096);

	buf_printf(&first, "AWS4%s", secret);
	crypto_hmac_sha256(first.data, first.len, amz_date, 8, out);
	crypto_hmac_sha256(
		out, CRYPTO_SHA256_LEN, scope->region, strlen(scope->region), out);
	crypto_hmac_sha256(
		out, CRYPTO_SHA256_LEN, scope->service, strlen(scope->service), out);
	crypto_hmac_sha256(out, CRYPTO_SHA256_LEN, "aws4_request", 12, out);
	buf_wipe(&first);
}

static void signing_key(const struct sigv4_scope *scope, const struct sigv4_keys *keys,
	const char *amz_date, const char *text, uint8_t out[CRYPTO_SHA256_LEN])
{
	struct sigv4_memos *m = keys->memos;
	const char *secret = keys->secret_access_key;
	size_t i;

	for (i = 0; m && i < SIGV4_MEMOS; i++) {
		if (strcmp(m->items[i].scope, text) != 0 ||
			strcmp(m->items[i].secret, secret) != 0)
			continue;
		memcpy(out, m->items[i].key, CRYPTO_SHA256_LEN);
		return;
	}
	derive_key(scope, secret, amz_date, out);
	if (!m || strlen(secret) >= sizeof(m->items[0].secret) ||
		strlen(text) >= sizeof(m->items[0].scope))
		return;
	i = m->next++ % SIGV4_MEMOS;
	strcpy(m->items[i].secret, secret);
	strcpy(m->items[i].scope, text);
	memcpy(m->items[i].key, out, CRYPTO_SHA256_LEN);
}

static void sign_text(const uint8_t key[CRYPTO_SHA256_LEN], const char *text,
	char signature[SIGV4_SIGNATURE_LEN + 1])
{
	uint8_t mac[CRYPTO_SHA256_LEN];

	crypto_hmac_sha256(key, CRYPTO_SHA256_LEN, text, strlen(text), mac);
	str_to_hex(mac, sizeof(mac), signature);
}

struct stages {
	struct items query, headers;
	struct buf canonical, query_text, header_text, names;
	char amz_date[17], scope[160];
};

static void stages_done(struct stages *st)
{
	items_done(&st->query);
	items_done(&st->headers);
	buf_done(&st->canonical);
	buf_done(&st->query_text);
	buf_done(&st->header_text);
	buf_done(&st->names);
}

static int collect(const struct sigv4_request *rq, const struct sigv4_scope *scope,
	struct stages *st)
{
	*st = (struct stages){
		.canonical = BUF_INIT(CANONICAL_MAX),
		.query_text = BUF_INIT(CANONICAL_MAX),
		.header_text = BUF_INIT(CANONICAL_MAX),
		.names = BUF_INIT(CANONICAL_MAX),
	};
	clock_format_amz(scope->at_s, st->amz_date, sizeof(st->amz_date));
	scope_text(scope, st->amz_date, st->scope, sizeof(st->scope));
	for (size_t i = 0; i < rq->query_count; i++)
		add_query(&st->query, rq->query[i].name, rq->query[i].value);
	for (size_t i = 0; i < rq->header_count; i++) {
		if (is_in(ours, rq->headers[i].name))
			return -EINVAL;
		if (!is_in(never_signed, rq->headers[i].name))
			add_header(&st->headers, rq->headers[i].name,
				rq->headers[i].value);
	}
	return 0;
}

static int canonicalize(const struct sigv4_request *rq, const struct sigv4_scope *scope,
	struct stages *st)
{
	int r = put_query(&st->query_text, &st->query);

	if (r == 0)
		r = put_all(&st->canonical, (const char *[]){rq->method, "\n", NULL});
	if (r == 0)
		r = put_path(&st->canonical, rq->path, scope);
	if (r == 0)
		r = put_all(&st->canonical,
			(const char *[]){"\n", buf_str(&st->query_text), "\n",
				buf_str(&st->header_text), "\n", buf_str(&st->names), "\n",
				rq->payload_hash, NULL});
	return r;
}

static void finish(struct stages *st, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, struct sigv4_result *ret)
{
	char hash[2 * CRYPTO_SHA256_LEN + 1];
	uint8_t key[CRYPTO_SHA256_LEN];

	crypto_sha256_hex(st->canonical.data, st->canonical.len, hash);
	ret->string_to_sign = mem_printf(
		ALGORITHM "\n%s\n%s\n%s", st->amz_date, st->scope, hash);
	signing_key(scope, keys, st->amz_date, st->scope, key);
	sign_text(key, ret->string_to_sign, ret->signature);
	mem_wipe(key, sizeof(key));
	ret->canonical_request = buf_take(&st->canonical);
	ret->signed_headers = buf_take(&st->names);
	memcpy(ret->amz_date, st->amz_date, sizeof(ret->amz_date));
}

static bool has_token(const struct sigv4_keys *keys)
{
	return keys->session_token && *keys->session_token;
}

int sigv4_sign(const struct sigv4_request *rq, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, struct sigv4_result *ret)
{
	struct stages st;
	int r = collect(rq, scope, &st);

	*ret = (struct sigv4_result){0};
	if (r == 0) {
		add_header(&st.headers, "x-amz-date", st.amz_date);
		if (scope->is_s3 || scope->adds_payload_hash)
			add_header(&st.headers, "x-amz-content-sha256", rq->payload_hash);
		if (has_token(keys) && !scope->omits_token)
			add_header(&st.headers, "x-amz-security-token", keys->session_token);
		r = put_headers(&st.header_text, &st.names, &st.headers);
	}
	if (r == 0)
		r = canonicalize(rq, scope, &st);
	if (r == 0) {
		ret->query_string = mem_strdup(buf_str(&st.query_text));
		finish(&st, scope, keys, ret);
		ret->authorization = mem_printf(ALGORITHM
			" Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			keys->access_key_id, st.scope, ret->signed_headers, ret->signature);
	}
	stages_done(&st);
	return r;
}

static int presign_query(const struct sigv4_keys *keys, const struct sigv4_scope *scope,
	int64_t expires_s, struct stages *st)
{
	char expires[24];
	_cleanup_free_ char *credential =
		mem_printf("%s/%s", keys->access_key_id, st->scope);
	int r = put_headers(&st->header_text, &st->names, &st->headers);

	snprintf(expires, sizeof(expires), "%lld", (long long)expires_s);
	add_query(&st->query, "X-Amz-Algorithm", ALGORITHM);
	add_query(&st->query, "X-Amz-Credential", credential);
	add_query(&st->query, "X-Amz-Date", st->amz_date);
	add_query(&st->query, "X-Amz-Expires", expires);
	add_query(&st->query, "X-Amz-SignedHeaders", buf_str(&st->names));
	if (has_token(keys) && !scope->omits_token)
		add_query(&st->query, "X-Amz-Security-Token", keys->session_token);
	return r;
}

int sigv4_presign(const struct sigv4_request *rq, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, int64_t expires_s, struct sigv4_result *ret)
{
	_cleanup_free_ char *token = NULL;
	struct stages st;
	int r = collect(rq, scope, &st);

	*ret = (struct sigv4_result){0};
	if (expires_s < 1 || expires_s > 604800)
		r = -EINVAL;
	if (r == 0)
		r = presign_query(keys, scope, expires_s, &st);
	if (r == 0)
		r = canonicalize(rq, scope, &st);
	if (r == 0) {
		finish(&st, scope, keys, ret);
		if (has_token(keys) && scope->omits_token)
			token = encoded(keys->session_token);
		ret->query_string = mem_printf("%s%s%s&X-Amz-Signature=%s",
			buf_str(&st.query_text), token ? "&X-Amz-Security-Token=" : "",
			token ? token : "", ret->signature);
	}
	stages_done(&st);
	return r;
}

void sigv4_result_done(struct sigv4_result *r)
{
	free(r->canonical_request);
	free(r->string_to_sign);
	free(r->signed_headers);
	free(r->authorization);
	free(r->query_string);
	*r = (struct sigv4_result){0};
}

/* --- chunks --- */

void sigv4_chain_init(struct sigv4_chain *chain, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, const char *seed_signature)
{
	clock_format_amz(scope->at_s, chain->amz_date, sizeof(chain->amz_date));
	scope_text(scope, chain->amz_date, chain->scope, sizeof(chain->scope));
	signing_key(scope, keys, chain->amz_date, chain->scope, chain->key);
	snprintf(chain->previous, sizeof(chain->previous), "%s", seed_signature);
}

void sigv4_chain_next(struct sigv4_chain *chain, const char *sha256_hex,
	char signature[SIGV4_SIGNATURE_LEN + 1])
{
	char text[512];

	snprintf(text, sizeof(text), ALGORITHM "-PAYLOAD\n%s\n%s\n%s\n%s\n%s",
		chain->amz_date, chain->scope, chain->previous, SIGV4_SHA256_EMPTY,
		sha256_hex);
	sign_text(chain->key, text, signature);
	memcpy(chain->previous, signature, sizeof(chain->previous));
}

void sigv4_chain_trailer(struct sigv4_chain *chain, const char *trailers,
	char signature[SIGV4_SIGNATURE_LEN + 1])
{
	char text[512], hash[2 * CRYPTO_SHA256_LEN + 1];

	crypto_sha256_hex(trailers, strlen(trailers), hash);
	snprintf(text, sizeof(text), ALGORITHM "-TRAILER\n%s\n%s\n%s\n%s", chain->amz_date,
		chain->scope, chain->previous, hash);
	sign_text(chain->key, text, signature);
	memcpy(chain->previous, signature, sizeof(chain->previous));
}

void sigv4_chain_wipe(struct sigv4_chain *chain)
{
	mem_wipe(chain, sizeof(*chain));
}
