/*
 * Verifying Signature Version 4 in headers and in query strings. Not the signer: that is
 * aws/sigv4, and sharing its code would let one mistake pass on both sides.
 */
#include "config.h"

#include "sandbox/auth.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/accounts.h"
#include "sandbox/sandbox.h"

#define SKEW_S          900
#define CANONICAL_BYTES (1024 * 1024)

int api_error_set(struct api_error *e, int status, const char *code, const char *fmt, ...)
{
	va_list ap;

	e->status = status;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return -1;
}

/* --- reading the claim --- */

/* The text of `name=` up to ',' or the end. false: missing or too long. */
static bool take(const char *text, const char *name, char *out, size_t size)
{
	const char *at = strstr(text, name);
	size_t len;

	if (!at)
		return false;
	at += strlen(name);
	len = strcspn(at, ", ");
	if (len >= size)
		return false;
	memcpy(out, at, len);
	out[len] = '\0';
	return true;
}

/* AKID/date/region/service/aws4_request */
static bool split_credential(struct auth *a, const char *credential)
{
	struct {
		char *out;
		size_t size;
	} parts[] = {{a->access_key, sizeof(a->access_key)}, {a->date, sizeof(a->date)},
		{a->region, sizeof(a->region)}, {a->service, sizeof(a->service)}};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t len = strcspn(credential, "/");

		if (credential[len] != '/' || len >= parts[i].size)
			return false;
		memcpy(parts[i].out, credential, len);
		parts[i].out[len] = '\0';
		credential += len + 1;
	}
	return strcmp(credential, "aws4_request") == 0;
}

static bool read_date(struct auth *a, const char *text)
{
	static const char form[] = "ddddddddTddddddZ";
	unsigned v[6];
	struct clock_utc utc = {0};

	if (!text || strlen(text) != strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	if (sscanf(text, "%4u%2u%2uT%2u%2u%2u", &v[0], &v[1], &v[2], &v[3], &v[4],
		    &v[5]) != 6)
		return false;
	if (v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 || v[4] > 59 ||
		v[5] > 60)
		return false;
	utc.year = v[0];
	utc.month = (int)v[1];
	utc.day = (int)v[2];
	utc.hour = (int)v[3];
	utc.minute = (int)v[4];
	utc.second = (int)v[5];
	a->at_s = clock_seconds_from_utc(&utc);
	memcpy(a->amz_date, text, strlen(text) + 1);
	return true;
}

static bool copy_text(char *out, size_t size, const char *text)
{
	if (!text || strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static int read_presigned(struct request *r, struct api_error *e)
{
	struct auth *a = &r->auth;
	const char *credential = query_get(&r->query, "X-Amz-Credential");
	const char *expires = query_get(&r->query, "X-Amz-Expires");
	uint64_t seconds = 0;

	a->is_presigned = true;
	if (!credential || !split_credential(a, credential) ||
		!read_date(a, query_get(&r->query, "X-Amz-Date")) ||
		!copy_text(a->signed_headers, sizeof(a->signed_headers),
			query_get(&r->query, "X-Amz-SignedHeaders")) ||
		!copy_text(a->signature, sizeof(a->signature),
			query_get(&r->query, "X-Amz-Signature")) ||
		!expires || str_to_uint(expires, 604800, &seconds) < 0 || seconds < 1)
		return api_error_set(e, 400, "AuthorizationQueryParametersError",
			"Error parsing the X-Amz-* query parameters");
	a->expires_s = (int64_t)seconds;
	return 0;
}

int auth_read(struct request *r, struct api_error *e)
{
	static const char scheme[] = "AWS4-HMAC-SHA256 ";
	const char *text = http_field(r->x, "authorization");
	char credential[256];
	struct auth *a = &r->auth;

	if (!text && query_get(&r->query, "X-Amz-Algorithm"))
		return read_presigned(r, e);
	if (!text)
		return api_error_set(e, 403, "AccessDenied", "Access Denied");
	if (!str_has_prefix(text, scheme))
		return api_error_set(e, 400, "InvalidRequest",
			"The authorization mechanism you have provided is not supported. "
			"Please use AWS4-HMAC-SHA256.");
	if (!take(text, "Credential=", credential, sizeof(credential)) ||
		!split_credential(a, credential) ||
		!take(text, "SignedHeaders=", a->signed_headers,
			sizeof(a->signed_headers)) ||
		!take(text, "Signature=", a->signature, sizeof(a->signature)))
		return api_error_set(e, 400, "AuthorizationHeaderMalformed",
			"The authorization header is malformed.");
	if (!read_date(a, http_field(r->x, "x-amz-date")))
		return api_error_set(e, 403, "AccessDenied",
			"AWS authentication requires a valid Date or x-amz-date header");
	return 0;
}

/* --- who is it? --- */

static int check_time(struct request *r, struct api_error *e)
{
	const struct auth *a = &r->auth;
	int64_t off = r->now_s - a->at_s;

	if (!str_has_prefix(a->amz_date, a->date))
		return api_error_set(e, 403, "SignatureDoesNotMatch",
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 "
			"version of date from HTTP");
	if (a->is_presigned && off > a->expires_s)
		return api_error_set(e, 403, "AccessDenied", "Request has expired");
	if (off < -SKEW_S || (!a->is_presigned && off > SKEW_S))
		return api_error_set(e, 403, "RequestTimeTooSkewed",
			"The difference between the request time and the current time is "
			"too "
			"large.");
	return 0;
}

int auth_identify(struct request *r, struct api_error *e)
{
	struct auth *a = &r->auth;
	const char *token = a->is_presigned ? query_get(&r->query, "X-Amz-Security-Token")
					    : http_field(r->x, "x-amz-security-token");
	struct principal *p = accounts_find_key(r->sb->accounts, a->access_key);

	if (!p && token)
		p = accounts_restore_session(r->sb->accounts, a->access_key, token);
	if (!p)
		return api_error_set(e, 403, "InvalidAccessKeyId",
			"The AWS Access Key Id you provided does not exist in our "
			"records.");
	if (!str_eq(p->token, token && *token ? token : NULL))
		return api_error_set(e, p->token && !token ? 403 : 400,
			p->token && !token ? "InvalidAccessKeyId" : "InvalidToken",
			"The provided token is malformed or otherwise invalid.");
	if ((p->expires_at_s && r->now_s >= p->expires_at_s) ||
		(r->fault && r->fault->expired_token))
		return api_error_set(
			e, 400, "ExpiredToken", "The provided token has expired.");
	if (check_time(r, e) < 0)
		return -1;
	r->who = p;
	return 0;
}

/* --- the signature --- */

static void derive_key(struct principal *p, const struct auth *a)
{
	char secret[256], scope[sizeof(p->key_scope)];
	uint8_t key[CRYPTO_SHA256_LEN];
	int n = snprintf(scope, sizeof(scope), "%s/%s/%s/aws4_request", a->date,
		a->region, a->service);

	if (n < (int)sizeof(scope) && strcmp(scope, p->key_scope) == 0)
		return;
	n = snprintf(secret, sizeof(secret), "AWS4%s", p->secret);
	crypto_hmac_sha256(secret, (size_t)n, a->date, strlen(a->date), key);
	crypto_hmac_sha256(key, sizeof(key), a->region, strlen(a->region), key);
	crypto_hmac_sha256(key, sizeof(key), a->service, strlen(a->service), key);
	crypto_hmac_sha256(key, sizeof(key), "aws4_request", 12, p->signing_key);
	memcpy(p->key_scope, scope, sizeof(scope));
}

void auth_sign(struct request *r, const char *text, size_t len, char hex[65])
{
	uint8_t mac[CRYPTO_SHA256_LEN];

	derive_key(r->who, &r->auth);
	crypto_hmac_sha256(
		r->who->signing_key, sizeof(r->who->signing_key), text, len, mac);
	str_to_hex(mac, sizeof(mac), hex);
}

static void add_value(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == ' ' && value[1] == ' ')
			continue;
		buf_putc(out, *value);
	}
}

/* "name:value\n" with all values of that name; false when the header is not there. */
static bool add_header(struct buf *out, const struct http_exchange *x, const char *name)
{
	bool is_there = false;

	buf_printf(out, "%s:", name);
	for (size_t i = 0; i < x->field_count; i++) {
		if (strcmp(x->fields[i].name, name) != 0)
			continue;
		if (is_there)
			buf_putc(out, ',');
		add_value(out, x->fields[i].value);
		is_there = true;
	}
	buf_putc(out, '\n');
	return is_there;
}

static bool is_signed(const struct auth *a, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = a->signed_headers; p; p = strchr(p, ';')) {
		p += *p == ';';
		if (strncmp(p, name, len) == 0 && (p[len] == ';' || p[len] == '\0'))
			return true;
	}
	return false;
}

