/* Shared by the targets: libFuzzer's entry, and how one says what has to hold. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Else the input is a finding; text: the part of it that is to be seen. */
static inline void demand_of(bool holds, const char *what, const char *text)
{
	if (holds)
		return;
	fprintf(stderr, "%s: '%s'\n", what, text);
	abort();
}

static inline void demand(bool holds, const char *what)
{
	demand_of(holds, what, "");
}
