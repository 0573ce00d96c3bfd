/* next and calendar: what will be. Of the daemon where it answers, else of the file. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "calendar/jitter.h"
#include "calendar/period.h"
#include "calendar/slot.h"
#include "calendar/slot_json.h"
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/preview.h"
#include "ctl/render.h"

#define SLOTS_MAX (32 * 1024 * 1024)

/* --- next --- */

static char *next_params(const struct ctl_options *o)
{
	struct buf out = BUF_INIT(8192);
	struct json_writer w;

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	if (o->argc)
		json_put_str(&w, "job", o->argv[0]);
	if (o->count)
		json_put_int(&w, "count", o->count);
	if (o->from)
		json_put_str(&w, "from", o->from);
	json_object_end(&w);
	return buf_take(&out);
}

/* A daemon that does not run is no error here. */
static bool is_daemon_there(const struct ctl_options *o)
{
	struct client *c;

	if (o->config || (o->argc && preview_is_expression(o->argv[0])))
		return false;
	c = client_open(o->socket);
	client_close(c);
	return c != NULL;
}

static bool start_of(
	const struct ctl_options *o, const struct preview_item *item, int64_t *ret)
{
	struct schedule_error e;
	int64_t unused;

	*ret = clock_wall_us(clock_system()) / USEC_PER_SEC;
	if (!o->from)
		return true;
	if (period_parse(o->from, item->timezone, ret, &unused, &e) < 0) {
		fprintf(stderr, "s3ferryctl: --from: %s; %s\n", e.text, e.hint);
		return false;
	}
	--*ret; /* a slot at that very moment counts */
	return true;
}

static void put_slot(
	struct json_writer *w, const struct preview_item *item, const struct slot *slot)
{
	json_object_begin(w, NULL);
	json_put_str(w, "job", item->name);
	slot_put_json(w, slot, jitter_effective(item->schedule, slot, item->jitter));
	json_object_end(w);
}

/* The same answer as the daemon's, malloc'd. */
static int next_of_file(const struct ctl_options *o, char **ret)
{
	struct buf out = BUF_INIT(SLOTS_MAX);
	struct json_writer w;
	struct preview p;
	struct slot slot;
	int code = preview_open(o, o->argc ? o->argv[0] : NULL, &p);

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_array_begin(&w, "slots");
	for (size_t i = 0; !code && i < p.count; i++) {
		long left = o->count ? o->count : o->argc ? 5 : 1;

		if (!start_of(o, &p.items[i], &slot.at_s))
			code = CTL_USAGE;
		while (!code && left-- &&
			schedule_next(p.items[i].schedule, slot.at_s, &slot) == 0)
			put_slot(&w, &p.items[i], &slot);
	}
	json_array_end(&w);
	json_object_end(&w);
	if (code)
		buf_done(&out);
	else
		*ret = buf_take(&out);
	preview_done(&p);
	return code;
}

static bool has_jitter(const struct json *slots)
{
	for (size_t i = 0; i < json_array_len(slots); i++) {
		const struct json *s = json_array_at(slots, i);

		if (!str_eq(json_get_str(s, "at"), json_get_str(s, "effective")))
			return true;
	}
	return false;
}

static const char *left_of(const char *iso, char *out, size_t size)
{
	int64_t at = 0, now = clock_wall_us(clock_system()) / USEC_PER_SEC;
	size_t len;

	render_left(iso, out, size);
	len = strlen(out);
	if (clock_parse_iso(iso, &at) == 0 && at < now)
		snprintf(out + len, size - len, " ago");
	return out;
}

static void show_next(const struct json *slots)
{
	static const char *const plain[] = {
		"JOB", "SLOT", "ZONE", "UTC", "LEFT", "MARK", NULL};
	static const char *const delayed[] = {"JOB", "SLOT", "ZONE", "UTC", "STARTS",
		"STARTS UTC", "LEFT", "MARK", NULL};
	bool is_delayed = has_jitter(slots);
	struct table *t = table_new(is_delayed ? delayed : plain);

	for (size_t i = 0; i < json_array_len(slots); i++) {
		const struct json *s = json_array_at(slots, i);
		const char *mark = json_get_str(s, "mark"), *cells[9];
		char local[64], left[32];
		size_t n = 0;

		cells[n++] = json_get_str(s, "job");
		cells[n++] = render_local(s, "local", local, sizeof(local));
		cells[n++] = json_get_str(s, "zone");
		cells[n++] = json_get_str(s, "at");
		if (is_delayed) {
			cells[n++] = json_get_str(s, "local_effective");
			cells[n++] = json_get_str(s, "effective");
		}
		cells[n++] = left_of(json_get_str(s, "effective"), left, sizeof(left));
		cells[n++] = mark ? mark : "";
		table_row(t, cells);
	}
	table_print(t);
}

