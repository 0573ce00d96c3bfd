/* Trees to raw values by the schema table. Not what the values mean together. */
#include "config.h"

#include "conf/conf_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define NAME_MAX_LEN 200
#define LIST_MAX     100

/* A place in the document: "jobs.daily-report" and the section it follows. */
struct scope {
	struct draft *d;
	const struct source *src;
	enum schema_section section;
	bool is_defaults;
	char path[300];
};

static void complain(const struct scope *s, const struct node *at, const char *key,
	const char *hint, const char *text)
{
	char path[600];

	snprintf(path, sizeof(path), "%s%s%s", s->path, *s->path && key ? "." : "",
		key ? key : "");
	conf_complain(s->d->messages,
		&(struct conf_place){s->src, at, 0, *path ? path : NULL}, hint, "%s",
		text);
}

/* --- single values --- */

static void one_of(const char *const *names, const char *text, char *hint, size_t size)
{
	size_t n = 0;

	hint_for_name(names, text, hint, size);
	if (*hint)
		return;
	n += (size_t)snprintf(hint, size, "one of:");
	for (; *names && n < size; names++)
		n += (size_t)snprintf(hint + n, size - n, " %s", *names);
}

static bool has_name(const char *const *names, const char *text)
{
	for (; names && *names; names++) {
		if (strcmp(*names, text) == 0)
			return true;
	}
	return false;
}

/* Decimal without a leading zero: YAML 1.1 readers take 010 for 8. */
static const char *parse_number(
	const struct schema_row *row, const char *text, void *at, char *hint, size_t size)
{
	static const char digits[] = "0123456789";
	size_t n = strspn(text, digits);
	uint64_t u;
	double real;
	char *end;

	if (row->type == SCHEMA_REAL) {
		n += text[n] == '.' ? 1 + strspn(text + n + 1, digits) : 0;
		real = strtod(text, &end);
		if (text[n] || *end || end == text ||
			!(real >= (double)row->min && real <= (double)row->max)) {
			snprintf(hint, size, "from %lld to %lld", (long long)row->min,
				(long long)row->max);
			return "a number is expected";
		}
		*(double *)at = real;
		return NULL;
	}
	if (has_name(row->names, text)) {
		*(int64_t *)at = 0;
		return NULL;
	}
	if (!n || text[n]) {
		if (row->names)
			snprintf(hint, size, "or %s", row->names[0]);
		return "a whole number is expected";
	}
	if (*text == '0' && text[1])
		return "a number with a leading zero is octal to some and decimal to "
		       "others";
	if (str_to_uint(text, INT64_MAX, &u) < 0 || (int64_t)u < row->min ||
		(int64_t)u > row->max) {
		snprintf(hint, size, "from %lld to %lld", (long long)row->min,
			(long long)row->max);
		return "out of range";
	}
	*(int64_t *)at = (int64_t)u;
	return NULL;
}

static const char *parse_duration(
	const struct schema_row *row, const char *text, void *at, char *hint, size_t size)
{
	int64_t seconds;

	if (str_to_duration_s(text, &seconds) < 0) {
		snprintf(hint, size, "write 30s, 15m, 4h or 7d");
		return "a duration with a unit is expected";
	}
	if (seconds < row->min || seconds > row->max) {
		snprintf(hint, size, "from %lld to %lld seconds", (long long)row->min,
			(long long)row->max);
		return "out of range";
	}
	*(int64_t *)at = seconds;
	return NULL;
}

static const char *parse_size(
	const struct schema_row *row, const char *text, void *at, char *hint, size_t size)
{
	char least[32], most[32];
	uint64_t bytes;

	if (str_to_size(text, &bytes) < 0) {
		snprintf(hint, size, "write 8MiB or 1GiB");
		return "a size with a unit is expected";
	}
	if (bytes < (uint64_t)row->min || bytes > (uint64_t)row->max) {
		snprintf(hint, size, "from %s to %s",
			str_format_size((uint64_t)row->min, least, sizeof(least)),
			str_format_size((uint64_t)row->max, most, sizeof(most)));
		return "out of range";
	}
	*(int64_t *)at = (int64_t)bytes;
	return NULL;
}

static const char *parse_enum(
	const struct schema_row *row, const char *text, void *at, char *hint, size_t size)
{
	for (int64_t i = 0; row->names[i]; i++) {
		if (strcmp(row->names[i], text) == 0) {
			*(int64_t *)at = i;
			return NULL;
		}
	}
	one_of(row->names, text, hint, size);
	return "not one of the values of this key";
}

