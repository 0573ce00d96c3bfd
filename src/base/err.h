/*
 * What went wrong, as a value. Decided once, where it is known: transport faults in
 * net/http, service answers in aws/errors, files where they are opened. Everybody above
 * acts on `class` alone; `text` is for people and is never compared.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum err_class {
	ERR_OK = 0,
	ERR_RETRY,     /* transient: the same request may succeed later */
	ERR_THROTTLE,  /* the service asks for less: retry, and slow down */
	ERR_AUTH,      /* the session ended: refresh it, then repeat once */
	ERR_DENIED,    /* the service knows us and says no: final */
	ERR_NOTFOUND,  /* no such key, bucket, upload, file: final */
	ERR_CONFLICT,  /* a precondition failed: the object is another one now */
	ERR_INTEGRITY, /* bytes that are not the source's bytes */
	ERR_LOCAL,     /* this host: disk, descriptors, permission */
	ERR_CONFIG,    /* the configuration asks for something impossible */
	ERR_CANCELLED, /* we were told to stop */
	ERR_FATAL,     /* an answer that no retry will mend */
};

enum err_origin {
	ERR_FROM_NONE,
	ERR_FROM_NET, /* name, connection, TLS, framing */
	ERR_FROM_STS,
	ERR_FROM_S3,
	ERR_FROM_CREDS, /* finding credentials on this host */
	ERR_FROM_LOCAL,
};

struct err {
	enum err_class class;
	enum err_origin origin;
	int http_status;     /* 0: no answer arrived */
	int64_t retry_after_ms; /* the service's wish; 0: it told none */
	char code[64];       /* AWS's code, or ours: "connect", "tls", "stall", ... */
	char operation[32];  /* AWS's name of the call: "GetObject", "AssumeRole" */
	char request_id[80]; /* x-amz-request-id */
	char host_id[128];   /* x-amz-id-2 */
	char text[512];      /* one sentence, without secrets */
};

const char *err_class_name(enum err_class class);
const char *err_origin_name(enum err_origin origin);

/* Overwrites all of *e. Returns e, so that "return err_set(...)" reads well. */
struct err *err_set(struct err *e, enum err_class class, enum err_origin origin,
	const char *code, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The same request may be repeated without anybody changing anything. */
bool err_is_transient(const struct err *e);