int verb_next(const struct ctl_options *o)
{
	_cleanup_free_ char *params = next_params(o), *text = NULL;
	struct json *reply = NULL;
	const struct json *slots;
	int code = 0;

	if (is_daemon_there(o)) {
		reply = ctl_ask(o, "io.s3ferry.Next", params, &code);
		if (!reply)
			return code;
		slots = json_get(json_get(reply, "parameters"), "slots");
	} else {
		code = next_of_file(o, &text);
		if (code)
			return code;
		reply = json_parse(text, strlen(text), NULL);
		slots = json_get(reply, "slots");
	}
	if (o->is_json && text)
		puts(text);
	else if (o->is_json)
		ctl_print_json(reply);
	else if (json_array_len(slots))
		show_next(slots);
	else
		puts("no more slots");
	json_free(reply);
	return CTL_OK;
}

/* --- calendar --- */

#define DAYS_MAX   31
#define CELL_WIDTH 11
#define CELL_ROWS  4

struct month {
	const struct preview_item *item;
	int year, month, days;
	int first_weekday; /* of the first, Monday is 0 */
	struct slot *slots;
	size_t count;
	size_t first_of[DAYS_MAX +
			2]; /* index of a day's first slot; of the day after: end */
};

static int64_t local_of(const struct slot *s)
{
	return s->at_s + s->offset_s;
}

static bool parse_month(const struct ctl_options *o, struct month *m)
{
	const char *text = o->argc > 1 ? o->argv[1] : o->month;
	struct clock_utc u;
	int64_t now = clock_wall_us(clock_system()) / USEC_PER_SEC;
	char iso[32];

	now += schedule_offset(m->item->schedule, now, NULL);
	if (text) {
		snprintf(iso, sizeof(iso), "%.10s-01T00:00:00Z", text);
		if (strlen(text) != 7 || clock_parse_iso(iso, &now) < 0) {
			fprintf(stderr, "s3ferryctl: '%s' is no month; write 2026-11\n",
				text);
			return false;
		}
	}
	clock_utc_from_seconds(now, &u);
	m->year = (int)u.year;
	m->month = u.month;
	u = (struct clock_utc){.year = m->year, .month = m->month, .day = 1};
	clock_utc_from_seconds(clock_seconds_from_utc(&u), &u);
	m->first_weekday = (u.weekday + 6) % 7;
	return true;
}

/* All slots whose local date lies in the month. */
static void collect(struct month *m)
{
	struct clock_utc first = {.year = m->year, .month = m->month, .day = 1};
	struct clock_utc after = {
		.year = m->year + m->month / 12, .month = m->month % 12 + 1, .day = 1};
	int64_t from = clock_seconds_from_utc(&first),
		to = clock_seconds_from_utc(&after);
	struct slot slot = {.at_s = from - 2 * 86400};
	size_t room = 0;
	int day = 1;

	m->days = (int)((to - from) / 86400);
	while (schedule_next(m->item->schedule, slot.at_s, &slot) == 0 &&
		slot.at_s < to + 2 * 86400) {
		int64_t local = local_of(&slot);

		if (local < from || local >= to)
			continue;
		if (m->count == room) {
			room = room ? 2 * room : 64;
			m->slots = mem_resize(m->slots, room, sizeof(*m->slots));
		}
		for (; day <= (int)((local - from) / 86400) + 1; day++)
			m->first_of[day] = m->count;
		m->slots[m->count++] = slot;
	}
	for (; day <= DAYS_MAX + 1; day++)
		m->first_of[day] = m->count;
}

static void put_time(const struct slot *s, char out[16])
{
	struct clock_utc u;

	clock_utc_from_seconds(local_of(s), &u);
	snprintf(out, 16, "%02d:%02d%s", u.hour, u.minute,
		s->is_gap_moved      ? " >"
		: s->is_first_of_two ? " x2"
				     : "");
}

/* What a day's cell says in one of its rows: each slot, or how many and from when to
 * when. */
