/* Limits of bandwidth: one rate, or a list of them with the hours in which each holds. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/tz.h"
#include "conf/conf_build.h"

#define LEAST     1024
#define MOST      (UINT64_C(1) << 40)
#define RULES_MAX 100

static void complain(const struct profile_place *at, const struct node *node,
	size_t position, const char *hint, const char *text)
{
	struct conf_place place = {at->src, node, 0, at->path};

	if (node->kind == NODE_SCALAR && node->is_exact)
		place.shift = (int)position + !node->is_plain;
	conf_complain(at->d->messages, &place, hint, "%s", text);
}

/* "20 MB/s" */
static int64_t take_rate(const struct profile_place *at, const struct node *value)
{
	_cleanup_free_ char *size = NULL;
	uint64_t bytes;
	size_t n;

	if (value->kind != NODE_SCALAR) {
		complain(at, value, 0, NULL, "one value is expected here");
		return 0;
	}
	n = strlen(value->text);
	if (str_has_suffix(value->text, "/s"))
		size = mem_strndup(value->text, n - 2);
	if (!size || str_to_size(size, &bytes) < 0) {
		complain(at, value, 0, "such as 20 MB/s", "a rate is expected here");
		return 0;
	}
	if (bytes < LEAST || bytes > MOST) {
		complain(at, value, 0, "from 1 KiB/s to 1 TiB/s", "out of range");
		return 0;
	}
	return (int64_t)bytes;
}

static void take_when(
	const struct profile_place *at, const struct node *value, struct hours *ret)
{
	struct hours_error error;

	if (value->kind != NODE_SCALAR)
		complain(at, value, 0, NULL, "one value is expected here");
	else if (hours_parse(value->text, ret, &error) < 0)
		complain(at, value, error.position, error.hint, error.text);
}

static void take_rule(const struct profile_place *at, const struct node *map,
	struct conf_bandwidth_rule *ret)
{
	const struct node *when;

	if (map->kind != NODE_MAP) {
		complain(at, map, 0, "{limit: 20 MB/s, when: \"Mon-Fri 07:00-19:00\"}",
			"a limit and its hours are expected here");
		return;
	}
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->keys[i]->text, "limit") != 0 &&
			strcmp(map->keys[i]->text, "when") != 0)
			complain(at, map->keys[i], 0, "limit, when", "unknown key");
	when = node_get(map, "when");
	ret->is_always = !when;
	if (when)
		take_when(at, when, &ret->hours);
	if (node_get(map, "limit"))
		ret->bytes_s = take_rate(at, node_get(map, "limit"));
	else
		complain(at, map, 0, "limit: 20 MB/s", "the key 'limit' is missing");
}

void bandwidth_take(const struct profile_place *at, const struct node *value,
	struct conf_bandwidth *ret)
{
	bool is_list = value->kind == NODE_LIST;
	size_t n = is_list ? value->count : 1;

	if (n == 0 || n > RULES_MAX) {
		complain(at, value, 0, NULL,
			n ? "the list is too long: 100 at most" : "the list is empty");
		return;
	}
	ret->rules = mem_array(n, sizeof(*ret->rules));
	ret->count = n;
	for (size_t i = 0; i < n; i++) {
		if (is_list) {
			take_rule(at, value->items[i], &ret->rules[i]);
			continue;
		}
		ret->rules[0].is_always = true;
		ret->rules[0].bytes_s = take_rate(at, value);
	}
	for (size_t i = 0; i + 1 < n; i++)
		if (ret->rules[i].is_always)
			conf_warn(at->d->messages,
				&(struct conf_place){
					at->src, value->items[i + 1], 0, at->path},
				"the first that holds wins: put it last",
				"a limit without hours stands before this one");
}

void bandwidth_finish(struct conf_bandwidth *b, const char *timezone)
{
	if (!b->count || tz_load(timezone, &b->zone) < 0)
		b->zone = NULL; /* the schedule has told what is wrong with it */
}
