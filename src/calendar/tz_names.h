/* Names of zones, from the index that tzdata installs beside them. Reads a file. */
#pragma once

#include <stddef.h>

/*
 * The zone that was meant by a name of none, within two letters, or by its city; "" where
 * none is near or tzdata has no index. Returns out.
 */
char *tz_nearest(const char *name, char *out, size_t size);
