/*
 * The state machine of one listing: credentials, page, retry, one page ahead of its
 * reader. It believes no page that contradicts what came before. It does not compare.
 */
#include "config.h"

#include "engine/lister_s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/lister_options.h"
#include "engine/tries.h"
#include "net/loop.h"
#include "s3/op.h"

#define KEY_MAX   1024
#define PAGE_KEYS 1000
#define EMPTY_MAX 16          /* pages without a key in a row, while more is promised */
#define RECEIVE   (32 * 1024) /* at once of a page; a buffer of each call */

enum lister_step {
	LIST_IDLE,    /* entered when a page is ahead; waits for: its turn to be read */
	LIST_CREDS,   /* waits for: lister_s3_give_creds() */
	LIST_PAGE,    /* waits for: the page */
	LIST_BACKOFF, /* waits for: the retry timer, then LIST_CREDS again */
	LIST_DONE,    /* terminal: the last page is here, or l->err tells */
};

enum step_result {
	STEP_AGAIN,
	STEP_WAIT,
};

struct lister_s3 {
	struct lister base;
	struct lister_s3_options o; /* its texts and those of place are ours */
	struct s3_place place;
	enum lister_step step;
	struct loop_timer *timer;
	struct s3_call *call;
	struct creds_set *set; /* wiped once a request was signed with it */
	uint64_t generation, refused;
	bool has_set, is_asking, is_running, has_replayed;
	int attempt;        /* of the job's, from 1 */
	struct tries tries; /* of this attempt */
	char account[16];   /* who signed */

	struct s3_page now, ahead; /* being read; fetched before it is needed */
	size_t at;                 /* in now */
	bool has_now, has_ahead;
	bool has_more,
		is_last; /* the newest page says that more follows; is the last one */
	char first_key[KEY_MAX + 1]; /* of the one page */
	char *token;                 /* of the next page */
	char last_key[KEY_MAX + 1];  /* the newest one that was listed */
	size_t last_len;
	int empty_pages;

	struct lister_entry entry; /* what peek shows */
	bool has_entry, is_waited_for, is_dead;
	struct lister_stats stats;
	struct err err;
};

static enum step_result step_idle(struct lister_s3 *l);
static enum step_result step_creds(struct lister_s3 *l);
static enum step_result step_page(struct lister_s3 *l);
static enum step_result step_backoff(struct lister_s3 *l);

/* clang-format off */
static enum step_result (*const steps[])(struct lister_s3 *l) = {
	[LIST_IDLE]    = step_idle,
	[LIST_CREDS]   = step_creds,
	[LIST_PAGE]    = step_page,
	[LIST_BACKOFF] = step_backoff,
	[LIST_DONE]    = NULL,
};
/* clang-format on */

static enum step_result list_goto(struct lister_s3 *l, enum lister_step next)
{
	l->step = next;
	return STEP_AGAIN;
}

static enum lister_state state_of(const struct lister_s3 *l)
{
	if (l->has_now)
		return LISTER_READY;
	if (l->step != LIST_DONE)
		return LISTER_WAITING;
	return l->err.class == ERR_OK ? LISTER_ENDED : LISTER_FAILED;
}

static void tell(void *arg)
{
	struct lister_s3 *l = arg;

	if (!l->is_waited_for || state_of(l) == LISTER_WAITING)
		return;
	l->is_waited_for = false;
	l->base.on_change(l->base.arg);
}

/* The only loop; callbacks end here. */
static void list_run(struct lister_s3 *l)
{
	if (l->is_running || l->is_dead)
		return;
	l->is_running = true;
	while (l->step != LIST_DONE && steps[l->step](l) == STEP_AGAIN)
		;
	l->is_running = false;
	if (l->is_waited_for && state_of(l) != LISTER_WAITING) {
		loop_undefer(l->o.loop, l);
		loop_defer(l->o.loop, tell, l);
	}
}

static enum step_result fail(struct lister_s3 *l, const struct err *e)
{
	l->err = *e;
	/* What is at hand is shown no more, for the whole is not to be believed. The
	 * reader may still hold its last entry. */
	l->has_now = l->has_ahead = false;
	return list_goto(l, LIST_DONE);
}

