/* Notes of manifests that are to be sent: small files. Who sends them, the run decides.
 */
#include "config.h"

#include "run/manifest_unsent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/manifest.h"

#define NOTE    ".unsent"
#define URL_MAX 2048 /* bytes: a bucket's name and a key of 1,024 */

int manifest_unsent_note(
	const char *dir, const char *job, const char *run, const char *url)
{
	_cleanup_free_ char *manifest = manifest_path(dir, job, run);
	_cleanup_free_ char *path = mem_printf("%s" NOTE, manifest);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = write(fd, url, strlen(url));
	r = n < 0 || fsync(fd) < 0 ? -errno : (size_t)n < strlen(url) ? -ENOSPC : 0;
	close(fd);
	return r;
}

/* NULL: it cannot be read, or was not written to its end. */
static char *read_note(int folder, const char *name)
{
	char url[URL_MAX + 1];
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, url, URL_MAX);
	close(fd);
	if (n <= 0)
		return NULL;
	url[n] = '\0';
	return str_has_prefix(url, "s3://") ? mem_strdup(url) : NULL;
}

static size_t add(
	int folder, const char *job, const char *note, struct manifest_unsent *ret)
{
	_cleanup_free_ char *name = mem_strndup(note, strlen(note) - strlen(NOTE));
	char *url = read_note(folder, note);

	if (!url || faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		unlinkat(folder, note, 0);
		free(url);
		return 0;
	}
	*ret = (struct manifest_unsent){mem_printf("%s/%s", job, name), url};
	return 1;
}

size_t manifest_unsent_list(const char *dir, const char *job, const char *run,
	struct manifest_unsent ret[MANIFEST_UNSENT_MAX])
{
	_cleanup_free_ char *path = mem_printf("%s/%s", dir, job);
	_cleanup_free_ char *manifest = manifest_path(dir, job, run);
	_cleanup_free_ char *own = mem_printf("%s" NOTE, strrchr(manifest, '/') + 1);
	DIR *d = opendir(path);
	struct dirent *e;
	size_t n = 0;

	if (!d)
		return 0;
	n = add(dirfd(d), job, own, &ret[0]);
	while (n < MANIFEST_UNSENT_MAX && (e = readdir(d)))
		if (str_has_suffix(e->d_name, NOTE) && !str_eq(e->d_name, own))
			n += add(dirfd(d), job, e->d_name, &ret[n]);
	closedir(d);
	return n;
}

void manifest_unsent_drop(const char *dir, const char *path)
{
	_cleanup_free_ char *note = mem_printf("%s/%s" NOTE, dir, path);

	unlink(note);
}

void manifest_unsent_done(struct manifest_unsent *u)
{
	free(u->path);
	free(u->url);
	*u = (struct manifest_unsent){0};
}
