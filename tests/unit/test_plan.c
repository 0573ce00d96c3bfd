/*
 * run/filter, run/compare, run/plan: tables of cases, and random pairs of listings
 * through the merge against a model that looks each key up.
 */
#include "config.h"

#include "run/plan.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/glob.h"
#include "base/mem.h"
#include "engine/lister.h"
#include "run/filter.h"

#define NOW  (INT64_C(1764000000) * USEC_PER_SEC)
#define HOUR (3600 * USEC_PER_SEC)

static struct lister_entry entry(const char *key, int64_t size, const char *etag)
{
	return (struct lister_entry){.key = key,
		.key_len = strlen(key),
		.size = size,
		.modified_us = NOW - HOUR,
		.etag = etag,
		.version = "",
		.storage_class = ""};
}

/* --- filter --- */

static struct glob *compile(const char *pattern)
{
	struct glob *g = NULL;

	assert_int_equal(glob_compile(pattern, &g, NULL), 0);
	return g;
}

static struct filter_spec no_limits(void)
{
	return (struct filter_spec){.slot_us = NOW,
		.newer_than_us = FILTER_NONE,
		.older_than_us = FILTER_NONE,
		.min_size = FILTER_NONE,
		.max_size = FILTER_NONE,
		.stable_for_us = FILTER_NONE};
}

static enum reason check(const struct filter_spec *spec, const struct lister_entry *e)
{
	struct filter *f = filter_new(spec);
	enum reason r = filter_check(f, e);

	filter_free(f);
	return r;
}

static void filter_by_name(void **state)
{
	struct glob *jpg = compile("**/*.jpg"), *css = compile("**/*.css"),
		    *tmp = compile("tmp/");
	const struct glob *include[] = {jpg, css}, *exclude[] = {tmp}, *by;
	const struct glob *not_by;
	struct filter_spec spec = no_limits();
	struct filter *f;

	(void)state;
	spec.exclude = exclude;
	spec.exclude_count = 1;
	f = filter_new(&spec);
	assert_true(filter_takes_name(f, "a.txt", 5));
	assert_false(filter_takes_name(f, "tmp/a.jpg", 9));
	filter_free(f);
	spec.include = include;
	spec.include_count = 2;
	f = filter_new(&spec);
	assert_true(filter_takes_name(f, "x/a.css", 7));
	assert_false(filter_takes_name(f, "a.txt", 5));
	assert_false(filter_takes_name(f, "tmp/a.jpg", 9));
	filter_explain(f, "tmp/a.jpg", 9, &not_by, &by);
	assert_ptr_equal(not_by, tmp);
	assert_null(by);
	filter_explain(f, "a.css", 5, &not_by, &by);
	assert_null(not_by);
	assert_ptr_equal(by, css);
	filter_free(f);
	glob_free(jpg);
	glob_free(css);
	glob_free(tmp);
}

static void filter_by_numbers(void **state)
{
	static const char *const cold[] = {"GLACIER_IR", "STANDARD"};
	struct lister_entry e = entry("a", 100, "");
	struct filter_spec s = no_limits();
	struct filter *f;

	(void)state;
	assert_int_equal(check(&s, &e), REASON_NONE);
	s.min_size = 100;
	s.max_size = 100;
	assert_int_equal(check(&s, &e), REASON_NONE);
	s.min_size = 101;
	assert_int_equal(check(&s, &e), REASON_TOO_SMALL);
	s.min_size = 0;
	s.max_size = 99;
	assert_int_equal(check(&s, &e), REASON_TOO_LARGE);
	s = no_limits();
	s.newer_than_us = HOUR;
	assert_int_equal(check(&s, &e), REASON_TOO_OLD);
	s.newer_than_us = HOUR + 1;
	assert_int_equal(check(&s, &e), REASON_NONE);
	s.older_than_us = HOUR;
	assert_int_equal(check(&s, &e), REASON_TOO_NEW);
	s.older_than_us = HOUR - 1;
	assert_int_equal(check(&s, &e), REASON_NONE);
	s.storage_classes = cold;
	s.storage_class_count = 2;
	assert_int_equal(check(&s, &e), REASON_NONE);
	e.storage_class = "GLACIER";
	assert_int_equal(check(&s, &e), REASON_STORAGE_CLASS);
	s = no_limits();
	s.stable_for_us = 2 * HOUR;
	assert_int_equal(check(&s, &e), REASON_UNSTABLE);
	f = filter_new(&s);
	filter_set_now(f, NOW + HOUR);
	assert_int_equal(filter_check(f, &e), REASON_NONE);
	filter_free(f);
}

