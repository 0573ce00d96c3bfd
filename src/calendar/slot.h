/*
 * A schedule: an expression, a zone and its options, compiled; and the slots it gives.
 * Pure and immutable once made: no clock, no log, no SQL. Rules: a fire is a local minute
 * (or an instant of a grid) mapped to UTC; clocks that jump neither lose nor double it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule;
struct tz_set;

enum schedule_syntax {
	SCHEDULE_AUTO,        /* of `schedule:`: five fields, macro, cron() rate() at() */
	SCHEDULE_CRON,        /* five fields or a macro only */
	SCHEDULE_EVENTBRIDGE, /* cron() rate() at() only */
	SCHEDULE_EVERY,       /* of `every:`: "15m" */
	SCHEDULE_CALENDAR,    /* of `calendar:`: systemd's OnCalendar */
};

enum dst_gap {
	DST_GAP_RUN, /* a time that does not exist fires at the first instant after */
	DST_GAP_SKIP,
};

enum dst_overlap {
	DST_OVERLAP_AUTO, /* restricted hours: first pass only; all hours: both */
	DST_OVERLAP_ONCE,
	DST_OVERLAP_BOTH,
};

enum day_match {
	DAY_MATCH_AUTO, /* cron's rule: AND if a day field starts with * or ?, else OR */
	DAY_MATCH_AND,
	DAY_MATCH_OR,
};

struct schedule_spec {
	enum schedule_syntax syntax;
	const char *expression;
	const char *timezone; /* IANA name, "UTC" (also NULL), "local" */
	/* Has the zone, and must outlive the schedule; NULL: it reads one of its own. */
	struct tz_set *zones;
	int64_t start_s;      /* of `every` and rate(): phase of the grid, UTC seconds */
	enum dst_gap dst_gap;
	enum dst_overlap dst_overlap;
	enum day_match day_match;
};

struct schedule_error {
	size_t position;  /* byte offset in the expression; its length at the end */
	bool is_timezone; /* the zone is at fault, not the expression */
	char text[200];   /* what is wrong */
	char hint[200];   /* what to write instead, or "" */
};

/* 0 or -EINVAL with *ret_error filled. */
int schedule_new(const struct schedule_spec *spec, struct schedule **ret,
	struct schedule_error *ret_error);
/*
 * Several as one: each instant at which one of them fires is one slot. Takes the members
 * over, not the array; count >= 1.
 */
struct schedule *schedule_merge(struct schedule **members, size_t count);
void *schedule_free(struct schedule *s);

/* Something legal that may not be what was meant. */
struct schedule_note {
	bool is_error;           /* it never fires at all */
	const char *silenced_by; /* the key that says "I mean it", or NULL */
	struct schedule_error what;
};

#define SCHEDULE_NOTES_MAX 8
/* Of one schedule, not a list: day OR day, steps that do not divide, hours of a DST
 * night. */
size_t schedule_lint(const struct schedule *s, int64_t now_s,
	struct schedule_note notes[SCHEDULE_NOTES_MAX]);
/* Of a job's whole schedule: it ends within three more slots. False: nothing to say. */
bool schedule_lint_future(
	const struct schedule *s, int64_t now_s, struct schedule_note *ret);

#define SLOT_KEY_LEN 48

struct slot {
	int64_t at_s;           /* nominal instant, UTC seconds */
	int offset_s;           /* local time minus UTC at that instant */
	char zone[16];          /* "CEST": what that offset is called */
	bool is_gap_moved;      /* its local time did not exist */
	bool is_first_of_two;   /* its local time comes twice that day */
	bool is_local;          /* known by its local time, else by its instant */
	int pass;               /* 1: the second time that it comes */
	int64_t key_s;          /* local seconds of what was asked for, or at_s */
};

/* What tells a slot from all others of its job: "2026-10-25T02:30/0" or a UTC instant. */
char *slot_key(const struct slot *slot, char out[SLOT_KEY_LEN]);
/* Of two that are known in the same way: the order of their keys. */
int slot_compare(const struct slot *a, const struct slot *b);

/* First slot strictly after, or last at or before; 0, or -ENOENT: none until 2200. */
int schedule_next(const struct schedule *s, int64_t after_s, struct slot *ret);
int schedule_prev(const struct schedule *s, int64_t at_or_before_s, struct slot *ret);
/* Slots in (after, until], counted up to max. */
uint64_t schedule_count(
	const struct schedule *s, int64_t after_s, int64_t until_s, uint64_t max);

/* Local time of an instant in the schedule's zone (a list's: its first's). abbreviation
 * holds >= 16 bytes. */
int schedule_offset(const struct schedule *s, int64_t at_s, char *abbreviation);
const char *schedule_timezone(const struct schedule *s);
/* @reboot, alone or in a list: it has no slots here, its owner knows when it booted. */
bool schedule_is_boot(const struct schedule *s);
/* at() and a grid have one slot or a phase instead of local minutes. */
bool schedule_is_one_shot(const struct schedule *s);
