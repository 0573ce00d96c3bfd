/*
 * Request bodies: digests, aws-chunked framing, chunk signatures. Not S3: what becomes of
 * the content is the handler's matter.
 */
#include "config.h"

#include "sandbox/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/auth.h"
#include "sandbox/objects.h"
#include "sandbox/sandbox.h"

#define STREAMING    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
#define CRC_NAME     "x-amz-checksum-crc64nvme"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void fail(struct body *b, int status, const char *code, const char *message)
{
	if (b->error)
		return;
	b->error = mem_alloc(sizeof(*b->error));
	api_error_set(b->error, status, code, "%s", message);
}

static int begin_chunks(struct request *r, const char *declared, struct api_error *e)
{
	const char *length = http_field(r->x, "x-amz-decoded-content-length");
	struct body *b = &r->body;
	uint64_t n;

	b->has_signed_chunks = str_has_prefix(declared, STREAMING);
	if (!b->has_signed_chunks &&
		!str_eq(declared, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"))
		return api_error_set(e, 400, "InvalidArgument",
			"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD or a valid sha256 value.");
	if (!length || str_to_uint(length, INT64_MAX, &n) < 0)
		return api_error_set(e, 411, "MissingContentLength",
			"You must provide the Content-Length HTTP header.");
	b->decoded_length = (int64_t)n;
	b->chunks = CHUNK_HEAD;
	if (b->has_signed_chunks) {
		b->chunk_hash = crypto_hash_new(CRYPTO_SHA256);
		b->trailer_hash = crypto_hash_new(CRYPTO_SHA256);
		memcpy(b->previous, r->auth.signature, sizeof(b->previous));
	}
	return 0;
}

/* As servers do that know nothing of frames: the body is what is told to be unsigned. */
static const char *heeded(const struct request *r, const char *declared)
{
	return r->fault && r->fault->keeps_frame &&
			       str_eq(declared, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
		       ? "UNSIGNED-PAYLOAD"
		       : declared;
}

/* Told ahead, or asked for. */
static enum checksum_alg named_sum(const struct request *r)
{
	const char *asked = http_field(r->x, "x-amz-sdk-checksum-algorithm");
	char name[40];

	for (int alg = CHECKSUM_CRC32C; alg < CHECKSUM_ALGS; alg++) {
		snprintf(name, sizeof(name), "x-amz-checksum-%s",
			checksum_suffix((enum checksum_alg)alg));
		if (http_field(r->x, name) ||
			str_eq(asked, checksum_name((enum checksum_alg)alg)))
			return (enum checksum_alg)alg;
	}
	return CHECKSUM_NONE;
}

int body_begin(struct request *r, enum body_kind kind, bool is_dropped,
	const char *declared, struct api_error *e)
{
	struct body *b = &r->body;
	int64_t expected = r->x->content_length;

	declared = heeded(r, declared);
	b->kind = kind;
	b->is_dropped = is_dropped || kind == BODY_NONE;
	b->decoded_length = -1;
	if (declared && str_has_prefix(declared, "STREAMING-")) {
		if (begin_chunks(r, declared, e) < 0)
			return -1;
		expected = b->decoded_length;
	} else if (!declared) {
		b->sha256 = crypto_hash_new(CRYPTO_SHA256);
	} else if (!str_eq(declared, "UNSIGNED-PAYLOAD")) {
		uint8_t sum[CRYPTO_SHA256_LEN];

		if (str_from_hex(declared, sum, sizeof(sum)) < 0)
			return api_error_set(e, 400, "InvalidArgument",
				"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
				"STREAMING-AWS4-HMAC-SHA256-PAYLOAD or a valid sha256 "
				"value.");
		memcpy(b->declared, declared, sizeof(b->declared));
		b->is_hashed = true;
		/* The usual GET: nothing to hash, and nothing to allocate for it. */
		if (expected > 0 || !str_eq(declared, EMPTY_SHA256))
			b->sha256 = crypto_hash_new(CRYPTO_SHA256);
	}
	if (kind == BODY_OBJECT || http_field(r->x, "content-md5"))
		b->md5 = crypto_hash_new(CRYPTO_MD5);
	b->sum_alg = kind == BODY_OBJECT ? named_sum(r) : CHECKSUM_NONE;
	if (b->sum_alg)
		b->sum = checksum_new(b->sum_alg, 0);
	if (!b->is_dropped)
		b->blob = blob_new(
			expected > 0 && expected < (64 << 20) ? (size_t)expected : 0);
	return 0;
}

static void take_content(struct body *b, const char *data, size_t len)
{
	b->length += len;
	if (b->sha256)
		crypto_hash_update(b->sha256, data, len);
	if (b->md5) {
		crypto_hash_update(b->md5, data, len);
		b->crc = crc64nvme(b->crc, data, len);
	}
	if (b->sum)
		checksum_update(b->sum, data, len);
	if (b->chunk_hash)
		crypto_hash_update(b->chunk_hash, data, len);
	if (b->kind == BODY_TEXT && b->length > BODY_TEXT_MAX)
		fail(b, 400, "EntityTooLarge", "Your proposed upload is too large.");
	else if (b->blob)
		blob_append(b->blob, data, len);
}

/* --- aws-chunked --- */

static void check_signature(struct request *r, const char *kind, const char *rest)
{
	const struct auth *a = &r->auth;
	struct body *b = &r->body;
	char text[512], expected[65];
	int n = snprintf(text, sizeof(text), "%s\n%s\n%s/%s/%s/aws4_request\n%s\n%s",
		kind, a->amz_date, a->date, a->region, a->service, b->previous, rest);

	auth_sign(r, text, (size_t)n, expected);
	if (!crypto_equal(expected, b->chunk_signature, 64))
		fail(b, 403, "SignatureDoesNotMatch",
			"The request signature we calculated does not match the "
			"signature you "
			"provided. Check your key and signing method.");
	memcpy(b->previous, expected, sizeof(b->previous));
}

static void end_chunk(struct request *r)
{
	uint8_t sum[CRYPTO_SHA256_LEN];
	char rest[130];

	if (!r->body.has_signed_chunks)
		return;
	crypto_hash_final(r->body.chunk_hash, sum);
	memcpy(rest, EMPTY_SHA256 "\n", 65);
	str_to_hex(sum, sizeof(sum), rest + 65);
	check_signature(r, "AWS4-HMAC-SHA256-PAYLOAD", rest);
}

static void chunk_head(struct request *r, char *line)
{
	static const char mark[] = ";chunk-signature=";
	struct body *b = &r->body;
	char *semicolon = strchr(line, ';');
	char *end;

	b->chunk_signature[0] = '\0';
	if (semicolon && str_has_prefix(semicolon, mark) &&
		strlen(semicolon) == strlen(mark) + 64)
		memcpy(b->chunk_signature, semicolon + strlen(mark), 65);
	if (semicolon)
		*semicolon = '\0';
	b->chunk_left = strtoull(line, &end, 16);
	if (end == line || *end || strlen(line) > 15 ||
		(b->has_signed_chunks && !b->chunk_signature[0])) {
		b->chunks = CHUNK_BROKEN;
		return;
	}
	b->chunks = CHUNK_DATA;
	if (b->chunk_left == 0) {
		end_chunk(r);
		b->chunks = CHUNK_TRAILER;
	}
}

/* Told ahead by name, behind the bytes by value. */
static void take_sum(struct request *r, const char *line)
{
	const char *name = http_field(r->x, "x-amz-trailer");
	struct body *b = &r->body;

	if (name && str_has_prefix(line, name) && line[strlen(name)] == ':')
		snprintf(b->sum_behind, sizeof(b->sum_behind), "%s",
			line + strlen(name) + 1);
}

static void trailer(struct request *r, char *line)
{
	static const char mark[] = "x-amz-trailer-signature:";
	struct body *b = &r->body;

	if (!*line) {
		b->chunks = CHUNK_END;
	} else if (str_has_prefix(line, mark) && strlen(line) == strlen(mark) + 64) {
		uint8_t sum[CRYPTO_SHA256_LEN];
		char rest[65];

		if (!b->trailer_hash)
			return;
		crypto_hash_final(b->trailer_hash, sum);
		str_to_hex(sum, sizeof(sum), rest);
		memcpy(b->chunk_signature, line + strlen(mark), 65);
		check_signature(r, "AWS4-HMAC-SHA256-TRAILER", rest);
	} else if (b->trailer_hash) {
		crypto_hash_update(b->trailer_hash, line, strlen(line));
		crypto_hash_update(b->trailer_hash, "\n", 1);
	} else {
		take_sum(r, line);
	}
}

/* Collects one line. Returns the bytes used; *ret_line is set when it is complete. */
static size_t take_line(struct body *b, const char *data, size_t len, char **ret_line)
{
	const char *lf = memchr(data, '\n', len);
	size_t n = lf ? (size_t)(lf - data) : len;

	*ret_line = NULL;
	if (b->line_len + n >= sizeof(b->line)) {
		b->chunks = CHUNK_BROKEN;
		return len;
	}
	memcpy(b->line + b->line_len, data, n);
	b->line_len += n;
	if (!lf)
		return n;
	if (b->line_len && b->line[b->line_len - 1] == '\r')
		b->line_len--;
	b->line[b->line_len] = '\0';
	b->line_len = 0;
	*ret_line = b->line;
	return n + 1;
}

static size_t feed_chunked(struct request *r, const char *data, size_t len)
{
	struct body *b = &r->body;
	char *line;
	size_t n;

	if (b->chunks == CHUNK_END || b->chunks == CHUNK_BROKEN)
		return len;
	if (b->chunks == CHUNK_DATA) {
		n = len < b->chunk_left ? len : (size_t)b->chunk_left;
		take_content(b, data, n);
		b->chunk_left -= n;
		if (b->chunk_left == 0) {
			end_chunk(r);
			b->chunks = CHUNK_TAIL;
		}
		return n;
	}
	n = take_line(b, data, len, &line);
	if (!line)
		return n;
	if (b->chunks == CHUNK_HEAD)
		chunk_head(r, line);
	else if (b->chunks == CHUNK_TRAILER)
		trailer(r, line);
	else
		b->chunks = *line ? CHUNK_BROKEN : CHUNK_HEAD;
	return n;
}

void body_feed(struct request *r, const char *data, size_t len)
{
	if (r->body.chunks == CHUNK_OFF) {
		take_content(&r->body, data, len);
		return;
	}
	while (len) {
		size_t n = feed_chunked(r, data, len);

		data += n;
		len -= n;
	}
}

/* --- the end --- */

static void check_md5(struct request *r)
{
	const char *told = http_field(r->x, "content-md5");
	uint8_t sum[CRYPTO_MD5_LEN];
	size_t len;

	if (!told)
		return;
	if (str_from_base64(told, sum, sizeof(sum), &len) < 0 || len != sizeof(sum))
		fail(&r->body, 400, "InvalidDigest",
			"The Content-MD5 you specified was invalid.");
	else if (memcmp(sum, r->body.md5_sum, sizeof(sum)) != 0)
		fail(&r->body, 400, "BadDigest",
			"The Content-MD5 you specified did not match what we received.");
}

/* Announced and not there is as bad as wrong. */
static void check_crc(struct request *r)
{
	char text[CRC64_BASE64_LEN];

	crc64nvme_base64(r->body.crc, text);
	if (r->body.chunks != CHUNK_OFF && str_eq(http_field(r->x, "x-amz-trailer"), CRC_NAME) &&
		!str_eq(r->body.sum_behind, text))
		fail(&r->body, 400, "BadDigest",
			"The CRC64NVME you specified did not match the calculated "
			"checksum.");
}

static void check_sum(struct request *r)
{
	struct body *b = &r->body;
	char name[40], text[CHECKSUM_TEXT_LEN];
	const char *told;

	checksum_end_sum(b->sum, &b->sum_bytes);
	checksum_text(&b->sum_bytes, text);
	snprintf(name, sizeof(name), "x-amz-checksum-%s", checksum_suffix(b->sum_alg));
	told = str_eq(http_field(r->x, "x-amz-trailer"), name) && !b->has_signed_chunks
		       ? b->sum_behind
		       : http_field(r->x, name);
	if (told && !str_eq(told, text))
		fail(b, 400, "BadDigest",
			"The checksum you specified did not match the calculated "
			"checksum.");
}

int body_finish(struct request *r, struct api_error *e)
{
	struct body *b = &r->body;
	uint8_t sum[CRYPTO_SHA256_LEN];

	if (b->chunks != CHUNK_OFF &&
		(b->chunks != CHUNK_END || (int64_t)b->length != b->decoded_length))
		fail(b, 400, "IncompleteBody",
			"You did not provide the number of bytes specified by the "
			"Content-Length HTTP header");
	if (b->sha256) {
		crypto_hash_final(b->sha256, sum);
		str_to_hex(sum, sizeof(sum), b->sha256_hex);
		if (b->is_hashed && strcmp(b->sha256_hex, b->declared) != 0)
			fail(b, 400, "XAmzContentSHA256Mismatch",
				"The provided 'x-amz-content-sha256' header does not "
				"match "
				"what was computed.");
	}
	if (b->md5) {
		crypto_hash_final(b->md5, b->md5_sum);
		check_md5(r);
		if (!b->has_signed_chunks)
			check_crc(r);
	}
	if (b->sum)
		check_sum(r);
	if (!b->error)
		return 0;
	*e = *b->error;
	return -1;
}

void body_done(struct body *b)
{
	checksum_free(b->sum);
	crypto_hash_free(b->sha256);
	crypto_hash_free(b->md5);
	crypto_hash_free(b->chunk_hash);
	crypto_hash_free(b->trailer_hash);
	blob_unref(b->blob);
	free(b->error);
	*b = (struct body){0};
}
