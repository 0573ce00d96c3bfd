/* The schema table as JSON Schema, draft 07. Pure. */
#pragma once

struct buf;

/* 0, or -1 where the buffer is too small: 256 KiB are enough. */
int conf_json_schema(struct buf *out);
