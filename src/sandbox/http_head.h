/* The text of HTTP/1.1 heads: a request's, and the phrase of an answer's status. Pure. */
#pragma once

#include <stdbool.h>

struct http_exchange;

/*
 * Fills method, path, query and fields, which point into `text`; text is changed and has
 * to outlive them. It ends before the empty line. false: not a request that is served.
 */
bool http_head_parse(struct http_exchange *x, char *text);
const char *http_head_reason(int status);
