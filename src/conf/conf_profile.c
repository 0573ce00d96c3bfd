/* Keys of a profile that hold more than one value: session policies and tags. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_build.h"

static void complain(const struct profile_place *at, const struct node *node,
	const char *hint, const char *text)
{
	conf_complain(at->d->messages, &(struct conf_place){at->src, node, 0, at->path},
		hint, "%s", text);
}

/* A scalar's text, or NULL after a complaint. */
static const char *text_of(
	const struct profile_place *at, const struct node *value, bool may_be_empty)
{
	if (value->kind != NODE_SCALAR)
		complain(at, value, NULL, "one value is expected here");
	else if (!*value->text && !may_be_empty)
		complain(at, value, NULL, "a value is missing");
	else if (!secret_is_value(value->text))
		return value->text;
	return NULL;
}

static void take_list(
	const struct profile_place *at, const struct node *value, struct conf_texts *ret)
{
	ret->v = mem_array(value->count, sizeof(*ret->v));
	for (size_t i = 0; i < value->count; i++) {
		const char *text = text_of(at, value->items[i], false);

		if (text)
			ret->v[ret->count++] = mem_strdup(text);
	}
}

static void take_tags(
	const struct profile_place *at, const struct node *value, struct conf_profile *p)
{
	if (value->kind != NODE_MAP) {
		complain(at, value, "tags: {team: data}",
			"keys and values are expected here");
		return;
	}
	p->tags = mem_array(value->count, sizeof(*p->tags));
	for (size_t i = 0; i < value->count; i++) {
		const char *text = text_of(at, value->items[i], true);

		if (text && !secret_is_key(value->keys[i]->text))
			p->tags[p->tag_count++] = (struct conf_tag){
				mem_strdup(value->keys[i]->text), mem_strdup(text)};
	}
}

void profile_take_child(const struct profile_place *at, const char *key,
	const struct node *value, struct conf_profile *p)
{
	if (strcmp(key, "tags") == 0 || strcmp(key, "session_tags") == 0) {
		take_tags(at, value, p);
	} else if (strcmp(key, "transitive_tag_keys") == 0) {
		if (value->kind == NODE_LIST)
			take_list(at, value, &p->transitive_tag_keys);
		else
			complain(at, value, "[team]", "a list of keys is expected here");
	} else if (value->kind == NODE_LIST) {
		take_list(at, value, &p->session_policy_arns);
	} else if (value->kind == NODE_SCALAR) {
		mem_replace(&p->session_policy, text_of(at, value, false));
	} else {
		complain(at, value, "quote the policy, or write it behind |",
			"a policy as JSON text, or a list of ARNs, is expected here");
	}
}
