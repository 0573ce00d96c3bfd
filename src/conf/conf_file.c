/* Local sides of a job: file:///path, group and mode. The disk itself is not looked at.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf_build.h"

#define ROOT_MAX  1000
#define STATE_DIR "/var/lib/s3ferry"

/* NULL, or what is wrong with the path of a url. */
static const char *fault_of(const char *path)
{
	if (*path != '/')
		return "not an absolute path";
	if (strlen(path) > ROOT_MAX)
		return "the path is longer than 1,000 bytes";
	if (strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../") ||
		str_has_suffix(path, "/.") || str_has_suffix(path, "/.."))
		return "a path without empty, '.' and '..' names is expected";
	for (; *path; path++)
		if ((unsigned char)*path < 0x20 || *path == 0x7f)
			return "a path without control characters is expected";
	return NULL;
}

static bool is_inside(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]);
}

/* Where the folder of the job ends: what has dates or a glob in it is a key's. */
static size_t root_len(const char *path)
{
	size_t n = strcspn(path, "$*?[{");

	while (path[n] != '/' || !path[n])
		n--;
	return n;
}

bool file_parse_url(const struct spot *s, const char *url, struct conf_side *side)
{
	const char *path = url + strlen("file://");
	const char *state = getenv("STATE_DIRECTORY"), *wrong = fault_of(path);
	size_t n = wrong ? 0 : root_len(path);

	if (!state || !*state)
		state = STATE_DIR;
	if (wrong || !n) {
		spot_complain(s, "url", "file:///srv/outbox/, or file:///srv/report.csv",
			wrong ? wrong
			      : "the root of the file system is no folder for a job");
		return false;
	}
	side->scheme = CONF_FILE;
	side->bucket = mem_strndup(path, n);
	side->key = mem_strdup(path + n + 1);
	side->is_prefix = !*side->key || str_has_suffix(side->key, "/");
	if (is_inside(path, state) || is_inside(state, side->bucket)) {
		spot_complain(s, "url", NULL, "the daemon keeps its own state there");
		return false;
	}
	return true;
}

static void take_group(const struct spot *s, const char *group, struct conf_side *side)
{
	char buffer[65536];
	struct group g, *found = NULL;
	uint64_t gid;

	if (str_to_uint(group, INT32_MAX, &gid) == 0)
		side->gid = (int64_t)gid;
	else if (getgrnam_r(group, &g, buffer, sizeof(buffer), &found) == 0 && found)
		side->gid = (int64_t)found->gr_gid;
	else
		spot_complain(s, "group", NULL, "this host has no such group");
}

static void take_mode(const struct spot *s, const char *mode, struct conf_side *side)
{
	size_t n = strlen(mode);
	char *end;
	long value = strtol(mode, &end, 8);

	if (n < 3 || n > 4 || *end || strspn(mode, "01234567") != n || value > 0777 ||
		(value & 0600) != 0600)
		spot_complain(s, "mode", "mode: \"0640\"",
			"an octal mode that lets the owner read and write is expected, "
			"in quotes");
	else
		side->mode = (int)value;
}

void file_finish_side(const struct spot *s, const struct raw_side *raw,
	bool is_destination, struct conf_side *side)
{
	bool takes_them = side->scheme == CONF_FILE && is_destination;

	side->gid = -1;
	if (side->scheme == CONF_FILE && raw->profile)
		spot_complain(s, "profile", NULL, "local files need no identity");
	if ((raw->group || raw->mode) && !takes_them)
		spot_complain(s, raw->group ? "group" : "mode", NULL,
			"only local files that a job makes have it");
	else if (raw->group)
		take_group(s, raw->group, side);
	if (raw->mode && takes_them)
		take_mode(s, raw->mode, side);
}