/* --- compare --- */

#define MD5_A "\"0cc175b9c0f1b6a831c399e269772661\""
#define MD5_B "\"92eb5ffee6ae2fec3ad71c777531578f\""
#define PARTS "\"92eb5ffee6ae2fec3ad71c777531578f-2\""

static const struct compare_digest crc_a[] = {{"sha256", "x"}, {"crc64nvme", "AAAA"}};
static const struct compare_digest crc_b[] = {{"crc32", "y"}, {"crc64nvme", "BBBB"}};
static const struct compare_head head_a = {"", true, crc_a, 2, ""};
static const struct compare_head head_b = {"", true, crc_b, 2, ""};
static const struct compare_head head_md5 = {"", true, NULL, 0, ""};
static const struct compare_head head_none = {"", false, NULL, 0, ""};

struct compare_row {
	enum compare_mode mode;
	const char *source, *destination; /* ETags */
	int source_age, destination_age;  /* hours */
	const struct compare_head *source_head, *destination_head;
	enum compare_verdict verdict;
	unsigned asks;
};

static void compare_by_listing_and_head(void **state)
{
	enum {
		S = COMPARE_ASK_SOURCE,
		D = COMPARE_ASK_DESTINATION,
	};
	/* clang-format off */
	static const struct compare_row rows[] = {
		{COMPARE_AUTO, MD5_A, MD5_A, 1, 9, NULL, NULL, COMPARE_SAME, 0},
		{COMPARE_AUTO, MD5_A, MD5_B, 1, 9, NULL, NULL, COMPARE_DIFFERS, 0},
		{COMPARE_AUTO, MD5_A, MD5_B, 9, 1, NULL, NULL, COMPARE_ASK, S | D},
		{COMPARE_AUTO, MD5_A, MD5_B, 9, 1, &head_a, NULL, COMPARE_ASK, D},
		{COMPARE_AUTO, MD5_A, PARTS, 9, 1, &head_a, &head_a, COMPARE_SAME, 0},
		{COMPARE_AUTO, MD5_A, PARTS, 9, 1, &head_a, &head_b, COMPARE_DIFFERS, 0},
		{COMPARE_AUTO, MD5_A, MD5_B, 9, 1, &head_md5, &head_md5, COMPARE_DIFFERS, 0},
		{COMPARE_AUTO, MD5_A, MD5_B, 9, 1, &head_md5, &head_none, COMPARE_UNPROVEN, 0},
		{COMPARE_AUTO, MD5_A, "", 1, 1, NULL, NULL, COMPARE_SAME, 0},
		{COMPARE_AUTO, MD5_A, "", 2, 1, NULL, NULL, COMPARE_UNPROVEN, 0},
		{COMPARE_AUTO, "", MD5_A, 1, 1, NULL, NULL, COMPARE_UNPROVEN, 0},
		{COMPARE_AUTO, "", "", 1, 1, NULL, NULL, COMPARE_SAME, 0},
		{COMPARE_AUTO, "", MD5_A, 1, 2, NULL, NULL, COMPARE_DIFFERS, 0},
		{COMPARE_SIZE, MD5_A, MD5_B, 1, 9, NULL, NULL, COMPARE_SAME, 0},
		{COMPARE_MTIME, MD5_A, MD5_B, 1, 9, NULL, NULL, COMPARE_DIFFERS, 0},
		{COMPARE_MTIME, MD5_A, MD5_B, 9, 1, NULL, NULL, COMPARE_SAME, 0},
		{COMPARE_PROOF, MD5_A, MD5_A, 1, 9, NULL, NULL, COMPARE_SAME, 0},
		{COMPARE_PROOF, MD5_A, MD5_B, 9, 1, NULL, NULL, COMPARE_ASK, S | D},
		{COMPARE_PROOF, MD5_A, PARTS, 9, 1, &head_a, &head_a, COMPARE_SAME, 0},
		{COMPARE_PROOF, MD5_A, "", 1, 1, NULL, NULL, COMPARE_UNPROVEN, 0},
		{COMPARE_PROOF, "", "", 1, 1, NULL, NULL, COMPARE_UNPROVEN, 0},
		{COMPARE_ETAG, MD5_A, MD5_A, 1, 9, NULL, NULL, COMPARE_SAME, 0},
		{COMPARE_ETAG, MD5_A, MD5_B, 9, 1, NULL, NULL, COMPARE_DIFFERS, 0},
		{COMPARE_CHECKSUM, MD5_A, MD5_A, 9, 1, NULL, NULL, COMPARE_ASK, S | D},
		{COMPARE_CHECKSUM, MD5_A, MD5_B, 9, 1, &head_a, &head_a, COMPARE_SAME, 0},
		{COMPARE_CHECKSUM, MD5_A, MD5_A, 9, 1, &head_a, &head_b, COMPARE_DIFFERS, 0},
		{COMPARE_CHECKSUM, MD5_A, PARTS, 9, 1, &head_md5, &head_none,
			COMPARE_UNPROVEN, 0},
		{COMPARE_VERSION, MD5_A, MD5_A, 9, 1, NULL, NULL, COMPARE_ASK, S},
		{COMPARE_VERSION, MD5_A, MD5_A, 9, 1, &head_none, NULL, COMPARE_UNPROVEN, 0},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct compare_row *r = &rows[i];
		struct lister_entry s = entry("k", 5, r->source);
		struct lister_entry d = entry("k", 5, r->destination);
		const struct compare_case c = {
			&s, &d, NULL, r->source_head, r->destination_head};
		unsigned asks = 99;

		s.modified_us = NOW - r->source_age * HOUR;
		d.modified_us = NOW - r->destination_age * HOUR;
		if (compare(r->mode, &c, &asks) != r->verdict || asks != r->asks)
			fail_msg("row %zu: %d, asks %u", i, compare(r->mode, &c, &asks),
				asks);
		d.size = 6;
		assert_int_equal(compare(r->mode, &c, &asks), COMPARE_DIFFERS);
	}
}

