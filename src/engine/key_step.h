/*
 * Where the next pages of a listing may begin, guessed from what one page spans: keys
 * read as numbers whose digits are the letters seen in their place. Pure; a guess may be
 * as wrong as it likes, it costs requests and no correctness.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_STEP_DIGITS 10

struct key_step {
	size_t at; /* bytes that the page's keys have in common */
	size_t count;
	char letters[KEY_STEP_DIGITS][80]; /* of each place behind them, in order */
	uint64_t step;                     /* what the page spans; 0: no guess */
};

/* From the first and the last key of a page. */
void key_step_learn(struct key_step *s, const char *first, const char *last);
/*
 * The key that is so much of a page behind `from`: below all keys that begin so. false:
 * no guess. out holds at least strlen(from) + KEY_STEP_DIGITS + 1 bytes.
 */
bool key_step_add(
	const struct key_step *s, const char *from, unsigned percent, char *out);
