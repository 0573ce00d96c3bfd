/* Keys and values that would put a secret into the file. Not where secrets belong. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/conf_build.h"

#define ACCESS_KEY_LEN 20
#define PLACE_FOR_IT   "name a file with aws_credentials_file, or ${cred:NAME}"

static const char *const secret_keys[] = {"aws_access_key_id", "aws_secret_access_key",
	"aws_session_token", "aws_security_token", "access_key_id", "secret_access_key",
	"session_token", "access_key", "secret_key", "secret", "password", "token", NULL};

bool secret_is_key(const char *key)
{
	for (size_t i = 0; secret_keys[i]; i++) {
		if (strcasecmp(secret_keys[i], key) == 0)
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

static void complain(struct draft *d, const struct source *src, const struct node *at,
	const char *path, const char *text)
{
	d->has_secret = true;
	conf_complain(d->messages,
		&(struct conf_place){src, at, 0, path && *path ? path : NULL},
		PLACE_FOR_IT, "%s", text);
}

static void walk(
	struct draft *d, const struct source *src, const struct node *n, const char *path)
{
	char inner[400];

	if (n->kind == NODE_SCALAR && secret_is_value(n->text))
		complain(d, src, n, path,
			"this looks like an access key; secrets do not belong into this "
			"file");
	for (size_t i = 0; i < n->count; i++) {
		const char *key = n->kind == NODE_MAP ? n->keys[i]->text : "";

		if (n->kind == NODE_MAP && secret_is_value(key)) {
			complain(d, src, n->keys[i], path,
				"this looks like an access key; "
				"secrets do not belong in this file");
			continue;
		}
		snprintf(inner, sizeof(inner), "%.250s%s%.100s", path,
			*path && *key ? "." : "", key);
		if (n->kind == NODE_MAP && secret_is_key(key))
			complain(d, src, n->keys[i], inner,
				"secrets do not belong in this file");
		else
			walk(d, src, n->items[i], inner);
	}
}

void secret_complain(struct draft *d, const struct source *src, const struct node *root)
{
	walk(d, src, root, "");
}
