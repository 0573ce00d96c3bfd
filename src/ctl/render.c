/* libsmartcols behind three calls, and times as people read them. */
#include "config.h"

#include "ctl/render.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

struct table {
	struct libscols_table *scols;
	size_t columns;
};

struct table *table_new(const char *const *columns)
{
	struct table *t = mem_alloc(sizeof(*t));

	t->scols = scols_new_table();
	if (!t->scols)
		abort();
	for (; columns[t->columns]; t->columns++)
		scols_table_new_column(t->scols, columns[t->columns], 0, 0);
	return t;
}

void table_row(struct table *t, const char *const *cells)
{
	struct libscols_line *line = scols_table_new_line(t->scols, NULL);

	if (!line)
		abort();
	for (size_t i = 0; i < t->columns; i++)
		scols_line_set_data(line, i, cells[i] ? cells[i] : "-");
}

void table_cut_last(struct table *t)
{
	struct libscols_column *c = scols_table_get_column(t->scols, t->columns - 1);

	scols_column_set_flags(c, SCOLS_FL_TRUNC);
}

void table_print(struct table *t)
{
	scols_print_table(t->scols);
	scols_unref_table(t->scols);
	free(t);
}

bool render_has_color(void)
{
	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

char *render_time(const char *iso, char *out, size_t size)
{
	int64_t at;
	struct tm tm;
	time_t t;

	snprintf(out, size, "-");
	if (!iso || clock_parse_iso(iso, &at) < 0)
		return out;
	t = (time_t)at;
	localtime_r(&t, &tm);
	strftime(out, size, "%a %Y-%m-%d %H:%M:%S %Z", &tm);
	return out;
}

char *render_left(const char *iso, char *out, size_t size)
{
	int64_t at, now = clock_wall_us(clock_system());

	snprintf(out, size, "-");
	if (!iso || clock_parse_iso(iso, &at) < 0)
		return out;
	at *= USEC_PER_SEC;
	return str_format_duration(at > now ? at - now : now - at, out, size);
}

char *render_local(const struct json *slot, const char *key, char *out, size_t size)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	const char *text = json_get_str(slot, key);

	snprintf(out, size, "%s %s", days[json_get_int(slot, "weekday", 0) % 7],
		text ? text : "-");
	return out;
}
