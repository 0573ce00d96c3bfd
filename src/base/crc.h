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
/* As in x-amz-checksum-crc64nvme: base64 of the big-endian value. */
void crc64nvme_base64(uint64_t crc, char out[CRC64_BASE64_LEN]);