static enum compare_verdict by_record(enum compare_mode mode,
	const struct lister_entry *s, const struct lister_entry *d,
	const struct compare_delivered *r)
{
	const struct compare_case c = {s, d, r, NULL, NULL};
	unsigned asks;

	return compare(mode, &c, &asks);
}

static void compare_by_record(void **state)
{
	struct lister_entry s = entry("k", 5, MD5_A), d = entry("k", 5, PARTS);
	struct compare_delivered r = {{MD5_A, "", -1}, {PARTS, "", -1}};

	(void)state;
	/* as we left it, and the source is what it was */
	assert_int_equal(by_record(COMPARE_AUTO, &s, &d, &r), COMPARE_SAME);
	assert_int_equal(by_record(COMPARE_ETAG, &s, &d, &r), COMPARE_SAME);
	/* an edit of the same size */
	s.etag = MD5_B;
	s.modified_us = NOW - 9 * HOUR; /* its time says nothing */
	assert_int_equal(by_record(COMPARE_AUTO, &s, &d, &r), COMPARE_DIFFERS);
	assert_int_equal(by_record(COMPARE_VERSION, &s, &d, &r), COMPARE_DIFFERS);
	/* somebody else wrote the destination: the record is worth nothing */
	s.etag = MD5_A;
	d.etag = MD5_B;
	assert_int_equal(by_record(COMPARE_AUTO, &s, &d, &r), COMPARE_ASK);
	/* quotes or not, it is the same ETag */
	r.source.etag = "0cc175b9c0f1b6a831c399e269772661";
	d.etag = PARTS;
	assert_int_equal(by_record(COMPARE_AUTO, &s, &d, &r), COMPARE_SAME);
}

static void compare_files_by_record(void **state)
{
	struct lister_entry s = entry("k", 5, ""), d = entry("k", 5, MD5_A);
	struct compare_delivered r = {{"", "ino-1", NOW - 3 * HOUR}, {MD5_A, "", -1}};

	(void)state;
	s.version = "ino-1";
	assert_int_equal(by_record(COMPARE_AUTO, &s, &d, &r), COMPARE_SAME);
	s.version = "ino-2";
	assert_int_equal(by_record(COMPARE_AUTO, &s, &d, &r), COMPARE_DIFFERS);
	s.version = "";
	assert_int_equal(by_record(COMPARE_AUTO, &s, &d, &r), COMPARE_DIFFERS);
	r.source.modified_us = s.modified_us;
	assert_int_equal(by_record(COMPARE_AUTO, &s, &d, &r), COMPARE_SAME);
}

