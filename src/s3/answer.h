/* A whole XML answer of S3. Pure. */
#pragma once

#include <stddef.h>

struct buf;
struct xml_handler;

/*
 * 0, or -1: it is not XML, longer than max, or its root is another. Character references
 * that XML 1.0 forbids, which S3 writes for control characters in keys, read as '?': who
 * needs such a key asks for encoding-type=url.
 */
int s3_answer_parse(const struct buf *body, size_t max, const char *root,
	const struct xml_handler *handler);
