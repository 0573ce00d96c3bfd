/*
 * Keys of one slot: templates filled in, the source's glob taken apart, and what a source
 * key is called at the destination. No object is looked at here.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/template.h"
#include "calendar/tz.h"
#include "conf/conf.h"
#include "run/run_impl.h"

#define KEY_MAX 1024

static int expand(const struct run *r, const struct template *t,
	const struct template_span *matches, size_t match_count, struct buf *out)
{
	char host[256] = "";
	struct template_values v = {.slot_s = r->options.nominal_s,
		.zone = r->zone,
		.job = r->job->name,
		.run = r->id,
		.host = host,
		.matches = matches,
		.match_count = match_count};

	if (gethostname(host, sizeof(host) - 1) < 0)
		snprintf(host, sizeof(host), "localhost");
	return template_expand(t, &v, out);
}

char *run_names_expand(const struct run *r, const struct template *t)
{
	struct buf out = BUF_INIT(KEY_MAX);
	char *text;

	if (expand(r, t, NULL, 0, &out) < 0) {
		buf_done(&out);
		return NULL;
	}
	text = mem_strdup(buf_str(&out));
	buf_done(&out);
	return text;
}

/* All up to the last plain slash is the prefix, the rest the pattern below it. */
static int split_glob(struct run *r, struct run_side *source, struct err *e)
{
	size_t n = conf_glob_at(source->key);
	struct glob_error ge;

	while (n && source->key[n - 1] != '/')
		n--;
	if (glob_compile(source->key + n, &r->pattern, &ge) < 0) {
		err_set(e, ERR_CONFIG, ERR_FROM_LOCAL, "glob", "%s", ge.text);
		return -EINVAL;
	}
	source->key[n] = '\0';
	return 0;
}

int run_names_open(struct run *r, struct err *e)
{
	struct run_side *source = &r->sides[RUN_SOURCE];

	run_names_close(r);
	if (tz_load(r->job->timezone, &r->zone) < 0) {
		err_set(e, ERR_CONFIG, ERR_FROM_LOCAL, "zone",
			"the zone %s cannot be read", r->job->timezone);
		return -EINVAL;
	}
	for (int i = 0; i < RUN_SIDES; i++) {
		struct run_side *side = &r->sides[i];

		if (i == RUN_DESTINATION && template_matches(side->conf->name))
			side->key = mem_strdup(""); /* another one for each object */
		else
			side->key = run_names_expand(r, side->conf->name);
		if (side->key)
			continue;
		err_set(e, ERR_CONFIG, ERR_FROM_LOCAL, "key-too-long",
			"the key would be longer than 1,024 bytes");
		return -EINVAL;
	}
	r->is_single = !source->conf->is_prefix;
	r->is_renamed = r->job->is_flat || r->job->rename ||
			template_matches(r->sides[RUN_DESTINATION].conf->name);
	if (source->conf->is_glob && split_glob(r, source, e) < 0)
		return -EINVAL;
	/* Both the whole key and what is behind the place are understood. */
	if (r->options.only_key && str_has_prefix(r->options.only_key, source->key))
		r->options.only_key += strlen(source->key);
	return 0;
}

void run_names_close(struct run *r)
{
	for (int i = 0; i < RUN_SIDES; i++) {
		free(r->sides[i].key);
		r->sides[i].key = NULL;
	}
	r->pattern = glob_free(r->pattern);
	r->zone = tz_free(r->zone);
}

static const char *name_of(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash ? slash + 1 : key;
}

/* The matches of the source's glob, or of the first include that the key matches. */
static size_t capture(
	const struct run *r, const char *relative, struct template_span spans[GLOB_SPANS])
{
	struct glob_span at[GLOB_SPANS];
	size_t len = strlen(relative), n = 0;

	if (r->pattern)
		n = glob_capture(r->pattern, relative, len, at);
	for (size_t i = 0; i < n; i++)
		spans[i] = (struct template_span){relative + at[i].at, at[i].len};
	return n;
}

static int put_renamed(const struct run *r, const char *relative, struct buf *out)
{
	const struct run_side *to = &r->sides[RUN_DESTINATION];
	struct template_span spans[GLOB_SPANS];
	size_t n = capture(r, relative, spans);
	int e = template_matches(to->conf->name)
			? expand(r, to->conf->name, spans, n, out)
			: buf_puts(out, to->key);

	if (e < 0)
		return e;
	if (r->job->rename)
		return expand(r, r->job->rename, spans, n, out);
	/* ${match.1} made a whole key of it. */
	if (!to->conf->is_prefix)
		return 0;
	return buf_puts(out, r->job->is_flat ? name_of(relative) : relative);
}

int run_destination_key(
	const struct run *r, const char *source_key, char *out, size_t size)
{
	const struct run_side *to = &r->sides[RUN_DESTINATION];
	struct buf text = BUF_INIT(size - 1);
	int e = 0;

	if (r->is_single) {
		e = buf_puts(&text, to->key);
		if (e == 0 && to->conf->is_prefix)
			e = buf_puts(&text, name_of(source_key));
	} else {
		e = put_renamed(r, source_key + strlen(r->sides[RUN_SOURCE].key), &text);
	}
	if (e == 0 && text.len <= KEY_MAX)
		snprintf(out, size, "%s", buf_str(&text));
	else
		e = -ENAMETOOLONG;
	buf_done(&text);
	return e;
}
