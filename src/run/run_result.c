/*
 * What objects that arrived tell besides: the route they took, what they lost on it, that
 * they were there already. Counted, and told once a run.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "run/message_ids.h"
#include "run/run_impl.h"

void run_counts_restart(struct run *r)
{
	const struct run_done *before = &r->options.before;

	memcpy(r->report.counts, before->counts, sizeof(before->counts));
	memcpy(r->report.count_bytes, before->count_bytes, sizeof(before->count_bytes));
}

static const char *const losses[ENGINE_LOSSES] = {
	[ENGINE_LOSS_TAGS] = "tags",
	[ENGINE_LOSS_METADATA] = "user metadata that no header can hold",
	[ENGINE_LOSS_CLASS] = "storage class",
	[ENGINE_LOSS_LOCK] = "object lock",
	[ENGINE_LOSS_ACL] = "ACL",
	[ENGINE_LOSS_CHECKSUM] = "checksum_algorithm",
};

/* The first refusal speaks for the run: what follows is as it is for this pair. */
static void tell_route(struct run *r, const struct engine_result *result)
{
	if (!result->route_why[0] || result->route != ENGINE_ROUTE_STREAM ||
		r->has_told_route)
		return;
	r->has_told_route = true;
	log_info(LOG_FIELDS({"JOB", r->job->name}, {"RUN_ID", r->id}),
		"%s: streaming, for no identity of the job may copy on the server: %s",
		r->job->name, result->route_why);
}

void run_note_delivered(struct run *r, const struct engine_result *result)
{
	struct run_report *rep = &r->report;

	tell_route(r, result);
	if (result->skipped == ENGINE_SKIP_SAME)
		rep->objects_same++;
	else if (result->skipped == ENGINE_SKIP_EXISTS)
		rep->objects_existing++;
	if (result->skipped)
		return;
	rep->objects++;
	rep->objects_copied += result->route == ENGINE_ROUTE_COPY;
	rep->objects_undigested += !result->is_source_proven ||
				   result->proof == ENGINE_PROOF_TRANSIT;
	rep->bytes += result->bytes;
	for (int i = 0; i < ENGINE_LOSSES; i++)
		rep->lost[i] += result->losses >> i & 1;
}

bool run_losses_text(const struct run_report *rep, char *out, size_t size)
{
	struct buf text = BUF_INIT(size - 1);

	for (int i = 0; i < ENGINE_LOSSES; i++)
		if (rep->lost[i])
			buf_printf(&text, "%s%s of %llu object%s", text.len ? ", " : "",
				losses[i], (unsigned long long)rep->lost[i],
				rep->lost[i] == 1 ? "" : "s");
	snprintf(out, size, "%s", buf_str(&text));
	buf_done(&text);
	return out[0];
}

/* With commas between thousands. */
static void put_number(struct buf *out, uint64_t n)
{
	if (n >= 1000)
		put_number(out, n / 1000);
	buf_printf(out, n >= 1000 ? ",%03llu" : "%llu", (unsigned long long)(n % 1000));
}

void run_counts_text(const struct run_report *rep, char *out, size_t size)
{
	struct buf text = BUF_INIT(size - 1);

	for (enum reason why = REASON_NONE + 1; why < REASONS; why++) {
		if (!rep->counts[why])
			continue;
		if (text.len)
			buf_puts(&text, ", ");
		put_number(&text, rep->counts[why]);
		buf_printf(&text, " %s", reason_code(why));
	}
	snprintf(out, size, "%s", buf_str(&text));
	buf_done(&text);
}

void run_log_losses(const struct run *r)
{
	char text[256];

	if (run_losses_text(&r->report, text, sizeof(text)))
		log_warning(LOG_FIELDS({"MESSAGE_ID", MSG_RUN_LOSSES},
				    {"JOB", r->job->name}, {"RUN_ID", r->id}),
			"%s: not carried along: %s", r->job->name, text);
}

void run_describe_delivered(const struct run_report *rep, char *out, size_t size)
{
	char lost[256];
	size_t n = 0;
	const struct {
		uint64_t count;
		const char *what;
	} parts[] = {{rep->objects_copied, "copied on the server"},
		{rep->objects_same, "there already"},
		{rep->objects_existing, "not overwritten"}};

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(parts) && n < size; i++)
		if (parts[i].count)
			n += (size_t)snprintf(out + n, size - n, "; %llu %s",
				(unsigned long long)parts[i].count, parts[i].what);
	if (run_losses_text(rep, lost, sizeof(lost)) && n < size)
		snprintf(out + n, size - n, "; not carried along: %s", lost);
}
