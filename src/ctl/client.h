/* One Varlink call at a time to the daemon, blocking. Of s3ferryctl alone. */
#pragma once

#include <stdbool.h>

struct client;
struct json;

/* NULL with errno set. */
struct client *client_open(const char *path);
void *client_close(struct client *c);

/* params: JSON of an object or NULL. 0 or -EIO. */
int client_call(struct client *c, const char *method, const char *params, bool more);
/*
 * The next reply; *ret_error is its error name or NULL (borrowed from *ret). Free *ret with
 * json_free(). 1: more replies follow, 0: the last one, -EIO: the daemon went away.
 */
int client_reply(struct client *c, struct json **ret, const char **ret_error);
/* For poll(): readable when a reply may be there. */
int client_fd(const struct client *c);
