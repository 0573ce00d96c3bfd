/*
 * Runs and what each has of an engine, so that the next slot goes to the one that has the
 * least for its weight. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct share {
	struct list link;
	uint64_t tag; /* of the run */
	int weight;
	int members;   /* transfers that are there, waiting or not */
	int used;      /* slots: objects and parts at work */
	bool is_stuck; /* of this round: what it has next cannot start */
};

struct share *shares_join(struct list *shares, uint64_t tag, int weight);
/* The last one takes the share along. */
void shares_leave(struct share *s);
/* a comes before b. */
bool share_is_before(const struct share *a, const struct share *b);
void shares_begin_round(struct list *shares);
