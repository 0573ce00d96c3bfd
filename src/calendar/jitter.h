/*
 * The fixed delay of a job: the same on each start, spread over machines and names. Pure,
 * but for reading the machine's id. HMAC-SHA256 where one would expect SipHash: it is there
 * anyway, and nobody can tell the delays apart.
 */
#pragma once

#include <stdint.h>

struct schedule;
struct slot;

#define JITTER_KEY_LEN 32

/* From the machine's id, which goes nowhere else: neither log nor error text. */
void jitter_read_key(uint8_t key[JITTER_KEY_LEN]);
/* 0 .. jitter_s, the same for the same key and name. */
int64_t jitter_of(const uint8_t key[JITTER_KEY_LEN], const char *name, int64_t jitter_s);
/* When a slot starts: never past the next nominal one. */
int64_t jitter_effective(
	const struct schedule *s, const struct slot *slot, int64_t jitter);
