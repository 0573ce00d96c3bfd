/*
 * The configuration: each bad file of data/bad against EXPECTED, values and defaults of
 * good ones, jobs.d, what a reload changes, the caps, and damaged files by the thousand.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/conf_diff.h"
#include "conf/conf_load.h"

#define GOOD_PROFILES                                                                    \
	"version: 1\n"                                                                   \
	"profiles:\n"                                                                    \
	"  src: { role_arn: \"arn:aws:iam::111111111111:role/r\", region: eu-west-1 }\n" \
	"jobs:\n"
#define GOOD_SIDES                                                 \
	"    source: { profile: src, url: \"s3://bucket-s/k\" }\n" \
	"    destination: { profile: src, url: \"s3://bucket-m/in/\" }\n"

static char folder[] = "/tmp/s3ferry-conf-XXXXXX";

static const char *data_dir(void)
{
	const char *srcdir = getenv("srcdir");
	static char path[4096];

	snprintf(path, sizeof(path), "%s/tests/unit/data/bad", srcdir ? srcdir : ".");
	return path;
}

static char *write_file(const char *name, const char *text, size_t len)
{
	char *path = mem_printf("%s/%s", folder, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	return path;
}

static int load_text(const char *text, const struct conf **ret, struct conf_messages *m)
{
	_cleanup_free_ char *path = write_file("s3ferry.yaml", text, strlen(text));

	return conf_load(path, ret, m);
}

static const struct conf *load_good(const char *text)
{
	const struct conf *c = NULL;
	struct conf_messages m;
	struct buf out = BUF_INIT(65536);

	if (load_text(text, &c, &m) < 0) {
		conf_messages_format(&m, &out);
		fail_msg("%s", buf_str(&out));
	}
	conf_messages_done(&m);
	return c;
}

/* "name.yaml:line:col: severity: path: text | hint" */
static void describe(const struct conf_message *m, struct buf *out)
{
	const char *slash = strrchr(m->file, '/');

	buf_printf(out, "%s:%d:%d: %s: ", slash ? slash + 1 : m->file, m->line, m->col,
		m->severity == CONF_ERROR ? "error" : "warning");
	if (m->key_path)
		buf_printf(out, "%s: ", m->key_path);
	buf_puts(out, m->text);
	if (m->hint)
		buf_printf(out, " | %s", m->hint);
	buf_putc(out, '\n');
}

static void check_bad_file(const char *name, const char *want)
{
	_cleanup_free_ char *origin = mem_printf("%s/%s", data_dir(), name);
	_cleanup_free_ char *path = NULL;
	const struct conf *c = NULL;
	struct conf_messages m;
	struct buf got = BUF_INIT(65536);
	char text[16384];
	FILE *f = fopen(origin, "re");
	size_t n;
	int r;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	/* A copy, whose mode does not depend on how the sources were unpacked. */
	path = write_file(name, text, n);
	r = conf_load(path, &c, &m);
	unlink(path);
	for (size_t i = 0; i < m.count; i++)
		describe(&m.items[i], &got);
	assert_string_equal(buf_str(&got), want);
	assert_int_equal(r, -EINVAL);
	assert_null(c);
	buf_done(&got);
	conf_messages_done(&m);
}

static void each_bad_file_says_where_what_and_what_to_do(void **state)
{
	_cleanup_free_ char *path = mem_printf("%s/EXPECTED", data_dir());
	FILE *f = fopen(path, "re");
	struct buf want = BUF_INIT(65536);
	char line[1024], name[256] = "";
	int files = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		size_t n = strcspn(line, ":");

		if (strncmp(name, line, n) != 0 || name[n]) {
			if (*name)
				check_bad_file(name, buf_str(&want));
			buf_reset(&want);
			snprintf(name, sizeof(name), "%.*s", (int)n, line);
			files++;
		}
		buf_puts(&want, line);
	}
	check_bad_file(name, buf_str(&want));
	assert_true(files >= 50);
	buf_done(&want);
	fclose(f);
}

