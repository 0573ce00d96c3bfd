/*
 * s3/list_scan against s3/list_xml: what the quick reader takes, expat's reads alike,
 * whatever was done to the page; and what services write, it takes.
 */
#include "config.h"

#include "s3/list_parse.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "s3/list.h"

#define AWS_HEAD                                       \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
	"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define TAIL "</ListBucketResult>"
#define FLAT "<IsTruncated>false</IsTruncated>"

/* xorshift: the same cases everywhere, from one seed. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static unsigned below(uint64_t *state, unsigned n)
{
	return (unsigned)(random_next(state) % n);
}

static const char *at(const struct s3_page *p, uint32_t offset)
{
	return s3_page_text(p, offset);
}

static void assert_equal_pages(const struct s3_page *a, const struct s3_page *b)
{
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->is_truncated, b->is_truncated);
	assert_string_equal(at(a, a->token_at), at(b, b->token_at));
	for (size_t i = 0; i < a->count; i++) {
		const struct s3_entry *x = &a->entries[i], *y = &b->entries[i];

		assert_int_equal(x->key_len, y->key_len);
		assert_memory_equal(at(a, x->key_at), at(b, y->key_at), x->key_len + 1);
		assert_string_equal(at(a, x->etag_at), at(b, y->etag_at));
		assert_string_equal(
			at(a, x->storage_class_at), at(b, y->storage_class_at));
		assert_int_equal(x->size, y->size);
		assert_int_equal(x->modified_us, y->modified_us);
		assert_int_equal(x->restore, y->restore);
		assert_int_equal(x->restored_until_us, y->restored_until_us);
	}
}

/* Both readers; true: the quick one took it. */
static bool read_both(const char *text, size_t len, bool *ret_is_good)
{
	struct s3_page quick = {0}, slow = {0};
	bool is_taken = list_scan(text, len, &quick);

	*ret_is_good = list_xml(text, len, &slow) == 0;
	if (is_taken && !*ret_is_good)
		fail_msg("only the quick reader takes: %.*s", (int)len, text);
	if (is_taken)
		assert_equal_pages(&quick, &slow);
	s3_page_done(&quick);
	s3_page_done(&slow);
	return is_taken;
}

static bool is_good(const char *text)
{
	bool result;

	read_both(text, strlen(text), &result);
	return result;
}

static void reads_what_aws_writes(void **state)
{
	static const char text[] = AWS_HEAD
		"<Name>b</Name><Prefix>a%20b/</Prefix><KeyCount>2</KeyCount>"
		"<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>"
		"<IsTruncated>true</IsTruncated>"
		"<NextContinuationToken>1ueGcxLPRx1Tr/XYExHn=</NextContinuationToken>"
		"<Contents><Key>a+b%2Bc/%25</Key>"
		"<LastModified>2025-11-24T16:00:00.250Z</LastModified>"
		"<ETag>&quot;70ee1738b6b21e2c8a43f3a5ab0eee71&quot;</ETag>"
		"<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
		"<Size>11</Size><StorageClass>GLACIER</StorageClass>"
		"<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
		"<RestoreExpiryDate>2025-12-31T00:00:00.000Z</RestoreExpiryDate>"
		"</RestoreStatus><Owner><ID>75aa</ID></Owner></Contents>"
		"<Contents><Size>9223372036854775807</Size><Key>%C3%BC</Key></Contents>"
		"<CommonPrefixes><Prefix>z/</Prefix></CommonPrefixes>" TAIL "\n";
	struct s3_page p = {0};

	(void)state;
	assert_true(list_scan(text, strlen(text), &p));
	assert_int_equal(p.count, 2);
	assert_true(p.is_truncated);
	assert_string_equal(at(&p, p.token_at), "1ueGcxLPRx1Tr/XYExHn=");
	assert_string_equal(at(&p, p.entries[0].key_at), "a b+c/%");
	assert_int_equal(p.entries[0].key_len, 7);
	assert_int_equal(p.entries[0].modified_us, INT64_C(1764000000250000));
	assert_string_equal(
		at(&p, p.entries[0].etag_at), "\"70ee1738b6b21e2c8a43f3a5ab0eee71\"");
	assert_string_equal(at(&p, p.entries[0].storage_class_at), "GLACIER");
	assert_int_equal(p.entries[0].restore, S3_RESTORE_DONE);
	assert_int_equal(p.entries[0].restored_until_us, INT64_C(1767139200000000));
	assert_string_equal(at(&p, p.entries[1].key_at), "\xc3\xbc");
	assert_int_equal(p.entries[1].size, INT64_MAX);
	assert_int_equal(p.entries[1].restore, S3_RESTORE_NONE);
	assert_string_equal(at(&p, p.entries[1].etag_at), "");
	s3_page_done(&p);
	assert_true(is_good(text));
}