/* NULL, or what is wrong; hint is filled where one helps. */
static const char *parse_value(const struct schema_row *row, const char *text, void *at,
	char *hint, size_t hint_size)
{
	switch (row->type) {
	case SCHEMA_TEXT:
		mem_replace((char **)at, text);
		return NULL;
	case SCHEMA_INT:
	case SCHEMA_REAL:
		return parse_number(row, text, at, hint, hint_size);
	case SCHEMA_SIZE:
		return parse_size(row, text, at, hint, hint_size);
	case SCHEMA_DURATION:
		return parse_duration(row, text, at, hint, hint_size);
	case SCHEMA_BOOL:
		*(bool *)at = strcmp(text, "true") == 0;
		if (*(bool *)at || strcmp(text, "false") == 0)
			return NULL;
		return "true or false is expected";
	case SCHEMA_FLAG:
		*(enum conf_flag *)at = strcmp(text, "true") == 0 ? CONF_FLAG_TRUE
								  : CONF_FLAG_FALSE;
		return strcmp(text, "true") == 0 || strcmp(text, "false") == 0
			       ? NULL
			       : "true or false is expected";
	case SCHEMA_TIME:
		return clock_parse_iso(text, at) < 0
			       ? "a time such as 2026-01-01T00:07:00Z is expected"
			       : NULL;
	case SCHEMA_ENUM:
		return parse_enum(row, text, at, hint, hint_size);
	default:
		return "a value cannot stand here";
	}
}

static void set_fallbacks(enum schema_section section, void *base)
{
	char hint[8];

	for (size_t i = 0; i < schema_row_count; i++) {
		const struct schema_row *row = &schema_rows[i];

		if (row->section == section && row->fallback)
			parse_value(row, row->fallback, (char *)base + row->offset, hint,
				sizeof(hint));
	}
}

/* --- keys --- */

static void unknown_key(const struct scope *s, const struct node *key)
{
	char text[160], hint[160];

	hint_for_key(s->section, key->text, hint, sizeof(hint));
	snprintf(text, sizeof(text), "unknown key '%.60s'", key->text);
	complain(s, key, key->text, hint, text);
}

static void planned_key(const struct scope *s, const struct node *key)
{
	char text[160];

	snprintf(text, sizeof(text), "'%s' is not supported by this version", key->text);
	complain(s, key, key->text, NULL, text);
}

/* The row, or NULL after a complaint; that about a secret was made before. No key of the
 * table is one. */
static const struct schema_row *row_of(const struct scope *s, const struct node *key)
{
	const struct schema_row *row = schema_find(s->section, key->text);
	bool was_told = !row && (secret_is_key(key->text) || secret_is_value(key->text) ||
					strcmp(key->text, "<<") == 0);

	if (was_told)
		return NULL;
	if (!row)
		unknown_key(s, key);
	else if (row->type == SCHEMA_PLANNED)
		planned_key(s, key);
	else if (s->is_defaults && !row->is_default_too)
		complain(s, key, key->text, NULL, "this key cannot be a default");
	else
		return row;
	return NULL;
}