static enum step_result lie(struct lister_s3 *l, const char *code, const char *what)
{
	struct err e;

	err_set(&e, ERR_FATAL, ERR_FROM_S3, code,
		"page %llu of the listing of s3://%s/%.200s %s",
		(unsigned long long)(l->stats.requests - l->stats.retries),
		l->place.bucket, l->o.prefix, what);
	snprintf(e.operation, sizeof(e.operation), "ListObjectsV2");
	return fail(l, &e);
}

/* --- pages --- */

static int order(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return r ? r : (a_len > b_len) - (a_len < b_len);
}

/* NULL, or the code of the lie. Cuts the page off behind `until`. */
static const char *check_keys(struct lister_s3 *l, struct s3_page *page)
{
	size_t prefix_len = strlen(l->o.prefix), until_len = strlen(l->o.until);
	const char *last = l->last_key;
	size_t last_len = l->last_len, i;
	int beyond = -1; /* of the last key looked at, against until */

	for (i = 0; i < page->count && beyond < 0; i++) {
		const char *key = s3_page_text(page, page->entries[i].key_at);
		size_t len = page->entries[i].key_len;

		if (len < prefix_len || memcmp(key, l->o.prefix, prefix_len) != 0)
			return LISTER_LIE_PREFIX;
		if (last_len && order(key, len, last, last_len) <= 0)
			return LISTER_LIE_ORDER;
		beyond = until_len ? order(key, len, l->o.until, until_len) : -1;
		if (beyond > 0)
			break;
		last = key;
		last_len = len;
	}
	l->has_more = page->is_truncated && beyond < 0;
	page->count = i;
	memmove(l->last_key, last, last_len);
	l->last_key[last_len] = '\0';
	l->last_len = last_len;
	return NULL;
}

static enum step_result refuse(struct lister_s3 *l, const char *code)
{
	if (strcmp(code, LISTER_LIE_PREFIX) == 0)
		return lie(l, code, "has a key that does not begin with the prefix");
	return lie(l, code, "has a key that does not follow the one before it");
}

static bool is_empty_for_ever(struct lister_s3 *l, const struct s3_page *page)
{
	if (page->count || !l->has_more)
		l->empty_pages = 0;
	else
		l->empty_pages++;
	return l->empty_pages > EMPTY_MAX;
}

static void next_page(struct lister_s3 *l)
{
	if (l->has_now)
		return;
	s3_page_done(&l->now);
	l->at = 0;
	l->has_now = l->has_ahead && l->ahead.count;
	l->has_ahead = false;
	l->now = l->ahead;
	l->ahead = (struct s3_page){0};
}

static struct tries_peer peer_of(const struct lister_s3 *l)
{
	const char *custom = l->place.endpoint_url;

	return (struct tries_peer){
		l->o.quotas, l->account, custom ? custom : "", l->place.bucket};
}

/* Takes the page. */
static enum step_result accept(struct lister_s3 *l, struct s3_page *page)
{
	const char *token = s3_page_text(page, page->token_at);
	const struct tries_peer peer = peer_of(l);
	const char *code = check_keys(l, page);

	if (code)
		return refuse(l, code);
	if (l->has_more && !*token)
		return lie(l, LISTER_LIE_TOKEN, "says that more follows but not where");
	if (l->has_more && str_eq(token, l->token))
		return lie(l, LISTER_LIE_TOKEN, "points to itself");
	if (is_empty_for_ever(l, page))
		return lie(l, LISTER_LIE_STUCK, "is empty, as were those before it");
	l->is_last = !l->has_more || (l->o.is_one_page && page->count);
	if (l->o.is_one_page && page->count)
		snprintf(l->first_key, sizeof(l->first_key), "%s",
			s3_page_text(page, page->entries[0].key_at));
	mem_replace(&l->token, l->is_last ? NULL : token);
	l->ahead = *page;
	l->has_ahead = true;
	*page = (struct s3_page){0};
	l->attempt = 1;
	tries_end(&l->tries, &peer);
	l->has_replayed = false;
	next_page(l);
	return list_goto(l, LIST_IDLE);
}

