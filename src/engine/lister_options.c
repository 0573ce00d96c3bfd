/* Copies of what a lister is told. What is done with them is the listers'. */
#include "config.h"

#include "engine/lister_options.h"

#include <stdlib.h>

#include "base/mem.h"
#include "s3/op.h"

static const char *own(const char *text)
{
	return mem_strdup(text ? text : "");
}

void lister_options_take(struct lister_s3_options *to, struct s3_place *place,
	const struct lister_s3_options *from)
{
	*to = *from;
	*place = *from->place;
	place->bucket = mem_strdup(place->bucket);
	place->region = mem_strdup(place->region);
	place->endpoint_url = mem_strdup(place->endpoint_url);
	place->ca_bundle = mem_strdup(place->ca_bundle);
	to->place = place;
	to->prefix = own(from->prefix);
	to->start_after = own(from->start_after);
	to->until = own(from->until);
}

void lister_options_done(struct lister_s3_options *o, struct s3_place *place)
{
	free((char *)place->bucket);
	free((char *)place->region);
	free((char *)place->endpoint_url);
	free((char *)place->ca_bundle);
	free((char *)o->prefix);
	free((char *)o->start_after);
	free((char *)o->until);
}
