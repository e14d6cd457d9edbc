#include "slack_ts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

#define SECONDS_DIGITS_MAX 12
#define FRACTION_DIGITS 6
#define SECOND_US 1000000
#define LATEST_US ((int64_t)999999999999 * SECOND_US)

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

void
slack_ts_format(int64_t us, char *text)
{
	if (us < 0)
		us = 0;
	if (us > LATEST_US)
		us = LATEST_US;
	snprintf(text, SLACK_TS_BYTES, "%" PRId64 ".%06" PRId64,
	    us / SECOND_US, us % SECOND_US);
}

bool
slack_ts_parse(const char *text, size_t length, int64_t *us)
{
	int64_t value = 0;
	size_t at = 0;

	while (at < length && at < SECONDS_DIGITS_MAX && is_digit(text[at]))
		value = value * 10 + (text[at++] - '0');
	if (at == 0 || (at < length && text[at++] != '.'))
		return false;
	for (int i = 0; i < FRACTION_DIGITS; i++) {
		bool is_there = at < length && is_digit(text[at]);

		value = value * 10 + (is_there ? text[at++] - '0' : 0);
	}
	while (at < length && is_digit(text[at]))
		at++;
	if (at < length)
		return false;
	*us = value;
	return true;
}

void
slack_ts_append_utc(struct buffer *text, int64_t us)
{
	char time[CLOCK_TEXT_BYTES];

	clock_format(us, time);
	buffer_append(text, time, strlen("2026-11-22"));
	buffer_append(text, " ", 1);
	buffer_append(text, time + strlen("2026-11-22T"), strlen("10:00:00"));
	buffer_append_string(text, " UTC");
}
