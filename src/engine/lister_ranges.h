/*
 * A prefix listed in several places at once, for where a page takes long to come: ranges
 * one behind the other, each a lister of its own, read in order. Where a range may begin
 * is guessed from what the last page spanned; guesses that do not hold are made no more.
 * At most 2 x `ranges` pages are held, and two while the first `alone` pages come one
 * after the other. Otherwise as lister_s3.h: need_creds() comes once at a time, and
 * lister_s3_give_creds() answers for all ranges that wait.
 */
#pragma once

#include "engine/lister_s3.h"

#define LISTER_RANGES_MAX 16

struct lister *lister_ranges_new(
	const struct lister_s3_options *options, unsigned ranges, unsigned alone);
