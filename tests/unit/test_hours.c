/* Hours of the week: what holds when, and where a text is wrong. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "calendar/hours.h"

enum {
	SUN,
	MON,
	TUE,
	WED,
	THU,
	FRI,
	SAT
};
#define AT(hour, minute) ((hour)*60 + (minute))

static struct hours parse(const char *text)
{
	struct hours_error error;
	struct hours h;

	if (hours_parse(text, &h, &error) < 0)
		fail_msg("%s: %zu: %s", text, error.position, error.text);
	return h;
}

static void test_what_holds(void **state)
{
	static const struct {
		const char *text;
		int weekday, minute;
		bool holds;
	} cases[] = {
		{"Mon-Fri 07:00-19:00", MON, AT(7, 0), true},
		{"Mon-Fri 07:00-19:00", MON, AT(6, 59), false},
		{"Mon-Fri 07:00-19:00", FRI, AT(18, 59), true},
		{"Mon-Fri 07:00-19:00", FRI, AT(19, 0), false},
		{"Mon-Fri 07:00-19:00", SAT, AT(12, 0), false},
		{"Sat,Sun", SUN, 0, true},
		{"Sat,Sun", SAT, AT(23, 59), true},
		{"Sat,Sun", MON, 0, false},
		{"Fri-Mon", SUN, 0, true},
		{"Fri-Mon", WED, 0, false},
		{"22:00-06:00", TUE, AT(23, 0), true},
		{"22:00-06:00", TUE, AT(5, 59), true},
		{"22:00-06:00", TUE, AT(6, 0), false},
		{"Fri 22:00-06:00", FRI, AT(22, 0), true},
		{"Fri 22:00-06:00", SAT, AT(5, 0), true},
		{"Fri 22:00-06:00", FRI, AT(5, 0), false},
		{"Sat 22:00-06:00", SUN, AT(5, 0), true},
		{"mon,WED-thu 00:00-24:00", WED, AT(23, 59), true},
		{"  Tue   09:00-10:00 ", TUE, AT(9, 30), true},
		{"18:00-24:00", SUN, AT(23, 59), true},
		{"18:00-24:00", SUN, AT(0, 0), false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hours h = parse(cases[i].text);

		if (hours_hold(&h, cases[i].weekday, cases[i].minute) != cases[i].holds)
			fail_msg("case %zu: %s", i, cases[i].text);
	}
}

static void test_where_it_is_wrong(void **state)
{
	static const struct {
		const char *text;
		size_t position;
	} cases[] = {{"", 0}, {"Mon-", 4}, {"Monday", 0}, {"Mon,Xyz", 4},
		{"Mon 7:00-19:00", 4}, {"Mon 07:00", 9}, {"07:00-25:00", 6},
		{"07:60-08:00", 0}, {"Mon 07:00-07:00", 4}, {"Mon07:00-08:00", 3},
		{"Mon 07:00-08:00 UTC", 16}, {"Mon 07:00/08:00", 9}, {"Mon Tue", 4},
		{"24:00-01:00", 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hours_error error = {99, NULL, NULL};
		struct hours h;

		assert_true(hours_parse(cases[i].text, &h, &error) < 0);
		assert_non_null(error.text);
		if (error.position != cases[i].position)
			fail_msg("%s: at %zu", cases[i].text, error.position);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_holds),
		cmocka_unit_test(test_where_it_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