static void cell_of(const struct month *m, int day, int row, char out[CELL_WIDTH + 5])
{
	size_t first = m->first_of[day], n = m->first_of[day + 1] - first;

	*out = '\0';
	if (n <= CELL_ROWS) {
		if ((size_t)row < n)
			put_time(&m->slots[first + (size_t)row], out);
		return;
	}
	if (row == 0)
		put_time(&m->slots[first], out);
	else if (row == 1)
		snprintf(out, 16, "%zu more", n - 2);
	else if (row == 2)
		put_time(&m->slots[first + n - 1], out);
}

static int rows_of_week(const struct month *m, int monday)
{
	size_t most = 0;

	for (int d = monday; d < monday + 7; d++) {
		size_t n = d < 1 || d > m->days ? 0 : m->first_of[d + 1] - m->first_of[d];

		if (n > CELL_ROWS)
			n = 3;
		if (n > most)
			most = n;
	}
	return (int)most;
}

/* Without the blanks that would end it. */
static void print_line(char *line)
{
	size_t len = strlen(line);

	while (len && line[len - 1] == ' ')
		line[--len] = '\0';
	puts(line);
}

static void print_week(const struct month *m, int monday)
{
	int rows = rows_of_week(m, monday);

	for (int row = -1; row < rows; row++) {
		char line[7 * (CELL_WIDTH + 5) + 1] = "";
		size_t len = 0;

		for (int d = monday; d < monday + 7; d++) {
			char cell[CELL_WIDTH + 5] = "";

			if (d >= 1 && d <= m->days && row < 0)
				snprintf(cell, sizeof(cell), "%2d", d);
			else if (d >= 1 && d <= m->days)
				cell_of(m, d, row, cell);
			len += (size_t)snprintf(
				line + len, sizeof(line) - len, "%-*s", CELL_WIDTH, cell);
		}
		print_line(line);
	}
	puts("");
}

static void print_marks(const struct month *m)
{
	bool is_moved = false, is_twice = false;

	for (size_t i = 0; i < m->count; i++) {
		is_moved |= m->slots[i].is_gap_moved;
		is_twice |= m->slots[i].is_first_of_two;
	}
	if (is_moved)
		puts(">   its time does not exist that day; it runs when clocks have "
		     "jumped");
	if (is_twice)
		puts("x2  its time comes twice that day; this is the first");
}

static void print_month(const struct month *m)
{
	static const char *const names[] = {"January", "February", "March", "April",
		"May", "June", "July", "August", "September", "October", "November",
		"December"};
	char delay[32];

	printf("%s  %s %d  %s  %zu slot%s", m->item->name, names[m->month - 1], m->year,
		m->item->timezone, m->count, m->count == 1 ? "" : "s");
	if (m->item->jitter)
		printf("  each starts %s later (jitter)",
			str_format_duration(
				m->item->jitter * USEC_PER_SEC, delay, sizeof(delay)));
	puts("\n\nMon        Tue        Wed        Thu        Fri        Sat        Sun");
	for (int monday = 1 - m->first_weekday; monday <= m->days; monday += 7)
		print_week(m, monday);
	print_marks(m);
}

static void print_month_json(const struct month *m)
{
	struct buf out = BUF_INIT(SLOTS_MAX);
	struct json_writer w;
	char text[32];

	json_writer_init(&w, &out);
	json_object_begin(&w, NULL);
	json_put_str(&w, "job", m->item->name);
	json_put_str(&w, "timezone", m->item->timezone);
	snprintf(text, sizeof(text), "%04d-%02d", m->year, m->month);
	json_put_str(&w, "month", text);
	json_array_begin(&w, "slots");
	for (size_t i = 0; i < m->count; i++)
		put_slot(&w, m->item, &m->slots[i]);
	json_array_end(&w);
	json_object_end(&w);
	puts(buf_str(&out));
	buf_done(&out);
}

int verb_calendar(const struct ctl_options *o)
{
	struct preview p;
	struct month m = {0};
	int code = preview_open(o, o->argv[0], &p);

	if (code)
		return code;
	if (!p.count) {
		fprintf(stderr, "s3ferryctl: %s has no schedule\n", o->argv[0]);
		preview_done(&p);
		return CTL_CONFIG;
	}
	m.item = &p.items[0];
	if (parse_month(o, &m)) {
		collect(&m);
		if (o->is_json)
			print_month_json(&m);
		else
			print_month(&m);
	} else {
		code = CTL_USAGE;
	}
	free(m.slots);
	preview_done(&p);
	return code;
}
