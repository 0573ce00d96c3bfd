/*
 * The sandbox as a whole: which service a request is for, request ids, counters, answers
 * that every part shares, and the back door under /_sandbox/. No operation lives here.
 */
#include "config.h"

#include "sandbox/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/xml.h"
#include "sandbox/accounts.h"
#include "sandbox/changes.h"

#define COUNTERS_MAX 4096
#define HEAD_BYTES   (64 * 1024)

static void request_init(struct request *r)
{
	uint8_t noise[8 + 57];

	crypto_random(noise, sizeof(noise));
	str_to_hex(noise, 8, r->request_id);
	for (char *c = r->request_id; *c; c++)
		if (*c >= 'a')
			*c = (char)(*c - 'a' + 'A');
	str_to_base64(noise + 8, 57, r->host_id);
	buf_init(&r->headers, HEAD_BYTES);
}

static bool is_admin(const struct http_exchange *x)
{
	return str_has_prefix(x->path, "/_sandbox/");
}

/* STS takes a form on "/"; S3 takes POST there for nothing. */
static bool is_sts(const struct http_exchange *x)
{
	const char *type = http_field(x, "content-type");

	return strcmp(x->path, "/") == 0 && strcmp(x->method, "POST") == 0 && type &&
	       str_has_prefix(type, "application/x-www-form-urlencoded");
}

/* Of the instance and the container that the accounts' file names. */
static bool is_metadata(const struct sandbox *sb, const struct http_exchange *x)
{
	return (accounts_instance(sb->accounts) && str_has_prefix(x->path, "/latest/")) ||
	       (accounts_container(sb->accounts) && strcmp(x->path, METADATA_CONTAINER) == 0);
}

static void on_head(void *arg, struct http_exchange *x)
{
	struct request *r = mem_alloc(sizeof(*r));
	struct api_error e;

	x->user = r;
	r->sb = arg;
	r->x = x;
	r->now_s = clock_wall_us(r->sb->clock) / USEC_PER_SEC;
	request_init(r);
	if (query_parse(&r->query, x->query, false) < 0)
		s3_fail(r, 400, "InvalidURI", "Couldn't parse the specified URI.", NULL);
	else if (is_admin(x) || is_sts(x) || is_metadata(r->sb, x))
		body_begin(r, BODY_TEXT, false, NULL, &e);
	else
		s3_head(r);
}

static void on_body(void *arg, struct http_exchange *x, const char *data, size_t len)
{
	body_feed(x->user, data, len);
}

static void on_end(void *arg, struct http_exchange *x)
{
	if (is_admin(x))
		admin_end(x->user);
	else if (is_metadata(arg, x))
		metadata_end(x->user);
	else if (is_sts(x))
		sts_end(x->user);
	else
		s3_end(x->user);
}

static void on_done(void *arg, struct http_exchange *x)
{
	struct request *r = x->user;

	if (!r)
		return;
	x->user = NULL;
	query_done(&r->query);
	body_done(&r->body);
	buf_done(&r->headers);
	free(r->bucket_name);
	free(r->key);
	object_unref(r->sending);
	free(r);
}

struct sandbox *sandbox_new(struct loop *loop, const struct clock *clock)
{
	struct sandbox *sb = mem_alloc(sizeof(*sb));

	sb->loop = loop;
	sb->clock = clock;
	sb->objects = objects_new();
	return sb;
}

void sandbox_serve(struct sandbox *sb, int listen_fd)
{
	const struct http_handler handler = {on_head, on_body, on_end, on_done, sb};

	sb->http = http_server_new(sb->loop, listen_fd, NULL, &handler);
}

static void drop_counters(struct sandbox *sb)
{
	for (size_t i = 0; i < sb->counter_count; i++) {
		free(sb->counters[i].operation);
		free(sb->counters[i].access_key);
	}
	free(sb->counters);
	sb->counters = NULL;
	sb->counter_count = 0;
	sb->requests = 0;
}

void *sandbox_free(struct sandbox *sb)
{
	if (!sb)
		return NULL;
	http_server_free(sb->http);
	objects_free(sb->objects);
	accounts_free(sb->accounts);
	faults_free(sb->faults);
	for (size_t i = 0; i < sb->retired_count; i++)
		faults_free(sb->retired[i]);
	free(sb->retired);
	drop_counters(sb);
	free(sb);
	return NULL;
}

int sandbox_set_accounts(
	struct sandbox *sb, const char *text, size_t len, char **ret_error)
{
	sb->accounts = accounts_load(text, len, sb->objects, ret_error);
	return sb->accounts ? 0 : -1;
}