static void compare_by_version(void **state)
{
	struct lister_entry s = entry("k", 5, MD5_A), d = entry("k", 5, MD5_A);
	struct compare_delivered r = {{MD5_A, "v1", -1}, {MD5_A, "", -1}};
	struct compare_head v1 = {"v1", true, NULL, 0, ""};
	struct compare_head v2 = {"v2", true, NULL, 0, ""};
	struct compare_head of_v2 = {"", true, NULL, 0, "v2"};
	struct compare_case c = {&s, &d, &r, &v1, NULL};
	unsigned asks;

	(void)state;
	assert_int_equal(compare(COMPARE_VERSION, &c, &asks), COMPARE_SAME);
	c.source_head = &v2;
	assert_int_equal(compare(COMPARE_VERSION, &c, &asks), COMPARE_DIFFERS);
	/* no record: the destination's own metadata */
	c.delivered = NULL;
	assert_int_equal(compare(COMPARE_VERSION, &c, &asks), COMPARE_ASK);
	assert_int_equal(asks, COMPARE_ASK_DESTINATION);
	c.destination_head = &of_v2;
	assert_int_equal(compare(COMPARE_VERSION, &c, &asks), COMPARE_SAME);
	c.source_head = &v1;
	assert_int_equal(compare(COMPARE_VERSION, &c, &asks), COMPARE_DIFFERS);
	c.destination_head = &head_none;
	assert_int_equal(compare(COMPARE_VERSION, &c, &asks), COMPARE_UNPROVEN);
}

/* --- plan --- */

static void assert_step(const struct plan *p, const struct lister_entry *s,
	const struct lister_entry *d, enum plan_action action, enum reason reason)
{
	struct plan_step step;

	plan_decide(p, s, d, &step);
	assert_int_equal(step.action, action);
	assert_int_equal(step.reason, reason);
	assert_ptr_equal(step.source, s);
	assert_ptr_equal(step.destination, d);
}

static void plan_of_one_key(void **state)
{
	struct lister_entry s = entry("k", 5, MD5_A), d = entry("k", 5, MD5_A);
	struct lister_entry folder = entry("dir/", 0, MD5_A),
			    other = entry("k", 6, MD5_B);
	struct lister_entry link = entry("l", 0, ""), in_the_way = entry("k", 0, "");
	struct plan p = {.now_us = NOW};

	(void)state;
	link.unfit = in_the_way.unfit = "a symbolic link";
	assert_step(&p, &s, NULL, PLAN_COPY, REASON_NEW);
	assert_step(&p, &s, &d, PLAN_KEEP, REASON_SAME);
	assert_step(&p, &s, &other, PLAN_COPY, REASON_CHANGED);
	assert_step(&p, &folder, NULL, PLAN_SKIP, REASON_FOLDER);
	assert_step(&p, &link, NULL, PLAN_SKIP, REASON_UNFIT);
	assert_step(&p, &s, &in_the_way, PLAN_SKIP, REASON_OBSTRUCTED);
	p.overwrite = PLAN_OVERWRITE_NEVER;
	assert_step(&p, &s, &other, PLAN_KEEP, REASON_EXISTS);
	assert_step(&p, &s, NULL, PLAN_COPY, REASON_NEW);
	p.overwrite = PLAN_OVERWRITE_ALWAYS;
	assert_step(&p, &s, &d, PLAN_COPY, REASON_FORCED);
}

static void plan_of_archived_objects(void **state)
{
	struct lister_entry s = entry("k", 5, MD5_A), d = entry("k", 5, MD5_A);
	struct plan p = {.now_us = NOW};

	(void)state;
	s.storage_class = "GLACIER_IR"; /* read like any other */
	assert_step(&p, &s, NULL, PLAN_COPY, REASON_NEW);
	s.storage_class = "DEEP_ARCHIVE";
	assert_step(&p, &s, NULL, PLAN_ARCHIVED, REASON_ARCHIVED);
	assert_step(&p, &s, &d, PLAN_KEEP, REASON_SAME);
	s.restore = LISTER_RESTORE_RUNNING;
	assert_step(&p, &s, NULL, PLAN_ARCHIVED, REASON_RESTORING);
	s.restore = LISTER_RESTORE_DONE;
	s.restored_until_us = NOW + 1;
	assert_step(&p, &s, NULL, PLAN_COPY, REASON_NEW);
	s.restored_until_us = NOW;
	assert_step(&p, &s, NULL, PLAN_ARCHIVED, REASON_ARCHIVED);
}

