/*
 * Accounts from JSON, and a table of access keys. Not a password store: the keys in the
 * file are make-believe and stay in memory as they are.
 */
#include "config.h"

#include "sandbox/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/objects.h"

#define SLOTS 1024

struct accounts {
	struct principal *slots[SLOTS];
	struct role **roles;
	size_t role_count;
	struct machine instance, container;
};

static size_t slot_of(const char *key)
{
	uint32_t h = 2166136261u;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 16777619u;
	return h % SLOTS;
}

static void role_free(struct role *r)
{
	for (char **t = r->trusted; t && *t; t++)
		free(*t);
	free(r->trusted);
	free(r->account_id);
	free(r->name);
	free(r->arn);
	free(r->id);
	free(r->external_id);
	free(r->web_subject);
	policy_free(r->policy);
	free(r);
}

static void principal_free(struct principal *p)
{
	free(p->account_id);
	free(p->arn);
	free(p->user_id);
	policy_free(p->own_policy);
	policy_free(p->session_policy);
	free(p->access_key_id);
	free(p->secret);
	free(p->token);
	free(p);
}

static void machine_done(struct machine *m)
{
	free(m->region);
	free(m->token);
}

void *accounts_free(struct accounts *a)
{
	if (!a)
		return NULL;
	for (size_t i = 0; i < SLOTS; i++) {
		struct principal *p, *next;

		for (p = a->slots[i]; p; p = next) {
			next = p->next;
			principal_free(p);
		}
	}
	for (size_t i = 0; i < a->role_count; i++)
		role_free(a->roles[i]);
	free(a->roles);
	machine_done(&a->instance);
	machine_done(&a->container);
	free(a);
	return NULL;
}

static void add_principal(struct accounts *a, struct principal *p)
{
	struct principal **slot = &a->slots[slot_of(p->access_key_id)];

	p->next = *slot;
	*slot = p;
}

/* AWS's unique ids: four letters of kind, then 17 characters. */
static char *unique_id(const char *kind, const char *arn)
{
	uint8_t digest[CRYPTO_SHA256_LEN];
	char hex[2 * sizeof(digest) + 1];

	crypto_sha256(arn, strlen(arn), digest);
	str_to_hex(digest, sizeof(digest), hex);
	for (char *c = hex; *c; c++)
		if (*c >= 'a')
			*c = (char)(*c - 'a' + 'A');
	return mem_printf("%s%.17s", kind, hex);
}

static int read_user(
	struct accounts *a, const char *account, const struct json *v, char **ret_error)
{
	const char *name = json_get_str(v, "name");
	const char *key = json_get_str(v, "access_key_id");
	const char *secret = json_get_str(v, "secret_access_key");
	const struct json *policy = json_get(v, "policy");
	struct principal *p;

	if (!name || !key || !secret || accounts_find_key(a, key)) {
		*ret_error = mem_printf("account %s: a user needs \"name\", a unique "
					"\"access_key_id\" and \"secret_access_key\"",
			account);
		return -1;
	}
	p = mem_alloc(sizeof(*p));
	p->account_id = mem_strdup(account);
	p->arn = mem_printf("arn:aws:iam::%s:user/%s", account, name);
	p->user_id = unique_id("AIDA", p->arn);
	p->access_key_id = mem_strdup(key);
	p->secret = mem_strdup(secret);
	add_principal(a, p);
	if (!policy)
		return 0;
	p->policy = p->own_policy = policy_new(policy, ret_error);
	return p->policy ? 0 : -1;
}

static char **read_trusted(const struct json *trust)
{
	const struct json *list = json_get(trust, "principals");
	size_t n = json_array_len(list);
	char **out = mem_array(n + 1, sizeof(*out));

	for (size_t i = 0; i < n; i++) {
		const char *s = json_as_str(json_array_at(list, i));

		out[i] = mem_strdup(s ? s : "");
	}
	return out;
}

static int read_role(
	struct accounts *a, const char *account, const struct json *v, char **ret_error)
{
	const char *name = json_get_str(v, "name");
	const char *path = json_get_str(v, "path");
	const struct json *trust = json_get(v, "trust");
	struct role *r;

