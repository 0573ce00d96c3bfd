/*
 * The group credential-chain, on the real chain: files in a folder of their own, recorded
 * answers. Not the metadata services alone (check_aws_metadata).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/creds.h"
#include "aws/creds_impl.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"
#include "tests/vectors/script_http.h"
#include "tests/vectors/vcase.h"

extern char **environ;

static enum verdict passed_if(bool is_right)
{
	return is_right ? PASSED : FAILED;
}

/* --- texts --- */

/* text with each `from` made `to`; malloc'd. */
static char *replace_all(const char *text, const char *from, const char *to)
{
	struct buf out = BUF_INIT(1024 * 1024);
	const char *hit;

	for (; *from && (hit = strstr(text, from)); text = hit + strlen(from)) {
		buf_append(&out, text, (size_t)(hit - text));
		buf_puts(&out, to);
	}
	buf_puts(&out, text);
	return buf_take(&out);
}

static void replace_in(char **text, const char *from, const char *to)
{
	char *changed = *text ? replace_all(*text, from, to) : NULL;

	free(*text);
	*text = changed;
}

/* What stands between two marks, or NULL; malloc'd. */
static char *between(const char *text, const char *begin, const char *end)
{
	const char *at = text ? strstr(text, begin) : NULL;
	const char *stop = at ? strstr(at + strlen(begin), end) : NULL;

	if (!stop)
		return NULL;
	at += strlen(begin);
	return mem_strndup(at, (size_t)(stop - at));
}

/* --- recordings --- */

struct chain {
	const struct vcase *c;
	struct rig rig;
	bool is_used[100], is_right;
};

/* Every key of the recorded form is in ours; values hold signatures and chosen names. */
static bool has_form_keys(const char *want, const char *got)
{
	_cleanup_free_ char *copy = mem_strdup(want);
	char *rest = copy;

	for (char *pair; (pair = strsep(&rest, "&"));) {
		_cleanup_free_ char *key = NULL;

		pair[strcspn(pair, "=")] = '\0';
		key = mem_printf("%s=", pair);
		if (*pair && !strstr(got, key))
			return false;
	}
	return true;
}

static bool is_recorded(const struct chain *ch, size_t i, const struct script_request *rq)
{
	static const char *const headers[] = {"x-aws-ec2-metadata-token",
		"x-aws-ec2-metadata-token-ttl-seconds", "accept"};
	const char *uri = vcase_get(ch->c, "/traffic/%zu/request/uri", i);
	const char *body = vcase_get(ch->c, "/traffic/%zu/request/body", i);
	_cleanup_free_ char *slashed = uri ? mem_printf("%s/", uri) : NULL;

	if (ch->is_used[i] ||
		!str_eq(rq->method, vcase_get(ch->c, "/traffic/%zu/request/method", i)) ||
		(!str_eq(rq->url, uri) && !str_eq(rq->url, slashed)))
		return false;
	for (size_t k = 0; k < ARRAY_LEN(headers); k++) {
		const char *want = vcase_get(
			ch->c, "/traffic/%zu/request/headers/%s/0", i, headers[k]);

		if (want && !str_eq(want, script_header(rq, headers[k])))
			return false;
	}
	return !body || !*body || has_form_keys(body, rq->body);
}

/* The recorded session name was an SDK's choice; ours is compared with what we asked. */
static char *answer_body(const struct script_request *rq, const char *recorded)
{
	_cleanup_free_ char *arn = between(recorded, "<Arn>", "</Arn>");
	_cleanup_free_ char *form = mem_printf("%s&", rq->body);
	_cleanup_free_ char *session = between(form, "RoleSessionName=", "&");
	_cleanup_free_ char *ours = NULL;
	char *slash = arn ? strrchr(arn, '/') : NULL;

	if (!slash || !session)
		return mem_strdup(recorded);
	ours = mem_printf("%.*s/%s", (int)(slash - arn), arn, session);
	return replace_all(recorded, arn, ours);
}

static void answer_recorded(
	void *arg, const struct script_request *rq, struct script_answer *ret)
{
	struct chain *ch = arg;
	size_t n = vcase_count(ch->c, "/traffic"), i = 0;
	const char *status, *body;

	while (i < n && !is_recorded(ch, i, rq))
		i++;
	if (i == n) {
		/* Recorded before the extended path was known. */
		ret->status = 404;
		ch->is_right = ch->is_right && strstr(rq->url, "-credentials-extended/");
		return;
	}
	ch->is_used[i] = true;
	status = vcase_get(ch->c, "/traffic/%zu/response/status", i);
	body = vcase_get(ch->c, "/traffic/%zu/response/body", i);
	ret->status = status ? atoi(status) : 500;
	ret->body = body ? answer_body(rq, body) : NULL;
	if (!status)
		ret->net_code = "connect";
}

/*
 * Recordings had their account ids shortened in the requests alone. The answer's identity
 * is compared with the one asked for (decision 6), so both get the answer's.
 */
static void mend_account(const struct vcase *c, char **config)
{
	_cleanup_free_ char *account = NULL;
	_cleanup_free_ char *asked = between(
		*config, "role_arn = arn:aws:iam::", ":role/");
	_cleanup_free_ char *from = NULL, *to = NULL;

	for (size_t i = 0; !account && i < vcase_count(c, "/traffic"); i++)
		account = between(vcase_get(c, "/traffic/%zu/response/body", i),
			"<Arn>arn:aws:sts::", ":");
	if (!account || !asked || strlen(asked) == 12)
		return;
	from = mem_printf("::%s:role", asked);
	to = mem_printf("::%s:role", account);
	replace_in(config, from, to);
}

