/*
 * The tables and how an older file becomes a current one. For the store's own files:
 * nobody else sees SQLite. Damage is reported as -EBADMSG, and only during opening.
 */
#pragma once

#include <sqlite3.h>

/* 1 when the file has no tables yet, 0 when it is ours, -EPROTO, -EBADMSG, -EIO, ... */
int store_schema_probe(sqlite3 *db);
/* Read every page. 0, -EBADMSG, -EIO. */
int store_schema_check(sqlite3 *db);
/* All missing steps in one transaction. */
int store_schema_migrate(sqlite3 *db);
