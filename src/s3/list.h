/*
 * ListObjectsV2, one page a call, encoding-type=url. Does not loop over pages, keeps no
 * state, does not retry. done() comes once, never inside s3_list_page().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/endpoint.h"

struct creds_set;
struct err;
struct http;
struct s3_call;

struct s3_place {
	const char *bucket;
	const char *region;       /* NULL or "": AWS tells the bucket's */
	const char *endpoint_url; /* NULL or "": AWS's own */
	const char *ca_bundle;    /* NULL or "": the system's */
	struct endpoint_options options;
};

struct s3_entry {
	char *key;
	char *etag;
	int64_t size;
	int64_t modified_s; /* UTC seconds */
	char *storage_class;
};

struct s3_page {
	struct s3_entry *entries; /* in key order; borrowed until done() returns */
	size_t count;
	bool is_truncated;
	const char *next_token; /* NULL at the end */
};

typedef void (*s3_list_fn)(void *arg, const struct err *err, const struct s3_page *page);

/* token: NULL for the first page. creds is copied. now_us: wall clock for signing. */
struct s3_call *s3_list_page(struct http *http, const struct s3_place *place,
	const struct creds_set *creds, const char *prefix, const char *token, int max_keys,
	int64_t now_us, s3_list_fn fn, void *arg);
void s3_call_cancel(struct s3_call *call); /* done() comes with class CANCELLED */
