/*
 * The control socket's server: accepts, checks who calls (SO_PEERCRED), reads frames and
 * hands each call to its verb. Knows no verb itself. Core's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct control;
struct control_call;
struct json;
struct loop;

struct control_verb {
	const char *method; /* "io.s3ferry.Status"; NULL ends the table */
	/*
	 * params is valid during the call; a handler answers now or later, but must end
	 * with exactly one final reply or error, unless the client went away.
	 */
	void (*handle)(void *arg, struct control_call *call, const struct json *params);
	bool is_order; /* it changes something: who gave it goes to the log */
};

/*
 * path: made 0660; a stale socket is replaced, a living one is an error. verbs outlive the
 * control. NULL with a sentence in why.
 */
struct control *control_new(struct loop *loop, const char *path,
	const struct control_verb *verbs, void *arg, char *why, size_t why_size);
void *control_free(struct control *c);

/* params: JSON of an object, NULL for {}. A reply that does not continue ends the call. */
void control_reply(struct control_call *call, const char *params, bool continues);
void control_error(struct control_call *call, const char *error, const char *params);
/* Whether the client asked for a stream of replies. */
bool control_wants_more(const struct control_call *call);
/* gone(arg) when the client leaves before the final reply; the call is dead then. */
void control_on_gone(struct control_call *call, void (*gone)(void *arg), void *arg);
