/* A table of endpoints, searched in order. What follows from it is for transfers to say. */
#include "config.h"

#include "engine/known.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"

#define ENDPOINTS 16
#define LOST_MOST 3

struct endpoint {
	char *url; /* NULL: this one and those behind it are free */
	bool tells_checksum;
	enum known_trailers trailers;
	int lost; /* requests that were to find out about trailers */
};

struct known {
	struct endpoint endpoints[ENDPOINTS];
};

struct known *known_new(void)
{
	return mem_alloc(sizeof(struct known));
}

void *known_free(struct known *k)
{
	if (!k)
		return NULL;
	for (size_t i = 0; i < ENDPOINTS; i++)
		free(k->endpoints[i].url);
	free(k);
	return NULL;
}

static struct endpoint *find(struct known *k, const char *url)
{
	size_t i;

	for (i = 0; i < ENDPOINTS && k->endpoints[i].url; i++)
		if (str_eq(k->endpoints[i].url, url))
			return &k->endpoints[i];
	if (i == ENDPOINTS)
		return NULL;
	k->endpoints[i].url = mem_strdup(url);
	return &k->endpoints[i];
}

bool known_tells_checksum(struct known *k, const char *endpoint_url)
{
	const struct endpoint *e = find(k, endpoint_url);

	return e && e->tells_checksum;
}

void known_note_checksum(struct known *k, const char *endpoint_url)
{
	struct endpoint *e = find(k, endpoint_url);

	if (e)
		e->tells_checksum = true;
}

enum known_trailers known_trailers_of(struct known *k, const char *endpoint_url)
{
	const struct endpoint *e = find(k, endpoint_url);

	return e ? e->trailers : TRAILERS_REFUSED;
}

void known_note_trailers(
	struct known *k, const char *endpoint_url, enum known_trailers what)
{
	struct endpoint *e = find(k, endpoint_url);

	if (e)
		e->trailers = what;
}

bool known_note_trailers_lost(struct known *k, const char *endpoint_url)
{
	struct endpoint *e = find(k, endpoint_url);

	if (!e || e->trailers != TRAILERS_UNKNOWN || ++e->lost < LOST_MOST)
		return false;
	e->trailers = TRAILERS_REFUSED;
	return true;
}