static void values_and_defaults_are_typed(void **state)
{
	const struct conf *c = load_good(
		GOOD_PROFILES "  j:\n"
			      "    schedule: \"0 7 * * *\"\n"
			      "    timezone: Europe/Berlin\n"
			      "    timeout: 1h30m\n"
			      "    retry: { attempts: 5 }\n" GOOD_SIDES);
	const struct conf_job *j = conf_find_job(c, "j");

	(void)state;
	assert_int_equal(c->max_parallel_runs, 8);
	assert_int_equal(c->engines, 1);
	assert_int_equal(j->timeout_s, 5400);
	assert_int_equal(j->retry.attempts, 5);
	assert_int_equal(j->retry.backoff_s, 30);
	assert_int_equal(j->overlap, CONF_OVERLAP_SKIP);
	assert_int_equal(j->catch_up, CONF_CATCH_UP_LATEST);
	assert_string_equal(j->source.bucket, "bucket-s");
	assert_string_equal(j->source.key, "k");
	assert_false(j->source.is_prefix);
	assert_true(j->destination.is_prefix);
	assert_ptr_equal(j->destination.profile, j->source.profile);
	assert_ptr_equal(j->source.profile, conf_find_profile(c, "src"));
	assert_int_equal(strlen(j->schedule_hash), 64);
	conf_unref(c);
}

static void policies_and_tags_have_more_than_one_value(void **state)
{
	const struct conf *c = load_good(
		"version: 1\n"
		"profiles:\n"
		"  keys: { region: eu-west-1, credential_process: \"/bin/keys --for me\" "
		"}\n"
		"  a:\n"
		"    role_arn: arn:aws:iam::111111111111:role/r\n"
		"    source_profile: keys\n"
		"    region: eu-west-1\n"
		"    session_policy: |\n"
		"      {\"Version\": \"2012-10-17\"}\n"
		"    tags: { team: data, empty: \"\" }\n"
		"    transitive_tag_keys: [team]\n"
		"    source_identity: me\n"
		"  b:\n"
		"    role_arn: arn:aws:iam::111111111111:role/r\n"
		"    region: eu-west-1\n"
		"    web_identity_token_file: /run/token\n"
		"    session_policy: "
		"[\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"]\n"
		"jobs:\n"
		"  j:\n"
		"    source: { profile: a, url: \"s3://bucket-s/k\" }\n"
		"    destination: { profile: b, url: \"s3://bucket-m/in/\" }\n");
	const struct conf_profile *a = conf_find_profile(c, "a");
	const struct conf_profile *b = conf_find_profile(c, "b");

	(void)state;
	assert_string_equal(
		conf_find_profile(c, "keys")->credential_process, "/bin/keys --for me");
	assert_string_equal(a->session_policy, "{\"Version\": \"2012-10-17\"}\n");
	assert_int_equal(a->tag_count, 2);
	assert_string_equal(a->tags[0].key, "team");
	assert_string_equal(a->tags[0].value, "data");
	assert_string_equal(a->tags[1].value, "");
	assert_int_equal(a->transitive_tag_keys.count, 1);
	assert_string_equal(a->source_identity, "me");
	assert_null(b->session_policy);
	assert_int_equal(b->session_policy_arns.count, 1);
	assert_string_equal(b->web_identity_token_file, "/run/token");
	conf_unref(c);
}

static void variants_of_endpoints_are_told_or_left_open(void **state)
{
	const struct conf *c = load_good(
		"version: 1\n"
		"profiles:\n"
		"  open: { credential_process: /bin/keys }\n"
		"  told:\n"
		"    credential_process: /bin/keys\n"
		"    endpoint_url: http://storage.example\n"
		"    allow_plaintext: true\n"
		"    addressing_style: virtual\n"
		"    payload_signing: never\n"
		"    use_fips_endpoint: false\n"
		"    s3_use_arn_region: true\n"
		"jobs:\n"
		"  j:\n"
		"    source: { profile: open, url: "
		"\"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/ap/in/k\" }\n"
		"    destination: { profile: told, url: \"s3://bucket-m/in/\" }\n");
	const struct conf_profile *open = conf_find_profile(c, "open");
	const struct conf_profile *told = conf_find_profile(c, "told");

	(void)state;
	assert_int_equal(open->use_fips, CONF_FLAG_UNSET);
	assert_int_equal(open->addressing_style, CONF_ADDRESSING_AUTO);
	assert_int_equal(told->use_fips, CONF_FLAG_FALSE);
	assert_int_equal(told->use_arn_region, CONF_FLAG_TRUE);
	assert_int_equal(told->use_accelerate, CONF_FLAG_UNSET);
	assert_int_equal(told->addressing_style, CONF_ADDRESSING_VIRTUAL);
	assert_int_equal(told->payload_signing, CONF_PAYLOAD_NEVER);
	assert_true(told->allows_plaintext && !open->allows_plaintext);
	assert_string_equal(conf_find_job(c, "j")->source.bucket,
		"arn:aws:s3:eu-west-1:123456789012:accesspoint/ap");
	assert_string_equal(conf_find_job(c, "j")->source.key, "in/k");
	conf_unref(c);
}

