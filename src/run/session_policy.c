/* Grants to a policy document. Who asks for what is run_identity's. */
#include "config.h"

#include "run/session_policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define GRANTS_MAX 4
#define TEXT_MAX   (64 * 1024)

/* clang-format off */
static const struct {
	const char *verb;
	size_t flag; /* of struct session_grant */
} verbs[] = {
	{"s3:GetObject",                offsetof(struct session_grant, reads)},
	{"s3:GetObjectVersion",         offsetof(struct session_grant, reads)},
	{"s3:GetObjectTagging",         offsetof(struct session_grant, reads)},
	{"s3:GetObjectVersionTagging",  offsetof(struct session_grant, reads)},
	{"s3:GetObjectRetention",       offsetof(struct session_grant, reads_locks)},
	{"s3:GetObjectLegalHold",       offsetof(struct session_grant, reads_locks)},
	{"s3:PutObject",                offsetof(struct session_grant, writes)},
	{"s3:PutObjectTagging",         offsetof(struct session_grant, writes)},
	{"s3:PutObjectAcl",             offsetof(struct session_grant, writes)},
	{"s3:PutObjectRetention",       offsetof(struct session_grant, writes_locks)},
	{"s3:PutObjectLegalHold",       offsetof(struct session_grant, writes_locks)},
	{"s3:AbortMultipartUpload",     offsetof(struct session_grant, writes)},
	{"s3:ListMultipartUploadParts", offsetof(struct session_grant, writes)},
	{"s3:DeleteObject",             offsetof(struct session_grant, deletes)},
	{"s3:RestoreObject",            offsetof(struct session_grant, restores)},
};
/* clang-format on */

static bool has(const struct session_grant *g, size_t flag)
{
	return *(const bool *)((const char *)g + flag);
}

/* Bytes of the key that a policy can hold and that are no pattern of ours. */
static size_t literal_len(const char *key)
{
	size_t n = 0;

	while (key[n] >= ' ' && key[n] <= '~' && !strchr("*?[{", key[n]) &&
		!(key[n] == '$' && key[n + 1] == '{'))
		n++;
	return n;
}

/* A '$' before '{' cannot come here: it ends the literal part. */
static void put_pattern(struct json_writer *w, const char *head,
	const struct session_grant *g, size_t len)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	buf_printf(&text, "%s%.*s%s", head, (int)len, g->key,
		g->is_prefix || g->key[len] ? "*" : "");
	json_put_str(w, NULL, buf_str(&text));
	buf_done(&text);
}

/* Where its objects are; an access point's stand behind "/object/". */
static void object_head(const struct session_grant *g, struct buf *out)
{
	if (str_has_prefix(g->bucket, "arn:"))
		buf_printf(out, "%s/object/", g->bucket);
	else
		buf_printf(out, "arn:%s:s3:::%s/", g->partition, g->bucket);
}

static void put_objects(struct json_writer *w, const struct session_grant *g, size_t len)
{
	struct buf head = BUF_INIT(TEXT_MAX);

	json_object_begin(w, NULL);
	json_put_str(w, "Effect", "Allow");
	json_array_begin(w, "Action");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (has(g, verbs[i].flag))
			json_put_str(w, NULL, verbs[i].verb);
	}
	json_array_end(w);
	object_head(g, &head);
	json_array_begin(w, "Resource");
	put_pattern(w, buf_str(&head), g, len);
	json_array_end(w);
	json_object_end(w);
	buf_done(&head);
}

static void put_prefix(struct json_writer *w, const struct session_grant *g, size_t len)
{
	json_object_begin(w, "Condition");
	json_object_begin(w, "StringLike");
	json_array_begin(w, "s3:prefix");
	put_pattern(w, "", g, len);
	json_array_end(w);
	json_object_end(w);
	json_object_end(w);
}

/* Of the bucket itself; len: below the prefix alone. */
static void put_listing(struct json_writer *w, const struct session_grant *g,
	const char *verb, const size_t *len)
{
	_cleanup_free_ char *bucket = str_has_prefix(g->bucket, "arn:")
					      ? mem_strdup(g->bucket)
					      : mem_printf("arn:%s:s3:::%s", g->partition,
							g->bucket);

	json_object_begin(w, NULL);
	json_put_str(w, "Effect", "Allow");
	json_put_str(w, "Action", verb);
	json_put_str(w, "Resource", bucket);
	if (len)
		put_prefix(w, g, *len);
	json_object_end(w);
}

/* Objects under a key of KMS need it; which one, the bucket says. Only by way of S3. */
static void put_kms(struct json_writer *w)
{
	json_object_begin(w, NULL);
	json_put_str(w, "Effect", "Allow");
	json_array_begin(w, "Action");
	json_put_str(w, NULL, "kms:Decrypt");
	json_put_str(w, NULL, "kms:GenerateDataKey");
	json_array_end(w);
	json_put_str(w, "Resource", "*");
	json_object_begin(w, "Condition");
	json_object_begin(w, "StringLike");
	json_put_str(w, "kms:ViaService", "s3.*");
	json_object_end(w);
	json_object_end(w);
	json_object_end(w);
}

static char *make(const struct session_grant *grants, size_t count, const size_t *lens)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "Version", "2012-10-17");
	json_array_begin(&w, "Statement");
	for (size_t i = 0; i < count; i++) {
		put_objects(&w, &grants[i], lens[i]);
		if (grants[i].lists || grants[i].misses)
			put_listing(&w, &grants[i], "s3:ListBucket",
				grants[i].misses ? NULL : &lens[i]);
		if (grants[i].writes) /* no condition can name a prefix there */
			put_listing(
				&w, &grants[i], "s3:ListBucketMultipartUploads", NULL);
	}
	put_kms(&w);
	json_array_end(&w);
	json_object_end(&w);
	return buf_take(&out);
}

/* The longest one ends one folder earlier. false: none has any key left. */
static bool shorten(const struct session_grant *grants, size_t count, size_t *lens)
{
	size_t at = 0, n;

	for (size_t i = 1; i < count; i++) {
		if (lens[i] > lens[at])
			at = i;
	}
	n = lens[at];
	if (!n)
		return false;
	for (n--; n && grants[at].key[n - 1] != '/'; n--)
		;
	lens[at] = n;
	return true;
}

char *session_policy_make(
	const struct session_grant *grants, size_t count, bool *ret_widened)
{
	size_t lens[GRANTS_MAX];
	char *text;

	if (count > GRANTS_MAX)
		abort();
	for (size_t i = 0; i < count; i++)
		lens[i] = literal_len(grants[i].key);
	*ret_widened = false;
	text = make(grants, count, lens);
	while (strlen(text) > SESSION_POLICY_MAX && shorten(grants, count, lens)) {
		*ret_widened = true;
		free(text);
		text = make(grants, count, lens);
	}
	return text;
}