	if (!name || !json_is_object(trust) || !json_get(v, "policy")) {
		*ret_error = mem_printf(
			"account %s: a role needs \"name\", \"trust\" and "
			"\"policy\"",
			account);
		return -1;
	}
	r = mem_alloc(sizeof(*r));
	a->roles = mem_resize(a->roles, a->role_count + 1, sizeof(*a->roles));
	a->roles[a->role_count++] = r;
	r->account_id = mem_strdup(account);
	r->name = mem_strdup(name);
	r->arn = mem_printf("arn:aws:iam::%s:role%s%s", account, path ? path : "/", name);
	r->id = unique_id("AROA", r->arn);
	r->trusted = read_trusted(trust);
	r->external_id = mem_strdup(json_get_str(trust, "external_id"));
	r->web_subject = mem_strdup(json_get_str(trust, "web_subject"));
	r->max_session_s = json_get_int(v, "max_session_s", 3600);
	r->policy = policy_new(json_get(v, "policy"), ret_error);
	return r->policy ? 0 : -1;
}

static int read_bucket(struct objects *objects, const char *account, const struct json *v,
	char **ret_error)
{
	const char *name = json_get_str(v, "name");
	const struct json *policy = json_get(v, "policy");
	struct bucket *b = name ? objects_make_bucket(objects, name, account) : NULL;

	if (!b) {
		*ret_error = mem_printf(
			"account %s: a bucket needs a unique \"name\"", account);
		return -1;
	}
	b->region = mem_strdup(json_get_str(v, "region"));
	b->is_discard = json_get_bool(v, "discard", false);
	b->is_versioned = json_get_bool(v, "versioning", false);
	b->has_lock = json_get_bool(v, "object_lock", false);
	b->has_acls = json_get_bool(v, "acls", false);
	b->is_requester_paid = json_get_bool(v, "requester_pays", false);
	if (!policy)
		return 0;
	b->policy = policy_new(policy, ret_error);
	return b->policy ? 0 : -1;
}

static int read_account(struct accounts *a, struct objects *objects, const struct json *v,
	char **ret_error)
{
	const char *id = json_get_str(v, "id");
	const struct json *list;
	int r = 0;

	if (!id || strlen(id) != 12) {
		*ret_error = mem_strdup("an account needs an \"id\" of 12 digits");
		return -1;
	}
	list = json_get(v, "users");
	for (size_t i = 0; !r && i < json_array_len(list); i++)
		r = read_user(a, id, json_array_at(list, i), ret_error);
	list = json_get(v, "roles");
	for (size_t i = 0; !r && i < json_array_len(list); i++)
		r = read_role(a, id, json_array_at(list, i), ret_error);
	list = json_get(v, "buckets");
	for (size_t i = 0; !r && i < json_array_len(list); i++)
		r = read_bucket(objects, id, json_array_at(list, i), ret_error);
	return r;
}

static int read_machine(struct accounts *a, const struct json *v, struct machine *ret,
	char **ret_error)
{
	const char *role = v ? json_get_str(v, "role") : NULL;

	if (!v)
		return 0;
	ret->role = role ? accounts_find_role(a, role) : NULL;
	ret->region = mem_strdup(json_get_str(v, "region"));
	ret->token = mem_strdup(json_get_str(v, "token"));
	ret->life_s = json_get_int(v, "life_s", 21600);
	if (ret->role)
		return 0;
	*ret_error = mem_strdup("\"instance\" and \"container\" need the \"role\" of "
				"one of the accounts");
	return -1;
}

struct accounts *accounts_load(
	const char *text, size_t len, struct objects *objects, char **ret_error)
{
	_cleanup_json_ struct json *root = json_parse(text, len, ret_error);
	const struct json *list = root ? json_get(root, "accounts") : NULL;
	struct accounts *a;

	if (!root)
		return NULL;
	if (json_array_len(list) == 0) {
		*ret_error = mem_strdup("there is no \"accounts\" list");
		return NULL;
	}
	a = mem_alloc(sizeof(*a));
	for (size_t i = 0; i < json_array_len(list); i++)
		if (read_account(a, objects, json_array_at(list, i), ret_error) < 0)
			return accounts_free(a);
	if (read_machine(a, json_get(root, "instance"), &a->instance, ret_error) < 0 ||
		read_machine(a, json_get(root, "container"), &a->container, ret_error) < 0)
		return accounts_free(a);
	return a;
}

const struct machine *accounts_instance(const struct accounts *a)
{
	return a->instance.role ? &a->instance : NULL;
}

const struct machine *accounts_container(const struct accounts *a)
{
	return a->container.role ? &a->container : NULL;
}

struct principal *accounts_find_key(struct accounts *a, const char *access_key_id)
{
	struct principal *p = a->slots[slot_of(access_key_id)];

	while (p && strcmp(p->access_key_id, access_key_id) != 0)
		p = p->next;
	return p;
}

