/* Service answers to error classes. The one table of codes; transport is net/http's. */
#include "config.h"

#include "aws/errors.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"

#define BODY_MAX (64 * 1024)
#define ROOT_PIECE 256

/* clang-format off */
static const struct {
	const char *code;
	enum err_class class;
} codes[] = {
	{"Throttling",                             ERR_THROTTLE},
	{"ThrottlingException",                    ERR_THROTTLE},
	{"ThrottledException",                     ERR_THROTTLE},
	{"RequestThrottledException",              ERR_THROTTLE},
	{"RequestThrottled",                       ERR_THROTTLE},
	{"TooManyRequestsException",               ERR_THROTTLE},
	{"ProvisionedThroughputExceededException", ERR_THROTTLE},
	{"TransactionInProgressException",         ERR_THROTTLE},
	{"RequestLimitExceeded",                   ERR_THROTTLE},
	{"BandwidthLimitExceeded",                 ERR_THROTTLE},
	{"LimitExceededException",                 ERR_THROTTLE},
	{"SlowDown",                               ERR_THROTTLE},
	{"PriorRequestNotComplete",                ERR_THROTTLE},
	{"EC2ThrottledException",                  ERR_THROTTLE},
	{"RequestTimeout",                         ERR_RETRY},
	{"RequestTimeoutException",                ERR_RETRY},
	{"InternalError",                          ERR_RETRY},
	{"ServiceUnavailable",                     ERR_RETRY},
	{"IDPCommunicationError",                  ERR_RETRY},
	{"ExpiredToken",                           ERR_AUTH},
	{"ExpiredTokenException",                  ERR_AUTH},
	{"InvalidToken",                           ERR_AUTH},
	{"AccessDenied",                           ERR_DENIED},
	{"AccessDeniedException",                  ERR_DENIED},
	{"AllAccessDisabled",                      ERR_DENIED},
	{"InvalidAccessKeyId",                     ERR_DENIED},
	{"InvalidClientTokenId",                   ERR_DENIED},
	{"UnrecognizedClientException",            ERR_DENIED},
	{"SignatureDoesNotMatch",                  ERR_DENIED},
	{"RequestTimeTooSkewed",                   ERR_DENIED},
	{"NoSuchKey",                              ERR_NOTFOUND},
	{"NoSuchBucket",                           ERR_NOTFOUND},
	{"NoSuchVersion",                          ERR_NOTFOUND},
	{"NoSuchUpload",                           ERR_NOTFOUND},
	{"NoSuchEntity",                           ERR_NOTFOUND},
	{"PreconditionFailed",                     ERR_CONFLICT},
	{"ConditionalRequestConflict",             ERR_CONFLICT},
	{"RestoreAlreadyInProgress",               ERR_CONFLICT},
	{"InvalidObjectState",                     ERR_FATAL},
	{"BadDigest",                              ERR_INTEGRITY},
	{"XAmzContentSHA256Mismatch",              ERR_INTEGRITY},
	{"XAmzContentChecksumMismatch",            ERR_INTEGRITY},
};
/* clang-format on */

static enum err_class class_of_status(int status)
{
	if (status == 429 || status == 503)
		return ERR_THROTTLE;
	if (status == 501) /* not implemented: it never will be (RFC 9110, 15.6.2) */
		return ERR_FATAL;
	if (status >= 500 || status == 408)
		return ERR_RETRY;
	switch (status) {
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_NOTFOUND;
	case 409:
	case 412:
		return ERR_CONFLICT;
	default:
		return ERR_FATAL;
	}
}

/* For answers without a body, as a HEAD's: the code that S3 would have written. */
static const char *code_of_status(int status)
{
	static const struct {
		int status;
		const char *code;
	} known[] = {{301, "PermanentRedirect"}, {304, "NotModified"}, {307, "TemporaryRedirect"},
		{400, "BadRequest"}, {403, "AccessDenied"}, {404, "NotFound"},
		{405, "MethodNotAllowed"}, {409, "Conflict"}, {412, "PreconditionFailed"},
		{416, "InvalidRange"}, {429, "TooManyRequests"}, {500, "InternalError"},
		{503, "ServiceUnavailable"}};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].status == status)
			return known[i].code;
	}
	return "UnexpectedAnswer";
}

