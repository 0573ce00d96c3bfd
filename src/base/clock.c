/* Time through an injectable clock, and UTC calendar arithmetic. Not time zones. */
#include "config.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

static int64_t system_mono(const struct clock *c)
{
	return read_clock(CLOCK_BOOTTIME);
}

static int64_t system_wall(const struct clock *c)
{
	return read_clock(CLOCK_REALTIME);
}

static bool system_is_synchronised(const struct clock *c)
{
	struct timex t = {0};
	int r = adjtimex(&t);

	/* ProtectClock= of the unit forbids even to ask. */
	if (r < 0)
		return access("/run/systemd/timesync/synchronized", F_OK) == 0;
	return r != TIME_ERROR;
}

const struct clock *clock_system(void)
{
	static const struct clock clock = {
		system_mono, system_wall, system_is_synchronised};

	return &clock;
}

static int64_t fake_mono(const struct clock *c)
{
	return CONTAINER_OF(c, struct clock_fake, clock)->mono;
}

static int64_t fake_wall(const struct clock *c)
{
	return CONTAINER_OF(c, struct clock_fake, clock)->wall;
}

static bool fake_is_synchronised(const struct clock *c)
{
	return !CONTAINER_OF(c, struct clock_fake, clock)->is_unsynchronised;
}

void clock_fake_init(struct clock_fake *fake, int64_t wall_us)
{
	fake->clock = (struct clock){fake_mono, fake_wall, fake_is_synchronised};
	fake->mono = USEC_PER_SEC;
	fake->wall = wall_us;
	fake->is_unsynchronised = false;
}

void clock_fake_advance(struct clock_fake *fake, int64_t usec)
{
	fake->mono += usec;
	fake->wall += usec;
}

/* Days since 1970-01-01 of a civil date; eras of 400 years, March-based years. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void clock_utc_from_seconds(int64_t seconds, struct clock_utc *ret)
{
	int64_t days = seconds / 86400, rest = seconds % 86400;
	int64_t z, era, doe, yoe, doy, mp;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	z = days + 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	ret->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	ret->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	ret->year = yoe + era * 400 + (ret->month <= 2);
	ret->hour = (int)(rest / 3600);
	ret->minute = (int)(rest / 60 % 60);
	ret->second = (int)(rest % 60);
	ret->weekday = (int)(((days + 4) % 7 + 7) % 7);
}

int64_t clock_seconds_from_utc(const struct clock_utc *u)
{
	return days_from_civil(u->year, u->month, u->day) * 86400 + u->hour * 3600 +
	       u->minute * 60 + u->second;
}

char *clock_format_iso_us(int64_t usec, char *out, size_t size)
{
	int64_t seconds = usec / USEC_PER_SEC, rest = usec % USEC_PER_SEC;
	char fraction[8] = "";
	struct clock_utc u;
	size_t n;

	if (rest < 0) {
		rest += USEC_PER_SEC;
		seconds--;
	}
	clock_utc_from_seconds(seconds, &u);
	if (rest) {
		snprintf(fraction, sizeof(fraction), ".%06d", (int)rest);
		for (n = strlen(fraction); fraction[n - 1] == '0'; n--)
			fraction[n - 1] = '\0';
	}
	snprintf(out, size, "%04lld-%02d-%02dT%02d:%02d:%02d%sZ", (long long)u.year,
		u.month, u.day, u.hour, u.minute, u.second, fraction);
	return out;
}

char *clock_format_iso(int64_t seconds, char *out, size_t size)
{
	return clock_format_iso_us(seconds * USEC_PER_SEC, out, size);
}

static char *put_digits(char *out, int64_t n, int width)
{
	for (int i = width; i-- > 0; n /= 10)
		out[i] = (char)('0' + n % 10);
	return out + width;
}

/* By hand: each request has two of them, and printf costs ten times as much. */
char *clock_format_amz(int64_t seconds, char *out, size_t size)
{
	char *at = out;
	struct clock_utc u;

	clock_utc_from_seconds(seconds, &u);
	at = put_digits(at, u.year, 4);
	at = put_digits(at, u.month, 2);
	at = put_digits(at, u.day, 2);
	*at++ = 'T';
	at = put_digits(at, u.hour, 2);
	at = put_digits(at, u.minute, 2);
	at = put_digits(at, u.second, 2);
	*at++ = 'Z';
	*at = '\0';
	assert(at < out + size);
	return out;
}

static int parse_offset(const char *s, int *ret_seconds)
{
	int h, m, n = 0;
	int sign = *s == '-' ? -1 : 1;

	if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0) {
		*ret_seconds = 0;
		return 0;
	}
	if (*s != '+' && *s != '-')
		return -EINVAL;
	if (sscanf(s + 1, "%2d:%2d%n", &h, &m, &n) != 2 || n != 5 || s[6] || h < 0 ||
		h > 23 || m < 0 || m > 59)
		return -EINVAL;
	*ret_seconds = sign * (h * 3600 + m * 60);
	return 0;
}

/* ".25" to microseconds, digits beyond them dropped; behind it in *ret_end. */
static int64_t parse_fraction(const char *s, const char **ret_end)
{
	int64_t usec = 0, unit = USEC_PER_SEC / 10;

	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10)
			usec += (*s - '0') * unit;
	}
	*ret_end = s;
	return usec;
}

static bool is_date(const struct clock_utc *u)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = u->year % 4 == 0 && (u->year % 100 || u->year % 400 == 0);

	return u->month >= 1 && u->month <= 12 && u->day >= 1 &&
	       u->day <= days[u->month - 1] + (u->month == 2 && is_leap) &&
	       u->hour >= 0 && u->hour <= 23 && u->minute >= 0 && u->minute <= 59 &&
	       u->second >= 0 && u->second <= 60;
}

int clock_parse_iso_us(const char *text, int64_t *ret_usec)
{
	struct clock_utc u = {0};
	int year, n = 0, offset;
	const char *s;
	int64_t fraction;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &u.month, &u.day, &u.hour,
		    &u.minute, &u.second, &n) != 6 ||
		n != 19)
		return -EINVAL;
	u.year = year;
	fraction = parse_fraction(text + n, &s);
	if (!is_date(&u) || parse_offset(s, &offset) < 0)
		return -EINVAL;
	*ret_usec = (clock_seconds_from_utc(&u) - offset) * USEC_PER_SEC + fraction;
	return 0;
}

int clock_parse_iso(const char *text, int64_t *ret_seconds)
{
	int64_t usec;

	if (clock_parse_iso_us(text, &usec) < 0)
		return -EINVAL;
	*ret_seconds = usec / USEC_PER_SEC - (usec % USEC_PER_SEC < 0);
	return 0;
}

int clock_parse_http_us(const char *text, int64_t *ret_usec)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct clock_utc u = {0};
	char day[4], month[4];
	const char *found, *s;
	int year, n = 0;
	int64_t fraction;

	if (sscanf(text, "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d%n", day, &u.day,
		    month, &year, &u.hour, &u.minute, &u.second, &n) != 7 ||
		n != 25)
		return -EINVAL;
	found = strstr(months, month);
	if (!found || (found - months) % 3 || strlen(month) != 3)
		return -EINVAL;
	u.year = year;
	u.month = (int)(found - months) / 3 + 1;
	fraction = parse_fraction(text + n, &s);
	if (!is_date(&u) || strcmp(s, " GMT") != 0)
		return -EINVAL;
	*ret_usec = clock_seconds_from_utc(&u) * USEC_PER_SEC + fraction;
	return 0;
}
