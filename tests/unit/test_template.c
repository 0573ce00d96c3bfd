/*
 * calendar/template: what is filled in, on the days when clocks change and in leap years,
 * every error with its place, and the C library's strftime as the judge of formats.
 */
#include "config.h"

#include "calendar/template.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "calendar/tz.h"

static struct template_values values(const struct tz *zone, const char *slot)
{
	static const struct template_span matches[] = {{"alpha", 5}, {"b/c", 3}};
	struct template_values v = {0, zone, "nightly", "run-7", "web1", matches, 2};

	assert_int_equal(clock_parse_iso(slot, &v.slot_s), 0);
	return v;
}

static void assert_text(
	const char *zone, const char *slot, const char *text, const char *expected)
{
	struct buf out = BUF_INIT(1024);
	struct template_values v;
	struct template_error e;
	struct template *t;
	struct tz *tz;

	assert_int_equal(tz_load(zone, &tz), 0);
	v = values(tz, slot);
	if (template_compile(text, 2, &t, &e) < 0)
		fail_msg("%s: %zu: %s", text, e.at, e.text);
	assert_int_equal(template_expand(t, &v, &out), 0);
	if (strcmp(buf_str(&out), expected) != 0)
		fail_msg("%s at %s: '%s' instead of '%s'", text, slot, buf_str(&out),
			expected);
	template_free(t);
	buf_done(&out);
	tz_free(tz);
}