struct fields {
	char code[64], message[320], request_id[80], host_id[128];
};

static void copy_field(char *out, size_t size, const char *text)
{
	struct buf safe = BUF_INIT(size - 1);

	for (; *text; text++) {
		if (str_escape(&safe, text, 1) < 0)
			break;
	}
	snprintf(out, size, "%s", buf_str(&safe));
	buf_done(&safe);
}

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	struct fields *f = arg;

	if (str_has_suffix(path, "Error/Code"))
		copy_field(f->code, sizeof(f->code), text);
	else if (str_has_suffix(path, "Error/Message"))
		snprintf(f->message, sizeof(f->message), "%s", text);
	else if (str_has_suffix(path, "RequestId"))
		copy_field(f->request_id, sizeof(f->request_id), text);
	else if (str_has_suffix(path, "HostId"))
		copy_field(f->host_id, sizeof(f->host_id), text);
}

/* What can be read of a body that may be cut, or HTML of some proxy. */
static void read_body(const char *body, size_t len, struct fields *f)
{
	struct xml_handler handler = {.on_text = on_text, .arg = f};
	struct xml *x = xml_new(&handler, BODY_MAX);

	xml_feed(x, body, len);
	xml_free(x);
}

static enum err_class classify(const struct aws_answer *a, const char *code, bool has_code)
{
	bool has_ended = a->is_session && a->session_left_s < 60;

	if (has_ended && (strcmp(code, "InvalidAccessKeyId") == 0 ||
				 strcmp(code, "InvalidClientTokenId") == 0))
		return ERR_AUTH;
	if (has_ended && !has_code && (a->http_status == 403 || a->http_status == 400))
		return ERR_AUTH;
	for (size_t i = 0; has_code && i < ARRAY_LEN(codes); i++) {
		if (strcmp(codes[i].code, code) == 0)
			return codes[i].class;
	}
	return class_of_status(a->http_status);
}

void aws_error_from_answer(const struct aws_answer *a, struct err *ret)
{
	struct fields f = {0};
	bool has_code;

	if (a->body && a->body_len)
		read_body(a->body, a->body_len, &f);
	has_code = f.code[0] != '\0';
	if (!has_code)
		snprintf(f.code, sizeof(f.code), "%s", code_of_status(a->http_status));
	err_set(ret, classify(a, f.code, has_code), a->origin, f.code, "%s", f.message);
	/* An error inside a 200 is the server's failure to finish. */
	if (a->http_status / 100 == 2 && ret->class == ERR_FATAL)
		ret->class = ERR_RETRY;
	ret->http_status = a->http_status;
	snprintf(ret->operation, sizeof(ret->operation), "%s", a->operation);
	copy_field(ret->request_id, sizeof(ret->request_id),
		a->request_id ? a->request_id : f.request_id);
	copy_field(ret->host_id, sizeof(ret->host_id), a->host_id ? a->host_id : f.host_id);
}

bool aws_body_is_error(const char *body, size_t len)
{
	struct xml_handler handler = {0};
	struct xml *x = xml_new(&handler, BODY_MAX);
	size_t at = 0, piece;
	bool is_error;

	/* Up to the root's name and no further: a listing has a megabyte behind it. */
	for (; at < len && at < BODY_MAX && !*xml_root(x); at += piece) {
		piece = len - at < ROOT_PIECE ? len - at : ROOT_PIECE;
		if (xml_feed(x, body + at, piece) < 0)
			break;
	}
	is_error = strcmp(xml_root(x), "Error") == 0 ||
		   strcmp(xml_root(x), "ErrorResponse") == 0;
	xml_free(x);
	return is_error;
}
