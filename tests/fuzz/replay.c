/*
 * A fuzz target without a fuzzer: its corpus, and inputs made from it by a seeded
 * generator. Finds less than libFuzzer does, but in each `make check`, with any compiler.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"
#include "fuzz.h"

#define INPUT_MAX  65536
#define INPUTS_MAX 4096
#define CASES      3000
#define SLOW_S     10 /* an input that takes longer is a finding: SIGALRM ends us */
#define MUTATIONS  6

struct input {
	uint8_t *data;
	size_t size;
};

struct corpus {
	struct input inputs[INPUTS_MAX];
	size_t count;
};

static uint64_t rng;

/* xorshift64*: the same everywhere, which a replay needs. */
static uint64_t roll(uint64_t below)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * UINT64_C(2685821657736338717) % (below ? below : 1);
}

/* A copy without slack, so that a sanitizer sees a read behind its end. */
static void take(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	alarm(SLOW_S);
	LLVMFuzzerTestOneInput(copy, size);
	alarm(0);
	free(copy);
}

static int add_file(struct corpus *c, const char *path)
{
	uint8_t *data = mem_alloc(INPUT_MAX);
	FILE *file = fopen(path, "re");

	if (!file || c->count == INPUTS_MAX) {
		free(data);
		return file ? fclose(file), -E2BIG : -errno;
	}
	c->inputs[c->count].size = fread(data, 1, INPUT_MAX, file);
	c->inputs[c->count++].data = data;
	fclose(file);
	return 0;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void add_dir(struct corpus *c, const char *dir)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_input, alphasort);

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = mem_printf("%s/%s", dir, entries[i]->d_name);

		add_file(c, path);
		free(entries[i]);
	}
	free(entries);
}

static const uint8_t odd[] = {
	0, 1, 0x7f, 0x80, 0xff, '0', '9', '*', '/', '-', ',', '\n', ' ', '"', '<', '{'};

static size_t mutate_once(const struct corpus *c, uint8_t *data, size_t size)
{
	const struct input *other = &c->inputs[roll(c->count)];
	size_t at = roll(size + 1), n = roll(8) + 1, from = roll(other->size + 1);

	switch (roll(6)) {
	case 0: /* a byte becomes another */
		if (size)
			data[roll(size)] = (uint8_t)roll(256);
		return size;
	case 1:
		if (size)
			data[roll(size)] = odd[roll(sizeof(odd))];
		return size;
	case 2: /* some go */
		if (n > size - at)
			n = size - at;
		memmove(data + at, data + at + n, size - at - n);
		return size - n;
	case 3: /* some come twice */
		if (n > size - at || size + n > INPUT_MAX)
			return size;
		memmove(data + at + n, data + at, size - at);
		return size + n;
	case 4: /* it ends sooner */
		return at;
	default: /* the end is another input's */
		n = other->size - from;
		if (at + n > INPUT_MAX)
			n = INPUT_MAX - at;
		memcpy(data + at, other->data + from, n);
		return at + n;
	}
}

static void take_mutants(const struct corpus *c, unsigned long cases)
{
	uint8_t *data = mem_alloc(INPUT_MAX);

	for (unsigned long i = 0; i < cases; i++) {
		const struct input *seed = &c->inputs[roll(c->count)];
		size_t size = seed->size;

		memcpy(data, seed->data, size);
		for (uint64_t k = roll(MUTATIONS) + 1; k; k--)
			size = mutate_once(c, data, size);
		take(data, size);
	}
	free(data);
}

/* The same inputs in each check of the same tree, fresh ones in make check-long. */
static uint64_t choose_seed(void)
{
	const char *text = getenv("S3FERRY_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : 0;

	if (!seed && getenv("S3FERRY_LONG") && getrandom(&seed, 4, 0) != 4)
		seed = 1;
	return seed ? seed : 1;
}

int main(int argc, char **argv)
{
	const char *name = strstr(argv[0], "fuzz_"), *srcdir = getenv("srcdir");
	const char *cases = getenv("S3FERRY_CASES");
	struct corpus *c = mem_alloc(sizeof(*c));
	uint64_t seed = choose_seed();
	_cleanup_free_ char *dir = mem_printf("%s/tests/fuzz/corpus/%s",
		srcdir ? srcdir : ".", name ? name + strlen("fuzz_") : "");

	for (int i = 1; i < argc; i++) {
		if (add_file(c, argv[i]) < 0)
			fprintf(stderr, "%s cannot be read\n", argv[i]);
	}
	if (argc == 1)
		add_dir(c, dir);
	puts("1..2");
	printf("# S3FERRY_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (size_t i = 0; i < c->count; i++)
		take(c->inputs[i].data, c->inputs[i].size);
	printf("%s 1 - %zu inputs of %s\n", c->count ? "ok" : "not ok", c->count, dir);
	rng = seed;
	if (c->count && argc == 1)
		take_mutants(c, cases ? strtoul(cases, NULL, 10) : CASES);
	puts("ok 2 - inputs made from them");
	for (size_t i = 0; i < c->count; i++)
		free(c->inputs[i].data);
	free(c);
	return 0;
}
