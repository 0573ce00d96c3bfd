/*
 * What one signature and one endpoint cost: microseconds of CPU and allocations. Not a
 * test: it prints, `make bench-aws` runs it.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "base/mem.h"

#define ROUNDS 100000

/* glibc's own names under these: each call is counted on its way. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static unsigned long allocations;

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	allocations++;
	return __libc_realloc(p, size);
}

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* A GET of S3 as the daemon sends it, with a session's token. */
static void sign_one(void)
{
	static const char token[] = "IQoJb3JpZ2luX2VjEJr//////////"
				    "wEaCWV1LXdlc3QtMSJHMEUCIQDexampletokenexample"
				    "IQoJb3JpZ2luX2VjEJr//////////"
				    "wEaCWV1LXdlc3QtMSJHMEUCIQDexampletokenexample";
	static const struct sigv4_pair headers[] = {
		{"Host", "account-s-bucket.s3.eu-west-1.amazonaws.com"},
		{"If-Match", "\"d41d8cd98f00b204e9800998ecf8427e\""},
		{"x-amz-checksum-mode", "ENABLED"}};
	static const struct sigv4_request request = {.method = "GET",
		.path = "/daily/2026/11/26/report%20of%20the%20day.csv",
		.headers = headers,
		.header_count = ARRAY_LEN(headers),
		.payload_hash = SIGV4_SHA256_EMPTY};
	static const struct sigv4_scope scope = {.region = "eu-west-1",
		.service = "s3",
		.at_s = 1764000000,
		.is_s3 = true};
	static const struct sigv4_keys keys = {"ASIAIOSFODNN7EXAMPLE",
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", token};
	struct sigv4_result result;

	if (sigv4_sign(&request, &scope, &keys, &result) < 0)
		abort();
	sigv4_result_done(&result);
}

static void resolve_one(void)
{
	static const struct endpoint_spec spec = {
		.region = "eu-west-1", .bucket = "account-s-bucket"};
	struct endpoint e;
	char why[200];

	if (endpoint_s3(&spec, &e, why) < 0)
		abort();
}

static void measure(const char *what, void (*fn)(void))
{
	unsigned long before;
	double from;

	fn(); /* algorithms are fetched once */
	before = allocations;
	from = cpu_us();
	for (int i = 0; i < ROUNDS; i++)
		fn();
	printf("%-18s %6.2f us of CPU, %5.1f allocations\n", what,
		(cpu_us() - from) / ROUNDS, (double)(allocations - before) / ROUNDS);
}

int main(void)
{
	measure("sign a request", sign_one);
	measure("resolve an endpoint", resolve_one);
	return 0;
}
