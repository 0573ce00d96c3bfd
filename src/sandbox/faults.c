/*
 * Rules of the fault injector: reading, matching, counting. Not the damage itself: the
 * server cuts bytes, the S3 and STS parts answer errors.
 */
#include "config.h"

#include "sandbox/faults.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/changes.h"

struct rule {
	char *method, *path_prefix, *operation, *access_key; /* NULL: any */
	char *range;                                         /* how it begins; NULL: any */
	char *code, *message, *error_in_200;
	bool has_trailer;    /* only what has a checksum behind its bytes */
	int64_t part;        /* of an upload; 0: any */
	int64_t skip, count; /* count < 0: for ever */
	int64_t matched, fired;
	struct change change;
	struct fault fault;
};

struct faults {
	struct rule *rules;
	size_t count;
};

void *faults_free(struct faults *f)
{
	if (!f)
		return NULL;
	for (size_t i = 0; i < f->count; i++) {
		struct rule *r = &f->rules[i];

		free(r->method);
		free(r->path_prefix);
		free(r->operation);
		free(r->access_key);
		free(r->range);
		free(r->code);
		free(r->message);
		free(r->error_in_200);
		change_done(&r->change);
	}
	free(f->rules);
	free(f);
	return NULL;
}

/* A misspelt key would be a fault that never comes: refuse it. */
static const char *unknown_key(const struct json *v, const char *const *known)
{
	const struct json *value;
	void *iter = NULL;
	const char *key;

	while (json_object_next(v, &iter, &key, &value)) {
		size_t i = 0;

		while (known[i] && !str_eq(known[i], key))
			i++;
		if (!known[i])
			return key;
	}
	return NULL;
}

static char *copy(const struct json *v, const char *key)
{
	return mem_strdup(json_get_str(v, key));
}

static void read_match(struct rule *r, const struct json *m)
{
	int64_t nth = json_get_int(m, "nth", 0);

	r->method = copy(m, "method");
	r->path_prefix = copy(m, "path_prefix");
	r->operation = copy(m, "operation");
	r->access_key = copy(m, "access_key");
	r->range = copy(m, "range");
	r->has_trailer = json_get_bool(m, "has_trailer", false);
	r->part = json_get_int(m, "part", 0);
	r->skip = json_get_int(m, "skip", nth > 0 ? nth - 1 : 0);
	r->count = json_get_int(m, "count", nth > 0 ? 1 : -1);
}

static void read_action(struct rule *r, const struct json *a)
{
	struct fault *f = &r->fault;

	f->reset_at = json_get_int(a, "reset_at", -1);
	f->stall_at = json_get_int(a, "stall_at", -1);
	f->flip_at = json_get_int(a, "flip_at", -1);
	f->truncate_at = json_get_int(a, "truncate_at", -1);
	f->status = (int)json_get_int(a, "status", 0);
	f->delay_ms = json_get_int(a, "delay_ms", 0);
	f->clock_offset_s = json_get_int(a, "clock_offset_s", 0);
	f->expired_token = json_get_bool(a, "expired_token", false);
	f->same_id = json_get_bool(a, "same_id", false);
	f->keeps_frame = json_get_bool(a, "keeps_frame", false);
	r->code = copy(a, "code");
	r->message = copy(a, "message");
	r->error_in_200 = copy(a, "error_in_200");
	if (json_get_bool(a, "error_in_200", false))
		r->error_in_200 = mem_strdup("InternalError");
	f->code = r->code;
	f->message = r->message;
	f->error_in_200 = r->error_in_200;
}

static char *read_rule(struct rule *r, const struct json *v, const struct objects *all)
{
	static const char *const rule_keys[] = {"match", "action", NULL};
	static const char *const match_keys[] = {"method", "path_prefix", "operation",
		"access_key", "range", "has_trailer", "part", "skip", "count", "nth", NULL};
	static const char *const action_keys[] = {"reset_at", "stall_at", "flip_at",
		"truncate_at", "status", "code", "message", "error_in_200",
		"expired_token", "delay_ms", "clock_offset_s", "same_id", "keeps_frame", "object",
		NULL};
	const struct json *action = json_get(v, "action");
	const char *unknown;

	if (!json_is_object(action))
		return mem_strdup("\"action\" is missing");
	unknown = unknown_key(v, rule_keys);
	if (!unknown)
		unknown = unknown_key(json_get(v, "match"), match_keys);
	if (!unknown)
		unknown = unknown_key(action, action_keys);
	if (unknown)
		return mem_printf("unknown key \"%s\"", unknown);
	read_match(r, json_get(v, "match"));
	read_action(r, action);
	if (!json_get(action, "object"))
		return NULL;
	r->fault.change = &r->change;
	return change_read(&r->change, json_get(action, "object"), all);
}

struct faults *faults_load(
	const char *text, size_t len, const struct objects *all, char **ret_error)
{
	_cleanup_json_ struct json *root = json_parse(text, len, ret_error);
	const struct json *list;
	struct faults *f;

	if (!root)
		return NULL;
	list = json_is_array(root) ? root : json_get(root, "rules");
	if (!json_is_array(list)) {
		*ret_error = mem_strdup("there is no \"rules\" list");
		return NULL;
	}
	f = mem_alloc(sizeof(*f));
	f->rules = mem_array(json_array_len(list) + 1, sizeof(*f->rules));
	for (size_t i = 0; i < json_array_len(list); i++) {
		_cleanup_free_ char *why = NULL;

		f->count++;
		why = read_rule(&f->rules[i], json_array_at(list, i), all);
		if (why) {
			*ret_error = mem_printf("rule %zu: %s", i + 1, why);
			return faults_free(f);
		}
	}
	return f;
}

static bool is_meant(const struct rule *r, const struct fault_query *q)
{
	return (!r->method || str_eq(r->method, q->method)) &&
	       (!r->path_prefix || str_has_prefix(q->path, r->path_prefix)) &&
	       (!r->operation || str_eq(r->operation, q->operation)) &&
	       (!r->access_key || str_eq(r->access_key, q->access_key)) &&
	       (!r->range || (q->range && str_has_prefix(q->range, r->range))) &&
	       (!r->has_trailer || q->trailer) &&
	       (!r->part || (q->part && strtoll(q->part, NULL, 10) == r->part));
}

const struct fault *faults_match(struct faults *f, const struct fault_query *q)
{
	for (size_t i = 0; f && i < f->count; i++) {
		struct rule *r = &f->rules[i];

		if (!is_meant(r, q))
			continue;
		r->matched++;
		if (r->matched <= r->skip)
			continue;
		if (r->count >= 0 && r->fired >= r->count)
			continue;
		r->fired++;
		return &r->fault;
	}
	return NULL;
}

void faults_report(const struct faults *f, struct json_writer *w)
{
	json_array_begin(w, "faults");
	for (size_t i = 0; f && i < f->count; i++) {
		json_object_begin(w, NULL);
		json_put_int(w, "matched", f->rules[i].matched);
		json_put_int(w, "fired", f->rules[i].fired);
		json_object_end(w);
	}
	json_array_end(w);
}
