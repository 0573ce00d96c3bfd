/* Varlink framing: what goes out comes back in, piece by piece, and never beyond a cap. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "daemon/ctl_proto.h"
#include "unit.h"

static struct json *take(struct buf *in)
{
	struct json *v;
	char *text;

	assert_int_equal(ctl_take_frame(in, CTL_REQUEST_MAX, &text), 1);
	v = json_parse(text, strlen(text), NULL);
	assert_non_null(v);
	free(text);
	return v;
}

static void test_call(void **state)
{
	struct buf b = BUF_INIT(CTL_REQUEST_MAX);
	struct json *v;

	assert_int_equal(ctl_put_call(&b, "io.s3ferry.Run", "{\"job\":\"a\"}", true), 0);
	assert_int_equal(ctl_put_call(&b, "io.s3ferry.Status", NULL, false), 0);
	v = take(&b);
	assert_string_equal(json_get_str(v, "method"), "io.s3ferry.Run");
	assert_string_equal(json_get_str(json_get(v, "parameters"), "job"), "a");
	assert_true(json_get_bool(v, "more", false));
	json_free(v);
	v = take(&b);
	assert_string_equal(json_get_str(v, "method"), "io.s3ferry.Status");
	assert_non_null(json_get(v, "parameters"));
	assert_null(json_get(v, "more"));
	json_free(v);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static void test_reply_and_error(void **state)
{
	struct buf b = BUF_INIT(CTL_REQUEST_MAX);
	struct json *v;

	assert_int_equal(ctl_put_reply(&b, "{\"n\":1}", true), 0);
	assert_int_equal(ctl_put_reply(&b, NULL, false), 0);
	assert_int_equal(ctl_put_error(&b, "io.s3ferry.NoSuchJob", "{\"job\":\"x\"}"), 0);
	v = take(&b);
	assert_true(json_get_bool(v, "continues", false));
	assert_int_equal(json_get_int(json_get(v, "parameters"), "n", 0), 1);
	json_free(v);
	v = take(&b);
	assert_null(json_get(v, "continues"));
	assert_null(json_get(v, "error"));
	json_free(v);
	v = take(&b);
	assert_string_equal(json_get_str(v, "error"), "io.s3ferry.NoSuchJob");
	assert_string_equal(json_get_str(json_get(v, "parameters"), "job"), "x");
	json_free(v);
	buf_done(&b);
}

static void test_byte_by_byte(void **state)
{
	struct buf out = BUF_INIT(1000), in = BUF_INIT(1000);
	char *text;

	assert_int_equal(ctl_put_call(&out, "a.B", NULL, false), 0);
	for (size_t i = 0; i + 1 < out.len; i++) {
		buf_putc(&in, out.data[i]);
		assert_int_equal(ctl_take_frame(&in, 1000, &text), 0);
	}
	assert_int_equal(in.len, out.len - 1); /* nothing was taken on the way */
	buf_putc(&in, '\0');
	assert_int_equal(ctl_take_frame(&in, 1000, &text), 1);
	assert_string_equal(text, out.data);
	free(text);
	assert_int_equal(ctl_take_frame(&in, 1000, &text), 0);
	buf_done(&in);
	buf_done(&out);
}

static void test_too_long(void **state)
{
	struct buf in = BUF_INIT(1000);
	char *text;

	buf_puts(&in, "0123456");
	assert_int_equal(ctl_take_frame(&in, 8, &text), 0);
	buf_putc(&in, '7');
	assert_int_equal(ctl_take_frame(&in, 8, &text), -EMSGSIZE);
	buf_done(&in);
}

static void test_no_room(void **state)
{
	struct buf tiny = BUF_INIT(20);

	assert_int_equal(ctl_put_reply(&tiny, "{\"a\":\"0123456789\"}", false), -ENOBUFS);
	buf_done(&tiny);
	buf_init(&tiny, 20);
	assert_int_equal(ctl_put_call(&tiny, "a.Method.Of.Some.Length", NULL, false), -ENOBUFS);
	buf_done(&tiny);
}

UNIT_MAIN(cmocka_unit_test(test_call), cmocka_unit_test(test_reply_and_error),
	cmocka_unit_test(test_byte_by_byte), cmocka_unit_test(test_too_long),
	cmocka_unit_test(test_no_room))