static void a_job_may_have_a_session_of_its_own(void **state)
{
	const struct conf *c = load_good(
		GOOD_PROFILES "  own:\n    every: 1h\n    session_policy: auto\n"
			      "    session_tags: { team: data }\n"
			      "    role_session_name: me\n" GOOD_SIDES
			      "  shared:\n    every: 1h\n"
			      "    source: { profile: src, url: \"s3://bucket-s/b\" }\n"
			      "    destination: { profile: src, url: \"s3://bucket-m/b/\" "
			      "}\n");
	const struct conf_profile *own = conf_find_job(c, "own")->session;

	(void)state;
	assert_string_equal(own->session_policy, "auto");
	assert_string_equal(own->role_session_name, "me");
	assert_int_equal(own->tag_count, 1);
	assert_null(conf_find_job(c, "shared")->session);
	conf_unref(c);
}

static void objects_are_written_as_told(void **state)
{
	const struct conf *c = load_good(GOOD_PROFILES
		"  j:\n    method: server_side\n    overwrite: never\n    tags: require\n"
		"    source: { profile: src, url: \"s3://bucket-s/k\",\n"
		"              request_payer: requester }\n"
		"    destination: { profile: src, url: \"s3://bucket-m/in/\",\n"
		"      expected_bucket_owner: \"123456789012\",\n"
		"      storage_class: { GLACIER: STANDARD_IA, DEEP_ARCHIVE: GLACIER_IR },\n"
		"      server_side_encryption: aws:kms, kms_key_id: alias/k,\n"
		"      bucket_key_enabled: false, object_lock: COMPLIANCE,\n"
		"      retain_for: 1d }\n"
		"  k:\n" GOOD_SIDES);
	const struct conf_job *j = conf_find_job(c, "j"), *k = conf_find_job(c, "k");
	const struct conf_written *w = &j->destination.written;

	(void)state;
	assert_int_equal(j->method, CONF_METHOD_SERVER_SIDE);
	assert_int_equal(j->overwrite, CONF_OVERWRITE_NEVER);
	assert_int_equal(j->tags, CONF_TAGS_REQUIRE);
	assert_true(j->source.is_requester_paying);
	assert_string_equal(j->destination.expected_owner, "123456789012");
	assert_string_equal(
		w->storage_class, "GLACIER=STANDARD_IA,DEEP_ARCHIVE=GLACIER_IR");
	assert_string_equal(w->encryption, "aws:kms");
	assert_string_equal(w->kms_key_id, "alias/k");
	assert_string_equal(w->bucket_key, "false");
	assert_string_equal(w->object_lock, "COMPLIANCE");
	assert_int_equal(w->retain_s, 86400);
	assert_int_equal(k->method, CONF_METHOD_AUTO);
	assert_int_equal(k->overwrite, CONF_OVERWRITE_CHANGED);
	assert_int_equal(k->verify, CONF_VERIFY_OBJECT);
	assert_string_equal(k->destination.written.acl, "auto");
	assert_null(k->destination.written.encryption);
	assert_null(k->source.expected_owner);
	conf_unref(c);
}

static void defaults_are_shared_and_overridden(void **state)
{
	const struct conf *c = load_good(
		"defaults: { jitter: 10s, timeout: 1h }\n" GOOD_PROFILES
		"  a:\n    every: 1h\n" GOOD_SIDES "  b:\n    every: 1h\n    jitter: 0s\n"
		"    source: { profile: src, url: \"s3://bucket-s/b\" }\n"
		"    destination: { profile: src, url: \"s3://bucket-m/b/\" }\n");

	(void)state;
	assert_int_equal(conf_find_job(c, "a")->jitter_s, 10);
	assert_int_equal(conf_find_job(c, "b")->jitter_s, 0);
	assert_int_equal(conf_find_job(c, "b")->timeout_s, 3600);
	conf_unref(c);
}