static enum step_result retry_in(struct lister_s3 *l, int64_t delay_ms)
{
	l->stats.retries++;
	loop_timer_set(l->timer, delay_ms);
	return list_goto(l, LIST_BACKOFF);
}

static enum step_result fail_or_retry(struct lister_s3 *l, const struct err *error)
{
	const struct tries_peer peer = peer_of(l);
	struct err copy = *error, *e = &copy; /* may say more */
	int64_t delay_ms;

	if (e->class == ERR_AUTH && !l->has_replayed) {
		l->has_replayed = true;
		l->refused = l->generation;
		l->stats.retries++;
		return list_goto(l, LIST_CREDS);
	}
	if (tries_again(&l->tries, &peer, e, crypto_random_unit(), &delay_ms)) {
		l->stats.sent_again = l->tries.again;
		return retry_in(l, delay_ms);
	}
	if (!retry_may(&l->o.retry, e->class, l->attempt))
		return fail(l, e);
	tries_reset(&l->tries);
	delay_ms = retry_delay_ms(
		&l->o.retry, e->class, l->attempt, crypto_random_unit());
	if (l->o.on_retry)
		l->o.on_retry(l->o.arg, e, l->attempt, delay_ms);
	l->attempt++;
	return retry_in(l, delay_ms);
}

static void *bury(void *arg);

static void on_page(void *arg, const struct err *e, struct s3_page *page)
{
	struct lister_s3 *l = arg;

	l->call = NULL;
	if (l->is_dead) {
		loop_bury(l->o.loop, bury, l);
		return;
	}
	if (e)
		fail_or_retry(l, e);
	else
		accept(l, page);
	list_run(l);
}

/* --- steps --- */

static enum step_result step_idle(struct lister_s3 *l)
{
	if (l->is_last && !l->has_ahead)
		return list_goto(l, LIST_DONE);
	return l->has_ahead ? STEP_WAIT : list_goto(l, LIST_CREDS);
}

static enum step_result step_creds(struct lister_s3 *l)
{
	uint64_t refused = l->refused;

	if (!l->has_set && !l->is_asking) {
		l->is_asking = true;
		l->refused = 0;
		l->o.need_creds(l->o.arg, refused); /* may answer at once */
	}
	return l->has_set ? list_goto(l, LIST_PAGE) : STEP_WAIT;
}

static enum step_result step_page(struct lister_s3 *l)
{
	const struct s3_env env = {
		.http = l->o.http,
		.place = &l->place,
		.creds = l->set,
		.now_us = clock_wall_us(loop_clock(l->o.loop)),
		.skew = l->o.skew,
		.regions = l->o.regions,
		.buffer_bytes = RECEIVE,
	};
	const struct s3_list list = {
		.prefix = l->o.prefix,
		.start_after = l->token || !*l->o.start_after ? NULL : l->o.start_after,
		.token = l->token,
		.max_keys = l->o.page_keys ? l->o.page_keys : PAGE_KEYS,
		.wants_restore = l->o.wants_restore,
	};

	if (l->call)
		return STEP_WAIT;
	l->stats.requests++;
	snprintf(l->account, sizeof(l->account), "%s", l->set->account);
	l->generation = l->set->generation;
	l->call = s3_list_page(&env, &list, on_page, l);
	creds_set_wipe(l->set);
	l->has_set = false;
	return STEP_WAIT;
}

static enum step_result step_backoff(struct lister_s3 *l)
{
	return loop_timer_is_set(l->timer) ? STEP_WAIT : list_goto(l, LIST_CREDS);
}

static void on_timer(void *arg)
{
	list_run(arg);
}

static void give_creds(
	struct lister *base, const struct err *err, const struct creds_set *set)
{
	struct lister_s3 *l = CONTAINER_OF(base, struct lister_s3, base);

	l->is_asking = false;
	if (l->is_dead || l->step != LIST_CREDS)
		return;
	if (err) {
		fail(l, err);
	} else {
		*l->set = *set;
		l->has_set = true;
	}
	list_run(l);
}