static void refuses_what_is_no_listing(void **state)
{
	static const char *const bad[] = {
		"",
		"<html></html>",
		AWS_HEAD TAIL, /* nobody knows whether more follows */
		AWS_HEAD "<IsTruncated>maybe</IsTruncated>" TAIL,
		AWS_HEAD FLAT "<Contents><Size>1</Size></Contents>" TAIL,
		AWS_HEAD FLAT "<Contents><Key>a</Key></Contents>" TAIL,
		AWS_HEAD FLAT "<Contents><Key></Key><Size>1</Size></Contents>" TAIL,
		AWS_HEAD FLAT "<Contents><Key>a</Key><Size>-1</Size></Contents>" TAIL,
		AWS_HEAD FLAT "<Contents><Key>a</Key><Size>9223372036854775808</Size>"
			      "</Contents>" TAIL,
		AWS_HEAD FLAT "<EncodingType>url</EncodingType>"
			      "<Contents><Key>a%0</Key><Size>1</Size></Contents>" TAIL,
		AWS_HEAD FLAT "<EncodingType>url</EncodingType>"
			      "<Contents><Key>a%00b</Key><Size>1</Size></Contents>" TAIL,
		AWS_HEAD FLAT "<Contents><Key>a</Key><Size>1</Size>"
			      "<LastModified>today</LastModified></Contents>" TAIL,
		AWS_HEAD FLAT "<Contents><Key>a</Key><Size>1</Size></Contents>",
		AWS_HEAD FLAT TAIL "x",
		"<!DOCTYPE a><ListBucketResult>" FLAT TAIL,
		AWS_HEAD FLAT "<a></b>" TAIL,
		AWS_HEAD FLAT "&unknown;" TAIL,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (is_good(bad[i]))
			fail_msg("taken: %s", bad[i]);
	assert_true(is_good(AWS_HEAD FLAT TAIL));
}

static void a_key_has_at_most_1024_bytes(void **state)
{
	(void)state;
	for (size_t len = 1023; len <= 1025; len++) {
		_cleanup_free_ char *key = mem_alloc(len + 1);
		_cleanup_free_ char *text = NULL;

		memset(key, 'k', len);
		text = mem_printf(AWS_HEAD FLAT
			"<Contents><Key>%s</Key><Size>1</Size></Contents>" TAIL,
			key);
		assert_int_equal(is_good(text), len <= 1024);
	}
}

/* Forms that the quick reader leaves to expat; the listing is good all the same. */
static void leaves_the_rest_to_expat(void **state)
{
	static const char *const odd[] = {
		"<?xml version='1.0'?><ListBucketResult>" FLAT TAIL,
		AWS_HEAD FLAT "<!-- hello -->" TAIL,
		AWS_HEAD FLAT "<Contents><Key><![CDATA[a]]></Key><Size>1</Size>"
			      "</Contents>" TAIL,
		AWS_HEAD FLAT
		"<Contents><Key>\xc3\xbc</Key><Size>1</Size></Contents>" TAIL,
		AWS_HEAD FLAT "<Contents><Key>a</Key><Key>b</Key><Size>1</Size>"
			      "</Contents>" TAIL,
		AWS_HEAD FLAT "<Contents><Key>&#97;</Key><Size>1</Size></Contents>" TAIL,
		AWS_HEAD FLAT "\r\n" TAIL,
		AWS_HEAD FLAT "text" TAIL,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		bool good;

		if (read_both(odd[i], strlen(odd[i]), &good) || !good)
			fail_msg("not left to expat, or bad: %s", odd[i]);
	}
}

/* --- random pages --- */

static void put_key(struct buf *b, uint64_t *rng)
{
	static const char *const pieces[] = {"a", "b/", "%2F", "+", "%C3%BC", "&amp;",
		"0", "x.csv", "%25", "~", "-", "_", "&quot;", "%E2%82%AC", "&lt;", "'"};

	for (unsigned n = 1 + below(rng, 8); n > 0; n--)
		buf_puts(b, pieces[below(rng, ARRAY_LEN(pieces))]);
}

static void put_leaf(struct buf *b, uint64_t *rng, unsigned which)
{
	switch (which) {
	case 0:
		buf_puts(b, "<Key>");
		put_key(b, rng);
		buf_puts(b, "</Key>");
		break;
	case 1:
		buf_printf(b, "<Size>%u</Size>", below(rng, 1000000));
		break;
	case 2:
		buf_printf(b,
			"<LastModified>20%02u-%02u-%02uT%02u:%02u:%02u.%03uZ"
			"</LastModified>",
			below(rng, 40), 1 + below(rng, 12), 1 + below(rng, 28),
			below(rng, 24), below(rng, 60), below(rng, 60), below(rng, 1000));
		break;
	case 3:
		buf_printf(b, "<ETag>&quot;%x&quot;</ETag>", below(rng, 1 << 30));
		break;
	case 4:
		buf_puts(b, below(rng, 2) ? "<StorageClass>STANDARD</StorageClass>"
					  : "<StorageClass/>");
		break;
	case 5:
		buf_puts(b, below(rng, 2) ? "<RestoreStatus><IsRestoreInProgress>true"
					    "</IsRestoreInProgress></RestoreStatus>"
					  : "<RestoreStatus/>");
		break;
	default:
		buf_puts(b, below(rng, 2) ? "<Owner><ID>1</ID>\n <DisplayName/></Owner>"
					  : "<Type >x&gt;y</Type >");
	}
}

static void put_entry(struct buf *b, uint64_t *rng)
{
	unsigned order[] = {0, 1, 2, 3, 4, 5, 6};

	buf_puts(b, "<Contents>");
	for (unsigned i = ARRAY_LEN(order); i > 1; i--) {
		unsigned k = below(rng, i), swap = order[k];

		order[k] = order[i - 1];
		order[i - 1] = swap;
	}
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (order[i] < 2 || below(rng, 4))
			put_leaf(b, rng, order[i]);
		if (!below(rng, 8))
			buf_puts(b, "\n\t ");
	}
	buf_puts(b, "</Contents>");
}