static void plan_settles_what_was_asked(void **state)
{
	struct lister_entry s = entry("k", 5, MD5_A), d = entry("k", 5, PARTS);
	struct compare_case c = {&s, &d, NULL, &head_a, &head_a};
	struct plan p = {.now_us = NOW};
	struct plan_step step;

	(void)state;
	plan_decide(&p, &s, &d, &step);
	assert_int_equal(step.action, PLAN_ASK);
	assert_int_equal(step.asks, COMPARE_ASK_SOURCE | COMPARE_ASK_DESTINATION);
	plan_settle(&p, &c, &step);
	assert_int_equal(step.action, PLAN_KEEP);
	c.destination_head = &head_b;
	plan_settle(&p, &c, &step);
	assert_int_equal(step.reason, REASON_CHANGED);
	c.destination_head = &head_none;
	plan_settle(&p, &c, &step);
	assert_int_equal(step.reason, REASON_UNPROVEN);
	c.destination = NULL;
	plan_settle(&p, &c, &step);
	assert_int_equal(step.reason, REASON_NEW);
	c.source = NULL;
	plan_settle(&p, &c, &step);
	assert_int_equal(step.reason, REASON_VANISHED);
}

static void an_unlisted_folder_holds_its_keys(void **state)
{
	struct lister_entry folder = entry("d/", 0, ""), in = entry("d/x", 1, MD5_A);
	struct lister_entry out = entry("d0", 1, MD5_A);
	struct plan_head s = {&folder, false}, d = {&in, false};
	struct plan p = {.now_us = NOW, .deletes = true};
	struct plan_step step;

	(void)state;
	folder.unfit = "a folder that cannot be read";
	assert_int_equal(plan_next(&p, &s, &d, &step), PLAN_STEP);
	assert_int_equal(step.reason, REASON_UNFIT);
	assert_null(step.destination);
	s = (struct plan_head){NULL, true};
	assert_int_equal(plan_next(&p, &s, &d, &step), PLAN_STEP);
	assert_int_equal(step.action, PLAN_SKIP);
	assert_int_equal(step.reason, REASON_UNFIT);
	d.entry = &out;
	assert_int_equal(plan_next(&p, &s, &d, &step), PLAN_STEP);
	assert_int_equal(step.action, PLAN_DELETE);
}

static void plan_waits_for_both_sides(void **state)
{
	struct lister_entry e = entry("k", 5, MD5_A);
	struct plan_head none = {NULL, false}, end = {NULL, true}, one = {&e, false};
	struct plan p = {.now_us = NOW};
	struct plan_step step;

	(void)state;
	assert_int_equal(plan_next(&p, &none, &one, &step), PLAN_NEED_SOURCE);
	assert_int_equal(plan_next(&p, &one, &none, &step), PLAN_NEED_DESTINATION);
	assert_int_equal(plan_next(&p, &end, &none, &step), PLAN_NEED_DESTINATION);
	assert_int_equal(plan_next(&p, &end, &end, &step), PLAN_END);
	assert_int_equal(plan_next(&p, &one, &end, &step), PLAN_STEP);
	assert_int_equal(step.reason, REASON_NEW);
	assert_int_equal(plan_next(&p, &end, &one, &step), PLAN_STEP);
	assert_int_equal(step.reason, REASON_EXTRA);
}

/* --- random listings --- */

#define KEYS_MAX 40

struct side {
	char names[KEYS_MAX][8];
	struct lister_entry entries[KEYS_MAX];
	size_t count;
};

static unsigned below(uint64_t *rng, unsigned n)
{
	*rng = *rng * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(*rng >> 33) % n;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct lister_entry *)a)->key,
		((const struct lister_entry *)b)->key);
}