static void jobs_d_is_read_beside_the_main_file(void **state)
{
	_cleanup_free_ char *dir = mem_printf("%s/jobs.d", folder);
	_cleanup_free_ char *one = NULL, *not_yaml = NULL;
	const char text[] = "jobs:\n  more:\n    every: 1h\n" GOOD_SIDES;
	const struct conf *c;
	struct conf_messages m;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	one = write_file("jobs.d/10-more.yaml", text, strlen(text));
	not_yaml = write_file("jobs.d/README", "{", 1);
	c = load_good(GOOD_PROFILES
		"  j:\n    every: 2h\n"
		"    source: { profile: src, url: \"s3://bucket-s/b\" }\n"
		"    destination: { profile: src, url: \"s3://bucket-m/b/\" }\n");
	assert_int_equal(c->job_count, 2);
	assert_int_equal(c->file_count, 2);
	conf_unref(c);
	/* The same name in two files: told where the other stands. */
	assert_int_equal(
		load_text(GOOD_PROFILES "  more:\n    every: 2h\n" GOOD_SIDES, &c, &m),
		-EINVAL);
	assert_non_null(strstr(m.items[0].file, "10-more.yaml"));
	assert_non_null(strstr(m.items[0].text, "s3ferry.yaml"));
	conf_messages_done(&m);
	/* Whose `after` is whose is not asked of a name that stands twice. */
	assert_int_equal(
		load_text(GOOD_PROFILES "  more:\n    after: [nobody]\n" GOOD_SIDES
					"  last:\n    after: more\n" GOOD_SIDES,
			&c, &m),
		-EINVAL);
	assert_int_equal(m.count, 1);
	conf_messages_done(&m);
	unlink(one);
	unlink(not_yaml);
	rmdir(dir);
}

static void the_caret_stands_under_the_value(void **state)
{
	const struct conf *c = NULL;
	struct conf_messages m;
	struct buf out = BUF_INIT(65536);

	(void)state;
	load_text(GOOD_PROFILES "  j:\n    every: 7x\n" GOOD_SIDES, &c, &m);
	conf_messages_format(&m, &out);
	assert_non_null(strstr(buf_str(&out), "    every: 7x\n"));
	assert_non_null(strstr(buf_str(&out), "|            ^~ "));
	conf_messages_done(&m);
	buf_done(&out);
}

static void a_secret_is_never_shown(void **state)
{
	const struct conf *c = NULL;
	struct conf_messages m;
	struct buf out = BUF_INIT(65536);

	(void)state;
	/* One mistake more on the secret's own line, so that the line would be shown. */
	load_text(GOOD_PROFILES "  j:\n    every: 1h\n    aws_secret_access_key: "
				"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n" GOOD_SIDES,
		&c, &m);
	conf_messages_format(&m, &out);
	assert_true(m.errors > 0);
	assert_null(strstr(buf_str(&out), "wJalr"));
	conf_messages_done(&m);
	buf_done(&out);
}

static void two_jobs_that_write_one_key_are_told(void **state)
{
	const struct conf *c;
	struct conf_messages m;

	(void)state;
	assert_int_equal(
		load_text(GOOD_PROFILES
			"  a:\n" GOOD_SIDES "  b:\n"
			"    source: { profile: src, url: \"s3://bucket-s/in/other\" }\n"
			"    destination: { profile: src, url: \"s3://bucket-m/in/\" }\n"
			"  c:\n" GOOD_SIDES,
			&c, &m),
		0);
	assert_int_equal(m.count, 1);
	assert_non_null(strstr(m.items[0].key_path, "jobs.c.destination"));
	assert_non_null(strstr(m.items[0].text, "the job 'a' writes the same key"));
	conf_messages_done(&m);
	conf_unref(c);
}

static void a_megabyte_is_the_most(void **state)
{
	size_t cap = 1024 * 1024;
	char *text = mem_alloc(cap + 2);
	const char head[] = "version: 1\n#";

	(void)state;
	for (size_t n = cap - 1; n <= cap + 1; n++) {
		const struct conf *c = NULL;
		struct conf_messages m;
		_cleanup_free_ char *path = NULL;
		int r;

		memset(text, 'x', n);
		memcpy(text, head, strlen(head));
		path = write_file("s3ferry.yaml", text, n);
		r = conf_load(path, &c, &m);
		assert_int_equal(r, n > cap ? -EINVAL : 0);
		if (n > cap)
			assert_non_null(strstr(m.items[0].text, "1 MiB"));
		conf_messages_done(&m);
		conf_unref(c);
	}
	free(text);
}

