/*
 * CRC-32 (IEEE 802.3) and CRC-32C (Castagnoli), which other clients store with objects.
 * Pure. Start with 0; feeding in pieces gives the same as feeding at once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CRC32_BASE64_LEN 9 /* 8 characters and NUL */

enum crc32_kind {
	CRC32_IEEE,
	CRC32_C,
	CRC32_KINDS,
};

uint32_t crc32_update(enum crc32_kind kind, uint32_t crc, const void *data, size_t len);
/* Of A followed by B, from their values and B's length. */
uint32_t crc32_append(
	enum crc32_kind kind, uint32_t crc_a, uint32_t crc_b, uint64_t len_b);
/* As in x-amz-checksum-crc32 and -crc32c: base64 of the big-endian value. */
void crc32_base64(uint32_t crc, char out[CRC32_BASE64_LEN]);
