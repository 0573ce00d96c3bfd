/* Groups about what comes back: error classes and S3's answers. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/errors.h"
#include "aws/redirect.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
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

/* --- recorded and scripted answers --- */

static bool has_error(int status, const char *body, bool is_stream)
{
	return status / 100 != 2 ||
	       (body && !is_stream && aws_body_is_error(body, strlen(body)));
}

static enum verdict check_scripted(const struct vcase *c)
{
	int status = (int)vcase_int(c, "/status");
	const char *body = vcase_get(c, "/body"),
		   *code = vcase_get(c, "/expect/errorCode");
	bool is_stream = str_eq(vcase_get(c, "/operation"), "GetObject");
	size_t len = body ? strlen(body) : 0;
	struct err e, bare;

	if (strcmp(c->category, "ok") == 0)
		return vcase_passed_if(!has_error(status, body, is_stream));
	if (!has_error(status, body, is_stream))
		return FAILED;
	e = error_of(status, body, len);
	if (code && *code)
		return vcase_passed_if(str_eq(e.code, code));
	/* Without a code in the body the status alone decides. */
	bare = error_of(status, NULL, 0);
	return vcase_passed_if(e.class == bare.class && str_eq(e.code, bare.code) &&
			       e.http_status == status);
}

static enum verdict check_recorded(struct vcase *c)
{
	const char *body = vcase_get(c, "/traffic/0/response/body");
	const char *declared = vcase_get(c, "/declaredContentLength/0");
	bool is_head = str_eq(vcase_get(c, "/traffic/0/request/method"), "HEAD");
	struct xml_handler handler = {0};
	struct xml *x;
	bool ok;

	if (vcase_count(c, "/traffic") == 0 || !body)
		return FAILED;
	if (declared && *declared && !is_head)
		return vcase_not_applicable(
			c, "net/http frames: unit test_http holds the rule");
	if (is_head)
		return vcase_passed_if(!has_error(
			(int)vcase_int(c, "/traffic/0/response/status"), body, false));
	x = xml_new(&handler, 1 << 20);
	ok = xml_feed(x, body, strlen(body)) == 0 && xml_finish(x) == 0 &&
	     strcmp(xml_root(x), "ListBucketResult") == 0;
	xml_free(x);
	return vcase_passed_if(ok && !aws_body_is_error(body, strlen(body)));
}

/* --- regions --- */

static enum redirect find_region(
	const struct vcase *c, const char *header, char region[64])
{
	const char *body_region = vcase_get(c, "/response/error/Region");
	const char *code = vcase_get(c, "/response/error/Code");
	_cleanup_free_ char *body = mem_printf("<Error><Code>%s</Code><Region>%s</Region>"
					       "</Error>",
		code ? code : "", body_region ? body_region : "");
	const struct redirect_answer a = {
		.operation = vcase_get(c, "/operation"),
		.http_status = (int)vcase_int(c, "/response/status"),
		.code = code,
		.bucket_region = header,
		.body = body,
		.body_len = strlen(body),
		.is_redirected = vcase_is(c, "/alreadyRedirected"),
	};

	return redirect_find(&a, region);
}

static enum verdict check_redirect(const struct vcase *c)
{
	char region[64] = "";
	enum redirect r = find_region(
		c, vcase_get(c, "/response/headers/x-amz-bucket-region"), region);

	if (r == REDIRECT_ASK) /* as if HeadBucket had been asked */
		r = find_region(c, vcase_get(c, "/headBucketHeaders/x-amz-bucket-region"),
			region);
	if (vcase_get(c, "/expect/error"))
		return vcase_passed_if(r == REDIRECT_INVALID);
	if (!vcase_is(c, "/expect/redirect"))
		return vcase_passed_if(r == REDIRECT_NONE);
	return vcase_passed_if(
		r == REDIRECT_TO && str_eq(region, vcase_get(c, "/expect/region")));
}

/* --- parsing --- */

struct wanted {
	const char *name; /* "Contents/Owner/ID", found at the end of a path */
	size_t at;        /* how many come before */
	char *text;
};

static void on_text(void *arg, const char *path, const char *text, size_t len)
{
	struct wanted *w = arg;

	if (str_has_suffix(path, w->name) && !w->text && w->at-- == 0)
		w->text = mem_strndup(text, len);
}

/* "/expect/Uploads/1/Owner/ID" to "/Upload/Owner/ID" and 1. */
static char *strip(const char *path, size_t *ret_at)
{
	struct buf out = BUF_INIT(1000);

	for (*ret_at = 0; *path; path += strcspn(path + 1, "/") + 1) {
		size_t n = strcspn(path + 1, "/");

		if (strspn(path + 1, "0123456789") == n)
			*ret_at = strtoul(path + 1, NULL, 10);
		else if (strncmp(path + 1, "Uploads", n) == 0)
			buf_puts(&out, "/Upload"); /* the model's name of the list */
		else
			buf_append(&out, path, n + 1);
	}
	return buf_take(&out);
}

static bool has_text(const char *body, const char *path, const char *value)
{
	struct wanted w = {0};
	_cleanup_free_ char *name = strip(path, &w.at);
	struct xml_handler handler = {.on_text = on_text, .arg = &w};
	struct xml *x = xml_new(&handler, 1 << 20);
	bool ok;

	/* An error's root is a member, too. */
	w.name = str_has_prefix(name, "/Error/") ? name + 1 : name;
	ok = xml_feed(x, body, strlen(body)) == 0 && xml_finish(x) == 0 && w.text;
	ok = ok && (str_eq(w.text, value) ||
			   str_eq(w.text, str_eq(value, "1") ? "true" : "false"));
	xml_free(x);
	free(w.text);
	return ok;
}

static enum verdict check_parsing(const struct vcase *c)
{
	const char *body = vcase_get(c, "/body");
	size_t compared = 0;

	for (size_t i = 0; i < c->count; i++) {
		const char *path = c->paths[i];

		/* ResponseMetadata as a whole is made of headers by the SDK. */
		if (!str_has_prefix(path, "/expect/") || str_has_suffix(path, "#") ||
			strcmp(path, "/expect/ResponseMetadata") == 0)
			continue;
		if (!has_text(body, path + strlen("/expect"), c->values[i]))
			return FAILED;
		compared++;
	}
	return vcase_passed_if(compared > 0);
}

enum verdict check_response(struct vcase *c)
{
	if (vcase_get(c, "/status") && vcase_get(c, "/operation"))
		return check_scripted(c);
	if (vcase_count(c, "/traffic"))
		return check_recorded(c);
	if (vcase_get(c, "/alreadyRedirected"))
		return check_redirect(c);
	return vcase_get(c, "/body") ? check_parsing(c) : NOT_BUILT;
}
