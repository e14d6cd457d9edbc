#include "slack_time.h"

#define FRACTION_DIGITS 6
#define SECONDS_DIGITS_MAX 12

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* Exactly microseconds; a double would lose digits. */
static bool
parse_time(const char *text, size_t length, int64_t *time_us)
{
	int64_t value = 0;
	size_t at = 0, seconds;

	while (at < length && at < SECONDS_DIGITS_MAX && is_digit(text[at]))
		value = value * 10 + (text[at++] - '0');
	seconds = at;
	if (at < length && text[at] == '.')
		at++;
	for (int i = 0; i < FRACTION_DIGITS; i++) {
		bool is_there = at < length && is_digit(text[at]);

		value = value * 10 + (is_there ? text[at++] - '0' : 0);
	}
	while (at < length && is_digit(text[at]))
		at++;
	if (seconds == 0 || at < length)
		return false;
	*time_us = value;
	return true;
}

bool
slack_time(const struct record *record, int64_t *time_us)
{
	const char *json;
	size_t length;

	if (!record_raw(record, RECORD_TS, &json, &length))
		return false;
	if (length > 2 && json[0] == '"')
		return parse_time(json + 1, length - 2, time_us);
	return parse_time(json, length, time_us);
}
