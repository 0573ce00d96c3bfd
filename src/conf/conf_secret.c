/* Keys and values that would put a secret into the file. Not where secrets belong. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "conf/conf_build.h"

#define ACCESS_KEY_LEN 20
#define PLACE_FOR_IT   "name a file with aws_credentials_file, or ${cred:NAME}"

#define SECRET(name)                   \
	{                              \
		name, sizeof(name) - 1 \
	}
/* Every key of a file is held against these: the length tells most of them apart. */
static const struct {
	const char *name;
	size_t len;
} secret_keys[] = {SECRET("aws_access_key_id"), SECRET("aws_secret_access_key"),
	SECRET("aws_session_token"), SECRET("aws_security_token"),
	SECRET("access_key_id"), SECRET("secret_access_key"), SECRET("session_token"),
	SECRET("access_key"), SECRET("secret_key"), SECRET("secret"), SECRET("password"),
	SECRET("token")};

bool secret_is_key(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < ARRAY_LEN(secret_keys); i++) {
		if (secret_keys[i].len == len &&
			strcasecmp(secret_keys[i].name, key) == 0)
			return true;
	}
	return false;
}

/* AKIA and ASIA begin every access key of AWS; 16 or more of these follow. */
bool secret_is_value(const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	for (const char *p = text; (p = strpbrk(p, "A")); p++) {
		if ((strncmp(p, "AKIA", 4) == 0 || strncmp(p, "ASIA", 4) == 0) &&
			strspn(p, digits) >= ACCESS_KEY_LEN)
			return true;
	}
	return false;
}

/* "https://user:password@host" */
static bool has_user_info(const char *text)
{
	for (const char *p = text; (p = strstr(p, "://"));) {
		p += 3;
		if (p[strcspn(p, "@/ \t\r\n\"'")] == '@')
			return true;
	}
	return false;
}

bool secret_is_in_text(const char *text)
{
	return secret_is_value(text) || has_user_info(text) ||
	       strcasestr(text, "secret_access_key") || strcasestr(text, "session_token") ||
	       strcasestr(text, "secret_key") || strcasestr(text, "password");
}

/* The keys from the top to a node; a list's elements have the list's. */
struct step {
	const struct step *up;
	const char *key;
};

static void format_path(const struct step *s, char *out, size_t size)
{
	size_t n;

	*out = '\0';
	if (!s)
		return;
	format_path(s->up, out, size);
	n = strlen(out);
	if (*s->key && n < 250)
		snprintf(out + n, size - n, "%s%.100s", n ? "." : "", s->key);
}

static void complain(struct draft *d, const struct source *src, const struct node *at,
	const struct step *step, const char *text)
{
	char path[400];

	d->has_secret = true;
	format_path(step, path, sizeof(path));
	conf_complain(d->messages, &(struct conf_place){src, at, 0, *path ? path : NULL},
		PLACE_FOR_IT, "%s", text);
}

static void walk(struct draft *d, const struct source *src, const struct node *n,
	const struct step *up)
{
	if (n->kind == NODE_SCALAR && secret_is_value(n->text))
		complain(d, src, n, up,
			"this looks like an access key; secrets do not belong into this "
			"file");
	for (size_t i = 0; i < n->count; i++) {
		const char *key = n->kind == NODE_MAP ? n->keys[i]->text : "";
		const struct step step = {up, key};

		if (n->kind == NODE_MAP && secret_is_value(key))
			complain(d, src, n->keys[i], up,
				"this looks like an access key; "
				"secrets do not belong in this file");
		else if (n->kind == NODE_MAP && secret_is_key(key))
			complain(d, src, n->keys[i], &step,
				"secrets do not belong in this file");
		else
			walk(d, src, n->items[i], &step);
	}
}

void secret_complain(struct draft *d, const struct source *src, const struct node *root)
{
	walk(d, src, root, NULL);
}
