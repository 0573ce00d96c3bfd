/*
 * The XML of a listing as a page; for the files of s3/ and their tests. Two readers of
 * the same bytes: list_xml is the reference, on expat; list_scan is quick and takes what
 * it knows for certain, so that whatever it takes, list_xml takes alike.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct s3_page;

#define LIST_PAGE_MAX    (8 * 1024 * 1024)
#define LIST_ENTRIES_MAX 10000
#define LIST_KEY_MAX     1024

/* *ret zeroed before; s3_page_done() whatever comes. 0 or -EBADMSG. */
int list_xml(const char *data, size_t len, struct s3_page *ret);
/* false: not understood, ask list_xml() with a page of its own. */
bool list_scan(const char *data, size_t len, struct s3_page *ret);

/* --- for both --- */
struct s3_entry *list_add(struct s3_page *page); /* NULL: too many */
/* Text into the page; 0: there is no room. */
unsigned list_put(struct s3_page *page, const char *text, size_t len);
/* After the last element: decode the keys, look whether nothing is missing. */
bool list_finish(struct s3_page *page, bool is_encoded, bool has_truncated);
