/* Reads one small regular file. Not what the file means. */
#include "config.h"

#include "aws/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static char *read_whole(int fd, size_t max, size_t *ret_len, const char **ret_why)
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;
	char *text;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		*ret_why = "is not a regular file";
		return NULL;
	}
	if (st.st_size > (off_t)max) {
		*ret_why = max >= 1024 * 1024 ? "is larger than 1 MiB"
					      : "is larger than it can be";
		return NULL;
	}
	text = mem_alloc((size_t)st.st_size + 1);
	while (n > 0 && len < (size_t)st.st_size) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0) {
		*ret_why = "cannot be read";
		mem_wipe(text, len);
		return mem_wipe_free(text);
	}
	*ret_len = len;
	return text;
}

char *secret_file_read(
	const char *path, size_t max, size_t *ret_len, const char **ret_why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	char *text;

	if (fd < 0) {
		*ret_why = strerror(errno);
		return NULL;
	}
	text = read_whole(fd, max, &len, ret_why);
	close(fd);
	if (!text)
		errno = EINVAL; /* whatever it is: it is there */
	if (text && ret_len)
		*ret_len = len;
	return text;
}
