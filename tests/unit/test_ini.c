/* base/ini: AWS's dialect line by line, and what it must refuse. */
#include "config.h"

#include "base/ini.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/unit.h"

static void on_ini(
	void *arg, const char *section, const char *key, const char *value, int line)
{
	struct buf *out = arg;

	if (key)
		buf_printf(out, "%d:%s.%s=%s;", line, section, key, value);
	else
		buf_printf(out, "%d:[%s];", line, section);
}

static void expect(const char *text, const char *want)
{
	struct buf out = BUF_INIT(4096);
	struct ini_error e;

	assert_int_equal(ini_parse(text, strlen(text), on_ini, &out, &e), 0);
	assert_string_equal(buf_str(&out), want);
	buf_done(&out);
}

static void refuse(const char *text, int line, const char *says)
{
	struct buf out = BUF_INIT(4096);
	struct ini_error e;

	assert_int_equal(ini_parse(text, strlen(text), on_ini, &out, &e), -EBADMSG);
	assert_int_equal(e.line, line);
	if (!strstr(e.text, says))
		fail_msg("'%s' does not say '%s'", e.text, says);
	buf_done(&out);
}

static void test_plain(void **state)
{
	expect("", "");
	expect("[a]\nk = v\n", "1:[a];2:a.k=v;");
	expect("[a]\r\nk=v\r\n", "1:[a];2:a.k=v;");
	expect("[ profile\ta ] ; why\nk\t=\t v w \n",
		"1:[profile\ta];2:profile\ta.k=v w;");
	expect("[a]\nk = v=w", "1:[a];2:a.k=v=w;");
	expect("[a]\nk =\n", "1:[a];2:a.k=;");
	expect("\n \n[a]\n\n[b]", "3:[a];5:[b];");
}

static void test_comments(void **state)
{
	expect("# x\n; y\n[a]#z\nk = v # c\nl = v#c\nm = ;c\n",
		"3:[a];4:a.k=v;5:a.l=v#c;6:a.m=;");
}

static void test_continuation(void **state)
{
	expect("[a]\nk = v\n  w # kept\nl = x\n", "1:[a];2:a.k=v\nw # kept;4:a.l=x;");
	expect("[a]\ns3 =\n p = 1\n \n\tq = 2\n", "1:[a];2:a.s3=\np = 1\nq = 2;");
}

static void test_errors(void **state)
{
	refuse("k = v\n", 1, "before the first section");
	refuse("\n[a\n", 2, "not closed");
	refuse("[a]\nk\n", 2, "'='");
	refuse("[a]\n= v\n", 2, "empty");
	refuse("[a]\n v\n", 2, "no key");
	refuse(" v\n", 1, "no key");
	refuse("[a]\nk = v\n[b]\n w\n", 4, "no key");
	refuse("[a]\ns3 =\n word\n", 3, "'='");
	refuse("[a]\ns3 =\n = word\n", 3, "empty");
	refuse("[a]\ns3 =\n p = 1\n word\n", 4, "'='");
}

static void test_too_long(void **state)
{
	size_t len = 70000;
	char *text = mem_alloc(len + 1);

	memset(text, 'v', len);
	memcpy(text, "[a]\nk = ", 8);
	refuse(text, 2, "too long");
	free(text);
}

/* Bytes that are no text neither crash nor loop; every prefix ends. */
static void test_noise(void **state)
{
	static const char noise[] = "[a\0b]\n\xff\xfe=\x01\n[\n]\n =\n\t\r\n[]\n=\n;\n[a]=\nk=\0v\n k";

	for (size_t skip = 0; skip < sizeof(noise); skip++) {
		for (size_t n = 0; n < sizeof(noise) - skip; n++) {
			struct buf out = BUF_INIT(4096);
			struct ini_error e;
			int r = ini_parse(noise + skip, n, on_ini, &out, &e);

			assert_true(r == 0 || r == -EBADMSG);
			buf_done(&out);
		}
	}
}

UNIT_MAIN(cmocka_unit_test(test_plain), cmocka_unit_test(test_comments),
	cmocka_unit_test(test_continuation), cmocka_unit_test(test_errors),
	cmocka_unit_test(test_too_long), cmocka_unit_test(test_noise))
