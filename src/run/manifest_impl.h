/* Shared by the files of run/ that write and read manifests: the form of a row. */
#pragma once

#include "base/buf.h"
#include "base/crypto.h"

#define MANIFEST_ROW_MAX (64 * 1024) /* bytes; two keys, escaped, and some texts */
#define MANIFEST_TAIL    (sizeof(",\"hash\":\"\"}") - 1 + 2 * CRYPTO_SHA256_LEN)

/* The chain after a row: SHA-256 of the chain before it and the row without its hash. */
void manifest_chain(uint8_t chain[CRYPTO_SHA256_LEN], const char *row, size_t len);
/* Whether this line follows; moves the chain on. len: with its hash, without its end. */
bool manifest_follows(uint8_t chain[CRYPTO_SHA256_LEN], const char *line, size_t len);
