/*
 * Texts with ${...}: no input crashes, errors lie inside, and what is taken can be filled
 * in, the same twice. The first byte chooses the zone and the slot.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "calendar/template.h"
#include "calendar/tz.h"
#include "fuzz.h"

static void check_expand(const struct template *t, uint8_t choice)
{
	static const char *const zones[] = {
		"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"};
	static const int64_t slots[] = {0, INT64_C(1774747800), INT64_C(4107542400)};
	static const struct template_span matches[] = {{"a", 1}, {"", 0}};
	struct template_values v = {.slot_s = slots[choice / 4 % 3],
		.job = "job",
		.run = "run",
		.host = "host",
		.matches = matches,
		.match_count = 2};
	struct buf once = BUF_INIT(4096), again = BUF_INIT(4096);
	struct tz *tz;
	int r;

	demand_of(tz_load(zones[choice % 4], &tz) == 0, "no such zone", zones[choice % 4]);
	v.zone = tz;
	r = template_expand(t, &v, &once);
	demand_of(r == 0 || r == -ENOBUFS, "it cannot be filled in", template_text(t));
	demand_of(template_expand(t, &v, &again) == r &&
			strcmp(buf_str(&once), buf_str(&again)) == 0,
		"filled in twice it differs", template_text(t));
	buf_done(&once);
	buf_done(&again);
	tz_free(tz);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template_error e = {0};
	struct template *t;
	char *text;

	if (!size)
		return 0;
	text = mem_strndup((const char *)data + 1, size - 1);
	if (template_compile(text, 2, &t, &e) == 0) {
		check_expand(t, data[0]);
		demand_of(template_matches(t) <= 2, "a wildcard that is not there", text);
		template_free(t);
	} else {
		demand_of(e.at <= strlen(text), "the error lies outside", text);
		demand_of(e.text[0] && memchr(e.text, 0, sizeof(e.text)), "no text", text);
	}
	free(text);
	return 0;
}
