/* Options of a listing that outlive who gave them: their texts are copied. For listers.
 */
#pragma once

#include "engine/lister_s3.h"

/* place: whose texts are copied too; to->place points there. */
void lister_options_take(struct lister_s3_options *to, struct s3_place *place,
	const struct lister_s3_options *from);
void lister_options_done(struct lister_s3_options *o, struct s3_place *place);
