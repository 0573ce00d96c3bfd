/*
 * A prefix of a bucket as a lister: ListObjectsV2 page by page, one page ahead, with
 * retries. Runs on the core's loop, for the credentials are the owner's: it asks for them
 * before each page and gets them by value.
 */
#pragma once

#include "aws/retry.h"
#include "engine/lister.h"
#include "s3/list.h"

struct creds_set;
struct http;
struct loop;
struct retry_quotas;
struct s3_regions;
struct skew;

struct lister_s3_options {
	struct loop *loop; /* these five outlive the lister */
	struct http *http;
	struct skew *skew;            /* NULL-able */
	struct s3_regions *regions;   /* NULL-able */
	struct retry_quotas *quotas;  /* NULL-able */
	const struct s3_place *place; /* copied, with its texts; prefix too */
	const char *prefix;           /* keys that begin so; "" : all */
	size_t cut; /* bytes of prefix that keys come without: 5 of "logs/2026-" */
	/* Whole keys, NULL or "": from the first, to the last. */
	const char *start_after; /* only those behind it */
	const char *until;       /* and not behind this one */
	bool is_one_page;        /* end with the first page that has keys */
	int page_keys;           /* 0: 1000 */
	struct retry_policy retry; /* the job's, once a page was asked for six times */
	bool wants_restore; /* ask for RestoreStatus */

	/*
	 * The freshest set, please: lister_s3_give_creds() answers, inside this call or
	 * later, exactly once for each. refused: the generation that the service called
	 * ended, to be invalidated before; 0: none.
	 */
	void (*need_creds)(void *arg, uint64_t refused);
	/* Of an attempt that will be repeated, to be logged; NULL-able. */
	void (*on_retry)(void *arg, const struct err *err, int attempt, int64_t delay_ms);
	void *arg;
};

struct lister *lister_s3_new(const struct lister_s3_options *options);
/* err: there are none, final. set is copied, and the copy wiped. Not after
 * lister_free(). */
void lister_s3_give_creds(
	struct lister *l, const struct err *err, const struct creds_set *set);

/*
 * Of is_one_page: LISTER_READY: the page is here and more follows behind *ret_last (whole
 * keys, borrowed until lister_free()); LISTER_ENDED: nothing does.
 */
enum lister_state lister_s3_one_page(
	const struct lister *l, const char **ret_first, const char **ret_last);