int sandbox_set_faults(struct sandbox *sb, const char *text, size_t len, char **ret_error)
{
	struct faults *f = faults_load(text, len, sb->objects, ret_error);

	if (!f)
		return -1;
	if (sb->faults) {
		sb->retired = mem_resize(
			sb->retired, sb->retired_count + 1, sizeof(*sb->retired));
		sb->retired[sb->retired_count++] = sb->faults;
	}
	sb->faults = f;
	return 0;
}

/* --- counting and faults --- */

static struct counter *counter_of(
	struct sandbox *sb, const char *operation, const char *access_key)
{
	struct counter *c;

	for (size_t i = 0; i < sb->counter_count; i++) {
		c = &sb->counters[i];
		if (strcmp(c->operation, operation) == 0 &&
			strcmp(c->access_key, access_key) == 0)
			return c;
	}
	if (sb->counter_count == COUNTERS_MAX)
		return &sb->counters[COUNTERS_MAX - 1];
	sb->counters = mem_resize(sb->counters, sb->counter_count + 1, sizeof(*c));
	c = &sb->counters[sb->counter_count++];
	*c = (struct counter){mem_strdup(operation), mem_strdup(access_key), 0, 0};
	return c;
}

void request_is(struct request *r, const char *operation)
{
	const struct fault_query q = {r->x->method, r->x->path, operation, r->auth.access_key,
		http_field(r->x, "range"), query_get(&r->query, "partNumber"),
		http_field(r->x, "x-amz-trailer")};
	const struct fault *f;

	r->operation = operation;
	r->sb->requests++;
	counter_of(r->sb, operation, r->auth.access_key)->requests++;
	f = r->fault = faults_match(r->sb->faults, &q);
	if (!f)
		return;
	if (f->change)
		change_apply(f->change, r->sb->objects, r->now_s);
	r->now_s += f->clock_offset_s;
	r->x->delay_ms = f->delay_ms;
	r->x->flip_at = f->flip_at;
	if (f->reset_at >= 0) {
		r->x->cut = HTTP_CUT_RESET;
		r->x->cut_at = f->reset_at;
	} else if (f->stall_at >= 0) {
		r->x->cut = HTTP_CUT_STALL;
		r->x->cut_at = f->stall_at;
	} else if (f->truncate_at >= 0) {
		r->x->cut = HTTP_CUT_TRUNCATE;
		r->x->cut_at = f->truncate_at;
	}
}

/* --- answering --- */

bool request_is_head(const struct request *r)
{
	return strcmp(r->x->method, "HEAD") == 0;
}

void request_header(struct request *r, const char *name, const char *value)
{
	/* A line break in stored metadata would forge headers. */
	if (value && !strpbrk(value, "\r\n"))
		buf_printf(&r->headers, "%s: %s\r\n", name, value);
}

static void http_date(int64_t seconds, char out[40])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct clock_utc u;

	clock_utc_from_seconds(seconds, &u);
	snprintf(out, 40, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * u.weekday,
		u.day, months + 3 * (u.month - 1), (int)u.year, u.hour, u.minute,
		u.second);
}

void request_add_common(struct request *r)
{
	char date[40];

	http_date(r->now_s, date);
	request_header(r, "Date", date);
	request_header(r, "x-amz-request-id", r->request_id);
	request_header(r, "x-amz-id-2", r->host_id);
}

static void send_answer(struct request *r, struct http_answer *a)
{
	if (a->status >= 400 && r->operation)
		counter_of(r->sb, r->operation, r->auth.access_key)->errors++;
	request_add_common(r);
	a->headers = buf_str(&r->headers);
	http_reply(r->x, a);
}

void request_reply(
	struct request *r, int status, const char *type, const struct buf *body)
{
	struct http_answer a = {.status = status,
		.length = (int64_t)body->len,
		.body = buf_str(body),
		.has_no_body = request_is_head(r)};

	request_header(r, "Content-Type", type);
	send_answer(r, &a);
}

void request_reply_empty(struct request *r, int status)
{
	struct http_answer a = {.status = status,
		.body = "",
		.length = status == 204 || status == 304 ? -1 : 0,
		.has_no_body = true};

	send_answer(r, &a);
}

static void produce(struct http_exchange *x, uint64_t offset, char *out, size_t len)
{
	struct request *r = x->user;

	object_read(r->sending, r->sending_from + offset, out, len);
}

