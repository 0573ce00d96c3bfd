/* AWS CLI profiles: which sections count, whose keys win. Not credentials. */
#include "config.h"

#include "aws/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ini.h"
#include "base/mem.h"
#include "base/str.h"

struct property {
	char *profile, *key, *value;
	bool is_bare_default; /* of the config file: [profile default] beats it whole */
	bool is_services;     /* profile is the name of a [services NAME] section */
	bool is_config;       /* it stands in that file, not in that of the credentials */
	int line;
};

struct profiles {
	struct property *v;
	size_t count;
	bool is_config; /* the file at work */
	char *config_name, *credentials_name;
	char *current;  /* its section's profile, NULL: ignored */
	bool is_prefixed, is_services;
	bool has_prefixed_default;
};

static bool is_name(const char *s)
{
	return *s && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			       "0123456789_-/.%@:+") == strlen(s);
}

/* What follows "KIND " in a section header, or NULL. */
static const char *behind(const char *section, const char *kind)
{
	size_t n = strlen(kind);

	if (!str_has_prefix(section, kind) || (section[n] != ' ' && section[n] != '\t'))
		return NULL;
	return section + n + strspn(section + n, " \t");
}

/* What the keys that follow belong to; nothing: they are ignored. */
static void enter_section(struct profiles *p, const char *section)
{
	const char *profile = behind(section, "profile");
	const char *services = behind(section, "services");
	const char *name = section;

	free(p->current);
	p->current = NULL;
	p->is_prefixed = profile != NULL;
	p->is_services = p->is_config && services;
	if (profile)
		name = profile;
	if (p->is_services)
		name = services;
	if (p->is_config && !profile && !services && strcmp(name, "default") != 0)
		return;
	if ((p->is_config || !profile) && is_name(name))
		p->current = mem_strdup(name);
}

static void add(struct profiles *p, const char *key, const char *value, int line)
{
	p->v = mem_resize(p->v, p->count + 1, sizeof(*p->v));
	p->v[p->count++] = (struct property){mem_strdup(p->current), mem_strdup(key),
		mem_strdup(value), p->is_config && !p->is_prefixed && !p->is_services,
		p->is_services, p->is_config, line};
}

static void on_ini(
	void *arg, const char *section, const char *key, const char *value, int line)
{
	struct profiles *p = arg;
	_cleanup_free_ char *lower = mem_strdup(key);

	if (!key) {
		enter_section(p, section);
		if (!p->current)
			return;
		if (p->is_config && p->is_prefixed && strcmp(p->current, "default") == 0)
			p->has_prefixed_default = true;
		add(p, "", "", line); /* the profile exists, even without keys */
		return;
	}
	if (!p->current || !is_name(key))
		return;
	for (char *c = lower; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	add(p, lower, value, line);
}

static int parse_file(
	struct profiles *p, bool is_config, const char *text, const char *name, char *why)
{
	struct ini_error error;

	p->is_config = is_config;
	free(p->current);
	p->current = NULL;
	/* A file that is not text counts as empty, as in the SDKs. */
	if (!text || !str_is_utf8(text, strlen(text)))
		return 0;
	if (ini_parse(text, strlen(text), on_ini, p, &error) == 0)
		return 0;
	snprintf(why, 200, "%.100s:%d: %.80s", name, error.line, error.text);
	return -1;
}

struct profiles *profiles_parse(const char *config, const char *config_name,
	const char *credentials, const char *credentials_name, char *why)
{
	struct profiles *p = mem_alloc(sizeof(*p));

	p->config_name = mem_strdup(config_name);
	p->credentials_name = mem_strdup(credentials_name);
	/* Later wins: the credentials file comes second. */
	if (parse_file(p, true, config, config_name, why) < 0 ||
		parse_file(p, false, credentials, credentials_name, why) < 0)
		return profiles_free(p);
	return p;
}

void *profiles_free(struct profiles *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->count; i++) {
		free(p->v[i].profile);
		free(p->v[i].key);
		mem_wipe_free(p->v[i].value);
	}
	free(p->v);
	free(p->current);
	free(p->config_name);
	free(p->credentials_name);
	free(p);
	return NULL;
}

static const struct property *find_property(
	const struct profiles *p, bool is_services, const char *name, const char *key)
{
	const struct property *found = NULL;

	for (size_t i = 0; i < p->count; i++) {
		const struct property *v = &p->v[i];

		if (v->is_services != is_services || strcmp(v->profile, name) != 0 ||
			strcmp(v->key, key) != 0)
			continue;
		if (!(v->is_bare_default && p->has_prefixed_default))
			found = v;
	}
	return found;
}

static const char *find(
	const struct profiles *p, bool is_services, const char *name, const char *key)
{
	const struct property *v = find_property(p, is_services, name, key);

	return v ? v->value : NULL;
}

char *profiles_where(const struct profiles *p, const char *name, const char *key)
{
	const struct property *v = find_property(p, false, name, key);
	const char *file;

	if (!v)
		return NULL;
	file = v->is_config ? p->config_name : p->credentials_name;
	return mem_printf("%s:%d", file ? file : "?", v->line);
}

bool profiles_at(const struct profiles *p, size_t i, const char **ret_name,
	const char **ret_key, const char **ret_value)
{
	for (size_t k = 0; k < p->count; k++) {
		const char *value = find(p, false, p->v[k].profile, p->v[k].key);

		/* Overruled values and other sections are skipped. */
		if (value != p->v[k].value || i--)
			continue;
		*ret_name = p->v[k].profile;
		*ret_key = p->v[k].key;
		*ret_value = value;
		return true;
	}
	return false;
}

const char *profiles_get(const struct profiles *p, const char *name, const char *key)
{
	return find(p, false, name, key);
}

/* The last "key = value" among the lines of a nested value. malloc'd, or NULL. */
static char *nested_get(const char *lines, const char *key)
{
	size_t n = strlen(key);
	char *value = NULL;

	for (; lines && *lines; lines = strchr(lines, '\n')) {
		const char *line = lines + (*lines == '\n');
		const char *rest = line + n;

		lines = line;
		if (strncmp(line, key, n) != 0)
			continue;
		rest += strspn(rest, " \t");
		if (*rest != '=')
			continue;
		rest += 1 + strspn(rest + 1, " \t");
		free(value);
		value = mem_strndup(rest, strcspn(rest, "\n"));
	}
	return value;
}

char *profiles_get_nested(
	const struct profiles *p, const char *name, const char *parent, const char *key)
{
	return nested_get(profiles_get(p, name, parent), key);
}

char *profiles_get_service(
	const struct profiles *p, const char *name, const char *service, const char *key)
{
	const char *services = profiles_get(p, name, "services");
	char *value = services ? nested_get(find(p, true, services, service), key) : NULL;

	if (value && !*value) {
		free(value);
		value = NULL;
	}
	return value;
}

bool profiles_has(const struct profiles *p, const char *name)
{
	return profiles_get(p, name, "") != NULL;
}
