/*
 * Keys with something to fill in: templates of url, rename and trash_prefix, and the glob
 * of a source. All are compiled at load, so that what cannot be is told with its place.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/template.h"
#include "calendar/tz.h"
#include "conf/conf_build.h"

#define KEY_MAX 1024

size_t conf_glob_at(const char *key)
{
	size_t n = 0;

	/* Keys with ? [ { are common on the web; with a star they are not. */
	if (!strchr(key, '*'))
		return strlen(key);
	while (key[n] && !strchr("*?[{", key[n]) &&
		!(key[n] == '\\' && key[n + 1] && strchr("*?[{\\", key[n + 1])))
		n++;
	return n;
}

struct template *key_compile(
	const struct spot *s, const char *key, const char *text, unsigned max_match)
{
	/* A url's template begins behind the bucket. */
	const struct node *at = s->map ? node_get(s->map, key) : NULL;
	size_t shift = 0;
	struct template *t = NULL;
	struct template_error e;

	if (at && at->kind == NODE_SCALAR && str_has_suffix(at->text, text))
		shift = strlen(at->text) - strlen(text);
	if (template_compile(text, max_match, &t, &e) == 0)
		return t;
	spot_complain_inside(s, key, shift + e.at, NULL, e.text);
	return NULL;
}

/* As it would be of some slot: what is filled in has no wildcards. */
static char *sample(const struct template *t)
{
	struct buf out = BUF_INIT(4 * KEY_MAX);
	struct tz *utc = NULL;
	struct template_values v = {.job = "j", .run = "r", .host = "h"};
	char *text;

	if (tz_load("UTC", &utc) < 0)
		return NULL;
	v.zone = utc;
	if (template_expand(t, &v, &out) < 0)
		buf_reset(&out);
	text = mem_strdup(buf_str(&out));
	buf_done(&out);
	tz_free(utc);
	return text;
}

static void finish_glob(const struct spot *s, struct conf_side *side, const char *text)
{
	size_t n = conf_glob_at(text);
	struct glob *g = NULL;
	struct glob_error e;

	while (n && text[n - 1] != '/')
		n--;
	side->is_glob = side->is_prefix = true;
	if (glob_compile(text + n, &g, &e) < 0)
		spot_complain(
			s, "url", "write \\* for a star that is part of a key", e.text);
	glob_free(g);
}

void key_finish(
	const struct spot *s, struct conf_side *side, bool is_source, unsigned max_match)
{
	_cleanup_free_ char *text = NULL;

	side->name = key_compile(s, "url", side->key, max_match);
	if (!side->name)
		return;
	text = sample(side->name);
	if (!text)
		return;
	if (is_source && strchr(text, '*'))
		finish_glob(s, side, text);
	if (template_is_constant(side->name))
		mem_replace(&side->key, text);
}
