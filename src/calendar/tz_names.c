/* Names of zones for whoever mistyped one: tzdata's own index. Not the rules (tz.c). */
#include "config.h"

#include "calendar/tz_names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define NAME_SIZE 64

/* Small letters, and no blanks: nobody means another zone by these. Cut where too long. */
static void fold(const char *name, char out[NAME_SIZE])
{
	size_t n = 0;

	for (; *name && n + 1 < NAME_SIZE; name++)
		out[n++] = *name == ' ' ? '_' : (char)tolower((unsigned char)*name);
	out[n] = '\0';
}

/* The city alone counts like a letter less: "berlin" is Europe/Berlin. */
static unsigned distance(const char *wanted, const char *name)
{
	char folded[NAME_SIZE];
	const char *city;

	fold(name, folded);
	city = strrchr(folded, '/');
	if (city && strcmp(wanted, city + 1) == 0)
		return 1;
	return str_distance(wanted, folded, 2);
}

/* "Z Europe/Berlin 0:53:28 ..." or "L Europe/Berlin Europe/Oslo"; NULL: another line. */
static char *name_in(char *line)
{
	char *name = NULL, *rest;

	if (strncmp(line, "Z ", 2) == 0)
		name = line + 2;
	else if (strncmp(line, "L ", 2) == 0)
		name = strchr(line + 2, ' ');
	if (!name)
		return NULL;
	name += *name == ' ';
	rest = name + strcspn(name, " \n");
	*rest = '\0';
	return name;
}

char *tz_nearest(const char *name, char *out, size_t size)
{
	FILE *index = fopen(ZONEINFO_DIR "/tzdata.zi", "re");
	_cleanup_free_ char *line = NULL;
	char wanted[NAME_SIZE];
	unsigned best = 3;
	size_t room = 0;

	*out = '\0';
	if (!index)
		return out;
	fold(name, wanted);
	while (getline(&line, &room, index) >= 0) {
		const char *zone = name_in(line);
		unsigned d = zone ? distance(wanted, zone) : best;

		/* Of a short word everything is near. */
		if (d >= best || d >= strlen(wanted))
			continue;
		best = d;
		snprintf(out, size, "%s", zone);
	}
	fclose(index);
	return out;
}
