/*
 * AWS Signature Version 4, in stages, pure: request, keys, region and time in, headers or
 * bytes out. No clock, no network, no log.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define SIGV4_SHA256_EMPTY                                                               \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIGV4_UNSIGNED     "UNSIGNED-PAYLOAD"
#define SIGV4_TRAILER       "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
#define SIGV4_STREAMING    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
#define SIGV4_SIGNATURE_LEN 64

/*
 * Signing keys that were derived: one serves a day, a region and a service, and costs four
 * HMACs. Zeroed at first; one thread; wiped by its owner.
 */
#define SIGV4_MEMOS 8
struct sigv4_memos {
	struct {
		char secret[256], scope[160];
		uint8_t key[32];
	} items[SIGV4_MEMOS];
	unsigned next;
};

struct sigv4_keys {
	const char *access_key_id;
	const char *secret_access_key;
	const char *session_token; /* NULL or "": none */
	struct sigv4_memos *memos; /* NULL: each signing key is derived anew */
};

struct sigv4_pair {
	const char *name, *value;
};

struct sigv4_request {
	const char *method;
	const char *path; /* as it goes on the wire: encoded once, leading '/' */
	/* Name and value not encoded; any order. */
	const struct sigv4_pair *query;
	size_t query_count;
	/* In request order, any letter case; Host among them. */
	const struct sigv4_pair *headers;
	size_t header_count;
	const char *payload_hash; /* hex SHA-256, or one of the words above */
};

struct sigv4_scope {
	const char *region, *service;
	int64_t at_s;          /* signing time, UTC seconds */
	bool is_s3;            /* path neither normalised nor encoded again */
	bool is_not_normalized; /* other services, but keep "." ".." "//" */
	bool omits_token;      /* session token is added after signing */
	bool adds_payload_hash; /* x-amz-content-sha256 for another service than S3 */
};

/* What was signed, stage by stage; fixed sizes or capped buffers, sigv4_result_done(). */
struct sigv4_result {
	char *canonical_request;
	char *string_to_sign;
	char *signed_headers;
	char signature[SIGV4_SIGNATURE_LEN + 1];
	char amz_date[17];
	char *authorization; /* value of the Authorization header */
	char *query_string;  /* as it goes on the wire, without '?'; with the signature
				when presigned */
};
void sigv4_result_done(struct sigv4_result *r);

/*
 * Headers that the caller must then send besides its own: X-Amz-Date, for S3
 * x-amz-content-sha256 (both are added to the signed set here), X-Amz-Security-Token if
 * there is one, Authorization. -EINVAL when the request already carries one of them.
 */
int sigv4_sign(const struct sigv4_request *request, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, struct sigv4_result *ret);
/* Query-string signing; expires_s 1 .. 604800. */
int sigv4_presign(const struct sigv4_request *request, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, int64_t expires_s, struct sigv4_result *ret);

/* A chain of signed chunks behind a SIGV4_STREAMING request. */
struct sigv4_chain {
	uint8_t key[32];
	char amz_date[17];
	char scope[128];
	char previous[SIGV4_SIGNATURE_LEN + 1];
};
void sigv4_chain_init(struct sigv4_chain *chain, const struct sigv4_scope *scope,
	const struct sigv4_keys *keys, const char *seed_signature);
/* sha256_hex of the chunk's data; writes the chunk's signature and moves on. */
void sigv4_chain_next(struct sigv4_chain *chain, const char *sha256_hex,
	char signature[SIGV4_SIGNATURE_LEN + 1]);
/* Signature of the trailing headers ("name:value\n" lines). */
void sigv4_chain_trailer(struct sigv4_chain *chain, const char *trailers,
	char signature[SIGV4_SIGNATURE_LEN + 1]);
void sigv4_chain_wipe(struct sigv4_chain *chain);
