/*
 * What a run would ask of S3, and what objects would lose on their way: for who plans it.
 * Counted from sizes and the job's words alone; nothing is asked.
 */
#include "config.h"

#include "run/run_estimate.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/str.h"
#include "conf/conf.h"
#include "engine/xfer.h"

static const char *const names[RUN_REQUESTS] = {
	[RUN_REQUEST_LIST] = "list",
	[RUN_REQUEST_HEAD] = "head",
	[RUN_REQUEST_GET] = "get",
	[RUN_REQUEST_PUT] = "put",
	[RUN_REQUEST_COPY] = "copy",
	[RUN_REQUEST_DELETE] = "delete",
	[RUN_REQUEST_RESTORE] = "restore",
};

const char *run_request_name(enum run_request kind)
{
	return names[kind];
}

void run_estimate_copy(const struct conf_job *job, int64_t size, struct run_requests *add)
{
	bool is_s3[] = {
		job->source.scheme == CONF_S3, job->destination.scheme == CONF_S3};
	uint64_t pieces = (uint64_t)xfer_part_count(size, job->limits.part_bytes);
	uint64_t besides = pieces > 1 ? 2 : 0; /* an upload begins and ends */

	if (job->method == CONF_METHOD_SERVER_SIDE) {
		add->n[RUN_REQUEST_HEAD]++;
		add->n[RUN_REQUEST_COPY] += pieces;
		add->n[RUN_REQUEST_PUT] += besides;
	} else {
		add->n[RUN_REQUEST_GET] += is_s3[0] ? pieces : 0;
		add->n[RUN_REQUEST_PUT] += is_s3[1] ? pieces + besides : 0;
	}
	if (job->verify == CONF_VERIFY_FULL)
		add->n[RUN_REQUEST_HEAD] += (uint64_t)is_s3[0] + is_s3[1];
	if (job->action != CONF_MOVE)
		return;
	/* The copy is looked at before its source goes. */
	add->n[RUN_REQUEST_HEAD] += job->method == CONF_METHOD_SERVER_SIDE &&
				    job->verify != CONF_VERIFY_FULL;
	run_estimate_leave(job, add);
}

void run_estimate_leave(const struct conf_job *job, struct run_requests *add)
{
	if (job->source.scheme != CONF_S3)
		return;
	add->n[RUN_REQUEST_HEAD]++;
	add->n[RUN_REQUEST_DELETE]++;
}

void run_estimate_delete(const struct conf_job *job, struct run_requests *add)
{
	add->n[RUN_REQUEST_HEAD] += job->source.scheme == CONF_S3;
	if (job->destination.scheme != CONF_S3)
		return;
	add->n[RUN_REQUEST_HEAD]++;
	add->n[RUN_REQUEST_DELETE]++;
	if (!job->delete.trash)
		return;
	/* The head of what goes, the copy of it, and a look at the copy. */
	add->n[RUN_REQUEST_HEAD] += 2;
	add->n[RUN_REQUEST_COPY]++;
}

/* --- losses --- */

static void add(struct buf *out, const char *text)
{
	buf_printf(out, "%s%s", out->len ? "; " : "", text);
}

/* From one bucket to another. */
static void tell_s3(const struct conf_job *job, struct buf *out)
{
	const struct conf_written *w = &job->destination.written;

	if (job->tags == CONF_TAGS_DROP)
		add(out, "tags (tags: drop)");
	else if (job->tags == CONF_TAGS_BEST_EFFORT)
		add(out, "tags, where a role may not read or write them (tags: "
			 "best_effort)");
	if (str_eq(w->object_lock, "none") || !w->object_lock)
		add(out, "object lock (object_lock: none)");
	add(out, "ACLs of the source");
	add(out, "older versions");
}

void run_estimate_losses(const struct conf_job *job, char *out, size_t size)
{
	struct buf text = BUF_INIT(size - 1);

	if (job->destination.scheme == CONF_FILE)
		add(&text, "metadata, tags, storage class and versions: a file has none");
	else if (job->source.scheme == CONF_FILE)
		add(&text, "owner, mode and times of the files");
	else
		tell_s3(job, &text);
	snprintf(out, size, "%s", buf_str(&text));
	buf_done(&text);
}
