/* Slack's `ts`, "1763800000.000100", as text and exactly in microseconds. */
#ifndef SLACK_READER_SLACK_TS_H
#define SLACK_READER_SLACK_TS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

#define SLACK_TS_BYTES 24

/* Write it into SLACK_TS_BYTES bytes; what is before 1970 becomes 0. */
void slack_ts_format(int64_t us, char *text);

/* Returns false where the text is none. The fraction may be absent. */
bool slack_ts_parse(const char *text, size_t length, int64_t *us);

/* Append the time for people: 2026-11-22 10:00:00 UTC. */
void slack_ts_append_utc(struct buffer *text, int64_t us);

#endif
