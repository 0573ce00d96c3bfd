/*
 * CRC-64/NVME, the full-object checksum that S3 itself prefers, over bytes as they pass.
 * Pure. Start with 0; feeding in pieces gives the same as feeding at once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CRC64_BASE64_LEN 13 /* 12 characters and NUL */

uint64_t crc64nvme(uint64_t crc, const void *data, size_t len);
/* The same without the CPU's carry-less multiplication; for tests. */
uint64_t crc64nvme_portable(uint64_t crc, const void *data, size_t len);
/*
 * Of A followed by B: crc64nvme_append(crc_a, crc64nvme_shift(length of B), crc_b). The
 * shift of equal lengths is worth keeping.
 */
uint64_t crc64nvme_shift(uint64_t len);
uint64_t crc64nvme_append(uint64_t crc_a, uint64_t shift_b, uint64_t crc_b);
/* As in x-amz-checksum-crc64nvme: base64 of the big-endian value. */
void crc64nvme_base64(uint64_t crc, char out[CRC64_BASE64_LEN]);
/* And back: 0 or -EINVAL. */
int crc64nvme_parse(const char *base64, uint64_t *ret);