const struct role *accounts_find_role(const struct accounts *a, const char *arn)
{
	for (size_t i = 0; i < a->role_count; i++)
		if (strcmp(a->roles[i]->arn, arn) == 0)
			return a->roles[i];
	return NULL;
}

/*
 * A session's token tells all there is to know about it, sealed with a key of the sandbox,
 * so that sessions outlive a restart, as those of AWS do.
 */
#define SEAL_KEY  "s3ferry-sandbox"
#define TEXT_MAX  1024
#define TOKEN_MAX (4 * (CRYPTO_SHA256_LEN + TEXT_MAX + 2) / 3 + 5)

static void seal(const char *text, uint8_t out[CRYPTO_SHA256_LEN])
{
	crypto_hmac_sha256(SEAL_KEY, strlen(SEAL_KEY), text, strlen(text), out);
}

static struct principal *add_session(struct accounts *a, const struct role *role,
	const char *access_key_id, const char *session_name, int64_t expires_at_s)
{
	struct principal *p = mem_alloc(sizeof(*p));
	char text[TEXT_MAX], token[TOKEN_MAX], secret[48];
	uint8_t sealed[CRYPTO_SHA256_LEN + TEXT_MAX];

	seal(access_key_id, sealed);
	str_to_base64(sealed, 30, secret);
	snprintf(text, sizeof(text), "%lld %s %s %s", (long long)expires_at_s,
		access_key_id, role->arn, session_name);
	seal(text, sealed);
	memcpy(sealed + CRYPTO_SHA256_LEN, text, strlen(text));
	str_to_base64(sealed, CRYPTO_SHA256_LEN + strlen(text), token);
	p->access_key_id = mem_strdup(access_key_id);
	p->secret = mem_strdup(secret);
	p->token = mem_strdup(token);
	p->account_id = mem_strdup(role->account_id);
	p->arn = mem_printf("arn:aws:sts::%s:assumed-role/%s/%s", role->account_id,
		role->name, session_name);
	p->user_id = mem_printf("%s:%s", role->id, session_name);
	p->role = role;
	p->policy = role->policy;
	p->expires_at_s = expires_at_s;
	add_principal(a, p);
	return p;
}

struct principal *accounts_open_session(struct accounts *a, const struct role *role,
	const char *session_name, int64_t expires_at_s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint8_t noise[16];
	char id[] = "ASIA0123456789abcdef";

	crypto_random(noise, sizeof(noise));
	for (size_t i = 0; i < sizeof(noise); i++)
		id[4 + i] = letters[noise[i] % 32];
	return add_session(a, role, id, session_name, expires_at_s);
}

struct principal *accounts_restore_session(
	struct accounts *a, const char *access_key_id, const char *token)
{
	uint8_t sealed[CRYPTO_SHA256_LEN + TEXT_MAX], want[CRYPTO_SHA256_LEN];
	char id[21], arn[256], name[65];
	const char *text = (const char *)sealed + CRYPTO_SHA256_LEN;
	const struct role *role;
	long long expires;
	size_t len;

	if (str_from_base64(token, sealed, sizeof(sealed) - 1, &len) < 0 ||
		len <= CRYPTO_SHA256_LEN)
		return NULL;
	sealed[len] = '\0';
	seal(text, want);
	if (memcmp(want, sealed, sizeof(want)) != 0 ||
		sscanf(text, "%lld %20s %255s %64s", &expires, id, arn, name) != 4 ||
		strcmp(id, access_key_id) != 0)
		return NULL;
	role = accounts_find_role(a, arn);
	return role ? add_session(a, role, id, name, expires) : NULL;
}

struct policy_asker principal_asker(const struct principal *p)
{
	return (struct policy_asker){
		p->account_id, p->arn, p->role ? p->role->arn : NULL};
}

void principal_narrow(struct principal *p, struct policy *policy)
{
	uint8_t noise[48];
	char token[80];

	crypto_random(noise, sizeof(noise));
	str_to_base64(noise, sizeof(noise), token);
	mem_replace(&p->token, token);
	p->session_policy = policy;
}

enum policy_verdict principal_check(
	const struct principal *p, const char *action, const char *resource)
{
	return principal_check_listing(p, action, resource, NULL);
}

/* What a session policy does not allow, no other policy does. */
enum policy_verdict principal_check_listing(const struct principal *p, const char *action,
	const char *resource, const char *prefix)
{
	if (p->session_policy && policy_check_listing(p->session_policy, NULL, action,
					 resource, prefix) != POLICY_ALLOW)
		return POLICY_DENY;
	if (!p->policy)
		return POLICY_ALLOW;
	return policy_check_listing(p->policy, NULL, action, resource, prefix);
}
