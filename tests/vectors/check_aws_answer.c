/* Groups about what comes back: error classes and S3's answers. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/errors.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "tests/vectors/vcase.h"

static struct err error_of(int status, const char *body, size_t len)
{
	struct aws_answer a = {
		.origin = ERR_FROM_S3,
		.operation = "Test",
		.http_status = status,
		.body = body,
		.body_len = len,
	};
	struct err e;

	aws_error_from_answer(&a, &e);
	return e;
}

enum verdict check_response(struct vcase *c)
{
	const char *status = vcase_get(c, "/status"), *body = vcase_get(c, "/body");
	const char *code = vcase_get(c, "/expect/errorCode");
	size_t len = body ? strlen(body) : 0;
	struct err e;

	if (!status || !code)
		return NOT_BUILT;
	e = error_of(atoi(status), body, len);
	return vcase_passed_if(
		str_eq(e.code, code) && (!vcase_is(c, "/expect/errorInSuccessStatus") ||
						aws_body_is_error(body, len)));
}