void request_reply_object(
	struct request *r, int status, struct object *o, uint64_t from, uint64_t len)
{
	struct http_answer a = {.status = status,
		.length = (int64_t)len,
		.produce = produce,
		.has_no_body = request_is_head(r)};

	r->sending = o;
	r->sending_from = from;
	send_answer(r, &a);
}

void xml_element(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "<%s>", name);
	xml_escape(out, value, strlen(value));
	buf_printf(out, "</%s>", name);
}

void xml_key(struct buf *out, const char *name, const char *key, bool is_url)
{
	if (!is_url) {
		xml_element(out, name, key);
		return;
	}
	buf_printf(out, "<%s>", name);
	str_uri_encode(out, key, strlen(key), true);
	buf_printf(out, "</%s>", name);
}

char *iso_ms(int64_t seconds, char out[32])
{
	char text[28];

	clock_format_iso(seconds, text, sizeof(text));
	text[strlen(text) - 1] = '\0';
	snprintf(out, 32, "%s.000Z", text);
	return out;
}

/* --- the back door --- */

static void report(struct request *r)
{
	struct buf out = BUF_INIT(4 << 20);
	struct sandbox *sb = r->sb;
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_int(&w, "requests", (int64_t)sb->requests);
	json_array_begin(&w, "counters");
	for (size_t i = 0; i < sb->counter_count; i++) {
		json_object_begin(&w, NULL);
		json_put_str(&w, "operation", sb->counters[i].operation);
		json_put_str(&w, "access_key", sb->counters[i].access_key);
		json_put_int(&w, "requests", (int64_t)sb->counters[i].requests);
		json_put_int(&w, "errors", (int64_t)sb->counters[i].errors);
		json_object_end(&w);
	}
	json_array_end(&w);
	faults_report(sb->faults, &w);
	json_object_end(&w);
	request_reply(r, 200, "application/json", &out);
	buf_done(&out);
}

static void refuse_or_accept(struct request *r, const char *why)
{
	struct buf out = BUF_INIT(4096);

	if (!why) {
		request_reply_empty(r, 204);
		return;
	}
	buf_printf(&out, "%s\n", why);
	request_reply(r, 400, "text/plain", &out);
	buf_done(&out);
}

static void set_faults(struct request *r)
{
	const struct blob *b = r->body.blob;
	_cleanup_free_ char *why = NULL;

	sandbox_set_faults(r->sb, b->data ? b->data : "", b->len, &why);
	refuse_or_accept(r, why);
}

static void tell_objects(struct request *r)
{
	const char *prefix = query_get(&r->query, "prefix");
	struct buf out = BUF_INIT(64 << 20);

	changes_list(r->sb->objects, query_get(&r->query, "bucket"), prefix ? prefix : "",
		&out);
	request_reply(r, 200, "application/json", &out);
	buf_done(&out);
}

static void set_objects(struct request *r)
{
	const struct blob *b = r->body.blob;
	_cleanup_free_ char *why = NULL;
	_cleanup_json_ struct json *list = json_parse(b->data ? b->data : "", b->len, &why);

	if (list)
		why = changes_make(list, r->sb->objects, r->now_s);
	refuse_or_accept(r, why);
}

void admin_end(struct request *r)
{
	const char *what = r->x->path + strlen("/_sandbox/");
	const char *method = r->x->method;
	static const char none[] = "[]";

	if (str_eq(what, "faults") && str_eq(method, "PUT")) {
		set_faults(r);
	} else if (str_eq(what, "faults") && str_eq(method, "DELETE")) {
		sandbox_set_faults(r->sb, none, strlen(none), NULL);
		request_reply_empty(r, 204);
	} else if (str_eq(what, "objects") && str_eq(method, "PUT")) {
		set_objects(r);
	} else if (str_eq(what, "objects") && str_eq(method, "GET")) {
		tell_objects(r);
	} else if (str_eq(what, "thaw") && str_eq(method, "PUT")) {
		s3_thaw(r->sb->objects, r->now_s);
		request_reply_empty(r, 204);
	} else if (str_eq(what, "log") && str_eq(method, "GET")) {
		report(r);
	} else if (str_eq(what, "log") && str_eq(method, "DELETE")) {
		drop_counters(r->sb);
		request_reply_empty(r, 204);
	} else {
		s3_fail(r, 404, "NoSuchEndpoint",
			"GET or DELETE /_sandbox/log, PUT or DELETE "
			"/_sandbox/faults, GET or PUT /_sandbox/objects, PUT "
			"/_sandbox/thaw",
			NULL);
	}
}
