/*
 * credential_process: a program of the operator's that prints keys as JSON. Words are
 * split here, by rules of a shell but without one; the environment is fixed.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "aws/creds_impl.h"
#include "aws/provider.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/child.h"
#include "net/loop.h"

#define OUT_MAX    (64 * 1024)
#define TIMEOUT_MS 60000
#define WORDS_MAX  256
#define PATH_LINE  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct provider_process {
	struct provider base;
	struct child *child;
	char *text;             /* the command cut into words, one after the other */
	char *words[WORDS_MAX]; /* into text; NULL-terminated */
	char *account;
	char *home, *region; /* lines of the child's environment, or NULL */
	bool is_unreadable;  /* the command is no list of words */
};

/*
 * One word of *in, unquoted into *out: '...' as it stands; "..." where \ keeps " and \;
 * \ before any other character keeps it. false: a quote is not closed.
 */
static bool take_word(const char **in, char **out)
{
	const char *p = *in;
	char quote = '\0', *o = *out;

	for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
		if (*p == quote)
			quote = '\0';
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (*p == '\\' && p[1] && quote != '\'' &&
			 (!quote || p[1] == '"' || p[1] == '\\'))
			*o++ = *++p;
		else
			*o++ = *p;
	}
	*o++ = '\0';
	*in = p;
	*out = o;
	return !quote;
}

int creds_split_command(const char *command, char *text, char **words, size_t max)
{
	char *out = text;
	size_t n = 0;

	for (;;) {
		command += strspn(command, " \t\n");
		if (!*command)
			break;
		if (n + 1 == max)
			return -1;
		words[n++] = out;
		if (!take_word(&command, &out))
			return -1;
	}
	words[n] = NULL;
	return n ? (int)n : -1;
}

/* The program is named; what it is called with may be secret. */
static void fail(struct provider_process *p, enum err_class class, const char *code,
	const char *text)
{
	struct err e;

	err_set(&e, class, ERR_FROM_CREDS, code, "credential_process%s%.150s: %s",
		p->is_unreadable ? "" : " ", p->is_unreadable ? "" : p->words[0], text);
	provider_done(&p->base, &e, NULL);
}

static void fail_by_status(struct provider_process *p, int status)
{
	char text[120];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "the program died by signal %d",
			WTERMSIG(status));
	else
		snprintf(text, sizeof(text),
			"the program ended with code %d; s3ferryd -v logs what it wrote to "
			"stderr",
			WEXITSTATUS(status));
	/* What it asks may be away for a while: the job's retry may help. */
	fail(p, ERR_RETRY, "process-failed", text);
}

static void on_exit_of(void *arg, const struct err *e, const struct child_result *r)
{
	struct provider_process *p = arg;
	int64_t now = clock_wall_us(loop_clock(p->base.loop));
	struct creds_set set;
	struct err bad;

	p->child = NULL;
	if (e) {
		fail(p, strcmp(e->code, "timeout") == 0 ? ERR_RETRY : ERR_CONFIG, e->code,
			e->text);
		return;
	}
	if (*r->errors)
		log_debug(NULL, "credential_process %s wrote to stderr: %.2000s",
			p->words[0], r->errors);
	if (r->status) {
		fail_by_status(p, r->status);
		return;
	}
	if (!provider_read_json(PROVIDER_PROCESS, r->out, r->out_len, now, &set, &bad)) {
		fail(p, ERR_CONFIG, bad.code, bad.text);
		return;
	}
	if (!set.account[0])
		provider_fill_account(&set, p->account);
	provider_done(&p->base, NULL, &set);
	creds_set_wipe(&set);
}

static void on_unreadable(void *arg)
{
	fail(arg, ERR_CONFIG, "process-command",
		"the command is empty, or a quote in it is not closed");
}

static void start(struct provider *base)
{
	struct provider_process *p = CONTAINER_OF(base, struct provider_process, base);
	char *envp[] = {(char[]){PATH_LINE}, (char[]){"LANG=C.UTF-8"}, NULL, NULL, NULL};
	struct child_spec spec = {p->words, envp, OUT_MAX, TIMEOUT_MS};
	size_t n = 2;

	if (p->is_unreadable) {
		loop_defer(base->loop, on_unreadable, p);
		return;
	}
	if (p->home)
		envp[n++] = p->home;
	if (p->region)
		envp[n++] = p->region;
	p->child = child_start(base->loop, &spec, on_exit_of, p);
}

static void cancel(struct provider *base)
{
	struct provider_process *p = CONTAINER_OF(base, struct provider_process, base);

	loop_undefer(base->loop, p);
	if (p->child)
		child_cancel(p->child);
	p->child = NULL;
}

static void *free_one(struct provider *base)
{
	struct provider_process *p = CONTAINER_OF(base, struct provider_process, base);

	mem_wipe_free(p->text);
	free(p->account);
	free(p->home);
	free(p->region);
	free(p);
	return NULL;
}

static const struct provider_ops ops = {start, cancel, free_one, false, false};

struct provider *provider_process_new(struct loop *loop, const struct creds_env *env,
	const char *command, const char *account)
{
	struct provider_process *p = mem_alloc(sizeof(*p));

	p->base = (struct provider){.ops = &ops, .loop = loop};
	p->text = mem_alloc(strlen(command) + 2);
	p->is_unreadable = creds_split_command(command, p->text, p->words, WORDS_MAX) < 0;
	p->account = mem_strdup(account);
	p->home = env->home ? mem_printf("HOME=%s", env->home) : NULL;
	p->region = env->region ? mem_printf("AWS_REGION=%s", env->region) : NULL;
	return &p->base;
}
