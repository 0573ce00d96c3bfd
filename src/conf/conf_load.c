/* Files to a conf: read, parse, build, check. The one way in, for everybody. */
#include "config.h"

#include "conf/conf_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/tz_set.h"
#include "conf/conf_build.h"

#define FILE_MAX  (1024 * 1024)
#define FILES_MAX 1000

struct loader {
	struct draft draft;
	struct source *sources[FILES_MAX];
	size_t count;
	bool is_untrusted; /* a file that others can change */
};

/* Who can write the file can use every identity that it names. */
static bool is_trusted(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* 0 or negative errno; only regular files, so that no FIFO blocks us. */
static int read_source(const char *path, struct source *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = -EINVAL;
	else if (st.st_size > FILE_MAX)
		r = -EFBIG;
	else if (!is_trusted(&st))
		r = -EPERM;
	ret->path = mem_strdup(path);
	ret->text = mem_alloc(FILE_MAX + 1);
	while (r == 0 && ret->len < FILE_MAX &&
		(n = read(fd, ret->text + ret->len, FILE_MAX - ret->len)) > 0)
		ret->len += (size_t)n;
	if (r == 0 && n < 0)
		r = -errno;
	close(fd);
	ret->text = mem_resize(ret->text, ret->len + 1, 1);
	ret->text[ret->len] = '\0';
	return r;
}

/* A main file that is missing or shut is its caller's to tell. */
static int refuse_file(
	struct loader *l, const struct conf_place *place, bool is_main, int r)
{
	const char *hint = NULL, *text = strerror(-r);

	if (r == -EINVAL) {
		text = "not a regular file";
	} else if (r == -EFBIG) {
		text = "larger than 1 MiB";
	} else if (r == -EPERM) {
		text = "others can change this file";
		hint = "chown it to root, and chmod go-w";
		l->is_untrusted = true;
	} else if (is_main) {
		return r;
	}
	conf_complain(l->draft.messages, place, hint, "%s", text);
	return -EINVAL;
}

static int add_file(struct loader *l, const char *path, bool is_main)
{
	struct source *src = mem_alloc(sizeof(*src));
	struct conf_place place = {src, NULL, 0, NULL};
	const struct node *root;
	int r;

	if (l->count == FILES_MAX) {
		src->path = (char *)path;
		conf_complain(l->draft.messages, &place, NULL,
			"more than 1,000 files; this one and those after it are not "
			"read");
		free(src);
		return -E2BIG;
	}
	r = read_source(path, src);
	l->sources[l->count++] = src;
	if (r < 0)
		return refuse_file(l, &place, is_main, r);
	root = yaml_parse(src, &l->draft.arena, l->draft.messages);
	if (!root)
		return -EINVAL;
	draft_read(&l->draft, src, root, is_main);
	return 0;
}

static int is_yaml(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && str_has_suffix(entry->d_name, ".yaml");
}

/* alphasort() follows the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* jobs.d beside the main file, in byte order. */
static void add_jobs_d(struct loader *l, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = mem_printf(
		"%.*sjobs.d", slash ? (int)(slash - path) + 1 : 0, path);
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_yaml, by_bytes);

	if (n < 0 && errno != ENOENT) {
		struct source src = {.path = dir};

		conf_complain(l->draft.messages,
			&(struct conf_place){&src, NULL, 0, NULL}, NULL, "%s",
			strerror(errno));
	}
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *file = mem_printf("%s/%s", dir, entries[i]->d_name);

		if (add_file(l, file, false) < 0)
			l->draft.is_partial = true;
		free(entries[i]);
	}
	free(entries);
}

static size_t rank(const struct loader *l, const char *file)
{
	size_t i = 0;

	while (i < l->count && strcmp(l->sources[i]->path, file) != 0)
		i++;
	return i;
}

/* By file, line and column, however they were found. Stable; a few hundred at most. */
static void sort_messages(const struct loader *l, struct conf_messages *m)
{
	for (size_t i = 1; i < m->count; i++) {
		struct conf_message moved = m->items[i];
		size_t file = rank(l, moved.file), j = i;

		for (; j; j--) {
			const struct conf_message *p = &m->items[j - 1];
			size_t other = strcmp(p->file, moved.file) ? rank(l, p->file)
								   : file;

			if (other < file ||
				(other == file && (p->line < moved.line ||
							  (p->line == moved.line &&
								  p->col <= moved.col))))
				break;
			m->items[j] = *p;
		}
		m->items[j] = moved;
	}
}

/* A secret must not travel to the journal with the line it stands in. */
static void hide_lines(const struct loader *l, struct conf_messages *m)
{
	bool has_secret = l->draft.has_secret;

	for (size_t i = 0; m->count && !has_secret && i < l->count; i++)
		has_secret = l->sources[i]->text &&
			     secret_is_in_text(l->sources[i]->text);
	for (size_t i = 0; has_secret && i < m->count; i++) {
		free(m->items[i].source_line);
		m->items[i].source_line = NULL;
	}
}

static void keep_files(struct loader *l, struct conf *c)
{
	c->files = mem_array(l->count, sizeof(*c->files));
	c->file_count = l->count;
	for (size_t i = 0; i < l->count; i++) {
		struct source *src = l->sources[i];

		/* Marks point at these paths. */
		c->files[i] = MEM_STEAL(src->path);
		free(src->text);
		free(src);
	}
}

int conf_load(const char *path, const struct conf **ret, struct conf_messages *messages)
{
	struct loader *l = mem_alloc(sizeof(*l));
	struct conf *c = mem_alloc(sizeof(*c));
	int r;

	*messages = (struct conf_messages){0};
	c->refs = 1;
	c->path = mem_strdup(path);
	c->zones = tz_set_new(NULL);
	c->loaded_at_s = clock_wall_us(clock_system()) / USEC_PER_SEC;
	draft_init(&l->draft, c, messages);
	r = add_file(l, path, true);
	if (r == 0) {
		add_jobs_d(l, path);
		draft_finish(&l->draft);
	} else {
		for (size_t i = 0; i < l->draft.profile_count; i++)
			conf_profile_free(l->draft.profiles[i].profile);
	}
	hide_lines(l, messages);
	sort_messages(l, messages);
	draft_done(&l->draft);
	keep_files(l, c);
	if (r == 0 && messages->errors)
		r = -EINVAL;
	if (l->is_untrusted)
		r = -EPERM;
	free(l);
	if (r == 0)
		*ret = c;
	else
		conf_unref(c);
	return r;
}