static void clear_env(void)
{
	for (char **e = environ; *e;) {
		_cleanup_free_ char *name = mem_strndup(*e, strcspn(*e, "="));

		if (str_has_prefix(name, "AWS_"))
			unsetenv(name);
		else
			e++;
	}
}

/* Each file of the case under a name in the rig's folder; contents name them so, too. */
static void write_files(struct chain *ch)
{
	const struct vcase *c = ch->c;

	for (size_t i = 0; i < c->count; i++) {
		_cleanup_free_ char *path = NULL, *name = NULL;
		char *text;

		if (!str_has_prefix(c->paths[i], "/files/"))
			continue;
		path = replace_all(c->paths[i] + 7, "%2F", "/");
		text = mem_strdup(c->values[i]);
		mend_account(c, &text);
		for (size_t k = 0; k < c->count; k++) {
			_cleanup_free_ char *other = NULL, *moved = NULL;

			if (!str_has_prefix(c->paths[k], "/files/") ||
				strstr(c->paths[k], ".aws"))
				continue;
			other = replace_all(c->paths[k] + 7, "%2F", "/");
			moved = rig_file(&ch->rig, other, NULL);
			replace_in(&text, other, moved);
		}
		name = rig_file(&ch->rig, path, text);
		free(text);
	}
}

static void set_env(struct chain *ch)
{
	_cleanup_free_ char *config = rig_file(&ch->rig, "/home/.aws/config", NULL);
	_cleanup_free_ char *credentials = rig_file(
		&ch->rig, "/home/.aws/credentials", NULL);

	clear_env();
	setenv("AWS_CONFIG_FILE", config, 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", credentials, 1);
	for (size_t i = 0; i < ch->c->count; i++) {
		const char *name = ch->c->paths[i] + 5;
		_cleanup_free_ char *moved = NULL;

		if (!str_has_prefix(ch->c->paths[i], "/env/") ||
			!str_has_prefix(name, "AWS_"))
			continue;
		moved = str_has_suffix(name, "_FILE")
				? rig_file(&ch->rig, ch->c->values[i], NULL)
				: mem_strdup(ch->c->values[i]);
		setenv(name, moved, 1);
	}
}

static bool is_expected(const struct vcase *c, const struct rig_result *res)
{
	const char *expiry = vcase_get(c, "/expect/Ok/expiry");
	const char *account = vcase_get(c, "/expect/Ok/account_id");
	const char *token = vcase_get(c, "/expect/Ok/session_token");

	if (!vcase_get(c, "/expect/Ok/access_key_id"))
		return !res->has_set;
	return res->has_set &&
	       str_eq(res->set->access_key_id,
		       vcase_get(c, "/expect/Ok/access_key_id")) &&
	       str_eq(res->set->secret_access_key,
		       vcase_get(c, "/expect/Ok/secret_access_key")) &&
	       str_eq(res->set->session_token, token ? token : "") &&
	       (!account || str_eq(res->set->account, account)) &&
	       (!expiry || res->set->expires_at_us == atoll(expiry) * USEC_PER_SEC);
}

static bool resolve_chain(struct chain *ch)
{
	/* "profile.": the SDK's profile provider alone, which is a profile by name. */
	bool is_named = str_has_prefix(ch->c->id, "profile.");
	const char *name = vcase_get(ch->c, "/env/AWS_PROFILE");
	struct creds_base_spec spec = {
		.profile = is_named ? name ? name : "default" : NULL};
	struct rig_result res = {.err = mem_alloc(sizeof(struct err)),
		.set = mem_alloc(sizeof(struct creds_set))};
	struct creds_env *env = creds_env_take();
	struct creds_pool *pool = creds_pool_new(ch->rig.loop, &ch->rig.http, env);
	struct creds *c = creds_open(pool, &spec, NULL, 0, "vector");
	bool ok;

	creds_get(c, rig_note, &res);
	rig_run(&ch->rig, &res.is_done);
	ok = res.is_done && is_expected(ch->c, &res);
	if (!ok)
		fprintf(stderr, "  %s\n",
			res.has_set ? res.set->access_key_id : res.err->text);
	creds_release(c);
	creds_pool_free(pool);
	creds_env_free(env);
	rig_result_done(&res);
	return ok;
}

static bool needs_a_shell(const struct vcase *c)
{
	for (size_t i = 0; i < c->count; i++) {
		_cleanup_free_ char *command =
			str_has_prefix(c->paths[i], "/files/")
				? between(c->values[i], "credential_process = ", "\n")
				: NULL;

		if (command && strpbrk(command, "|;&<>$`"))
			return true;
	}
	return false;
}

enum verdict check_credential_chain(struct vcase *c)
{
	struct chain ch = {.c = c, .is_right = true};
	bool ok;

	if (needs_a_shell(c)) {
		c->reason = "credential_process has no shell (section 20, 5)";
		return NOT_APPLICABLE;
	}
	rig_init(&ch.rig, answer_recorded, &ch);
	write_files(&ch);
	set_env(&ch);
	ok = resolve_chain(&ch);
	for (size_t i = 0; i < vcase_count(c, "/traffic"); i++)
		ok = ok && ch.is_used[i];
	rig_done(&ch.rig);
	clear_env();
	return passed_if(ok && ch.is_right);
}
