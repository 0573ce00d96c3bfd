/* What the verbs of the control socket share. Only for control_cmds.c and
 * control_sched.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct control_call;
struct core;
struct json;
struct json_writer;
struct store_run;

/* Begins the object of an answer in `out`, which cmd_reply() ends with. */
void cmd_begin(struct json_writer *w, struct buf *out);
void cmd_reply(struct control_call *call, struct buf *out, struct json_writer *w,
	bool continues);
/* ISO 8601 of UTC seconds; null for 0. */
void cmd_put_time(struct json_writer *w, const char *key, int64_t at_s);
void cmd_no_such_job(struct core *c, struct control_call *call, const char *name);

/* A row of the ledger as an object. */
void cmd_put_run(struct json_writer *w, const char *key, const struct store_run *row);
/* The slot of member `date`, or where there is none its beginning; false: answered. */
bool cmd_take_date(struct core *c, struct control_call *call, const struct json *params,
	int64_t *ret_nominal_s);

/* core_plan.c */
void cmd_plan(void *core, struct control_call *call, const struct json *params);
void cmd_show(void *core, struct control_call *call, const struct json *params);

/* core_manifest.c */
void cmd_verify(void *core, struct control_call *call, const struct json *params);
void cmd_find(void *core, struct control_call *call, const struct json *params);

/* control_sched.c */
/* A member that is a date or a time; answers and returns false when it is none. */
bool cmd_take_period(struct control_call *call, const struct json *params,
	const char *key, const char *timezone, int64_t *ret_from_s, int64_t *ret_until_s);
void cmd_backfill(void *core, struct control_call *call, const struct json *params);
void cmd_pause(void *core, struct control_call *call, const struct json *params);
void cmd_resume(void *core, struct control_call *call, const struct json *params);
