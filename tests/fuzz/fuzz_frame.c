/*
 * What a client of the control socket may send: frames are cut, parsed and read as calls.
 * No input crashes, and what was parsed is the same after it was printed.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/ctl_proto.h"
#include "fuzz.h"

static void check_call(const char *text)
{
	_cleanup_free_ char *why = NULL, *unused = NULL;
	_cleanup_json_ struct json *call = json_parse(text, strlen(text), &why), *again = NULL;
	struct buf once = BUF_INIT(CTL_REPLY_MAX), twice = BUF_INIT(CTL_REPLY_MAX);
	const struct json *params = json_get(call, "parameters");

	demand_of(call || (why && *why), "refused without a reason", text);
	json_get_str(call, "method");
	json_get_bool(call, "more", false);
	json_get_int(params, "limit", 0);
	json_array_len(json_get(params, "jobs"));
	if (call && json_dump(call, &once) == 0) {
		again = json_parse(buf_str(&once), once.len, &unused);
		demand_of(again && json_dump(again, &twice) == 0 &&
				strcmp(buf_str(&once), buf_str(&twice)) == 0,
			"printed it is another", text);
	}
	buf_done(&once);
	buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = BUF_INIT(2 * CTL_REQUEST_MAX);
	size_t left;
	char *text;
	int r;

	if (buf_append(&in, data, size) < 0)
		return 0;
	left = in.len;
	while ((r = ctl_take_frame(&in, CTL_REQUEST_MAX, &text)) == 1) {
		demand_of(strlen(text) + 1 + in.len == left, "bytes are lost", text);
		left = in.len;
		check_call(text);
		free(text);
	}
	demand_of(r == 0 || (r == -EMSGSIZE && left > CTL_REQUEST_MAX), "refused", "a frame");
	buf_done(&in);
	return 0;
}
