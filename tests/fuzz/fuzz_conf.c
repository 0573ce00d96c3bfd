/*
 * The configuration: no file crashes the loader, a file that is refused has an error, each
 * message lies inside the file and can be printed, and what is taken is taken twice.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/conf_load.h"
#include "fuzz.h"

static void check_messages(const struct conf_messages *m, const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT(64 << 20);
	int lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n' || data[i] == '\r';
	/* NEL, LS and PS end lines of YAML, too. */
	for (size_t i = 0; i + 1 < size; i++)
		lines += data[i] == 0xc2 || data[i] == 0xe2;
	for (size_t i = 0; i < m->count; i++) {
		const struct conf_message *one = &m->items[i];

		demand(one->text && *one->text, "a message without a text");
		demand(one->line >= 0 && one->line <= lines + 1, "a message behind the file");
		demand(!one->line || (one->col >= 1 && one->width >= 1), "no column");
	}
	demand(conf_messages_format(m, &out) == 0, "messages that cannot be printed");
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	_cleanup_free_ char *path = mem_printf("/proc/self/fd/%d", fd);
	int last = 0;

	demand(fd >= 0 && fchmod(fd, 0600) == 0 &&
			write(fd, data, size) == (ssize_t)size,
		"no file");
	for (int i = 0; i < 2; i++) {
		const struct conf *c = NULL;
		struct conf_messages m;
		int r = conf_load(path, &c, &m);

		demand(r == 0 || (r == -EINVAL && m.errors), "refused without an error");
		demand((r == 0) == (c != NULL) && (r == 0) == !m.errors, "taken with an error");
		demand(!i || r == last, "the second time is another");
		last = r;
		check_messages(&m, data, size);
		conf_messages_done(&m);
		conf_unref(c);
	}
	close(fd);
	return 0;
}
