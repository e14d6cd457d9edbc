#include "clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_now_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t
clock_steady_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t
clock_steady_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_steady_s(void)
{
	return read_us(CLOCK_MONOTONIC_COARSE) / 1000000;
}

void
clock_format(int64_t us, char *text)
{
	int64_t fraction = (us % 1000000 + 1000000) % 1000000;
	time_t seconds = (time_t)((us - fraction) / 1000000);
	struct tm day;
	char date[24];

	gmtime_r(&seconds, &day);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &day);
	snprintf(text, CLOCK_TEXT_BYTES, "%s.%06dZ", date, (int)fraction);
}

/* Read exactly `count` digits; -1 where there are none. */
static int
read_digits(const char **at, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++, ++*at) {
		if (**at < '0' || **at > '9')
			return -1;
		value = value * 10 + (**at - '0');
	}
	return value;
}

static bool
skip(const char **at, const char *wanted)
{
	if (**at == '\0' || strchr(wanted, **at) == NULL)
		return false;
	++*at;
	return true;
}

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t
count_days(int year, int month, int day)
{
	int64_t years = month > 2 ? year : year - 1;
	int64_t months = (month + 9) % 12;	/* since March */

	return years * 365 + years / 4 - years / 100 + years / 400 +
	    (months * 306 + 5) / 10 + day - 1 - 719468;
}

static int
read_fraction_us(const char **at)
{
	int us = 0, weight = 100000;

	for (; **at >= '0' && **at <= '9'; ++*at, weight /= 10)
		us += (**at - '0') * weight;
	return us;
}

/* Z or an offset, in minutes east of UTC; false where it is neither. */
static bool
read_offset(const char **at, int *minutes)
{
	const char *sign = *at;

	*minutes = 0;
	if (skip(at, "Zz"))
		return true;
	if (!skip(at, "+-"))
		return false;

	int hours = read_digits(at, 2);
	if (hours < 0 || !skip(at, ":"))
		return false;
	*minutes = read_digits(at, 2);
	if (*minutes < 0 || hours > 23 || *minutes > 59)
		return false;
	*minutes += hours * 60;
	if (*sign == '-')
		*minutes = -*minutes;
	return true;
}

int
clock_parse(const char *text, int64_t *us)
{
	static const char *const separators[] = { "-", "-", "Tt ", ":", ":",
	    "" };
	int parts[6], fraction = 0, offset;

	for (int i = 0; i < 6; i++) {
		parts[i] = read_digits(&text, i == 0 ? 4 : 2);
		if (parts[i] < 0 || (i < 5 && !skip(&text, separators[i])))
			return -1;
	}
	if (parts[1] < 1 || parts[1] > 12 || parts[2] < 1 || parts[2] > 31 ||
	    parts[3] > 23 || parts[4] > 59 || parts[5] > 60)
		return -1;
	if (skip(&text, "."))
		fraction = read_fraction_us(&text);
	if (!read_offset(&text, &offset) || *text != '\0')
		return -1;
	*us = ((count_days(parts[0], parts[1], parts[2]) * 24 + parts[3]) *
	    60 + parts[4] - offset) * 60 + parts[5];
	*us = *us * 1000000 + fraction;
	return 0;
}
