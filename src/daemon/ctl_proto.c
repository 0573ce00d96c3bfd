/* Varlink framing. Not what the methods mean: control_cmds and ctl/ know. */
#include "config.h"

#include "daemon/ctl_proto.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

static int put_frame(struct buf *out, const struct json_writer *w)
{
	return w->failed ? -ENOBUFS : buf_putc(out, '\0');
}

int ctl_put_call(struct buf *out, const char *method, const char *params, bool more)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "method", method);
	json_put_raw(&w, "parameters", params ? params : "{}");
	if (more)
		json_put_bool(&w, "more", true);
	json_object_end(&w);
	return put_frame(out, &w);
}

int ctl_put_reply(struct buf *out, const char *params, bool continues)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_object_begin(&w, NULL);
	json_put_raw(&w, "parameters", params ? params : "{}");
	if (continues)
		json_put_bool(&w, "continues", true);
	json_object_end(&w);
	return put_frame(out, &w);
}

int ctl_put_error(struct buf *out, const char *error, const char *params)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "error", error);
	json_put_raw(&w, "parameters", params ? params : "{}");
	json_object_end(&w);
	return put_frame(out, &w);
}

int ctl_take_frame(struct buf *in, size_t max, char **ret_text)
{
	const char *end = in->len ? memchr(in->data, '\0', in->len) : NULL;

	if (!end)
		return in->len >= max ? -EMSGSIZE : 0;
	*ret_text = mem_strndup(in->data, (size_t)(end - in->data));
	buf_consume(in, (size_t)(end - in->data) + 1);
	return 1;
}
