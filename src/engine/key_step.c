/* Keys as numbers of mixed radix. No listing here, and no proof that a key exists. */
#include "config.h"

#include "engine/key_step.h"

#include <string.h>

static const char decimal[] = "0123456789";
static const char hex[] = "0123456789abcdef";
static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

static bool is_in(const char *set, char c)
{
	return c && strchr(set, c);
}

static void add_letters(char *to, const char *set)
{
	for (; *set; set++) {
		size_t n = strlen(to), i = 0;

		while (i < n && (unsigned char)to[i] < (unsigned char)*set)
			i++;
		if (i < n && to[i] == *set)
			continue;
		memmove(to + i + 1, to + i, n - i + 1);
		to[i] = *set;
	}
}

/* All that may stand where c stands. */
static void add_class(char *to, char c, bool is_hex)
{
	const char one[] = {c, '\0'};

	if (is_hex && is_in(hex, c))
		add_letters(to, hex);
	else if (is_in(decimal, c))
		add_letters(to, decimal);
	else if (is_in(lower, c))
		add_letters(to, lower);
	else if (is_in(upper, c))
		add_letters(to, upper);
	else
		add_letters(to, one);
}

/* Digits and letters up to f, and both of them: a hash, not a word. */
static bool looks_hex(const char *s)
{
	size_t n = strspn(s, hex), digits = 0;

	for (size_t i = 0; i < n; i++)
		digits += is_in(decimal, s[i]);
	return n >= 6 && digits && digits < n;
}

/* The digit of c: of a letter that is none, that of the next one below. */
static uint64_t rank(const char *letters, char c)
{
	uint64_t n = 0;

	while (letters[n + 1] && (unsigned char)letters[n + 1] <= (unsigned char)c)
		n++;
	return n;
}

/* The places behind the common bytes as a number; a key that ends early has zeros. */
static uint64_t value(const struct key_step *s, const char *key)
{
	uint64_t v = 0;

	key += s->at;
	for (size_t i = 0; i < s->count; i++) {
		v = v * strlen(s->letters[i]) + (*key ? rank(s->letters[i], *key) : 0);
		key += *key != '\0';
	}
	return v;
}

void key_step_learn(struct key_step *s, const char *first, const char *last)
{
	bool is_hex;
	size_t n = 0;

	memset(s, 0, sizeof(*s));
	while (first[n] && first[n] == last[n])
		n++;
	s->at = n;
	is_hex = looks_hex(first + n) || looks_hex(last + n);
	for (; s->count < KEY_STEP_DIGITS && first[n] && last[n]; n++) {
		add_class(s->letters[s->count], first[n], is_hex);
		add_class(s->letters[s->count++], last[n], is_hex);
	}
	if (!s->count)
		return;
	s->step = value(s, last) - value(s, first);
}

bool key_step_add(const struct key_step *s, const char *from, unsigned percent, char *out)
{
	uint64_t v, most = 1,
		    step = s->step < 1000000 ? s->step * percent / 100
					     : s->step / 100 * percent;

	if (!step || strlen(from) <= s->at)
		return false;
	for (size_t i = 0; i < s->count; i++)
		most *= strlen(s->letters[i]);
	v = value(s, from);
	if (step >= most - v)
		return false; /* past the last key that begins as these do */
	v += step;
	memcpy(out, from, s->at);
	out[s->at + s->count] = '\0';
	for (size_t i = s->count; i-- > 0;) {
		size_t radix = strlen(s->letters[i]);

		out[s->at + i] = s->letters[i][v % radix];
		v /= radix;
	}
	return strcmp(from, out) < 0;
}
