/* Answers from the wrong region. What follows from them is the caller's. */
#include "config.h"

#include "aws/redirect.h"

#include <stdio.h>
#include <string.h>

#include "base/s3name.h"
#include "base/str.h"
#include "base/xml.h"

#define BODY_MAX (64 * 1024)

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	if (str_has_suffix(path, "Error/Region") && len < 64)
		snprintf(arg, 64, "%s", text);
}

static void read_region(const struct redirect_answer *a, char region[64])
{
	struct xml_handler handler = {.on_text = on_text, .arg = region};
	struct xml *x;

	region[0] = '\0';
	if (!a->body || !a->body_len)
		return;
	x = xml_new(&handler, BODY_MAX);
	xml_feed(x, a->body, a->body_len < BODY_MAX ? a->body_len : BODY_MAX);
	xml_free(x);
}

static bool is_wrong_region(const struct redirect_answer *a, const char *body_region)
{
	const char *op = a->operation;

	if (a->http_status == 301 || a->http_status == 302 || a->http_status == 307 ||
		str_eq(a->code, "PermanentRedirect"))
		return true;
	if (str_eq(a->code, "AuthorizationHeaderMalformed"))
		return *body_region || a->bucket_region;
	if (str_eq(a->code, "IllegalLocationConstraintException"))
		return !str_eq(op, "CreateBucket");
	/* A HEAD has no body that could tell. */
	return a->http_status == 400 && a->bucket_region &&
	       (str_eq(op, "HeadObject") || str_eq(op, "HeadBucket"));
}

enum redirect redirect_find(const struct redirect_answer *a, char ret[64])
{
	char body_region[64];
	const char *region;

	read_region(a, body_region);
	if (a->is_redirected || !is_wrong_region(a, body_region))
		return REDIRECT_NONE;
	region = a->bucket_region && *a->bucket_region ? a->bucket_region : body_region;
	if (!*region)
		return REDIRECT_ASK;
	if (!s3name_is_label(region))
		return REDIRECT_INVALID;
	snprintf(ret, 64, "%s", region);
	return REDIRECT_TO;
}