static void make_page(struct buf *b, uint64_t *rng)
{
	bool is_late = below(rng, 2);

	buf_reset(b);
	if (below(rng, 2))
		buf_puts(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	buf_puts(b, "<ListBucketResult xmlns='x'>");
	if (!is_late)
		buf_puts(b, "<EncodingType>url</EncodingType>" FLAT);
	for (unsigned n = below(rng, 5); n > 0; n--)
		put_entry(b, rng);
	if (below(rng, 2))
		buf_puts(b, "<NextContinuationToken>a&amp;b</NextContinuationToken>");
	if (is_late)
		buf_puts(b, "<IsTruncated>true</IsTruncated>"
			    "<EncodingType>url</EncodingType>");
	buf_puts(b, TAIL);
}

static void mutate(struct buf *b, uint64_t *rng)
{
	static const char bytes[] = "<>/&;\"'= %x0aK]\r\n\x80\x01:!?-";
	unsigned from = below(rng, (unsigned)b->len), len, to;

	switch (below(rng, 4)) {
	case 0: /* another byte */
		b->data[from] = bytes[below(rng, sizeof(bytes))];
		break;
	case 1: /* some are lost */
		len = below(rng, 12) % (unsigned)(b->len - from);
		memmove(b->data + from, b->data + from + len, b->len - from - len);
		b->len -= len;
		break;
	case 2: /* a piece lands elsewhere */
		to = below(rng, (unsigned)b->len);
		len = below(rng, 30) % (unsigned)(b->len - (from > to ? from : to));
		memmove(b->data + to, b->data + from, len);
		break;
	default: /* cut off */
		if (!below(rng, 8))
			b->len = from;
	}
}

static void both_readers_agree(void **state)
{
	const char *cases = getenv("S3FERRY_CASES");
	unsigned count = cases ? (unsigned)strtoul(cases, NULL, 10) : 1000;
	unsigned taken = 0, good_ones = 0;
	struct buf b = BUF_INIT(65536);
	uint64_t rng = 88172645463325252U;
	bool good;

	(void)state;
	for (unsigned i = 0; i < 10 * count; i++) {
		make_page(&b, &rng);
		if (!read_both(b.data, b.len, &good))
			fail_msg("not taken: %.*s", (int)b.len, b.data);
		for (unsigned n = 1 + below(&rng, 4); n > 0 && b.len > 1; n--)
			mutate(&b, &rng);
		taken += read_both(b.data, b.len, &good);
		good_ones += good;
	}
	/* else the mutations are too rude to say anything */
	assert_true(taken > count && good_ones > taken);
	buf_done(&b);
}

UNIT_MAIN(cmocka_unit_test(reads_what_aws_writes),
	cmocka_unit_test(refuses_what_is_no_listing),
	cmocka_unit_test(a_key_has_at_most_1024_bytes),
	cmocka_unit_test(leaves_the_rest_to_expat), cmocka_unit_test(both_readers_agree))
