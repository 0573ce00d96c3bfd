/*
 * Answers of a service, or of who stands between: the first byte chooses the status. No
 * body crashes, each refusal is classified and its texts end.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/errors.h"
#include "base/buf.h"
#include "base/xml.h"
#include "s3/answer.h"
#include "fuzz.h"

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	size_t *total = arg;

	demand(path && text[len] == '\0', "a text without an end");
	*total += len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 206, 301, 304, 400, 403, 404, 409, 412, 416, 500, 503};
	size_t total = 0;
	struct xml_handler handler = {.on_text = on_text, .arg = &total};
	struct buf body = BUF_INIT(1 << 20);
	struct err e = {0};

	if (!size)
		return 0;
	struct aws_answer answer = {.origin = data[0] & 0x80 ? ERR_FROM_STS : ERR_FROM_S3,
		.operation = "GetObject",
		.http_status = statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))],
		.body = (const char *)data + 1,
		.body_len = size - 1,
		.is_session = data[0] & 0x40};

	aws_error_from_answer(&answer, &e);
	demand(e.class != ERR_OK, "an error that is none");
	demand(memchr(e.code, 0, sizeof(e.code)) && memchr(e.text, 0, sizeof(e.text)),
		"a text without an end");
	aws_body_is_error(answer.body, answer.body_len);
	if (buf_append(&body, answer.body, answer.body_len) == 0)
		s3_answer_parse(&body, 1 << 20, "CopyObjectResult", &handler);
	demand(total <= size, "more texts than bytes");
	buf_done(&body);
	return 0;
}