static void depth_and_count_are_bounded(void **state)
{
	char *deep = mem_alloc(100001);
	struct buf jobs = BUF_INIT(400000);
	const struct conf *c = NULL;
	struct conf_messages m;

	(void)state;
	/* libyaml is quadratic here: it must be stopped, not endured. */
	memset(deep, '[', 100000);
	memcpy(deep, "a: ", 3);
	assert_int_equal(load_text(deep, &c, &m), -EINVAL);
	assert_non_null(strstr(m.items[0].text, "32 levels"));
	conf_messages_done(&m);
	/* Every one of many wrong keys is found, in bounded space. */
	buf_puts(&jobs, "version: 1\n");
	for (int i = 0; i < 9000; i++)
		buf_printf(&jobs, "k%d: 1\n", i);
	assert_int_equal(load_text(buf_str(&jobs), &c, &m), -EINVAL);
	assert_true(m.errors >= 1 && m.count <= 9000);
	conf_messages_done(&m);
	buf_done(&jobs);
	free(deep);
}

/* 20:00 to 06:00 in Berlin, over the night of 2026-10-25 that has 25 hours. */
static void a_window_opens_and_closes(void **state)
{
	const struct conf *c = load_good(
		GOOD_PROFILES "  j:\n    every: 1h\n    timezone: Europe/Berlin\n"
			      "    window: {start: \"20:00\", end: \"06:00\", at_end: "
			      "cancel}\n" GOOD_SIDES);
	const struct conf_window *w = &c->jobs[0]->window, none = {NULL};
	const int64_t opens = 1792864800, closes = 1792904400; /* 18:00Z, 05:00Z */
	int64_t next;

	(void)state;
	assert_true(w->is_cancelling);
	assert_string_equal(c->jobs[0]->window_text, "20:00-06:00");
	assert_false(conf_window_is_open(w, opens - 1, &next));
	assert_int_equal(next, opens);
	assert_true(conf_window_is_open(w, opens, &next));
	assert_int_equal(next, closes);
	assert_true(conf_window_is_open(w, closes - 1, &next));
	assert_int_equal(next, closes);
	assert_false(conf_window_is_open(w, closes, &next));
	assert_int_equal(next, opens + 25 * 3600);
	assert_true(conf_window_is_open(&none, opens, &next));
	conf_unref(c);
}

static void a_reload_tells_what_changes(void **state)
{
	const struct conf *a = load_good(
		GOOD_PROFILES "  j:\n    every: 1h\n" GOOD_SIDES);
	const struct conf *b = load_good(GOOD_PROFILES
		"  j:\n    every: 2h\n    timeout: 1h\n" GOOD_SIDES
		"  k:\n    every: 1h\n"
		"    source: { profile: src, url: \"s3://bucket-s/b\" }\n"
		"    destination: { profile: src, url: \"s3://bucket-m/b/\" }\n");
	struct conf_diff d;

	(void)state;
	conf_diff_make(a, b, &d);
	assert_int_equal(d.count, 2);
	assert_int_equal(d.items[0].change, CONF_CHANGED);
	assert_true(d.items[0].is_schedule_changed);
	assert_non_null(strstr(d.items[0].detail, "timeout"));
	assert_int_equal(d.items[1].change, CONF_ADDED);
	conf_diff_done(&d);
	conf_diff_make(b, b, &d);
	assert_int_equal(d.count, 0);
	conf_diff_done(&d);
	conf_unref(a);
	conf_unref(b);
}

