/*
 * What it costs to list two sides and to find nothing to do: the real listers, filter and
 * plan, on one loop, against null_s3's virtual listings. Prints CPU, wall and peak
 * memory.
 *
 *   list_compare ENDPOINT KEYS [RANGES]
 */
#include "config.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "aws/creds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/lister_ranges.h"
#include "net/http.h"
#include "net/loop.h"
#include "run/plan.h"

#define SIDES 2

struct bench {
	struct loop *loop;
	struct lister *sides[SIDES];
	struct bench_side {
		struct bench *bench;
		int which;
	} args[SIDES];
	struct plan plan;
	uint64_t ranges; /* 0: one plain listing a side */
	uint64_t same, other;
	int result;
};

static void need_creds(void *arg, uint64_t refused)
{
	const struct creds_set set = {.access_key_id = "AKIDBENCH",
		.secret_access_key = "secret",
		.expires_at_us = CREDS_NEVER,
		.generation = 1};
	struct bench_side *side = arg;

	(void)refused;
	lister_s3_give_creds(side->bench->sides[side->which], NULL, &set);
}

static struct plan_head head_of(struct bench *b, int which)
{
	struct plan_head h = {0};
	enum lister_state state = lister_peek(b->sides[which], &h.entry);

	if (state == LISTER_FAILED) {
		fprintf(stderr, "list_compare: %s: %s\n",
			lister_error(b->sides[which])->code,
			lister_error(b->sides[which])->text);
		b->result = 1;
		loop_stop(b->loop);
	}
	h.has_ended = state == LISTER_ENDED;
	return h;
}

static void on_change(void *arg)
{
	struct bench *b = arg;
	struct plan_step step;

	for (;;) {
		struct plan_head s = head_of(b, 0), d = head_of(b, 1);
		enum plan_result r = plan_next(&b->plan, &s, &d, &step);

		if (r == PLAN_END)
			loop_stop(b->loop);
		if (r != PLAN_STEP)
			return;
		if (step.reason == REASON_SAME)
			b->same++;
		else
			b->other++;
		if (step.source)
			lister_pop(b->sides[0]);
		if (step.destination)
			lister_pop(b->sides[1]);
	}
}

static void start(
	struct bench *b, struct http *http, const char *endpoint, const char *prefix)
{
	const struct s3_place place = {
		.bucket = "bench", .region = "eu-west-1", .endpoint_url = endpoint};

	for (int i = 0; i < SIDES; i++) {
		const struct lister_s3_options o = {.loop = b->loop,
			.http = http,
			.place = &place,
			.prefix = prefix,
			.cut = strlen(prefix),
			.retry = RETRY_STANDARD,
			.wants_restore = i == 0,
			.need_creds = need_creds,
			.arg = &b->args[i]};

		b->args[i] = (struct bench_side){b, i};
		b->sides[i] = b->ranges ? lister_ranges_new(&o, (unsigned)b->ranges, 0)
					: lister_s3_new(&o);
	}
	for (int i = 0; i < SIDES; i++)
		lister_start(b->sides[i], on_change, b);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void report(const struct bench *b, double wall)
{
	struct rusage u;
	double cpu;

	getrusage(RUSAGE_SELF, &u);
	cpu = seconds(u.ru_utime) + seconds(u.ru_stime);
	printf("{\"keys\": %llu, \"cpu_s\": %.3f, \"us_per_key\": %.3f, \"wall_s\": "
	       "%.3f, "
	       "\"rss_mib\": %.1f}\n",
		(unsigned long long)b->same, cpu, cpu * 1e6 / (double)b->same, wall,
		(double)u.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	const struct http_options options = {
		.max_connections = 2 * SIDES * LISTER_RANGES_MAX};
	_cleanup_free_ char *prefix = NULL;
	struct http *http;
	uint64_t keys;
	int64_t began;

	if (argc < 3 || argc > 4 || str_to_uint(argv[2], 100000000, &keys) < 0 ||
		(argc == 4 && str_to_uint(argv[3], LISTER_RANGES_MAX, &b.ranges) < 0)) {
		fprintf(stderr, "usage: list_compare ENDPOINT KEYS [RANGES]\n");
		return 2;
	}
	if (http_global_init() < 0)
		return 1;
	mallopt(M_MMAP_THRESHOLD, 1 << 20); /* as s3ferryd does */
	mallopt(M_TRIM_THRESHOLD, 8 << 20);
	mallopt(M_TOP_PAD, 512 << 10);
	prefix = mem_printf("list/%llu/4096/", (unsigned long long)keys);
	b.loop = loop_new(clock_system());
	http = http_new(b.loop, &options);
	began = clock_mono_us(clock_system());
	start(&b, http, argv[1], prefix);
	loop_run(b.loop);
	report(&b, (double)(clock_mono_us(clock_system()) - began) / 1e6);
	if (b.same != keys || b.other)
		b.result = 1;
	for (int i = 0; i < SIDES; i++)
		lister_free(b.sides[i]);
	http_free(http);
	loop_turn(b.loop, false);
	loop_free(b.loop);
	http_global_done();
	return b.result;
}
