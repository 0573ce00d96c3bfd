/* Error values: their names and how they are filled. Not logging: callers above do it. */
#include "config.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_class_name(enum err_class class)
{
	static const char *const names[] = {
		[ERR_OK] = "ok",
		[ERR_RETRY] = "retry",
		[ERR_THROTTLE] = "throttle",
		[ERR_AUTH] = "auth",
		[ERR_DENIED] = "denied",
		[ERR_NOTFOUND] = "notfound",
		[ERR_CONFLICT] = "conflict",
		[ERR_INTEGRITY] = "integrity",
		[ERR_LOCAL] = "local",
		[ERR_CONFIG] = "config",
		[ERR_CANCELLED] = "cancelled",
		[ERR_FATAL] = "fatal",
	};
	return names[class];
}

const char *err_origin_name(enum err_origin origin)
{
	static const char *const names[] = {
		[ERR_FROM_NONE] = "none",
		[ERR_FROM_NET] = "net",
		[ERR_FROM_STS] = "sts",
		[ERR_FROM_S3] = "s3",
		[ERR_FROM_CREDS] = "credentials",
		[ERR_FROM_LOCAL] = "local",
	};
	return names[origin];
}

struct err *err_set(struct err *e, enum err_class class, enum err_origin origin,
	const char *code, const char *fmt, ...)
{
	va_list ap;

	memset(e, 0, sizeof(*e));
	e->class = class;
	e->origin = origin;
	snprintf(e->code, sizeof(e->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return e;
}

bool err_is_transient(const struct err *e)
{
	return e->class == ERR_RETRY || e->class == ERR_THROTTLE ||
	       e->class == ERR_INTEGRITY;
}
