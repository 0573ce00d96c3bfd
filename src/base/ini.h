/*
 * The INI dialect of AWS's config and credentials files: sections, keys, continuation
 * lines, comments. Syntax only; which section means what is aws/profile's. Pure.
 */
#pragma once

#include <stddef.h>

struct ini;

struct ini_error {
	int line; /* from 1 */
	char text[120];
};

/* Called in file order; key NULL: a section begins. value keeps "\n" of continuations. */
typedef void (*ini_fn)(
	void *arg, const char *section, const char *key, const char *value, int line);

/* 0, or -EBADMSG with *ret_error filled; then the calls so far are to be forgotten. */
int ini_parse(
	const char *text, size_t len, ini_fn fn, void *arg, struct ini_error *ret_error);
