/*
 * The language as JSON Schema, draft 07, for editors: made from the parser's own table.
 * What a map allows beside its keys is here; what values mean together is conf_check's.
 */
#include "config.h"

#include "conf/conf_json.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "conf/conf_schema.h"

/* Plain scalars are text to us and numbers to others. */
#define TEXT     "{\"type\":[\"string\",\"number\"]}"
#define TEXT_MAP "{\"type\":\"object\",\"additionalProperties\":" TEXT "}"
#define TEXT_LIST \
	"{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"items\":" TEXT "}"
#define REF(name) "{\"$ref\":\"#/definitions/" name "\"}"
#define BY_NAME(name) \
	"{\"type\":[\"object\",\"null\"],\"additionalProperties\":" REF(name) "}"
#define OR(a, b) "{\"anyOf\":[" a "," b "]}"
#define RULE                                                                     \
	"{\"type\":\"object\",\"properties\":{\"limit\":" RATE ",\"when\":" TEXT \
	"},\"additionalProperties\":false}"
#define PATTERN(p) "{\"type\":\"string\",\"pattern\":\"^" p "$\"}"
/* As str_to_duration_s() and str_to_size() read them. */
#define DURATION \
	PATTERN("(?=.)([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?")
#define SIZE_TEXT "[0-9]+ ?([kKMGT]?B|[KMGT]iB)"
#define SIZE      PATTERN(SIZE_TEXT)
#define RATE      PATTERN(SIZE_TEXT "/s")

/* clang-format off */
/* Keys that hold more than one value, whichever section they are of. */
static const struct {
	const char *key, *schema;
} children[] = {
	{"profiles",            BY_NAME("profile")},
	{"jobs",                BY_NAME("job")},
	{"defaults",            OR(REF("defaults"), "{\"type\":\"null\"}")},
	{"source",              REF("side")},
	{"destination",         REF("side")},
	{"retry",               REF("retry")},
	{"window",              REF("window")},
	{"limits",              REF("limits")},
	{"restore",             REF("restore")},
	{"if_missing",          REF("if_missing")},
	{"expect",              REF("expect")},
	{"manifest",            REF("manifest")},
	{"max_delete",          OR(TEXT, REF("max_delete"))},
	{"bandwidth",           OR(RATE, "{\"type\":\"array\",\"items\":" RULE "}")},
	{"session_policy",      OR("{\"type\":[\"string\",\"object\"]}", TEXT_LIST)},
	{"tags",                TEXT_MAP},
	{"session_tags",        TEXT_MAP},
	{"transitive_tag_keys", OR(TEXT, TEXT_LIST)},
	{"storage_class",       OR(TEXT, TEXT_MAP)},
};

static const char *const definitions[SCHEMA_SECTIONS] = {
	[SCHEMA_PROFILE] = "profile",
	[SCHEMA_JOB] = "job",
	[SCHEMA_SIDE] = "side",
	[SCHEMA_RETRY] = "retry",
	[SCHEMA_WINDOW] = "window",
	[SCHEMA_LIMITS] = "limits",
	[SCHEMA_MAX_DELETE] = "max_delete",
	[SCHEMA_IF_MISSING] = "if_missing",
	[SCHEMA_RESTORE] = "restore",
	[SCHEMA_EXPECT] = "expect",
	[SCHEMA_MANIFEST] = "manifest",
};
/* clang-format on */

static const char *child_schema(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		if (strcmp(children[i].key, key) == 0)
			return children[i].schema;
	return "{}";
}

static void put_number(struct json_writer *w, const struct schema_row *row)
{
	json_put_str(w, "type", row->type == SCHEMA_REAL ? "number" : "integer");
	json_put_int(w, "minimum", row->min);
	if (row->max < INT64_MAX)
		json_put_int(w, "maximum", row->max);
}

/* The words of a key; true and false, plain, are no text to others. */
static void put_names(struct json_writer *w, const char *const *names)
{
	json_array_begin(w, "enum");
	for (; *names; names++) {
		json_put_str(w, NULL, *names);
		if (strcmp(*names, "true") == 0 || strcmp(*names, "false") == 0)
			json_put_bool(w, NULL, **names == 't');
	}
	json_array_end(w);
}

static void put_int(struct json_writer *w, const struct schema_row *row)
{
	if (!row->names) {
		put_number(w, row);
		return;
	}
	json_array_begin(w, "anyOf");
	json_object_begin(w, NULL);
	put_number(w, row);
	json_object_end(w);
	json_object_begin(w, NULL);
	put_names(w, row->names);
	json_object_end(w);
	json_array_end(w);
}

static void put_default(struct json_writer *w, const struct schema_row *row)
{
	if (row->type == SCHEMA_ENUM)
		json_put_str(w, "default", row->fallback);
	else
		json_put_raw(w, "default", row->fallback);
}

static void put_row(struct json_writer *w, const struct schema_row *row)
{
	static const char *const raw[] = {
		[SCHEMA_TEXT] = TEXT,
		[SCHEMA_TIME] = TEXT,
		[SCHEMA_DURATION] = DURATION,
		[SCHEMA_SIZE] = SIZE,
		[SCHEMA_BOOL] = "{\"type\":\"boolean\"}",
		[SCHEMA_FLAG] = "{\"type\":\"boolean\"}",
		[SCHEMA_TEXTS] = OR(TEXT, TEXT_LIST),
	};

	if (row->type == SCHEMA_PLANNED)
		return;
	if (row->type == SCHEMA_CHILD) {
		json_put_raw(w, row->key, child_schema(row->key));
	} else if (row->type == SCHEMA_INT || row->type == SCHEMA_REAL ||
		   row->type == SCHEMA_ENUM) {
		json_object_begin(w, row->key);
		if (row->type == SCHEMA_ENUM)
			put_names(w, row->names);
		else
			put_int(w, row);
		if (row->fallback)
			put_default(w, row);
		json_object_end(w);
	} else {
		json_put_raw(w, row->key, raw[row->type]);
	}
}

static void put_section(
	struct json_writer *w, enum schema_section section, bool is_defaults)
{
	json_put_str(w, "type", "object");
	json_put_bool(w, "additionalProperties", false);
	json_object_begin(w, "properties");
	for (size_t i = 0; i < schema_row_count; i++)
		if (schema_rows[i].section == section &&
			(!is_defaults || schema_rows[i].is_default_too))
			put_row(w, &schema_rows[i]);
	json_object_end(w);
}

int conf_json_schema(struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "$schema", "http://json-schema.org/draft-07/schema#");
	json_put_str(&w, "title", "The configuration of s3ferry: man s3ferry.yaml");
	put_section(&w, SCHEMA_TOP, false);
	json_object_begin(&w, "definitions");
	json_object_begin(&w, "defaults");
	put_section(&w, SCHEMA_JOB, true);
	json_object_end(&w);
	for (size_t i = 0; i < SCHEMA_SECTIONS; i++) {
		if (!definitions[i])
			continue;
		json_object_begin(&w, definitions[i]);
		put_section(&w, (enum schema_section)i, false);
		json_object_end(&w);
	}
	json_object_end(&w);
	json_object_end(&w);
	buf_putc(out, '\n');
	return w.failed ? -1 : 0;
}