static void fills_in(void **state)
{
	static const char *const cases[][2] = {
		{"plain/key", "plain/key"},
		{"", ""},
		{"a${date}b", "a2026-11-26b"},
		{"${date:%Y/%m/%d}/", "2026/11/26/"},
		{"${date-1d}", "2026-11-25"},
		{"${date-1d:%F}", "2026-11-25"},
		{"${date+2h:%H}", "08"},
		{"${date-30m:%R}", "06:00"},
		{"${date+1w:%d}", "03"},
		{"${date+1w-1d+12h:%F %R}", "2026-12-02 18:30"},
		{"${job}/${run}/${host}", "nightly/run-7/web1"},
		{"${match.2}-${match.1}", "b/c-alpha"},
		{"$$x$$", "$x$"},
		{"${date:100%%}", "100%"},
		{"${date:%G-W%V-%u %j %y %e %I%p}", "2026-W48-4 330 26 26 06AM"},
		{"${date:%a %A %b %B %w %D %T %g}",
			"Thu Thursday Nov November 4 11/26/26 06:30:15 26"},
		{"${date:%s %z %Z}", "1795671015 +0100 CET"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_text("Europe/Berlin", "2026-11-26T05:30:15Z", cases[i][0],
			cases[i][1]);
}

static void days_are_calendar_days(void **state)
{
	static const struct {
		const char *zone, *slot, *text, *expected;
	} cases[] = {
		/* 00:30 in Berlin is still yesterday in UTC */
		{"Europe/Berlin", "2026-07-01T22:30:00Z", "${date} ${date-1d}",
			"2026-07-02 2026-07-01"},
		/* the day has 23 hours: a day before is the same wall time */
		{"Europe/Berlin", "2026-03-29T22:30:00Z", "${date-1d:%F %R}",
			"2026-03-29 00:30"},
		{"Europe/Berlin", "2026-03-29T10:00:00Z", "${date-1d:%F %R %z}",
			"2026-03-28 12:00 +0100"},
		/* ... and 24 hours before are another one */
		{"Europe/Berlin", "2026-03-29T10:00:00Z", "${date-24h:%F %R %z}",
			"2026-03-28 11:00 +0100"},
		/* the day has 25 hours */
		{"Europe/Berlin", "2026-10-25T22:30:00Z", "${date-1d:%F %R}",
			"2026-10-24 23:30"},
		{"Europe/Berlin", "2026-10-25T22:30:00Z", "${date-24h:%F %R}",
			"2026-10-25 00:30"},
		/* hours through the repeated one: 02:30 twice */
		{"Europe/Berlin", "2026-10-25T00:30:00Z", "${date:%R%z}${date+1h:%R%z}",
			"02:30+020002:30+0100"},
		/* a day later is in the gap: the wall time stays, the moment is real */
		{"Europe/Berlin", "2026-03-28T01:30:00Z", "${date+1d:%F %R %s}",
			"2026-03-29 02:30 1774747800"},
		/* of two moments the first */
		{"Europe/Berlin", "2026-10-24T00:30:00Z", "${date+1d:%R %s %z}",
			"02:30 1792888200 +0200"},
		/* leap years */
		{"UTC", "2028-03-01T00:00:00Z", "${date-1d} ${date:%j}",
			"2028-02-29 061"},
		{"UTC", "2026-03-01T00:00:00Z", "${date-1d} ${date:%j}",
			"2026-02-28 060"},
		{"UTC", "2100-03-01T00:00:00Z", "${date-1d}", "2100-02-28"},
		{"UTC", "2028-02-29T12:00:00Z", "${date+366d} ${date-52w}",
			"2029-03-01 2027-03-02"},
		{"UTC", "2026-12-31T23:59:59Z", "${date+1m:%FT%T}",
			"2027-01-01T00:00:59"},
		/* a whole day was left out: Samoa went over the date line */
		{"Pacific/Apia", "2011-12-31T10:00:00Z", "${date:%F} ${date-1d:%F}",
			"2012-01-01 2011-12-31"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_text(
			cases[i].zone, cases[i].slot, cases[i].text, cases[i].expected);
}

static void errors_say_where_and_what(void **state)
{
	static const struct {
		const char *text;
		size_t at;
		const char *words;
	} cases[] = {
		{"a/$x", 2, "$$"},
		{"a$", 1, "$$"},
		{"a/${date", 2, "'}'"},
		{"${dat}", 2, "did you mean ${date}"},
		{"${run_id}", 2, "did you mean ${run}"},
		{"${nothing-like-it}", 2, "known are date"},
		{"${}", 2, "known are date"},
		{"${env:HOME}", 2, "not for a key"},
		{"${date:%Y/%N}", 10, "known are"},
		{"${date:%h}", 7, "did you mean %H"},
		{"${date:YYYY-MM-DD}", 7, "%Y/%m/%d"},
		{"${date:}", 7, "%Y/%m/%d"},
		{"${date:%}", 7, "nothing stands"},
		{"${date:%-d}", 7, "known are"},
		{"${date-1}", 8, "the unit is"},
		{"${date-1M}", 8, "the unit is"},
		{"${date-d}", 6, "a number"},
		{"${date-99999d}", 6, "200 years"},
		{"${date-99999999999999999999d}", 6, "200 years"},
		{"${date-1d-1d-1d-1d-1d}", 18, "four"},
		{"${date.x}", 6, "to follow"},
		{"${date-1d%F}", 9, "to follow"},
		{"${job-1d}", 5, "nothing is to stand"},
		{"${match}", 7, "${match.1}"},
		{"${match.0}", 7, "${match.1}"},
		{"${match.3}", 7, "only 2 wildcards"},
	};
	struct template_error e;
	struct template *t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (template_compile(cases[i].text, 2, &t, &e) == 0)
			fail_msg("taken: %s", cases[i].text);
		if (e.at != cases[i].at || !strstr(e.text, cases[i].words))
			fail_msg("%s: %zu: %s", cases[i].text, e.at, e.text);
	}
	assert_true(template_compile("${match.1}", 0, &t, &e) < 0);
	assert_non_null(strstr(e.text, "no pattern"));
}

static void tells_what_it_is_made_of(void **state)
{
	struct template_error e;
	struct template *t;

	(void)state;
	assert_int_equal(template_compile("a$$b", 0, &t, &e), 0);
	assert_true(template_is_constant(t));
	assert_string_equal(template_text(t), "a$$b");
	template_free(t);
	assert_int_equal(template_compile("${job}/${match.2}", 2, &t, &e), 0);
	assert_false(template_is_constant(t));
	assert_false(template_has_date(t));
	assert_int_equal(template_matches(t), 2);
	template_free(t);
	assert_int_equal(template_compile("x${date}", 0, &t, &e), 0);
	assert_true(template_has_date(t));
	assert_int_equal(template_matches(t), 0);
	template_free(t);
	template_free(NULL);
}

static void a_full_buffer_is_told(void **state)
{
	struct buf out = BUF_INIT(5);
	struct template_error e;
	struct template_values v;
	struct template *t;
	struct tz *tz;

	(void)state;
	assert_int_equal(tz_load("UTC", &tz), 0);
	v = values(tz, "2026-11-26T00:00:00Z");
	assert_int_equal(template_compile("a${date}", 0, &t, &e), 0);
	assert_int_equal(template_expand(t, &v, &out), -105);
	template_free(t);
	buf_done(&out);
	tz_free(tz);
}

/* The format is put together, for a compiler warns of %y in a literal. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* Every format at many moments, in UTC and in the C locale. */
static void formats_are_strftimes(void **state)
{
	static const char formats[] = "YymdeHIMSpjGgVuwaAbBFTRD";
	struct template_error e;
	struct template *t;
	struct tz *tz;
	struct buf format = BUF_INIT(256), text = BUF_INIT(256);

	(void)state;
	for (const char *f = formats; *f; f++)
		buf_printf(&format, "%%%c|", *f);
	buf_printf(&text, "${date:%s}", buf_str(&format));
	assert_int_equal(tz_load("UTC", &tz), 0);
	assert_int_equal(template_compile(buf_str(&text), 0, &t, &e), 0);
	for (int64_t at = INT64_C(946684800); at < INT64_C(4102444800);
		at += 86400 * 3 + 7777) {
		struct template_values v = {.slot_s = at, .zone = tz};
		struct buf out = BUF_INIT(1024);
		time_t now = (time_t)at;
		char expected[512];
		struct tm tm;

		gmtime_r(&now, &tm);
		assert_true(
			strftime(expected, sizeof(expected), buf_str(&format), &tm) > 0);
		assert_int_equal(template_expand(t, &v, &out), 0);
		assert_string_equal(buf_str(&out), expected);
		buf_done(&out);
	}
	buf_done(&format);
	buf_done(&text);
	template_free(t);
	tz_free(tz);
}

/* Whatever it is given, it takes it or says where: never past the end. */
static void hostile_texts(void **state)
{
	static const char bytes[] = "${}dateobjrunhsmtch.:+-%0123456789FYhw ";
	struct template_error e;
	uint64_t rng = 99;
	unsigned taken = 0;
	struct tz *tz;

	(void)state;
	assert_int_equal(tz_load("Europe/Berlin", &tz), 0);
	for (int i = 0; i < 50000; i++) {
		static const char *const seeds[] = {"${date-1d:%F}", "${match.1}/$$",
			"${date+2h:%H}${job}", "a/${run}-${host}"};
		struct template_values v = values(tz, "2026-11-26T00:00:00Z");
		struct buf out = BUF_INIT(4096);
		struct template *t;
		char text[32];

		snprintf(text, sizeof(text), "%s", seeds[i % 4]);
		for (int n = 0; n < 3; n++) {
			rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407;
			text[(rng >> 33) % strlen(text)] =
				bytes[(rng >> 45) % (sizeof(bytes) - 1)];
		}
		if (template_compile(text, 2, &t, &e) == 0) {
			assert_int_equal(template_expand(t, &v, &out), 0);
			template_free(t);
			taken++;
		} else {
			assert_true(e.at <= strlen(text) && e.text[0]);
		}
		buf_done(&out);
	}
	assert_true(taken > 1000);
	tz_free(tz);
}

UNIT_MAIN(cmocka_unit_test(fills_in), cmocka_unit_test(days_are_calendar_days),
	cmocka_unit_test(errors_say_where_and_what),
	cmocka_unit_test(tells_what_it_is_made_of),
	cmocka_unit_test(a_full_buffer_is_told), cmocka_unit_test(formats_are_strftimes),
	cmocka_unit_test(hostile_texts))
