/* RestoreObject: its small body and what the status of its answer says. */
#include "config.h"

#include "s3/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define STATUS_READABLE 200 /* 202: it has begun */

struct restore_call {
	s3_restore_fn fn;
	void *arg;
};

static void on_done(void *arg, const struct err *err, const struct s3_answer *answer)
{
	struct restore_call *c = arg;

	c->fn(c->arg, err, !err && answer->http->status == STATUS_READABLE);
	free(c);
}

struct s3_call *s3_restore_object(const struct s3_env *env, const char *key, int64_t days,
	const char *tier, s3_restore_fn fn, void *arg)
{
	const struct sigv4_pair query[] = {{"restore", ""}};
	struct restore_call *c = mem_alloc(sizeof(*c));
	char body[256], keep[40] = "";
	struct s3_op op = {.operation = "RestoreObject",
		.method = "POST",
		.key = key,
		.query = query,
		.query_count = 1,
		.body = body,
		.done = on_done,
		.arg = c};

	if (days)
		snprintf(keep, sizeof(keep), "<Days>%lld</Days>", (long long)days);
	snprintf(body, sizeof(body),
		"<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s"
		"<GlacierJobParameters><Tier>%s</Tier></GlacierJobParameters>"
		"</RestoreRequest>",
		keep, tier);
	op.body_len = strlen(body);
	c->fn = fn;
	c->arg = arg;
	return s3_op_start(env, &op);
}