static bool add_headers(struct buf *out, const struct request *r)
{
	char name[128];

	for (const char *p = r->auth.signed_headers; *p;) {
		size_t len = strcspn(p, ";");

		if (len >= sizeof(name))
			return false;
		memcpy(name, p, len);
		name[len] = '\0';
		if (!add_header(out, r->x, name))
			return false;
		p += len + (p[len] == ';');
	}
	return true;
}

static int check_all_signed(const struct request *r, struct api_error *e)
{
	bool is_complete = is_signed(&r->auth, "host");

	for (size_t i = 0; i < r->x->field_count; i++)
		if (str_has_prefix(r->x->fields[i].name, "x-amz-") &&
			!is_signed(&r->auth, r->x->fields[i].name))
			is_complete = false;
	if (is_complete)
		return 0;
	return api_error_set(e, 403, "AccessDenied",
		"There were headers present in the request which were not signed");
}

static void add_path(struct buf *out, const char *path)
{
	struct buf plain = BUF_INIT(CANONICAL_BYTES);

	str_uri_decode(&plain, path, strlen(path));
	str_uri_encode(out, buf_str(&plain), plain.len, true);
	buf_done(&plain);
}

int auth_verify(struct request *r, const char *payload_hash, struct api_error *e)
{
	struct buf c = BUF_INIT(CANONICAL_BYTES);
	const struct auth *a = &r->auth;
	char hash[65], text[512], expected[65];
	bool is_complete;
	int n;

	if (check_all_signed(r, e) < 0)
		return -1;
	buf_printf(&c, "%s\n", r->x->method);
	add_path(&c, r->x->path);
	buf_putc(&c, '\n');
	query_canonical(&r->query, &c);
	buf_putc(&c, '\n');
	is_complete = add_headers(&c, r);
	buf_printf(&c, "\n%s\n%s", a->signed_headers, payload_hash);
	crypto_sha256_hex(buf_str(&c), c.len, hash);
	n = snprintf(text, sizeof(text),
		"AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", a->amz_date, a->date,
		a->region, a->service, hash);
	buf_done(&c);
	auth_sign(r, text, (size_t)n, expected);
	if (is_complete && strlen(a->signature) == 64 &&
		crypto_equal(expected, a->signature, 64))
		return 0;
	return api_error_set(e, 403, "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you "
		"provided. Check your key and signing method.");
}