static bool is_nothing(const struct node *n)
{
	return n->kind == NODE_SCALAR && n->is_plain &&
	       (!*n->text || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

static void take_scalar(const struct scope *s, const struct schema_row *row,
	const struct node *value, void *base)
{
	char hint[200] = "";
	const char *wrong;

	if (value->kind != NODE_SCALAR) {
		complain(s, value, row->key,
			value->kind == NODE_MAP && value->count == 1
				? "quote a value that begins with {"
				: NULL,
			"one value is expected here");
		return;
	}
	if (is_nothing(value) || !*value->text) {
		complain(s, value, row->key, NULL, "a value is missing");
		return;
	}
	if (secret_is_value(value->text))
		return;
	wrong = parse_value(
		row, value->text, (char *)base + row->offset, hint, sizeof(hint));
	if (wrong)
		complain(s, value, row->key, hint, wrong);
}

/* "a" or [a, b]. Every element is told about; none is kept when one is wrong. */
static void take_texts(const struct scope *s, const struct schema_row *row,
	const struct node *value, void *base)
{
	struct schema_row one = *row;
	struct conf_texts *texts = (struct conf_texts *)((char *)base + row->offset);
	size_t n = value->kind == NODE_LIST ? value->count : 1;

	one.type = SCHEMA_TEXT;
	one.offset = 0;
	if (value->kind == NODE_LIST && (n == 0 || n > LIST_MAX)) {
		complain(s, value, row->key, NULL,
			n ? "the list is too long: 100 at most" : "the list is empty");
		return;
	}
	texts->v = mem_array(n, sizeof(*texts->v));
	for (size_t i = 0; i < n; i++)
		take_scalar(s, &one, value->kind == NODE_LIST ? value->items[i] : value,
			&texts->v[i]);
	texts->count = n;
	for (size_t i = 0; i < texts->count; i++) {
		if (!texts->v[i]) {
			conf_texts_done(texts);
			*texts = (struct conf_texts){0};
			break;
		}
	}
}

typedef void (*child_fn)(const struct scope *s, const struct node *key,
	const struct node *value, void *base);

/* All keys of one map into base; children go to their own function. */
static void take_map(
	const struct scope *s, const struct node *map, void *base, child_fn child)
{
	if (map->kind != NODE_MAP) {
		complain(s, map, NULL, NULL, "keys and values are expected here");
		return;
	}
	for (size_t i = 0; i < map->count; i++) {
		const struct schema_row *row = row_of(s, map->keys[i]);

		if (row && row->type == SCHEMA_CHILD)
			child(s, map->keys[i], map->items[i], base);
		else if (row && row->type == SCHEMA_TEXTS)
			take_texts(s, row, map->items[i], base);
		else if (row)
			take_scalar(s, row, map->items[i], base);
	}
}

void conf_join_path(char out[300], const char *path, const char *name)
{
	size_t len = strnlen(path, 250), n;

	memcpy(out, path, len);
	if (len)
		out[len++] = '.';
	n = strnlen(name, 299 - len);
	memcpy(out + len, name, n);
	out[len + n] = '\0';
}

static struct scope inner(
	const struct scope *s, enum schema_section section, const char *name)
{
	struct scope t = {s->d, s->src, section, s->is_defaults, ""};

	conf_join_path(t.path, s->path, name);
	return t;
}

static void take_bandwidth(const struct scope *s, const struct node *key,
	const struct node *value, struct conf_bandwidth *ret)
{
	struct scope t = inner(s, s->section, key->text);

	if (is_nothing(value))
		complain(s, value, key->text, NULL, "a value is missing");
	else
		bandwidth_take(
			&(struct profile_place){s->d, s->src, t.path}, value, ret);
}

/* --- jobs --- */

/* Keys of a profile's that a job may have for itself. */
static void take_session(const struct scope *s, const struct node *key,
	const struct node *value, struct raw_job *job)
{
	struct scope t = inner(s, SCHEMA_JOB, key->text);

	if (!job->session)
		job->session = mem_alloc(sizeof(*job->session));
	if (is_nothing(value))
		complain(s, value, key->text, NULL, "a value is missing");
	else
		profile_take_child(&(struct profile_place){s->d, s->src, t.path},
			key->text, value, job->session);
}

/* storage_class, the only key of a side that may hold a map. */
static void take_side_child(const struct scope *s, const struct node *key,
	const struct node *value, void *base)
{
	struct scope t = inner(s, s->section, key->text);

	if (is_nothing(value))
		complain(s, value, key->text, NULL, "a value is missing");
	else
		fidelity_take_class(
			&(struct profile_place){s->d, s->src, t.path}, value, base);
}

/* "10%" or "1000"; the map is read as all maps are. */
static void take_max_delete(
	const struct scope *s, const struct node *value, struct raw_max_delete *ret)
{
	size_t n = strlen(value->text);
	bool is_percent = str_has_suffix(value->text, "%");
	uint64_t number;

	if (str_to_uint_len(value->text, n - is_percent, INT64_MAX, &number) < 0 ||
		(is_percent && number > 100))
		complain(s, value, "max_delete",
			"write 10%, 1000, or {percent: 10, count: 1000}",
			"a number of objects or a share of them is expected");
	else if (is_percent)
		ret->percent = (int64_t)number;
	else
		ret->count = (int64_t)number;
}

static void take_job_child(const struct scope *s, const struct node *key,
	const struct node *value, void *base)
{
	struct raw_job *job = base;
	const struct {
		const char *key;
		enum schema_section section;
		void *at;
	} children[] = {{"retry", SCHEMA_RETRY, &job->retry},
		{"limits", SCHEMA_LIMITS, &job->limits},
		{"manifest", SCHEMA_MANIFEST, &job->manifest},
		{"window", SCHEMA_WINDOW, &job->window},
		{"if_missing", SCHEMA_IF_MISSING, &job->if_missing},
		{"restore", SCHEMA_RESTORE, &job->restore},
		{"expect", SCHEMA_EXPECT, &job->expect},
		{"max_delete", SCHEMA_MAX_DELETE, &job->max_delete},
		{"source", SCHEMA_SIDE, &job->source},
		{"destination", SCHEMA_SIDE, &job->destination}};

	if (strcmp(key->text, "bandwidth") == 0) {
		take_bandwidth(s, key, value, &job->bandwidth);
		return;
	}
	if (str_has_prefix(key->text, "session_")) {
		take_session(s, key, value, job);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		struct scope t;

		if (strcmp(key->text, children[i].key) != 0)
			continue;
		t = inner(s, children[i].section, key->text);
		t.is_defaults = false;
		if (children[i].section == SCHEMA_MAX_DELETE &&
			value->kind == NODE_SCALAR) {
			take_max_delete(s, value, &job->max_delete);
			continue;
		}
		take_map(&t, value, children[i].at, take_side_child);
	}
}

static bool is_name(const char *s)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_.";

	return *s && strlen(s) <= NAME_MAX_LEN && strspn(s, allowed) == strlen(s);
}

static bool check_name(const struct scope *s, const struct node *key)
{
	if (is_name(key->text))
		return !secret_is_value(key->text);
	if (strcmp(key->text, "<<") == 0)
		return false;
	complain(s, key, NULL, NULL,
		"a name has letters, digits, '-', '_' and '.' only, 200 "
		"at most");
	return false;
}

static void copy_defaults(struct raw_job *job, const struct raw_job *defaults)
{
	*job = *defaults;
	job->timezone = mem_strdup(defaults->timezone);
}

static void take_job(
	const struct scope *s, const struct node *key, const struct node *value)
{
	struct scope t = inner(s, SCHEMA_JOB, key->text);
	struct draft *d = s->d;

	if (!check_name(&t, key))
		return;
	d->jobs = mem_grow(d->jobs, d->job_count, sizeof(*d->jobs));
	d->jobs[d->job_count++] = (struct draft_job){s->src, key, value};
}

void draft_read_job(struct draft *d, const struct draft_job *dj, struct raw_job *ret)
{
	struct scope s = {d, dj->src, SCHEMA_JOB, false, ""};

	conf_join_path(s.path, "jobs", dj->name->text);
	copy_defaults(ret, &d->defaults);
	take_map(&s, dj->map, ret, take_job_child);
}

static void take_profile_child(const struct scope *s, const struct node *key,
	const struct node *value, void *base)
{
	struct scope t = inner(s, SCHEMA_PROFILE, key->text);

	if (is_nothing(value))
		complain(s, value, key->text, NULL, "a value is missing");
	else
		profile_take_child(&(struct profile_place){s->d, s->src, t.path},
			key->text, value, base);
}

static void take_profile(
	const struct scope *s, const struct node *key, const struct node *value)
{
	struct scope t = inner(s, SCHEMA_PROFILE, key->text);
	struct draft *d = s->d;
	struct conf_profile *p;

	if (!check_name(&t, key))
		return;
	p = mem_alloc(sizeof(*p));
	p->name = mem_strdup(key->text);
	d->profiles = mem_grow(d->profiles, d->profile_count, sizeof(*d->profiles));
	d->profiles[d->profile_count++] = (struct draft_profile){p, s->src, key, value};
	take_map(&t, value, p, take_profile_child);
}

/* --- the top --- */

static void take_top_child(const struct scope *s, const struct node *key,
	const struct node *value, void *base)
{
	struct scope t = inner(s, SCHEMA_JOB, key->text);
	bool is_jobs = strcmp(key->text, "jobs") == 0;

	if (strcmp(key->text, "defaults") == 0)
		return; /* read before everything else */
	if (strcmp(key->text, "bandwidth") == 0) {
		take_bandwidth(s, key, value, &((struct raw_top *)base)->bandwidth);
		return;
	}
	if (is_nothing(value))
		return; /* "jobs:" with nothing behind it */
	if (value->kind != NODE_MAP) {
		complain(&t, value, NULL, NULL, "a map by name is expected here");
		return;
	}
	for (size_t i = 0; i < value->count; i++) {
		if (is_jobs)
			take_job(&t, value->keys[i], value->items[i]);
		else
			take_profile(&t, value->keys[i], value->items[i]);
	}
}

/* False where the language is another one: nothing else can be said about it. */
static bool check_version(const struct scope *s, const struct node *root, bool is_main)
{
	const struct node *v = node_get(root, "version");
	struct node first = {.line = root->line, .col = root->col, .width = 1};

	if (v && v->kind == NODE_SCALAR && strcmp(v->text, "1") != 0) {
		complain(s, v, "version", NULL, "this version reads version: 1 only");
		return false;
	}
	if (!v && is_main)
		complain(s, &first, "version", "version: 1",
			"the key is missing; begin the file with version: 1");
	return true;
}

static void refuse_top_keys(const struct scope *s, const struct node *root)
{
	for (size_t i = 0; i < root->count; i++) {
		const char *key = root->keys[i]->text;

		if (schema_find(SCHEMA_TOP, key) && strcmp(key, "jobs") &&
			strcmp(key, "profiles") && strcmp(key, "version"))
			complain(s, root->keys[i], key, NULL,
				"files of jobs.d hold jobs and profiles only");
	}
}

void draft_read(
	struct draft *d, const struct source *src, const struct node *root, bool is_main)
{
	struct scope s = {d, src, SCHEMA_TOP, false, ""};
	const struct node *defaults = node_get(root, "defaults");

	secret_complain(d, src, root);
	if (root->kind != NODE_MAP) {
		complain(&s, root, NULL, NULL, "keys and values are expected here");
		return;
	}
	if (!check_version(&s, root, is_main)) {
		d->is_partial = true;
		return;
	}
	if (is_main) {
		d->main_src = src;
		d->main_root = root;
	} else {
		refuse_top_keys(&s, root);
	}
	if (defaults && is_main && !is_nothing(defaults)) {
		struct scope t = inner(&s, SCHEMA_JOB, "defaults");

		t.is_defaults = true;
		take_map(&t, defaults, &d->defaults, take_job_child);
	}
	take_map(&s, root, &d->top, take_top_child);
}

void draft_init(struct draft *d, struct conf *conf, struct conf_messages *messages)
{
	*d = (struct draft){.conf = conf, .messages = messages};
	set_fallbacks(SCHEMA_TOP, &d->top);
	set_fallbacks(SCHEMA_JOB, &d->defaults);
	set_fallbacks(SCHEMA_RETRY, &d->defaults.retry);
	set_fallbacks(SCHEMA_LIMITS, &d->defaults.limits);
	set_fallbacks(SCHEMA_WINDOW, &d->defaults.window);
	set_fallbacks(SCHEMA_IF_MISSING, &d->defaults.if_missing);
	set_fallbacks(SCHEMA_RESTORE, &d->defaults.restore);
	set_fallbacks(SCHEMA_MANIFEST, &d->defaults.manifest);
	d->defaults.min_size = d->defaults.max_size = -1;
	d->defaults.max_delete = (struct raw_max_delete){-1, -1};
	d->defaults.expect = (struct raw_expect){-1, -1, -1, 0, NULL};
}

static void raw_side_done(struct raw_side *side)
{
	free(side->profile);
	free(side->url);
	free(side->group);
	free(side->mode);
	free(side->expected_owner);
	free(side->storage_class);
	free(side->kms_key_id);
}

void raw_job_done(struct raw_job *job)
{
	conf_texts_done(&job->schedule);
	conf_texts_done(&job->calendar);
	conf_texts_done(&job->after);
	conf_texts_done(&job->include);
	conf_texts_done(&job->exclude);
	conf_texts_done(&job->only_storage_class);
	free(job->rename);
	free(job->trash_prefix);
	free(job->manifest_prefix);
	free(job->expect.by);
	conf_bandwidth_done(&job->bandwidth);
	free(job->window.start);
	free(job->window.end);
	free(job->every);
	free(job->role_session_name);
	if (job->session)
		conf_profile_free(job->session);
	free(job->timezone);
	free(job->profile);
	raw_side_done(&job->source);
	raw_side_done(&job->destination);
}

/* What the conf took over is no longer in the draft. */
void draft_done(struct draft *d)
{
	raw_job_done(&d->defaults);
	free(d->jobs);
	free(d->profiles);
	arena_done(&d->arena);
	conf_bandwidth_done(&d->top.bandwidth);
	free(d->top.aws_config_file);
	free(d->top.aws_credentials_file);
}
