/*
 * One side of a run as a stream: its entries in strictly ascending byte order of their
 * keys (memcmp, the shorter first), each once. Pages are fetched one ahead of what was
 * popped and never more: memory does not depend on the number of keys. What a listing
 * cannot be proven to be (complete, in order, below the prefix) fails it: LISTER_ENDED
 * means that the whole was seen. Made by lister_s3_new(), lister_ranges_new() (the same,
 * several pages on their way at once) or lister_file_new(); one
 * thread, the loop's. The owner of the struct is whoever made it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct creds_set;
struct err;

/* Of an object in an archive class; RestoreStatus of the listing. */
enum lister_restore {
	LISTER_RESTORE_NONE, /* not asked for, or not told */
	LISTER_RESTORE_RUNNING,
	LISTER_RESTORE_DONE, /* readable until restored_until_us */
};

/* Texts are never NULL; all borrowed, valid until lister_pop() or lister_free(). */
struct lister_entry {
	const char *key; /* relative to the listed place; "" is an object named as it */
	size_t key_len;
	int64_t size;        /* bytes */
	int64_t modified_us; /* wall clock; of S3: when it was uploaded */
	const char *etag;    /* as the service writes it, with its quotes; "": a file */
	const char *
		version; /* "": not told. Of a file: what differs once it is written to */
	const char *storage_class; /* "": the standard one */
	enum lister_restore restore;
	int64_t restored_until_us;
	/* NULL; or why it cannot be moved: "a symbolic link". Static. Its key ends in '/'
	 * where it is a folder. */
	const char *unfit;
};

enum lister_state {
	LISTER_WAITING, /* on_change tells when this is over */
	LISTER_READY,   /* there is an entry */
	LISTER_ENDED,   /* there was no more: complete and without contradiction */
	LISTER_FAILED,  /* lister_error() tells why; final */
};

struct lister_stats {
	uint64_t entries, bytes; /* popped so far */
	uint64_t requests, retries;
	uint64_t sent_again; /* of these: by engine/tries, as transfers do */
};

struct lister;

/*
 * on_change comes from the loop when lister_peek() (or lister_start()) left something to
 * wait for and it is there: an entry, the end, a failure; once a wait, not when a later
 * peek has shown it already, never inside a call of this header. In it everything is
 * allowed, lister_free() too.
 */
void lister_start(struct lister *l, void (*on_change)(void *arg), void *arg);
/* *ret_entry is set with LISTER_READY alone. Asking again gives the same entry. */
enum lister_state lister_peek(struct lister *l, const struct lister_entry **ret_entry);
/* On to the next; only after a peek that said LISTER_READY. */
void lister_pop(struct lister *l);
/* NULL unless LISTER_FAILED. code "listing-..." : the service contradicts itself. */
const struct err *lister_error(const struct lister *l);
/* What it must still be to be removed: the ETag, or of a file its version. */
const char *lister_mark(const struct lister_entry *e);
void lister_get_stats(const struct lister *l, struct lister_stats *ret);
/* At any time; no callback comes afterwards. NULL-safe, returns NULL. */
void *lister_free(struct lister *l);

/* Codes of errors that mean a lie; class FATAL. Whatever was popped is not to be acted on
 * by deleting. */
#define LISTER_LIE_ORDER   "listing-order"   /* out of order, or twice */
#define LISTER_LIE_PREFIX  "listing-prefix"  /* outside the prefix */
#define LISTER_LIE_TOKEN   "listing-token"   /* repeated, or missing where more follows */
#define LISTER_LIE_STUCK   "listing-stuck"   /* empty pages without end */
#define LISTER_LIE_GARBLED "listing-garbled" /* no ListObjectsV2 answer, each time */
bool lister_is_lie(const struct err *e);

/* What an implementation provides; it embeds struct lister as its first member. */
struct lister_ops {
	void (*start)(struct lister *l);
	enum lister_state (*peek)(
		struct lister *l, const struct lister_entry **ret_entry);
	void (*pop)(struct lister *l);
	const struct err *(*error)(const struct lister *l);
	void (*stats)(const struct lister *l, struct lister_stats *ret);
	void (*free)(struct lister *l);
	/* NULL where none are needed; see lister_s3.h */
	void (*give_creds)(
		struct lister *l, const struct err *err, const struct creds_set *set);
};

struct lister {
	const struct lister_ops *ops;
	void (*on_change)(void *arg);
	void *arg;
};
