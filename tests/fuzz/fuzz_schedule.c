/*
 * All grammars of schedules: no input crashes, takes long or is refused at a place
 * outside of it; what is taken gives slots that rise, and that are found backwards too.
 * The first byte chooses the grammar and the zone.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "calendar/slot.h"
#include "fuzz.h"

#define NOW   INT64_C(1795503600) /* 2026-11-24T07:00:00Z */
#define SLOTS 5

static void check_error(const struct schedule_error *e, const char *expression)
{
	demand_of(e->position <= strlen(expression), "the error lies outside", expression);
	demand_of(e->text[0] != '\0', "the error has no text", expression);
	demand_of(memchr(e->text, 0, sizeof(e->text)) && memchr(e->hint, 0, sizeof(e->hint)),
		"a text without end", expression);
}

static void check_slots(const struct schedule *s, const char *expression)
{
	int64_t at = NOW;
	struct slot slot, back;
	int n = 0;

	for (; n < SLOTS && schedule_next(s, at, &slot) == 0; n++) {
		demand_of(slot.at_s > at, "a slot that is not later", expression);
		demand_of(schedule_prev(s, slot.at_s, &back) == 0 &&
				back.at_s == slot.at_s && slot_compare(&back, &slot) == 0,
			"a slot that is not found backwards", expression);
		at = slot.at_s;
	}
	demand_of(schedule_count(s, NOW, at, 1000) == (uint64_t)n, "another count",
		expression);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum schedule_syntax syntaxes[] = {SCHEDULE_AUTO, SCHEDULE_CRON,
		SCHEDULE_EVENTBRIDGE, SCHEDULE_EVERY, SCHEDULE_CALENDAR};
	static const char *const zones[] = {
		"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"};
	struct schedule_note notes[SCHEDULE_NOTES_MAX];
	struct schedule_spec spec;
	struct schedule_error e = {0};
	struct schedule *s;
	size_t notes_count;
	char *text;

	if (!size)
		return 0;
	text = mem_strndup((const char *)data + 1, size - 1);
	spec = (struct schedule_spec){.syntax = syntaxes[data[0] % 5],
		.expression = text,
		.timezone = zones[data[0] / 5 % 4],
		.day_match = (enum day_match)(data[0] / 20 % 3),
		.dst_overlap = (enum dst_overlap)(data[0] / 60 % 3)};
	if (schedule_new(&spec, &s, &e) < 0) {
		check_error(&e, text);
	} else {
		check_slots(s, text);
		notes_count = schedule_lint(s, NOW, notes);
		for (size_t i = 0; i < notes_count; i++)
			check_error(&notes[i].what, text);
		if (schedule_lint_future(s, NOW, notes))
			check_error(&notes[0].what, text);
		schedule_free(s);
	}
	free(text);
	return 0;
}
