/* Where a job's delay comes from and how far it may go. Not when slots are (slot.c). */
#include "config.h"

#include "calendar/jitter.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "calendar/slot.h"

#define APP_ID "s3ferry.jitter.1"

void jitter_read_key(uint8_t key[JITTER_KEY_LEN])
{
	char id[64] = "";
	ssize_t n = 0;
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, id, sizeof(id));
		close(fd);
	}
	crypto_hmac_sha256(id, n > 0 ? (size_t)n : 0, APP_ID, strlen(APP_ID), key);
	mem_wipe(id, sizeof(id));
}

int64_t jitter_of(const uint8_t key[JITTER_KEY_LEN], const char *name, int64_t jitter_s)
{
	uint8_t digest[CRYPTO_SHA256_LEN];
	uint64_t n = 0;

	if (jitter_s <= 0)
		return 0;
	crypto_hmac_sha256(key, JITTER_KEY_LEN, name, strlen(name), digest);
	for (size_t i = 0; i < sizeof(n); i++)
		n = n << 8 | digest[i];
	return (int64_t)(n % ((uint64_t)jitter_s + 1));
}

int64_t jitter_effective(
	const struct schedule *s, const struct slot *slot, int64_t jitter)
{
	struct slot next;

	if (jitter > 0 && schedule_next(s, slot->at_s, &next) == 0 &&
		slot->at_s + jitter >= next.at_s)
		return next.at_s - 1;
	return slot->at_s + jitter;
}