static void make_side(struct side *s, uint64_t *rng)
{
	static const char bytes[] = "ab/\x01\xff";
	unsigned want = below(rng, KEYS_MAX);

	s->count = 0;
	for (unsigned i = 0; i < want; i++) {
		char *name = s->names[s->count];
		unsigned len = 1 + below(rng, 4);
		bool is_new = true;

		for (unsigned k = 0; k < len; k++)
			name[k] = bytes[below(rng, 5)];
		name[len] = '\0';
		for (size_t k = 0; k < s->count; k++)
			is_new &= strcmp(s->entries[k].key, name) != 0;
		if (is_new)
			s->entries[s->count++] = entry(
				name, below(rng, 2), below(rng, 2) ? MD5_A : MD5_B);
	}
	qsort(s->entries, s->count, sizeof(s->entries[0]), by_key);
}

static const struct lister_entry *look_up(const struct side *s, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->entries[i].key, key) == 0)
			return &s->entries[i];
	return NULL;
}

/* What a key alone tells, without any merge. */
static enum reason model(const struct plan *p, const struct side *source,
	const struct side *destination, const char *key)
{
	const struct lister_entry *s = look_up(source, key);
	const struct lister_entry *d = look_up(destination, key);
	const struct lister_entry *e = s ? s : d;
	struct plan_step step;

	if (s) {
		plan_decide(p, s, d, &step);
		return step.reason;
	}
	if (e->size == 0 && key[strlen(key) - 1] == '/')
		return REASON_FOLDER;
	if (strchr(key, 'b')) /* the filter's exclude */
		return REASON_FILTERED;
	return p->deletes ? REASON_GONE : REASON_EXTRA;
}

static void run_one(
	struct plan *p, const struct side *s, const struct side *d, uint64_t *rng)
{
	size_t i = 0, k = 0, steps = 0, want = d->count;
	struct plan_step step;
	char last[8] = "";

	for (size_t n = 0; n < s->count; n++)
		want += !look_up(d, s->entries[n].key);
	for (;;) {
		bool has_s = below(rng, 3), has_d = below(rng, 3);
		struct plan_head sh = {has_s && i < s->count ? &s->entries[i] : NULL,
			has_s && i == s->count};
		struct plan_head dh = {has_d && k < d->count ? &d->entries[k] : NULL,
			has_d && k == d->count};
		enum plan_result r = plan_next(p, &sh, &dh, &step);
		const char *key;

		if (r == PLAN_END)
			break;
		assert_int_equal(r == PLAN_STEP, has_s && has_d);
		if (r != PLAN_STEP)
			continue;
		key = step.source ? step.source->key : step.destination->key;
		assert_true(!steps || strcmp(last, key) < 0);
		strcpy(last, key);
		assert_ptr_equal(step.source, look_up(s, key));
		assert_ptr_equal(step.destination, look_up(d, key));
		assert_int_equal(step.reason, model(p, s, d, key));
		assert_int_equal(step.action == PLAN_DELETE, step.reason == REASON_GONE);
		i += step.source != NULL;
		k += step.destination != NULL;
		steps++;
	}
	assert_int_equal(steps, want);
}

static void merge_equals_the_model(void **state)
{
	struct glob *no_b = compile("**b**");
	const struct glob *exclude[] = {no_b};
	struct filter_spec spec = no_limits();
	struct side *s = mem_alloc(sizeof(*s)), *d = mem_alloc(sizeof(*d));
	uint64_t rng = 1;

	(void)state;
	spec.exclude = exclude;
	spec.exclude_count = 1;
	for (int n = 0; n < 5000; n++) {
		struct plan p = {.now_us = NOW,
			.filter = filter_new(&spec),
			.compare = below(&rng, 2) ? COMPARE_SIZE : COMPARE_ETAG,
			.deletes = below(&rng, 2)};

		make_side(s, &rng);
		make_side(d, &rng);
		run_one(&p, s, d, &rng);
		filter_free(p.filter);
	}
	free(s);
	free(d);
	glob_free(no_b);
}

UNIT_MAIN(cmocka_unit_test(filter_by_name), cmocka_unit_test(filter_by_numbers),
	cmocka_unit_test(compare_by_listing_and_head),
	cmocka_unit_test(compare_by_record), cmocka_unit_test(compare_files_by_record),
	cmocka_unit_test(compare_by_version), cmocka_unit_test(plan_of_one_key),
	cmocka_unit_test(plan_of_archived_objects),
	cmocka_unit_test(plan_settles_what_was_asked),
	cmocka_unit_test(an_unlisted_folder_holds_its_keys),
	cmocka_unit_test(plan_waits_for_both_sides),
	cmocka_unit_test(merge_equals_the_model))
