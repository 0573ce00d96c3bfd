/*
 * ListObjectsV2, one page a call, encoding-type=url. Does not loop over pages, keeps no
 * state, does not retry. done() comes once, never inside s3_list_page().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/endpoint.h"
#include "base/buf.h"

struct err;
struct s3_call;
struct s3_env;

struct s3_place {
	const char *bucket;
	const char *region;       /* NULL or "": AWS tells the bucket's */
	const char *endpoint_url; /* NULL or "": AWS's own */
	const char *ca_bundle;    /* NULL or "": the system's */
	struct endpoint_options options;
	const char *expected_owner; /* account id of the bucket; NULL or "": not asked */
	bool is_requester_paying;
};

enum s3_restore {
	S3_RESTORE_NONE, /* not told */
	S3_RESTORE_RUNNING,
	S3_RESTORE_DONE,
};

/* Texts stand in the page: s3_page_text(page, e->key_at). */
struct s3_entry {
	uint32_t key_at, key_len; /* decoded, without a NUL inside, at most 1,024 bytes */
	uint32_t etag_at, storage_class_at; /* "": not told */
	enum s3_restore restore;
	int64_t size;
	int64_t modified_us; /* wall clock; 0: not told */
	int64_t restored_until_us;
};

/* All in two pieces of memory, so that a page can be kept at little cost. */
struct s3_page {
	struct s3_entry *entries; /* as the service ordered them */
	size_t count, cap;
	struct buf text;
	uint32_t token_at; /* "": none */
	bool is_truncated;
};
static inline const char *s3_page_text(const struct s3_page *page, uint32_t at)
{
	return at ? page->text.data + at : "";
}
void s3_page_done(struct s3_page *page); /* also fine on a zeroed one */

struct s3_list {
	const char *prefix;      /* NULL or "": all */
	const char *start_after; /* keys behind this one; NULL: from the first */
	const char *token;       /* NULL: the first page */
	int max_keys;            /* 0: the service's default */
	bool wants_restore;      /* x-amz-optional-object-attributes: RestoreStatus */
};

/*
 * The page is the callee's while it is called; it may take it (and zero it) to keep it.
 * An answer that is no listing is class RETRY, code S3_LISTING_GARBLED.
 */
#define S3_LISTING_GARBLED "listing-garbled"
typedef void (*s3_list_fn)(void *arg, const struct err *err, struct s3_page *page);
struct s3_call *s3_list_page(
	const struct s3_env *env, const struct s3_list *list, s3_list_fn fn, void *arg);
void s3_call_cancel(struct s3_call *call); /* done() comes with class CANCELLED */
