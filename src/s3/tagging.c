/* GetObjectTagging: its XML to the one header that carries tags along. */
#include "config.h"

#include "s3/tagging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "s3/answer.h"

#define BODY_MAX 65536
#define TEXT_MAX 8192 /* 10 tags of 128 and 256 characters, encoded */

struct tags_call {
	s3_tags_fn fn;
	void *arg;
	struct buf text;
	bool is_broken;
};

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	struct tags_call *c = arg;
	int r = 0;

	if (str_eq(path, "Tagging/TagSet/Tag/Key")) {
		if (c->text.len)
			r = buf_putc(&c->text, '&');
		if (r == 0)
			r = str_uri_encode(&c->text, text, len, false);
	} else if (str_eq(path, "Tagging/TagSet/Tag/Value")) {
		r = buf_putc(&c->text, '=');
		if (r == 0)
			r = str_uri_encode(&c->text, text, len, false);
	}
	c->is_broken |= r < 0;
}

static void on_done(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct tags_call *c = arg;
	const struct xml_handler handler = {.on_text = on_text, .arg = c};
	struct err e;

	if (!err && (s3_answer_parse(answer->body, BODY_MAX, "Tagging", &handler) < 0 ||
			    c->is_broken)) {
		err = err_set(&e, ERR_RETRY, ERR_FROM_S3, "no-result",
			"the answer to GetObjectTagging holds no tags");
		snprintf(e.operation, sizeof(e.operation), "GetObjectTagging");
	}
	c->fn(c->arg, err, err ? NULL : buf_str(&c->text));
	buf_done(&c->text);
	free(c);
}

struct s3_call *s3_get_tags(const struct s3_env *env, const char *key,
	const char *version, s3_tags_fn fn, void *arg)
{
	const struct sigv4_pair query[] = {{"tagging", ""}, {"versionId", version}};
	struct tags_call *c = mem_alloc(sizeof(*c));
	const struct s3_op op = {.operation = "GetObjectTagging",
		.method = "GET",
		.key = key,
		.query = query,
		.query_count = version && *version ? 2 : 1,
		.body_max = BODY_MAX,
		.done = on_done,
		.arg = c};

	c->fn = fn;
	c->arg = arg;
	c->text = BUF_INIT(TEXT_MAX);
	return s3_op_start(env, &op);
}