void lister_s3_give_creds(
	struct lister *l, const struct err *err, const struct creds_set *set)
{
	l->ops->give_creds(l, err, set);
}

/* --- the interface --- */

static void start(struct lister *base)
{
	struct lister_s3 *l = CONTAINER_OF(base, struct lister_s3, base);

	l->is_waited_for = true;
	list_run(l);
}

static void show(struct lister_s3 *l)
{
	const struct s3_entry *e = &l->now.entries[l->at];

	l->entry = (struct lister_entry){
		.key = s3_page_text(&l->now, e->key_at) + l->o.cut,
		.key_len = e->key_len - l->o.cut,
		.size = e->size,
		.modified_us = e->modified_us,
		.etag = s3_page_text(&l->now, e->etag_at),
		.version = "",
		.storage_class = s3_page_text(&l->now, e->storage_class_at),
		.restore = (enum lister_restore)e->restore,
		.restored_until_us = e->restored_until_us,
	};
	l->has_entry = true;
}

static enum lister_state peek(struct lister *base, const struct lister_entry **ret_entry)
{
	struct lister_s3 *l = CONTAINER_OF(base, struct lister_s3, base);
	enum lister_state state = state_of(l);

	l->is_waited_for = state == LISTER_WAITING;
	if (state != LISTER_READY)
		return state;
	if (!l->has_entry)
		show(l);
	*ret_entry = &l->entry;
	return state;
}

static void pop(struct lister *base)
{
	struct lister_s3 *l = CONTAINER_OF(base, struct lister_s3, base);

	if (!l->has_now)
		return; /* it failed since the peek */
	l->stats.entries++;
	l->stats.bytes += (uint64_t)l->now.entries[l->at].size;
	l->has_entry = false;
	if (++l->at < l->now.count)
		return;
	l->has_now = false;
	next_page(l);
	list_run(l);
}

static const struct err *error(const struct lister *base)
{
	const struct lister_s3 *l = CONTAINER_OF(base, struct lister_s3, base);

	return state_of(l) == LISTER_FAILED ? &l->err : NULL;
}

static void stats(const struct lister *base, struct lister_stats *ret)
{
	*ret = CONTAINER_OF(base, struct lister_s3, base)->stats;
}

static void *bury(void *arg)
{
	struct lister_s3 *l = arg;

	loop_timer_free(l->timer);
	s3_page_done(&l->now);
	s3_page_done(&l->ahead);
	mem_secret_free(l->set);
	free(l->token);
	lister_options_done(&l->o, &l->place);
	free(l);
	return NULL;
}

static void destroy(struct lister *base)
{
	struct lister_s3 *l = CONTAINER_OF(base, struct lister_s3, base);

	l->is_dead = true;
	loop_undefer(l->o.loop, l);
	loop_timer_cancel(l->timer);
	if (l->call)
		s3_call_cancel(l->call); /* on_page() goes on from here */
	else
		loop_bury(l->o.loop, bury, l);
}

enum lister_state lister_s3_one_page(
	const struct lister *base, const char **ret_first, const char **ret_last)
{
	const struct lister_s3 *l = CONTAINER_OF(base, struct lister_s3, base);

	if (l->err.class != ERR_OK)
		return LISTER_FAILED;
	if (!l->is_last)
		return LISTER_WAITING;
	*ret_first = l->first_key;
	*ret_last = l->last_key;
	return l->has_more ? LISTER_READY : LISTER_ENDED;
}

struct lister *lister_s3_new(const struct lister_s3_options *options)
{
	static const struct lister_ops ops = {
		start, peek, pop, error, stats, destroy, give_creds};
	struct lister_s3 *l = mem_alloc(sizeof(*l));

	l->base.ops = &ops;
	lister_options_take(&l->o, &l->place, options);
	l->last_len = strlen(l->o.start_after);
	snprintf(l->last_key, sizeof(l->last_key), "%s", l->o.start_after);
	l->timer = loop_timer_new(l->o.loop, on_timer, l);
	l->attempt = 1;
	l->set = mem_secret_alloc(sizeof(*l->set));
	return &l->base;
}