/* Bytes changed, cut and doubled: any verdict will do, but it must be one. */
static void damaged_files_are_survived(void **state)
{
	const char good[] = GOOD_PROFILES
		"  j:\n    schedule: \"cron(0 7 * * ? *)\"\n"
		"    timezone: Europe/Berlin\n"
		"    retry: { attempts: 5, backoff: 10s }\n" GOOD_SIDES;
	static const char odd[] = "{}[]:,&*!|>'\"%@`#-?\t\n\\ \x80\xff\x01";
	unsigned seed = 20261124;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		_cleanup_free_ char *text = mem_strdup(good);
		_cleanup_free_ char *path = NULL;
		size_t len = strlen(text);
		const struct conf *c = NULL;
		struct conf_messages m;

		for (int k = 0; k < 1 + i % 4; k++)
			text[(size_t)rand_r(&seed) % len] =
				odd[(size_t)rand_r(&seed) % (sizeof(odd) - 1)];
		if (i % 5 == 0)
			len = (size_t)rand_r(&seed) % len;
		path = write_file("s3ferry.yaml", text, len);
		assert_true((conf_load(path, &c, &m) == 0) == (m.errors == 0));
		for (size_t k = 0; k < m.count; k++)
			assert_true(m.items[k].line >= 0 && m.items[k].width >= 1);
		conf_messages_done(&m);
		conf_unref(c);
	}
}

static void a_missing_file_and_a_folder_are_told(void **state)
{
	const struct conf *c = NULL;
	struct conf_messages m;

	(void)state;
	assert_int_equal(conf_load("/nonexistent/s3ferry.yaml", &c, &m), -ENOENT);
	conf_messages_done(&m);
	assert_int_equal(conf_load(folder, &c, &m), -EINVAL);
	assert_non_null(strstr(m.items[0].text, "not a regular file"));
	conf_messages_done(&m);
}

static void a_file_that_others_can_change_is_refused(void **state)
{
	const char text[] = "version: 1\n";
	_cleanup_free_ char *path = write_file("s3ferry.yaml", text, strlen(text));
	const struct conf *c = NULL;
	struct conf_messages m;

	(void)state;
	assert_int_equal(chmod(path, 0664), 0);
	assert_int_equal(conf_load(path, &c, &m), -EPERM);
	assert_non_null(strstr(m.items[0].text, "others can change"));
	conf_messages_done(&m);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(conf_load(path, &c, &m), 0);
	conf_messages_done(&m);
	conf_unref(c);
}

static int make_folder(void **state)
{
	(void)state;
	umask(0022);
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	_cleanup_free_ char *path = mem_printf("%s/s3ferry.yaml", folder);

	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void the_examples_are_good(void **state)
{
	static const char *const names[] = {
		"daily-report.yaml", "local-files.yaml", "jobs.yaml"};
	const char *srcdir = getenv("srcdir");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *path = mem_printf(
			"%s/etc/examples/%s", srcdir ? srcdir : ".", names[i]);
		_cleanup_free_ char *text = mem_alloc(16384), *copy = NULL;
		const struct conf *c = NULL;
		struct conf_messages m;
		FILE *f = fopen(path, "re");

		assert_non_null(f);
		copy = write_file(names[i], text, fread(text, 1, 16384, f));
		fclose(f);
		assert_int_equal(conf_load(copy, &c, &m), 0);
		assert_int_equal(m.count, 0);
		unlink(copy);
		conf_messages_done(&m);
		conf_unref(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bad_file_says_where_what_and_what_to_do),
		cmocka_unit_test(policies_and_tags_have_more_than_one_value),
	cmocka_unit_test(variants_of_endpoints_are_told_or_left_open),
	cmocka_unit_test(a_job_may_have_a_session_of_its_own),
		cmocka_unit_test(values_and_defaults_are_typed),
		cmocka_unit_test(objects_are_written_as_told),
	cmocka_unit_test(defaults_are_shared_and_overridden),
		cmocka_unit_test(jobs_d_is_read_beside_the_main_file),
		cmocka_unit_test(the_caret_stands_under_the_value),
		cmocka_unit_test(a_secret_is_never_shown),
		cmocka_unit_test(two_jobs_that_write_one_key_are_told),
		cmocka_unit_test(a_megabyte_is_the_most),
		cmocka_unit_test(depth_and_count_are_bounded),
		cmocka_unit_test(a_window_opens_and_closes),
		cmocka_unit_test(a_reload_tells_what_changes),
		cmocka_unit_test(the_examples_are_good),
		cmocka_unit_test(damaged_files_are_survived),
		cmocka_unit_test(a_file_that_others_can_change_is_refused),
		cmocka_unit_test(a_missing_file_and_a_folder_are_told),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
