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

enum verdict check_retry(struct vcase *c)
{
	const char *status = vcase_get(c, "/statusCode"),
		   *code = vcase_get(c, "/errorCode");
	bool is_throttle = vcase_is(c, "/expectThrottling");
	_cleanup_free_ char *body = NULL;
	struct err e;

	if (!status ||
		!(vcase_get(c, "/expectThrottling") || vcase_get(c, "/expectTransient")))
		return NOT_BUILT;
	body = mem_printf("<Error><Code>%s</Code></Error>", code ? code : "");
	/* Without an <Error> in it a 2xx is none. */
	if (atoi(status) / 100 == 2 && !(code && aws_body_is_error(body, strlen(body))))
		return vcase_passed_if(!vcase_is(c, "/expectThrottling") &&
				       !vcase_is(c, "/expectTransient"));
	e = error_of(atoi(status), code ? body : NULL, code ? strlen(body) : 0);
	if (vcase_get(c, "/expectThrottling"))
		return vcase_passed_if((e.class == ERR_THROTTLE) == is_throttle);
	return vcase_passed_if(err_is_transient(&e) == vcase_is(c, "/expectTransient"));
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
