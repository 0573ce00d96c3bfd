/* Reads manifests: whether each row follows the one before, and what is told of a key. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/gzip.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/manifest.h"
#include "run/manifest_impl.h"

bool manifest_follows(uint8_t chain[CRYPTO_SHA256_LEN], const char *line, size_t len)
{
	char tail[MANIFEST_TAIL + 1], hex[MANIFEST_HASH_LEN];

	if (len < MANIFEST_TAIL)
		return false;
	manifest_chain(chain, line, len - MANIFEST_TAIL);
	str_to_hex(chain, CRYPTO_SHA256_LEN, hex);
	snprintf(tail, sizeof(tail), ",\"hash\":\"%s\"}", hex);
	return memcmp(tail, line + len - MANIFEST_TAIL, MANIFEST_TAIL) == 0;
}

/* An open manifest, row by row. */
struct reader {
	int fd;
	struct gzip_reader *gzip;
	struct buf line;
};

static int reader_open(struct reader *r, const char *path)
{
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0)
		return -errno;
	r->gzip = gzip_reader_new(r->fd);
	buf_init(&r->line, MANIFEST_ROW_MAX);
	return 0;
}

static void reader_close(struct reader *r)
{
	gzip_reader_free(r->gzip);
	buf_done(&r->line);
	close(r->fd);
}

/* --- verify --- */

static void count(struct manifest_summary *s, const struct json *v)
{
	enum reason r = reason_find(json_get_str(v, "reason"), false);
	int64_t n = json_get_int(v, "count", 1);

	if (json_get_bool(v, "begun", false))
		return;
	if (r != REASON_NONE && n > 0)
		s->counts[r] += (uint64_t)n;
	if (json_get_str(v, "key"))
		s->bytes += (uint64_t)json_get_int(v, "bytes", 0);
}

static bool is_total(const struct manifest_summary *s, const struct json *v)
{
	const struct json *counts = json_get(v, "counts");

	for (enum reason r = REASON_NONE + 1; r < REASONS; r++)
		if (reason_kind(r) != REASON_KIND_RUN &&
			json_get_int(counts, reason_code(r), 0) != (int64_t)s->counts[r])
			return false;
	return json_get_int(v, "rows", -1) == (int64_t)s->rows &&
	       json_get_int(v, "bytes", -1) == (int64_t)s->bytes;
}

/* One row; *is_closed once the closing one was seen. NULL, or what is wrong. */
static const char *check_row(struct manifest_summary *s, uint8_t chain[CRYPTO_SHA256_LEN],
	const struct buf *line, bool *is_closed)
{
	const char *wrong = NULL;
	struct json *v;

	if (*is_closed)
		return "a row stands behind the closing one";
	if (!manifest_follows(chain, buf_str(line), line->len))
		return "this row, or one before it, is not what was written";
	v = json_parse(line->data, line->len, NULL);
	if (!json_is_object(v)) {
		wrong = "this row is no JSON object";
	} else if (json_get_str(v, "verdict")) {
		*is_closed = true;
		if (!is_total(s, v))
			wrong = "the closing row counts other rows than there are";
	} else {
		count(s, v);
	}
	s->rows++;
	json_free(v);
	return wrong;
}

int manifest_verify(
	const char *path, struct manifest_summary *ret, uint64_t *ret_line, char why[128])
{
	uint8_t chain[CRYPTO_SHA256_LEN] = {0};
	const char *wrong = NULL;
	bool is_closed = false;
	struct reader rd;
	int r;

	*ret = (struct manifest_summary){0};
	*ret_line = 0;
	snprintf(why, 128, "%s", "");
	r = reader_open(&rd, path);
	if (r < 0)
		return r;
	while (!wrong && (r = gzip_read_line(rd.gzip, &rd.line)) == 1) {
		++*ret_line;
		wrong = check_row(ret, chain, &rd.line, &is_closed);
	}
	if (!wrong && (r == -EBADMSG || r == -ENOBUFS))
		wrong = "the file is damaged or cut off behind this row";
	if (!wrong && r == 0 && !is_closed)
		wrong = "there is no closing row";
	if (wrong)
		snprintf(why, 128, "%s", wrong);
	str_to_hex(chain, sizeof(chain), ret->hash);
	reader_close(&rd);
	return wrong ? -EBADMSG : r;
}

/* --- find --- */

enum relation {
	OTHER,
	SHARED, /* between the first and the last key of the row */
	OWN,
};

static enum relation relation_of(const struct json *v, const char *key)
{
	const char *own = json_get_str(v, "key");
	const char *from = json_get_str(v, "from"), *to = json_get_str(v, "to");

	if (own)
		return strcmp(own, key) == 0 ? OWN : OTHER;
	return from && to && strcmp(from, key) <= 0 && strcmp(key, to) <= 0 ? SHARED
									    : OTHER;
}

int manifest_find(const char *path, const char *key, struct buf *ret)
{
	enum relation best = OTHER;
	struct reader rd;
	int r = reader_open(&rd, path);

	if (r < 0)
		return r;
	buf_reset(ret);
	while ((r = gzip_read_line(rd.gzip, &rd.line)) == 1) {
		struct json *v = json_parse(rd.line.data, rd.line.len, NULL);
		enum relation relation = relation_of(v, key);

		/* Of equal ones the last: it was taken up and done once more. */
		if (relation != OTHER && relation >= best) {
			best = relation;
			buf_reset(ret);
			buf_append(ret, rd.line.data, rd.line.len);
		}
		json_free(v);
	}
	reader_close(&rd);
	return r < 0 ? r : best != OTHER;
}
